// The canonical codec: golden bytes of every kind of value, and that one value has one encoding.
#include "base/codec.h"

#include <gtest/gtest.h>

#include <random>

#include "base/amount.h"
#include "base/blake3.h"
#include "base/json.h"
#include "base/keys.h"

namespace cairn {
namespace {

enum class Colour : uint8_t { red = 1, green = 2 };
constexpr bool is_valid(Colour c) { return c == Colour::red || c == Colour::green; }
constexpr std::string_view name(Colour c) { return c == Colour::red ? "red" : "green"; }

struct Circle {
  static constexpr uint16_t kTag = 1;
  static constexpr std::string_view kName = "circle";
  uint32_t radius = 0;
  friend bool operator==(const Circle&, const Circle&) = default;
  static constexpr auto fields() { return std::tuple{field("radius", &Circle::radius)}; }
};
struct Nothing {
  static constexpr uint16_t kTag = 0x1234;
  static constexpr std::string_view kName = "nothing";
  friend bool operator==(const Nothing&, const Nothing&) = default;
  static constexpr auto fields() { return std::tuple{}; }
};
using Shape = std::variant<Circle, Nothing>;

struct Everything {
  bool flag = false;
  uint8_t small = 0;
  int64_t negative = 0;
  u128 wide = 0;
  Colour colour = Colour::red;
  std::string text;
  Bytes bytes;
  std::vector<uint16_t> numbers;
  std::array<uint8_t, 3> fixed{};
  std::optional<uint32_t> maybe;
  Shape shape;
  Hash hash;
  Amount amount;
  friend bool operator==(const Everything&, const Everything&) = default;
  static constexpr auto fields() {
    using E = Everything;
    return std::tuple{field("flag", &E::flag),     field("small", &E::small),   field("negative", &E::negative), field("wide", &E::wide),
                      field("colour", &E::colour), field("text", &E::text),     field("bytes", &E::bytes),       field("numbers", &E::numbers),
                      field("fixed", &E::fixed),   field("maybe", &E::maybe),   field("shape", &E::shape),       field("hash", &E::hash),
                      field("amount", &E::amount)};
  }
};

Everything example() {
  Everything e;
  e.flag = true;
  e.small = 7;
  e.negative = -2;
  e.wide = (u128{1} << 100) + 5;
  e.colour = Colour::green;
  e.text = "hi";
  e.bytes = {9, 8};
  e.numbers = {1, 256};
  e.fixed = {1, 2, 3};
  e.maybe = 11;
  e.shape = Circle{6};
  e.hash.v[31] = 0xff;
  e.amount = Amount::of_pebbles(1'500'000);
  return e;
}

TEST(Codec, Golden) {
  const std::string fields[] = {
      "01", "07", "feffffffffffffff", "05000000000000000000000010000000", "02", "020000006869", "020000000908",
      "0200000001000001", "010203", "010b000000", "010006000000", std::string(62, '0') + "ff", "60e3160000000000"};
  std::string all;
  for (const std::string& f : fields) all += f;
  EXPECT_EQ(to_hex(encode(example())), all);
  const auto back = decode<Everything>(*from_hex(all));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, example());
  EXPECT_EQ(to_hex(encode(Shape{Nothing{}})), "3412");
  EXPECT_EQ(to_hex(encode(std::optional<bool>{})), "00");
}

TEST(Codec, Malformed) {
  const std::pair<const char*, bool> rows[] = {
      {"00", true}, {"01", true}, {"02", false}, {"", false}, {"0100", false},
  };
  for (auto [hex, good] : rows) {
    const auto value = decode<bool>(*from_hex(hex));
    EXPECT_EQ(static_cast<bool>(value), good) << hex;
    EXPECT_TRUE(value || value.error().code == Code::malformed);
  }
  EXPECT_FALSE(decode<Colour>(Bytes{0}));
  EXPECT_FALSE(decode<Colour>(Bytes{3}));
  EXPECT_FALSE(decode<Shape>(*from_hex("0300")));                           // unknown tag
  EXPECT_FALSE(decode<Bytes>(*from_hex("ffffffff00")));                     // longer than what follows
  EXPECT_FALSE(decode<std::vector<uint64_t>>(*from_hex("ffffff7f0000")));   // no allocation before the elements are there
  EXPECT_FALSE(decode<std::optional<uint8_t>>(*from_hex("0205")));
}

// Whatever decodes encodes to the same bytes.
TEST(Codec, Fuzz) {
  std::mt19937_64 rng(1);
  const Bytes good = encode(example());
  int decoded = 0;
  for (int i = 0; i < 50'000; i++) {
    Bytes bad = good;
    for (uint64_t n = 1 + rng() % 4; n > 0; n--) bad[rng() % bad.size()] = static_cast<uint8_t>(rng());
    if (rng() % 4 == 0) bad.resize(rng() % (bad.size() + 8));
    const auto value = decode<Everything>(bad);
    if (!value) continue;
    decoded++;
    ASSERT_EQ(encode(*value), bad);
  }
  EXPECT_GT(decoded, 1000);
  for (size_t size = 0; size < good.size(); size++) EXPECT_FALSE(decode<Everything>(ByteSpan(good).first(size)));
}

TEST(Json, DerivedFromFields) {
  EXPECT_EQ(to_json(example()),
            R"({"flag":true,"small":7,"negative":-2,"wide":"1267650600228229401496703205381","colour":"green","text":"hi",)"
            R"("bytes":"0908","numbers":[1,256],"fixed":"010203","maybe":11,"shape":{"circle":{"radius":6}},"hash":")" +
                std::string(62, '0') + R"(ff","amount":"1500000"})");
  EXPECT_EQ(to_json(uint64_t{1} << 53), "9007199254740992");
  EXPECT_EQ(to_json((uint64_t{1} << 53) + 1), "\"9007199254740993\"");
  EXPECT_EQ(to_json(std::optional<uint8_t>{}), "null");
  EXPECT_EQ(to_json(Shape{Nothing{}}), R"({"nothing":{}})");
  EXPECT_EQ(to_json(Signature{}).size(), std::string(R"({"v":""})").size() + 128);
}

TEST(Json, Quoting) {
  EXPECT_EQ(json_quote("a\"b\\c\n\x01"), R"("a\"b\\c\u000a\u0001")");
  EXPECT_EQ(json_quote("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  EXPECT_EQ(json_quote("\xff\xc3("), R"("\u00ff\u00c3(")");  // not UTF-8: byte by byte
  EXPECT_EQ(json_quote("\xc0\xaf"), R"("\u00c0\u00af")");      // overlong
  EXPECT_EQ(json_quote("\xed\xa0\x80"), R"("\u00ed\u00a0\u0080")");  // half of a surrogate pair
}

}  // namespace
}  // namespace cairn
