#include "ledger/endings.h"

#include "ledger/assets.h"
#include "ledger/checks.h"
#include "ledger/disputes.h"
#include "ledger/job_helpers.h"
#include "ledger/market.h"

namespace cairn::ledger {
namespace {

using attest::Blame;
using attest::Ended;
using attest::Purpose;
using attest::SettlementLine;

constexpr size_t kMaxMet = 64;  // providers that a job remembers, the latest

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

void end_duties(State& state, const Job& job) {
  if (job.spec.tier == attest::Tier::native) return;
  for (const Check& check : job.checks)
    state.erase(Duty{check.record.draw.verifier, job.draws.at(check.record.round).height, job.id, {}});
}

// Forgets the match and everything after it, and puts the job on the book again.
void reopen(State& state, BlockContext& block, Job& job) {
  free_slot(state, job.offer);
  look_for_jobs(state, block, job.provider);
  state.disarm(job.timer);
  if (job.phase == JobPhase::draw) state.erase(DueDraw{job.draw_height, job.id});
  end_duties(state, job);
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
  end_duties(state, job);
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

}  // namespace

std::vector<SettlementLine> pay_checkers(State& state, Job& job) {
  Settlement pay{state, {}};
  for (const Check& check : job.checks) {
    const bool judged = job.spec.tier == attest::Tier::native && check.state == CheckState::differs;
    if (check.state != CheckState::agreed && !judged) continue;
    const AccountId& who = check.record.draw.verifier;
    const Amount each = check_pay(job.spec, job.reward);
    pay.pay(Holder::escrow(job.id), Holder::account(who), who, each, Purpose::audit);
    job.paid_verifiers = *add(job.paid_verifiers, each);
  }
  return std::move(pay.lines);
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
  for (const auto& line : pay_checkers(state, job)) pay.lines.push_back(line);
  punish_contradicted(state, block, job);
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

void settle_if_done(State& state, BlockContext& block, Job& job) {
  if (job.phase == JobPhase::window && job.timer.seq == 0 && job.games.empty()) settle(state, block, job);
}

void take_back(State& state, BlockContext& block, Job& job) {
  Settlement pay{state, {}};
  pay.pay_rest(Holder::escrow(job.id), Holder::account(job.requester), job.requester, Purpose::refund);
  write_receipt(state, block, job, Ended::cancelled, Code::cancelled, Blame::requester,
                "The requester took the job back before anybody accepted it.", std::move(pay.lines));
  block.emit("job.cancelled", id_of(job), {{"requester", to_json(job.requester)}, {"provider", to_json(job.provider)}});
  finish(state, block, job, JobState::cancelled, Code::cancelled, Blame::requester,
         "The requester took the job back before anybody accepted it.");
}

void lapse(State& state, BlockContext& block, Job& job) {
  block.emit("job.lapsed", id_of(job), {{"provider", to_json(job.provider)}});
  job.tries--;  // nothing was run and nothing paid: no receipt, and no number for one
  if (auto offer = state.offer(job.offer)) remove_offer(state, block, *offer, "a match lapsed");
  reopen(state, block, job);
}

void end_late(State& state, BlockContext& block, Job& job) {
  const Amount due = *scale(job.reward, block.params_of(job).late_permille, 1000);
  Settlement pay{state, {}};
  const Holder stake = Holder::job_stake(job.id);
  pay.pay(stake, Holder::account(job.requester), job.requester, std::min(due, state.balance(stake)), Purpose::late);
  pay.pay_rest(stake, Holder::stake(job.provider), job.provider, Purpose::stake_back);
  write_receipt(state, block, job, Ended::lapsed, Code::too_late, Blame::provider,
                "The provider accepted and did not commit in time.", std::move(pay.lines));
  note_late(state, job);
  block.emit("job.late", id_of(job), {{"provider", to_json(job.provider)}});
  reopen(state, block, job);
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

void prune_job(State& state, BlockContext& block, const Job& job) {
  state.move_all(Holder::deposit(id_of(job)), Holder::account(job.requester));
  state.erase(job);
  block.emit("job.pruned", id_of(job), {{"requester", to_json(job.requester)}});
}

}  // namespace cairn::ledger
