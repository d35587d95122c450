// Two processes that live and die together: the application, then CometBFT. When either ends, for whatever reason and with
// whatever status (CometBFT's is 0 when its application dies), both are started again, the application first.
//
// A node is healthy only while its height moves: a process that answers and makes no blocks is reported. Both die with this
// process, however it ends. One thread, and no other in this process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace cairn::ledger::comet {

struct SupervisorConfig {
  std::vector<std::string> application;  // program and arguments; "--progress-fd N" is added
  std::vector<std::string> engine;
  std::filesystem::path home;            // CometBFT's; its output goes to HOME/comet.log
  uint64_t stall_ms = 30'000;            // without a block before it is reported
};

// The application writes its height to the progress descriptor when it is ready, and after every block.
void report_progress(int fd, uint64_t height);

// Until SIGTERM or SIGINT, which must be blocked already: then ends CometBFT and the application, in this order.
// Errors: io (a program that cannot be started); what the application said by its status when it ends at once, twice: it will
// not do otherwise by itself.
Result<> supervise(const SupervisorConfig& config);

}  // namespace cairn::ledger::comet
