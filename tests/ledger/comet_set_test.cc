// The validator set: joining, leaving, jail, double signing, as blocks bring them.
#include "comet_driver.h"
#include "ledger/tx/join_validators.h"

namespace cairn::ledger::comet {
namespace {

constexpr uint64_t kCrn = Amount::kPerCrn;

JoinValidators join(const attest::Genesis& genesis, const std::string& who, const std::string& keys_of, uint64_t crn, const std::string& signer) {
  const PublicKey vrf = key_named(keys_of + " vrf").public_key();
  return {key_named(keys_of).public_key(), vrf,
          sign(key_named(signer), attest::genesis_hash(genesis), SignKind::validator, account_named(who), vrf.span()), Amount::of_pebbles(crn * kCrn)};
}

// A genesis of two validators, in which the account of a third holds 100 CRN.
attest::Genesis open_genesis() {
  auto genesis = comet_genesis(2, {"A", "validator 2"});
  genesis.params.absent_blocks = 3;
  genesis.params.jail_ms = 2'000;
  genesis.params.unbonding_ms = 6'000;
  return genesis;
}

TEST(Set, JoiningTable) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  uint64_t nonce = 0;
  const auto tries = [&](const Body& body) { return driver.block({of_validator(genesis, "validator 2", nonce++, body)}); };
  const std::string who = "validator 2";
  EXPECT_EQ(tries(join(genesis, who, "validator 0", 5, "validator 0")), "already");         // another's key
  EXPECT_EQ(tries(join(genesis, who, who, 5, "A")), "bad_signature");                       // not shown to be its own
  EXPECT_EQ(tries(join(genesis, who, who, 0, who)), "insufficient");                        // below the least stake
  EXPECT_EQ(tries(join(genesis, who, who, 1'000'000, who)), "insufficient");                // more than it holds
  EXPECT_EQ(tries(ResignValidator{}), "not_found");
  EXPECT_EQ(tries(LeaveJail{}), "not_found");
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "ok 2=5");
  EXPECT_EQ(tries(join(genesis, who, who, 3, who)), "ok 2=8");                              // adds to its stake
  EXPECT_EQ(tries(join(genesis, who, "A", 3, "A")), "invalid");                             // other keys
  EXPECT_EQ(tries(LeaveJail{}), "invalid");
  EXPECT_EQ(tries(ReportFork{}), "invalid");                                                // CometBFT itself says who signed twice
  EXPECT_EQ(tries(ResignValidator{}), "ok 2=0");
  EXPECT_EQ(tries(ResignValidator{}), "already");
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "already");                             // its stake is not free yet
  for (int i = 0; i < 14; i++) driver.block({});
  EXPECT_EQ(tries(join(genesis, who, who, 5, who)), "ok 2=5");
}

// Seats go to who has the most at stake: a full set of the least stakes keeps nobody out.
TEST(Set, MoreStakeTakesASeat) {
  auto genesis = open_genesis();
  genesis.params.max_validators = 2;  // of 10 and 11 CRN
  Driver driver(genesis, 0);
  const std::string who = "validator 2";
  uint64_t nonce = 0;
  const auto tries = [&](uint64_t crn) { return driver.block({of_validator(genesis, who, nonce++, join(genesis, who, who, crn, who))}); };
  EXPECT_EQ(tries(10), "limit");
  EXPECT_EQ(tries(12), "ok 2=12 0=0");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 0", 0, join(genesis, "validator 0", "validator 0", 20, "validator 0"))}), "already");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, join(genesis, "validator 1", "validator 1", 5, "validator 1"))}), "ok 1=16");  // its seat is its own
  const auto back = driver.chain().read([](const App& app) { return app.state().balance(Holder::unbonding(account_named("validator 0"))); });
  EXPECT_EQ(back.pebbles, 10 * kCrn);
}

TEST(Set, NobodyIsTheLastToLeave) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, ResignValidator{})}), "ok 1=0");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 0", 0, ResignValidator{})}), "invalid");
}

TEST(Set, DoubleSigningBurnsStakeAndEndsVotes) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  const auto address = attest::address_of(key_named("validator 1").public_key());
  const Driver::Adjust evidence = [&](abci::RequestFinalizeBlock& block) {
    auto* one = block.add_misbehavior();
    one->set_type(abci::DUPLICATE_VOTE);
    one->mutable_validator()->set_address(std::string(address.begin(), address.end()));
    one->set_height(1);
  };
  const auto held = [&](const Holder& holder) { return driver.chain().read([&](const App& app) { return app.state().balance(holder).pebbles; }); };
  const Holder stake = Holder::validator(account_named("validator 1"));
  EXPECT_EQ(held(stake), 11 * kCrn);
  EXPECT_EQ(driver.block({}, evidence), "1=0");
  EXPECT_EQ(held(stake), 11 * kCrn / 2);
  EXPECT_EQ(held(Holder::burned()), 11 * kCrn / 2);
  EXPECT_EQ(driver.block({}, evidence), "");  // once
  EXPECT_EQ(held(stake), 11 * kCrn / 2);
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, join(genesis, "validator 1", "validator 1", 5, "validator 1"))}), "unauthorised");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 1, ResignValidator{})}), "ok");  // the rest comes back
}

TEST(Set, AbsenceIsJailedAndEnds) {
  const auto genesis = open_genesis();
  Driver driver(genesis, 0);
  const auto address = attest::address_of(key_named("validator 1").public_key());
  const Driver::Adjust absent = [&](abci::RequestFinalizeBlock& block) {
    auto* vote = block.mutable_decided_last_commit()->add_votes();
    vote->mutable_validator()->set_address(std::string(address.begin(), address.end()));
    vote->set_block_id_flag(tendermint::types::BLOCK_ID_FLAG_ABSENT);
  };
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}), "");        // it is back: counted anew
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "");
  EXPECT_EQ(driver.block({}, absent), "1=0");
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 0, LeaveJail{})}), "wrong_state");
  driver.block({});
  driver.block({});
  EXPECT_EQ(driver.block({of_validator(genesis, "validator 1", 1, LeaveJail{})}), "ok 1=11");
}

}  // namespace
}  // namespace cairn::ledger::comet
