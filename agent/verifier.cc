#include "agent/verifier.h"

#include <map>

#include "agent/attendants.h"
#include "agent/segment.h"
#include "base/clock.h"
#include "base/log.h"
#include "ledger/checks.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;
using ledger::CheckState;
using ledger::JobPhase;

constexpr uint64_t kSendEveryNs = 500'000'000;  // a verdict does not wait for many others

// What a segment is checked from, whole and checked, in the store.
struct Gathered {
  StateIds opening;  // empty for segment 0
  StateIds end;      // of a native job's segment: what its judge compares with
  StateIds outputs;  // where this check holds them, too, with the leaves of the checkpoint tree
  std::vector<Hash> leaves;
  ContentKey key;    // of a private job
  static constexpr auto fields() {
    return std::tuple{field("opening", &Gathered::opening), field("end", &Gathered::end), field("outputs", &Gathered::outputs),
                      field("leaves", &Gathered::leaves), field("key", &Gathered::key)};
  }
};

// A verdict, from before its commitment until its job is pruned.
struct Verdict {
  Hash salt;
  attest::Knowledge knowledge;
  Gathered from;
  static constexpr auto fields() {
    return std::tuple{field("salt", &Verdict::salt), field("knowledge", &Verdict::knowledge), field("from", &Verdict::from)};
  }
};

// What a judge says of a native job, from before it says it.
struct Opinion {
  bool pays = false;
  static constexpr auto fields() { return std::tuple{field("pays", &Opinion::pays)}; }
};

// Of the job's present attempt: another provider's states are others.
std::string opinion_key(const ledger::Job& job) { return "opinion/" + job.id.hex() + "/" + std::to_string(job.tries); }
std::string verdicts_of(const ledger::Job& job) { return "verdict/" + job.id.hex() + "/" + std::to_string(job.tries) + "/"; }
std::string verdict_key(const ledger::Job& job, uint64_t segment) { return verdicts_of(job) + std::to_string(segment); }

// Outputs count once another party has them: whoever checks the first of the drawn segments holds them, too.
bool holds_outputs(const ledger::Job& job, uint64_t segment) {
  return std::none_of(job.checks.begin(), job.checks.end(), [&](const auto& check) { return check.record.draw.segment < segment; });
}

class VerifierDaemon {
 public:
  explicit VerifierDaemon(const VerifierConfig& config)
      : config_(config),
        stop_(stop_on_signals()),
        journal_(config.folder / "journal"),
        store_(config.folder / "artefacts"),
        desk_(store_),
        chain_(config.node, config.folder, must(load_stored_key(config.key)), stop_),
        node_(config.node, config.folder),
        server_(config.listen, transport_keys(chain_.key()), [this](const CurveKey& key) { return desk_.allow(key); },
                [this](const AccountId& client, const Ask& ask) { return desk_.answer(client, ask); }),
        worker_(find_program(config.worker)),
        jobs_({config.node, config.folder, worker_, config.threads, store_, chain_, stop_},
              [this](NodeClient& node, Computer& computer, const ledger::Job& job) { return look(node, computer, job); }) {}

  void run() {
    log_info("verifier.ready", {{"account", chain_.account().hex()}, {"endpoint", server_.endpoint()}});
    notify_ready("verifies with a bond of " + pretty(config_.bond));
    Outage outage(node_);
    uint64_t seen = 0;
    while (!stop_) {
      notify_alive();
      keep_bond();
      if (const auto jobs = node_.jobs(); outage.over(jobs)) {
        for (const auto& job : *jobs) {
          if (concerns_us(job)) jobs_.take(job.id);
          hold(node_, job);
        }
        forget_pruned(*jobs);
      }
      chain_.wait(seen, kLookMs);
      chain_.refresh(node_, desk_);
    }
    jobs_.leave();
  }

 private:
  void keep_bond() {
    if (bonded_) return;
    auto view = node_.account(chain_.account());
    if (!view && view.error().code == Code::unknown_account) view = ledger::AccountView{};
    if (!view) return;
    if (view->bond >= config_.bond) {
      bonded_ = true;
      return;
    }
    const Amount missing = subtract(config_.bond, view->bond).value_or(Amount{});
    if (view->balance <= missing) {
      if (!poor_) log_warning("verifier.no_money", {{"account", chain_.account().hex()}, {"next", "send it some CRN"}});
      poor_ = true;
      return;
    }
    bonded_ = chain_.try_send(ledger::Bond{missing, server_.endpoint()}, {});
  }

