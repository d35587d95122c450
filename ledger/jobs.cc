#include "ledger/jobs.h"

#include <algorithm>
#include <map>
#include <set>

#include "ledger/assets.h"
#include "ledger/disputes.h"
#include "ledger/market.h"

namespace cairn::ledger {
namespace {

using attest::Blame;
using attest::Ended;
using attest::Purpose;
using attest::SettlementLine;

constexpr size_t kMaxMet = 64;  // providers that a job remembers, the latest

Hash id_of(const Job& job) { return job.id.as<HashTag>(); }

Error not_party(std::string_view whose) {
  return {Code::not_party, "this is the " + std::string(whose) + "'s to do", "sign with that account's key"};
}
Error wrong_state(const Job& job, std::string_view needed) {
  std::string now(name(job.state));
  if (job.phase != JobPhase::none) now += " (" + std::string(name(job.phase)) + ")";
  return {Code::wrong_state, "the job is " + now + ", not " + std::string(needed), "look at the job again"};
}

Result<Job> job_in(const State& state, const JobId& id) {
  auto job = state.job(id);
  if (!job) return gone("job", id.as<HashTag>());
  return *std::move(job);
}

void set_timer(State& state, BlockContext& block, Job& job, uint64_t wait_ms) {
  state.disarm(job.timer);
  job.timer = state.arm(Due::job, id_of(job), after(block.now, wait_ms), block.next_seq());
}

bool any_check(const Job& job, CheckState in) {
  return std::any_of(job.checks.begin(), job.checks.end(), [&](const Check& c) { return c.state == in; });
}

// The sender's check of a segment.
Check* check_of(Job& job, uint64_t segment, const AccountId& verifier) {
  for (Check& check : job.checks)
    if (check.record.draw.segment == segment && check.record.draw.verifier == verifier) return &check;
  return nullptr;
}

void punish_silence(State& state, BlockContext& block, const Job& job, Check& check) {
  check.state = CheckState::silent;
  check.record.did = attest::Checked::silent;
  const AccountId& who = check.record.draw.verifier;
  const Amount fine{block.params_of(job).verifier_silence};
  const Amount taken = state.move_up_to(Holder::bond(who), Holder::burned(), fine);
  state.move_up_to(Holder::unbonding(who), Holder::burned(), *subtract(fine, taken));
  block.emit("check.silent", id_of(job), {{"segment", to_json(check.record.draw.segment)}, {"verifier", to_json(who)}});
}

// ---- the end of an attempt ----

// Collects the lines of a settlement while it moves the money.
struct Settlement {
  State& state;
  std::vector<SettlementLine> lines;

