// What the node asks of its CometBFT, over its RPC on a unix socket. One thread at a time; a thread has a client of its own.
#pragma once

#include <filesystem>

#include "attest/comet.h"
#include "base/http_client.h"

namespace cairn::ledger::comet {

class Rpc {
 public:
  explicit Rpc(std::filesystem::path socket);

  // Errors of every call: unreachable (it does not run, or not yet), malformed (its answer is not v0.38's).

  // Into the mempool, checked. Errors: the code that CheckTx gave; already (it has seen it before); mempool_full.
  Result<> broadcast(ByteSpan transaction);
  // The header of a height and the votes for it. Error: not_found (no such block yet).
  Result<std::pair<attest::CometHeader, attest::CometCommit>> commit(Height height);
  Result<std::vector<attest::CometValidator>> validators(Height height);
  Result<Height> height();
  // The answer to a light client's JSON-RPC request, as it came, also where it is an error. Errors: invalid (a request of another kind).
  Result<std::string> relay(ByteSpan request);
  Result<uint64_t> peers();

 private:
  Result<std::string> call(const std::string& method, const std::string& params);
  Result<std::string> post(const std::string& request);
  std::filesystem::path socket_;
  HttpClient http_;
};

}  // namespace cairn::ledger::comet