  bool concerns_us(const ledger::Job& job) const {
    if (ledger::is_terminal(job.state)) return false;
    return std::any_of(job.checks.begin(), job.checks.end(),
                       [&](const auto& check) { return check.record.draw.verifier == chain_.account(); });
  }

  bool look(NodeClient& node, Computer& computer, const ledger::Job& job) {
    if (!concerns_us(job)) {
      forget_runs(job.id);
      return false;
    }
    if (job.spec.tier == attest::Tier::native) {
      if (const auto body = judge(node, computer, job)) chain_.try_send(*body, job.id);
      return true;
    }
    std::vector<ledger::Body> said;
    std::optional<Error> away;  // a party that did not answer in this look is not waited for again
    uint64_t sent_ns = SystemClock().steady_ns();
    for (const auto& check : job.checks) {
      if (check.record.draw.verifier != chain_.account()) continue;
      if (auto body = act(node, computer, job, check, away)) said.push_back(*std::move(body));
      if (SystemClock().steady_ns() - sent_ns < kSendEveryNs) continue;
      chain_.try_send_all(std::exchange(said, {}), job.id);
      sent_ns = SystemClock().steady_ns();
    }
    chain_.try_send_all(said, job.id);
    play(node, computer, job);
    return true;
  }

  // What is to be said about one check now, if anything.
  std::optional<ledger::Body> act(NodeClient& node, Computer& computer, const ledger::Job& job, const ledger::Check& check,
                                  std::optional<Error>& away) {
    const uint64_t segment = check.record.draw.segment;
    if (check.state == CheckState::drawn && job.phase == JobPhase::verdicts) {
      auto verdict = recall(job, segment);
      if (!verdict) {
        const auto gathered = away ? Result<Gathered>(*away) : gather(node, job, segment);
        if (!gathered) {
          if (const Code code = gathered.error().code; code == Code::unreachable || code == Code::timed_out) away = gathered.error();
          log_warning("check.not_served", {{"job", job.id}, {"segment", segment}, {"code", name(gathered.error().code)},
                                           {"text", gathered.error().text}});
          if (!asked_long_enough(node, job)) return std::nullopt;
          return ledger::ReportUndelivered{job.id, segment};
        }
        const auto found = run_segment(computer, job, check.record.draw, *gathered);
        if (!found) {
          if (found.error().code == Code::cancelled) return std::nullopt;
          throw Fault(found.error());  // of this machine: nobody else is to blame
        }
        verdict = *found;
        const std::lock_guard lock(mutex_);
        journal_.put_value(verdict_key(job, segment), *verdict);
        held_.erase(job.id);
      }
      hold(node, job);
      const Hash bound = attest::verdict_hash(verdict->salt, chain_.account(), job.id, segment, verdict->knowledge);
      return ledger::CommitVerdict{job.id, segment, bound};
    }
    if (check.state == CheckState::answered && job.phase == JobPhase::reveals) {
      const auto verdict = recall(job, segment);
      if (!verdict) return std::nullopt;  // lost with its journal: the deadline will say that we were silent
      ledger::RevealVerdict reveal{job.id, segment, verdict->salt, verdict->knowledge, std::nullopt};
      const auto& theirs = check.record.provider;
      if (theirs && theirs->end_root == verdict->knowledge.end_root && theirs->call_id != verdict->knowledge.call_id)
        reveal.call = drawn_call(job, check.record.draw, verdict->from.key);
      if (theirs && *theirs != verdict->knowledge)
        log_warning("check.differs", {{"job", job.id}, {"segment", segment}, {"theirs", theirs->end_root},
                                      {"ours", verdict->knowledge.end_root}});
      return reveal;
    }
    return std::nullopt;
  }

