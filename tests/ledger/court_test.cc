// Real programs on the ledger: a liar is found down to one number and slashed, an honest provider never is.
#include <random>

#include "ledger/disputes.h"
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
  Court(uint64_t random, attest::Policy policy, Lie provider_lie, Lie verifier_lie = {})
      : rng_(random), example_(attest::random_example(rng_, 12)), provider_lie_(provider_lie), verifier_lie_(verifier_lie),
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

  // Verdicts, answers, reveals; what the provider answers may be a lie of its own.
  void checks(Lie answer_lie = {}, bool show_call = true) {
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
    for (size_t i = 0; i < drawn.size(); i++) {
      const auto& draw = drawn[i].record.draw;
      std::optional<DrawnCall> call;
      if (show_call) call = drawn_call(call_of(draw));
      scene.expect("V", RevealVerdict{id, draw.segment, salt, known[i], call});
    }
  }
  // Both sides play every open game of the job to its end, from their own runs.
  void play(Lie provider_in_game = {}) {
    for (int moves = 0; moves < 400; moves++) {
      const auto now = scene.state().job(id);
      if (!now || now->games.empty()) return;
      Dispute dispute = scene.state().dispute(now->games.front()).value();  // the one whose clock is shortest
      for (const GameId& game : now->games)
        if (const Dispute other = scene.state().dispute(game).value(); ms(other.clock.due) < ms(dispute.clock.due)) dispute = other;
      const Party mover = dispute.game.to_move;
      const uint64_t segment = dispute.game.terms.segment;
      Lie lie = mover == Party::challenger ? verifier_lie_ : provider_lie_;
      if (mover == Party::provider && provider_in_game.kind != Lie::none) lie = provider_in_game;
      Trial replay = rerun(segment, lie);
      const auto move = attest::next_move(dispute.game, mover, example_.plan, replay);
      if (move && scene.send(mover == Party::provider ? "P" : "V", PlayMove{dispute.id, *move}).code == kOk) continue;
      // No case, or nothing to show that proves the lie: silence.
      EXPECT_NE(lie.kind, Lie::none);
      scene.pass(ms(dispute.clock.due) - ms(scene.now()) + 200);
    }
    FAIL() << "a game without an end";
  }

  Scene scene;
  JobId id;

 private:
  std::mt19937_64 rng_;
  Example example_;
  Lie provider_lie_, verifier_lie_;
  Trial whole_;
  attest::JobSpec spec_;
  std::vector<Hash> roots_;
};

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
  const Hash root = court.job().spec.plan_root;
  for (uint32_t call = 0; call < court.job().spec.calls; call++)
    EXPECT_EQ(static_cast<bool>(check(court.drawn_call(call), root, draw.work_offset)), call == court.call_of(draw));
}

}  // namespace
}  // namespace cairn::ledger
