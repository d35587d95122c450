// Who signs for an account: several keys, hot keys and what they may lose, rotation, expiry, and what a place in the state costs.
#include "ledger/accounts.h"

#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

SecretKey secret(std::string_view name) { return SecretKey::from_seed(seed_named(name)); }
PublicKey key(std::string_view name) { return secret(name).public_key(); }

KeySet key_set(uint8_t threshold, std::vector<std::string> names) {
  KeySet out{threshold, {}};
  for (const auto& name : names) out.keys.push_back(key(name));
  std::sort(out.keys.begin(), out.keys.end());
  return out;
}

// A scene whose transactions are signed by whatever keys a row names.
struct Desk : Scene {
  using Scene::Scene;

  Transaction draft_of(const AccountId& sender, Body body) {
    Transaction tx = draft("A", std::move(body));
    tx.sender = sender;
    tx.nonce = state().nonce({sender, {}});
    return tx;
  }
  TxResult send_signed(Transaction tx, const std::vector<std::string>& signers) {
    set_fee(tx, params().fee_per_byte, std::max<size_t>(1, signers.size()));
    for (const auto& name : signers) co_sign(tx, secret(name));
    return block({encode(tx)}).front();
  }
  std::string by(const AccountId& sender, Body body, const std::vector<std::string>& signers, std::optional<KeySet> founding = {}) {
    Transaction tx = draft_of(sender, std::move(body));
    tx.founding = std::move(founding);
    return code_name(send_signed(std::move(tx), signers).code);
  }
  std::string hot(const std::string& who, const std::string& signer, Body body) {
    Transaction tx = draft_of(id(who), std::move(body));
    tx.by = SignedBy::hot_key;
    tx.nonce = state().nonce({id(who), key(signer)});
    return code_name(send_signed(std::move(tx), {signer}).code);
  }
  GrantKey grant(const std::string& name, std::vector<Scope> scopes, uint64_t limit = 1'000'000, uint64_t period_ms = 1'000) {
    return {key(name), std::move(scopes), Amount{limit}, period_ms, after(now(), 100'000)};
  }
};

TEST(KeySets, Table) {
  struct Row {
    KeySet keys;
    bool ok;
  };
  KeySet twice = key_set(1, {"x", "y"}), backward = twice, many;
  twice.keys[1] = twice.keys[0];
  std::swap(backward.keys[0], backward.keys[1]);
  many.keys.assign(17, key("x"));
  const std::vector<Row> rows = {
      {key_set(1, {"x"}), true},       {key_set(2, {"x", "y", "z"}), true}, {key_set(3, {"x", "y", "z"}), true}, {key_set(0, {"x"}), false},
      {key_set(2, {"x"}), false},      {{1, {}}, false},                    {twice, false},                      {backward, false},
      {many, false},                   {KeySet::of(PublicKey{{2}}), false},  // no point of the curve
      {KeySet::of(PublicKey{{1}}), false},                                  // one that anybody can sign for
  };
  for (size_t i = 0; i < rows.size(); i++) EXPECT_EQ(static_cast<bool>(check(rows[i].keys)), rows[i].ok) << i;
  EXPECT_EQ(account_of(key_set(1, {"x"})), account_of(key("x")));
  EXPECT_NE(account_of(key_set(1, {"x", "y"})), account_of(key_set(2, {"x", "y"})));
}

TEST(Multisig, SeveralKeysNameAnAccountAndSignForIt) {
  Desk desk;
  const KeySet keys = key_set(2, {"x", "y", "z"});
  const AccountId us = account_of(keys);
  const Transfer pay{desk.id("B"), crn(1)};
  desk.expect("A", Transfer{us, crn(100)});
  EXPECT_EQ(desk.by(us, pay, {"x", "y"}), "bad_signature");  // nobody knows the keys yet
  EXPECT_EQ(desk.by(us, pay, {"x", "y"}, key_set(2, {"x", "y"})), "bad_signature");  // they name another account
  EXPECT_EQ(desk.by(us, pay, {"x"}, keys), "bad_signature");
  EXPECT_EQ(desk.by(us, pay, {"x", "w"}, keys), "bad_signature");
  EXPECT_EQ(desk.by(us, pay, {"x", "y", "z"}, keys), "bad_signature");  // more than needed: anybody could leave one out
  EXPECT_EQ(desk.by(us, pay, {"x", "z"}, keys), "ok");
  EXPECT_EQ(desk.by(us, pay, {"y", "z"}), "ok");
  EXPECT_EQ(desk.by(us, pay, {"y", "z"}, key_set(2, {"w", "z"})), "ok");  // not looked at any more
  EXPECT_EQ(desk.by(us, pay, {"w", "z"}, key_set(2, {"w", "z"})), "bad_signature");
  EXPECT_EQ(desk.by(us, pay, {}), "bad_signature");
  EXPECT_EQ(desk.state().account(us)->nonce, 3u);

  // The order of the signatures, and each of their bits, is one.
  Transaction tx = desk.draft_of(us, pay);
  set_fee(tx, 1, 2);
  co_sign(tx, secret("x"));
  co_sign(tx, secret("y"));
  EXPECT_TRUE(check_signature(tx, desk.app().chain()));
  std::swap(tx.signatures[0], tx.signatures[1]);
  EXPECT_EQ(check_signature(tx, desk.app().chain()).error().code, Code::bad_signature);
  tx.signatures[1] = tx.signatures[0];
  EXPECT_EQ(check_signature(tx, desk.app().chain()).error().code, Code::bad_signature);
  tx.signatures.assign(17, tx.signatures[0]);
  EXPECT_EQ(check_signature(tx, desk.app().chain()).error().code, Code::bad_signature);
}

TEST(Multisig, AnAccountMayBecomeOneAndCeaseToBe) {
  Desk desk;
  const Amount before = desk.balance("A");
  desk.expect("A", RotateKey{key_set(2, {"x", "y", "z"}), false});
  EXPECT_EQ(desk.state().balance(Holder::deposit(desk.id("A").as<HashTag>())).pebbles, 2 * 32 * desk.params().deposit_per_byte);
  EXPECT_EQ(desk.by(desk.id("A"), Transfer{desk.id("B"), crn(1)}, {"A"}), "bad_signature");
  EXPECT_EQ(desk.by(desk.id("A"), RotateKey{key_set(1, {"x", "y"}), false}, {"x", "z"}), "ok");
  EXPECT_EQ(desk.by(desk.id("A"), RotateKey{key_set(1, {"A"}), false}, {"y"}), "ok");
  EXPECT_EQ(desk.state().balance(Holder::deposit(desk.id("A").as<HashTag>())).pebbles, 0u);
  desk.expect("A", Transfer{desk.id("B"), {1}});
  EXPECT_LT(before.pebbles - desk.balance("A").pebbles, 3'000u);  // fees alone

  Desk poor({"A", "B"}, Scene::quick_params(), Amount{3'000});  // enough for the fee, not for the deposit
  poor.expect("A", RotateKey{key_set(2, {"p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"}), false}, Code::insufficient);
  const KeySet rich = key_set(1, {"p", "q", "r", "s", "t", "u", "v", "w"});
  poor.expect("B", Transfer{account_of(rich), {500}}, Code::insufficient);  // the deposit for an account
}

TEST(HotKeys, GrantTable) {
  Desk desk;
  const auto with = [&](auto change) {
    GrantKey grant = desk.grant("hot", {Scope::provide});
    change(grant);
    return grant;
  };
  desk.expect("A", with([](GrantKey& g) { g.key = {}; }), Code::invalid);
  desk.expect("A", with([](GrantKey& g) { g.key = key("A"); }), Code::invalid);
  desk.expect("A", with([](GrantKey& g) { g.scopes = {}; }), Code::invalid);
  desk.expect("A", with([](GrantKey& g) { g.scopes = {Scope::verify, Scope::provide}; }), Code::invalid);
  desk.expect("A", with([](GrantKey& g) { g.scopes = {Scope::verify, Scope::verify}; }), Code::invalid);
  desk.expect("A", with([&](GrantKey& g) { g.expiry = desk.now(); }), Code::expired);
  desk.expect("A", with([](GrantKey&) {}));
  const Amount deposit = deposit_of(desk.params(), kHotKeyBytes);
  const Hash place = deposit_id(*desk.state().hot_key({desk.id("A"), key("hot")}));
  EXPECT_EQ(desk.state().balance(Holder::deposit(place)), deposit);
  desk.expect("A", with([](GrantKey& g) { g.limit = crn(7); }));  // again: other terms, one deposit
  EXPECT_EQ(desk.state().balance(Holder::deposit(place)), deposit);
  for (int i = 1; i < 16; i++) desk.expect("A", desk.grant("hot " + std::to_string(i), {Scope::pay}));
  desk.expect("A", desk.grant("one more", {Scope::pay}), Code::limit);
  desk.expect("A", RevokeKey{key("unknown")}, Code::not_found);
  desk.expect("B", RevokeKey{key("hot")}, Code::not_found);
  desk.expect("A", RevokeKey{key("hot")});
  EXPECT_EQ(desk.state().balance(Holder::deposit(place)).pebbles, 0u);
  desk.expect("A", desk.grant("one more", {Scope::pay}));
}

// What each scope covers, and that no hot key reaches the account's keys, whatever its scopes.
TEST(HotKeys, ScopesAsTheDaemonsNeedThem) {
  Desk desk;
  const JobId job = hash_named("job").as<JobIdTag>();
  const Claim run(desk.spec());
  struct Row {
    Body body;
    std::vector<Scope> scopes;
  };
  using S = Scope;
  const std::vector<Row> rows = {
      {Transfer{desk.id("B"), {1}}, {S::pay}},
      {desk.offer(), {S::provide}},
      {WithdrawOffer{}, {S::provide}},
      {Stake{{1}}, {S::provide}},
      {Unstake{{1}}, {S::provide}},
      {Accept{job}, {S::provide}},
      {Commit{run.commitment(job)}, {S::provide}},
      {AnswerCheck{job, 1, {}, run.segment(1)}, {S::provide}},
      {Bond{crn(1), "x"}, {S::verify}},
      {Unbond{{1}}, {S::verify}},
      {CommitVerdict{job, 1, {}}, {S::verify}},
      {RevealVerdict{job, 1, {}, {}, std::nullopt}, {S::verify}},
      {ReportUndelivered{job, 1}, {S::verify}},
      {ReportFork{}, {S::verify}},
      {Judge{job, true}, {S::verify}},
      {Challenge{job, 1, {}, run.segment(1)}, {S::verify, S::request}},
      {PlayMove{{}, attest::Pick{}}, {S::provide, S::verify, S::request}},
      {OpenJob{desk.spec()}, {S::request}},
      {CancelJob{job}, {S::request}},
      {RevealSecret{job, {}}, {S::request}},
      {Consent{job, {}}, {S::request}},
      {Reserve{hash_named("r")}, {S::publish}},
      {Publish{AssetKind::model, "t", {}, {}, {}, {}, {}, {}}, {S::publish}},
      {RotateKey{KeySet::of(key("thief")), true}, {}},
      {GrantKey{key("thief"), {S::pay}, crn(1'000), 1, ChainTime{UINT64_MAX}}, {}},
      {RevokeKey{key("A")}, {}},
      {Upgrade{Height{100}, attest::kProtocol, {}}, {}},
  };
  const std::vector<Scope> all = {S::pay, S::provide, S::verify, S::request, S::publish};
  for (const Scope scope : all) desk.expect("A", desk.grant(std::string(name(scope)), {scope}, 10'000'000));
  for (const auto& [body, scopes] : rows)
    for (const Scope scope : all) {
      const bool covered = std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
      EXPECT_EQ(desk.hot("A", std::string(name(scope)), body) != "unauthorised", covered) << name(body) << " by " << name(scope);
    }
  auto away = desk.offer();
  away.payee = desk.id("B");
  EXPECT_EQ(desk.hot("A", "provide", away), "unauthorised");
}

TEST(HotKeys, TheLimitCountsWhatCanBeLost) {
  Desk desk;
  desk.expect("P", Stake{crn(100)});
  desk.expect("P", desk.grant("hot", {Scope::pay, Scope::provide, Scope::verify, Scope::request}, 300'000, 5'000));
  const auto spent = [&] { return desk.state().hot_key({desk.id("P"), key("hot")})->spent.pebbles; };
  EXPECT_EQ(desk.hot("P", "hot", Transfer{desk.id("B"), {200'000}}), "ok");
  EXPECT_GT(spent(), 200'000u);  // and the fee
  uint64_t before = spent();
  EXPECT_EQ(desk.hot("P", "hot", Transfer{desk.id("B"), {100'000}}), "limit");
  EXPECT_GT(spent(), before);    // the fee of a failure
  EXPECT_LT(spent(), before + 500);
  before = spent();
  EXPECT_EQ(desk.hot("P", "hot", Stake{crn(50)}), "ok");    // its own stake is no loss
  EXPECT_EQ(desk.hot("P", "hot", Unstake{crn(50)}), "ok");
  EXPECT_LT(spent(), before + 1'000);
  EXPECT_EQ(desk.hot("P", "hot", Bond{crn(1), "tcp://p"}), "limit");  // a bond can be lost by silence
  EXPECT_EQ(desk.hot("P", "hot", OpenJob{desk.spec()}), "limit");    // an escrow, by whom it pays
  desk.pass(5'000);
  EXPECT_EQ(desk.hot("P", "hot", Transfer{desk.id("B"), {1}}), "ok");
  EXPECT_LT(spent(), 500u);      // a new period
  EXPECT_EQ(desk.hot("P", "hot", desk.offer()), "ok");
  before = spent();
  const JobId job = desk.expect("A", OpenJob{desk.spec()}).as<JobIdTag>();
  EXPECT_EQ(desk.hot("P", "hot", Accept{job}), "ok");      // stake that enters a job
  EXPECT_GT(spent(), before + 100'000);
  EXPECT_LT(spent(), before + 101'000);

  desk.expect("P", desk.grant("once", {Scope::pay}, 10'000, 0));
  EXPECT_EQ(desk.hot("P", "once", Transfer{desk.id("B"), {9'000}}), "ok");
  desk.pass(50'000);
  EXPECT_EQ(desk.hot("P", "once", Transfer{desk.id("B"), {9'000}}), "limit");  // for good
  while (desk.hot("P", "once", Transfer{desk.id("B"), {0}}) == "ok") {}
  const auto root = desk.app().state_root();
  EXPECT_EQ(desk.hot("P", "once", Transfer{desk.id("B"), {0}}), "limit");
  EXPECT_EQ(root, desk.app().state_root());  // not even a fee
}

// Whoever has stolen a hot key and does anything at any time takes no more than its limit in a period.
TEST(HotKeys, AThiefIsBoundedWhateverItDoes) {
  for (uint64_t random = 1; random <= 3; random++) {
    Desk desk;
    desk.expect("P", Stake{crn(1'000)});
    desk.expect("V", Bond{crn(1), "tcp://v"});
    const uint64_t limit = 500'000;
    desk.expect("P", desk.grant("hot", {Scope::pay, Scope::provide, Scope::verify, Scope::request, Scope::publish}, limit, 0));
    const auto mine = [&] {
      u128 sum = 0;
      desk.state().scan<Holding>(make_key('h'), [&](const Holding& h) {
        const bool own = h.holder.id == desk.id("P").as<HashTag>() && h.holder.kind != HolderKind::deposit;
        if (own) sum += h.amount.pebbles;
        return true;
      });
      return sum;
    };
    const u128 before = mine();
    const KeySet keys = desk.state().account(desk.id("P"))->keys;
    const auto roll = [&](uint64_t n) { return (random = random * 6364136223846793005u + 1442695040888963407u, random >> 33) % n; };
    for (int i = 0; i < 150; i++) {
      std::vector<JobId> jobs;
      desk.state().scan<Job>(make_key('j'), [&](const Job& job) { return jobs.push_back(job.id), true; });
      const JobId job = jobs.empty() ? JobId{} : jobs[roll(jobs.size())];
      const Claim lie(desk.spec(), "lie");
      const Body bodies[] = {Transfer{desk.id("B"), {roll(1'000'000)}}, Stake{{roll(9'000'000)}}, Unstake{{roll(9'000'000)}},
                             Bond{{roll(90'000)}, "x"}, Unbond{{roll(90'000)}}, desk.offer(), Accept{job}, Accept{job}, Commit{lie.commitment(job)},
                             OpenJob{desk.spec()}, CancelJob{job}, Reserve{hash_named(std::to_string(i))},
                             RotateKey{KeySet::of(key("hot")), true}, GrantKey{key("thief"), {Scope::pay}, crn(9), 0, ChainTime{UINT64_MAX}}};
      desk.hot("P", "hot", bodies[roll(std::size(bodies))]);
      if (roll(8) == 0) desk.expect("A", OpenJob{desk.spec()});
      if (roll(8) == 0 && !jobs.empty()) desk.send("B", Challenge{job, 3, hash_named("truth"), lie.segment(3)});
      if (roll(20) == 0) desk.pass(4'000);
    }
    desk.pass(60'000);
    EXPECT_TRUE(mine() + limit >= before) << "lost " << static_cast<uint64_t>(before - mine());
    EXPECT_EQ(desk.state().account(desk.id("P"))->keys, keys);
  }
}

TEST(HotKeys, ItsNonceIsItsOwnAndNeverComesBack) {
  Desk desk;
  Transaction cold = desk.draft("A", Transfer{desk.id("B"), crn(1)});  // signed now, sent much later
  cold.nonce = 1;
  sign(cold, secret("A"), 1);
  desk.expect("A", desk.grant("hot", {Scope::pay}));
  for (int i = 0; i < 5; i++) EXPECT_EQ(desk.hot("A", "hot", Transfer{desk.id("B"), {1}}), "ok");
  EXPECT_EQ(desk.block({encode(cold)}).front().code, kOk);

  Transaction hot = desk.draft_of(desk.id("A"), Transfer{desk.id("B"), {7}});
  hot.by = SignedBy::hot_key;
  hot.nonce = desk.state().nonce({desk.id("A"), key("hot")});
  sign(hot, secret("hot"), 1);
  EXPECT_EQ(desk.block({encode(hot)}).front().code, kOk);
  desk.expect("A", RevokeKey{key("hot")});
  EXPECT_EQ(desk.hot("A", "hot", Transfer{desk.id("B"), {1}}), "bad_signature");
  desk.expect("A", desk.grant("hot", {Scope::pay}));
  EXPECT_EQ(code_name(desk.block({encode(hot)}).front().code), "wrong_nonce");  // a replay
  EXPECT_EQ(desk.hot("A", "hot", Transfer{desk.id("B"), {1}}), "ok");

  // As an account's own key it signs nothing, nor do the account's keys as a hot one.
  EXPECT_EQ(desk.by(desk.id("A"), Transfer{desk.id("B"), {1}}, {"hot"}), "bad_signature");
  EXPECT_EQ(desk.hot("A", "A", Transfer{desk.id("B"), {1}}), "bad_signature");
  EXPECT_EQ(desk.hot("B", "hot", Transfer{desk.id("A"), {1}}), "bad_signature");
}

TEST(HotKeys, ItsTimeEnds) {
  Desk desk;
  auto grant = desk.grant("hot", {Scope::pay});
  grant.expiry = after(desk.now(), 400);
  desk.expect("A", grant);
  EXPECT_EQ(desk.hot("A", "hot", Transfer{desk.id("B"), {1}}), "ok");
  while (ms(desk.now()) + 100 < ms(grant.expiry)) desk.block();
  EXPECT_EQ(desk.hot("A", "hot", Transfer{desk.id("B"), {1}}), "unauthorised");  // in the very block of its expiry
}

TEST(Rotation, NothingThatAnAccountPlaysBreaks) {
  // Keys change while a job runs, in mid-dispute too: the account goes on with the new ones, its hot keys with what they had.
  Desk desk;
  desk.expect("P", Stake{crn(100)});
  desk.expect("P", desk.offer());
  desk.expect("V", Bond{crn(1), "tcp://v"});
  desk.expect("P", desk.grant("hot", {Scope::provide}, 10'000'000));
  const Claim honest(desk.spec());
  const JobId job = desk.expect("A", OpenJob{desk.spec()}).as<JobIdTag>();
  desk.expect("P", RotateKey{key_set(2, {"x", "y"}), false});
  EXPECT_EQ(desk.hot("P", "hot", Accept{job}), "ok");
  EXPECT_EQ(desk.by(desk.id("P"), Commit{honest.commitment(job)}, {"x", "y"}), "ok");
  desk.expect("B", Challenge{job, 3, hash_named("truth"), honest.segment(3)});
  EXPECT_EQ(desk.by(desk.id("P"), RotateKey{key_set(1, {"z"}), false}, {"x", "y"}), "ok");
  const GameId game = desk.job(job.as<HashTag>()).games.at(0);
  EXPECT_EQ(desk.by(desk.id("P"), PlayMove{game, attest::Pick{}}, {"z"}), "malformed");  // heard as the provider, who has no pick
  EXPECT_EQ(desk.hot("P", "hot", PlayMove{game, attest::Pick{}}), "malformed");
  EXPECT_EQ(desk.by(desk.id("P"), PlayMove{game, attest::Pick{}}, {"x", "y"}), "bad_signature");
  EXPECT_EQ(desk.by(desk.id("P"), RotateKey{key_set(1, {"x"}), true}, {"z"}), "ok");      // all hot keys with it
  EXPECT_EQ(desk.hot("P", "hot", PlayMove{game, attest::Pick{}}), "bad_signature");
}

TEST(Rotation, WhatWasSignedBeforeIsJudgedByTheKeysOfItsBlock) {
  Desk desk;
  Transaction rotate = desk.draft("A", RotateKey{KeySet::of(key("new")), false}), late = desk.draft("A", Transfer{desk.id("B"), crn(1)});
  late.nonce = 1;
  sign(rotate, secret("A"), 1);
  Transaction by_new = late;
  sign(late, secret("A"), 1);
  sign(by_new, secret("new"), 1);
  const auto results = desk.block({encode(rotate), encode(late), encode(by_new)});
  EXPECT_EQ(code_name(results[1].code), "wrong_state");    // it has paid, by the keys that the block began with
  EXPECT_EQ(code_name(results[2].code), "bad_signature");  // too early
  EXPECT_EQ(desk.state().account(desk.id("A"))->nonce, 2u);
  by_new.nonce = 2;
  by_new.signatures.clear();
  sign(by_new, secret("new"), 1);
  EXPECT_EQ(code_name(desk.block({encode(by_new)})[0].code), "ok");
}

TEST(Expiry, EveryEdge) {
  Scene scene;
  scene.pass(1'000);
  struct Row {
    int64_t expiry_after_now;  // of the block that holds it; the block comes 100 ms after the last
    const char* in_mempool;
    const char* in_block;
  };
  const std::vector<Row> rows = {
      {-101, "expired", "expired"}, {-100, "expired", "expired"}, {-99, "ok", "expired"}, {-1, "ok", "expired"},
      {0, "ok", "expired"},         {1, "ok", "ok"},              {1'000'000'000, "ok", "ok"},
  };
  const auto run = [&](ChainTime expiry, const char* in_mempool, const char* in_block) {
    Transaction tx = scene.draft("A", Transfer{scene.id("B"), {1}});
    tx.expiry = expiry;
    sign(tx, scene.actor("A").key, 1);
    const auto checked = scene.app().check(encode(tx));
    EXPECT_EQ(checked ? "ok" : std::string(name(checked.error().code)), in_mempool) << ms(expiry);
    EXPECT_EQ(code_name(scene.block({encode(tx)}).front().code), in_block) << ms(expiry);
  };
  for (const auto& row : rows)
    run(ChainTime{static_cast<uint64_t>(static_cast<int64_t>(ms(scene.now()) + 100) + row.expiry_after_now)}, row.in_mempool, row.in_block);
  run(ChainTime{0}, "expired", "expired");
  run(ChainTime{UINT64_MAX}, "ok", "ok");
  // A flood or a long halt hurries nobody: the next block is at most two intervals later, whatever the clock says.
  Transaction tx = scene.draft("A", Transfer{scene.id("B"), {1}});
  tx.expiry = after(scene.now(), 2 * scene.params().interval_ms + 1);
  sign(tx, scene.actor("A").key, 1);
  EXPECT_EQ(scene.block({encode(tx)}, 1'000'000'000).front().code, kOk);
}

TEST(Deposits, WhoeverSendsToANewAccountPaysForIt) {
  Desk desk;
  const AccountId fresh = account_of(key("fresh"));
  const Holder place = Holder::deposit(fresh.as<HashTag>());
  const Amount deposit = deposit_of(desk.params(), kAccountBytes);
  const Amount before = desk.balance("A");
  desk.expect("A", Transfer{fresh, {0}});
  EXPECT_EQ(desk.state().balance(place).pebbles, 0u);  // nothing is stored
  desk.expect("A", Transfer{fresh, {5'000}});
  EXPECT_EQ(desk.state().balance(place), deposit);
  EXPECT_EQ(desk.state().balance(Holder::account(fresh)).pebbles, 5'000u);  // whole
  desk.expect("B", Transfer{fresh, {5'000}});
  EXPECT_EQ(desk.state().balance(place), deposit);     // once
  EXPECT_LT(before.pebbles - desk.balance("A").pebbles, deposit.pebbles + 5'000 + 1'000);

  // It spends all it has, and is known for good.
  Transaction tx = desk.draft_of(fresh, Transfer{desk.id("B"), {1}});
  set_fee(tx, 1, 1);
  std::get<Transfer>(tx.body).amount = Amount{10'000 - tx.fee.pebbles};
  EXPECT_EQ(code_name(desk.send_signed(tx, {"fresh"}).code), "ok");
  EXPECT_EQ(desk.state().balance(Holder::account(fresh)).pebbles, 0u);
  desk.expect("B", Transfer{fresh, {1}});
  EXPECT_EQ(desk.state().balance(place), deposit);
}

// Whatever is stored about keys: one value has one encoding.
TEST(Codec, RecordsOfKeysAndRulesRefuseGarbage) {
  const auto fuzz = [](const auto& value) {
    using Record = std::remove_cvref_t<decltype(value)>;
    const Bytes good = encode(value);
    EXPECT_EQ(encode(must(decode<Record>(good))), good);
    for (size_t cut = 0; cut < good.size(); cut++) EXPECT_FALSE(decode<Record>(ByteSpan(good).first(cut)));
    uint64_t random = 1;
    for (int i = 0; i < 20'000; i++) {
      Bytes bad = good;
      for (int flips = 0; flips < 3; flips++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bad[(random >> 33) % bad.size()] = static_cast<uint8_t>(random >> 24);
      }
      if (const auto decoded = decode<Record>(bad)) {
        ASSERT_EQ(encode(*decoded), bad);
      }
    }
  };
  fuzz(Account{hash_named("a").as<AccountIdTag>(), key_set(2, {"x", "y", "z"}), 7});
  fuzz(HotKey{hash_named("a").as<AccountIdTag>(), key("x"), {Scope::pay, Scope::verify}, crn(1), 5, ChainTime{9}, 3, crn(2), ChainTime{1}});
  fuzz(attest::Rules{2, Height{9}, 2, {}});
  fuzz(Seeking{7, Sought::jobs_of_all, hash_named("a"), Bytes{1, 2, 3}});
  fuzz(attest::RulesProof{});
}

}  // namespace
}  // namespace cairn::ledger
