// The life of a job, from escrow to receipt. Every wait has a deadline and a named loser.
//
//   open -> matched -> running -> committed (secret, draw, verdicts, answers, reveals, window) -> settled | void
//
//   wait                  ends early when            at its deadline
//   matched               the provider accepts       lapses without fault: the offer leaves the book, the job is open again
//   running               the provider commits       late: a part of R from the stake to the requester, open again
//   secret                the requester reveals      the draw goes on without it
//   draw                  (a height)                 nobody to draw: once more, then the window opens with nothing checked
//   verdicts              all have committed or      silent ones lose bond
//                         were not served
//   answers               all are answered           the provider loses like a lost game
//   reveals               all are revealed           silent ones lose bond
//   consent               the requester consents     void without fault
//   window                -                          settles, if no game is open; else when the last one is over
//
// A segment that nobody has committed a verdict about is drawn once more, for others. Where two say that they were not served, a third
// is drawn, and the job is void unless that one was: a checkpoint counts once another party has it. What one verifier agreed on
// elsewhere does not pay for a segment whose opening state is withheld. A third report costs the provider its stake in the job.
//
// A private job (spec.viewers) has two verifiers for each drawn segment, of a jury that the data's owner named, and opens nothing:
// where all of a segment's verifiers agree against the provider it is slashed; where they do not, the job is void, without fault,
// unless the requester consents to a game in phase `consent`. It may consent before, and then what differs is a game at once.
//
// A native job (spec.tier) has judges, who speak in phase `verdicts`; more than half of them against it leave the provider
// without pay.
//
// The functions are called with a job as it stands in the state, and leave it stored.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Transactions up to the commitment (checks.h has those after it); their rejections are documented in tx/.
Result<> open_job(State& state, const TxContext& context, const attest::JobSpec& spec);
Result<> cancel_job(State& state, const TxContext& context, const JobId& id);
Result<> accept_job(State& state, const TxContext& context, const JobId& id);
Result<> commit_job(State& state, const TxContext& context, const attest::Commitment& commitment);
Result<> reveal_secret(State& state, const TxContext& context, const JobId& id, const Hash& secret);

// The job's deadline has come.
void job_due(State& state, BlockContext& block, Job job);

}  // namespace cairn::ledger
