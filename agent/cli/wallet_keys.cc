// cairn wallet: the keys of an account. Several that sign together, hot keys for machines, new keys for old, passphrases.
//
// What changes an account takes --draft FILE: then nothing is sent, and the transaction waits in FILE for its signatures. `multisig
// sign` needs no network, so that it can run where the key lives.
//
//   key set file      := cairn-key-set-1 HEX of the key set
//   transaction file  := cairn-transaction-1 HEX of the transaction, as far as it is signed
#include "agent/cli/wallet_keys.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/file.h"

namespace cairn::agent {
namespace {

constexpr size_t kMaxFileBytes = 2 * ledger::kMaxTransactionBytes + 64;
constexpr uint64_t kHourMs = 3'600'000;

template <class T>
Result<T> read_wrapped(const std::string& path, const std::string& magic) {
  TRY_LET(text, read_text(path, kMaxFileBytes));
  const Error wrong{Code::malformed, path + " is no " + magic + " file", "name one that `cairn wallet multisig` wrote"};
  if (!text.starts_with(magic + " ") || !text.ends_with("\n")) return wrong;
  const auto bytes = from_hex(std::string_view(text).substr(magic.size() + 1, text.size() - magic.size() - 2));
  if (!bytes) return wrong;
  auto value = decode<T>(*bytes);
  if (!value) return wrong;
  return value;
}
template <class T>
Result<> write_wrapped(const std::string& path, const std::string& magic, const T& value) {
  return write_file(path, as_bytes(magic + " " + to_hex(encode(value)) + "\n"));
}
const std::string kSetMagic = "cairn-key-set-1", kTransactionMagic = "cairn-transaction-1";

Result<PublicKey> public_key_of(const std::string& text) {
  if (const auto key = PublicKey::from_hex(text)) return *key;
  std::error_code fault;
  if (std::filesystem::exists(text, fault)) {
    TRY_LET(facts, key_file_facts(text));
    return facts.public_key;
  }
  return Error{Code::usage, "`" + text + "` is no public key", "write 64 hexadecimal digits, or name a key file"};
}

Result<KeySet> key_set_of(const std::vector<std::string>& texts, uint32_t threshold) {
  KeySet out;
  out.threshold = static_cast<uint8_t>(std::min<uint32_t>(threshold, 255));
  for (const auto& text : texts) {
    TRY_LET(key, public_key_of(text));
    out.keys.push_back(key);
  }
  std::sort(out.keys.begin(), out.keys.end());
  TRY(check(out));
  return out;
}

JsonObject shown(const ledger::Transaction& tx) {
  std::vector<std::string> signers;
  for (const auto& one : tx.signatures) signers.push_back(one.key.hex());
  JsonObject json;
  json.add("genesis", tx.genesis).add("sender", tx.sender).add("nonce", tx.nonce).add("fee", tx.fee).add("expiry", tx.expiry);
  return json.add("body", tx.body).add("signers", signers);
}
void tell(const Cli& cli, const ledger::Transaction& tx, const std::string& file) {
  cli.out.line(row("transaction", file));
  cli.out.line(row("for", tx.sender.hex() + ", nonce " + std::to_string(tx.nonce)));
  cli.out.line(row("does", to_json(tx.body)));
  cli.out.line(row("fee", pretty(tx.fee)));
  cli.out.line(row("expires", "at chain time " + std::to_string(ms(tx.expiry)) + " ms"));
  for (const auto& one : tx.signatures) cli.out.line(row("signed by", one.key.hex()));
  cli.out.object(shown(tx).add("file", file));
}

}  // namespace

void DraftWish::add_to(CLI::App& verb) {
  verb.add_option("--draft", file, "write the transaction for others to sign, and send nothing");
  verb.add_option("--account", account, "whose it is; otherwise the key's");
  verb.add_option("--keys", keys, "key set file of an account that has never signed");
}

Result<AccountId> sender_of(const Cli& cli, const DraftWish& draft) {
  if (!draft.file.empty() && !draft.keys.empty()) {
    TRY_LET(set, read_wrapped<KeySet>(draft.keys, kSetMagic));
    return account_of(set);
  }
  if (!draft.file.empty() && !draft.account.empty()) return cli.account(draft.account);
  TRY_LET(config, cli.settings());
  TRY_LET(facts, key_file_facts(config.key));
  return facts.account;
}

Result<> act(const Cli& cli, const DraftWish& draft, const ledger::Body& body, const std::function<void(const ledger::TxResult&)>& done) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  if (draft.file.empty()) {
    TRY_LET(wallet, cli.wallet());
    TRY_LET(sender, Sender::make(node, wallet));
    TRY_LET(result, sender.send(body));
    done(result);
    return {};
  }
  TRY_LET(genesis, node.genesis());
  TRY_LET(now, node.time());
  TRY_LET(rules, node.rules_in_force());
  ledger::Transaction tx;
  tx.genesis = attest::genesis_hash(genesis);
  tx.body = body;
  tx.expiry = after(now, draft.hours * kHourMs);
  TRY_LET(account, sender_of(cli, draft));
  tx.sender = account;
  size_t threshold = 1;
  if (!draft.keys.empty()) {
    TRY_LET(set, read_wrapped<KeySet>(draft.keys, kSetMagic));
    threshold = set.threshold;
    tx.founding = set;
  }
  const auto view = node.account(tx.sender);
  if (!view && view.error().code != Code::unknown_account && view.error().code != Code::not_found) return view.error();
  if (view && !view->account.keys.keys.empty()) {
    threshold = view->account.keys.threshold;
    tx.founding.reset();
    tx.nonce = view->account.nonce;
  }
  ledger::set_fee(tx, rules.params.fee_per_byte, threshold);
  TRY(write_wrapped(draft.file, kTransactionMagic, tx));
  tell(cli, tx, draft.file);
  cli.out.line(row("next", "cairn wallet multisig sign " + draft.file + ", with " + std::to_string(threshold) + " of its keys"));
  return {};
}

