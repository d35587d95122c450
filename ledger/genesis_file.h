// A chain's genesis as a file for people and programs. Keys beside it, as a devnet needs them.
//
//   {"genesis_hash": HEX, "genesis": {what it says, to be read}, "bytes": HEX of its canonical encoding}
//
// `bytes` decide; a file that shows something else than they say is refused.
#pragma once

#include <filesystem>

#include "attest/header.h"
#include "base/key_file.h"

namespace cairn::ledger {

// A genesis in which the faucet holds everything. `extra` accounts get balances too; they are put in order.
// Errors: invalid (no name, keys that are one and the same, an account twice, more than can be counted, no value at all).
Result<attest::Genesis> make_devnet_genesis(const std::string& name, const PublicKey& producer, const PublicKey& vrf,
                                            const AccountId& faucet, Amount faucet_amount, uint64_t created_wall_ms,
                                            std::vector<attest::GenesisAccount> extra = {});
// The same for several validators, each with this stake, on CometBFT: slower blocks, and windows that fit them.
Result<attest::Genesis> make_comet_genesis(const std::string& name, std::vector<attest::GenesisValidator> validators,
                                           const AccountId& faucet, Amount faucet_amount, uint64_t created_wall_ms,
                                           std::vector<attest::GenesisAccount> extra = {});
// What any genesis must be before a chain starts from it. Error: invalid.
Result<> check_genesis(const attest::Genesis& genesis);

// Errors: exists (a chain lives from its genesis: none is overwritten), io.
Result<> save_genesis(const std::filesystem::path& path, const attest::Genesis& genesis);
// Errors: not_found, io, malformed, invalid.
Result<attest::Genesis> load_genesis(const std::filesystem::path& path);

// The key in `path`; a new one, saved there with its folder, when there is none. Errors: key_file.
Result<SecretKey> key_at(const std::filesystem::path& path);

}  // namespace cairn::ledger
