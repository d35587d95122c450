// Real programs on the ledger: a liar is found down to one number and slashed, an honest provider never is.
#include <functional>
#include <random>
#include <set>
#include <tuple>

#include "ledger/disputes.h"
#include "ledger/mempool.h"
#include "tests/attest/trial.h"
#include "tests/ledger/scene.h"

namespace cairn::ledger {
namespace {

using attest::Example;
using attest::Lie;
using attest::Party;
using attest::Trial;

constexpr uint64_t kSeed = 2026, kSteps = 6, kInterval = 2;

// A job over a random program, run by everybody with their own lies.
class Court {
 public:
  Court(uint64_t random, attest::Policy policy, Lie provider_lie, Lie verifier_lie = {}, uint32_t protocol = attest::kProtocol,
        const attest::ChainParams& params = Scene::quick_params())
      : scene({"A", "B", "C", "P", "Q", "R", "V", "W"}, params, crn(1'000'000), protocol), rng_(random), example_(attest::random_example(rng_, 12)), provider_lie_(provider_lie), verifier_lie_(verifier_lie),
        whole_(example_, kSeed, 0, kSteps, example_.start, provider_lie) {
    const auto facts = must(attest::validate(example_.plan, attest::WorkTable{}));
    spec_ = scene.spec();
    spec_.plan = facts.id;
    spec_.plan_root = facts.root;
    spec_.calls = static_cast<uint32_t>(example_.plan.calls.size());
    spec_.state_slots = static_cast<uint32_t>(example_.plan.state.size());
    spec_.step_work_ns = static_cast<uint64_t>(facts.work_ns);
    spec_.price_ceiling = Amount{1'000'000'000'000'000'000};
    spec_.memory_bytes = facts.peak_bytes;
    spec_.inputs.clear();
    for (size_t i = 0; i < example_.plan.inputs.size(); i++)
      spec_.inputs.push_back({example_.plan.inputs[i].name, blake3(example_.inputs[i]), {}});
    for (size_t i = 0; i < example_.plan.state.size(); i++)
      if (example_.plan.state[i].init.kind == attest::InitKind::given)
        spec_.inputs.push_back({example_.plan.state[i].name, blake3(example_.start[i]), {}});
    spec_.initial_state = whole_.start_root();
    spec_.seed = kSeed;
    spec_.steps = kSteps;
    spec_.interval = kInterval;
    spec_.policy = policy;
    const auto steps = whole_.step_roots();
    for (uint64_t s = 0; s < spec_.segments(); s++) roots_.push_back(steps[spec_.segment_end(s) - 1]);

    scene.expect("P", Stake{crn(1000)});
    auto offer = scene.offer(1'000'000'000'000'000'000);
    offer.memory_bytes = UINT64_MAX;
    scene.expect("P", offer);
    scene.expect("V", Bond{crn(1), "tcp://v"});
    id = scene.expect("A", OpenJob{spec_}).as<JobIdTag>();
    scene.expect("P", Accept{id});
    scene.expect("P", Commit{{id, spec_.plan_root, attest::input_root(spec_), attest::tree_root(roots_), roots_.back(), kSteps}});
    for (int i = 0; i < 20 && job().phase != JobPhase::verdicts; i++) scene.block();
  }

  ~Court() {
    const auto checked = scene.check_receipts();
    EXPECT_TRUE(checked) << checked.error().text;
  }
  Job job() { return scene.state().job(id).value(); }
  uint32_t call_of(const attest::DrawnCheck& draw) { return attest::call_at(example_.plan, draw.work_offset); }
  Trial rerun(uint64_t segment, Lie lie) {
    const uint64_t start = spec_.segment_start(segment);
    return Trial(example_, kSeed, start, spec_.segment_end(segment), whole_.state(start), lie);
  }
  attest::Knowledge knowledge(const attest::DrawnCheck& draw, Trial& trial) {
    return {trial.call_ids(draw.step)[call_of(draw)], trial.step_roots().back()};
  }
  SegmentRoots roots(uint64_t s) {
    SegmentRoots out;
    out.start_root = s == 0 ? spec_.initial_state : roots_[s - 1];
    if (s > 0) out.start_path = attest::tree_path(roots_, s - 1);
    out.end_root = roots_[s];
    out.end_path = attest::tree_path(roots_, s);
    return out;
  }
  DrawnCall drawn_call(uint32_t index) {
    return {index, attest::plan_head(example_.plan), example_.plan.calls[index], attest::plan_path(example_.plan, index)};
  }

