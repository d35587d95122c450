// cairn stake, verifier unbond, validator: what an account puts at risk, and how it comes back.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/cli/wallet_keys.h"

namespace cairn::agent {
namespace {

struct StakeWish {
  DraftWish draft;
  std::string amount, producer_key, vrf_key;
};

// Sends `body` and says what that did.
Result<> send(const Cli& cli, const StakeWish& wish, const ledger::Body& body, const std::string& said) {
  return act(cli, wish.draft, body, [&](const ledger::TxResult& result) {
    cli.out.line(said);
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height));
  });
}

// Sends what takes something back, and says when that is free.
Result<> take_back(const Cli& cli, const StakeWish& wish, const ledger::Body& body, const std::string& said) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(rules, node.rules_in_force());
  const uint64_t wait_ms = rules.params.unbonding_ms;
  return act(cli, wish.draft, body, [&](const ledger::TxResult& result) {
    cli.out.line(said + " will be in the balance in " + std::to_string(wait_ms / 1000) + " s of chain time, less what a verifier is still answerable for");
    cli.out.object(JsonObject().add("transaction", result.id).add("height", result.height).add("unbonding_ms", wait_ms));
  });
}

Result<> add(const Cli& cli, const StakeWish& wish) {
  TRY_LET(amount, amount_of(wish.amount));
  return send(cli, wish, ledger::Stake{amount}, pretty(amount) + " may enter jobs now");
}

Result<> withdraw(const Cli& cli, const StakeWish& wish) {
  TRY_LET(amount, amount_of(wish.amount));
  return take_back(cli, wish, ledger::Unstake{amount}, pretty(amount) + " of stake");
}

Result<> unbond(const Cli& cli, const StakeWish& wish) {
  TRY_LET(amount, amount_of(wish.amount));
  return take_back(cli, wish, ledger::Unbond{amount}, pretty(amount) + " of bond");
}

Result<> join(const Cli& cli, const StakeWish& wish) {
  TRY_LET(amount, amount_of(wish.amount));
  TRY_LET(account, sender_of(cli, wish.draft));
  TRY_LET(producer, load_stored_key(wish.producer_key, ask_passphrase));
  TRY_LET(vrf, load_stored_key(wish.vrf_key, ask_passphrase));
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(genesis, node.genesis());
  ledger::JoinValidators body;
  body.key = producer.key.public_key();
  body.vrf = vrf.key.public_key();
  body.possession = sign(producer.key, attest::genesis_hash(genesis), SignKind::validator, account, body.vrf.span());
  body.amount = amount;
  return send(cli, wish, body, "validator " + brief(body.key) + " has " + pretty(amount) + " more at stake; its votes count two blocks from now");
}

Result<> resign(const Cli& cli, const StakeWish& wish) {
  return take_back(cli, wish, ledger::ResignValidator{}, "no validator two blocks from now, until then the node must go on; the stake");
}

Result<> leave_jail(const Cli& cli, const StakeWish& wish) {
  return send(cli, wish, ledger::LeaveJail{}, "out of jail; the votes count again two blocks from now");
}

}  // namespace

void add_stake_verbs(CLI::App& app, Cli& cli) {
  const auto verb = [&cli](CLI::App* noun, const char* name, const char* about, Result<> (*run)(const Cli&, const StakeWish&), bool sum) {
    auto* sub = noun->add_subcommand(name, about);
    const auto wish = std::make_shared<StakeWish>();
    if (sum) sub->add_option("--amount", wish->amount, "\"12.5 CRN\" or \"7 pebbles\"")->required();
    wish->draft.add_to(*sub);
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return std::pair(sub, wish);
  };
  auto* stake = app.add_subcommand("stake", "What a provider puts into jobs")->require_subcommand(1);
  verb(stake, "add", "Let more of the balance enter jobs", add, true);
  verb(stake, "withdraw", "Take free stake back; stop the agent first, or it stakes anew when none is left", withdraw, true);

  verb(app.get_subcommand("verifier"), "unbond", "Take bond back: all of it, or what leaves enough to verify", unbond, true);

  auto* validator = app.add_subcommand("validator", "Making blocks with others (CometBFT chains)")->require_subcommand(1);
  const auto [joins, wish] = verb(validator, "join", "Become a validator, or add to its stake", join, true);
  joins->add_option("--producer-key", wish->producer_key, "key file with which the node signs blocks")->required();
  joins->add_option("--vrf-key", wish->vrf_key, "key file of its beacons")->required();
  verb(validator, "resign", "Leave the set", resign, false);
  verb(validator, "leave-jail", "Come back after having been absent, when the time is over", leave_jail, false);
}

}  // namespace cairn::agent
