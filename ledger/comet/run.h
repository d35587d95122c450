// cairnd of a chain whose engine is CometBFT.
#pragma once

#include <functional>

#include "attest/header.h"
#include "ledger/node_config.h"

namespace tendermint::abci {
class Request;
class Response;
}  // namespace tendermint::abci

namespace cairn::ledger::comet {

// Stands between CometBFT and the application, and calls `handle` to have the response filled: for tests that crash or lie there.
using Between = std::function<void(const tendermint::abci::Request&, tendermint::abci::Response&, const std::function<void()>& handle)>;

// Without a progress descriptor: makes CometBFT's folder and supervises two processes, this program with `arguments` as the
// application, and CometBFT. With one: is the application. Until SIGTERM or SIGINT, which are blocked already.
// Errors: unauthorised (the keys are no validator's that has joined under them... any key may follow), not_found (no cometbft
// beside this program; or this build has no CometBFT), and those of what it starts.
Result<> run(const NodeConfig& config, const attest::Genesis& genesis, const std::vector<std::string>& arguments, int progress_fd,
             const Between& between = {});

}  // namespace cairn::ledger::comet
