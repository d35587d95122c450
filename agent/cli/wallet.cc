// cairn wallet: keys and money.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/cli/wallet_keys.h"
#include "agent/devnet.h"

namespace cairn::agent {

namespace {

Result<> make(const Cli& cli, bool sealed) {
  TRY_LET(config, cli.settings());
  std::error_code ignored;
  if (config.key.has_parent_path()) std::filesystem::create_directories(config.key.parent_path(), ignored);
  const SecretKey key = SecretKey::generate();
  std::optional<std::string> passphrase;
  if (sealed) {
    TRY_LET(typed, ask_new_passphrase(config.key));
    passphrase = typed;
  }
  const AccountId account = account_of(key.public_key());
  TRY(save_key(config.key, StoredKey{key, account}, passphrase));
  cli.out.line(row("account", account.hex()));
  cli.out.line(row("public key", key.public_key().hex()));
  cli.out.line(row("key", config.key.string() + (sealed ? " (mode 0600, sealed: keep a copy, and the passphrase)"
                                                        : " (mode 0600; whoever has it has the money: keep a copy)")));
  cli.out.object(JsonObject().add("account", account).add("public_key", key.public_key()).add("key", config.key.string()).add("sealed", sealed));
  return {};
}

// An account that the chain has not met yet holds nothing.
Result<ledger::AccountView> view_of(NodeClient& node, const AccountId& id) {
  auto view = node.account(id);
  if (view) return view;
  if (view.error().code != Code::unknown_account) return view.error();
  ledger::AccountView empty;
  empty.account.id = id;
  return empty;
}

Result<> show(const Cli& cli, const std::string& whose) {
  TRY_LET(config, cli.settings());
  AccountId id;
  std::string key_file;
  if (whose.empty()) {
    TRY_LET(facts, key_file_facts(config.key));
    id = facts.account;
    key_file = config.key.string();
  } else {
    TRY_LET(named, cli.account(whose));
    id = named;
  }
  NodeClient node(config.node, config.folder);
  TRY_LET(view, view_of(node, id));
  cli.out.line(row("account", id.hex()));
  cli.out.line(row("balance", pretty(view.balance)));
  if (view.stake.pebbles) cli.out.line(row("stake", pretty(view.stake) + " free to enter jobs"));
  if (view.bond.pebbles) cli.out.line(row("bond", pretty(view.bond)));
  if (view.unbonding.pebbles) cli.out.line(row("unbonding", pretty(view.unbonding)));
  if (const KeySet& keys = view.account.keys; keys.keys.size() > 1)
    cli.out.line(row("signed by", std::to_string(keys.threshold) + " of " + std::to_string(keys.keys.size()) + " keys"));
  for (const auto& hot : view.hot_keys)
    cli.out.line(row("hot key", hot.key.hex() + " may " + to_json(hot.scopes) + ", has lost " + pretty(hot.spent) + " of " + pretty(hot.limit)));
  if (!key_file.empty()) cli.out.line(row("key", key_file));
  JsonObject json;
  json.add("account", id).add("balance", view.balance).add("stake", view.stake).add("bond", view.bond);
  json.add("unbonding", view.unbonding).add("nonce", view.account.nonce);
  json.add("keys", view.account.keys).add("hot_keys", view.hot_keys);
  if (!key_file.empty()) json.add("key", key_file);
  cli.out.object(json);
  return {};
}

Result<> pay(const Cli& cli, const RequesterConfig& config, const StoredKey& from, const AccountId& to, Amount amount) {
  NodeClient node(config.node, config.folder);
  TRY_LET(sender, Sender::make(node, from));
  TRY_LET(done, sender.send(ledger::Transfer{to, amount}));
  TRY_LET(view, view_of(node, to));
  cli.out.line(pretty(amount) + " from " + brief(sender.account()) + " to " + brief(to) + ", which now holds " + pretty(view.balance));
  JsonObject json;
  json.add("transaction", done.id).add("height", done.height).add("from", sender.account()).add("to", to);
  json.add("amount", amount).add("balance", view.balance);
  cli.out.object(json);
  return {};
}

Result<> faucet(const Cli& cli, const std::string& to, const std::string& sum) {
  TRY_LET(amount, amount_of(sum));
  TRY_LET(config, cli.settings());
  AccountId receiver;
  if (to.empty()) {
    TRY_LET(wallet, cli.wallet());
    receiver = wallet.account;
  } else {
    TRY_LET(named, cli.account(to));
    receiver = named;
  }
  const auto net = Devnet(cli.devnet_folder()).state();
  const DevnetMember* tap = net ? net->find("faucet") : nullptr;
  if (!tap)
    return Error{Code::not_found, "there is no faucet: no devnet lies in " + cli.devnet_folder().string(),
                 "a faucet exists only in a devnet: cairn net up, or name its folder by --dir or CAIRN_NET"};
  TRY_LET(key, load_stored_key(tap->key));
  return pay(cli, config, key, receiver, amount);
}

Result<> send(const Cli& cli, const DraftWish& draft, const std::string& to, const std::string& sum) {
  TRY_LET(amount, amount_of(sum));
  TRY_LET(receiver, cli.account(to));
  TRY_LET(config, cli.settings());
  if (!draft.file.empty()) return act(cli, draft, ledger::Transfer{receiver, amount}, {});
  TRY_LET(wallet, cli.wallet());
  return pay(cli, config, wallet, receiver, amount);
}

}  // namespace

void add_wallet_verbs(CLI::App& app, Cli& cli) {
  auto* wallet = app.add_subcommand("wallet", "Keys and money")->require_subcommand(1);
  const auto account = std::make_shared<std::string>();
  const auto amount = std::make_shared<std::string>("100 CRN");

  const auto sealed = std::make_shared<bool>(false);
  auto* made = wallet->add_subcommand("new", "Make a key, in the file that --key or CAIRN_KEY names");
  made->add_flag("--passphrase", *sealed, "seal the file with a passphrase");
  made->callback([&cli, sealed] { cli.chosen = [&cli, sealed] { return make(cli, *sealed); }; });
  auto* shown = wallet->add_subcommand("show", "Balance, stake and bond of this or another account");
  shown->add_option("account", *account, "64 hexadecimal digits, or a name in the devnet; otherwise the key's");
  shown->callback([&cli, account] { cli.chosen = [&cli, account] { return show(cli, *account); }; });

  auto* tap = wallet->add_subcommand("faucet", "Take CRN from a devnet's faucet");
  tap->add_option("--to", *account, "who gets it; otherwise the key's account");
  tap->add_option("--amount", *amount, "\"12.5 CRN\" or \"7 pebbles\"")->capture_default_str();
  tap->callback([&cli, account, amount] { cli.chosen = [&cli, account, amount] { return faucet(cli, *account, *amount); }; });

  auto* sent = wallet->add_subcommand("send", "Pay somebody");
  sent->add_option("--to", *account, "who gets it")->required();
  sent->add_option("--amount", *amount, "\"12.5 CRN\" or \"7 pebbles\"")->required();
  const auto draft = std::make_shared<DraftWish>();
  draft->add_to(*sent);
  sent->callback([&cli, draft, account, amount] { cli.chosen = [&cli, draft, account, amount] { return send(cli, *draft, *account, *amount); }; });
  add_key_verbs(*wallet, cli);
}

}  // namespace cairn::agent
