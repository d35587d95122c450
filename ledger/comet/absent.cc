// A build without CometBFT.
#include "ledger/comet/run.h"

namespace cairn::ledger::comet {

Result<> run(const NodeConfig&, const attest::Genesis& genesis, const std::vector<std::string>&, int, const Between&) {
  return Error{Code::not_found, "this build has no CometBFT, which " + genesis.name + " runs on", "scripts/setup --comet, then build anew"};
}

}  // namespace cairn::ledger::comet
