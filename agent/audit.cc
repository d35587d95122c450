#include "agent/audit.h"

#include <array>
#include <cmath>

#include "agent/computer.h"
#include "agent/findings.h"
#include "agent/follower.h"
#include "agent/segment.h"
#include "attest/economics.h"
#include "attest/tree.h"
#include "base/clock.h"
#include "ledger/market.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;

std::string brief(const Hash& hash) { return hash.hex().substr(0, 16); }
std::string steps_text(const attest::JobSpec& spec, uint64_t segment) {
  return "steps " + std::to_string(spec.segment_start(segment)) + " to " + std::to_string(spec.segment_end(segment) - 1);
}

class Audit {
 public:
  Audit(const Output& out, const AuditWish& wish)
      : out_(out),
        wish_(wish),
        stop_(stop_on_signals()),
        key_(must(load_stored_key(wish.party.key))),
        node_(wish.party.node, wish.party.folder),
        store_(wish.party.folder / "artefacts"),
        steps_(out) {}

  Result<> run() {
    TRY_LET(genesis, node_.genesis());
    table_ = genesis.params.work;
    TRY_LET(job, node_.job(wish_.job));
    const auto& spec = job.spec;
    steps_.add("job", "", spec.title + ", " + std::string(name(job.state)) + ", tier " + std::string(name(spec.tier)) + ", " +
                   std::to_string(spec.steps) + " steps in " + std::to_string(spec.segments()) + " segments", "the node's word", true);
    if (!job.commitment)
      return Error{Code::wrong_state, "job " + brief(job.id.as<HashTag>()) + " is " + std::string(name(job.state)) + ": nothing is committed yet",
                   "audit it when its provider has committed"};
    if (spec.tier == attest::Tier::native && wish_.challenge)
      return Error{Code::usage, "a native job has no one result that a game could decide", "audit it without --challenge"};
    TRY_LET(parties, JobParties::of(node_, job, key_));
    TRY_LET(key, parties.key());
    TRY(parties.fetch_inputs(store_));
    TRY_LET(work, load_assignment(spec, store_, table_, key));
    steps_.add("plan", brief(spec.plan_root), brief(attest::plan_root(work.plan)),
               std::to_string(work.plan.calls.size()) + " calls, by every operator's rules");
    for (const auto& input : spec.inputs) steps_.add("input " + input.name, "", brief(input.id), "BLAKE3 of its bytes, and its size", true);
    Computer computer(find_program(wish_.party.worker), 0, table_, store_.folder() / "audit", store_, stop_);
    const auto initial = computer.check_initial(work);
    steps_.add("initial state", brief(spec.initial_state), initial ? brief(spec.initial_state) : initial.error().text,
               "made here from plan, seed and inputs", static_cast<bool>(initial));
    if (!initial) return verdict(job, {}, {});
    TRY_LET(leaves, parties.leaves());
    steps_.add("commitment", brief(job.commitment->checkpoint_root), brief(attest::tree_root(leaves)),
               std::to_string(leaves.size()) + " checkpoint roots, as served by a party");

    std::vector<uint64_t> segments = wish_.segments;
    if (segments.empty())
      for (uint64_t s = 0; s < spec.segments(); s++) segments.push_back(s);
    std::optional<uint64_t> first_false;
    Hash own_end;
    for (const uint64_t segment : segments) {
      if (segment >= spec.segments())
        return Error{Code::usage, "the job has " + std::to_string(spec.segments()) + " segments, from 0", "name one of them"};
      out_.bar("audit", double(&segment - segments.data()) / double(segments.size()), "segment " + std::to_string(segment));
      TRY_LET(opening, parties.fetch_opening(segment, store_));
      if (spec.tier == attest::Tier::native) {
        TRY_LET(end, parties.fetch_end(segment, store_));
        TRY_LET(judged, computer.judge(work, opening, end));
        if (!steps_.add("segment " + std::to_string(segment) + ", " + steps_text(spec, segment), "at most 1000/1000 of what is tolerated",
                        std::to_string(judged.permille) + "/1000, in " + judged.slot, "run again here, natively; no proof", judged.within()) &&
            !first_false)
          first_false = segment;
        continue;
      }
      TRY_LET(found, computer.check(work, segment, opening, spec.segment_start(segment), 0));
      const bool ok = steps_.add("segment " + std::to_string(segment) + ", " + steps_text(spec, segment), brief(found.end_root),
                                 brief(leaves[segment]), segment == 0 ? "run again here from the initial state"
                                                                      : "run again here from checkpoint " + brief(leaves[segment - 1]));
      if (ok || first_false) continue;
      first_false = segment;
      own_end = found.end_root;
      false_opening_ = opening;
    }
    if (first_false && wish_.challenge) TRY(challenge(computer, job, work, leaves, *first_false, own_end));
    return verdict(job, segments, first_false);
  }

