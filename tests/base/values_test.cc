// Amounts, hexadecimal, hashes, chain time.
#include <gtest/gtest.h>

#include "base/amount.h"
#include "base/blake3.h"
#include "base/bytes.h"

namespace cairn {
namespace {

TEST(Amount, Arithmetic) {
  const Amount most{UINT64_MAX}, one{1}, none{};
  EXPECT_EQ(add(most, none), most);
  EXPECT_EQ(add(most, one), std::nullopt);
  EXPECT_EQ(subtract(one, one), none);
  EXPECT_EQ(subtract(none, one), std::nullopt);
  EXPECT_EQ(scale(Amount{10}, 1, 3), Amount{3});
  EXPECT_EQ(scale(most, 999, 1000), Amount{18428297329635842063u});
  EXPECT_EQ(scale(most, 2, 1), std::nullopt);
  EXPECT_EQ(scale(one, 1, 0), std::nullopt);
}

TEST(Amount, Text) {
  struct Row {
    const char* text;
    std::optional<uint64_t> pebbles;
  };
  const Row rows[] = {{"12.5", 12'500'000},      {"12.5 CRN", 12'500'000},  {"7 pebbles", 7},      {"1 pebble", 1},
                      {"0", 0},                  {"0.000001", 1},           {"0.0000001", {}},     {"18446744073709.551615", UINT64_MAX},
                      {"18446744073709.551616", {}}, {"18446744073710", {}}, {"", {}},              {".", {}},
                      {"1.", {}},                {"-1", {}},                {"+1", {}},            {"1 crn", {}},
                      {" 1", {}},                {"1e3", {}},               {"1,5", {}},           {"1.5 pebbles", {}},
                      {"CRN", {}},               {" CRN", {}},              {"1..2", {}}};
  for (const Row& row : rows) {
    const auto amount = parse_amount(row.text);
    EXPECT_EQ(amount ? std::optional(amount->pebbles) : std::nullopt, row.pebbles) << row.text;
  }
  const std::pair<uint64_t, const char*> shown[] = {
      {0, "0 CRN"}, {1, "0.000001 CRN"}, {12'500'000, "12.5 CRN"}, {3'000'000, "3 CRN"}, {UINT64_MAX, "18446744073709.551615 CRN"}};
  for (auto [pebbles, text] : shown) {
    EXPECT_EQ(pretty(Amount{pebbles}), text);
    EXPECT_EQ(parse_amount(text), Amount{pebbles});
  }
}

TEST(ChainTime, StopsAtItsEnd) {
  EXPECT_EQ(ms(after(ChainTime{5}, 7)), 12u);
  EXPECT_EQ(ms(after(ChainTime{5}, UINT64_MAX)), UINT64_MAX);
}

TEST(Hex, BothWays) {
  EXPECT_EQ(to_hex(Bytes{0, 0xab, 0xff}), "00abff");
  EXPECT_EQ(from_hex("00aBFf"), (Bytes{0, 0xab, 0xff}));
  for (const char* bad : {"0", "0g", "0x", " 00", "000"}) EXPECT_EQ(from_hex(bad), std::nullopt) << bad;
  EXPECT_FALSE(Hash::from_hex("00"));
  EXPECT_FALSE(Hash::from(Bytes(33)));
}

TEST(Blake3, OfficialVectors) {
  Bytes input(2049);
  for (size_t i = 0; i < input.size(); i++) input[i] = static_cast<uint8_t>(i % 251);
  const std::pair<size_t, const char*> rows[] = {
      {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
      {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
      {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
      {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
      {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
      {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"}};
  for (auto [size, hex] : rows) EXPECT_EQ(blake3(ByteSpan(input).first(size)).hex(), hex) << size;
  Hasher pieces;
  for (size_t at = 0; at < 2049; at += 100) pieces.update(ByteSpan(input).subspan(at, std::min<size_t>(100, 2049 - at)));
  EXPECT_EQ(pieces.finish(), blake3(input));
}

TEST(Blake3, TagsKeepDomainsApart) {
  const Bytes b = {'b'}, none;
  EXPECT_NE(tagged_hash("a", {b}), tagged_hash("ab", {none}));
  EXPECT_EQ(tagged_hash("a", {b}), blake3(Bytes{1, 'a', 'b'}));
}

}  // namespace
}  // namespace cairn
