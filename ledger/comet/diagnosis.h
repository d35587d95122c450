// Why a CometBFT makes no blocks, from what it says.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace cairn::ledger::comet {

// Of a node whose height has not moved for a while: what its log's end shows, as an error (`halted`) with what to do.
//   a stall after two crashes   what it last signed is ahead of its log (CometBFT cannot repair that by itself)
//   consensus failure           its application came to another result than the other validators'
//   else                        fewer than two thirds of the votes are there
Error diagnose_log(std::string_view log_end, uint64_t still_ms);
// The same, from HOME/comet.log.
Error diagnose(const std::filesystem::path& home, uint64_t still_ms);

}  // namespace cairn::ledger::comet
