// What the node asks of its CometBFT, over its RPC on a unix socket. One thread at a time; a thread has a client of its own.
#pragma once

#include <filesystem>
#include <memory>

#include "attest/comet.h"
#include "base/result.h"

namespace cairn::ledger::comet {

class Rpc {
 public:
  explicit Rpc(std::filesystem::path socket);
  ~Rpc();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  // Errors of every call: unreachable (it does not run, or not yet), malformed (its answer is not v0.38's).

  // Into the mempool, checked. Errors: the code that CheckTx gave; already (it has seen it before); mempool_full.
  Result<> broadcast(ByteSpan transaction);
  // The header of a height and the votes for it. Error: not_found (no such block yet).
  Result<std::pair<attest::CometHeader, attest::CometCommit>> commit(Height height);
  Result<std::vector<attest::CometValidator>> validators(Height height);
  Result<Height> height();
  Result<uint64_t> peers();

 private:
  struct Connection;
  Result<std::string> call(const std::string& method, const std::string& params);
  std::filesystem::path socket_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace cairn::ledger::comet
