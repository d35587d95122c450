// cairn chain: the rules of the chain, and how its governor changes them.
#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "agent/cli/wallet_keys.h"
#include "ledger/tx/upgrade.h"

namespace cairn::agent {
namespace {

struct UpgradeWish {
  DraftWish draft;
  uint64_t at = 0;
  uint32_t protocol = 0;
  std::vector<std::string> settings;
  bool withdraw = false;
  uint64_t block = 0;  // to trust; 0: the last
  std::string header;  // its id, as somebody else names it
  std::string folder;  // whose memory
};

// Gives the number at a path, "interval_ms" or "standard.segments", another value. False: there is none, or it is too large for it.
template <class Record>
bool set_number(Record& record, std::string_view path, uint64_t value) {
  const size_t dot = path.find('.');
  bool done = false;
  for_each_field(record, [&](const char* name, auto& member) {
    using Member = std::remove_reference_t<decltype(member)>;
    if (path.substr(0, dot) != name) return;
    if constexpr (std::is_same_v<Member, Amount>) {
      if (dot == std::string_view::npos) member = Amount::of_pebbles(value), done = true;
    } else if constexpr (std::is_integral_v<Member>) {
      if (dot != std::string_view::npos || value > std::numeric_limits<Member>::max()) return;
      member = static_cast<Member>(value);
      done = true;
    } else if constexpr (HasFields<Member>) {
      if (dot != std::string_view::npos) done = set_number(member, path.substr(dot + 1), value);
    }
  });
  return done;
}

Result<> set(attest::ChainParams& params, const std::string& setting) {
  const size_t equals = setting.find('=');
  uint64_t value = 0;
  const char* end = setting.data() + setting.size();
  const Error wrong{Code::usage, "`" + setting + "` is no parameter with a whole number", "cairn chain rules --json shows their names; write interval_ms=200 or standard.segments=2"};
  if (equals == std::string::npos) return wrong;
  if (const auto [at, error] = std::from_chars(setting.data() + equals + 1, end, value); error != std::errc() || at != end) return wrong;
  return set_number(params, std::string_view(setting).substr(0, equals), value) ? Result<>() : wrong;
}

Result<> upgrade(const Cli& cli, const UpgradeWish& wish) {
  if (!wish.withdraw && wish.at == 0) return Error{Code::usage, "no block is named", "cairn chain upgrade --at HEIGHT --set NAME=VALUE, or --withdraw"};
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(rules, node.rules());
  ledger::Upgrade body;
  body.protocol = wish.protocol == 0 ? rules.back().protocol : wish.protocol;
  body.params = rules.back().params;
  if (!wish.withdraw) {
    body.from = Height{wish.at};
    for (const auto& setting : wish.settings) TRY(set(body.params, setting));
  }
  return act(cli, wish.draft, body, [&](const ledger::TxResult& result) {
    cli.out.line(wish.withdraw ? "the announced rules are taken back" : "from block " + std::to_string(wish.at) + " on other rules hold; what was matched before ends under its own");
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("from", body.from).add("protocol", body.protocol).add("params", body.params));
  });
}

Result<> list_rules(const Cli& cli, const UpgradeWish&) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(genesis, node.genesis());
  TRY_LET(status, node.status());
  TRY_LET(rules, node.rules());
  std::vector<JsonObject> all;
  for (const auto& one : rules) {
    const bool announced = number(one.from) > number(status.height);
    cli.out.line(row("rules " + std::to_string(one.number), "from block " + std::to_string(number(one.from)) + (announced ? ", announced" : "") + ", protocol " + std::to_string(one.protocol)));
    all.push_back(JsonObject().add("number", one.number).add("from", one.from).add("protocol", one.protocol).add("params", one.params));
  }
  cli.out.line(row("governor", genesis.governor.is_zero() ? "none: the rules never change" : genesis.governor.hex()));
  cli.out.object(JsonObject().add("governor", genesis.governor).add("height", status.height).add("rules", all));
  return {};
}

// The last header seen is of no use once those who signed it may have left with their stakes: somebody who is trusted names another.
Result<> trust(const Cli& cli, const UpgradeWish& wish) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, wish.folder.empty() ? config.folder : std::filesystem::path(wish.folder));
  TRY_LET(genesis, node.genesis());
  TRY_LET(header, node.header(Height{wish.block}));
  TRY_LET(name, attest::trusted_name(genesis, header));
  const Height height = header.header.height;
  if (wish.block != 0 && number(height) != wish.block)
    return Error{Code::proof, "asked for block " + std::to_string(wish.block) + ", the node gives block " + std::to_string(number(height)), "ask another node, and report this one"};
  const std::string id = name.hex();
  const bool named = !wish.header.empty();
  if (named) {
    const auto wanted = Hash::from_hex(wish.header);
    if (!wanted) return Error{Code::usage, "no header's name: " + wish.header, "name it in 64 hexadecimal digits"};
    TRY(node.trust(header, *wanted));
  }
  cli.out.line(row("block", std::to_string(number(height))));
  cli.out.line(row("header", id));
  cli.out.line(named ? "it is trusted from here on" : "where somebody you trust has the same: cairn chain trust --block " + std::to_string(number(height)) + " --header " + id);
  cli.out.object(JsonObject().add("height", height).add("header", id).add("trusted", named));
  return {};
}

}  // namespace

void add_chain_verbs(CLI::App& app, Cli& cli) {
  auto* chain = app.add_subcommand("chain", "The chain's rules")->require_subcommand(1);
  const auto wish = std::make_shared<UpgradeWish>();
  const auto verb = [&cli, chain, wish](const char* name, const char* about, auto run) {
    auto* sub = chain->add_subcommand(name, about);
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };
  verb("rules", "Those in force, those before, and those announced", list_rules);
  auto* anchor = verb("trust", "Begin anew from a header that somebody you trust names, when the last one seen is too old", trust);
  anchor->add_option("--block", wish->block, "its height; otherwise the last");
  anchor->add_option("--folder", wish->folder, "of a daemon whose memory it is; otherwise this command's");
  anchor->add_option("--header", wish->header, "its name, as they see it; without it, it is shown");
  auto* sub = verb("upgrade", "Announce other rules, with the governor's key", upgrade);
  auto* at = sub->add_option("--at", wish->at, "first block under them");
  sub->add_option("--protocol", wish->protocol, "number of the protocol; otherwise the present one");
  sub->add_option("--set", wish->settings, "parameters, as fee_per_byte=2; amounts in pebbles");
  auto* back = sub->add_flag("--withdraw", wish->withdraw, "take an announcement back");
  at->excludes(back);
  wish->draft.add_to(*sub);
}

}  // namespace cairn::agent
