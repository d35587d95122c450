// Upgrades by height: who announces them, when, what stops at them; and what a chain may not become.
#include "ledger/rules.h"

#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

TEST(Upgrade, Table) {
  Scene scene;  // A governs
  const auto soon = [&](uint64_t blocks) { return Height{number(scene.app().next_height()) + blocks}; };
  const auto with = [&](auto change) {
    Upgrade upgrade{soon(scene.params().upgrade_notice_blocks), attest::kProtocol, scene.params()};
    change(upgrade);
    return upgrade;
  };
  scene.expect("B", with([](Upgrade&) {}), Code::not_party);
  scene.expect("A", Upgrade{}, Code::wrong_state);  // nothing to take back
  scene.expect("A", with([&](Upgrade& u) { u.from = soon(9); }), Code::too_late);
  scene.expect("A", with([](Upgrade& u) { u.protocol = 1; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.interval_ms = 0; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.max_block_bytes = 1000; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.max_deadlines_per_block = 0; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.max_looks_per_block = 0; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.upgrade_notice_blocks = 0; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.slash_burn_permille = 800; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.late_permille = 1001; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.equivocation_permille = 1001; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.max_validators = kMaxValidators + 1; }), Code::invalid);
  scene.expect("A", with([](Upgrade& u) { u.params.work.fixed_ns++; }), Code::invalid);
  EXPECT_EQ(scene.app().all_rules().size(), 1u);

  scene.expect("A", with([](Upgrade& u) { u.params.fee_per_byte = 2; }));
  scene.expect("A", with([](Upgrade&) {}), Code::wrong_state);  // one is announced
  EXPECT_EQ(scene.app().rules().number, 1u);
  scene.expect("A", Upgrade{});                                // taken back
  EXPECT_EQ(scene.app().all_rules().size(), 1u);
  const auto announced = with([](Upgrade& u) { u.params.fee_per_byte = 2; });
  scene.expect("A", announced);
  while (number(scene.app().next_height()) < number(announced.from)) scene.block();
  EXPECT_EQ(scene.app().rules().number, 2u);                   // of the next block
  scene.expect("A", Transfer{scene.id("B"), {1}}, Code::fee_too_low);
  Transaction tx = scene.draft("A", Transfer{scene.id("B"), {1}});
  sign(tx, scene.actor("A").key, 2);
  EXPECT_EQ(scene.block({encode(tx)}).front().code, kOk);
  tx = scene.draft("A", Upgrade{});
  sign(tx, scene.actor("A").key, 2);
  EXPECT_EQ(code_name(scene.block({encode(tx)}).front().code), "wrong_state");  // what is in force stays
}

TEST(Upgrade, AProgramStopsBeforeRulesThatItDoesNotKnow) {
  Scene scene;
  const Height from{number(scene.app().next_height()) + 12};
  scene.expect("A", Upgrade{from, attest::kProtocol + 1, scene.params()});
  while (number(scene.app().next_height()) < number(from)) scene.expect("B", Transfer{scene.id("A"), {1}});
  const Hash root = scene.app().state_root();
  EXPECT_THROW(scene.block(), Fault);
  EXPECT_EQ(scene.app().state_root(), root);  // whole: a newer program goes on from here
}

TEST(Upgrade, AnOpenJobWhoseEscrowIsTooSmallForTheNewAuditsWaits) {
  Scene scene;
  scene.expect("P", Stake{crn(100)});
  const JobId job = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  auto params = scene.params();
  params.standard.segments = 5;
  const Height from{number(scene.app().next_height()) + 10};
  scene.expect("A", Upgrade{from, attest::kProtocol, params});
  while (number(scene.app().next_height()) < number(from)) scene.block();
  scene.expect("P", scene.offer());
  EXPECT_EQ(name(scene.job(job.as<HashTag>()).state), "open");
  const JobId fresh = scene.expect("A", OpenJob{scene.spec()}).as<JobIdTag>();
  EXPECT_EQ(name(scene.job(fresh.as<HashTag>()).state), "matched");
  scene.expect("A", CancelJob{job});
}

TEST(Upgrade, WithoutAGovernorTheRulesStay) {
  attest::Genesis genesis;
  genesis.name = "test";
  const SecretKey key = SecretKey::from_seed(seed_named("A"));
  genesis.accounts = {{account_of(key.public_key()), crn(1)}};
  Scene scene;
  MemoryView nothing;
  State state(nothing);
  std::vector<attest::Rules> rules{attest::first_rules(genesis)};
  std::vector<Event> events;
  std::vector<attest::ReceiptBody> receipts;
  BlockContext block{genesis, rules, {}, Height{5}, {}, {}, events, receipts};
  const TxContext context{block, AccountId{}, {}, 1, 100, false};
  EXPECT_EQ(announce(state, context, Height{100}, attest::kProtocol, {}).error().code, Code::not_party);
}

}  // namespace
}  // namespace cairn::ledger