  // What is to be said about a native job that names us, if anything: it pays when every drawn segment was served and lies within
  // what is tolerated. Bounds and their limits: runtime/judge.h.
  std::optional<ledger::Body> judge(NodeClient& node, Computer& computer, const ledger::Job& job) {
    if (job.phase != JobPhase::verdicts) return std::nullopt;
    std::set<uint64_t> segments;
    for (const auto& check : job.checks)
      if (check.record.draw.verifier == chain_.account() && check.state == CheckState::drawn) segments.insert(check.record.draw.segment);
    if (segments.empty()) return std::nullopt;
    auto opinion = value<Opinion>(opinion_key(job));
    if (!opinion) {
      opinion = Opinion{true};
      for (const uint64_t segment : segments) {
        const auto gathered = gather(node, job, segment);
        if (!gathered) {
          log_warning("judge.not_served", {{"job", job.id}, {"segment", segment}, {"code", name(gathered.error().code)},
                                           {"text", gathered.error().text}});
          if (!asked_long_enough(node, job)) return std::nullopt;
          opinion->pays = false;
          break;
        }
        const auto work = must(load_assignment(job.spec, store_, chain_.params().work, gathered->key));
        const auto found = computer.judge(work, gathered->opening, gathered->end);
        if (!found && found.error().code == Code::cancelled) return std::nullopt;
        if (!found) throw Fault(found.error());
        log_info("judge.ran", {{"job", job.id}, {"segment", segment}, {"slot", found->slot}, {"permille_of_tolerated", found->permille}});
        opinion->pays = opinion->pays && found->within();
      }
      const std::lock_guard lock(mutex_);
      journal_.put_value(opinion_key(job), *opinion);
    }
    return ledger::Judge{job.id, opinion->pays};
  }

  // A verdict also says: I hold what I checked from, and serve it. Until the job is pruned, also after a restart: a provider may
  // go away, and the requester comes for the outputs later.
  void hold(NodeClient& node, const ledger::Job& job) {
    Served served;
    served.guests = {job.requester, job.provider};
    for (const auto& other : job.checks) served.guests.push_back(other.record.draw.verifier);
    served.artefacts.push_back(job.spec.plan);
    for (const auto& input : job.spec.inputs) served.artefacts.push_back(input.id);
    {
      const std::lock_guard lock(mutex_);
      const std::pair now{job.tries, served.guests};
      if (const auto before = held_.find(job.id); before != held_.end() && before->second == now) return;
      const auto verdicts = journal_.under(verdicts_of(job));
      if (verdicts.empty()) return;
      for (const auto& [key, bytes] : verdicts) {
        const auto verdict = decode<Verdict>(bytes);
        if (!verdict) continue;
        for (const StateIds& state : {verdict->from.opening, verdict->from.outputs})
          if (!state.ids.empty()) served.states.push_back(state);
        if (!verdict->from.leaves.empty()) served.leaves = verdict->from.leaves;
        served.key = verdict->from.key;
      }
      held_[job.id] = now;
    }
    introduce(node, desk_, served.guests);
    desk_.serve(job.id, served);
  }

  // Which call was drawn, with its path in the plan: only needed when both sides hold the same end.
  std::optional<ledger::DrawnCall> drawn_call(const ledger::Job& job, const attest::DrawnCheck& draw, const ContentKey& key) {
    const auto work = load_assignment(job.spec, store_, chain_.params().work, key);
    if (!work) return std::nullopt;
    ledger::DrawnCall call;
    call.index = attest::call_at(work->plan, draw.work_offset);
    call.head = attest::plan_head(work->plan);
    call.call = work->plan.calls.at(call.index);
    call.path = attest::plan_path(work->plan, call.index);
    return call;
  }

  // Errors: what the parties said, or served. Throws Fault (io) for what is this machine's.
  Result<Gathered> gather(NodeClient& node, const ledger::Job& job, uint64_t segment) {
    auto gathered = [&]() -> Result<Gathered> {
      Gathered out;
      TRY_LET(parties, JobParties::of(node, job, chain_.stored()));
      TRY_LET(key, parties.key());
      out.key = key;
      TRY(parties.fetch_inputs(store_));
      TRY_LET(opening, parties.fetch_opening(segment, store_));
      out.opening = std::move(opening);
      if (job.spec.tier == attest::Tier::native) {
        TRY_LET(end, parties.fetch_end(segment, store_));
        out.end = std::move(end);
      }
      if (holds_outputs(job, segment)) {
        TRY_LET(outputs, parties.fetch_end(job.spec.segments() - 1, store_));
        TRY_LET(leaves, parties.leaves());
        if (leaves.back() != job.commitment->outputs_root)
          return Error{Code::proof, "the last checkpoint is not the committed output", "nobody can be served what was committed"};
        out.outputs = std::move(outputs);
        out.leaves = std::move(leaves);
      }
      return out;
    }();
    if (!gathered && gathered.error().code == Code::io) throw Fault(gathered.error());
    return gathered;
  }