 private:
  // Opens a game and plays it until it is over.
  Result<> challenge(Computer& computer, const ledger::Job& job, const Assignment& work, const std::vector<Hash>& leaves, uint64_t segment,
                     const Hash& own_end) {
    TRY_LET(sender, Sender::make(node_, key_));
    ledger::SegmentRoots roots;
    roots.start_root = segment == 0 ? job.spec.initial_state : leaves[segment - 1];
    if (segment > 0) roots.start_path = attest::tree_path(leaves, segment - 1);
    roots.end_root = leaves[segment];
    roots.end_path = attest::tree_path(leaves, segment);
    auto opened = sender.send(ledger::Challenge{job.id, segment, own_end, roots});
    if (!opened && opened.error().code != Code::already) return opened.error();
    TRY_LET(now, node_.job(job.id));
    std::optional<ledger::Dispute> ours;
    for (const auto& id : now.games) {
      auto dispute = node_.record<ledger::Dispute>("/v1/games/" + id.hex());
      if (dispute && dispute->challenger == sender.account() && dispute->game.terms.segment == segment) ours = *std::move(dispute);
    }
    while (ours && !ours->game.over()) {
      if (stop_) return Error{Code::cancelled, "asked to stop in the middle of a game", "start the same audit again before its clock runs out"};
      out_.bar("game", 0.5, std::string(name(ours->game.phase)) + ", the " + std::string(name(ours->game.to_move)) + " is to move");
      if (ours->game.to_move == attest::Party::challenger) {
        TRY_LET(move, computer.play(work, ours->game, attest::Party::challenger, false_opening_));
        TRY(sender.send(ledger::PlayMove{ours->id, move}));
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      auto next = node_.record<ledger::Dispute>("/v1/games/" + ours->id.hex());
      if (!next && next.error().code != Code::not_found) return next.error();
      if (!next) return Error{Code::not_found, "the game went with its job's attempt: another game ended it first", "look at the job again"};
      ours = *std::move(next);
    }
    if (!ours) return Error{Code::not_found, "the game is over already, or went with its job's attempt", "look at the job again"};
    for (const auto& line : attest::explain(ours->game)) {
      out_.line("          " + line);
      game_.push_back(line);
    }
    return {};
  }

  Result<> verdict(const ledger::Job& job, const std::vector<uint64_t>& segments, std::optional<uint64_t> first_false) {
    const bool good = steps_.good();
    const bool native = job.spec.tier == attest::Tier::native;
    if (good)
      out_.line("accepted  " + std::to_string(segments.size()) + " of " + std::to_string(job.spec.segments()) +
                (native ? " segments of this native job lie within what is tolerated; this is no proof"
                        : " segments of this job give what its provider committed to"));
    out_.object(JsonObject()
                    .add("accepted", good)
                    .add("job", job.id)
                    .add("tier", name(job.spec.tier))
                    .add("segments", segments)
                    .raw("false_segment", first_false ? std::to_string(*first_false) : "null")
                    .add("findings", json_of(steps_.findings()))
                    .add("game", game_)
                    .str());
    if (good) return {};
    if (!first_false) return Error{Code::proof, "the job is not what it says: " + steps_.findings().back().what, "do not pay for it"};
    return Error{Code::proof, "segment " + std::to_string(*first_false) + " of the job is false",
                 native ? "its judges decide about its pay: be one of them, or name others" : wish_.challenge ? "look at the job: the game has said who lied" : "dispute it while its window is open: the same command with --challenge"};
  }

  const Output& out_;
  const AuditWish& wish_;
  const std::atomic<bool>& stop_;
  const StoredKey key_;
  NodeClient node_;
  ArtifactStore store_;
  attest::WorkTable table_;
  Steps steps_;
  StateIds false_opening_;
  std::vector<std::string> game_;
};

std::string percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g %%", share * 100);
  return text.data();
}
std::string signed_crn(double pebbles) {
  const std::string text = pretty(Amount::of_pebbles(static_cast<uint64_t>(std::llround(std::fabs(pebbles)))));
  return (pebbles < 0 ? "-" : "+") + text;
}

}  // namespace

