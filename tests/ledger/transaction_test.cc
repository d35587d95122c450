// Every transaction as a table: one action a row, the outcome last, consecutive rows differ by one thing.
#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

TEST(Ladder, EveryRungInOrder) {
  Scene scene;
  const auto outcome = [&](auto change, bool sign_again = true) {
    Transaction tx = scene.draft("A", Transfer{scene.id("B"), crn(1)});
    sign(tx, scene.actor("A").key, scene.params().fee_per_byte);
    change(tx);
    if (sign_again) sign(tx, scene.actor("A").key, scene.params().fee_per_byte);
    const auto before = scene.app().state_root();
    const auto result = scene.block({encode(tx)}).front();
    if (result.code != kOk) {
      EXPECT_EQ(before, scene.app().state_root()) << "a refusal by the ladder changes nothing";
    }
    return code_name(result.code);
  };
  EXPECT_EQ(outcome([](Transaction&) {}), "ok");
  EXPECT_EQ(outcome([](Transaction& t) { t.genesis.v[0] ^= 1; }), "wrong_chain");
  EXPECT_EQ(outcome([](Transaction& t) { t.signatures[0].signature.v[0] ^= 1; }, false), "bad_signature");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee = crn(2); }, false), "bad_signature");
  EXPECT_EQ(outcome([&](Transaction& t) { t.sender = scene.id("B"); }), "bad_signature");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce++; }), "wrong_nonce");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce--; }), "wrong_nonce");
  EXPECT_EQ(outcome([&](Transaction& t) { t.expiry = ChainTime{0}; }), "expired");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee.pebbles -= 1; }), "fee_too_low");
  EXPECT_EQ(outcome([](Transaction& t) { t.fee = crn(2'000'000); }), "insufficient");
  EXPECT_EQ(outcome([](Transaction& t) { t.nonce++; t.expiry = ChainTime{0}; t.fee = {1}; }), "wrong_nonce");
  EXPECT_EQ(code_name(scene.block({Bytes{1, 2, 3}}).front().code), "malformed");
  EXPECT_EQ(code_name(scene.block({Bytes(kMaxTransactionBytes + 1)}).front().code), "limit");
  EXPECT_EQ(outcome([](Transaction&) {}), "ok");
}

TEST(Ladder, ReplayIsAWrongNonce) {
  Scene scene;
  const Bytes tx = scene.signed_tx("A", Transfer{scene.id("B"), crn(1)});
  EXPECT_EQ(scene.block({tx, tx})[1].code, static_cast<uint16_t>(Code::wrong_nonce));
  EXPECT_EQ(scene.block({tx}).front().code, static_cast<uint16_t>(Code::wrong_nonce));
}

TEST(Ladder, AFailureInApplyPaysItsFeeAndChangesNothingElse) {
  Scene scene;
  const Amount before = scene.balance("A");
  const Bytes tx = scene.signed_tx("A", Transfer{scene.id("B"), crn(2'000'000)});
  EXPECT_EQ(code_name(scene.block({tx}).front().code), "insufficient");
  EXPECT_EQ(scene.balance("A").pebbles, before.pebbles - tx.size() * scene.params().fee_per_byte);
  EXPECT_EQ(scene.balance("B"), crn(1'000'000));
  EXPECT_EQ(scene.state().balance(Holder::fees()).pebbles, tx.size() * scene.params().fee_per_byte);
  EXPECT_EQ(scene.state().account(scene.id("A"))->nonce, 1u);
}

