// The ledger as CometBFT's application, fed by hand.
#include "comet_driver.h"
#include "ledger/disputes.h"
#include "scene.h"

#include <atomic>
#include <random>
#include <thread>

namespace cairn::ledger::comet {
namespace {

constexpr uint64_t kCrn = Amount::kPerCrn;

TEST(Application, WhatAnHonestProposerMakesIsAcceptedAndFinalizedTwiceAlike) {
  const auto genesis = comet_genesis(2);
  Driver one(genesis, 0), other(genesis, 1);
  std::mt19937 random(3);
  std::map<std::string, uint64_t> nonces;
  for (int round = 0; round < 40; round++) {
    std::vector<Bytes> offered;
    for (unsigned i = 0; i < random() % 12; i++) {
      const std::string from(1, static_cast<char>('A' + random() % 3)), to(1, static_cast<char>('A' + random() % 3));
      Bytes tx = transfer(genesis, from, to, nonces[from] + (random() % 5 == 0), 1 + random() % 100);
      switch (random() % 6) {
        case 0: tx[random() % tx.size()] ^= static_cast<uint8_t>(1 + random() % 255); break;  // anything may be wrong
        case 1: tx.resize(random() % tx.size()); break;
        default: nonces[from]++;
      }
      offered.push_back(tx);
      if (random() % 8 == 0) offered.push_back(tx);  // twice
    }
    Driver& proposer = random() % 2 ? one : other;
    const auto entries = proposer.prepare(offered, static_cast<int64_t>(400 + random() % 3000));
    size_t bytes = 0;
    for (const auto& entry : entries) bytes += entry.size() + 3;
    ASSERT_LE(bytes, 3400u);
    ASSERT_TRUE(one.process(entries, proposer.key()));
    ASSERT_TRUE(other.process(entries, proposer.key()));
    const auto done = one.finalize(entries, proposer.key());
    ASSERT_EQ(done.SerializeAsString(), one.finalize(entries, proposer.key()).SerializeAsString());
    ASSERT_EQ(done.SerializeAsString(), other.finalize(entries, proposer.key()).SerializeAsString());
    ASSERT_EQ(done.tx_results_size(), static_cast<int>(entries.size()));
    EXPECT_EQ(number(one.chain().store().head()) + 1, one.next());  // nothing is written yet
    one.commit();
    other.commit();
    one.chain().read([&](const App& app) {
      for (auto& [name, nonce] : nonces) {
        const auto account = app.state().account(account_named(name));
        nonce = account ? account->nonce : 0;
      }
    });
  }
}

TEST(Application, ByzantineProposalsAreRefused) {
  const auto genesis = comet_genesis(2);
  Driver one(genesis, 0), other(genesis, 1);
  const Bytes first = transfer(genesis, "A", "B", 0), second = transfer(genesis, "A", "B", 1);
  const auto text = [](const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); };
  const auto honest = one.prepare({first});
  ASSERT_EQ(honest.size(), 2u);
  const auto others = other.prepare({});
  Bytes unsigned_tx = first;
  unsigned_tx.back() ^= 1;
  std::string forged = honest[0];
  forged[40] = static_cast<char>(forged[40] ^ 1);
  const struct {
    const char* what;
    std::vector<std::string> entries;
    bool accepted;
  } rows[] = {
      {"honest", honest, true},
      {"the beacon entry alone", {honest[0]}, true},
      {"two in order", {honest[0], text(first), text(second)}, true},
      {"nothing", {}, false},
      {"no beacon entry", {text(first)}, false},
      {"the beacon entry last", {text(first), honest[0]}, false},
      {"the beacon entry twice", {honest[0], honest[0]}, false},
      {"another validator's beacon entry", {others[0], text(first)}, false},
      {"a forged beacon entry", {forged, text(first)}, false},
      {"a transaction twice", {honest[0], text(first), text(first)}, false},
      {"a nonce ahead", {honest[0], text(second)}, false},
      {"a false signature", {honest[0], text(unsigned_tx)}, false},
      {"no transaction", {honest[0], "x"}, false},
      {"a block too large", {honest[0], std::string(5u << 20, 'x')}, false},
      {"trailing bytes", {honest[0], text(first) + "x"}, false},
  };
  for (const auto& row : rows) EXPECT_EQ(other.process(row.entries, one.key()), row.accepted) << row.what;
}

TEST(Application, CallsOutOfOrderAreFaults) {
  Driver driver(comet_genesis(1), 0);
  abci::Request commit;
  commit.mutable_commit();
  EXPECT_THROW(driver.ask(commit), Fault);
  abci::Request other_chain;
  other_chain.mutable_init_chain()->set_chain_id("cairn-other");
  EXPECT_THROW(driver.ask(other_chain), Fault);
}

TEST(Application, AFinalizedBlockIsProvenAndStoredOnlyOnceItIsCommitted) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.finalize(driver.prepare({}), driver.key());
  driver.commit();
  abci::Request ask;
  ask.mutable_query()->set_path("prove");
  const Hash key = blake3(key_of(Holder::account(account_named("B")), {}));
  ask.mutable_query()->set_data(std::string(key.v.begin(), key.v.end()));
  const auto proven = [&] {
    const auto out = must(decode<Proven>(as_bytes(driver.ask(ask).query().value())));
    EXPECT_TRUE(out.proof.found && attest::check_present(out.header.state_root, *out.proof.found, out.proof));
    return out;
  };
  const Proven before = proven();
  driver.finalize(driver.prepare({transfer(genesis, "A", "B", 0, 5)}), driver.key());
  EXPECT_EQ(encode(proven()), encode(before));
  EXPECT_EQ(number(driver.chain().store().head()), 1u);
  driver.commit();
  EXPECT_EQ(number(proven().header.height), 2u);
  EXPECT_NE(proven().proof.found->value, before.proof.found->value);
}

