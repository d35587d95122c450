#include "base/config.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

enum class Colour : uint8_t { red = 1, blue = 2 };
constexpr bool is_valid(Colour c) { return c == Colour::red || c == Colour::blue; }
constexpr std::string_view name(Colour c) { return c == Colour::red ? "red" : "blue"; }

struct Inner {
  std::string word = "stone";
  static constexpr auto fields() { return std::tuple{field("word", &Inner::word)}; }
};
struct Sample {
  std::string listen = "127.0.0.1:1";
  Within<uint32_t, 1, 64> threads{4};
  int32_t offset = 0;
  bool loud = false;
  Amount price = Amount::of_pebbles(5);
  Colour colour = Colour::red;
  std::optional<uint16_t> port;
  std::vector<std::string> words;
  std::map<std::string, std::string> names;
  Inner inner;
  double rate = 0.5;
  static constexpr auto fields() {
    using S = Sample;
    return std::tuple{field("listen", &S::listen), field("threads", &S::threads), field("offset", &S::offset),
                      field("loud", &S::loud),     field("price", &S::price),     field("colour", &S::colour),
                      field("port", &S::port),     field("words", &S::words),     field("names", &S::names),
                      field("inner", &S::inner),   field("rate", &S::rate)};
  }
  Result<> check() const {
    if (loud && threads > 32) return Error{Code::config, "loud allows at most 32 threads", "lower one"};
    return {};
  }
};

TEST(Config, FillsWhatIsThereAndKeepsTheRest) {
  const auto config = read_config_text<Sample>(
      "listen: here\nthreads: 8\noffset: -3\nloud: true\nprice: 0.5 CRN\ncolour: blue\nport: 80\nwords: [a, b]\n"
      "names: {x: 1}\ninner: {word: w}\nrate: 1e-3\n",
      "f.yaml");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->listen, "here");
  EXPECT_EQ(config->threads.value, 8u);
  EXPECT_EQ(config->offset, -3);
  EXPECT_TRUE(config->loud);
  EXPECT_EQ(config->price.pebbles, 500'000u);
  EXPECT_EQ(config->colour, Colour::blue);
  EXPECT_EQ(config->port, 80);
  EXPECT_EQ(config->words.size(), 2u);
  EXPECT_EQ(config->names.at("x"), "1");
  EXPECT_EQ(config->inner.word, "w");
  EXPECT_EQ(config->rate, 1e-3);

  const auto empty = read_config_text<Sample>("# nothing\n", "f.yaml");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->threads.value, 4u);
}

TEST(Config, EveryMistakeHasItsPlace) {
  const struct {
    const char* text;
    const char* place;
    const char* says;
  } rows[] = {
      {"threads: 8\nthread: 8\n", "f.yaml:2:1", "`thread` is no setting here"},
      {"threads: 8\nthreads: 9\n", "f.yaml:2:1", "stands here twice"},
      {"inner:\n  wort: x\n", "f.yaml:2:3", "`wort` is no setting here"},
      {"threads: many\n", "f.yaml:1:10", "expected a whole number"},
      {"threads: 0\n", "f.yaml:1:10", "not between 1 and 64"},
      {"threads: 65\n", "f.yaml:1:10", "not between 1 and 64"},
      {"threads: 99999999999999999999\n", "f.yaml:1:10", "not between"},
      {"offset: -9999999999\n", "f.yaml:1:9", "not between"},
      {"threads: -1\n", "f.yaml:1:10", "not between"},
      {"loud: yes\n", "f.yaml:1:7", "expected true or false"},
      {"price: 1 EUR\n", "f.yaml:1:8", "expected an amount"},
      {"colour: green\n", "f.yaml:1:9", "expected one of red | blue"},
      {"port: 70000\n", "f.yaml:1:7", "not between 0 and 65535"},
      {"words: a\n", "f.yaml:1:8", "expected a list"},
      {"inner: 3\n", "f.yaml:1:8", "expected settings"},
      {"listen: [a]\n", "f.yaml:1:9", "expected a text, found a list"},
      {"listen: [a\n", "f.yaml:2:1", "end of sequence"},
      {"a: 1\n---\nb: 2\n", "f.yaml:3:1", "second document"},
      {"loud: true\nthreads: 33\n", "f.yaml:1:1", "loud allows at most 32 threads"},
      {"- a\n", "f.yaml:1:1", "expected settings"},
  };
  for (const auto& row : rows) {
    const auto config = read_config_text<Sample>(row.text, "f.yaml");
    ASSERT_FALSE(config) << row.text;
    EXPECT_EQ(config.error().code, Code::config);
    EXPECT_TRUE(config.error().text.starts_with(std::string(row.place) + ": ")) << config.error().text << "\nfor " << row.text;
    EXPECT_NE(config.error().text.find(row.says), std::string::npos) << config.error().text;
    EXPECT_FALSE(config.error().next.empty());
  }
}

TEST(Config, AliasesCannotMakeAFileHuge) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; i++) {
    const std::string n = std::to_string(i), m = "*a" + std::to_string(i - 1);
    text += "a" + n + ": &a" + n + " [" + m;
    for (int k = 1; k < 10; k++) text += ", " + m;
    text += "]\n";
  }
  EXPECT_FALSE(parse_config(text, "f.yaml"));
}

// Bytes that are no YAML end in an error; these made the library go on for ever.
TEST(Config, DocumentsThatBeginAmissAreRefused) {
  for (const char* text : {",a: 1\nb {c", ",", "a: 1\n}", "a: 1\n---\nb: 2\n", "---\n---\na: 1\n"})
    EXPECT_FALSE(read_config_text<Sample>(text, "f.yaml")) << text;
  EXPECT_TRUE(read_config_text<Sample>("offset: 1\n---\n", "f.yaml"));
}

}  // namespace
}  // namespace cairn
