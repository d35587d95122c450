#include "ledger/checks.h"

#include <algorithm>
#include <map>
#include <set>

#include "ledger/disputes.h"
#include "ledger/endings.h"
#include "ledger/job_helpers.h"

namespace cairn::ledger {
namespace {

using attest::Blame;
using attest::Purpose;

bool any_check(const Job& job, CheckState in) {
  return std::any_of(job.checks.begin(), job.checks.end(), [&](const Check& c) { return c.state == in; });
}

// The sender's check of a segment.
Check* check_of(Job& job, uint64_t segment, const AccountId& verifier) {
  for (Check& check : job.checks)
    if (check.record.draw.segment == segment && check.record.draw.verifier == verifier) return &check;
  return nullptr;
}

void burn_of_bond(State& state, const AccountId& who, Amount fine) {
  const Amount taken = state.move_up_to(Holder::bond(who), Holder::burned(), fine);
  state.move_up_to(Holder::unbonding(who), Holder::burned(), *subtract(fine, taken));
}

void punish_silence(State& state, BlockContext& block, const Job& job, Check& check) {
  check.state = CheckState::silent;
  check.record.did = attest::Checked::silent;
  const AccountId& who = check.record.draw.verifier;
  burn_of_bond(state, who, Amount{block.params_of(job).verifier_silence});
  block.emit("check.silent", id_of(job), {{"segment", to_json(check.record.draw.segment)}, {"verifier", to_json(who)}});
}

// The most that its checks can cost: one false verdict, which ends the attempt, and lost games with their fees.
void put_at_stake(State& state, BlockContext& block, const Job& job, const AccountId& verifier) {
  Duty duty{verifier, block.height, job.id, {}};
  const Amount least = least_bond(block.params_of(job));
  const auto before = state.find<Duty>(key_of(duty));
  duty.at_stake = add(before ? before->at_stake : Amount{}, before ? least : std::max(job.stake, least)).value_or(Amount{UINT64_MAX});
  state.put(duty);
}

void open_window(State& state, BlockContext& block, Job& job) {
  job.phase = JobPhase::window;
  set_timer(state, block, job, block.params_of(job).window_ms);
  state.put(job);
  block.emit("job.window", id_of(job), {{"until", to_json(job.timer.due)}});
}

constexpr size_t kDoubt = 2;    // reports of one segment that nobody pays for, and for which a third verifier is asked
constexpr size_t kWithheld = 3;  // reports of one segment that cost its provider the job's stake

// The most verifiers that say of one segment, about which nobody has a verdict, that it was not served.
size_t reports(const Job& job) {
  std::map<uint64_t, size_t> undelivered;
  for (const Check& check : job.checks)
    if (check.state == CheckState::undelivered) undelivered[check.record.draw.segment]++;
  for (const Check& check : job.checks)
    if (!check.record.verdict.is_zero()) undelivered.erase(check.record.draw.segment);
  size_t most = 0;
  for (const auto& [segment, count] : undelivered) most = std::max(most, count);
  return most;
}

// Who lies, the provider or its verifiers, is not known. Two reports cost all of them the same. Three cost the provider its stake, or
// whoever is drawn where it lied would be better off serving nothing; nobody has any of it, so that nobody reports for money.
void void_withheld(State& state, BlockContext& block, Job& job, bool all_of_stake) {
  const Amount each{block.params_of(job).verifier_silence};
  const Holder stake = Holder::job_stake(job.id);
  Amount of_provider = state.move_up_to(stake, Holder::burned(), all_of_stake ? state.balance(stake) : each);
  if (const auto lacks = subtract(each, of_provider))  // a starter has none in the job
    of_provider = *add(of_provider, state.move_up_to(Holder::stake(job.provider), Holder::burned(), *lacks));
  std::set<AccountId> signers;
  for (const Check& check : job.checks)
    if (check.state == CheckState::undelivered) signers.insert(check.record.draw.verifier);
  for (const AccountId& signer : signers) burn_of_bond(state, signer, each);
  void_job(state, block, job, Code::undelivered, Blame::network,
           all_of_stake ? "Three drawn verifiers were not served what they had to check; the provider's stake is burned."
                        : "Two drawn verifiers were not served what they had to check, and no third one spoke.",
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
  void_job(state, block, job, Code::job_void, Blame::provider, "Most of the job's judges found its result out of tolerance (native: pay, no slash).",
           pay_checkers(state, job));
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
  const size_t reported = reports(job);
  if (unheard && job.draws.size() < (reported == kDoubt ? 3 : 2)) return start_draw(state, block, job);
  if (reported >= kDoubt) return void_withheld(state, block, job, reported >= kWithheld);
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

void start_draw(State& state, BlockContext& block, Job& job) {
  state.disarm(job.timer);
  job.phase = JobPhase::draw;
  job.draw_height = Height{number(block.height) + std::max<uint64_t>(1, block.params_of(job).draw_delay_blocks)};
  state.put(DueDraw{job.draw_height, job.id});
  state.put(job);
}

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
    if (check.record.verdict.is_zero() && check.record.round + 1 == round) unheard.push_back(check.record.draw);
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
    if (job.spec.tier != attest::Tier::native) put_at_stake(state, block, job, draw.verifier);  // a judge has no bond
    list += (list.size() > 1 ? "," : "") + to_json(draw);
  }
  if (draws.empty()) return after_verdicts(state, block, job);
  job.phase = JobPhase::verdicts;
  set_timer(state, block, job, block.params_of(job).verdict_ms + rerun_ms(block.params_of(job), job.spec));
  state.put(job);
  block.emit("job.drawn", id_of(job),
             {{"provider", to_json(job.provider)}, {"checks", list + "]"}, {"until", to_json(job.timer.due)}});
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
  if (same_end && !same && call) TRY(ledger::check(*call, job.spec, check->record.draw.work_offset));

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
  if (job.spec.tier == attest::Tier::native)
    return Error{Code::wrong_state, "a native job has no games that could open anything", "its judges decide about its pay"};
  if (job.key) return Error{Code::already, "the requester has consented", "look at the job again"};
  if (attest::private_key_hash(key) != job.spec.viewers->key_hash)
    return Error{Code::invalid, "this is not the key of the job's ids", "send the key that its order was made with"};
  job.key = key;
  for (size_t i = 0; i < job.checks.size(); i++)  // those that have revealed already
    if (job.checks[i].state == CheckState::differs) open_from_check(state, context.block, job, i);
  if (job.phase == JobPhase::consent) {
    open_window(state, context.block, job);
  } else {
    state.put(job);
  }
  return {};
}

void check_due(State& state, BlockContext& block, Job& job) {
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

void punish_false_verdicts(State& state, BlockContext& block, const Job& job, uint64_t segment) {
  for (const Check& check : job.checks) {
    if (check.state != CheckState::agreed || check.record.draw.segment != segment) continue;
    const AccountId& who = check.record.draw.verifier;
    burn_of_bond(state, who, std::max(job.stake, Amount{block.params_of(job).verifier_silence}));
    block.emit("check.false", id_of(job), {{"segment", to_json(segment)}, {"verifier", to_json(who)}});
  }
}

void punish_contradicted(State& state, BlockContext& block, const Job& job) {
  std::set<uint64_t> served;
  for (const Check& check : job.checks)
    if (check.state == CheckState::agreed) served.insert(check.record.draw.segment);
  for (const Check& check : job.checks) {
    const auto& draw = check.record.draw;
    if (check.state != CheckState::undelivered || !served.contains(draw.segment)) continue;
    burn_of_bond(state, draw.verifier, Amount{block.params_of(job).verifier_silence});
    block.emit("check.contradicted", id_of(job), {{"segment", to_json(draw.segment)}, {"verifier", to_json(draw.verifier)}});
  }
}

}  // namespace cairn::ledger