// The same blocks under both engines: the same root at every height. The solo chain has the same genesis but for the engine's
// name, so roots are compared of the state alone; here both run from one genesis, one by extend(), one by ABCI.
TEST(Application, BothEnginesWaysGiveTheSameRoots) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  const Scratch scratch;
  const auto direct = must(Chain::open(scratch.path / "chain", genesis));
  std::mt19937 random(4);
  std::map<std::string, uint64_t> nonces;
  const Scene scene;
  auto spec = scene.spec();
  spec.accept_ms = spec.run_ms = 100'000;
  const Claim claim(spec);
  std::vector<JobId> jobs{JobId{}};
  std::map<std::string_view, int> succeeded;
  const int blocks = std::getenv("CAIRN_LONG") ? 500 : 25;
  for (int block = 0; block < blocks; block++) {
    std::vector<Bytes> transactions;
    std::vector<std::string_view> names;
    for (int i = 0; i < 20; i++) {
      std::string from(1, static_cast<char>('A' + random() % 3)), to(1, static_cast<char>('A' + random() % 3));
      const Amount amount{random() % 4 == 0 ? UINT64_MAX : random() % 3 == 0 ? 10 * kCrn : 1 + random() % 100'000};
      const JobId job = jobs[jobs.size() - 1 - random() % std::min<size_t>(6, jobs.size())];
      const auto matched = driver.chain().read([&](const App& app) { return app.state().job(job); });
      const uint64_t segment = random() % claim.roots.size();
      const auto body = [&]() -> Body {
        switch (random() % 18) {
          case 0: return Stake{amount};
          case 1: return Unstake{amount};
          case 2: return Bond{amount, "tcp://" + to};
          case 3: return Unbond{amount};
          case 4: return Reserve{hash_of("test.content", static_cast<uint32_t>(random() % 50))};
          case 5: return scene.offer();
          case 6: return OpenJob{spec};
          case 7: return CancelJob{job};
          case 8:
          case 9:
          case 10: return Accept{job};
          case 11:
          case 12:
          case 13: return Commit{claim.commitment(job)};
          case 14: return Challenge{job, segment, hash_named("other end"), claim.segment(segment)};
          default: return Transfer{account_named(to), amount};
        }
      }();
      const bool of_provider = std::holds_alternative<Accept>(body) || std::holds_alternative<Commit>(body);
      for (const char* who : {"A", "B", "C"})
        if (of_provider && matched && matched->provider == account_named(who)) from = who;
      transactions.push_back(of_validator(genesis, from, nonces[from]++, body));
      names.push_back(name(body));
      if (std::holds_alternative<OpenJob>(body)) jobs.push_back(transaction_id(transactions.back()).as<JobIdTag>());
    }
    const auto entries = driver.prepare(transactions);
    ASSERT_EQ(entries.size(), 21u);
    const auto done = driver.finalize(entries, driver.key());
    for (int i = 1; i < done.tx_results_size(); i++) {
      const auto at = std::find(transactions.begin(), transactions.end(), Bytes(entries[static_cast<size_t>(i)].begin(), entries[static_cast<size_t>(i)].end()));
      succeeded[names[static_cast<size_t>(at - transactions.begin())]] += done.tx_results(i).code() == 0;
    }
    Proposal proposal{Height{driver.next()}, (1'700'000'000 + driver.next()) * 1000, attest::address_of(driver.key()), {}, {}, {}};
    for (const auto& entry : entries) proposal.entries.emplace_back(entry.begin(), entry.end());
    driver.commit();
    const Block extended = direct->extend(proposal, [](const attest::Header& header) { return attest::SignedHeader{header, attest::CometSeal{}}; });
    const auto id = attest::header_id(extended.header.header);
    ASSERT_EQ(done.app_hash(), std::string(id.v.begin(), id.v.end())) << block;
    ASSERT_EQ(encode(extended), encode(*driver.chain().store().block(direct->store().head())));
  }
  EXPECT_EQ(succeeded.size(), 12u);
  for (const auto& [what, times] : succeeded) EXPECT_GT(times, 0) << what;
}

// Strangers fill a block many times over, at a hundred times the fee, with moves of no game and out of turn among it. The block holds
// the move that an open game waits for, first, and what stands before it in its sender's order.
TEST(Application, AFloodTakesNobodysTurnInAGame) {
  const auto genesis = comet_genesis(1, {"A", "P", "C", "flooder"});
  Driver driver(genesis, 0);
  std::map<std::string, uint64_t> nonces;
  const auto sent = [&](const std::string& who, Body body) { return of_validator(genesis, who, nonces[who]++, std::move(body)); };
  const auto does = [&](const std::string& who, Body body) {
    const Bytes tx = sent(who, std::move(body));
    EXPECT_EQ(driver.block({tx}), "ok");
    return transaction_id(tx);
  };
  const Scene scene;
  auto spec = scene.spec();
  spec.accept_ms = spec.run_ms = 100'000;
  const Claim claim(spec);
  does("P", Stake{Amount{kCrn}});
  does("P", scene.offer());
  const JobId job = does("A", OpenJob{spec}).as<JobIdTag>();
  does("P", Accept{job});
  does("P", Commit{claim.commitment(job)});
  does("C", Challenge{job, 3, hash_named("other end"), claim.segment(3)});
  const GameId game = driver.chain().read([&](const App& app) { return app.state().job(job)->games.at(0); });
  ASSERT_TRUE(driver.chain().read([&](const App& app) { return awaits_move(app.state(), game, account_named("P")); }));

  const Body out_of_turn = PlayMove{game, attest::NoneDiffers{}};
  std::vector<Bytes> flood;
  for (uint64_t i = 0; i < 200; i++) {
    Transaction tx;
    tx.genesis = attest::genesis_hash(genesis);
    tx.sender = account_named("flooder");
    tx.nonce = i;
    tx.expiry = ChainTime{UINT64_MAX};
    tx.body = i % 10 == 0 ? out_of_turn : Body(Transfer{account_named("A"), Amount{1}});
    sign(tx, key_named("flooder"), 100 * genesis.params.fee_per_byte);
    flood.push_back(encode(tx));
  }
  const Bytes before = sent("P", Transfer{account_named("A"), Amount{1}}), move = sent("P", out_of_turn);
  flood.insert(flood.end(), {before, move});
  const auto entries = driver.prepare(flood, 5'000);
  ASSERT_GT(entries.size(), 10u);
  EXPECT_LT(entries.size(), 25u);
  EXPECT_EQ(entries[1], std::string(before.begin(), before.end()));
  EXPECT_EQ(entries[2], std::string(move.begin(), move.end()));
  EXPECT_TRUE(driver.process(entries, driver.key()));
}

// CometBFT asks before it takes a transaction, and after a block whether it still waits.
TEST(Application, WhatMayWaitIsBounded) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.block({});
  const auto waits = [&](const Bytes& tx) { return driver.check_parcel({tx}, true) == "ok"; };
  const auto priced = [&](uint64_t nonce, uint64_t times) {
    Transaction tx;
    tx.genesis = attest::genesis_hash(genesis);
    tx.sender = account_named("A");
    tx.nonce = nonce;
    tx.expiry = ChainTime{UINT64_MAX};
    tx.body = Transfer{account_named("B"), Amount{1}};
    sign(tx, key_named("A"), times * genesis.params.fee_per_byte);
    return encode(tx);
  };
  const Bytes first = priced(0, 1), dearer = priced(0, 2), second = priced(1, 1), gap = priced(3, 1);
  EXPECT_EQ(driver.check(first), "ok");
  EXPECT_EQ(driver.check(first), "ok");  // again
  EXPECT_EQ(driver.check(priced(MempoolLimits{}.lane, 1)), "wrong_nonce");  // further ahead than a lane is long
  EXPECT_EQ(driver.check(dearer), "ok");                                    // replaces it
  EXPECT_EQ(driver.check(first), "fee_too_low");
  EXPECT_EQ(driver.check(second), "ok");
  EXPECT_EQ(driver.check(gap), "ok");
  EXPECT_EQ(driver.check(priced(4, 300'000'000)), "ok");
  EXPECT_EQ(driver.check(priced(5, 300'000'000)), "insufficient");          // both fees are more than it holds
  EXPECT_FALSE(waits(first));
  const auto entries = driver.prepare({});
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[1], std::string(dearer.begin(), dearer.end()));
  driver.finalize(entries, driver.key());
  driver.commit();
  for (const auto& [tx, still] : {std::pair(dearer, false), {second, false}, {gap, true}}) EXPECT_EQ(waits(tx), still);
  EXPECT_EQ(driver.check(second), "wrong_nonce");
}

// Another node's parcel is taken for whatever of it may wait, and kept while one of it waits.
TEST(Application, ParcelTable) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.block({});
  const auto from = [&](const char* who, uint64_t nonce) { return transfer(genesis, who, "B", nonce); };
  const Bytes a0 = from("A", 0), a1 = from("A", 1), b0 = from("B", 0), b1 = from("B", 1), c0 = from("C", 0), far = from("A", 10'000);
  Bytes false_one = from("C", 0), trailing = encode(Parcel{{c0}}), truncated = trailing;
  false_one.back() ^= 1;
  trailing.push_back(0);
  truncated.pop_back();
  const struct {
    const char* what;
    std::vector<Bytes> parcel;
    const char* code;
  } rows[] = {
      {"nothing", {}, "malformed"},
      {"one", {a0}, "ok"},
      {"the same", {a0}, "ok"},
      {"one that waits, one that may not", {far, a0}, "ok"},
      {"one that may not", {far}, "wrong_nonce"},
      {"one that is none", {a1, Bytes{1, 2, 3}, b0}, "malformed"},
      {"a false signature", {a1, false_one, b0}, "bad_signature"},
      {"several", {b0, b1}, "ok"},
  };
  for (const auto& row : rows) EXPECT_EQ(driver.check_parcel(row.parcel), row.code) << row.what;
  EXPECT_EQ(driver.check_bytes(trailing), "malformed");
  EXPECT_EQ(driver.check_bytes(truncated), "malformed");
  const auto entries = driver.prepare({});
  EXPECT_EQ(entries.size(), 5u);  // a1 stood before what ended its parcel
  driver.finalize({entries[0], entries[1], entries[2]}, driver.key());
  driver.commit();
  const auto waits = [&](const std::vector<Bytes>& parcel) { return driver.check_parcel(parcel, true) == "ok"; };
  EXPECT_TRUE(waits({a0, a1, b0, b1}));
  EXPECT_FALSE(waits({}));
  EXPECT_FALSE(waits({c0}));
  driver.finalize(driver.prepare({}), driver.key());
  driver.commit();
  EXPECT_FALSE(waits({a0, a1, b0, b1}));
}

// However a parcel is damaged, it is refused or what stands in it is itself.
TEST(Application, DamagedParcelsNeverHarm) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.block({});
  const Bytes whole = encode(Parcel{{transfer(genesis, "A", "B", 0), transfer(genesis, "B", "A", 0), transfer(genesis, "C", "A", 0)}});
  std::mt19937 random(4);
  for (int round = 0; round < 3'000; round++) {
    Bytes bad = whole;
    for (unsigned k = 0; k <= random() % 3; k++) bad[random() % (round % 2 ? bad.size() : 12)] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    const auto parcel = decode<Parcel>(bad);
    EXPECT_TRUE(!parcel || encode(*parcel) == bad);
    driver.check_bytes(bad, round % 3 == 0);
  }
  EXPECT_LE(driver.prepare({}).size(), 4u);
}

