// What a state of many accounts costs: a proof, the disk, a start after kill -9, the memory of a node at rest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace cairn::ledger {

struct StateFigures {
  uint64_t accounts = 0;           // each an account record and a holding, as after a first transaction
  double build_s = 0;              // all of them, through the store, block by block
  std::vector<double> proof_bytes;     // the record and its path, of accounts drawn at random
  std::vector<double> proof_check_us;  // of that, the header being trusted
  double disk_bytes = 0;           // of the whole folder, for each account, when the node has come to rest after the last start
  std::vector<double> start_ms;    // from exec to `listening`, after kill -9 each time
  double idle_bytes = 0;           // resident, after the check beside
  double check_s = 0;              // of the whole state, beside
};

// Makes the state in `home`, which measure_state() has made, and kills this process, so that the last blocks stand in the log alone.
// To be run in a process of its own: RocksDB's threads do not come along with a fork.
[[noreturn]] void build_state(const std::filesystem::path& home, uint64_t accounts);

// In `home`, which must not exist: has the state made by `builder`, a command that calls build_state(), and starts `cairnd` on it.
// Errors: io (a child failed), and those of the store.
Result<StateFigures> measure_state(const std::filesystem::path& home, uint64_t accounts, const std::filesystem::path& cairnd,
                                   const std::vector<std::string>& builder);

}  // namespace cairn::ledger
