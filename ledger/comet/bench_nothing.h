// An application that takes everything and does nothing: what the way to one costs, for the benchmark.
#pragma once

namespace tendermint::abci {
class Request;
class Response;
}  // namespace tendermint::abci

namespace cairn::ledger::comet {

// An AbciServer::Handler.
void do_nothing(const tendermint::abci::Request& request, tendermint::abci::Response& response);

}  // namespace cairn::ledger::comet
