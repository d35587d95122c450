#include "ledger/genesis_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "ledger/rules.h"

namespace cairn::ledger {

namespace {

Result<attest::Genesis> with_accounts(attest::Genesis genesis, const AccountId& faucet, Amount faucet_amount,
                                      std::vector<attest::GenesisAccount> extra) {
  genesis.faucet = faucet;
  genesis.accounts = std::move(extra);
  genesis.accounts.push_back({faucet, faucet_amount});
  std::sort(genesis.accounts.begin(), genesis.accounts.end(), [](const auto& a, const auto& b) { return a.account < b.account; });
  TRY(check_genesis(genesis));
  return genesis;
}

}  // namespace

Result<attest::Genesis> make_devnet_genesis(const std::string& name, const PublicKey& producer, const PublicKey& vrf,
                                            const AccountId& faucet, Amount faucet_amount, uint64_t created_wall_ms,
                                            std::vector<attest::GenesisAccount> extra) {
  attest::Genesis genesis;
  genesis.name = name;
  genesis.created_wall_ms = created_wall_ms;
  genesis.validators = {{account_of(producer), producer, vrf, {}}};
  return with_accounts(std::move(genesis), faucet, faucet_amount, std::move(extra));
}

Result<attest::Genesis> make_comet_genesis(const std::string& name, std::vector<attest::GenesisValidator> validators,
                                           const AccountId& faucet, Amount faucet_amount, uint64_t created_wall_ms,
                                           std::vector<attest::GenesisAccount> extra) {
  attest::Genesis genesis;
  genesis.name = name;
  genesis.created_wall_ms = created_wall_ms;
  genesis.engine = attest::Engine::comet;
  genesis.validators = std::move(validators);
  genesis.params.interval_ms = 500;
  genesis.params.unbonding_ms = 86'400'000;  // so long a client may be away, and evidence counts
  genesis.params.secret_window_ms = 2'000;
  genesis.params.window_ms = 2'000;
  return with_accounts(std::move(genesis), faucet, faucet_amount, std::move(extra));
}

Result<> check_genesis(const attest::Genesis& genesis) {
  const auto invalid = [](const std::string& text, const std::string& next) { return Error{Code::invalid, "the genesis " + text, next}; };
  if (genesis.name.empty() || genesis.name.size() > 64) return invalid("has no name, or one above 64 bytes", "name it, as in devnet-1");
  if (genesis.validators.empty()) return invalid("has no validator", "name one, for a solo chain");
  const bool solo = genesis.engine == attest::Engine::solo;
  if (solo && genesis.validators.size() != 1) return invalid("names several producers of a solo chain", "name one, or another engine");
  std::set<PublicKey> keys;
  std::set<AccountId> owners;
  for (const auto& validator : genesis.validators) {
    if (!keys.insert(validator.key).second || !keys.insert(validator.vrf).second || !owners.insert(validator.account).second)
      return invalid("uses one key twice, or one account for two validators", "make a key for each purpose: to sign, and for the VRF");
    if (!solo && validator.stake < Amount{genesis.params.validator_stake})
      return invalid("has a validator below the least stake", "give each at least " + pretty(Amount{genesis.params.validator_stake}));
  }
  if (genesis.validators.size() > genesis.params.max_validators) return invalid("has too many validators", "name fewer");
  if (genesis.protocol < 1 || genesis.protocol > attest::kProtocol)
    return invalid("begins with protocol " + std::to_string(genesis.protocol), "use 1 to " + std::to_string(attest::kProtocol) + ", or a newer program");
  TRY(check(genesis.params));
  const u128 sum = attest::genesis_supply(genesis);
  for (const auto& entry : genesis.accounts) {
    if (&entry != genesis.accounts.data() && !((&entry - 1)->account < entry.account))
      return invalid("names account " + entry.account.hex().substr(0, 16) + " out of order or twice", "list each account once, sorted");
  }
  if (sum == 0) return invalid("hands out nothing, so nobody could ever pay a fee", "give an account a balance");
  if (sum > UINT64_MAX) return invalid("hands out more than can be counted", "lower its balances");
  return {};
}

namespace {

std::string text_of(const attest::Genesis& genesis) {
  return "{\"genesis_hash\":" + to_json(attest::genesis_hash(genesis)) + ",\n \"genesis\":" + to_json(genesis) +
         ",\n \"bytes\":" + json_quote(to_hex(encode(genesis))) + "}\n";
}

}  // namespace

Result<> save_genesis(const std::filesystem::path& path, const attest::Genesis& genesis) {
  if (std::filesystem::exists(path))
    return Error{Code::exists, path.string() + " exists already", "choose another file, or use the chain that is there"};
  return write_file(path, as_bytes(text_of(genesis)));
}

Result<attest::Genesis> load_genesis(const std::filesystem::path& path) {
  TRY_LET(text, read_text(path, 32u << 20));
  const auto malformed = [&](const std::string& why) {
    return Error{Code::malformed, path.string() + " is no genesis file: " + why, "get it from whoever runs the chain"};
  };
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("bytes") || !json["bytes"].is_string()) return malformed("it is no JSON object with `bytes`");
  const auto bytes = from_hex(json["bytes"].get<std::string>());
  if (!bytes) return malformed("its `bytes` are not hexadecimal");
  auto genesis = decode<attest::Genesis>(*bytes);
  if (!genesis) return malformed(genesis.error().text);
  if (text != text_of(*genesis)) return malformed("what it shows is not what its `bytes` say");
  TRY(check_genesis(*genesis));
  return genesis;
}

Result<SecretKey> key_at(const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) return load_key(path);
  if (path.has_parent_path()) {
    std::error_code fault;
    std::filesystem::create_directories(path.parent_path(), fault);
    if (fault) return Error{Code::key_file, path.parent_path().string() + " cannot be made: " + fault.message(), "make the folder"};
  }
  const SecretKey key = SecretKey::generate();
  TRY(save_key(path, key));
  return key;
}

}  // namespace cairn::ledger