// Queries from other threads while blocks are decided and committed: each answer is of one height, whole. So are checks.
TEST(Application, QueriesBesideCommitsSeeOneHeight) {
  const auto genesis = comet_genesis(1);
  Driver driver(genesis, 0);
  driver.block({});
  std::atomic<bool> over{false};
  std::atomic<int> answered{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 2; i++)
    askers.emplace_back([&] {
      abci::Request ask, check;
      const Hash key = blake3(key_of(Holder::account(account_named("B")), {}));
      ask.mutable_query()->set_path("prove");
      ask.mutable_query()->set_data(std::string(key.v.begin(), key.v.end()));
      const Bytes tx = transfer(genesis, "C", "B", 1);  // waits: none of nonce 0 comes
      const Bytes parcel = encode(Parcel{{tx}});
      check.mutable_check_tx()->set_tx(std::string(parcel.begin(), parcel.end()));
      uint64_t last = 0;
      while (!over) {
        const auto proven = must(decode<Proven>(as_bytes(driver.ask(ask).query().value())));
        ASSERT_TRUE(proven.proof.found && attest::check_present(proven.header.state_root, *proven.proof.found, proven.proof));
        ASSERT_GE(number(proven.header.height), last);
        last = number(proven.header.height);
        ASSERT_EQ(driver.ask(check).check_tx().code(), 0u);
        answered++;
      }
    });
  for (uint64_t i = 0; i < 30; i++) driver.block({transfer(genesis, "A", "B", i)});
  while (answered < 100) std::this_thread::yield();
  over = true;
  for (auto& asker : askers) asker.join();
}

