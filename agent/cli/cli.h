// What the verbs of `cairn` share: one grammar, `cairn <noun> <verb>`; where settings come from; how accounts and amounts
// are written.
//
//   a setting is taken from     its flag, the environment (CAIRN_NODE, CAIRN_KEY), a settings file, its default
//   the settings file is        --config, CAIRN_CONFIG, the devnet's, ~/.config/cairn/requester.yaml
//   the devnet is in            --dir, CAIRN_NET, the present folder if a devnet lies there, ~/.local/share/cairn/devnet
//
// The exit status follows base/codes.def.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/node_client.h"
#include "agent/output.h"
#include "agent/settings.h"

namespace CLI {
class App;
}

namespace cairn::agent {

struct Wallet : StoredKey {
  std::filesystem::path file;
};

struct Cli {
  Output out;
  std::string config_path;  // --config
  std::string node;         // --node
  std::string key;          // --key
  std::string dir;          // --dir
  std::function<Result<>()> chosen;  // the verb of this command line

  // Where a devnet is, or would be made.
  std::filesystem::path devnet_folder() const;
  bool in_devnet() const;

  // Errors: config, not_found when --config or CAIRN_CONFIG names no file.
  Result<RequesterConfig> settings() const;
  // Errors: those of settings(), and key_file.
  Result<Wallet> wallet() const;
  // 64 hexadecimal digits, or the name of an account of the devnet ("provider-1"). Error: usage.
  Result<AccountId> account(const std::string& text) const;
};

// The passphrase of a sealed key file: of CAIRN_PASSPHRASE_FILE where that is set, else typed at the terminal, unseen. Errors:
// key_file (there is no terminal).
Result<std::string> ask_passphrase(const std::filesystem::path& key_file);
// A new one, typed twice.
Result<std::string> ask_new_passphrase(const std::filesystem::path& key_file);

// "12.5 CRN" or "7 pebbles". Error: usage.
Result<Amount> amount_of(const std::string& text);
// Error: usage, saying what the id is of.
Result<Hash> hash_of_text(const std::string& text, const std::string& what);
template <class Id>
Result<Id> id_of(const std::string& text, const std::string& what) {
  TRY_LET(hash, hash_of_text(text, what));
  return Id{hash.v};
}

// A price is posted in pebbles for 10^9 seconds of the reference machine; people compare it by the hour.
Amount per_hour(Amount per_reference);
Result<Amount> per_reference(Amount per_hour);

inline std::string brief(const std::string& hex) { return hex.substr(0, 16); }
template <class Tag>
std::string brief(const Bytes32<Tag>& id) {
  return brief(id.hex());
}
std::string padded(std::string text, size_t width);
// An aligned row of the answers for people: "balance    12 CRN".
std::string row(const std::string& label, const std::string& text);

void add_net_verbs(CLI::App& app, Cli& cli);
void add_wallet_verbs(CLI::App& app, Cli& cli);
void add_node_verbs(CLI::App& app, Cli& cli);  // node, offer, verifier
void add_chain_verbs(CLI::App& app, Cli& cli);
void add_stake_verbs(CLI::App& app, Cli& cli);  // stake, validator, and a verb of verifier: after add_node_verbs
void add_job_verbs(CLI::App& app, Cli& cli);
void add_asset_verbs(CLI::App& app, Cli& cli);
void add_program_verbs(CLI::App& app, Cli& cli);

}  // namespace cairn::agent
