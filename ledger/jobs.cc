#include "ledger/jobs.h"

#include "ledger/checks.h"
#include "ledger/endings.h"
#include "ledger/job_helpers.h"
#include "ledger/market.h"

namespace cairn::ledger {

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
  take_back(state, context.block, job);
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

void job_due(State& state, BlockContext& block, Job job) {
  job.timer = {};
  if (job.state == JobState::matched) return lapse(state, block, job);
  if (job.state == JobState::running) return end_late(state, block, job);
  check_due(state, block, job);
}

}  // namespace cairn::ledger
