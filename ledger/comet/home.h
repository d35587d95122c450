// CometBFT's own folder: its settings, the genesis in its words, and its keys, made anew from ours at every start.
//
//   HOME/config/config.toml genesis.json node_key.json priv_validator_key.json      written here
//   HOME/data/                                                                      CometBFT's: blocks, WAL
//   KEY.signed                                                                      CometBFT's: what was signed last, beside the key and
//                                                                                   not in the folder, whose old copies do not forget it
//   HOME/app.sock HOME/rpc.sock                                                     where the two talk to each other
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attest/header.h"

namespace cairn::ledger::comet {

struct HomeConfig {
  std::filesystem::path home;
  std::filesystem::path last_signed;  // absolute
  std::string p2p = "127.0.0.1:0";    // where other validators reach this one
  std::vector<std::string> peers;     // ID@HOST:PORT
  uint32_t mempool_transactions = 65'536;
  std::vector<std::string> sync_from;         // where light blocks are asked for: URLs; empty: no state sync
  std::optional<attest::SignedHeader> anchor; // what state sync trusts, sealed
};

// How others name a node in `peers`.
std::string peer_id(const PublicKey& node_key);

std::string app_address(const std::filesystem::path& home);  // unix://...
std::filesystem::path rpc_socket(const std::filesystem::path& home);

// Errors: io, invalid (a path that is too long for a socket).
Result<> write_home(const HomeConfig& config, const attest::Genesis& genesis, const SecretKey& validator, const SecretKey& node);

}  // namespace cairn::ledger::comet
