// Every transaction as a table: one action a row, the outcome last, consecutive rows differ by one thing.
#include "tests/ledger/chain.h"

namespace cairn::ledger {
namespace {

TEST(Ladder, EveryRungInOrder) {
  Chain chain;
  const auto outcome = [&](auto change, bool sign_again = true) {
    Transaction tx = chain.draft("A", Transfer{chain.id("B"), crn(1)});
    sign(tx, chain.actor("A").key, chain.params().fee_per_byte);
    change(tx);
    if (sign_again) sign(tx, chain.actor("A").key, chain.params().fee_per_byte);
    const auto before = chain.app().state_root();
    const auto result = chain.block({encode(tx)}).front();
    if (result.code != kOk) {
      EXPECT_EQ(before, chain.app().state_root()) << "a refusal by the ladder changes nothing";
    }
    return code_name(result.code);
  };
  EXPECT_EQ(outcome([](Transaction&) {}), "ok");
  EXPECT_EQ(outcome([](Transaction& t) { t.genesis.v[0] ^= 1; }), "wrong_chain");
  EXPECT_EQ(outcome([](Transaction& t) { t.signature.v[0] ^= 1; }, false), "bad_signature");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee = crn(2); }, false), "bad_signature");
  EXPECT_EQ(outcome([&](Transaction& t) { t.sender = chain.id("B"); }), "bad_signature");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce++; }), "wrong_nonce");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce--; }), "wrong_nonce");
  EXPECT_EQ(outcome([&](Transaction& t) { t.expiry = ChainTime{0}; }), "expired");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee.pebbles -= 1; }), "fee_too_low");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee = crn(2'000'000); }), "insufficient");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce++; t.expiry = ChainTime{0}; t.fee = {1}; }), "wrong_nonce");
  EXPECT_EQ(code_name(chain.block({Bytes{1, 2, 3}}).front().code), "malformed");
  EXPECT_EQ(code_name(chain.block({Bytes(kMaxTransactionBytes + 1)}).front().code), "limit");
  EXPECT_EQ(outcome([](Transaction&) {}), "ok");
}

TEST(Ladder, ReplayIsAWrongNonce) {
  Chain chain;
  const Bytes tx = chain.signed_tx("A", Transfer{chain.id("B"), crn(1)});
  EXPECT_EQ(chain.block({tx, tx})[1].code, static_cast<uint16_t>(Code::wrong_nonce));
  EXPECT_EQ(chain.block({tx}).front().code, static_cast<uint16_t>(Code::wrong_nonce));
}

TEST(Ladder, AFailureInApplyPaysItsFeeAndChangesNothingElse) {
  Chain chain;
  const Amount before = chain.balance("A");
  const Bytes tx = chain.signed_tx("A", Transfer{chain.id("B"), crn(2'000'000)});
  EXPECT_EQ(code_name(chain.block({tx}).front().code), "insufficient");
  EXPECT_EQ(chain.balance("A").pebbles, before.pebbles - tx.size() * chain.params().fee_per_byte);
  EXPECT_EQ(chain.balance("B"), crn(1'000'000));
  EXPECT_EQ(chain.state().balance(Holder::fees()).pebbles, tx.size() * chain.params().fee_per_byte);
  EXPECT_EQ(chain.state().account(chain.id("A"))->nonce, 1u);
}

TEST(Ladder, CheckLooksAheadOfTheNonce) {
  Chain chain;
  chain.block();
  Transaction tx = chain.draft("A", Transfer{chain.id("B"), crn(1)});
  tx.nonce = 5;
  sign(tx, chain.actor("A").key, 1);
  EXPECT_TRUE(chain.app().check(encode(tx)));
  tx.signature.v[3] ^= 1;
  EXPECT_EQ(chain.app().check(encode(tx)).error().code, Code::bad_signature);
  EXPECT_TRUE(chain.app().check(encode(tx), true));
}

