#include "ledger/comet/home.h"

#include <time.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/parcel.h"

namespace cairn::ledger::comet {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr uint64_t kBlockOverheadBytes = 1u << 20;  // header, votes and evidence beside the transactions

std::string rfc3339(uint64_t wall_ms) {
  const time_t seconds = static_cast<time_t>(wall_ms / 1000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string millis = std::to_string(wall_ms % 1000);
  millis.insert(0, 3 - millis.size(), '0');
  return std::string(text, size) + "." + millis + "Z";
}

json public_json(const PublicKey& key) { return {{"type", "tendermint/PubKeyEd25519"}, {"value", to_base64(key.span())}}; }

json secret_json(const SecretKey& key) {
  Bytes both(key.seed().begin(), key.seed().end());
  const PublicKey shown = key.public_key();
  both.insert(both.end(), shown.v.begin(), shown.v.end());
  return {{"type", "tendermint/PrivKeyEd25519"}, {"value", to_base64(both)}};
}

std::string upper_hex(ByteSpan bytes) {
  std::string out = to_hex(bytes);
  for (char& c : out) c = static_cast<char>(std::toupper(c));
  return out;
}

std::string genesis_text(const attest::Genesis& genesis) {
  const attest::ChainParams& params = genesis.params;
  json validators = json::array();
  for (const auto& validator : genesis.validators)
    validators.push_back({{"address", upper_hex(attest::address_of(validator.key))},
                          {"pub_key", public_json(validator.key)},
                          {"power", std::to_string(attest::votes_of(validator.stake))},
                          {"name", validator.account.hex().substr(0, 16)}});
  // Evidence counts as long as the stake behind it can be slashed.
  const json consensus = {
      {"block", {{"max_bytes", std::to_string(params.max_block_bytes + kBlockOverheadBytes)}, {"max_gas", "-1"}}},
      {"evidence",
       {{"max_age_num_blocks", std::to_string(std::max<uint64_t>(1, params.unbonding_ms / params.interval_ms))},
        {"max_age_duration", std::to_string(params.unbonding_ms * 1'000'000)},
        {"max_bytes", std::to_string(kBlockOverheadBytes / 4)}}},
      {"validator", {{"pub_key_types", {"ed25519"}}}},
      {"version", {{"app", "1"}}},
      {"abci", {{"vote_extensions_enable_height", "0"}}}};
  return json{{"genesis_time", rfc3339(genesis.created_wall_ms)},
              {"chain_id", attest::comet_chain_id(attest::genesis_hash(genesis))},
              {"initial_height", "1"},
              {"consensus_params", consensus},
              {"validators", validators},
              {"app_hash", ""}}
             .dump(1) +
         "\n";
}

// CometBFT's light client starts from a header that ours has believed, and takes a snapshot when it has no block yet.
std::string state_sync_text(const HomeConfig& config, const attest::Genesis& genesis) {
  const auto* seal = config.anchor ? std::get_if<attest::CometSeal>(&config.anchor->seal) : nullptr;
  if (!seal || config.sync_from.empty()) return "";
  std::string servers;
  for (const auto& server : config.sync_from) servers += (servers.empty() ? "" : ",") + server + "/v1/comet";
  if (config.sync_from.size() == 1) servers += "," + servers;  // it wants a witness, and compares nothing when that is the same
  return "[statesync]\n"
         "enable = true\n"
         "rpc_servers = " + json(servers).dump() + "\n"
         "trust_height = " + std::to_string(number(seal->header.height)) + "\n"
         "trust_hash = \"" + attest::header_hash(seal->header).hex() + "\"\n"
         "trust_period = \"" + std::to_string(genesis.params.unbonding_ms) + "ms\"\n"
         "discovery_time = \"5s\"\n"
         "chunk_request_timeout = \"5s\"\n";
}

std::string settings_text(const HomeConfig& config, const attest::Genesis& genesis) {
  std::string peers;
  for (const auto& peer : config.peers) peers += (peers.empty() ? "" : ",") + peer;
  const uint64_t interval_ms = genesis.params.interval_ms;
  const auto text = [](const std::string& value) { return json(value).dump(); };
  const auto time = [](uint64_t value_ms) { return "\"" + std::to_string(value_ms) + "ms\""; };
  // What stays unsaid is CometBFT's default. A block takes its interval, less what voting takes.
  return "# Written by cairnd at every start: changes are lost.\n"
         "proxy_app = " + text(app_address(config.home)) + "\n"
         "moniker = \"cairn\"\n"
         "db_backend = \"goleveldb\"\n"
         "abci = \"socket\"\n"
         "log_level = \"error\"\n"
         "priv_validator_state_file = " + text(config.last_signed.string()) + "\n"
         "[rpc]\n"
         "laddr = " + text("unix://" + rpc_socket(config.home).string()) + "\n"
         "max_body_bytes = 8000000\n"
         "max_request_batch_size = 1000\n"
         "[p2p]\n"
         "laddr = " + text("tcp://" + config.p2p) + "\n"
         "persistent_peers = " + text(peers) + "\n"
         "addr_book_strict = false\n"
         "allow_duplicate_ip = true\n"
         "pex = false\n"
         "persistent_peers_max_dial_period = \"1s\"\n"
         "flush_throttle_timeout = \"10ms\"\n"
         "send_rate = 51200000\n"
         "recv_rate = 51200000\n"
         "[mempool]\n"
         "size = " + std::to_string(config.mempool_transactions) + "\n"
         "cache_size = " + std::to_string(2 * config.mempool_transactions) + "\n"
         "max_tx_bytes = " + std::to_string(kParcelMaxBytes) + "\n"
         "[consensus]\n"
         "timeout_propose = " + time(std::max<uint64_t>(1000, 2 * interval_ms)) + "\n"
         "timeout_propose_delta = \"500ms\"\n"
         "timeout_commit = " + time(interval_ms * 7 / 10) + "\n"
         "peer_gossip_sleep_duration = \"20ms\"\n"
         "[tx_index]\n"
         "indexer = \"null\"\n" +
         state_sync_text(config, genesis);
}

}  // namespace

std::string peer_id(const PublicKey& node_key) { return to_hex(attest::address_of(node_key)); }
std::string app_address(const fs::path& home) { return "unix://" + (home / "app.sock").string(); }
fs::path rpc_socket(const fs::path& home) { return home / "rpc.sock"; }

Result<> write_home(const HomeConfig& config, const attest::Genesis& genesis, const SecretKey& validator, const SecretKey& node) {
  if (rpc_socket(config.home).string().size() > 107)
    return Error{Code::invalid, "sockets cannot stand in " + config.home.string() + ": its path is too long", "put the node's folder where its path is shorter"};
  std::error_code fault;
  fs::create_directories(config.home / "config", fault);
  fs::create_directories(config.home / "data", fault);
  if (fault) return Error{Code::io, config.home.string() + " cannot be made: " + fault.message(), "make the folder, or name another"};
  const fs::path settings = config.home / "config";
  const json keys = {{"address", upper_hex(attest::address_of(validator.public_key()))},
                     {"pub_key", public_json(validator.public_key())},
                     {"priv_key", secret_json(validator)}};
  TRY(write_file(settings / "config.toml", as_bytes(settings_text(config, genesis))));
  TRY(write_file(settings / "genesis.json", as_bytes(genesis_text(genesis))));
  TRY(write_file(settings / "node_key.json", as_bytes(json{{"priv_key", secret_json(node)}}.dump() + "\n"), 0600));
  TRY(write_file(settings / "priv_validator_key.json", as_bytes(keys.dump(1) + "\n"), 0600));
  if (!fs::exists(config.last_signed, fault)) TRY(write_file(config.last_signed, as_bytes("{\"height\":\"0\",\"round\":0,\"step\":0}\n"), 0600));
  return {};
}

}  // namespace cairn::ledger::comet
