// How fast the solo engine is, over the rate at which this machine can check signatures at all: the goal of the ledger as a
// ratio that does not depend on the machine.
#pragma once

#include <filesystem>

#include "attest/header.h"
#include "ledger/transaction.h"

namespace cairn::ledger {

struct SoloRates {
  double transactions_per_s = 0;   // signed before, submitted in this process; the last one's block is synced to disk
  double verifications_per_s = 0;  // ed25519, all cores, nothing else; measured before and after, the mean
  double verification_share = 0;   // of the processor time that the run took: what its signatures alone cost
  size_t transactions = 0;
  size_t blocks = 0;
};

// Runs a whole node without HTTP in `folder`, which must not exist, with the signing mark beside it: transfers of 226 bytes among
// 256 accounts.
// Errors: those of Chain::open, and the first code that a transfer is refused with.
Result<SoloRates> measure_solo(const std::filesystem::path& folder, size_t transactions = 40'000);

// Seconds from handing over one transfer to its answer, each followed by seconds of one appended page and its fsync in the same
// folder; nothing else waits. Errors: those of measure_solo.
struct CommitTimes {
  std::vector<double> commit_s, fsync_s;
};
Result<CommitTimes> measure_commits(const std::filesystem::path& folder, size_t commits = 300);

// The chain that both run, of accounts that anybody has the keys of: also for a node beside a benchmark.
struct BenchChain {
  SecretKey producer, vrf;
  attest::Genesis genesis;
  Hash id;
  std::vector<SecretKey> keys;

  static BenchChain make();
  Transaction transfer(size_t n) const;  // the nth of all: senders take turns
};

}  // namespace cairn::ledger