  // A quarter of the time for verdicts is gone, by the chain's clock: a restart of ours does not forget it, and what is left is
  // enough for another to be drawn in.
  bool asked_long_enough(NodeClient& node, const ledger::Job& job) const {
    const auto now = node.time();
    const auto& params = chain_.params();
    return now && ms(*now) + ledger::rerun_ms(params, job.spec) + params.verdict_ms / 4 * 3 >= ms(job.timer.due);
  }

  // Errors: what the worker said.
  Result<Verdict> run_segment(Computer& computer, const ledger::Job& job, const attest::DrawnCheck& draw, const Gathered& from) {
    TRY_LET(work, load_assignment(job.spec, store_, chain_.params().work, from.key));
    TRY_LET(knowledge, computer.check(work, draw.segment, from.opening, draw.step, attest::call_at(work.plan, draw.work_offset)));
    log_info("check.ran", {{"job", job.id}, {"segment", draw.segment}, {"end_root", knowledge.end_root}});
    return Verdict{random_hash(), knowledge, from};
  }

  void play(NodeClient& node, Computer& computer, const ledger::Job& job) {
    for (const auto& id : job.games) {
      const auto dispute = node.dispute(id);
      if (!dispute || dispute->challenger != chain_.account() || dispute->game.over() ||
          dispute->game.to_move != attest::Party::challenger)
        continue;
      const auto verdict = recall(job, dispute->game.terms.segment);
      if (!verdict) continue;
      const auto work = must(load_assignment(job.spec, store_, chain_.params().work, verdict->from.key));
      const auto move = computer.play(work, dispute->game, attest::Party::challenger, verdict->from.opening);
      if (!move && move.error().code == Code::not_found) {
        log_warning("game.no_case", {{"job", job.id}, {"game", id}, {"text", move.error().text}});
        continue;  // nothing that is shown differs from our own run: the clock ends it
      }
      if (!move) throw Fault(move.error());
      log_info("game.move", {{"job", job.id}, {"game", id}, {"move", attest::name(*move)}});
      chain_.try_send(ledger::PlayMove{id, *move}, job.id);
    }
  }

  // ---- memory ----

  std::optional<Verdict> recall(const ledger::Job& job, uint64_t segment) { return value<Verdict>(verdict_key(job, segment)); }
  template <class T>
  std::optional<T> value(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return journal_.value<T>(key);
  }
  void forget_runs(const JobId& id) const {
    std::error_code ignored;
    fs::remove_all(jobs_.folder_of(id), ignored);
  }
  // The chain forgets a job when its receipt's keeping time is over; so do we.
  void forget_pruned(const std::vector<ledger::Job>& jobs) {
    std::set<std::string> known;
    for (const auto& job : jobs) known.insert(job.id.hex());
    const std::lock_guard lock(mutex_);
    for (const std::string kind : {"verdict/", "opinion/"})
      for (const auto& [key, bytes] : journal_.under(kind)) {
        const std::string hex = key.substr(kind.size(), 2 * JobId{}.v.size());
        const auto id = JobId::from_hex(hex);
        if (known.contains(hex) || !id || jobs_.attends(*id)) continue;
        journal_.remove(key);
        held_.erase(*id);
        desk_.end(*id);
        forget_runs(*id);
      }
  }

  const VerifierConfig config_;
  const std::atomic<bool>& stop_;
  Journal journal_;
  ArtifactStore store_;
  Desk desk_;
  Follower chain_;
  NodeClient node_;
  Server server_;
  const fs::path worker_;
  bool bonded_ = false, poor_ = false;
  std::mutex mutex_;  // journal_, held_
  std::map<JobId, std::pair<uint32_t, std::vector<AccountId>>> held_;  // served: of which attempt, and to whom
  Attendants jobs_;
};

}  // namespace

Result<> run_verifier(const VerifierConfig& config) {
  VerifierDaemon daemon(config);
  daemon.run();
  return {};
}

}  // namespace cairn::agent