// A block is not filled for nothing: what the first gives away, or locks out, the others have paid already.
TEST(Ladder, AllFeesAreTakenBeforeAnyBody) {
  Scene scene;
  const uint64_t fee = scene.signed_tx("A", Transfer{scene.id("B"), crn(1)}).size() * scene.params().fee_per_byte;
  const auto all_but = [&](uint64_t fees) { return Transfer{scene.id("B"), Amount{scene.balance("A").pebbles - fees * fee}}; };
  const auto codes = [&](const std::vector<Bytes>& block) {
    std::string out;
    for (const auto& result : scene.block(block)) out += (out.empty() ? "" : " ") + code_name(result.code);
    return out;
  };
  // It would give away the second's fee.
  EXPECT_EQ(codes({scene.signed_tx("A", all_but(1)), scene.signed_tx("A", Transfer{scene.id("B"), crn(1)}, 1)}), "insufficient ok");
  EXPECT_EQ(scene.balance("A").pebbles, 999'999 * Amount::kPerCrn - 2 * fee);
  EXPECT_EQ(codes({scene.signed_tx("A", all_but(2)), scene.signed_tx("A", Transfer{scene.id("B"), crn(1)}, 1)}), "ok insufficient");
  EXPECT_EQ(scene.balance("A").pebbles, 0u);
  EXPECT_EQ(codes({scene.signed_tx("A", Transfer{scene.id("B"), {1}})}), "insufficient");

  // The second is signed by keys that the first takes away: it pays, and does nothing.
  const Amount before = scene.balance("C");
  const Bytes rotate = scene.signed_tx("C", RotateKey{KeySet::of(SecretKey::from_seed(seed_named("fresh")).public_key()), false});
  const Bytes late = scene.signed_tx("C", Transfer{scene.id("B"), crn(5)}, 1);
  EXPECT_EQ(codes({rotate, late}), "ok wrong_state");
  EXPECT_EQ(scene.balance("C").pebbles, before.pebbles - (rotate.size() + late.size()) * scene.params().fee_per_byte);
  EXPECT_EQ(scene.state().account(scene.id("C"))->nonce, 2u);
}

TEST(Ladder, CheckLooksAheadOfTheNonce) {
  Scene scene;
  scene.block();
  Transaction tx = scene.draft("A", Transfer{scene.id("B"), crn(1)});
  tx.nonce = 5;
  sign(tx, scene.actor("A").key, 1);
  EXPECT_TRUE(scene.app().check(encode(tx)));
  tx.signatures[0].signature.v[3] ^= 1;
  EXPECT_EQ(scene.app().check(encode(tx)).error().code, Code::bad_signature);
  EXPECT_TRUE(scene.app().check(encode(tx), true));
}

TEST(Transfer, Table) {
  Scene scene;
  const AccountId b = scene.id("B");
  scene.expect("A", Transfer{b, crn(7)});
  scene.expect("A", Transfer{b, crn(7'000'000)}, Code::insufficient);
  scene.expect("A", Transfer{scene.id("A"), crn(3)});               // to oneself changes nothing
  scene.expect("A", Transfer{scene.id("A"), crn(7'000'000)}, Code::insufficient);
  scene.expect("A", Transfer{b, {0}});
  EXPECT_EQ(scene.balance("B"), crn(1'000'007));
}

TEST(RotateKey, TheAccountStaysTheKeyGoes) {
  Scene scene;
  const SecretKey fresh = SecretKey::from_seed(seed_named("fresh"));
  scene.expect("A", RotateKey{}, Code::invalid);
  scene.expect("A", RotateKey{KeySet::of({}), false}, Code::invalid);
  scene.expect("A", RotateKey{KeySet::of(fresh.public_key()), false});
  scene.expect("A", Transfer{scene.id("B"), crn(1)}, Code::bad_signature);
  Transaction tx = scene.draft("A", Transfer{scene.id("B"), crn(1)});
  sign(tx, fresh, 1);
  EXPECT_EQ(scene.block({encode(tx)}).front().code, kOk);
}

TEST(Stake, Table) {
  Scene scene;
  scene.expect("P", Stake{{0}}, Code::invalid);
  scene.expect("P", Stake{crn(2'000'000)}, Code::insufficient);
  scene.expect("P", Stake{crn(10)});
  scene.expect("P", Unstake{{0}}, Code::invalid);
  scene.expect("P", Unstake{crn(11)}, Code::insufficient);
  scene.expect("P", Unstake{crn(4)});
  EXPECT_EQ(scene.stake("P"), crn(6));
  const Amount before = scene.balance("P");
  EXPECT_EQ(scene.state().balance(Holder::unbonding(scene.id("P"))), crn(4));
  scene.pass(scene.params().unbonding_ms);
  EXPECT_EQ(scene.balance("P").pebbles, before.pebbles + crn(4).pebbles);
  EXPECT_EQ(scene.state().balance(Holder::unbonding(scene.id("P"))).pebbles, 0u);
  EXPECT_FALSE(scene.app().pending());
}

TEST(Bond, Table) {
  Scene scene;
  const uint64_t least = scene.params().game_fee + scene.params().verifier_silence;
  scene.expect("V", Bond{{least - 1}, "tcp://v"}, Code::insufficient);
  scene.expect("V", Bond{{least}, std::string(300, 'x')}, Code::invalid);
  EXPECT_FALSE(scene.state().verifier(scene.id("V")));
  scene.expect("V", Bond{{least}, "tcp://v"});
  scene.expect("V", Bond{{5}, "tcp://w"});
  EXPECT_EQ(scene.state().verifier(scene.id("V"))->endpoint, "tcp://w");
  scene.expect("V", Unbond{{0}}, Code::invalid);
  scene.expect("V", Unbond{{6}}, Code::insufficient);          // too little would be left
  scene.expect("V", Unbond{{least + 6}}, Code::insufficient);  // more than there is
  scene.expect("V", Unbond{{5}});
  scene.expect("V", Unbond{{least}});
  EXPECT_FALSE(scene.state().verifier(scene.id("V")));
}

TEST(Offers, Table) {
  Scene scene;
  const auto with = [&](auto change) {
    PostOffer offer = scene.offer();
    change(offer);
    return offer;
  };
  using attest::Policy;
  scene.expect("P", with([](PostOffer& o) { o.price = {}; }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.jobs_max = 0; }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.policies = {}; }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.policies = {Policy::all, Policy::standard}; }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.policies = {Policy::all, Policy::all}; }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.endpoint = std::string(257, 'x'); }), Code::invalid);
  scene.expect("P", with([](PostOffer& o) { o.expiry = ChainTime{0}; }), Code::expired);
  const auto kept = scene.balance("P");
  const auto posted = scene.expect("P", scene.offer());
  const auto deposit = scene.state().balance(Holder::deposit(posted));
  EXPECT_GT(deposit.pebbles, 0u);
  scene.expect("Q", WithdrawOffer{posted.as<OfferIdTag>()}, Code::not_party);
  scene.expect("P", WithdrawOffer{posted.as<OfferIdTag>()});
  scene.expect("P", WithdrawOffer{posted.as<OfferIdTag>()}, Code::not_found);
  EXPECT_EQ(scene.state().balance(Holder::deposit(posted)).pebbles, 0u);
  EXPECT_LT(kept.pebbles - scene.balance("P").pebbles, 2'000u);  // fees alone
  EXPECT_FALSE(scene.state().any('b'));

  scene.expect("P", with([&](PostOffer& o) { o.expiry = after(scene.now(), 500); }));
  EXPECT_TRUE(scene.app().pending());
  scene.pass(600);
  EXPECT_FALSE(scene.state().any('o'));
  EXPECT_FALSE(scene.app().pending());
}

