// The worker's inside: answers requests on the socket it was started with until that closes.
#pragma once

#include "runtime/executor.h"

namespace cairn::runtime {

// Runs until the other end of the socket (descriptor 3) is gone; returns the exit status. `tamper` is empty in every honest
// program. First says an empty Progress when the operators have passed their self-test, or Failed.
//
// From then on the process can open no socket, run no program and trace no process: a seccomp filter forbids it.
int worker_main(Tamper tamper = {});

}  // namespace cairn::runtime