// Between two applications what CometBFT does between two nodes.
TEST(Application, ASnapshotIsOfferedCheckedAndGoneOnFrom) {
  const auto genesis = comet_genesis(2);
  Driver one(genesis, 0, Driver::Begins::genesis, 2), other(genesis, 1, Driver::Begins::snapshot);
  for (uint64_t i = 0; i < 4; i++) one.block({transfer(genesis, "A", "B", i)});
  abci::Request list;
  list.mutable_list_snapshots();
  abci::Snapshot snapshot;
  for (int waited = 0; snapshot.height() != 4 && waited < 3'000; waited++) {
    const auto shown = one.ask(list).list_snapshots();
    if (shown.snapshots_size() > 0) snapshot = shown.snapshots(shown.snapshots_size() - 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(snapshot.height(), 4u);
  const Hash id = one.chain().read([](const App& app) { return attest::header_id(app.head().header); });
  const auto offered = [&](const abci::Snapshot& what, Hash app_hash) {
    abci::Request offer;
    *offer.mutable_offer_snapshot()->mutable_snapshot() = what;
    offer.mutable_offer_snapshot()->set_app_hash(std::string(app_hash.v.begin(), app_hash.v.end()));
    return other.ask(offer).offer_snapshot().result();
  };
  Hash another = id;
  another.v[0] ^= 1;
  abci::Snapshot higher = snapshot, longer = snapshot, headless = snapshot, newer = snapshot;
  higher.set_height(6);
  longer.set_chunks(2);
  headless.set_metadata("x");
  newer.set_format(2);
  EXPECT_EQ(offered(snapshot, another), abci::ResponseOfferSnapshot::REJECT);
  for (const auto& lie : {higher, longer, headless, newer}) EXPECT_EQ(offered(lie, id), abci::ResponseOfferSnapshot::REJECT);
  EXPECT_EQ(offered(snapshot, id), abci::ResponseOfferSnapshot::ACCEPT);

  ASSERT_EQ(snapshot.chunks(), 1u);
  abci::Request load;
  load.mutable_load_snapshot_chunk()->set_height(4);
  load.mutable_load_snapshot_chunk()->set_format(1);
  const std::string chunk = one.ask(load).load_snapshot_chunk().chunk();
  const auto applied = [&](const std::string& bytes) {
    abci::Request apply;
    apply.mutable_apply_snapshot_chunk()->set_chunk(bytes);
    apply.mutable_apply_snapshot_chunk()->set_sender("somebody");
    return other.ask(apply).apply_snapshot_chunk();
  };
  std::string lie = chunk;
  lie[lie.size() / 2] ^= 1;
  const auto refused = applied(lie);
  EXPECT_EQ(refused.result(), abci::ResponseApplySnapshotChunk::RETRY);
  ASSERT_EQ(refused.refetch_chunks_size(), 1);
  ASSERT_EQ(refused.reject_senders_size(), 1);
  EXPECT_EQ(refused.reject_senders(0), "somebody");
  EXPECT_EQ(number(other.chain().store().head()), 0u);
  EXPECT_EQ(applied(chunk).result(), abci::ResponseApplySnapshotChunk::ACCEPT);

  abci::Request info;
  info.mutable_info();
  const auto told = other.ask(info).info();
  EXPECT_EQ(told.last_block_height(), 4);
  EXPECT_EQ(told.last_block_app_hash(), std::string(id.v.begin(), id.v.end()));
  // CometBFT may not have noted it: then it asks again.
  EXPECT_EQ(offered(snapshot, another), abci::ResponseOfferSnapshot::REJECT);
  EXPECT_EQ(offered(snapshot, id), abci::ResponseOfferSnapshot::ACCEPT);
  EXPECT_EQ(applied(chunk).result(), abci::ResponseApplySnapshotChunk::ACCEPT);

  const auto entries = one.prepare({transfer(genesis, "A", "B", 4)});
  ASSERT_TRUE(other.process(entries, one.key()));
  EXPECT_EQ(one.finalize(entries, one.key()).SerializeAsString(), other.finalize(entries, one.key()).SerializeAsString());
  one.commit();
  other.commit();
  EXPECT_EQ(number(other.chain().store().head()), 5u);
}

}  // namespace
}  // namespace cairn::ledger::comet
