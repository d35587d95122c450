// The mempool as a table: what comes in, what a block takes, what gives way.
#include "ledger/mempool.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/blake3.h"

namespace cairn::ledger {
namespace {

// Ids are the names of the rows: "A0" is A's transaction with nonce 0.
Waiting waiting(const std::string& id, char sender, uint64_t nonce, uint64_t fee, size_t size = 100, uint64_t expiry = 1000, bool is_move = false) {
  Waiting out;
  std::copy(id.begin(), id.end(), out.id.v.begin());
  out.signer.account.v[0] = static_cast<uint8_t>(sender);
  out.bytes.resize(size);
  out.nonce = nonce;
  out.fee = Amount{fee};
  out.expiry = ChainTime{expiry};
  out.is_move = is_move;
  return out;
}
std::string id_of(const Waiting& w) { return reinterpret_cast<const char*>(w.id.data()); }
std::string ids_of(const std::vector<Waiting>& list) {
  std::string out;
  for (const auto& w : list) out += (out.empty() ? "" : " ") + id_of(w);
  return out;
}
std::string gone(const std::vector<std::pair<Waiting, Error>>& list) {
  std::string out;
  for (const auto& [w, why] : list) out += (out.empty() ? "" : ", ") + id_of(w) + " " + std::string(name(why.code));
  return out;
}
std::string taken(const Mempool& pool, size_t max_bytes = 1'000'000) {
  std::string out;
  for (const auto* w : pool.take(max_bytes)) out += (out.empty() ? "" : " ") + id_of(*w);
  return out;
}
Signer sender(char name) {
  Signer out;
  out.account.v[0] = static_cast<uint8_t>(name);
  return out;
}

// id sender nonce fee size expiry move -> outcome; the account's next nonce is 0, its balance 1000, now is 10.
struct Row {
  const char* text;
  const char* outcome;  // "ok", "ok: what gave way", or a code
  const char* block;    // what the next one takes
};

void play(Mempool& pool, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    std::istringstream in(row.text);
    std::string id, kind;
    char who = 0;
    uint64_t nonce = 0, fee = 0, expiry = 1000;
    size_t size = 100;
    in >> id >> who >> nonce >> fee >> size >> expiry >> kind;
    auto added = pool.add(waiting(id, who, nonce, fee, size, expiry, kind == "move"), {0, Amount{1000}}, ChainTime{10});
    const std::string outcome = !added ? std::string(name(added.error().code)) : added->empty() ? "ok" : "ok: " + ids_of(*added);
    EXPECT_EQ(outcome, row.outcome) << row.text;
    EXPECT_EQ(taken(pool), row.block) << row.text;
  }
}

TEST(Mempool, OrderAndRefusals) {
  Mempool pool({.count = 100, .bytes = 10'000, .moves_count = 2, .moves_bytes = 1'000, .lane = 4});
  play(pool, {
                 // id who nonce fee size expiry
                 {"A1 A 1 100 100 1000", "ok", ""},                       // its turn has not come
                 {"A0 A 0 100 100 1000", "ok", "A0 A1"},
                 {"A0 A 0 100 100 1000", "already", "A0 A1"},
                 {"B0 B 0 200 100 1000", "ok", "B0 A0 A1"},               // pays more a byte
                 {"C0 C 0 300 200 1000", "ok", "B0 C0 A0 A1"},            // pays more, but less a byte
                 {"D0 D 0 100 100 10", "expired", "B0 C0 A0 A1"},
                 {"A4 A 4 100 100 1000", "wrong_nonce", "B0 C0 A0 A1"},   // a lane has 4 places
                 {"A3 A 3 100 100 1000", "ok", "B0 C0 A0 A1"},            // 2 is missing
                 {"B0b B 0 219 100 1000", "fee_too_low", "B0 C0 A0 A1"},  // a tenth more is asked
                 {"B0c B 0 220 100 1000", "ok: B0", "B0c C0 A0 A1"},
                 {"B1 B 1 781 100 1000", "insufficient", "B0c C0 A0 A1"},  // 220 + 781 > 1000
                 {"B1b B 1 780 100 1000", "ok", "B0c B1b C0 A0 A1"},      // behind its own, however much it pays
                 {"A2 A 2 1 100 1000", "ok", "B0c B1b C0 A0 A1 A2 A3"},
                 {"M0 M 0 1 100 1000 move", "ok", "M0 B0c B1b C0 A0 A1 A2 A3"},
                 {"N0 N 0 1 100 1000", "ok", "M0 B0c B1b C0 A0 A1 A2 A3 N0"},
                 {"N1 N 1 1 100 1000 move", "ok", "M0 N0 N1 B0c B1b C0 A0 A1 A2 A3"},  // what stands before a move goes with it
                 {"O0 O 0 500 100 1000 move", "mempool_full", "M0 N0 N1 B0c B1b C0 A0 A1 A2 A3"},
             });
  EXPECT_EQ(taken(pool, 500), "M0 N0 B0c B1b A0");
  EXPECT_EQ(taken(pool, 250), "M0 B0c");
}

TEST(Mempool, WhoPaysLeastGivesWayFromTheEndOfItsLane) {
  Mempool pool({.count = 3, .bytes = 10'000, .moves_count = 2, .moves_bytes = 1'000, .lane = 4});
  play(pool, {
                 {"A0 A 0 10 100 1000", "ok", "A0"},
                 {"A1 A 1 90 100 1000", "ok", "A0 A1"},
                 {"B0 B 0 50 100 1000", "ok", "B0 A0 A1"},
                 {"C0 C 0 10 100 1000", "mempool_full", "B0 A0 A1"},   // no better than the worst
                 {"A2 A 2 500 100 1000", "mempool_full", "B0 A0 A1"},  // the worst is its own
                 {"M0 M 0 1 100 1000 move", "ok", "M0 B0 A0 A1"},      // has its own room
                 {"C0 C 0 11 100 1000", "ok: A1", "M0 B0 C0 A0"},
                 {"D0 D 0 20 100 1000", "ok: A0", "M0 B0 D0 C0"},
                 {"E0 E 0 20 9950 1000", "mempool_full", "M0 B0 D0 C0"},  // of bytes
             });
}

// What a game with oneself gives is little: a few places, and none behind a gap.
TEST(Mempool, AMoveShieldsFew) {
  Mempool pool({.count = 5, .bytes = 10'000, .moves_count = 9, .moves_bytes = 1'000, .lane = 9, .lane_moves = 2, .escort = 2, .escort_bytes = 250});
  play(pool, {
                 {"A0 A 0 10 100 1000", "ok", "A0"},
                 {"A1 A 1 10 100 1000", "ok", "A0 A1"},
                 {"A2 A 2 10 100 1000", "ok", "A0 A1 A2"},
                 {"A3 A 3 1 100 1000 move", "ok", "A0 A1 A2 A3"},        // three before it: it goes when its turn comes
                 {"B0 B 0 50 100 1000", "ok", "B0 A0 A1 A2 A3"},
                 {"C1 C 1 10 100 1000", "ok", "B0 A0 A1 A2 A3"},         // five wait
                 {"C2 C 2 1 100 1000 move", "ok", "B0 A0 A1 A2 A3"},     // behind a gap
                 {"D0 D 0 20 100 1000", "ok: C1", "B0 D0 A0 A1 A2 A3"},
                 {"D1 D 1 20 100 1000", "ok: A2", "B0 D0 D1 A0 A1"},     // the move stays, and goes nowhere without A2
                 {"A2b A 2 1 100 1000 move", "ok", "A0 A1 A2b A3 B0 D0 D1"},
                 {"E0 E 0 21 100 1000", "ok: D1", "A0 A1 A2b A3 B0 E0 D0"},  // A0 and A1 pay less, and go with a move
                 {"A4 A 4 1 100 1000 move", "mempool_full", "A0 A1 A2b A3 B0 E0 D0"},  // its third waits like anything else
             });
}

// Whoever plays with itself does not keep out what others must say in time.
TEST(Mempool, MovesGoFirstIntoHalfOfABlock) {
  Mempool pool;
  for (const char who : {'M', 'N', 'O', 'P'})
    ASSERT_TRUE(pool.add(waiting(std::string(1, who) + "0", who, 0, 10 - static_cast<uint64_t>(who - 'M'), 100, 1000, true), {0, Amount{1000}}, ChainTime{10}));
  for (const char who : {'A', 'B'}) ASSERT_TRUE(pool.add(waiting(std::string(1, who) + "0", who, 0, 60 - static_cast<uint64_t>(who - 'A')), {0, Amount{1000}}, ChainTime{10}));
  EXPECT_EQ(taken(pool), "M0 N0 O0 P0 A0 B0");
  EXPECT_EQ(taken(pool, 400), "M0 N0 A0 B0");
  EXPECT_EQ(taken(pool, 500), "M0 N0 A0 B0 O0");
  EXPECT_EQ(taken(pool, 150), "M0") << "one that is larger than half has its place";
}

// Fees are an account's, whichever of its keys signs.
TEST(Mempool, AllKeysOfAnAccountPayFromOneBalance) {
  Mempool pool;
  auto hot = waiting("H0", 'A', 0, 600);
  hot.signer.hot_key.v[0] = 1;
  EXPECT_TRUE(pool.add(hot, {0, Amount{1000}}, ChainTime{10}));
  EXPECT_EQ(pool.add(waiting("A0", 'A', 0, 401), {0, Amount{1000}}, ChainTime{10}).error().code, Code::insufficient);
  EXPECT_TRUE(pool.add(waiting("A0", 'A', 0, 400), {0, Amount{1000}}, ChainTime{10}));
  pool.drop(hot.id);
  EXPECT_TRUE(pool.add(waiting("A1", 'A', 1, 600), {0, Amount{1000}}, ChainTime{10}));
}

// What its account no longer pays for, or whose keys may have gone, leaves: from the end, so that what stays can still be used.
TEST(Mempool, WhatIsNoLongerPaidForLeaves) {
  const auto hot = [](const char* id, uint64_t nonce, uint64_t fee) {
    auto out = waiting(id, 'A', nonce, fee);
    out.signer.hot_key.v[0] = 1;
    return out;
  };
  const Signer account = sender('A'), key = hot("", 0, 0).signer;
  Mempool pool;
  const auto fill = [&] {
    for (uint64_t n : {1, 2, 3}) {
      ASSERT_TRUE(pool.add(waiting("A" + std::to_string(n), 'A', n, 100), {1, Amount{1000}}, ChainTime{10}));
      ASSERT_TRUE(pool.add(hot(("H" + std::to_string(n)).c_str(), n, 50), {1, Amount{1000}, Amount{150}}, ChainTime{10}));
    }
    ASSERT_TRUE(pool.add(waiting("B0", 'B', 0, 10), {0, Amount{1000}}, ChainTime{10}));
  };
  fill();
  EXPECT_EQ(pool.add(hot("H4", 4, 1), {1, Amount{1000}, Amount{150}}, ChainTime{10}).error().code, Code::insufficient);
  EXPECT_EQ(gone(pool.settle({{account, {1, Amount{450}}}, {key, {1, Amount{450}, Amount{150}}}}, {}, ChainTime{20})), "");
  EXPECT_EQ(gone(pool.settle({{account, {1, Amount{350}}}}, {}, ChainTime{20})), "A3 insufficient");
  EXPECT_EQ(gone(pool.settle({{key, {1, Amount{350}, Amount{120}}}}, {}, ChainTime{20})), "H3 insufficient");
  EXPECT_EQ(gone(pool.settle({}, {key}, ChainTime{20})), "H1 bad_signature, H2 bad_signature");
  ASSERT_TRUE(pool.add(hot("H5", 1, 50), {1, Amount{1000}, Amount{150}}, ChainTime{10}));
  EXPECT_EQ(gone(pool.settle({}, {account}, ChainTime{20})), "A1 bad_signature, A2 bad_signature, H5 bad_signature");
  EXPECT_EQ(taken(pool), "B0");
}

TEST(Mempool, ABlockAndTimeTakeThingsOut) {
  Mempool pool;
  play(pool, {
                 {"A0 A 0 100 100 50", "ok", "A0"},
                 {"A1 A 1 100 100 60", "ok", "A0 A1"},
                 {"A2 A 2 100 100 90", "ok", "A0 A1 A2"},
                 {"B0 B 0 90 100 50", "ok", "A0 A1 A2 B0"},
             });
  const Amount enough{1000};
  EXPECT_EQ(gone(pool.settle({{sender('A'), {1, enough}}}, {}, ChainTime{20})), "A0 wrong_nonce");
  EXPECT_EQ(taken(pool), "A1 A2 B0");
  EXPECT_EQ(gone(pool.settle({{sender('A'), {1, enough}}}, {}, ChainTime{60})), "B0 expired, A1 expired");
  EXPECT_EQ(taken(pool), "");                                                // A2 waits for another with nonce 1
  EXPECT_FALSE(pool.ready());
  EXPECT_EQ(gone(pool.settle({{sender('A'), {3, enough}}}, {}, ChainTime{60})), "A2 wrong_nonce");
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_EQ(pool.bytes(), 0u);
}

}  // namespace
}  // namespace cairn::ledger
