// What a worker may never do again once it is ready.
#pragma once

#include "base/result.h"

namespace cairn::runtime {

// Forbids this process and its threads to make sockets, to run programs and to look into other processes (EPERM).
// Error: io, where the kernel has no seccomp.
Result<> enter_sandbox();

}  // namespace cairn::runtime
