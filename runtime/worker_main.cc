// cairn-worker: one job's libtorch and kernels, started by an agent with a socket as descriptor 3.
#include <sys/socket.h>

#include <cstdio>

#include "base/result.h"
#include "runtime/worker.h"

int main() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(3, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    const cairn::Error error{cairn::Code::usage, "cairn-worker serves a socket that an agent hands it as descriptor 3",
                             "run cairn or cairn-agent, which start it"};
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return cairn::exit_status(error.code);
  }
  return cairn::runtime::serve_worker(3);
}