  void pay(const Holder& from, const Holder& to, const AccountId& who, Amount amount, Purpose purpose) {
    if (amount.pebbles == 0) return;
    must(state.move(from, to, amount));
    lines.push_back({who, amount, purpose, {}});
  }
  void pay_rest(const Holder& from, const Holder& to, const AccountId& who, Purpose purpose) {
    pay(from, to, who, state.balance(from), purpose);
  }
};

// Verifiers that agreed; of a native job every judge that spoke.
void pay_checkers(Settlement& pay, Job& job) {
  for (const Check& check : job.checks) {
    const bool judged = job.spec.tier == attest::Tier::native && check.state == CheckState::differs;
    if (check.state != CheckState::agreed && !judged) continue;
    const AccountId& who = check.record.draw.verifier;
    const Amount each = check_pay(job.spec, job.reward);
    pay.pay(Holder::escrow(job.id), Holder::account(who), who, each, Purpose::audit);
    job.paid_verifiers = *add(job.paid_verifiers, each);
  }
}

void write_receipt(State& state, BlockContext& block, const Job& job, Ended ended, Code code, Blame fault,
                   std::string sentence, std::vector<SettlementLine> lines) {
  attest::ReceiptBody body;
  body.genesis = block.genesis_hash;
  body.job = job.id;
  const bool matched = !job.provider.is_zero();
  body.attempt = matched ? job.tries - 1 : job.tries;
  body.spec = job.spec;
  body.requester = job.requester;
  if (matched) {
    body.provider = job.provider;
    body.payee = job.payee;
    body.rules = job.rules;
    body.offer = job.offer;
    body.price = job.price;
    body.reward = job.reward;
    body.matched = job.matched;
  }
  for (const auto& line : lines) body.held = *add(body.held, line.amount);
  body.opened = job.opened;
  body.committed = job.committed;
  body.ended = block.now;
  body.commitment = job.commitment;
  body.draws = job.draws;
  for (const Check& check : job.checks) body.checks.push_back(check.record);
  body.games = job.played;
  body.lines = std::move(lines);
  body.audit = attest::audit_reached(body);
  body.state = ended;
  body.code = code;
  body.fault = fault;
  body.sentence = std::move(sentence);
  state.put(ReceiptRoot{attest::receipt_key(job.id, body.attempt), attest::receipt_root(body)});
  block.receipts.push_back(std::move(body));
}

void drop_games(State& state, BlockContext& block, Job& job) {
  for (const GameId& game : job.games) drop_game(state, block, game);
  job.games.clear();
}

// Forgets the match and everything after it, and puts the job on the book again.
void reopen(State& state, BlockContext& block, Job& job) {
  free_slot(state, job.offer);
  look_for_jobs(state, block, job.provider);
  state.disarm(job.timer);
  if (job.phase == JobPhase::draw) state.erase(DueDraw{job.draw_height, job.id});
  job.met.push_back(job.provider);
  if (job.met.size() > kMaxMet) job.met.erase(job.met.begin());
  job.phase = JobPhase::none;
  job.rules = 0;
  job.offer = {};
  job.provider = {};
  job.payee = {};
  job.provider_endpoint.clear();
  job.price = job.reward = job.stake = {};
  job.matched = job.accepted = job.committed = {};
  job.commitment.reset();
  job.secret.reset();
  job.draw_height = {};
  job.draws.clear();
  job.checks.clear();
  job.played.clear();
  list_job(state, block, job);
}

// A job's last state. What it was matched with becomes free.
void finish(State& state, BlockContext& block, Job& job, JobState last, Code code, Blame fault, std::string sentence) {
  state.disarm(job.timer);
  if (job.phase == JobPhase::draw) state.erase(DueDraw{job.draw_height, job.id});
  job.state = last;
  job.phase = JobPhase::none;
  job.code = code;
  job.fault = fault;
  job.sentence = std::move(sentence);
  job.timer = state.arm(Due::prune, id_of(job), after(block.now, block.params().receipt_keep_ms), block.next_seq());
  state.put(job);
  if (!job.offer.is_zero()) {
    free_slot(state, job.offer);
    look_for_jobs(state, block, job.provider);
  }
}

void settle(State& state, BlockContext& block, Job& job) {
  attest::ReceiptBody reached;
  reached.spec = job.spec;
  reached.draws = job.draws;
  for (const Check& check : job.checks) reached.checks.push_back(check.record);
  job.audit = attest::audit_reached(reached);
  const bool native = job.spec.tier == attest::Tier::native;
  if (job.spec.require_audit && job.audit != (native ? attest::Audit::judged : attest::Audit::as_ordered))
    return void_job(state, block, job, Code::job_void, Blame::network,
                    "The job required an audit and not all of its checks were made.");

  const Holder escrow = Holder::escrow(job.id);
  Settlement pay{state, {}};
  const bool starter = job.spec.policy == attest::Policy::starter;
  const Amount vested{starter ? job.reward.pebbles / 2 : 0};
  pay.pay(escrow, Holder::stake(job.provider), job.provider, vested, Purpose::vested);
  pay.pay(escrow, Holder::account(job.payee), job.payee, *subtract(job.reward, vested), Purpose::pay);
  job.paid_provider = job.reward;
  for (const AssetId& asset : assets_of(job.spec))
    for (const auto& line : pay_royalties(state, block, job.id, asset)) {
      job.paid_royalties = *add(job.paid_royalties, line.amount);
      pay.lines.push_back(line);
    }
  pay_checkers(pay, job);
  if (job.audit == attest::Audit::as_ordered) note_speed(state, block.params_of(job), job);
  pay.pay_rest(escrow, Holder::account(job.requester), job.requester, Purpose::change);
  pay.pay_rest(Holder::job_stake(job.id), Holder::stake(job.provider), job.provider, Purpose::stake_back);

  std::string sentence = native && job.audit == attest::Audit::judged ? "Computed, found acceptable by its judges, and paid; no proof (native)."
                         : job.audit == attest::Audit::as_ordered ? "Computed, checked as ordered, and paid."
                         : job.audit == attest::Audit::partly   ? "Computed and paid; some of the checks were not made."
                                                                : "Computed and paid; nobody checked it (unaudited).";
  write_receipt(state, block, job, Ended::settled, Code::internal, Blame::none, sentence, std::move(pay.lines));
  block.emit("job.settled", id_of(job),
             {{"provider", to_json(job.provider)},
              {"requester", to_json(job.requester)},
              {"audit", json_quote(attest::name(job.audit))},
              {"paid_provider", to_json(job.paid_provider)},
              {"paid_verifiers", to_json(job.paid_verifiers)},
              {"paid_royalties", to_json(job.paid_royalties)}});
  finish(state, block, job, JobState::settled, Code::internal, Blame::none, std::move(sentence));
}

// ---- phases of a committed job ----

void start_draw(State& state, BlockContext& block, Job& job) {
  state.disarm(job.timer);
  job.phase = JobPhase::draw;
  job.draw_height = Height{number(block.height) + std::max<uint64_t>(1, block.params_of(job).draw_delay_blocks)};
  state.put(DueDraw{job.draw_height, job.id});
  state.put(job);
}

void open_window(State& state, BlockContext& block, Job& job) {
  job.phase = JobPhase::window;
  set_timer(state, block, job, block.params_of(job).window_ms);
  state.put(job);
  block.emit("job.window", id_of(job), {{"until", to_json(job.timer.due)}});
}

// A segment that two verifiers were not served, and nobody has a verdict about.
bool withheld(const Job& job) {
  std::map<uint64_t, size_t> undelivered;
  for (const Check& check : job.checks)
    if (check.state == CheckState::undelivered) undelivered[check.record.draw.segment]++;
  for (const Check& check : job.checks)
    if (!check.record.verdict.is_zero()) undelivered.erase(check.record.draw.segment);
  return std::any_of(undelivered.begin(), undelivered.end(), [](const auto& segment) { return segment.second >= 2; });
}

// Who lies, the provider or its verifiers, is not known: all lose the same.
void void_withheld(State& state, BlockContext& block, Job& job) {
  const Amount each{block.params_of(job).verifier_silence};
  const auto burn = [&](const Holder& locked, const Holder& rest) {
    const Amount taken = state.move_up_to(locked, Holder::burned(), each);
    return *add(taken, state.move_up_to(rest, Holder::burned(), *subtract(each, taken)));
  };
  const Amount of_provider = burn(Holder::job_stake(job.id), Holder::stake(job.provider));
  std::set<AccountId> signers;
  for (const Check& check : job.checks)
    if (check.state == CheckState::undelivered) signers.insert(check.record.draw.verifier);
  for (const AccountId& signer : signers) burn(Holder::bond(signer), Holder::unbonding(signer));
  void_job(state, block, job, Code::undelivered, Blame::network, "Two draws of verifiers were not served what they had to check.",
           {{{}, of_provider, Purpose::slash_burn, {}}});
}

// Judges decide about pay, by more than half of those that the job names.
void after_judges(State& state, BlockContext& block, Job& job) {
  std::set<AccountId> against;
  for (const Check& check : job.checks)
    if (check.state == CheckState::differs) against.insert(check.record.draw.verifier);
  if (2 * against.size() <= job.spec.judges.size()) {
    job.phase = JobPhase::window;
    return settle(state, block, job);
  }
  Settlement pay{state, {}};
  pay_checkers(pay, job);
  void_job(state, block, job, Code::job_void, Blame::provider, "Most of the job's judges found its result out of tolerance (native: pay, no slash).",
           std::move(pay.lines));
}

// A private job's reveals are over. True when it has ended, or waits for consent.
bool jury_spoke(State& state, BlockContext& block, Job& job) {
  std::map<uint64_t, std::vector<const Check*>> voices;  // by segment, of those that revealed
  bool differs = false;
  for (const Check& check : job.checks) {
    if (!check.record.knowledge) continue;
    voices[check.record.draw.segment].push_back(&check);
    differs |= check.state == CheckState::differs;
  }
  if (!differs) return false;
  for (const auto& [segment, spoke] : voices) {
    const Check* first = spoke.front();
    bool together = spoke.size() >= 2 && first->state == CheckState::differs;
    for (const Check* check : spoke) {
      together &= *check->record.knowledge == *spoke.front()->record.knowledge;
      if (check->seq < first->seq) first = check;
    }
    if (!together) continue;
    const AccountId winner = first->record.draw.verifier;
    slash(state, block, job, winner, Code::slashed, "The jury of a private job agreed against its provider; nothing was opened (no proof).");
    return true;
  }
  job.phase = JobPhase::consent;
  set_timer(state, block, job, block.params_of(job).reveal_ms);
  state.put(job);
  block.emit("job.consent", id_of(job), {{"requester", to_json(job.requester)}, {"until", to_json(job.timer.due)}});
  return true;
}

// Every reveal is in, or its time is over.
void after_reveals(State& state, BlockContext& block, Job& job) {
  if (job.spec.viewers && !job.key && jury_spoke(state, block, job)) return;
  open_window(state, block, job);
}

// Nobody is waited for in `verdicts` any more.
void after_verdicts(State& state, BlockContext& block, Job& job) {
  if (job.spec.tier == attest::Tier::native) return after_judges(state, block, job);
  const bool unheard = job.checks.empty() || std::any_of(job.checks.begin(), job.checks.end(),
                                                         [](const Check& c) { return c.record.verdict.is_zero(); });
  if (unheard && job.draws.size() < 2) return start_draw(state, block, job);
  if (withheld(job)) return void_withheld(state, block, job);
  if (!any_check(job, CheckState::committed)) return open_window(state, block, job);
  job.phase = JobPhase::answers;
  set_timer(state, block, job, block.params_of(job).reveal_ms);
  state.put(job);
  block.emit("job.answers", id_of(job), {{"until", to_json(job.timer.due)}, {"provider", to_json(job.provider)}});
}

}  // namespace

uint64_t rerun_ms(const attest::ChainParams& params, const attest::JobSpec& spec) {
  const u128 ns = static_cast<u128>(spec.step_work_ns) * std::min(spec.interval, spec.steps);
  const u128 wait = ns / 1'000'000 * params.first_move_factor;
  return wait > UINT32_MAX ? UINT32_MAX : static_cast<uint64_t>(wait);
}

// ---- transactions ----

Result<> open_job(State& state, const TxContext& context, const attest::JobSpec& spec) {
  TRY_LET(price, quote(state, context.params(), spec));
  Job job;
  job.id = context.id.as<JobIdTag>();
  job.requester = context.sender;
  job.spec = spec;
  job.seq = context.seq;
  job.audits = price.audits;
  job.assets = price.assets;
  job.opened = context.block.now;
  const Holder payer = Holder::account(context.sender);
  if (state.balance(payer) < price.total)
    return Error{Code::insufficient,
                 "the job costs " + pretty(price.total) + " at its ceiling, the balance is " + pretty(state.balance(payer)),
                 "add funds, or lower the ceiling"};
  TRY(state.move(payer, Holder::deposit(context.id), price.deposit));
  TRY(state.move(payer, Holder::escrow(job.id), *subtract(price.total, price.deposit)));
  context.block.emit("job.opened", context.id,
                     {{"requester", to_json(job.requester)},
                      {"title", json_quote(spec.title)},
                      {"class", to_json(spec.klass)},
                      {"ceiling", to_json(spec.price_ceiling)},
                      {"escrow", to_json(*subtract(price.total, price.deposit))}});
  list_job(state, context.block, job);
  return {};
}

Result<> cancel_job(State& state, const TxContext& context, const JobId& id) {
  TRY_LET(job, job_in(state, id));
  if (job.requester != context.sender) return not_party("requester");
  if (job.state != JobState::open && job.state != JobState::matched) return wrong_state(job, "open");
  if (job.state == JobState::open) unlist_job(state, job);
  Settlement pay{state, {}};
  pay.pay_rest(Holder::escrow(id), Holder::account(job.requester), job.requester, Purpose::refund);
  write_receipt(state, context.block, job, Ended::cancelled, Code::cancelled, Blame::requester,
                "The requester took the job back before anybody accepted it.", std::move(pay.lines));
  context.block.emit("job.cancelled", id_of(job), {{"requester", to_json(job.requester)}, {"provider", to_json(job.provider)}});
  finish(state, context.block, job, JobState::cancelled, Code::cancelled, Blame::requester,
         "The requester took the job back before anybody accepted it.");
  return {};
}

Result<> accept_job(State& state, const TxContext& context, const JobId& id) {
  TRY_LET(job, job_in(state, id));
  if (job.state != JobState::matched) return wrong_state(job, "matched");
  if (job.provider != context.sender) return not_party("matched provider");
  TRY(state.move(Holder::stake(job.provider), Holder::job_stake(id), job.stake));
  job.state = JobState::running;
  job.accepted = context.block.now;
  set_timer(state, context.block, job, job.spec.run_ms);
  state.put(job);
  context.block.emit("job.accepted", id_of(job),
                     {{"provider", to_json(job.provider)},
                      {"requester", to_json(job.requester)},
                      {"commit_by", to_json(job.timer.due)}});
  return {};
}

Result<> commit_job(State& state, const TxContext& context, const attest::Commitment& commitment) {
  TRY_LET(job, job_in(state, commitment.job));
  if (job.state != JobState::running) return wrong_state(job, "running");
  if (job.provider != context.sender) return not_party("provider");
  const auto other = [](std::string_view what) {
    return Error{Code::invalid, "the commitment is for another " + std::string(what), "commit to the job that was accepted"};
  };
  if (commitment.plan_root != job.spec.plan_root) return other("plan");
  if (commitment.input_root != attest::input_root(job.spec)) return other("set of inputs");
  if (commitment.steps != job.spec.steps) return other("number of steps");
  job.state = JobState::committed;
  job.commitment = commitment;
  job.committed = context.block.now;
  context.block.emit("job.committed", id_of(job),
                     {{"provider", to_json(job.provider)},
                      {"requester", to_json(job.requester)},
                      {"checkpoint_root", to_json(commitment.checkpoint_root)},
                      {"outputs_root", to_json(commitment.outputs_root)}});
  if (job.spec.secret_hash.is_zero()) {
    start_draw(state, context.block, job);
    return {};
  }
  job.phase = JobPhase::secret;
  set_timer(state, context.block, job, context.block.params_of(job).secret_window_ms);
  state.put(job);
  return {};
}

Result<> reveal_secret(State& state, const TxContext& context, const JobId& id, const Hash& secret) {
  TRY_LET(job, job_in(state, id));
  if (job.requester != context.sender) return not_party("requester");
  if (!job.commitment) return wrong_state(job, "committed");
  if (job.phase != JobPhase::secret)
    return Error{Code::too_late, "the draw goes on without the secret", "reveal sooner after the commitment"};
  if (tagged_hash("cairn.secret.v1", {secret.span()}) != job.spec.secret_hash)
    return Error{Code::invalid, "the secret is not the one whose hash stands in the job", "reveal that one"};
  job.secret = secret;
  start_draw(state, context.block, job);
  return {};
}

Result<> commit_verdict(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& hash) {
  TRY_LET(job, job_in(state, id));
  Check* check = check_of(job, segment, context.sender);
  if (!check || job.spec.tier == attest::Tier::native) return not_party("drawn verifier");
  if (check->state != CheckState::drawn && check->state != CheckState::silent)
    return Error{Code::already, "this check has its verdict", "reveal it when the provider has answered"};
  if (job.phase != JobPhase::verdicts || check->state == CheckState::silent)
    return Error{Code::too_late, "the time for verdicts is over", "check sooner"};
  check->record.verdict = hash;
  check->state = CheckState::committed;
  check->seq = context.seq;
  context.block.emit("check.committed", id_of(job), {{"segment", to_json(segment)}, {"verifier", to_json(context.sender)}});
  if (!any_check(job, CheckState::drawn)) {
    after_verdicts(state, context.block, job);
  } else {
    state.put(job);
  }
  return {};
}

Result<> report_undelivered(State& state, const TxContext& context, const JobId& id, uint64_t segment) {
  TRY_LET(job, job_in(state, id));
  Check* check = check_of(job, segment, context.sender);
  if (!check || job.spec.tier == attest::Tier::native) return not_party("drawn verifier");
  if (check->state != CheckState::drawn && check->state != CheckState::silent)
    return Error{Code::already, "this check has its verdict", "nothing is left to report"};
  if (job.phase != JobPhase::verdicts || check->state == CheckState::silent)
    return Error{Code::too_late, "the time for verdicts is over", "report sooner"};
  check->state = CheckState::undelivered;
  check->record.did = attest::Checked::undelivered;
  context.block.emit("check.undelivered", id_of(job),
                     {{"segment", to_json(segment)}, {"verifier", to_json(context.sender)}});
  if (!any_check(job, CheckState::drawn)) {
    after_verdicts(state, context.block, job);
  } else {
    state.put(job);
  }
  return {};
}

Result<> answer_check(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& call_id,
                      const SegmentRoots& roots) {
  TRY_LET(job, job_in(state, id));
  if (job.provider != context.sender) return not_party("provider");
  if (job.phase != JobPhase::answers) return wrong_state(job, "waiting for answers");
  const auto is_in = [&](CheckState in) {
    return [segment, in](const Check& c) { return c.record.draw.segment == segment && c.state == in; };
  };
  if (std::none_of(job.checks.begin(), job.checks.end(), is_in(CheckState::committed))) {
    if (std::any_of(job.checks.begin(), job.checks.end(), is_in(CheckState::answered)))
      return Error{Code::already, "this check is answered", "wait for the reveals"};
    return Error{Code::wrong_state, "no verdict was committed about this segment", "answer the checks that the job lists"};
  }
  TRY(check(roots, job.spec, *job.commitment, segment));
  for (Check& at : job.checks) {  // all who check this segment look at the same call
    if (!is_in(CheckState::committed)(at)) continue;
    at.record.provider = attest::Knowledge{call_id, roots.end_root};
    at.start_root = roots.start_root;
    at.state = CheckState::answered;
  }
  if (!any_check(job, CheckState::committed)) {
    job.phase = JobPhase::reveals;
    set_timer(state, context.block, job, context.block.params_of(job).reveal_ms);
    context.block.emit("job.reveals", id_of(job), {{"until", to_json(job.timer.due)}});
  }
  state.put(job);
  return {};
}

Result<> reveal_verdict(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& salt,
                        const attest::Knowledge& knowledge, const std::optional<DrawnCall>& call) {
  TRY_LET(job, job_in(state, id));
  Check* check = check_of(job, segment, context.sender);
  if (!check) return not_party("drawn verifier");
  if (check->state >= CheckState::agreed) return Error{Code::already, "this check is over", "look at the job again"};
  if (job.phase != JobPhase::reveals || check->state != CheckState::answered)
    return wrong_state(job, "waiting for this reveal");
  if (attest::verdict_hash(salt, context.sender, id, segment, knowledge) != check->record.verdict)
    return Error{Code::invalid, "this is not what was committed", "reveal the same salt, call id and end root"};
  const bool same_end = knowledge.end_root == check->record.provider->end_root;
  const bool same = knowledge == *check->record.provider;
  if (same_end && !same && call) TRY(ledger::check(*call, job.spec.plan_root, check->record.draw.work_offset));

  check->record.salt = salt;
  check->record.knowledge = knowledge;
  if (same) {
    check->state = CheckState::agreed;
    check->record.did = attest::Checked::agreed;
    context.block.emit("check.agreed", id_of(job), {{"segment", to_json(segment)}, {"verifier", to_json(context.sender)}});
  } else {
    check->record.did = attest::Checked::differed;
    check->state = same_end && !call ? CheckState::unproven : CheckState::differs;
    if (call) check->call = call->index;
    context.block.emit("check.differs", id_of(job), {{"segment", to_json(segment)}, {"verifier", to_json(context.sender)}});
    if (check->state == CheckState::differs && (!job.spec.viewers || job.key))
      open_from_check(state, context.block, job, static_cast<size_t>(check - job.checks.data()));
  }
  if (!any_check(job, CheckState::answered)) {
    after_reveals(state, context.block, job);
  } else {
    state.put(job);
  }
  return {};
}

Result<> judge_job(State& state, const TxContext& context, const JobId& id, bool pays) {
  TRY_LET(job, job_in(state, id));
  const auto& judges = job.spec.judges;
  if (!std::binary_search(judges.begin(), judges.end(), context.sender)) return not_party("job's judge");
  if (job.state != JobState::committed || job.phase != JobPhase::verdicts)
    return Error{Code::too_late, "the judges of this job are not asked now", "speak between its draw and its deadline"};
  for (Check& check : job.checks) {
    if (check.record.draw.verifier != context.sender) continue;
    if (check.state != CheckState::drawn) return Error{Code::already, "this judge has spoken", "look at the job again"};
    check.state = pays ? CheckState::agreed : CheckState::differs;
    check.record.did = pays ? attest::Checked::agreed : attest::Checked::differed;
  }
  context.block.emit("job.judged", id_of(job), {{"judge", to_json(context.sender)}, {"pays", pays ? "true" : "false"}});
  if (!any_check(job, CheckState::drawn)) {
    after_verdicts(state, context.block, job);
  } else {
    state.put(job);
  }
  return {};
}

Result<> consent_job(State& state, const TxContext& context, const JobId& id, const Hash& key) {
  TRY_LET(job, job_in(state, id));
  if (job.requester != context.sender) return not_party("requester");
  if (!job.spec.viewers || !job.commitment || is_terminal(job.state)) return wrong_state(job, "a private job with a commitment");
  if (job.key) return Error{Code::already, "the requester has consented", "look at the job again"};
  if (attest::private_key_hash(key) != job.spec.viewers->key_hash)
    return Error{Code::invalid, "this is not the key of the job's ids", "send the key that its order was made with"};
  job.key = key;
  if (job.phase != JobPhase::consent) {
    state.put(job);
    return {};
  }
  for (size_t i = 0; i < job.checks.size(); i++)
    if (job.checks[i].state == CheckState::differs) open_from_check(state, context.block, job, i);
  open_window(state, context.block, job);
  return {};
}

// ---- what time does ----

void draw_checks(State& state, BlockContext& block, Job job) {
  const uint64_t k = block.params_of(job).rule(job.spec.policy).segments;
  const uint32_t round = static_cast<uint32_t>(job.draws.size());
  std::vector<attest::Candidate> candidates;
  state.scan<Verifier>(make_key('v'), [&](const Verifier& verifier) {
    const AccountId& who = verifier.account;
    const auto& viewers = job.spec.viewers;
    const bool may = !viewers || std::binary_search(viewers->verifiers.begin(), viewers->verifiers.end(), who);
    if (may && who != job.provider && who != job.payee) candidates.push_back({who, state.balance(Holder::bond(who))});
    return true;
  });
  if (job.spec.tier == attest::Tier::native) candidates.clear();
  std::vector<attest::DrawnCheck> unheard, before;
  for (const Check& check : job.checks) {
    before.push_back(check.record.draw);
    if (check.record.verdict.is_zero()) unheard.push_back(check.record.draw);
  }

  attest::DrawRecord drawn;
  drawn.height = block.height;
  drawn.beacon = block.beacon;
  drawn.secret = job.secret.value_or(Hash{});
  drawn.segments = k;
  for (const auto& candidate : candidates) drawn.candidates.push_back({candidate.account, candidate.bond});
  job.draws.push_back(drawn);
  const Hash randomness =
      attest::draw_randomness(block.beacon, drawn.secret, job.id, attest::commitment_hash(*job.commitment));
  const auto draws = job.checks.empty() ? attest::draw(randomness, job.spec, k, candidates)
                                        : attest::redraw(randomness, job.spec, unheard, before, candidates);
  std::string list = "[";
  for (const auto& draw : draws) {
    Check check;
    check.record.draw = draw;
    check.record.round = round;
    job.checks.push_back(check);
    list += (list.size() > 1 ? "," : "") + to_json(draw);
  }
  if (draws.empty()) return after_verdicts(state, block, job);
  job.phase = JobPhase::verdicts;
  set_timer(state, block, job, block.params_of(job).verdict_ms + rerun_ms(block.params_of(job), job.spec));
  state.put(job);
  block.emit("job.drawn", id_of(job),
             {{"provider", to_json(job.provider)}, {"checks", list + "]"}, {"until", to_json(job.timer.due)}});
}

void job_due(State& state, BlockContext& block, Job job) {
  job.timer = {};
  if (job.state == JobState::matched) {
    Settlement none{state, {}};
    write_receipt(state, block, job, Ended::lapsed, Code::expired, Blame::none,
                  "The matched provider did not accept in time.", {});
    block.emit("job.lapsed", id_of(job), {{"provider", to_json(job.provider)}});
    if (auto offer = state.offer(job.offer)) remove_offer(state, block, *offer, "a match lapsed");
    return reopen(state, block, job);
  }
  if (job.state == JobState::running) {
    const Amount due = *scale(job.reward, block.params_of(job).late_permille, 1000);
    Settlement pay{state, {}};
    const Holder stake = Holder::job_stake(job.id);
    pay.pay(stake, Holder::account(job.requester), job.requester, std::min(due, state.balance(stake)), Purpose::late);
    pay.pay_rest(stake, Holder::stake(job.provider), job.provider, Purpose::stake_back);
    write_receipt(state, block, job, Ended::lapsed, Code::too_late, Blame::provider,
                  "The provider accepted and did not commit in time.", std::move(pay.lines));
    note_late(state, job);
    block.emit("job.late", id_of(job), {{"provider", to_json(job.provider)}});
    return reopen(state, block, job);
  }
  switch (job.phase) {
    case JobPhase::secret: return start_draw(state, block, job);
    case JobPhase::verdicts:
      for (Check& check : job.checks) {
        if (check.state != CheckState::drawn) continue;
        if (job.spec.tier == attest::Tier::native) check.state = CheckState::silent;  // a judge has no bond
        else punish_silence(state, block, job, check);
      }
      return after_verdicts(state, block, job);
    case JobPhase::answers: {
      const Check* first = nullptr;
      for (const Check& check : job.checks)
        if (check.state == CheckState::committed && (!first || check.seq < first->seq)) first = &check;
      CHECK(first != nullptr);
      const AccountId winner = first->record.draw.verifier;
      return slash(state, block, job, winner, Code::timed_out, "The provider did not answer a check.");
    }
    case JobPhase::reveals:
      for (Check& check : job.checks)
        if (check.state == CheckState::answered) punish_silence(state, block, job, check);
      return after_reveals(state, block, job);
    case JobPhase::consent:
      return void_job(state, block, job, Code::job_void, Blame::none, "The jury of a private job disagrees, and its owner opens nothing.");
    case JobPhase::window:
      state.put(job);
      return settle_if_done(state, block, job);
    default: break;
  }
  CHECK(!"a deadline of a job that waits for nothing");
}

void prune_job(State& state, BlockContext& block, const Job& job) {
  state.move_all(Holder::deposit(id_of(job)), Holder::account(job.requester));
  state.erase(job);
  block.emit("job.pruned", id_of(job), {{"requester", to_json(job.requester)}});
}

void settle_if_done(State& state, BlockContext& block, Job& job) {
  if (job.phase == JobPhase::window && job.timer.seq == 0 && job.games.empty()) settle(state, block, job);
}

void punish_false_verdicts(State& state, BlockContext& block, const Job& job, uint64_t segment) {
  for (const Check& check : job.checks) {
    if (check.state != CheckState::agreed || check.record.draw.segment != segment) continue;
    const AccountId& who = check.record.draw.verifier;
    const Amount fine = std::max(job.stake, Amount{block.params_of(job).verifier_silence});
    const Amount taken = state.move_up_to(Holder::bond(who), Holder::burned(), fine);
    state.move_up_to(Holder::unbonding(who), Holder::burned(), *subtract(fine, taken));
    block.emit("check.false", id_of(job), {{"segment", to_json(segment)}, {"verifier", to_json(who)}});
  }
}

void slash(State& state, BlockContext& block, Job& job, const AccountId& winner, Code code, std::string sentence) {
  drop_games(state, block, job);
  const Holder stake = Holder::job_stake(job.id);
  const Amount whole = state.balance(stake);
  Settlement pay{state, {}};
  pay.pay(stake, Holder::burned(), {}, *scale(whole, block.params_of(job).slash_burn_permille, 1000), Purpose::slash_burn);
  pay.pay(stake, Holder::account(job.requester), job.requester,
          *scale(whole, block.params_of(job).slash_requester_permille, 1000), Purpose::slash_requester);
  pay.pay_rest(stake, Holder::account(winner), winner, Purpose::slash_challenger);
  write_receipt(state, block, job, Ended::slashed, code, Blame::provider, sentence, std::move(pay.lines));
  block.emit("job.slashed", id_of(job),
             {{"provider", to_json(job.provider)},
              {"requester", to_json(job.requester)},
              {"winner", to_json(winner)},
              {"stake", to_json(whole)},
              {"why", json_quote(sentence)}});
  if (auto offer = state.offer(job.offer)) remove_offer(state, block, *offer, "its provider was slashed");
  reopen(state, block, job);
}

void void_job(State& state, BlockContext& block, Job& job, Code code, Blame fault, std::string sentence,
              std::vector<SettlementLine> lines) {
  drop_games(state, block, job);
  Settlement pay{state, std::move(lines)};
  pay.pay_rest(Holder::escrow(job.id), Holder::account(job.requester), job.requester, Purpose::refund);
  pay.pay_rest(Holder::job_stake(job.id), Holder::stake(job.provider), job.provider, Purpose::stake_back);
  write_receipt(state, block, job, Ended::voided, code, fault, sentence, std::move(pay.lines));
  block.emit("job.void", id_of(job),
             {{"provider", to_json(job.provider)},
              {"requester", to_json(job.requester)},
              {"code", json_quote(name(code))},
              {"fault", json_quote(attest::name(fault))},
              {"why", json_quote(sentence)}});
  finish(state, block, job, JobState::voided, code, fault, std::move(sentence));
}

}  // namespace cairn::ledger
