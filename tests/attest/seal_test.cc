// CometBFT's own bytes: what four validators of v0.38.26 signed, recorded from a network in which a fifth joined and resigned.
//
//   tests/attest/comet_seal.golden    genesis, then a sealed header; canonical bytes in hexadecimal, a line each
//
// Anew, where a record has changed: CAIRN_LONG=1 CAIRN_RECORD=tests/attest/comet_seal.golden comet_net_test --gtest_filter=*OneJoins*
#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "attest/header.h"
#include "attest/light_client.h"
#include "base/blake3.h"

namespace cairn::attest {
namespace {

struct Golden {
  Genesis genesis;
  SignedHeader header;
  Golden() {
    std::ifstream in("tests/attest/comet_seal.golden");
    std::string first, second;
    std::getline(in, first);
    std::getline(in, second);
    genesis = must(decode<Genesis>(*from_hex(first)));
    header = must(decode<SignedHeader>(*from_hex(second)));
  }
  CometSeal& seal() { return std::get<CometSeal>(header.seal); }
  CometVote& vote() {  // the first that counts
    return *std::find_if(seal().commit.votes.begin(), seal().commit.votes.end(), [](const CometVote& v) { return v.flag == CometVoteFlag::commit; });
  }
};

TEST(Seal, RecordedOnesHold) {
  Golden golden;
  const auto checked = check_header(golden.genesis, golden.header);
  ASSERT_TRUE(checked) << checked.error().text;
  ASSERT_GE(golden.seal().changes.size(), 1u);
  EXPECT_EQ(header_hash(golden.seal().header).hex(), golden.seal().commit.block.hash.hex());
  std::vector<CometValidator> set;
  for (const auto& validator : golden.genesis.validators) set.push_back({validator.key, votes_of(validator.stake)});
  sort_set(set);
  const SetChange& first = golden.seal().changes[0];
  EXPECT_EQ(set_hash(first.set.empty() ? set : first.set), first.header.validators);  // none given: the genesis's
  EXPECT_EQ(set_hash(first.next), first.header.next_validators);
}

TEST(Seal, Table) {
  const struct {
    const char* what;
    void (*damage)(Golden&);
    Code code;
  } rows[] = {
      {"another state root", [](Golden& g) { g.header.header.state_root.v[0] ^= 1; }, Code::proof},
      {"another app hash", [](Golden& g) { g.seal().header.app.v[0] ^= 1; }, Code::proof},
      {"another height", [](Golden& g) { g.seal().header.height = Height{number(g.seal().header.height) + 1}; }, Code::proof},
      {"another chain", [](Golden& g) { g.seal().header.chain_id = "other"; }, Code::proof},
      {"a false vote", [](Golden& g) { g.vote().signature.v[5] ^= 1; }, Code::bad_signature},
      {"a vote of another time", [](Golden& g) { g.vote().time.nanos ^= 1; }, Code::bad_signature},
      {"a vote of another round", [](Golden& g) { g.seal().commit.round++; }, Code::bad_signature},
      {"too few votes", [](Golden& g) { g.vote().flag = CometVoteFlag::nil, g.vote().flag = CometVoteFlag::nil; }, Code::proof},
      {"a vote missing", [](Golden& g) { g.seal().commit.votes.pop_back(); }, Code::proof},
      {"a change left out", [](Golden& g) { g.seal().changes.pop_back(); }, Code::proof},
      {"changes out of order", [](Golden& g) { g.seal().changes.push_back(g.seal().changes[0]); }, Code::proof},
      {"another set", [](Golden& g) { g.seal().changes[0].set = g.seal().changes[0].next; }, Code::proof},
      {"another next set", [](Golden& g) { g.seal().changes[0].next[0].votes++; }, Code::proof},
      {"no votes at all", [](Golden& g) { g.header.seal = ProducerSeal{}; }, Code::proof},
  };
  for (const auto& row : rows) {
    Golden golden;
    row.damage(golden);
    const auto checked = check_header(golden.genesis, golden.header);
    ASSERT_FALSE(checked) << row.what;
    EXPECT_EQ(name(checked.error().code), name(row.code)) << row.what << ": " << checked.error().text;
  }
}

// ---- validators by letters ----

SecretKey key(char letter) { return SecretKey::from_seed(tagged_hash("seal", {as_bytes(std::string(1, letter))}).v); }

std::vector<CometValidator> set_of(const std::string& members) {  // "a100 b50": letter and votes
  std::vector<CometValidator> set;
  std::istringstream in(members);
  for (std::string one; in >> one;) set.push_back({key(one[0]).public_key(), std::stoull(one.substr(1))});
  sort_set(set);
  return set;
}

// What those of `signers` who are in the set say of the header, as CometBFT signs it.
CometCommit commit_of(const CometHeader& header, const std::vector<CometValidator>& set, const std::string& signers) {
  CometCommit commit;
  commit.block.hash = header_hash(header);
  for (const auto& validator : set) {
    auto& vote = commit.votes.emplace_back();
    for (const char letter : signers) {
      if (key(letter).public_key() != validator.key) continue;
      vote.flag = CometVoteFlag::commit;
      vote.time.seconds = 5;
      const Bytes bytes = vote_bytes(header.chain_id, header.height, commit, vote.time);
      uint8_t shown[32], secret[64];
      crypto_sign_seed_keypair(shown, secret, key(letter).seed().data());
      crypto_sign_detached(vote.signature.v.data(), nullptr, bytes.data(), bytes.size(), secret);
    }
  }
  return commit;
}

// Which header leads on from a set of four with 100 votes each: who stands in its own set with how many votes, and who signs.
TEST(Seal, WhoLeadsOnTable) {
  const auto known = set_of("a100 b100 c100 d100");
  const struct {
    const char* what;
    const char* set;
    const char* signers;
    bool leads;
  } rows[] = {
      {"the known set, all", "", "abcd", true},
      {"the known set, three quarters", "", "abc", true},
      {"the known set, half", "", "ab", false},
      {"a fifth, all", "a100 b100 c100 d100 e300", "abcde", true},
      {"a fifth, three of the known", "a100 b100 c100 d100 e300", "abce", true},
      {"a fifth, two of the known", "a100 b100 c100 d100 e300", "abe", false},
      {"the fifth has more than two thirds", "a100 b100 c100 d100 e900", "e", false},
      {"other votes", "a1 b1 c1 d1", "abc", true},
      {"one has left", "a100 b100 c100", "abc", true},
      {"two have left", "a100 b100", "ab", false},
      {"strangers", "e100 f100", "ef", false},
  };
  for (const auto& row : rows) {
    const auto set = *row.set ? set_of(row.set) : known;
    CometHeader header;
    header.chain_id = "cairn-seal";
    header.height = Height{7};
    header.validators = header.next_validators = set_hash(set);
    const auto led = check_led(known, header, commit_of(header, set, row.signers), *row.set ? set : std::vector<CometValidator>());
    EXPECT_EQ(static_cast<bool>(led), row.leads) << row.what << (led ? "" : ": " + led.error().text);
  }
}

// A node leaves out what no client counts; no more than that.
TEST(Seal, OddVotesAreLeftOut) {
  const auto known = set_of("a100 b100 c100 d100");
  CometHeader header;
  header.chain_id = "cairn-seal";
  header.height = Height{7};
  header.validators = header.next_validators = set_hash(known);
  const auto led = [&](const CometCommit& commit) {
    const auto done = check_led(known, header, commit, {});
    return done ? "ok" : name(done.error().code);
  };
  struct Row {
    const char* what;
    std::vector<void (*)(CometVote&)> odd;  // the first vote, the second
    const char* before;
    const char* after;
  };
  const auto signature = [](CometVote& vote) { vote.signature.v[5] ^= 1; };
  const auto time = [](CometVote& vote) { vote.time = {}; };  // it stands before 1970 in what was signed
  const auto absent = [](CometVote& vote) { vote = {}; };
  const auto nil = [](CometVote& vote) { vote.flag = CometVoteFlag::nil; };
  for (const Row& row : {Row{"none", {}, "ok", "ok"},
                         {"a signature", {signature}, "bad_signature", "ok"},
                         {"a time", {time}, "bad_signature", "ok"},
                         {"two", {signature, time}, "bad_signature", "proof"},
                         {"beside one that is absent", {absent, time}, "bad_signature", "proof"},
                         {"one that is absent", {absent}, "ok", "ok"},
                         {"one for no block", {nil}, "ok", "ok"}}) {
    CometCommit commit = commit_of(header, known, "abcd");
    for (size_t i = 0; i < row.odd.size(); i++) row.odd[i](commit.votes[i]);
    const CometCommit before = commit;
    EXPECT_EQ(led(commit), row.before) << row.what;
    drop_unsigned(header, commit, known);
    EXPECT_EQ(led(commit), row.after) << row.what;
    for (size_t i = 0; i < known.size(); i++)
      if (i >= row.odd.size() || before.votes[i].flag != CometVoteFlag::commit) {
        EXPECT_EQ(encode(commit.votes[i]), encode(before.votes[i])) << row.what;
      }
  }
}

// Votes are counted before any signature is looked at: else strangers would say how many a client verifies.
TEST(Seal, StrangersCostNoVerification) {
  const auto known = set_of("a100 b100 c100 d100"), strangers = set_of("e900 f900 a1");
  CometHeader header;
  header.height = Height{7};
  header.validators = set_hash(strangers);
  CometCommit commit = commit_of(header, strangers, "efa");
  for (auto& vote : commit.votes) vote.signature = {};
  EXPECT_EQ(check_led(known, header, commit, strangers).error().code, Code::proof);
}

// A chain that a, b, c and d began, and in which e, f, g and h have had the votes since block 6.
class Handover {
 public:
  Handover() {
    genesis.engine = Engine::comet;
    for (const char letter : {'a', 'b', 'c', 'd'})
      genesis.validators.push_back({account_of(key(letter).public_key()), key(letter).public_key(), {}, Amount::of_pebbles(100 * Amount::kPerCrn)});
  }
  CometHeader at(uint64_t height, const std::string& set, const std::string& next) const {
    CometHeader header;
    header.chain_id = comet_chain_id(genesis_hash(genesis));
    header.height = Height{height};
    header.validators = set_hash(set_of(set));
    header.next_validators = set_hash(set_of(next));
    return header;
  }
  SetChange change(uint64_t height, const std::string& set, const std::string& signers, const std::string& next) const {
    const CometHeader header = at(height, set, next);
    return {header, commit_of(header, set_of(set), signers), set_of(set), set_of(next)};
  }
  SignedHeader sealed(uint64_t height, std::vector<SetChange> changes, const std::string& set, const std::string& signers, const std::string& next) const {
    SignedHeader out;
    out.header.genesis = genesis_hash(genesis);
    out.header.height = Height{height};
    out.header.previous.v[0] = 1;
    CometHeader header = at(height + 1, set, next);
    header.app = header_id(out.header);
    out.seal = CometSeal{std::move(changes), header, {}, commit_of(header, set_of(set), signers), set_of(set)};
    return out;
  }
  Genesis genesis;
  static constexpr const char* kFirst = "a100 b100 c100 d100";
  static constexpr const char* kNow = "e100 f100 g100 h100";
  SetChange over() const { return change(5, kFirst, "abcd", kNow); }
};

// Who has seen block 10 believes what its validators lead to, and nothing that those before them sign.
TEST(Seal, WhatFollowsWhatWasSeenTable) {
  const Handover chain;
  const auto over = chain.over();
  const SignedHeader seen = chain.sealed(10, {over}, chain.kNow, "efgh", "w100 x100");
  const auto later = [&](std::vector<SetChange> changes, const char* set, const char* signers) { return chain.sealed(20, std::move(changes), set, signers, set); };
  const struct {
    const char* what;
    SignedHeader header;
    const char* by_genesis;
    const char* code;
  } rows[] = {
      {"the same set", later({over}, chain.kNow, "efgh"), "ok", "ok"},
      {"three of it", later({over}, chain.kNow, "efg"), "ok", "ok"},
      {"two of it", later({over}, chain.kNow, "ef"), "proof", "proof"},
      {"another set that it leads to", later({over, chain.change(15, chain.kNow, "efg", "i100 j100")}, "i100 j100", "ij"), "ok", "ok"},
      {"a set of which three were there", later({over}, "e100 f100 g100 i100", "efgi"), "ok", "ok"},
      {"the genesis's, which have left", later({}, chain.kFirst, "abcd"), "ok", "proof"},
      {"a set that these lead to above what was seen", later({chain.change(15, chain.kFirst, "abcd", "x100")}, "x100", "x"), "ok", "proof"},
      {"a set that these lead to below it", later({chain.change(7, chain.kFirst, "abcd", "x100")}, "x100", "x"), "ok", "proof"},
      {"these as what the others led to", later({over, chain.change(15, chain.kFirst, "abcd", "x100")}, "x100", "x"), "proof", "proof"},
      {"a set that the very block leads to by whose votes it was seen", chain.sealed(20, {over, chain.change(11, chain.kNow, "efgh", "w100 x100")}, "w100 x100", "wx", "w100 x100"), "ok", "ok"},
      {"a set that another block of its height leads to", chain.sealed(20, {chain.change(11, chain.kFirst, "abcd", "y100")}, "y100", "y", "y100"), "ok", "proof"},
      {"the next block's set, as named", chain.sealed(11, {over, chain.change(11, chain.kNow, "efgh", "w100 x100")}, "w100 x100", "wx", "w100 x100"), "ok", "ok"},
      {"the next block's set, another one", chain.sealed(11, {chain.change(11, chain.kFirst, "abcd", "y100")}, "y100", "y", "y100"), "ok", "proof"},
  };
  for (const auto& row : rows) {
    const auto by_genesis = check_header(chain.genesis, row.header), after = check_header_after(chain.genesis, seen, row.header);
    EXPECT_EQ(by_genesis ? "ok" : name(by_genesis.error().code), row.by_genesis) << row.what << (by_genesis ? "" : ": " + by_genesis.error().text);
    EXPECT_EQ(after ? "ok" : name(after.error().code), row.code) << row.what << (after ? "" : ": " + after.error().text);
    LightClient client(chain.genesis, seen);
    EXPECT_EQ(static_cast<bool>(client.believe(row.header, 0)), static_cast<bool>(after)) << row.what;
  }
}

// The block after the sealed one may have too few votes that a client counts: then those of a later block count, to which its headers lead.
TEST(Seal, ALaterBlocksVotesTable) {
  const Handover chain;
  const SignedHeader seen = chain.sealed(10, {chain.over()}, chain.kNow, "efgh", chain.kNow);
  const auto later = [&](void (*damage)(std::vector<CometHeader>&), const char* signers) {
    SignedHeader out = chain.sealed(20, {chain.over()}, chain.kNow, "ef", chain.kNow);
    auto& seal = std::get<CometSeal>(out.seal);
    for (uint64_t height : {22, 23}) {
      CometHeader next = chain.at(height, chain.kNow, chain.kNow);
      next.last_block.hash = header_hash(seal.voted());
      seal.then.push_back(next);
    }
    damage(seal.then);
    seal.commit = commit_of(seal.voted(), set_of(chain.kNow), signers);
    return out;
  };
  const auto none = [](std::vector<CometHeader>&) {};
  const struct {
    const char* what;
    SignedHeader header;
    const char* code;
  } rows[] = {
      {"all of it", later(none, "efgh"), "ok"},
      {"three of the set", later(none, "efg"), "ok"},
      {"two of the set", later(none, "ef"), "proof"},
      {"the way ends before", later([](auto& then) { then.pop_back(); }, "efgh"), "ok"},
      {"the way is empty", later([](auto& then) { then.clear(); }, "efg"), "ok"},
      {"a height is left out", later([](auto& then) { then.erase(then.begin()); }, "efgh"), "proof"},
      {"another block before the last", later([](auto& then) { then.back().last_block.hash.v[0] ^= 1; }, "efgh"), "proof"},
      {"another block in the middle", later([](auto& then) { then.front().data.v[0] ^= 1; }, "efgh"), "proof"},
      {"another chain", later([](auto& then) { then.back().chain_id = "other"; }, "efgh"), "proof"},
  };
  for (const auto& row : rows) {
    const auto by_genesis = check_header(chain.genesis, row.header), after = check_header_after(chain.genesis, seen, row.header);
    EXPECT_EQ(by_genesis ? "ok" : name(by_genesis.error().code), row.code) << row.what;
    EXPECT_EQ(after ? "ok" : name(after.error().code), row.code) << row.what;
    const auto named = trusted_name(chain.genesis, row.header);
    EXPECT_TRUE(!after || *named == header_hash(std::get<CometSeal>(row.header.seal).voted())) << row.what;
  }
  LightClient client(chain.genesis, rows[0].header);  // seen by the votes of block 23
  EXPECT_TRUE(client.believe(chain.sealed(21, {chain.over()}, chain.kNow, "efgh", chain.kNow), 0));

  for (const size_t blocks : {kMaxThen, kMaxThen + 1}) {
    SignedHeader out = chain.sealed(20, {chain.over()}, chain.kNow, "", chain.kNow);
    auto& seal = std::get<CometSeal>(out.seal);
    for (size_t n = 0; n < blocks; n++) {
      CometHeader next = chain.at(22 + n, chain.kNow, chain.kNow);
      next.last_block.hash = header_hash(seal.voted());
      seal.then.push_back(next);
    }
    seal.commit = commit_of(seal.voted(), set_of(chain.kNow), "efgh");
    EXPECT_EQ(static_cast<bool>(check_header(chain.genesis, out)), blocks <= kMaxThen);
  }
}

// What a node adds that no client looks at is not kept either.
TEST(Seal, LittleIsKept) {
  const Handover chain;
  LightClient client(chain.genesis);
  ASSERT_TRUE(client.believe(chain.sealed(10, {chain.over()}, chain.kNow, "efgh", chain.kNow), 0));
  SetChange bulk = chain.change(1, chain.kFirst, "abcd", chain.kFirst);
  bulk.next.resize(100'000);
  ASSERT_TRUE(client.believe(chain.sealed(20, {bulk, chain.over()}, chain.kNow, "efgh", chain.kNow), 0));
  EXPECT_EQ(number(client.seen()->header.height), 20u);
  EXPECT_LT(encode(*client.seen()).size(), 4'000u);
  LightClient again(chain.genesis, client.seen());
  EXPECT_TRUE(again.believe(chain.sealed(30, {chain.over()}, chain.kNow, "efg", chain.kNow), 0));
  EXPECT_FALSE(again.believe(chain.sealed(40, {}, chain.kFirst, "abcd", chain.kFirst), 0));
}

// A name says who had votes: a header that is the named one under other votes is not.
TEST(Seal, ATrustedNameIsOfASet) {
  const Handover chain;
  const SignedHeader seen = chain.sealed(10, {chain.over()}, chain.kNow, "efgh", chain.kNow);
  const Hash name = must(trusted_name(chain.genesis, seen));
  EXPECT_EQ(name, header_hash(std::get<CometSeal>(seen.seal).header));
  SignedHeader others = chain.sealed(10, {}, chain.kFirst, "abcd", chain.kFirst);
  ASSERT_EQ(header_id(others.header), header_id(seen.header));
  LightClient client(chain.genesis);
  EXPECT_EQ(client.begin(others, name).error().code, Code::proof);
  std::get<CometSeal>(others.seal).header = std::get<CometSeal>(seen.seal).header;  // whose set is not the one that it brings
  EXPECT_EQ(client.begin(others, name).error().code, Code::proof);
  SignedHeader bare = seen;
  bare.seal = ProducerSeal{};
  EXPECT_EQ(client.begin(bare, name).error().code, Code::proof);
  EXPECT_FALSE(client.seen());
  SignedHeader bulk = seen;  // nobody looks at its votes
  std::get<CometSeal>(bulk.seal).commit.votes.resize(100'000);
  ASSERT_TRUE(client.begin(bulk, name));
  EXPECT_LT(encode(*client.seen()).size(), 4'000u);
  ASSERT_TRUE(client.begin(seen, name));
  EXPECT_TRUE(client.believe(seen, 0));
  EXPECT_TRUE(client.believe(chain.sealed(20, {chain.over()}, chain.kNow, "efgh", chain.kNow), 0));
  EXPECT_EQ(client.believe(chain.sealed(30, {}, chain.kFirst, "abcd", chain.kFirst), 0).error().code, Code::proof);
}

// The genesis's validators, who have left, seal anew what was seen, and go on from there.
TEST(Seal, AnotherSealOfWhatWasSeenLeadsNowhere) {
  const Handover chain;
  const SignedHeader seen = chain.sealed(10, {chain.over()}, chain.kNow, "efgh", chain.kNow);
  const SignedHeader another = chain.sealed(10, {}, chain.kFirst, "abcd", chain.kFirst);
  ASSERT_EQ(header_id(another.header), header_id(seen.header));
  LightClient client(chain.genesis, seen);
  EXPECT_TRUE(client.believe(another, 0));  // it is the header that was seen
  EXPECT_EQ(encode(*client.seen()), encode(seen));
  EXPECT_EQ(client.believe(chain.sealed(30, {}, chain.kFirst, "abcd", chain.kFirst), 0).error().code, Code::proof);
  EXPECT_TRUE(client.believe(chain.sealed(20, {chain.over()}, chain.kNow, "efgh", chain.kNow), 0));
}

// The highest header seen is of use for the unbonding time; then somebody trusted names another.
TEST(Seal, AnOldAnchorIsRefused) {
  const Golden golden;
  const uint64_t signed_ms = golden.header.header.wall_ms, unbonding_ms = golden.genesis.params.unbonding_ms;
  const auto believed = [&](LightClient& client, uint64_t now_ms) {
    const auto done = client.believe(golden.header, now_ms);
    return done ? std::string("ok") : std::string(name(done.error().code));
  };
  LightClient first(golden.genesis), later(golden.genesis, golden.header);
  EXPECT_EQ(believed(first, signed_ms + 10 * unbonding_ms), "ok");  // it trusts the genesis
  EXPECT_EQ(believed(first, signed_ms + unbonding_ms), "ok");
  EXPECT_EQ(believed(first, signed_ms + unbonding_ms + 1), "too_old");
  EXPECT_EQ(believed(later, signed_ms - 1), "ok");  // a clock that is behind
  EXPECT_EQ(believed(later, signed_ms + unbonding_ms + 1), "too_old");
  auto another = golden.header;
  another.header.genesis = {};
  const Hash named = must(trusted_name(golden.genesis, golden.header));
  EXPECT_EQ(later.begin(another, named).error().code, Code::wrong_chain);
  LightClient anew(golden.genesis);
  ASSERT_TRUE(anew.begin(golden.header, named));
  EXPECT_EQ(believed(anew, signed_ms + unbonding_ms), "ok");
  EXPECT_EQ(believed(anew, signed_ms + unbonding_ms + 1), "too_old");
}

// Whatever is done to the bytes: no other header of ours is ever believed.
TEST(Seal, MutationsNeverSealAnotherHeader) {
  const Golden golden;
  const Bytes bytes = encode(golden.header);
  std::mt19937 random(1);
  for (int round = 0; round < 3'000; round++) {
    Bytes bad = bytes;
    for (unsigned k = 0; k <= random() % 3; k++) bad[random() % bad.size()] ^= static_cast<uint8_t>(1 + random() % 255);
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    const auto header = decode<SignedHeader>(bad);
    if (!header || !check_header(golden.genesis, *header)) continue;
    EXPECT_EQ(header_id(header->header), header_id(golden.header.header));
  }
}

}  // namespace
}  // namespace cairn::attest
