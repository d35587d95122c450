// Files from strangers: what is whole reads to known values, what is damaged is an error, nothing crashes.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/file.h"
#include "runtime/program.h"

namespace cairn::runtime {
namespace {

Bytes file(const std::string& path) { return must(read_file(path, 1 << 20)); }

TEST(Pt2, DigitsNormalised) {
  const Import import = must(import_pt2(file("examples/digits/train.pt2")));
  ASSERT_EQ(import.program.inputs.size(), 2u);
  EXPECT_EQ(import.program.inputs[0].name, "x");
  EXPECT_EQ(import.program.inputs[0].shape[1].size, 64);
  EXPECT_EQ(import.program.inputs[0].shape[0].symbol, import.program.symbols.at(0).name);
  EXPECT_EQ(import.program.symbols[0].min, 2);
  EXPECT_EQ(import.program.parameters.size(), 8u);
  EXPECT_TRUE(import.weights.empty());  // exported on meta
  // Neither paths nor source lines are in what is published.
  const Bytes bytes = encode(import.program);
  const std::string text(bytes.begin(), bytes.end());
  for (const char* secret : {"/home", "model.py", "return ", "nn_module", "torch.nn"}) EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  EXPECT_GE(import.removed.size(), 4u);
  const Program again = must(decode<Program>(bytes));
  EXPECT_EQ(program_id(again), program_id(import.program));
}

TEST(Pt2, TiedWeightsAreOneParameterWithTwoNames) {
  const Import import = must(import_pt2(file("tests/runtime/programs/static.pt2")));
  ASSERT_EQ(import.program.parameters.size(), 1u);
  EXPECT_EQ(import.program.parameters[0].name, "a.weight");
  EXPECT_EQ(import.program.parameters[0].aliases, std::vector<std::string>{"b.weight"});
  EXPECT_EQ(import.weights.size(), 1u);
  ASSERT_EQ(import.program.constants.size(), 1u);
  float shift[4];
  std::memcpy(shift, import.program.constants[0].bytes.data(), 16);
  EXPECT_EQ(shift[3], 3.0f);
}

TEST(Pt2, ShapesThatDependOnValuesAreRefusedByName) {
  const auto import = import_pt2(file("tests/runtime/programs/dependent.pt2"));
  ASSERT_FALSE(import);
  EXPECT_EQ(import.error().code, Code::data_dependent) << import.error().message();
  EXPECT_NE(import.error().text.find("nonzero"), std::string::npos) << import.error().text;
}

TEST(Pt2, EveryTruncationIsAnError) {
  const Bytes whole = file("examples/digits/predict.pt2");
  for (size_t size = 0; size < whole.size(); size += 97) EXPECT_FALSE(import_pt2(ByteSpan(whole).first(size))) << size;
}

TEST(Pt2, FlippedBitsNeverCrash) {
  const Bytes whole = file("tests/runtime/programs/static.pt2");
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < 3000; i++) {
    Bytes bytes = whole;
    for (int k = 0; k <= i % 3; k++) bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1u << random() % 8);
    read += static_cast<bool>(import_pt2(bytes));
  }
  EXPECT_LT(read, 1500);  // most hit a checksum; the rest hit padding and dates
}