namespace {

// ---- several keys ----

struct MultisigWish {
  uint32_t threshold = 0;
  std::vector<std::string> keys, files;
  std::string file, out;
};

Result<> create_set(const Cli& cli, const MultisigWish& wish) {
  TRY_LET(set, key_set_of(wish.keys, wish.threshold));
  TRY(write_wrapped(wish.out, kSetMagic, set));
  const AccountId account = account_of(set);
  cli.out.line(row("account", account.hex()));
  cli.out.line(row("signed by", std::to_string(set.threshold) + " of " + std::to_string(set.keys.size()) + " keys"));
  cli.out.line(row("keys", wish.out + " (keep it until the account has signed once)"));
  cli.out.object(JsonObject().add("account", account).add("threshold", set.threshold).add("keys", set.keys).add("file", wish.out));
  return {};
}

Result<> sign_draft(const Cli& cli, const MultisigWish& wish) {
  TRY_LET(tx, read_wrapped<ledger::Transaction>(wish.file, kTransactionMagic));
  TRY_LET(wallet, cli.wallet());
  ledger::co_sign(tx, wallet.key);
  const std::string out = wish.out.empty() ? wish.file : wish.out;
  TRY(write_wrapped(out, kTransactionMagic, tx));
  tell(cli, tx, out);
  return {};
}

Result<> combine(const Cli& cli, const MultisigWish& wish) {
  std::optional<ledger::Transaction> whole;
  for (const auto& file : wish.files) {
    TRY_LET(part, read_wrapped<ledger::Transaction>(file, kTransactionMagic));
    if (!whole) {
      whole = part;
      continue;
    }
    if (ledger::signed_bytes(part) != ledger::signed_bytes(*whole))
      return Error{Code::invalid, file + " is another transaction than " + wish.files.front(), "combine signatures of one draft"};
    for (const auto& one : part.signatures) {
      auto& all = whole->signatures;
      const auto at = std::lower_bound(all.begin(), all.end(), one, [](const auto& a, const auto& b) { return a.key < b.key; });
      if (at == all.end() || at->key != one.key) all.insert(at, one);
    }
  }
  TRY(ledger::check_signature(*whole, whole->genesis));
  TRY(write_wrapped(wish.out, kTransactionMagic, *whole));
  tell(cli, *whole, wish.out);
  return {};
}

Result<> submit(const Cli& cli, const MultisigWish& wish) {
  TRY_LET(tx, read_wrapped<ledger::Transaction>(wish.file, kTransactionMagic));
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(result, node.submit(encode(tx), true));
  if (result.code != 0) return Error{static_cast<Code>(result.code), std::string(ledger::name(tx.body)) + " was refused: " + result.text, "look at the account, and draft it anew"};
  cli.out.line(std::string(ledger::name(tx.body)) + " stands in block " + std::to_string(number(result.height)));
  cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("sender", tx.sender));
  return {};
}

