// Every lie of the corpus on the ledger: caught at the rate of the drawn segments, always under `all`, and the liar pays.
//
//   corpus_test --jobs=1000       jobs for each lie and policy; ten in an ordinary run
#include <cmath>
#include <cstdio>

#include "tests/cheats/fraud.h"
#include "tests/ledger/scene.h"

namespace cairn::cheats {
namespace {

using namespace ledger;
using attest::Party;
using attest::Policy;

int jobs = 10;
constexpr uint64_t kSegments = 100, kInterval = 1;

// Jobs of one fraud, one after the other, with two honest verifiers.
class Stage {
 public:
  Stage(const Fraud& fraud, Policy policy) : fraud_(fraud) {
    spec_ = fraud.spec(scene.spec());
    spec_.policy = policy;
    spec_.price_ceiling = Amount{1'000'000'000'000'000'000};
    scene.expect("P", Stake{crn(500'000)});
    scene.expect("V", Bond{crn(1), "tcp://v"});
    scene.expect("W", Bond{crn(1), "tcp://w"});
  }

  struct End {
    bool caught = false;
    std::string said;  // state and sentence of the receipt
  };
  // `silent`: the liar does not play its games, which its clock ends; else both sides play to the last move.
  End run(bool late, const Cheat* cheat, bool silent) {
    if (!scene.count_offers()) {
      auto offer = scene.offer(1'000'000'000'000'000'000);
      offer.memory_bytes = UINT64_MAX;
      scene.expect("P", offer);
    }
    const JobId id = scene.expect("A", OpenJob{spec_}).as<JobIdTag>();
    const Amount stake = scene.stake("P"), bonds{scene.bond("V").pebbles + scene.bond("W").pebbles};
    scene.expect("P", Accept{id});
    scene.expect("P", Commit{fraud_.commitment(id, spec_)});
    const auto now = [&] { return scene.state().job(id).value(); };
    for (int i = 0; i < 20 && now().phase != JobPhase::verdicts; i++) scene.block();
    const Hash salt = hash_named("salt");
    scene.all_at_once(now().checks, [&](const Check& check) {
      const auto& draw = check.record.draw;
      return std::pair{scene.name_of(draw.verifier),
                       Body{CommitVerdict{id, draw.segment, attest::verdict_hash(salt, draw.verifier, id, draw.segment, fraud_.ours(draw))}}};
    });
    if (!late)
      scene.all_at_once(now().checks, [&](const Check& check) {
        const auto& draw = check.record.draw;
        return std::pair{std::string("P"), Body{AnswerCheck{id, draw.segment, fraud_.their_call(draw), fraud_.segment(draw.segment)}}};
      });
    if (now().phase == JobPhase::reveals)
      scene.all_at_once(now().checks, [&](const Check& check) {
        const auto& draw = check.record.draw;
        const uint32_t index = fraud_.call_of(draw);
        const DrawnCall call{index, attest::plan_head(fraud_.plan()), fraud_.plan().calls[index], attest::plan_path(fraud_.plan(), index)};
        return std::pair{scene.name_of(draw.verifier), Body{RevealVerdict{id, draw.segment, salt, fraud_.ours(draw), call}}};
      });
    const size_t before = scene.receipts().size();
    for (int i = 0; i < 400 && scene.receipts().size() == before; i++) {
      const Job job = now();
      if (silent || job.games.empty()) {
        scene.block({}, 200);
      } else {
        play(job, cheat);
      }
    }
    const auto& receipt = scene.receipts().back();
    End end{receipt.state == attest::Ended::slashed, std::string(name(receipt.state)) + ": " + receipt.sentence};
    if (end.caught) {
      EXPECT_EQ(receipt.fault, attest::Blame::provider);
      EXPECT_EQ(scene.stake("P").pebbles, stake.pebbles - receipt_stake(receipt)) << "the stake of the job, and no more";
      for (const auto& game : receipt.games) EXPECT_EQ(game.winner, Party::challenger) << game.reason;
      scene.expect("A", CancelJob{id});
    } else {
      EXPECT_EQ(receipt.state, attest::Ended::settled) << receipt.sentence;
      EXPECT_EQ(scene.stake("P"), stake);
    }
    EXPECT_EQ(scene.bond("V").pebbles + scene.bond("W").pebbles, bonds.pebbles) << "an honest verifier loses nothing";
    return end;
  }

  Scene scene;

 private:
  static uint64_t receipt_stake(const attest::ReceiptBody& body) {
    uint64_t sum = 0;
    for (const auto& line : body.lines)
      if (line.purpose == attest::Purpose::slash_burn || line.purpose == attest::Purpose::slash_requester ||
          line.purpose == attest::Purpose::slash_challenger)
        sum += line.amount.pebbles;
    return sum;
  }
  // One move of the job's first game, by whoever is to move; silence where a side has nothing that proves its claim.
  void play(const Job& job, const Cheat* cheat) {
    const Dispute dispute = scene.state().dispute(job.games.front()).value();
    const uint64_t segment = dispute.game.terms.segment;
    const bool provider = dispute.game.to_move == Party::provider;
    attest::Trial replay = provider ? fraud_.lie(segment) : fraud_.check(segment);
    auto move = attest::next_move(dispute.game, dispute.game.to_move, provider ? fraud_.lying_plan() : fraud_.plan(), replay);
    if (provider && move && cheat && cheat->move) cheat->move(*move);
    const std::string who = provider ? "P" : scene.name_of(dispute.challenger);
    if (move && scene.send(who, PlayMove{dispute.id, *move}).code == kOk) return;
    EXPECT_TRUE(provider) << "the honest side always has a move: " << (move ? "refused" : move.error().text);
    scene.pass(ms(dispute.clock.due) - ms(scene.now()) + 200);
  }

  const Fraud& fraud_;
  attest::JobSpec spec_;
};

// Of `jobs`, each caught with p: at most, or at least, so many.
double exactly(int count, double p) {
  return std::exp(std::lgamma(jobs + 1.0) - std::lgamma(count + 1.0) - std::lgamma(jobs - count + 1.0)) * std::pow(p, count) * std::pow(1 - p, jobs - count);
}
double at_most(int count, double p) {
  double sum = 0;
  for (int i = 0; i <= count; i++) sum += exactly(i, p);
  return sum;
}
double at_least(int count, double p) { return 1 - at_most(count, p) + exactly(count, p); }

TEST(Corpus, HonestWorkIsNeverSlashed) {
  const Fraud honest(nullptr, kSegments, kInterval);
  EXPECT_TRUE(honest.false_segments().empty());
  for (const Policy policy : {Policy::standard, Policy::careful, Policy::all}) {
    Stage stage(honest, policy);
    for (int i = 0; i < (policy == Policy::all ? 1 : 5); i++) EXPECT_FALSE(stage.run(false, nullptr, true).caught);
  }
}

TEST(Corpus, EveryLieIsCaughtAtItsRate) {
  const auto lies = corpus(kSegments, kInterval);
  ASSERT_GE(lies.size(), 20u);
  for (const Cheat& lie : lies) {
    SCOPED_TRACE(std::string(lie.name));
    const Fraud fraud(&lie, kSegments, kInterval);
    // An answer that is a guess, or that comes too late, is false whatever was drawn.
    const bool always = lie.call_id || lie.late_ms > 0;
    const double f = always ? 1.0 : static_cast<double>(fraud.false_segments().size()) / kSegments;
    ASSERT_GT(f, 0) << "no segment is false";
    std::printf("%-26s %3.0f of 100 segments false", std::string(lie.name).c_str(), 100 * f);
    for (const auto& [policy, k] : {std::pair{Policy::standard, 1}, std::pair{Policy::careful, 5}}) {
      Stage stage(fraud, policy);
      int caught = 0;
      for (int i = 0; i < jobs; i++) caught += stage.run(lie.late_ms > 0, &lie, true).caught;
      const double p = 1 - std::pow(1 - f, k), error = std::sqrt(p * (1 - p) / jobs);
      if (jobs >= 400) {
        EXPECT_LE(std::abs(static_cast<double>(caught) / jobs - p), 3 * error + 1e-9) << caught << " of " << jobs << ", k = " << k;
      } else {  // too few for a bell: the chance of so many, or so few, must not be below that of three standard errors
        EXPECT_GE(std::min(at_most(caught, p), at_least(caught, p)), 0.00135) << caught << " of " << jobs << ", k = " << k;
      }
      std::printf("; k %d: %5.1f %% of %d, expected %5.1f +- %.1f", k, 100.0 * caught / jobs, jobs, 100 * p, 100 * error);
    }
    Stage stage(fraud, Policy::all);
    const auto end = stage.run(lie.late_ms > 0, &lie, false);
    EXPECT_TRUE(end.caught);
    std::printf("; all: %s\n", end.said.c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace cairn::cheats

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (std::string(argv[i]).rfind("--jobs=", 0) == 0) cairn::cheats::jobs = std::atoi(argv[i] + 7);
  return RUN_ALL_TESTS();
}
