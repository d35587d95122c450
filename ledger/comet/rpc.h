// What the node asks of its CometBFT, over its RPC on a unix socket. One thread at a time; a thread has a client of its own.
#pragma once

#include <filesystem>

#include "attest/comet.h"
#include "base/http_client.h"

namespace cairn::ledger::comet {

// What is said on that socket, in JSON. None of these trusts what it is given.
//
// A light client's JSON-RPC request, in our words: what a stranger may ask of our CometBFT. Error: invalid.
inline constexpr size_t kQuestionMaxBytes = 4096;
Result<std::string> question_of(ByteSpan request);
// The result in an answer. Errors: malformed; internal (CometBFT's own error, with its text).
Result<std::string> result_of(const std::string& answer);
// What the results of `commit` and `validators` hold. Error: malformed.
Result<std::pair<attest::CometHeader, attest::CometCommit>> commit_in(const std::string& result);
Result<std::vector<attest::CometValidator>> validators_in(const std::string& result);

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
