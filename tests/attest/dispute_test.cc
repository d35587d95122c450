// Disputes between an honest party and a liar: the liar loses, whoever it is and wherever it lied.
//
//   dispute_test --faults=10000      as many random faults and as many false accusations; 100 of each in an ordinary run
#include "attest/dispute.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "attest/referee.h"
#include "tests/attest/trial.h"
#include "tests/attest/vast.h"

namespace cairn::attest {
namespace {

int faults = 100;

constexpr uint64_t kSeed = 77;

std::string story(const Game& game) {
  std::string text;
  for (const std::string& line : explain(game)) text += line + "\n";
  return text;
}

// Every operator ends as a leaf: a wrong element of each output is found, a right one is upheld.
TEST(Dispute, EveryOperatorIsALeaf) {
  ASSERT_FALSE(kernels::operators().empty());
  double slowest_ms = 0;
  uint64_t largest = 0;
  std::mt19937_64 rng(5);
  for (const kernels::Operator* op : kernels::operators()) {
    SCOPED_TRACE(std::string(op->name));
    Example example = example_of(*op);
    if (op->id % 2) example.key = blake3(as_bytes("key"));
    ASSERT_TRUE(validate(example.plan, WorkTable{}));
    Trial honest(example, kSeed, 3, 4, example.start);
    for (uint32_t output = 0; output < example.plan.calls[0].output_types.size(); output++) {
      for (int round = 0; round < 3; round++) {
        Lie lie{Lie::value, 3, 0, output, 0, rng(), rng()};
        Trial liar(example, kSeed, 3, 4, example.start, lie);
        const Played accused = play_out(terms_of(example, kSeed, 3, 4, liar, honest), example.plan, liar, honest);
        ASSERT_EQ(accused.game.winner, Party::challenger) << story(accused.game);
        ASSERT_FALSE(accused.by_clock) << story(accused.game);
        ASSERT_EQ(accused.game.output, output);
        const Played slandered = play_out(terms_of(example, kSeed, 3, 4, honest, liar), example.plan, honest, liar);
        ASSERT_EQ(slandered.game.winner, Party::provider) << story(slandered.game);
        ASSERT_FALSE(slandered.by_clock) << story(slandered.game);
        slowest_ms = std::max({slowest_ms, accused.referee_ms, slandered.referee_ms});
        largest = std::max({largest, accused.largest_move, slandered.largest_move});
      }
    }
  }
  std::printf("operators: %zu, slowest leaf %.3f ms, largest move %llu bytes\n", kernels::operators().size(), slowest_ms,
              static_cast<unsigned long long>(largest));
  EXPECT_LE(largest, kMaxMoveBytes);
}

// The liar as a table of kinds: a fault is the provider's, an accusation the challenger's, as many of each. A fault that reaches no
// state is found by the id of the call, as a drawn check finds it.
TEST(Dispute, RandomFaultsAndAccusationsInRandomPrograms) {
  std::mt19937_64 rng(2026);
  int played[2] = {0, 0};  // accusations, faults
  int by_referee = 0, by_link = 0, by_clock = 0, by_claim = 0;
  uint32_t most_moves = 0;
  std::set<uint16_t> judged;  // operators whose block the referee recomputed
  while (played[0] < faults || played[1] < faults) {
    Example example = random_example(rng, 1 + rng() % 40);
    if (rng() % 4 == 0) example.key = blake3(as_bytes("key"));
    ASSERT_TRUE(validate(example.plan, WorkTable{})) << validate(example.plan, WorkTable{}).error().message();
    const uint64_t start = rng() % 4, steps = rng() % 3 == 0 ? 1 : 1 + rng() % 20, end = start + steps;
    Trial honest(example, kSeed, start, end, example.start);
    for (int i = 0; i < 50; i++) {
      const bool accused = i % 2;
      if (played[accused] >= faults) continue;
      Lie lie;
      constexpr Lie::Kind kKinds[] = {Lie::value, Lie::value, Lie::value, Lie::value, Lie::state, Lie::skip, Lie::seed, Lie::end_root};
      lie.kind = kKinds[rng() % std::size(kKinds)];
      lie.step = start + rng() % steps;
      lie.call = static_cast<uint32_t>(rng() % example.plan.calls.size());
      lie.output = static_cast<uint32_t>(rng() % 4);
      lie.slot = static_cast<uint32_t>(rng() % example.plan.state.size());
      lie.at = rng();
      lie.flip = rng() % 2 ? uint64_t{1} << rng() % 32 : rng();
      Trial liar(example, kSeed, start, end, example.start, lie);
      Trial& provider = accused ? liar : honest;
      Trial& challenger = accused ? honest : liar;
      const Party honest_party = accused ? Party::challenger : Party::provider;
      GameTerms terms = terms_of(example, kSeed, start, end, provider, challenger);
      if (terms.end_root == terms.challenger_end_root) {
        if (lie.kind != Lie::value) continue;  // a seed that nothing reads, a step that changes nothing: no fault at all
        terms.claim = CallClaim{lie.step, lie.call, provider.call_ids(lie.step)[lie.call], challenger.call_ids(lie.step)[lie.call]};
        by_claim++;
      }
      const Played p = play_out(terms, example.plan, provider, challenger, [&](Game& game, Party mover, Move& move) {
        if (mover == honest_party || rng() % 16 != 0) return;
        // A liar that lies about carries too, and picks at random.
        if (auto* carries = std::get_if<ShowCarries>(&move))
          for (size_t c = rng() % carries->carries.size(); c < carries->carries.size(); c++) carries->carries[c].lo ^= rng() & 0xffffffff;
        if (auto* pick = std::get_if<Pick>(&move)) pick->child = static_cast<uint8_t>(rng() % (pick->child + 1u));
        if (auto* pick = std::get_if<PickCarry>(&move)) pick->part = static_cast<uint8_t>(rng() % (pick->part + 1u));
        (void)game;
      });
      ASSERT_EQ(p.game.winner, honest_party) << "kind " << lie.kind << " step " << lie.step << " call " << lie.call << "\n" << story(p.game);
      if (p.by_clock) {
        ASSERT_EQ(p.game.to_move, other(honest_party)) << story(p.game);
      }
      played[accused]++;
      by_clock += p.by_clock;
      by_link += !p.by_clock && p.game.slot_id.provider != Hash{};
      by_referee += p.game.found.has_value();
      if (p.game.found) judged.insert(p.game.leaf.op);
      most_moves = std::max({most_moves, p.game.provider_moves, p.game.challenger_moves});
    }
  }
  std::printf("%d faults, %d false accusations, 0 wrong verdicts: referee %d (%zu of %zu operators), link %d, clock %d; %d about a call's id; at most %u moves a side\n",
              played[1], played[0], by_referee, judged.size(), kernels::operators().size(), by_link, by_clock, by_claim, most_moves);
  EXPECT_GT(by_referee, 0);
  EXPECT_GT(by_link, 0);
  if (faults >= 10'000) {
    EXPECT_EQ(judged.size(), kernels::operators().size()) << "some operator's block was never recomputed";
  }
}

// Equal ends, but the drawn call's id differs: decidable, whoever lied about it.
TEST(Dispute, ClaimedCall) {
  std::mt19937_64 rng(9);
  int decided = 0;
  while (decided < 60) {
    const Example example = random_example(rng, 1 + rng() % 20);
    const uint64_t steps = 1 + rng() % 5;
    Trial honest(example, kSeed, 0, steps, example.start);
    Lie lie;
    lie.kind = rng() % 2 ? Lie::id_only : Lie::value;
    lie.step = rng() % steps;
    lie.call = static_cast<uint32_t>(rng() % example.plan.calls.size());
    lie.at = rng();
    lie.flip = rng();
    Trial liar(example, kSeed, 0, steps, example.start, lie);
    for (const bool accused : {true, false}) {
      Trial& provider = accused ? liar : honest;
      Trial& challenger = accused ? honest : liar;
      GameTerms terms = terms_of(example, kSeed, 0, steps, provider, challenger);
      if (terms.end_root != terms.challenger_end_root) continue;
      EXPECT_FALSE(check(terms));  // nothing differs yet
      terms.claim = CallClaim{lie.step, lie.call, provider.call_ids(lie.step)[lie.call], challenger.call_ids(lie.step)[lie.call]};
      ASSERT_TRUE(check(terms));
      const Played p = play_out(terms, example.plan, provider, challenger);
      ASSERT_EQ(p.game.winner, accused ? Party::challenger : Party::provider) << story(p.game);
      decided++;
    }
  }
}

// A challenger without a case finds nothing to pick, even when the terms claim a difference.
TEST(Dispute, NothingToPick) {
  std::mt19937_64 rng(4);
  const Example example = random_example(rng, 6);
  Trial honest(example, kSeed, 0, 3, example.start), same(example, kSeed, 0, 3, example.start);
  GameTerms terms = terms_of(example, kSeed, 0, 3, honest, same);
  terms.challenger_end_root = blake3(as_bytes("made up"));
  const Played p = play_out(terms, example.plan, honest, same);
  EXPECT_TRUE(p.no_case);
  EXPECT_EQ(p.game.winner, Party::provider);
}

// One game move by move: what is refused, with which code, and that a refusal leaves no trace.
TEST(Dispute, Refusals) {
  std::mt19937_64 rng(11);
  const kernels::Operator& matmul = *kernels::find_operator("matmul.f32.v1");
  const Example example = example_of(matmul);
  Trial honest(example, kSeed, 0, 2, example.start);
  Trial liar(example, kSeed, 0, 2, example.start, {Lie::value, 1, 0, 0, 0, 7, 1});
  const GameTerms terms = terms_of(example, kSeed, 0, 2, liar, honest);
  Game game = open_game(terms);
  const auto refused = [&](Party mover, const Move& move) {
    const Bytes before = encode(game);
    const auto result = play(game, mover, move);
    EXPECT_EQ(encode(game), before);
    return result ? Code{} : result.error().code;
  };
  while (!game.over()) {
    const Party mover = game.to_move;
    const Move right = *next_move(game, mover, example.plan, mover == Party::provider ? static_cast<Replay&>(liar) : honest);
    EXPECT_EQ(refused(other(mover), right), Code::wrong_turn);
    EXPECT_EQ(refused(mover, mover == Party::provider ? Move{NoneDiffers{}} : Move{ShowNode{}}), Code::malformed);
    if (mover == Party::challenger) {
      if (const auto* pick = std::get_if<Pick>(&right)) {
        EXPECT_EQ(refused(mover, Pick{200, pick->mine}), Code::malformed);
        const auto& shown = game.phase == Phase::outputs ? game.output_ids : game.walk.shown;
        EXPECT_EQ(refused(mover, Pick{pick->child, shown[pick->child]}), Code::invalid);
      }
      if (const auto* pick = std::get_if<PickElement>(&right)) {
        EXPECT_EQ(refused(mover, PickElement{1 << 20, pick->mine}), Code::malformed);
        EXPECT_EQ(refused(mover, PickElement{pick->element, uint64_t{1} << 40}), Code::malformed);
        EXPECT_EQ(refused(mover, PickElement{pick->element, pick->mine ^ 1}), Code::invalid);
      }
    } else {
      // Any byte of what a provider shows is bound; what decodes is refused as a proof or as no move of this phase.
      const Bytes bytes = encode(right);
      for (int i = 0; i < 300; i++) {
        Bytes bad = bytes;
        bad[rng() % bad.size()] ^= static_cast<uint8_t>(1 + rng() % 255);
        const auto move = decode<Move>(bad);
        if (!move || std::holds_alternative<ShowCarries>(*move)) continue;  // carries are claims, not proofs
        Game copy = game;
        const auto result = play(copy, mover, *move);
        if (result) {
          ADD_FAILURE() << name(right) << " was accepted with a wrong byte";
        } else {
          EXPECT_TRUE(result.error().code == Code::proof || result.error().code == Code::malformed) << result.error().message();
        }
      }
    }
    ASSERT_TRUE(play(game, mover, right));
  }
  EXPECT_EQ(game.winner, Party::challenger);
  EXPECT_EQ(refused(Party::provider, ShowNode{}), Code::wrong_turn);
  const std::string text = story(game);
  EXPECT_NE(text.find("matmul.f32.v1"), std::string::npos) << text;
  EXPECT_NE(text.find("the challenger wins"), std::string::npos) << text;
}

// Every decoder of the game: damaged states and moves are refused or played, never a crash.
TEST(Dispute, FuzzedStatesAndMoves) {
  std::mt19937_64 rng(12);
  const Example example = random_example(rng, 12);
  Trial honest(example, kSeed, 0, 3, example.start);
  Trial liar(example, kSeed, 0, 3, example.start, {Lie::value, 1, 2, 0, 0, 7, 1});
  std::vector<Bytes> moves;
  GameTerms terms = terms_of(example, kSeed, 0, 3, liar, honest);
  if (terms.end_root == terms.challenger_end_root) terms.challenger_end_root = blake3(as_bytes("x"));
  Game game = open_game(terms);
  while (!game.over()) {
    const Party mover = game.to_move;
    const auto move = next_move(game, mover, example.plan, mover == Party::provider ? static_cast<Replay&>(liar) : honest);
    if (!move) break;
    moves.push_back(encode(*move));
    const Bytes state = encode(game);
    for (int i = 0; i < 200; i++) {
      Bytes bad = moves[rng() % moves.size()];
      for (uint64_t n = 1 + rng() % 4; n > 0; n--) bad[rng() % bad.size()] = static_cast<uint8_t>(rng());
      if (rng() % 8 == 0) bad.resize(rng() % bad.size());
      const auto damaged = decode<Move>(bad);
      Game copy = game;
      if (damaged) (void)play(copy, mover, *damaged);
      Bytes bad_state = state;
      bad_state[rng() % bad_state.size()] ^= static_cast<uint8_t>(1 + rng() % 255);
      (void)decode<Game>(bad_state);
    }
    if (!play(game, mover, *move)) break;
  }
}

TEST(Dispute, LargestGames) {
  const auto expect = [](const Played& p, int64_t chunks, int64_t blocks) {
    EXPECT_EQ(p.game.winner, Party::challenger) << story(p.game);
    EXPECT_TRUE(p.game.found);
    EXPECT_LE(p.game.provider_moves, 18u);
    EXPECT_LE(p.referee_ms, 10.0);
    EXPECT_LE(p.game.move_bytes - p.largest_move, 14u << 10);
    EXPECT_LE(p.largest_move, kMaxMoveBytes);
    std::printf("10^5 steps, 10^5 calls, %lld chunks, %lld blocks: %u + %u moves, %llu bytes before the opening, opening %llu bytes, %.3f ms; state %zu bytes\n",
                static_cast<long long>(chunks), static_cast<long long>(blocks), p.game.provider_moves, p.game.challenger_moves,
                static_cast<unsigned long long>(p.game.move_bytes - p.largest_move), static_cast<unsigned long long>(p.largest_move), p.referee_ms,
                encode(p.game).size());
  };
  expect(play_vast("matmul.f32.v1", 1600, 512, 1600), 10'000, 2);
  expect(play_vast("matmul.f32.v1", 4, 131'072, 4), 1, 512);     // reading one strided chunk a row
  expect(play_vast("matmul.f32.v1", 1, 131'072, 256), 1, 512);   // the same with a whole chunk for every element read
}

// A requester's false plan: the leaf breaks its operator's rule.
TEST(Dispute, FalsePlan) {
  const Example true_example = example_of(*kernels::find_operator("relu.v1"));
  Example example = true_example;
  Trial honest(true_example, kSeed, 0, 1, example.start), liar(true_example, kSeed, 0, 1, example.start, {Lie::value, 0, 0, 0, 0, 1, 1});
  example.plan.calls[0].output_types[0].shape = {5, 68};
  EXPECT_EQ(validate(example.plan, WorkTable{}).error().code, Code::shape);
  const Played p = play_out(terms_of(example, kSeed, 0, 1, liar, honest), example.plan, liar, honest);
  EXPECT_TRUE(p.game.plan_false) << story(p.game);
  EXPECT_EQ(p.game.winner, std::nullopt);
}

TEST(Dispute, BlockParts) {
  for (uint64_t n : {1u, 2u, 31u, 32u, 33u, 512u, 100'000u}) {
    uint64_t rounds = 0, blocks = n;
    while (blocks > 1) {
      const auto bounds = block_parts(7, 7 + blocks);
      ASSERT_LE(bounds.size(), 33u);
      ASSERT_EQ(bounds.front(), 7u);
      ASSERT_EQ(bounds.back(), 7 + blocks);
      uint64_t widest = 0;
      for (size_t i = 1; i < bounds.size(); i++) {
        ASSERT_LT(bounds[i - 1], bounds[i]);
        widest = std::max(widest, bounds[i] - bounds[i - 1]);
      }
      blocks = widest;
      rounds++;
    }
    EXPECT_LE(rounds, n <= 32 ? 1u : n <= 1024 ? 2u : 4u) << n;
  }
}

}  // namespace
}  // namespace cairn::attest

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (std::string(argv[i]).rfind("--faults=", 0) == 0) cairn::attest::faults = std::atoi(argv[i] + 9);
  return RUN_ALL_TESTS();
}