Result<> audit_job(const Output& out, const AuditWish& wish) { return Audit(out, wish).run(); }

Result<> job_economics(const Output& out, NodeClient& node, const JobId& id) {
  TRY_LET(genesis, node.genesis());
  TRY_LET(job, node.job(id));
  const auto& spec = job.spec;
  const bool matched = !job.provider.is_zero();
  Amount reward = job.reward, stake = job.stake;
  if (!matched) {
    TRY_LET(quote, node.quote(spec));
    reward = quote.reward;
    stake = quote.stake;
  }
  const attest::Wager wager = attest::wager_of(genesis.params, spec, reward, stake);
  const uint64_t n = wager.segments, k = wager.drawn;
  Steps steps(out);
  const auto& rule = genesis.params.rule(spec.policy);
  steps.add("reward R", "", pretty(reward), matched ? "work x matched price" : "work x ceiling: not matched yet", true);
  steps.add("stake S", "", pretty(stake), "policy " + std::string(name(spec.policy)) + ": " + std::to_string(rule.stake_permille) + "/1000 of R", true);
  steps.add("drawn", "", std::to_string(k) + " of " + std::to_string(n) + " segments", "policy " + std::string(name(spec.policy)), true);
  steps.add("audits", "", pretty(*scale(ledger::check_pay(spec, reward), ledger::checks_of(genesis.params, spec), 1)),
            std::to_string(ledger::checks_of(genesis.params, spec)) + " checks at R/n each, at least 1 pebble", true);
  const double half = double(stake.pebbles);
  const double d = double(k) / double(n);
  const double harm = d >= 1 ? INFINITY : half * d / (1 - d);
  steps.add("harm that the stake covers", "", std::isinf(harm) ? "any: every segment is checked" : signed_crn(harm).substr(1),
            "S d / (1 - d), d = k/n", true);
  const uint64_t best = attest::best_cheat(wager);
  std::vector<uint64_t> sizes{1};
  for (const uint64_t m : {n / 100, n / 10, n / 4, n / 2, n, best})
    if (m > sizes.back()) sizes.push_back(m);
  std::vector<JsonObject> rows;
  bool honest_pays = true;
  for (const uint64_t m : sizes) {
    const double caught = attest::catch_probability(wager, m), value = attest::value_of_cheating(wager, m);
    honest_pays = honest_pays && value <= 0;
    steps.add("a lie in " + std::to_string(m) + " of " + std::to_string(n) + " segments", "no gain",
              "caught with " + percent(caught) + ", worth " + signed_crn(value), "m/n R - P (R + S)", value <= 0);
    rows.push_back(JsonObject().add("false_segments", m).add("caught", caught).add("value_pebbles", value));
  }
  if (honest_pays) out.line("accepted  at these terms no lie saves more than it costs");
  out.object(JsonObject()
                 .add("job", id)
                 .add("tier", name(spec.tier))
                 .add("reward", reward)
                 .add("stake", stake)
                 .add("segments", n)
                 .add("drawn", k)
                 .add("covered_harm_pebbles", harm)
                 .add("lies", rows)
                 .add("honest_pays", honest_pays)
                 .add("findings", json_of(steps.findings())));
  if (honest_pays) return {};
  return Error{Code::invalid, "at these terms there is a lie that would pay", "order another policy: `careful` or `all`"};
}

}  // namespace cairn::agent
