// The checks of a committed job: who is drawn, what they say, what follows (see jobs.h for the waits).
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

// Transactions; their rejections are documented in tx/.
Result<> commit_verdict(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& hash);
Result<> report_undelivered(State& state, const TxContext& context, const JobId& id, uint64_t segment);
Result<> answer_check(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& call_id,
                      const SegmentRoots& roots);
Result<> reveal_verdict(State& state, const TxContext& context, const JobId& id, uint64_t segment, const Hash& salt,
                        const attest::Knowledge& knowledge, const std::optional<DrawnCall>& call);
Result<> judge_job(State& state, const TxContext& context, const JobId& id, bool pays);
Result<> consent_job(State& state, const TxContext& context, const JobId& id, const Hash& key);

// The commitment stands and the secret is out, or late: a later block's beacon draws.
void start_draw(State& state, BlockContext& block, Job& job);
// That block begins.
void draw_checks(State& state, BlockContext& block, Job job);
// The deadline of a committed job's phase has come.
void check_due(State& state, BlockContext& block, Job& job);
// The referee itself found the segment false: whoever agreed on it forfeits bond.
void punish_false_verdicts(State& state, BlockContext& block, const Job& job, uint64_t segment);
// The job settles: whoever was "not served" a segment that another checked pays for the draw that it cost.
void punish_contradicted(State& state, BlockContext& block, const Job& job);

// Reference time of one segment on a slow machine, in chain milliseconds: added to a clock that waits for a re-run.
uint64_t rerun_ms(const attest::ChainParams& params, const attest::JobSpec& spec);

}  // namespace cairn::ledger