// The JSON behind the checksum: values replaced by other values, as a hostile writer may.
TEST(Pt2, HostileDescriptionsNeverCrash) {
  const Bytes whole = file("tests/runtime/programs/static.pt2");
  const std::string text(whole.begin(), whole.end());
  std::mt19937 random(2);
  const char* words[] = {"4", "-1", "999999999999", "null", "[]", "{}", "\"x\"", "1e300", "true"};
  // The JSON parser itself, on damaged text, through the same code: rebuild the member and its checksum.
  const auto crc = [](std::string_view bytes) {
    uint32_t c = ~0u;
    for (const char byte : bytes) {
      c ^= static_cast<uint8_t>(byte);
      for (int bit = 0; bit < 8; bit++) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    }
    return ~c;
  };
  const size_t begin = text.find("{\"graph_module\""), end = text.find("PK", begin);
  ASSERT_NE(begin, std::string::npos);
  const std::string json = text.substr(begin, text.rfind('}', end) + 1 - begin);
  const uint32_t old_crc = crc(json);
  std::string key(4, '\0');
  std::memcpy(key.data(), &old_crc, 4);
  for (int i = 0; i < 2000; i++) {
    std::string changed = json;
    for (int tries = 0; tries < 3; tries++) {  // a number or a word, replaced in place, padded with blanks
      const size_t at = json.find_first_of("0123456789", random() % json.size());
      if (at == std::string::npos) continue;
      const std::string word = words[random() % std::size(words)];
      const size_t room = json.find_first_not_of("0123456789", at) - at;
      if (word.size() > room) changed[at] = '9';
      else changed.replace(at, room, word + std::string(room - word.size(), ' '));
    }
    std::string damaged = text;
    damaged.replace(begin, json.size(), changed);
    const uint32_t new_crc = crc(changed);
    for (size_t at = damaged.find(key); at != std::string::npos; at = damaged.find(key, at + 1)) std::memcpy(&damaged[at], &new_crc, 4);
    static_cast<void>(import_pt2(as_bytes(damaged)));
  }
}

TEST(Safetensors, RoundTrip) {
  const std::vector<float> a{1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> b{7, -8};
  TensorFile out;
  out.metadata = {{"step", "12"}, {"plan", "a \"quoted\" \n text"}};
  out.tensors = {{"a", {kernels::DType::f32, {2, 3}}, {reinterpret_cast<const uint8_t*>(a.data()), 24}},
                 {"b", {kernels::DType::i64, {2}}, {reinterpret_cast<const uint8_t*>(b.data()), 16}},
                 {"scalar", {kernels::DType::f32, {}}, {reinterpret_cast<const uint8_t*>(a.data()), 4}},
                 {"empty", {kernels::DType::u8, {0, 4}}, {}}};
  const Bytes bytes = write_tensors(out);
  const TensorFile in = must(parse_tensors(bytes));
  EXPECT_EQ(in.metadata, out.metadata);
  ASSERT_EQ(in.tensors.size(), 4u);
  EXPECT_EQ(in.find("b")->type.shape, std::vector<int64_t>{2});
  EXPECT_EQ(std::memcmp(in.find("a")->bytes.data(), a.data(), 24), 0);
  EXPECT_EQ(write_tensors(in).size(), bytes.size());
}

TEST(Safetensors, Refusals) {
  const auto parse = [](const std::string& header, size_t data_bytes) {
    Bytes bytes;
    for (size_t i = 0; i < 8; i++) bytes.push_back(static_cast<uint8_t>(header.size() >> (8 * i)));
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.resize(bytes.size() + data_bytes);
    const auto result = parse_tensors(bytes);
    return result ? std::string("ok") : std::string(name(result.error().code));
  };
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "ok");
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9), "malformed");   // bytes follow
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7), "malformed");   // cut
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "malformed"); // a hole
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "malformed");   // shape
  EXPECT_EQ(parse(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8), "invalid");     // dtype
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "malformed");
  EXPECT_EQ(parse(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0), "shape");
  EXPECT_EQ(parse(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}})", 8), "malformed");
  EXPECT_EQ(parse(R"([])", 0), "malformed");
  EXPECT_EQ(parse(R"({"a":1})", 0), "malformed");
  EXPECT_EQ(name(parse_tensors(Bytes(8, 0xFF)).error().code), "limit");
  EXPECT_EQ(name(parse_tensors(Bytes(7, 0)).error().code), "malformed");
}

TEST(Safetensors, FlippedBitsNeverCrash) {
  const Bytes whole = file("examples/digits/test.safetensors");
  std::mt19937 random(3);
  for (int i = 0; i < 2000; i++) {
    Bytes bytes(whole.begin(), whole.begin() + 200 + static_cast<std::ptrdiff_t>(random() % 400));
    for (int k = 0; k < 2; k++) bytes[random() % 180] ^= static_cast<uint8_t>(1u << random() % 8);
    static_cast<void>(parse_tensors(bytes));
  }
}

}  // namespace
}  // namespace cairn::runtime
