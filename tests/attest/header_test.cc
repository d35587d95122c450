// Headers: who signed, what follows what, and how chain time runs (rule R2).
#include "attest/header.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/vrf.h"

namespace cairn::attest {
namespace {

SecretKey key_of(uint8_t n) {
  std::array<uint8_t, 32> seed{};
  seed[0] = n;
  return SecretKey::from_seed(seed);
}

Genesis test_genesis() {
  Genesis genesis;
  genesis.name = "test";
  genesis.validators = {{account_of(key_of(1).public_key()), key_of(1).public_key(), key_of(2).public_key(), {}}};
  return genesis;
}

Header next(const Genesis& genesis, const Header* previous, uint64_t wall_ms) {
  Header header;
  header.genesis = genesis_hash(genesis);
  header.height = Height{previous ? number(previous->height) + 1 : 1};
  header.wall_ms = wall_ms;
  if (previous) {
    header.previous = header_id(*previous);
    header.time = after(previous->time, std::min<uint64_t>(wall_ms - previous->wall_ms, 2 * genesis.params.interval_ms));
  }
  header.beacon = make_beacon(previous ? previous->beacon.beacon : first_beacon(header.genesis), header.height, genesis.validators[0].key, key_of(2));
  return header;
}

TEST(Header, Golden) {  // consensus: a change here is a new version of the chain
  Header header;
  header.height = Height{3};
  header.time = ChainTime{5};
  EXPECT_EQ(header_id(header).hex().substr(0, 16), "3a12b08edc0ff0fd");
  EXPECT_EQ(to_hex(beacon_input(Hash{}, Height{258})).substr(60), "00000201000000000000");
  EXPECT_EQ(next_beacon(first_beacon(Hash{}), {}).hex().substr(0, 16), "4afbf57da1a9645b");
}

TEST(Header, Successors) {
  const Genesis genesis = test_genesis();
  const Header first = next(genesis, nullptr, 1000);
  ASSERT_TRUE(check_successor(genesis, genesis.params, nullptr, first, genesis.validators[0].vrf));
  const Header second = next(genesis, &first, 1130);
  ASSERT_TRUE(check_successor(genesis, genesis.params, &first, second, genesis.validators[0].vrf));
  const Header late = next(genesis, &first, 99'000);  // a halt counts two intervals
  ASSERT_TRUE(check_successor(genesis, genesis.params, &first, late, genesis.validators[0].vrf));
  EXPECT_EQ(ms(late.time) - ms(first.time), 2 * genesis.params.interval_ms);

  const std::function<void(Header&)> damages[] = {
      [](Header& h) { h.height = Height{3}; },
      [](Header& h) { h.previous = {}; },
      [](Header& h) { h.time = after(h.time, 1); },
      [](Header& h) { h.wall_ms = 900; },
      [](Header& h) { h.beacon.vrf_proof[3] ^= 1; },
      [](Header& h) { h.beacon.beacon.v[0] ^= 1; },
  };
  for (const auto& damage : damages) {
    Header bad = second;
    damage(bad);
    const auto result = check_successor(genesis, genesis.params, &first, bad, genesis.validators[0].vrf);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::proof);
  }
}

TEST(Header, Signatures) {
  const Genesis genesis = test_genesis();
  const Header header = next(genesis, nullptr, 1000);
  EXPECT_TRUE(check_header(genesis, sign_header(key_of(1), header)));
  EXPECT_EQ(check_header(genesis, sign_header(key_of(3), header)).error().code, Code::bad_signature);
  SignedHeader changed = sign_header(key_of(1), header);
  changed.header.state_root.v[0] ^= 1;
  EXPECT_EQ(check_header(genesis, changed).error().code, Code::bad_signature);
  Genesis other = genesis;
  other.params.interval_ms++;
  EXPECT_EQ(check_header(other, sign_header(key_of(1), header)).error().code, Code::wrong_chain);
  Header no_height = header;
  no_height.height = Height{0};
  EXPECT_EQ(check_header(genesis, sign_header(key_of(1), no_height)).error().code, Code::proof);
}

TEST(Header, DoubleSigning) {
  const Genesis genesis = test_genesis();
  const Header first = next(genesis, nullptr, 1000);
  Header other = first;
  other.state_root.v[0] ^= 1;
  const SignedHeader a = sign_header(key_of(1), first), b = sign_header(key_of(1), other);
  EXPECT_TRUE(check_double_signing(genesis, a, b));
  EXPECT_EQ(check_double_signing(genesis, a, a).error().code, Code::proof);
  EXPECT_EQ(check_double_signing(genesis, a, sign_header(key_of(1), next(genesis, &first, 1100))).error().code, Code::proof);
  EXPECT_EQ(check_double_signing(genesis, a, sign_header(key_of(3), other)).error().code, Code::bad_signature);
}

TEST(Header, Anchors) {
  const Genesis genesis = test_genesis();
  const Header first = next(genesis, nullptr, 1000);
  Header later = first, fork = first;
  later.height = Height{50};
  later.previous = header_id(first);
  later.time = ChainTime{genesis.params.unbonding_ms};
  fork.state_root.v[0] ^= 1;
  const SignedHeader anchor = sign_header(key_of(1), first);
  EXPECT_TRUE(check_anchored(genesis, anchor, anchor));
  EXPECT_TRUE(check_anchored(genesis, anchor, sign_header(key_of(1), later)));
  EXPECT_TRUE(check_anchored(genesis, sign_header(key_of(1), later), anchor));  // a receipt older than the anchor
  later.time = after(later.time, 1);
  EXPECT_EQ(check_anchored(genesis, anchor, sign_header(key_of(1), later)).error().code, Code::too_old);
  EXPECT_EQ(check_anchored(genesis, anchor, sign_header(key_of(1), fork)).error().code, Code::proof);
  EXPECT_EQ(check_anchored(genesis, anchor, sign_header(key_of(3), later)).error().code, Code::bad_signature);
}

}  // namespace
}  // namespace cairn::attest