  void let_verifier_lie(Lie lie) { verifier_lie_ = lie; }
  // Verdicts, answers, reveals; what the provider answers may be a lie of its own.
  void checks(Lie answer_lie = {}, bool show_call = true, const std::function<void()>& before_reveals = {}) {
    const Hash salt = hash_named("salt");
    const auto drawn = job().checks;
    std::vector<attest::Knowledge> known;
    for (const Check& check : drawn) {
      const auto& draw = check.record.draw;
      Trial theirs = rerun(draw.segment, verifier_lie_);
      known.push_back(knowledge(draw, theirs));
      scene.expect("V", CommitVerdict{id, draw.segment, attest::verdict_hash(salt, scene.id("V"), id, draw.segment, known.back())});
    }
    for (const Check& check : drawn) {
      const auto& draw = check.record.draw;
      Trial own = rerun(draw.segment, answer_lie.kind == Lie::none ? provider_lie_ : answer_lie);
      scene.expect("P", AnswerCheck{id, draw.segment, knowledge(draw, own).call_id, roots(draw.segment)});
    }
    if (before_reveals) before_reveals();
    for (size_t i = 0; i < drawn.size(); i++) {
      const auto& draw = drawn[i].record.draw;
      std::optional<DrawnCall> call;
      if (show_call) call = drawn_call(call_of(draw));
      scene.expect("V", RevealVerdict{id, draw.segment, salt, known[i], call});
    }
  }
  // Somebody else's challenge, by its own run; it plays by `lie`, or not at all when `silent`.
  GameId challenge(const std::string& who, uint64_t segment, Lie lie, bool silent = false) {
    Trial theirs = rerun(segment, lie);
    others_[scene.id(who)] = {lie, silent};
    const size_t before = job().games.size();
    scene.expect(who, Challenge{id, segment, theirs.step_roots().back(), roots(segment)});
    EXPECT_EQ(job().games.size(), before + 1);
    return job().games.back();
  }
  // Both sides play every open game of the job to its end, from their own runs. `before` is called ahead of every move.
  void play(Lie provider_in_game = {}, const std::function<void(const std::string& mover)>& before = {}) {
    for (int moves = 0; moves < 400; moves++) {
      const auto now = scene.state().job(id);
      if (!now || now->games.empty()) return;
      // The one whose clock is shortest, of those that somebody will still play.
      std::optional<Dispute> next;
      for (const bool waits : {false, true})
        for (const GameId& game : now->games) {
          const Dispute one = scene.state().dispute(game).value();
          if (stuck_.contains(game) != waits || (waits && next && !stuck_.contains(next->id))) continue;
          if (!next || ms(one.clock.due) < ms(next->clock.due)) next = one;
        }
      const Dispute dispute = next.value();
      if (stuck_.contains(dispute.id)) {
        scene.pass(ms(dispute.clock.due) - ms(scene.now()) + 200);
        continue;
      }
      const Party mover = dispute.game.to_move;
      const uint64_t segment = dispute.game.terms.segment;
      Lie lie = mover == Party::challenger ? verifier_lie_ : provider_lie_;
      bool silent = false;
      if (mover == Party::provider && provider_in_game.kind != Lie::none) lie = provider_in_game;
      if (const auto other = others_.find(dispute.challenger); mover == Party::challenger && other != others_.end()) std::tie(lie, silent) = other->second;
      Trial replay = rerun(segment, lie);
      const auto move = attest::next_move(dispute.game, mover, example_.plan, replay);
      const std::string who = scene.name_of(mover == Party::provider ? dispute.provider : dispute.challenger);
      if (before) before(who);
      if (move && !silent && (send ? send(who, PlayMove{dispute.id, *move}) : scene.send(who, PlayMove{dispute.id, *move})).code == kOk) continue;
      // No case, or nothing to show that proves the lie: silence.
      EXPECT_TRUE(lie.kind != Lie::none || silent);
      stuck_.insert(dispute.id);
    }
    FAIL() << "a game without an end";
  }

