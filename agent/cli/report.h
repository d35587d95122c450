// What is told of a job: its terms, how each attempt at it ended, who was paid what.
#pragma once

#include "agent/cli/cli.h"
#include "agent/cli/result.h"

namespace cairn::agent {

// One attempt, with its receipt as a file.
struct Attempt {
  attest::Receipt receipt;
  std::string file;                     // empty when it was not written
  std::optional<Error> refused;         // by attest::check_receipt against the node's genesis
  std::vector<ledger::Dispute> games;   // as they ended, as far as the node still knows them
};

// Every ended attempt, oldest first, up to the first whose receipt is refused. Writes receipt-N.cairn into `out` unless that is empty.
// Errors: those of the node, io; proof (a receipt of another job, or of another attempt, than was asked).
Result<std::vector<Attempt>> attempts_of(NodeClient& node, const JobId& job, const std::vector<ledger::Dispute>& games,
                                         const std::filesystem::path& out);

// {"job","title","state","outcome","code","fault","sentence","audit",...,"paid","attempts"}: what needs no result.
JsonObject job_json(const ledger::Job& job, const std::vector<Attempt>& attempts);
void job_lines(const Output& out, const ledger::Job& job, const std::vector<Attempt>& attempts);
// The first receipt that is refused, as an error.
std::optional<Error> refusal_in(const std::vector<Attempt>& attempts);
// That, or the error that a job ended with; nothing for one that is settled or goes on.
std::optional<Error> failure_of(const ledger::Job& job, const std::vector<Attempt>& attempts);

}  // namespace cairn::agent
