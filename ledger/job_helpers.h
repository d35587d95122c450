// What the files of a job's life share.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

inline Hash id_of(const Job& job) { return job.id.as<HashTag>(); }

inline Error not_party(std::string_view whose) {
  return {Code::not_party, "this is the " + std::string(whose) + "'s to do", "sign with that account's key"};
}
inline Error wrong_state(const Job& job, std::string_view needed) {
  std::string now(name(job.state));
  if (job.phase != JobPhase::none) now += " (" + std::string(name(job.phase)) + ")";
  return {Code::wrong_state, "the job is " + now + ", not " + std::string(needed), "look at the job again"};
}

inline Result<Job> job_in(const State& state, const JobId& id) {
  auto job = state.job(id);
  if (!job) return gone("job", id.as<HashTag>());
  return *std::move(job);
}

// Begins the one wait of a job; an older one is over.
inline void set_timer(State& state, BlockContext& block, Job& job, uint64_t wait_ms) {
  state.disarm(job.timer);
  job.timer = state.arm(Due::job, id_of(job), after(block.now, wait_ms), block.next_seq());
}

}  // namespace cairn::ledger