  Scene scene;
  JobId id;
  std::function<TxResult(const std::string& who, const PlayMove& move)> send;  // how moves reach a block; empty: alone in it

 private:
  std::mt19937_64 rng_;
  Example example_;
  Lie provider_lie_, verifier_lie_;
  Trial whole_;
  attest::JobSpec spec_;
  std::vector<Hash> roots_;
  std::map<AccountId, std::pair<Lie, bool>> others_;
  std::set<GameId> stuck_;  // games whose mover has nothing to say
};

// A number of the state that is flipped after a segment's last step, so that its end shows it; segments have two steps.
Lie lie_in(uint64_t step, uint64_t random) {
  Lie lie;
  lie.kind = Lie::state;
  lie.step = step;
  lie.slot = static_cast<uint32_t>(random);
  lie.at = random * 7;
  return lie;
}

TEST(Court, ALiarIsSlashedByAGame) {
  for (uint64_t random = 1; random <= 6; random++) {
    Lie lie;
    lie.kind = Lie::value;
    lie.step = 3;
    lie.call = static_cast<uint32_t>(random);
    lie.at = random * 7;
    Court court(random, attest::Policy::all, lie);
    court.checks();
    const Job disputed = court.job();
    if (disputed.games.empty()) continue;  // the flipped number reached no state
    ASSERT_EQ(disputed.games.size(), 1u) << random;
    EXPECT_EQ(name(disputed.state), "disputed");
    const GameId game = disputed.games[0];
    EXPECT_EQ(court.scene.state().dispute(game)->game.terms.segment, 1u);
    court.play();
    const Dispute over = court.scene.state().dispute(game).value();
    ASSERT_TRUE(over.game.over());
    EXPECT_EQ(over.game.winner, Party::challenger) << over.game.reason;
    EXPECT_EQ(over.game.step, 3u);
    EXPECT_EQ(name(court.job().state), "open");
    EXPECT_EQ(court.scene.stake("P").pebbles, crn(1000).pebbles - disputed.stake.pebbles);
    ASSERT_EQ(court.scene.receipts().size(), 1u);
    EXPECT_EQ(court.scene.receipts()[0].state, attest::Ended::slashed);
    EXPECT_FALSE(court.scene.receipts()[0].games.at(0).by_clock);
  }
}

TEST(Court, ALyingVerifierPaysAndTheJobGoesOn) {
  for (uint64_t random = 11; random <= 14; random++) {
    Lie lie;
    lie.kind = Lie::end_root;
    lie.step = 1;
    Court court(random, attest::Policy::all, {}, lie);
    const Amount bond = court.scene.bond("V");
    court.checks();
    const size_t games = court.job().games.size();
    EXPECT_GE(games, 1u);
    court.play();
    for (int i = 0; i < 100 && court.job().state != JobState::settled; i++) court.scene.block({}, 200);
    EXPECT_EQ(name(court.job().state), "settled");
    EXPECT_EQ(court.scene.stake("P"), crn(1000));
    EXPECT_EQ(court.scene.bond("V").pebbles, bond.pebbles - games * court.scene.params().verifier_silence);
    EXPECT_NE(court.job().audit, attest::Audit::as_ordered);
    EXPECT_EQ(court.scene.receipts().back().games.size(), games);
  }
}

TEST(Court, AFalseCallIdIsAGameToo) {
  for (uint64_t random = 21; random <= 23; random++) {
    Court court(random, attest::Policy::standard, {});
    const auto draw = court.job().checks.at(0).record.draw;
    Lie lie;
    lie.kind = Lie::id_only;
    lie.step = draw.step;
    lie.call = court.call_of(draw);
    court.checks(lie);
    ASSERT_EQ(court.job().games.size(), 1u);
    EXPECT_TRUE(court.scene.state().dispute(court.job().games[0])->game.terms.claim.has_value());
    court.play(lie);
    EXPECT_EQ(name(court.job().state), "open");
    EXPECT_EQ(court.scene.receipts().back().state, attest::Ended::slashed);
  }
}

TEST(Court, AFalseCallIdWithoutItsProofCountsForNothing) {
  Court court(31, attest::Policy::standard, {});
  const auto draw = court.job().checks.at(0).record.draw;
  Lie lie;
  lie.kind = Lie::id_only;
  lie.step = draw.step;
  lie.call = court.call_of(draw);
  court.checks(lie, false);
  EXPECT_TRUE(court.job().games.empty());
  EXPECT_EQ(name(court.job().checks[0].state), "unproven");
}

TEST(Court, TheDrawnCallIsTheOneThatDoesTheDrawnWork) {
  Court court(41, attest::Policy::standard, {});
  const auto draw = court.job().checks.at(0).record.draw;
  auto spec = court.job().spec;
  for (uint32_t call = 0; call < spec.calls; call++)
    EXPECT_EQ(static_cast<bool>(check(court.drawn_call(call), spec, draw.work_offset)), call == court.call_of(draw));
  spec.calls--;  // a job that says less than its plan has: no call of it may become the claim of a game
  EXPECT_EQ(check(court.drawn_call(court.call_of(draw)), spec, draw.work_offset).error().code, Code::proof);
}

// A drawn verifier challenges its segment and reveals that it differs, too: two games, each with its own fee and its own clock.
TEST(Court, AVerifierThatAlsoChallengesHasTwoGames) {
  for (const bool provider_lies : {true, false}) {
    const Lie lie = lie_in(3, 5);
    Court court(42, attest::Policy::all, provider_lies ? lie : Lie{}, provider_lies ? Lie{} : lie);
    const Amount bond = court.scene.bond("V");
    size_t differs = 0;
    court.checks({}, true, [&] { court.challenge("V", 1, provider_lies ? Lie{} : lie); });
    for (const Check& check : court.job().checks) differs += check.state == CheckState::differs;
    const auto games = court.job().games;
    ASSERT_EQ(games.size(), 1 + differs);
    EXPECT_EQ(std::set(games.begin(), games.end()).size(), games.size());
    court.play();
    if (provider_lies) {
      EXPECT_EQ(court.scene.receipts().back().state, attest::Ended::slashed);
    } else {
      for (int i = 0; i < 100 && court.job().state != JobState::settled; i++) court.scene.block({}, 200);
      EXPECT_EQ(name(court.job().state), "settled");
      EXPECT_EQ(court.scene.stake("P"), crn(1000));
      EXPECT_EQ(court.scene.bond("V").pebbles, bond.pebbles - differs * court.scene.params().verifier_silence);
    }
    court.scene.pass(court.scene.params().receipt_keep_ms + 1'000);  // what is kept of games goes, once each
    for (const GameId& game : games) EXPECT_FALSE(court.scene.state().dispute(game));
  }
}

// The verifier says what the provider wants. Anybody who has run the segment disputes it, and both pay.
TEST(Court, AColludingVerifierIsOverruledByAnybody) {
  const Lie lie = lie_in(3, 5);
  Court court(51, attest::Policy::all, lie, lie);
  court.checks();
  EXPECT_TRUE(court.job().games.empty());
  EXPECT_EQ(name(court.job().phase), "window");
  const Amount bond = court.scene.bond("V"), requester = court.scene.balance("A"), stake = court.job().stake;
  const Amount challenger = court.scene.balance("B");
  court.challenge("B", 1, {});
  court.play();
  const auto& receipt = court.scene.receipts().back();
  EXPECT_EQ(receipt.state, attest::Ended::slashed);
  EXPECT_EQ(receipt.fault, attest::Blame::provider);
  EXPECT_EQ(court.scene.bond("V").pebbles, subtract(bond, std::min(bond, stake))->pebbles) << "a verdict proven false forfeits the job's stake";
  EXPECT_GE(court.scene.balance("A").pebbles, requester.pebbles + stake.pebbles * 3 / 10);
  EXPECT_GT(court.scene.balance("B").pebbles + 100'000, challenger.pebbles + stake.pebbles / 5);
}

// A challenger that is in league with the provider opens a game and does not play it. R1: that acquits nobody.
TEST(Court, AnAccompliceThatThrowsItsGameAcquitsNobody) {
  Court court(52, attest::Policy::all, lie_in(3, 2));
  const Amount before = court.scene.balance("C");
  court.challenge("C", 1, lie_in(3, 3), true);
  court.checks();
  ASSERT_EQ(court.job().games.size(), 2u);
  court.play();
  ASSERT_FALSE(court.scene.receipts().empty());
  EXPECT_EQ(court.scene.receipts().back().state, attest::Ended::slashed);
  EXPECT_LT(court.scene.balance("C"), before);
  EXPECT_EQ(court.scene.bond("V"), crn(1));
}

// A liar has its other money away, and its accomplices open games: the stake is whole when it is split, and its own money is its own.
TEST(Court, AStakeDoesNotLeaveThroughGames) {
  const Lie lie = lie_in(3, 5);
  Court court(51, attest::Policy::all, lie, lie);
  court.checks();
  Scene& scene = court.scene;
  const uint64_t stake = court.job().stake.pebbles;
  scene.expect("P", Unstake{scene.stake("P")});
  scene.expect("P", Transfer{scene.id("R"), Amount{scene.balance("P").pebbles - 2'000}});
  const Amount own = scene.balance("P");
  for (const char* who : {"C", "Q"})
    for (const uint64_t segment : {0, 1}) court.challenge(who, segment, lie_in(2 * segment + 1, 9), true);
  EXPECT_EQ(scene.state().balance(Holder::job_stake(court.id)).pebbles, stake);
  EXPECT_EQ(scene.balance("P"), own);
  court.challenge("B", 1, {});
  court.play();
  const auto& receipt = scene.receipts().back();
  EXPECT_EQ(receipt.state, attest::Ended::slashed);
  uint64_t slashed = 0;
  for (const auto& line : receipt.lines)
    if (line.purpose == attest::Purpose::slash_burn || line.purpose == attest::Purpose::slash_requester || line.purpose == attest::Purpose::slash_challenger)
      slashed += line.amount.pebbles;
  EXPECT_EQ(slashed, stake);
}

// A verifier without money but its bond accuses falsely: nothing of the bond moves before the games are lost.
TEST(Court, ABondPaysForAGameOnceItIsLost) {
  Court court(42, attest::Policy::all, {}, lie_in(5, 5));
  Scene& scene = court.scene;
  const Amount bond = scene.bond("V");
  court.checks({}, true, [&] { scene.expect("V", Transfer{scene.id("R"), Amount{scene.balance("V").pebbles - 6'000}}); });
  const auto& params = scene.params();
  uint64_t owed = 0;
  for (const GameId& game : court.job().games) owed += params.verifier_silence + params.game_fee - scene.state().dispute(game)->fee.pebbles;
  EXPECT_GT(owed, params.verifier_silence);
  EXPECT_EQ(scene.bond("V"), bond);
  court.play();
  EXPECT_EQ(bond.pebbles - scene.bond("V").pebbles, owed);
}

// Whoever lies about an honest job pays its fee and the provider's re-run, as often as it likes.
TEST(Court, LyingChallengersPayAndTheProviderIsPaid) {
  Court court(53, attest::Policy::all, {});
  const Amount fees{court.scene.params().game_fee};
  const char* names[] = {"B", "C", "Q", "R"};
  std::map<std::string, Amount> before;
  for (const char* who : names) before[who] = court.scene.balance(who);
  for (size_t i = 0; i < 4; i++) court.challenge(names[i], i % 3, lie_in(2 * (i % 3) + 1, i), i == 3);
  court.checks();
  const Amount provider = court.scene.balance("P");
  court.play();
  for (int i = 0; i < 100 && court.job().state != JobState::settled; i++) court.scene.block({}, 200);
  EXPECT_EQ(name(court.job().state), "settled");
  EXPECT_EQ(court.job().audit, attest::Audit::as_ordered);
  EXPECT_EQ(court.scene.stake("P"), crn(1000));
  for (const char* who : names) EXPECT_LE(court.scene.balance(who).pebbles + fees.pebbles, before[who].pebbles);
  EXPECT_GT(court.scene.balance("P").pebbles + 200'000, provider.pebbles + 4 * fees.pebbles);
  for (const auto& game : court.scene.receipts().back().games) EXPECT_EQ(game.winner, Party::provider) << game.reason;
}

// The chain stops in mid-dispute for an hour, at every move: chain time stops with it, and nobody loses by a clock (R2).
TEST(Court, AHaltInMidDisputeStopsTheClocks) {
  Court court(54, attest::Policy::all, lie_in(3, 4));
  court.checks();
  ASSERT_EQ(court.job().games.size(), 1u);
  const GameId game = court.job().games[0];
  court.play({}, [&](const std::string&) { court.scene.block({}, 3'600'000); });
  const Dispute over = court.scene.state().dispute(game).value();
  EXPECT_EQ(over.game.winner, Party::challenger);
  EXPECT_TRUE(over.game.found.has_value() || over.game.slot_id.provider != Hash{}) << "decided by what was shown, not by a clock";
}

// Four strangers fill every block four times over, at a hundred times the fee, and send moves of games that are not there or wait for
// somebody else. Who has to move stands in the next block all the same.
TEST(Court, AFloodInMidDisputeTakesNobodysTurn) {
  Court court(56, attest::Policy::all, lie_in(3, 4));
  court.checks();
  ASSERT_EQ(court.job().games.size(), 1u);
  const GameId game = court.job().games[0];
  Scene& scene = court.scene;
  const size_t room = scene.params().max_block_bytes;
  Mempool pool({.count = 400, .bytes = 4 * room, .moves_count = 8, .moves_bytes = 2u << 20, .lane = 64});
  const auto add = [&](const Transaction& tx) {
    Bytes bytes = encode(tx);
    const TransactionId id = transaction_id(bytes);
    Waiting one = Waiting::of(tx, id, std::move(bytes));
    if (const auto* move = std::get_if<PlayMove>(&tx.body)) one.is_move = awaits_move(scene.state(), move->game, tx.sender);
    static_cast<void>(pool.add(std::move(one), standing_of(scene.state(), signer_of(tx), scene.now()), scene.now()));
    return id;
  };
  attest::JobSpec bulky = scene.spec();
  bulky.inputs.assign(4'000, {"an input", hash_named("x"), {}});
  size_t crowded = 0;
  court.send = [&](const std::string& who, const PlayMove& move) {
    for (const char* stranger : {"B", "C", "Q", "R"})
      for (uint64_t i = 0; i < 22; i++) {
        Transaction tx = scene.draft(stranger, Body{OpenJob{bulky}}, i);
        if (i % 11 == 10) tx.body = PlayMove{i % 2 ? game : hash_named("no game").as<GameIdTag>(), attest::NoneDiffers{}};
        sign(tx, scene.actor(stranger).key, 100 * scene.params().fee_per_byte);
        add(tx);
      }
    Transaction tx = scene.draft(who, move);
    sign(tx, scene.actor(who).key, scene.params().fee_per_byte);
    const TransactionId id = add(tx);
    std::vector<Bytes> taken;
    for (const Waiting* one : pool.take(room)) taken.push_back(one->bytes);
    std::map<Signer, Standing> senders;
    TxResult mine{id, Height{}, static_cast<uint16_t>(Code::not_found), "no block took it"};
    size_t bytes = 0;
    for (const Bytes& one : taken) bytes += one.size();
    for (const TxResult& result : scene.block(taken))
      if (result.id == id) mine = result;
    crowded += bytes > room - (512u << 10);
    for (const char* name : {"B", "C", "Q", "R", "P", "V"}) senders[Signer{scene.id(name), {}}] = standing_of(scene.state(), Signer{scene.id(name), {}}, scene.now());
    pool.settle(senders, {}, scene.now());
    EXPECT_EQ(code_name(mine.code), "ok") << mine.text;
    return mine;
  };
  court.play();
  const Dispute over = scene.state().dispute(game).value();
  EXPECT_EQ(over.game.winner, Party::challenger) << over.game.reason;
  EXPECT_TRUE(over.game.found.has_value() || over.game.slot_id.provider != Hash{}) << "decided by what was shown, not by a clock";
  EXPECT_GT(crowded, 4u);
}

// Both sides change their keys ahead of every move: state names accounts, keys come and go (R9).
TEST(Court, KeysRotateAtEveryMove) {
  Court court(55, attest::Policy::all, lie_in(3, 4));
  court.checks();
  ASSERT_EQ(court.job().games.size(), 1u);
  const GameId game = court.job().games[0];
  int rotations = 0;
  court.play({}, [&](const std::string& mover) {
    court.scene.rotate(mover, mover + std::to_string(rotations));
    rotations++;
  });
  EXPECT_GT(rotations, 4);
  const Dispute over = court.scene.state().dispute(game).value();
  EXPECT_EQ(over.game.winner, Party::challenger);
  EXPECT_TRUE(over.game.found.has_value() || over.game.slot_id.provider != Hash{});
}

// Whoever has the blocks can play the game again: the same end, and the same hash as the receipt keeps.
TEST(Court, ADisputeReplayedFromTheBlocksEndsTheSame) {
  for (uint64_t random = 61; random <= 64; random++) {
    Court court(random, attest::Policy::all, lie_in(1 + 2 * (random % 3), random));
    court.checks();
    court.play();
    ASSERT_FALSE(court.scene.receipts().empty()) << random;
    const auto& receipt = court.scene.receipts().back();
    ASSERT_EQ(receipt.games.size(), 1u);
    const auto& record = receipt.games[0];
    attest::Game game = attest::open_game(record.terms);
    for (const Block& block : court.scene.blocks())
      for (size_t i = 0; i < block.transactions.size(); i++) {
        const auto tx = must(decode<Transaction>(block.transactions[i]));
        const auto* move = std::get_if<PlayMove>(&tx.body);
        if (!move || block.results[i].code != kOk) continue;
        const bool challenger = tx.sender == record.challenger;
        EXPECT_TRUE(attest::play(game, challenger ? Party::challenger : Party::provider, move->move));
      }
    if (record.by_clock) attest::forfeit(game);
    EXPECT_EQ(game.winner, record.winner);
    EXPECT_EQ(game.reason, record.reason);
    EXPECT_EQ(attest::record_of(game, record.challenger, record.by_clock).game, record.game);
  }
}

// A verifier that did not run the segment knows its end root, which the provider serves, and guesses the id of the drawn call: that is a
// game which it cannot play (R5).
TEST(Court, ALazyVerifierThatGuessesPays) {
  Court court(71, attest::Policy::standard, {});
  const auto draw = court.job().checks.at(0).record.draw;
  Lie guess;
  guess.kind = Lie::id_only;
  guess.step = draw.step;
  guess.call = court.call_of(draw);
  court.let_verifier_lie(guess);
  const Amount before = court.scene.balance("V"), fee{court.scene.params().game_fee};
  court.checks();
  ASSERT_EQ(court.job().games.size(), 1u);
  court.play();
  for (int i = 0; i < 100 && court.job().state != JobState::settled; i++) court.scene.block({}, 200);
  EXPECT_EQ(name(court.job().state), "settled");
  EXPECT_EQ(court.job().audit, attest::Audit::unaudited);
  EXPECT_EQ(court.job().paid_verifiers.pebbles, 0u);
  EXPECT_LE(court.scene.balance("V").pebbles + fee.pebbles, before.pebbles);
  EXPECT_EQ(court.scene.bond("V").pebbles, crn(1).pebbles - court.scene.params().verifier_silence);
  EXPECT_EQ(court.scene.stake("P"), crn(1000));
}

// Many games at once: each challenger's own, decided one by one, and the job is paid when the last is over.
TEST(Court, ManyDisputesAtOnce) {
  Court court(72, attest::Policy::all, {});
  const char* names[] = {"B", "W"};
  size_t games = 0;
  for (const char* who : names)
    for (uint64_t segment = 0; segment < 3; segment++, games++) court.challenge(who, segment, lie_in(2 * segment + 1, games));
  ASSERT_EQ(court.job().games.size(), 6u);
  court.checks();
  court.play();
  for (int i = 0; i < 100 && court.job().state != JobState::settled; i++) court.scene.block({}, 200);
  EXPECT_EQ(name(court.job().state), "settled");
  EXPECT_EQ(court.scene.receipts().back().games.size(), games);
  for (const auto& game : court.scene.receipts().back().games) EXPECT_EQ(game.winner, Party::provider) << game.reason;
  EXPECT_EQ(court.scene.stake("P"), crn(1000));
}

// A verifier accuses falsely and takes its bond back while the game is on: protocol 1 fines it nothing, protocol 2 from what is
// unbonding. A chain goes from one to the other, with other parameters, while such a game is open.
TEST(Court, AGameEndsUnderTheRulesOfItsMatchWhileNewJobsRunUnderTheNext) {
  struct Row {
    uint32_t protocol;
    bool upgrade;
    bool fined;
  };
  for (const Row& row : {Row{1, false, false}, Row{2, false, true}, Row{1, true, false}}) {
    Lie lie;
    lie.kind = Lie::end_root;
    lie.step = 1;
    attest::ChainParams params = Scene::quick_params();
    params.unbonding_ms = 1'000'000;
    params.move_ms = 20'000;
    Court court(11, attest::Policy::all, {}, lie, row.protocol, params);
    Scene& scene = court.scene;
    court.checks();
    const size_t games = court.job().games.size();
    ASSERT_GE(games, 1u);
    scene.expect("V", Unbond{scene.bond("V")});
    const Holder unbonding = Holder::unbonding(scene.id("V"));
    const uint64_t left = scene.state().balance(unbonding).pebbles;

    JobId fresh;
    Amount before, reward;
    if (row.upgrade) {
      attest::ChainParams next = params;
      next.standard.stake_permille = 3'000;
      next.late_permille = 500;
      next.verifier_silence = 7'000;
      next.move_ms = 100;
      next.interval_ms = 50;
      const Height from{number(scene.app().next_height()) + params.upgrade_notice_blocks};
      scene.expect("A", Upgrade{from, 2, next});
      while (number(scene.app().next_height()) < number(from)) scene.block();
      EXPECT_EQ(scene.app().rules().number, 2u);
      scene.expect("Q", Stake{crn(10)});
      scene.expect("Q", scene.offer());
      fresh = scene.expect("B", OpenJob{scene.spec()}).as<JobIdTag>();
      const Job matched = scene.job(fresh.as<HashTag>());
      EXPECT_EQ(matched.rules, 2u);
      EXPECT_EQ(matched.stake.pebbles, 3 * matched.reward.pebbles);
      scene.expect("Q", Accept{fresh});
      before = scene.balance("B");
      reward = matched.reward;
      EXPECT_EQ(court.job().rules, 1u);
      EXPECT_EQ(court.job().games.size(), games) << "the old clocks run, not the new ones";
    }
    court.play();
    for (int i = 0; i < 200 && court.job().state != JobState::settled; i++) scene.block({}, 200);
    EXPECT_EQ(name(court.job().state), "settled");
    EXPECT_EQ(left - scene.state().balance(unbonding).pebbles, row.fined ? games * params.verifier_silence : 0u);
    const auto receipt_of = [&](const JobId& id) {
      return *std::find_if(scene.receipts().begin(), scene.receipts().end(), [&](const auto& body) { return body.job == id; });
    };
    EXPECT_EQ(receipt_of(court.id).rules, 1u);
    if (!row.upgrade) continue;
    scene.pass(6'000);  // Q never commits
    EXPECT_EQ(scene.balance("B").pebbles - before.pebbles, reward.pebbles / 2);
    EXPECT_EQ(receipt_of(fresh).rules, 2u);

    // The receipt shows its rules, and nobody can show others.
    attest::Receipt receipt;
    receipt.body = receipt_of(fresh);
    receipt.header = scene.app().head();
    receipt.path = scene.app().prove(attest::receipt_place(fresh, receipt.body.attempt));
    EXPECT_FALSE(attest::check_receipt(receipt, scene.app().genesis()));
    receipt.rules = {scene.app().all_rules()[1], scene.app().prove(blake3(attest::rules_key(2)))};
    EXPECT_TRUE(attest::check_receipt(receipt, scene.app().genesis()));
    receipt.rules->rules.params.late_permille++;
    EXPECT_FALSE(attest::check_receipt(receipt, scene.app().genesis()));
    receipt.rules = {scene.app().all_rules()[0], scene.app().prove(blake3(attest::rules_key(1)))};
    EXPECT_FALSE(attest::check_receipt(receipt, scene.app().genesis()));
  }
}

}  // namespace
}  // namespace cairn::ledger
