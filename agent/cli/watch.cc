#include "agent/cli/watch.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <thread>

#include "agent/follower.h"
#include "base/clock.h"

namespace cairn::agent {

namespace {

constexpr uint32_t kPollMs = 200;
constexpr size_t kShownChecks = 3;

std::string percent(uint64_t part, uint64_t whole) { return std::to_string(whole ? 100 * part / whole : 0) + " %"; }

std::string loss_text(uint32_t bits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(std::bit_cast<float>(bits)));
  return text;
}

// What an event of a job means, for its requester.
std::string sentence(const std::string& kind, const ledger::Job& job) {
  const std::string provider = brief(job.provider);
  if (kind == "job.opened") return "open        on the book, ceiling " + pretty(per_hour(job.spec.price_ceiling)) + " per hour";
  if (kind == "job.matched")
    return "matched     provider " + provider + " at " + pretty(per_hour(job.price)) + " per hour, reward " + pretty(job.reward) +
           ", stake " + pretty(job.stake);
  if (kind == "job.accepted") return "running     provider " + provider + " holds every input and has staked";
  if (kind == "job.committed") return "committed   provider " + provider + " has bound itself to " + std::to_string(job.spec.segments()) + " checkpoints";
  if (kind == "job.drawn") {
    std::set<AccountId> verifiers;
    for (const auto& check : job.checks) verifiers.insert(check.record.draw.verifier);
    std::string text = "drawn       ";
    if (job.checks.size() > kShownChecks)
      return text + std::to_string(job.checks.size()) + " segments, for " + std::to_string(verifiers.size()) +
             (verifiers.size() == 1 ? " verifier" : " verifiers");
    for (const auto& check : job.checks)
      text += (text.back() == ' ' ? "segment " : ", ") + std::to_string(check.record.draw.segment) + " for " + brief(check.record.draw.verifier);
    return text;
  }
  if (kind == "check.differs") return "disputed    a verifier found something else";
  if (kind == "check.silent") return "silent      a drawn verifier did not answer and paid for it";
  if (kind == "check.undelivered") return "undelivered a drawn verifier says that it was not served";
  if (kind == "check.contradicted") return "contradicted a verifier said that it was not served, another was, and the first paid for it";
  if (kind == "job.window") {
    const auto same = std::count_if(job.checks.begin(), job.checks.end(), [](const auto& c) { return c.record.did == attest::Checked::agreed; });
    return "checked     " + std::to_string(same) + " of " + std::to_string(job.checks.size()) + " found the same; anybody may still object";
  }
  if (kind == "job.slashed") return "slashed     the provider's stake is split; the job is open again with its escrow";
  if (kind == "job.late") return "late        the provider missed its deadline; the job is open again";
  if (kind == "job.lapsed") return "lapsed      the match was not accepted in time; the job is open again";
  if (kind == "game.opened") return "game        step by step, until one number is left";
  if (kind == "job.settled") return "settled     " + job.sentence;
  if (kind == "job.void") return "void        " + job.sentence;
  if (kind == "job.cancelled") return "cancelled   " + job.sentence;
  return "";
}

}  // namespace

bool concerns(const ledger::Event& event, const JobId& job) {
  return event.id == job.as<HashTag>() || (event.kind.starts_with("game.") && event.json.find(job.hex()) != std::string::npos);
}

void Watch::tell_game(const ledger::GameId& game) {
  const auto dispute = node_.dispute(game);
  if (!dispute) return;  // pruned; what was seen before stays
  games_[game] = *dispute;
  const auto lines = attest::explain(dispute->game);
  for (size_t i = 0; i < lines.size(); i++) {
    // While it is played, the last level may still gain words, and the last line says whose turn it is.
    const bool final = dispute->game.over() || i + 2 < lines.size();
    if (final && told_lines_.insert(game.hex() + lines[i]).second) out_.line("  zoom      " + lines[i]);
  }
}

void Watch::tell(const ledger::Event& event, const ledger::Job& job) {
  if (const std::string text = sentence(event.kind, job); !text.empty()) out_.line(text);
  if (event.kind.starts_with("game.")) tell_game(event.id.as<ledger::GameIdTag>());
}

void Watch::reveal_if_due(const ledger::Job& job) {
  if (!sender_ || !secret_ || job.state != ledger::JobState::committed || job.phase != ledger::JobPhase::secret || job.secret) return;
  const auto done = sender_->send(ledger::RevealSecret{id_, *secret_});
  if (!done && done.error().code != Code::too_late && done.error().code != Code::already)
    out_.remark("the draw goes on without this requester's secret: " + done.error().text);
}

Result<ledger::Job> Watch::follow(uint64_t timeout_ms, const Enough& enough) {
  const std::atomic<bool>& stop = stop_on_signals();
  const SystemClock clock;
  const uint64_t end_ns = timeout_ms ? clock.steady_ns() + timeout_ms * 1'000'000 : UINT64_MAX;
  const Error left{Code::cancelled, "job " + brief(id_) + " goes on without this terminal",
                   "cairn job watch " + id_.hex() + " (it serves the inputs again), or cairn job fetch " + id_.hex()};
  bool away = false;
  TRY_LET(job, node_.job(id_));
  while (true) {
    if (stop) return left;
    if (clock.steady_ns() > end_ns) {
      Error late = left;
      late.code = Code::timed_out;
      return late;
    }
    reveal_if_due(job);
    if (ledger::is_terminal(job.state) || (enough && enough(job))) break;
    const auto events = node_.events(next_, kPollMs);
    if (!events) {
      if (!away) out_.remark("the node does not answer; waiting for it");
      away = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
      continue;
    }
    away = false;
    bool news = false;
    for (const auto& event : *events) news = concerns(event, id_) || news;
    if (news || events->empty()) {
      auto fresh = node_.job(id_);
      if (!fresh) {
        if (fresh.error().code == Code::unreachable) continue;
        return fresh.error();
      }
      job = *std::move(fresh);
      reveal_if_due(job);
    }
    for (const auto& event : *events) {
      next_ = event.seq + 1;
      if (concerns(event, id_)) tell(event, job);
    }
    if (const auto told = counter_ ? counter_->told() : std::nullopt; told && job.state == ledger::JobState::running)
      out_.bar("run", double(told->step) / double(job.spec.steps),
               percent(told->step, job.spec.steps) + "  step " + std::to_string(told->step) + " of " + std::to_string(job.spec.steps) +
                   (told->loss_bits ? "  loss " + loss_text(*told->loss_bits) : ""));
  }
  // What happened in the last block, or before this began, is still to be told.
  while (true) {
    const auto events = node_.events(next_, 0);
    if (!events || events->empty()) break;
    for (const auto& event : *events) {
      next_ = event.seq + 1;
      if (concerns(event, id_)) tell(event, job);
    }
  }
  return job;
}

std::vector<ledger::Dispute> Watch::games() {
  std::vector<ledger::Dispute> out;
  for (auto& [id, dispute] : games_) {
    if (const auto last = node_.dispute(id)) dispute = *last;
    out.push_back(dispute);
  }
  return out;
}

}  // namespace cairn::agent
