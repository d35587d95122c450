// The inside of a worker process: answers requests on one socket until it closes.
#pragma once

#include "runtime/executor.h"

namespace cairn::runtime {

// Runs the operators' self-test, then serves descriptor `fd`. Returns the exit status: 0 when the other side closed the
// socket, else that of the error, which went to the other side or to standard error. `tamper` and `break_tile` are empty in every
// honest program.
int serve_worker(int fd, Tamper tamper = {}, kernels::BreakTile break_tile = {});

}  // namespace cairn::runtime