TEST(Transfer, Table) {
  Chain chain;
  const AccountId b = chain.id("B");
  chain.expect("A", Transfer{b, crn(7)});
  chain.expect("A", Transfer{b, crn(7'000'000)}, Code::insufficient);
  chain.expect("A", Transfer{chain.id("A"), crn(3)});               // to oneself changes nothing
  chain.expect("A", Transfer{chain.id("A"), crn(7'000'000)}, Code::insufficient);
  chain.expect("A", Transfer{b, {0}});
  EXPECT_EQ(chain.balance("B"), crn(1'000'007));
}

TEST(RotateKey, TheAccountStaysTheKeyGoes) {
  Chain chain;
  const SecretKey fresh = SecretKey::from_seed(seed_named("fresh"));
  chain.expect("A", RotateKey{{}}, Code::invalid);
  chain.expect("A", RotateKey{fresh.public_key()});
  chain.expect("A", Transfer{chain.id("B"), crn(1)}, Code::bad_signature);
  Transaction tx = chain.draft("A", Transfer{chain.id("B"), crn(1)});
  sign(tx, fresh, 1);
  EXPECT_EQ(chain.block({encode(tx)}).front().code, kOk);
}

TEST(Stake, Table) {
  Chain chain;
  chain.expect("P", Stake{{0}}, Code::invalid);
  chain.expect("P", Stake{crn(2'000'000)}, Code::insufficient);
  chain.expect("P", Stake{crn(10)});
  chain.expect("P", Unstake{{0}}, Code::invalid);
  chain.expect("P", Unstake{crn(11)}, Code::insufficient);
  chain.expect("P", Unstake{crn(4)});
  EXPECT_EQ(chain.stake("P"), crn(6));
  const Amount before = chain.balance("P");
  EXPECT_EQ(chain.state().balance(Holder::unbonding(chain.id("P"))), crn(4));
  chain.pass(chain.params().unbonding_ms);
  EXPECT_EQ(chain.balance("P").pebbles, before.pebbles + crn(4).pebbles);
  EXPECT_EQ(chain.state().balance(Holder::unbonding(chain.id("P"))).pebbles, 0u);
  EXPECT_FALSE(chain.app().pending());
}

TEST(Bond, Table) {
  Chain chain;
  const uint64_t least = chain.params().game_fee + chain.params().verifier_silence;
  chain.expect("V", Bond{{least - 1}, "tcp://v"}, Code::insufficient);
  chain.expect("V", Bond{{least}, std::string(300, 'x')}, Code::invalid);
  EXPECT_FALSE(chain.state().verifier(chain.id("V")));
  chain.expect("V", Bond{{least}, "tcp://v"});
  chain.expect("V", Bond{{5}, "tcp://w"});
  EXPECT_EQ(chain.state().verifier(chain.id("V"))->endpoint, "tcp://w");
  chain.expect("V", Unbond{{0}}, Code::invalid);
  chain.expect("V", Unbond{{6}}, Code::insufficient);          // too little would be left
  chain.expect("V", Unbond{{least + 6}}, Code::insufficient);  // more than there is
  chain.expect("V", Unbond{{5}});
  chain.expect("V", Unbond{{least}});
  EXPECT_FALSE(chain.state().verifier(chain.id("V")));
}

TEST(Offers, Table) {
  Chain chain;
  const auto with = [&](auto change) {
    PostOffer offer = chain.offer();
    change(offer);
    return offer;
  };
  using attest::Policy;
  chain.expect("P", with([](PostOffer& o) { o.price = {}; }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.jobs_max = 0; }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.policies = {}; }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.policies = {Policy::all, Policy::standard}; }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.policies = {Policy::all, Policy::all}; }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.endpoint = std::string(257, 'x'); }), Code::invalid);
  chain.expect("P", with([](PostOffer& o) { o.expiry = ChainTime{0}; }), Code::expired);
  const auto kept = chain.balance("P");
  const auto posted = chain.expect("P", chain.offer());
  const auto deposit = chain.state().balance(Holder::deposit(posted));
  EXPECT_GT(deposit.pebbles, 0u);
  chain.expect("Q", WithdrawOffer{posted.as<OfferIdTag>()}, Code::not_party);
  chain.expect("P", WithdrawOffer{posted.as<OfferIdTag>()});
  chain.expect("P", WithdrawOffer{posted.as<OfferIdTag>()}, Code::not_found);
  EXPECT_EQ(chain.state().balance(Holder::deposit(posted)).pebbles, 0u);
  EXPECT_LT(kept.pebbles - chain.balance("P").pebbles, 2'000u);  // fees alone
  EXPECT_FALSE(chain.state().any('b'));

  chain.expect("P", with([&](PostOffer& o) { o.expiry = after(chain.now(), 500); }));
  EXPECT_TRUE(chain.app().pending());
  chain.pass(600);
  EXPECT_FALSE(chain.state().any('o'));
  EXPECT_FALSE(chain.app().pending());
}