// ---- hot keys ----

struct HotWish {
  DraftWish draft;
  std::string key;
  std::vector<std::string> scopes;
  std::string limit = "10 CRN", account;
  uint64_t period_hours = 24, hours = 24 * 365;
};

Result<> new_hot(const Cli& cli, const HotWish& wish) {
  TRY_LET(account, cli.account(wish.account));
  const SecretKey key = SecretKey::generate();
  TRY(save_key(wish.key, StoredKey{key, account}));
  cli.out.line(row("hot key", key.public_key().hex()));
  cli.out.line(row("key", wish.key + " (mode 0600, for account " + brief(account) + ")"));
  cli.out.line(row("next", "cairn wallet hot grant --hot " + wish.key + " --for provide, with the account's own key"));
  cli.out.object(JsonObject().add("account", account).add("public_key", key.public_key()).add("key", wish.key));
  return {};
}

Result<> grant(const Cli& cli, const HotWish& wish) {
  ledger::GrantKey body;
  TRY_LET(key, public_key_of(wish.key));
  body.key = key;
  for (uint8_t n = 1; is_valid(ledger::Scope{n}); n++)
    if (std::find(wish.scopes.begin(), wish.scopes.end(), ledger::name(ledger::Scope{n})) != wish.scopes.end()) body.scopes.push_back(ledger::Scope{n});
  TRY_LET(limit, amount_of(wish.limit));
  body.limit = limit;
  body.period_ms = wish.period_hours * kHourMs;
  TRY_LET(config, cli.settings());
  TRY_LET(now, NodeClient(config.node, config.folder).time());
  body.expiry = after(now, wish.hours * kHourMs);
  return act(cli, wish.draft, body, [&](const ledger::TxResult& result) {
    cli.out.line("hot key " + brief(body.key) + " may " + to_json(body.scopes) + " and lose at most " + pretty(body.limit) +
                 (body.period_ms ? " in " + std::to_string(wish.period_hours) + " h" : " in all") + ", until chain time " + std::to_string(ms(body.expiry)) + " ms");
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("public_key", body.key).add("limit", body.limit)
                       .add("expiry", body.expiry));
  });
}

Result<> revoke(const Cli& cli, const HotWish& wish) {
  TRY_LET(key, public_key_of(wish.key));
  return act(cli, wish.draft, ledger::RevokeKey{key}, [&](const ledger::TxResult& result) {
    cli.out.line("hot key " + brief(key) + " signs nothing any more");
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("public_key", key));
  });
}

// ---- new keys, passphrases ----

struct RotateWish {
  DraftWish draft;
  std::string new_key, keys;
  bool revoke_hot = false, sealed = false;
};

Result<> rotate(const Cli& cli, const RotateWish& wish) {
  ledger::RotateKey body;
  body.revoke_hot_keys = wish.revoke_hot;
  if (wish.new_key.empty() == wish.keys.empty())
    return Error{Code::usage, "name one of --new-key and --to-keys", "--new-key makes a key file, --to-keys takes a key set file"};
  if (!wish.keys.empty()) {
    TRY_LET(set, read_wrapped<KeySet>(wish.keys, kSetMagic));
    body.keys = set;
  } else {
    TRY_LET(config, cli.settings());
    TRY_LET(facts, key_file_facts(config.key));
    const SecretKey key = SecretKey::generate();
    std::optional<std::string> passphrase;
    if (wish.sealed) {
      TRY_LET(typed, ask_new_passphrase(wish.new_key));
      passphrase = typed;
    }
    TRY(save_key(wish.new_key, StoredKey{key, facts.account}, passphrase));  // on the disk before the chain asks for it
    body.keys = KeySet::of(key.public_key());
  }
  return act(cli, wish.draft, body, [&](const ledger::TxResult& result) {
    cli.out.line("from block " + std::to_string(number(result.height)) + " on, other keys sign for the account");
    if (!wish.new_key.empty()) cli.out.line(row("key", wish.new_key + " (the old one signs nothing any more)"));
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("keys", body.keys));
  });
}