TEST(OpenJob, Table) {
  Scene scene({"A", "B"}, Scene::quick_params(), crn(10));
  const auto with = [&](auto change) {
    attest::JobSpec spec = scene.spec();
    change(spec);
    return OpenJob{spec};
  };
  scene.expect("A", with([](attest::JobSpec& s) { s.steps = 0; }), Code::invalid);
  scene.expect("A", with([](attest::JobSpec& s) { s.tier = attest::Tier::native; }), Code::invalid);
  scene.expect("A", with([](attest::JobSpec& s) { s.policy = attest::Policy::all; s.steps = 5000; s.interval = 1; }), Code::limit);
  scene.expect("A", with([](attest::JobSpec& s) { s.step_work_ns = UINT64_MAX; s.steps = uint64_t{1} << 40; s.interval = s.steps; }), Code::limit);
  const auto of_ms = [&](uint64_t segment_ms) { return with([&](attest::JobSpec& s) { s.step_work_ns = segment_ms * 1'000'000, s.interval = 1, s.price_ceiling = {1'000}; }); };
  scene.expect("A", of_ms(86'400'001), Code::limit);  // a day and a ms to run a segment again
  scene.expect("A", with([](attest::JobSpec& s) { s.inputs[0].asset.v[0] = 1; }), Code::not_found);
  scene.expect("A", with([](attest::JobSpec& s) { s.price_ceiling.pebbles *= 1000; }), Code::insufficient);
  const auto quoted = must(quote(scene.state(), scene.params(), scene.spec()));
  const Bytes tx = scene.signed_tx("A", OpenJob{scene.spec()});
  const Amount before = scene.balance("A");
  EXPECT_EQ(scene.block({tx}).front().code, kOk);
  EXPECT_EQ(before.pebbles - scene.balance("A").pebbles, quoted.total.pebbles + tx.size());
  scene.expect("A", of_ms(86'400'000));
  EXPECT_EQ(quoted.reward.pebbles, 200'000u);
  EXPECT_EQ(quoted.audits.pebbles, 20'000u);
  EXPECT_EQ(quoted.checks, 1u);
  EXPECT_EQ(quoted.segments, 10u);
}

TEST(Publish, Table) {
  Scene scene;
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
  scene.expect("A", publish, Code::not_found);
  const Hash hash = reservation_hash(content, scene.id("A"), salt);
  // In one block with its reservation: too soon.
  const Bytes reserve = scene.signed_tx("A", Reserve{hash});
  Transaction at_once = scene.draft("A", publish);
  at_once.nonce++;
  sign(at_once, scene.actor("A").key, 1);
  EXPECT_EQ(code_name(scene.block({reserve, encode(at_once)})[1].code), "wrong_state");
  scene.expect("A", Reserve{hash}, Code::already);
  scene.expect("B", publish, Code::not_found);  // the reservation names its owner
  scene.expect("A", with([](Publish& p) { p.title = ""; }), Code::invalid);
  scene.expect("A", with([&](Publish& p) { p.holders = {{scene.id("A"), 0}}; }), Code::invalid);
  scene.expect("A", with([&](Publish& p) { p.holders.assign(65, {scene.id("A"), 1}); }), Code::invalid);
  scene.expect("A", with([](Publish& p) { p.parents = {{{}, 0}}; }), Code::invalid);
  scene.expect("A", with([](Publish& p) { p.parents = {{{}, 10'001}}; }), Code::invalid);
  scene.expect("A", with([](Publish& p) { p.parents = {{{}, 5}}; }), Code::not_found);
  scene.expect("A", with([](Publish& p) { p.origin.v[0] = 1; }), Code::not_found);
  scene.expect("A", with([](Publish& p) { p.origin.v[0] = 1; p.parents = {{{}, 5}}; }), Code::invalid);
  const auto id = scene.expect("A", publish);
  EXPECT_EQ(scene.state().asset(id.as<AssetIdTag>())->split.size(), 1u);
  scene.expect("A", publish, Code::not_found);  // the reservation is used up
}

TEST(Publish, TheEarliestReservationWins) {
  Scene scene;
  Publish publish;
  publish.kind = AssetKind::dataset;
  publish.title = "data";
  publish.content = hash_named("data");
  publish.price = crn(1);
  scene.expect("A", Reserve{reservation_hash(publish.content, scene.id("A"), {})});
  scene.expect("B", Reserve{reservation_hash(publish.content, scene.id("B"), {})});
  scene.expect("C", Reserve{reservation_hash(publish.content, scene.id("C"), {})});
  const auto thief = scene.expect("B", publish);
  const auto own = scene.expect("A", publish);
  EXPECT_FALSE(scene.state().asset(thief.as<AssetIdTag>()));
  EXPECT_EQ(scene.state().balance(Holder::deposit(thief)).pebbles, 0u);
  EXPECT_TRUE(scene.state().asset(own.as<AssetIdTag>()));
  scene.expect("C", publish, Code::already);
}

TEST(ReportFork, TwoHeadersOfOneHeightEndTheChain) {
  Scene scene;
  scene.block();
  scene.block();
  const attest::SignedHeader one = scene.app().head();
  attest::Header forged = one.header;
  forged.wall_ms++;
  const attest::SignedHeader other = scene.signed_header(forged);
  scene.expect("A", ReportFork{one, one}, Code::proof);
  scene.expect("A", ReportFork{one, scene.blocks().front().header}, Code::proof);
  scene.expect("A", ReportFork{one, {forged, one.seal}}, Code::bad_signature);
  auto strange = other;
  strange.header.genesis.v[0] ^= 1;
  scene.expect("A", ReportFork{one, strange}, Code::wrong_chain);
  scene.block();
  scene.expect("A", ReportFork{one, other});
  EXPECT_THROW(scene.block(), Fault);
}

TEST(Codec, EveryDecoderRefusesGarbageAndTruncation) {
  Scene scene;
  const Claim run(scene.spec());
  const JobId job = hash_named("job").as<JobIdTag>();
  const std::vector<Body> bodies = {
      Transfer{scene.id("B"), crn(1)}, RotateKey{}, scene.offer(), WithdrawOffer{}, Stake{crn(1)}, Unstake{crn(1)},
      Bond{crn(1), "tcp://x"}, Unbond{crn(1)}, OpenJob{scene.spec()}, CancelJob{job}, Accept{job}, Commit{run.commitment(job)},
      RevealSecret{job, {}}, CommitVerdict{job, 1, {}}, AnswerCheck{job, 1, {}, run.segment(1)},
      RevealVerdict{job, 1, {}, {}, std::nullopt}, Challenge{job, 1, {}, run.segment(1)},
      PlayMove{{}, attest::Pick{1, {}}}, Reserve{{}}, Publish{AssetKind::model, "t", {}, {}, {}, {}, {}, {}}, ReportUndelivered{job, 0},
      ReportFork{}, GrantKey{{}, {Scope::pay, Scope::verify}, crn(1), 5, {}}, RevokeKey{}, Upgrade{}, Judge{}, Consent{}, JoinValidators{}, ResignValidator{}, LeaveJail{}};
  EXPECT_EQ(bodies.size(), std::variant_size_v<Body>);
  uint64_t random = 1;
  for (const Body& body : bodies) {
    const Bytes good = scene.signed_tx("A", body);
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

// One hash over a fixed value of every transaction. It changes only with a new version of the chain.
TEST(Codec, GoldenBytes) {
  Transaction tx;
  tx.genesis = hash_named("genesis");
  tx.sender = hash_named("sender").as<AccountIdTag>();
  tx.signatures = {{hash_named("key").as<PublicKeyTag>(), {}}};
  tx.nonce = 7;
  tx.fee = Amount{1'000};
  tx.expiry = ChainTime{123'456};
  tx.body = Transfer{hash_named("to").as<AccountIdTag>(), Amount{5}};
  const Bytes bytes = encode(tx);
  EXPECT_EQ(bytes.size(), 32u + 32 + 1 + 8 + 8 + 8 + 1 + 2 + 32 + 8 + 4 + 32 + 64);
  EXPECT_EQ(to_hex(ByteSpan(bytes).subspan(64, 28)), "010700000000000000e80300000000000040e2010000000000000100");

  Scene scene;
  const Claim claim(scene.spec());
  const JobId job = hash_named("job").as<JobIdTag>();
  Publish publish{AssetKind::model, "title", hash_named("content"), hash_named("salt"), crn(1), {{scene.id("A"), 3}}, {{{}, 500}}, job};
  PostOffer offer = scene.offer();
  offer.payee = scene.id("B");
  const std::vector<Body> bodies = {
      Transfer{scene.id("B"), crn(1)}, RotateKey{{2, {hash_named("k").as<PublicKeyTag>(), hash_named("l").as<PublicKeyTag>()}}, true}, offer, WithdrawOffer{hash_named("o").as<OfferIdTag>()}, Stake{crn(1)},
      Unstake{crn(2)}, Bond{crn(3), "tcp://x"}, Unbond{crn(4)}, OpenJob{scene.spec()}, CancelJob{job}, Accept{job},
      Commit{claim.commitment(job)}, RevealSecret{job, hash_named("secret")}, CommitVerdict{job, 1, hash_named("verdict")},
      AnswerCheck{job, 1, hash_named("call"), claim.segment(1)},
      RevealVerdict{job, 1, hash_named("salt"), {hash_named("call"), hash_named("end")}, std::nullopt},
      Challenge{job, 1, hash_named("end"), claim.segment(1)}, PlayMove{hash_named("g").as<GameIdTag>(), attest::Pick{1, hash_named("mine")}},
      Reserve{hash_named("hash")}, publish, ReportUndelivered{job, 3}, ReportFork{},
      GrantKey{hash_named("hot").as<PublicKeyTag>(), {Scope::provide, Scope::request}, crn(5), 6, ChainTime{7}},
      RevokeKey{hash_named("hot").as<PublicKeyTag>()}, Upgrade{Height{8}, 2, {}}, Judge{job, true}, Consent{job, hash_named("key")},
      JoinValidators{hash_named("key").as<PublicKeyTag>(), hash_named("key").as<PublicKeyTag>(), {}, crn(5)}, ResignValidator{}, LeaveJail{}};
  Hasher all;
  for (const Body& body : bodies) {
    tx.body = body;
    all.update(encode(tx));
  }
  EXPECT_EQ(all.finish().hex(), "f68d4729dc9225aabae93663829c4dda7ebf23f510934a873051402e627cec11");
}

}  // namespace
}  // namespace cairn::ledger
