#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/cli.h"
#include "base/json.h"

namespace cairn::agent {

namespace {

using Json = nlohmann::ordered_json;

Result<AccountId> parse_account(const std::string& text) {
  if (const auto id = AccountId::from_hex(text)) return *id;
  return Error{Code::usage, "`" + text + "` is no account", "an account is 64 hexadecimal digits"};
}

Result<> show(const Cli& cli, NodeClient& node, const AccountId& id, const std::string& key_file) {
  ledger::AccountView view;
  view.account.id = id;
  if (auto found = node.account(id)) {
    view = *found;
  } else if (found.error().code != Code::not_found && found.error().code != Code::unknown_account) {
    return found.error();
  }
  cli.out.line("account    " + id.hex());
  cli.out.line("balance    " + pretty(view.balance));
  if (view.stake.pebbles) cli.out.line("stake      " + pretty(view.stake));
  if (view.bond.pebbles) cli.out.line("bond       " + pretty(view.bond));
  if (view.unbonding.pebbles) cli.out.line("unbonding  " + pretty(view.unbonding));
  if (!key_file.empty()) cli.out.line("key        " + key_file);
  Json json = Json::parse(to_json(view));
  json["account"] = id.hex();
  json["nonce"] = view.account.nonce;
  json["balance_pretty"] = pretty(view.balance);
  if (!key_file.empty()) json["key"] = key_file;
  cli.out.object(json.dump());
  return {};
}

Result<> transfer(const Cli& cli, NodeClient& node, const SecretKey& from, const AccountId& to, Amount amount) {
  TRY_LET(sender, Sender::make(node, from));
  TRY_LET(done, sender.send(ledger::Transfer{to, amount}));
  cli.out.line(pretty(amount) + " from " + sender.account().hex().substr(0, 16) + " to " + to.hex().substr(0, 16) +
               " in block " + std::to_string(number(done.height)));
  Json json = {{"transaction", done.id.hex()}, {"height", number(done.height)}, {"from", sender.account().hex()},
               {"to", to.hex()},               {"amount", std::to_string(amount.pebbles)}};
  if (auto view = node.account(to)) json["balance"] = std::to_string(view->balance.pebbles);
  cli.out.object(json.dump());
  return {};
}

Result<Amount> amount_of(const std::string& text) {
  if (const auto amount = parse_amount(text)) return *amount;
  return Error{Code::usage, "`" + text + "` is no amount", "write for example 12.5 CRN or 7 pebbles"};
}

}  // namespace

void add_wallet_verbs(CLI::App& app, Cli& cli) {
  auto* wallet = app.add_subcommand("wallet", "keys and money")->require_subcommand(1)->fallthrough();

  auto* fresh = wallet->add_subcommand("new", "make a key");
  auto file = std::make_shared<std::string>();
  fresh->add_option("--out", *file, "key file to make; otherwise the settings' `key`");
  fresh->callback([&cli, file] {
    cli.chosen = [&cli, file]() -> Result<> {
      TRY_LET(config, cli.config());
      const std::filesystem::path path = file->empty() ? config.key : std::filesystem::path(*file);
      std::error_code ignored;
      if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
      const SecretKey key = SecretKey::generate();
      TRY(save_key(path, key));
      const AccountId account = account_of(key.public_key());
      cli.out.line("account " + account.hex());
      cli.out.line("key     " + path.string() + " (mode 0600; whoever has it has the money: keep a copy)");
      cli.out.object(Json{{"account", account.hex()}, {"key", path.string()}}.dump());
      return {};
    };
  });

  auto* shown = wallet->add_subcommand("show", "balance, stake and bond of this or another account");
  auto whose = std::make_shared<std::string>();
  shown->add_option("account", *whose, "otherwise the settings' key's");
  shown->callback([&cli, whose] {
    cli.chosen = [&cli, whose]() -> Result<> {
      TRY_LET(config, cli.config());
      NodeClient node(config.node);
      if (!whose->empty()) {
        TRY_LET(id, parse_account(*whose));
        return show(cli, node, id, "");
      }
      TRY_LET(key, load_key(config.key));
      return show(cli, node, account_of(key.public_key()), config.key.string());
    };
  });

  auto* faucet = wallet->add_subcommand("faucet", "take CRN from a devnet's faucet");
  auto amount = std::make_shared<std::string>("100 CRN");
  auto to = std::make_shared<std::string>();
  faucet->add_option("--amount", *amount, "how much")->capture_default_str();
  faucet->add_option("--to", *to, "account; otherwise the settings' key's");
  faucet->callback([&cli, amount, to] {
    cli.chosen = [&cli, amount, to]() -> Result<> {
      TRY_LET(config, cli.config());
      TRY_LET(value, amount_of(*amount));
      const auto key_file = cli.config_file().parent_path() / "faucet.key";
      auto key = load_key(key_file);
      if (!key && key.error().code == Code::not_found)
        return Error{Code::not_found, "there is no faucet beside " + cli.config_file().string(),
                     "a faucet exists only in a devnet: cairn net up"};
      if (!key) return key.error();
      NodeClient node(config.node);
      AccountId receiver;
      if (to->empty()) {
        TRY_LET(own, load_key(config.key));
        receiver = account_of(own.public_key());
      } else {
        TRY_LET(id, parse_account(*to));
        receiver = id;
      }
      return transfer(cli, node, *key, receiver, value);
    };
  });

  auto* send = wallet->add_subcommand("send", "pay somebody");
  auto receiver = std::make_shared<std::string>();
  auto sum = std::make_shared<std::string>();
  send->add_option("to", *receiver, "account")->required();
  send->add_option("amount", *sum, "\"12.5 CRN\" or \"7 pebbles\"")->required();
  send->callback([&cli, receiver, sum] {
    cli.chosen = [&cli, receiver, sum]() -> Result<> {
      TRY_LET(config, cli.config());
      TRY_LET(id, parse_account(*receiver));
      TRY_LET(value, amount_of(*sum));
      TRY_LET(key, load_key(config.key));
      NodeClient node(config.node);
      return transfer(cli, node, key, id, value);
    };
  });
}

}  // namespace cairn::agent