TEST(OpenJob, Table) {
  Chain chain({"A", "B"}, Chain::quick_params(), crn(10));
  const auto with = [&](auto change) {
    attest::JobSpec spec = chain.spec();
    change(spec);
    return OpenJob{spec};
  };
  chain.expect("A", with([](attest::JobSpec& s) { s.steps = 0; }), Code::invalid);
  chain.expect("A", with([](attest::JobSpec& s) { s.tier = attest::Tier::native; }), Code::invalid);
  chain.expect("A", with([](attest::JobSpec& s) { s.policy = attest::Policy::all; s.steps = 5000; s.interval = 1; }), Code::limit);
  chain.expect("A", with([](attest::JobSpec& s) { s.step_work_ns = UINT64_MAX; s.steps = uint64_t{1} << 40; s.interval = s.steps; }), Code::limit);
  chain.expect("A", with([](attest::JobSpec& s) { s.inputs[0].asset.v[0] = 1; }), Code::not_found);
  chain.expect("A", with([](attest::JobSpec& s) { s.price_ceiling.pebbles *= 1000; }), Code::insufficient);
  const auto quoted = must(quote(chain.state(), chain.params(), chain.spec()));
  const Bytes tx = chain.signed_tx("A", OpenJob{chain.spec()});
  const Amount before = chain.balance("A");
  EXPECT_EQ(chain.block({tx}).front().code, kOk);
  EXPECT_EQ(before.pebbles - chain.balance("A").pebbles, quoted.total.pebbles + tx.size());
  EXPECT_EQ(quoted.reward.pebbles, 200'000u);
  EXPECT_EQ(quoted.audits.pebbles, 20'000u);
  EXPECT_EQ(quoted.checks, 1u);
  EXPECT_EQ(quoted.segments, 10u);
}

TEST(Publish, Table) {
  Chain chain;
  const Hash content = hash_named("weights"), salt = hash_named("salt");
  Publish publish;
  publish.kind = AssetKind::model;
  publish.title = "weights";
  publish.content = content;
  publish.salt = salt;
  publish.price = crn(1);
  const auto with = [&](auto change) {
    Publish changed = publish;
    change(changed);
    return changed;
  };
  chain.expect("A", publish, Code::not_found);
  const Hash hash = reservation_hash(content, chain.id("A"), salt);
  // In one block with its reservation: too soon.
  const Bytes reserve = chain.signed_tx("A", Reserve{hash});
  Transaction at_once = chain.draft("A", publish);
  at_once.nonce++;
  sign(at_once, chain.actor("A").key, 1);
  EXPECT_EQ(code_name(chain.block({reserve, encode(at_once)})[1].code), "wrong_state");
  chain.expect("A", Reserve{hash}, Code::already);
  chain.expect("B", publish, Code::not_found);  // the reservation names its owner
  chain.expect("A", with([](Publish& p) { p.title = ""; }), Code::invalid);
  chain.expect("A", with([&](Publish& p) { p.holders = {{chain.id("A"), 0}}; }), Code::invalid);
  chain.expect("A", with([&](Publish& p) { p.holders.assign(65, {chain.id("A"), 1}); }), Code::invalid);
  chain.expect("A", with([](Publish& p) { p.parents = {{{}, 0}}; }), Code::invalid);
  chain.expect("A", with([](Publish& p) { p.parents = {{{}, 10'001}}; }), Code::invalid);
  chain.expect("A", with([](Publish& p) { p.parents = {{{}, 5}}; }), Code::not_found);
  chain.expect("A", with([](Publish& p) { p.origin.v[0] = 1; }), Code::not_found);
  chain.expect("A", with([](Publish& p) { p.origin.v[0] = 1; p.parents = {{{}, 5}}; }), Code::invalid);
  const auto id = chain.expect("A", publish);
  EXPECT_EQ(chain.state().asset(id.as<AssetIdTag>())->split.size(), 1u);
  chain.expect("A", publish, Code::not_found);  // the reservation is used up
}

TEST(Publish, TheEarliestReservationWins) {
  Chain chain;
  Publish publish;
  publish.kind = AssetKind::dataset;
  publish.title = "data";
  publish.content = hash_named("data");
  publish.price = crn(1);
  chain.expect("A", Reserve{reservation_hash(publish.content, chain.id("A"), {})});
  chain.expect("B", Reserve{reservation_hash(publish.content, chain.id("B"), {})});
  chain.expect("C", Reserve{reservation_hash(publish.content, chain.id("C"), {})});
  const auto thief = chain.expect("B", publish);
  const auto own = chain.expect("A", publish);
  EXPECT_FALSE(chain.state().asset(thief.as<AssetIdTag>()));
  EXPECT_EQ(chain.state().balance(Holder::deposit(thief)).pebbles, 0u);
  EXPECT_TRUE(chain.state().asset(own.as<AssetIdTag>()));
  chain.expect("C", publish, Code::already);
}

TEST(Codec, EveryDecoderRefusesGarbageAndTruncation) {
  Chain chain;
  const Claim run(chain.spec());
  const JobId job = hash_named("job").as<JobIdTag>();
  const std::vector<Body> bodies = {
      Transfer{chain.id("B"), crn(1)}, RotateKey{{}}, chain.offer(), WithdrawOffer{}, Stake{crn(1)}, Unstake{crn(1)},
      Bond{crn(1), "tcp://x"}, Unbond{crn(1)}, OpenJob{chain.spec()}, CancelJob{job}, Accept{job}, Commit{run.commitment(job)},
      RevealSecret{job, {}}, CommitVerdict{job, 1, {}}, AnswerCheck{job, 1, {}, run.segment(1)},
      RevealVerdict{job, 1, {}, {}, std::nullopt}, Challenge{job, 1, {}, run.segment(1)},
      PlayMove{{}, attest::Pick{1, {}}}, Reserve{{}}, Publish{AssetKind::model, "t", {}, {}, {}, {}, {}, {}}, ReportUndelivered{job, 0}};
  EXPECT_EQ(bodies.size(), std::variant_size_v<Body>);
  uint64_t random = 1;
  for (const Body& body : bodies) {
    const Bytes good = chain.signed_tx("A", body);
    const auto back = decode<Transaction>(good);
    ASSERT_TRUE(back) << name(body);
    EXPECT_EQ(encode(*back), good);
    EXPECT_FALSE(to_json(*back).empty());
    for (size_t cut = 0; cut < good.size(); cut += 1 + good.size() / 200)
      EXPECT_FALSE(decode<Transaction>(ByteSpan(good).first(cut))) << name(body) << " " << cut;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_FALSE(decode<Transaction>(longer));
    for (int i = 0; i < 300; i++) {  // one encoding a value: what still decodes encodes to the same bytes
      Bytes bad = good;
      for (int flips = 0; flips < 3; flips++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bad[(random >> 33) % bad.size()] = static_cast<uint8_t>(random >> 24);
      }
      const auto decoded = decode<Transaction>(bad);
      if (decoded) {
        EXPECT_EQ(encode(*decoded), bad);
      }
    }
  }
}

}  // namespace
}  // namespace cairn::ledger