Result<> passphrase(const Cli& cli, bool remove) {
  TRY_LET(config, cli.settings());
  TRY_LET(stored, load_stored_key(config.key, ask_passphrase));
  std::optional<std::string> fresh;
  if (!remove) {
    TRY_LET(typed, ask_new_passphrase(config.key));
    fresh = typed;
  }
  TRY(replace_key(config.key, stored, fresh));
  cli.out.line(config.key.string() + (remove ? " is open to its owner's programs" : " is sealed with a passphrase"));
  cli.out.object(JsonObject().add("key", config.key.string()).add("sealed", !remove));
  return {};
}

}  // namespace

void add_key_verbs(CLI::App& wallet, Cli& cli) {
  const auto verb = [&cli](CLI::App& noun, const char* name, const char* about, auto wish, auto run) {
    auto* sub = noun.add_subcommand(name, about);
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };

  auto* multisig = wallet.add_subcommand("multisig", "Accounts for which several keys sign together")->require_subcommand(1);
  const auto many = std::make_shared<MultisigWish>();
  auto* create = verb(*multisig, "create", "Name an account by its keys; needs no network", many, create_set);
  create->add_option("--threshold", many->threshold, "how many sign")->required()->check(CLI::Range(1, 16));
  create->add_option("--keys", many->keys, "public keys, or key files")->required()->expected(1, 16);
  create->add_option("--out", many->out, "key set file to write")->required();
  auto* sign = verb(*multisig, "sign", "Add this key's signature to a draft; needs no network", many, sign_draft);
  sign->add_option("file", many->file, "the draft")->required();
  sign->add_option("--out", many->out, "where to write it; otherwise over the draft");
  auto* combined = verb(*multisig, "combine", "Bring the signatures of copies of one draft together; needs no network", many, combine);
  combined->add_option("files", many->files, "the copies")->required()->expected(1, 16);
  combined->add_option("--out", many->out, "where to write it")->required();
  verb(*multisig, "submit", "Send a signed draft", many, submit)->add_option("file", many->file, "the draft")->required();

  auto* hot = wallet.add_subcommand("hot", "Keys for machines, with scopes and a limit")->require_subcommand(1);
  const auto key = std::make_shared<HotWish>();
  auto* made = verb(*hot, "new", "Make a key file for a machine; needs no network", key, new_hot);
  made->add_option("--hot", key->key, "key file to make")->required();
  made->add_option("--account", key->account, "that it will sign for")->required();
  auto* granted = verb(*hot, "grant", "Let a key act for the account", key, grant);
  granted->add_option("--hot", key->key, "its public key, or its key file")->required();
  granted->add_option("--for", key->scopes, "pay, provide, verify, request, publish")->required()->expected(1, 5)
      ->check(CLI::IsMember({"pay", "provide", "verify", "request", "publish"}));
  granted->add_option("--limit", key->limit, "that it can lose in a period, stake in jobs included")->capture_default_str();
  granted->add_option("--period-hours", key->period_hours, "of chain time; 0: one limit for good")->capture_default_str()->check(CLI::Range(0, 1'000'000));
  granted->add_option("--hours", key->hours, "of chain time until it ends")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  key->draft.add_to(*granted);
  auto* revoked = verb(*hot, "revoke", "Take a key back", key, revoke);
  revoked->add_option("--hot", key->key, "its public key, or its key file")->required();
  key->draft.add_to(*revoked);

  const auto turn = std::make_shared<RotateWish>();
  auto* rotated = verb(wallet, "rotate", "Replace the account's keys", turn, rotate);
  rotated->add_option("--new-key", turn->new_key, "key file to make");
  rotated->add_option("--to-keys", turn->keys, "key set file: several keys");
  rotated->add_flag("--revoke-hot", turn->revoke_hot, "all hot keys too");
  rotated->add_flag("--passphrase", turn->sealed, "seal the new key file");
  turn->draft.add_to(*rotated);

  const auto remove = std::make_shared<bool>(false);
  auto* sealed = verb(wallet, "passphrase", "Seal a key file, or change its passphrase", remove, passphrase);
  sealed->add_flag("--remove", *remove, "leave it open to its owner's programs");
}

}  // namespace cairn::agent
