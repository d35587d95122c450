// cairn-agent: a machine that takes jobs, computes them in workers, commits, answers checks, plays its side of disputes, and
// is paid.
//
// The chain is the only memory that counts: every job thread looks at its job's state there and does the next thing that
// this state asks of a provider. Beside it, the journal keeps what the chain does not know: the leaves and states of a run
// before they are committed. So kill -9 at any moment loses at most the work since the last checkpoint.
//
//   matched    fetch and check plan and inputs (from the requester), then Accept; a requester that serves nothing lapses
//   running    run the plan, then Commit; a run in which this machine was found to compute wrong is done anew, once
//   committed  answer every drawn check
//   disputed   play
//   ended      serve the result on, until the chain forgets the job
#pragma once

#include "agent/settings.h"
#include "base/result.h"

namespace cairn::agent {

// Runs until SIGTERM. SIGHUP reads the file again: price, numeric class, policies, native, memory, jobs and hours count from
// then on, stake when something is staked next, the rest from the next start; a file with a mistake changes nothing and is logged.
// Errors: config. Throws Fault for what a restart would not mend at once: key file, folder, address in use, no worker.
Result<> run_provider(const std::filesystem::path& config_file);

}  // namespace cairn::agent
