// cairn net: a devnet of real processes on this machine.
#include <CLI/CLI.hpp>
#include <memory>

#include "agent/cli/cli.h"
#include "agent/devnet.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;

struct Wish {
  std::string name;
  std::string member;  // of kill and heal
  uint32_t validators = 0;
  uint32_t providers = 1;
  uint32_t verifiers = 1;
  std::vector<std::string> prices;
  std::vector<std::string> workers;  // "I=PATH", or a path when one provider is added
  std::string bond = "1 CRN";
};

JsonObject shown(const DevnetMember& member) {
  JsonObject json;
  json.add("name", member.name).add("role", member.role).add("account", member.account).add("key", member.key);
  json.add("config", member.config).add("log", member.log);
  if (member.has_process()) json.add("pid", member.pid).add("running", member.running());
  return json;
}

JsonObject shown(const Devnet& devnet, const DevnetState& state) {
  std::vector<JsonObject> accounts;
  for (const auto& member : state.members) accounts.push_back(shown(member));
  JsonObject json;
  json.add("dir", devnet.folder().string()).add("name", state.name).add("node", state.node);
  json.add("genesis", state.genesis).add("config", state.config);
  json.add("accounts", accounts);
  return json;
}

void list(const Cli& cli, const DevnetState& state) {
  for (const auto& member : state.members)
    cli.out.line("  " + padded(member.name, 12) + "account " + brief(member.account) + "  " +
                 (!member.has_process() ? "" : member.running() ? "process " + std::to_string(member.pid) : "is not running"));
}

Devnet::OnStage bar(const Cli& cli) {
  return [&cli](const std::string& what, double share) { cli.out.bar("net up", share, what); };
}

Result<std::string> program_at(const std::string& path) {
  std::error_code fault;
  const fs::path whole = fs::canonical(path, fault);
  if (fault) return Error{Code::not_found, "there is no program " + path, "name one that exists"};
  return whole.string();
}

Result<DevnetWish> understood(const Wish& wish, uint32_t providers, uint32_t verifiers) {
  DevnetWish out;
  out.name = wish.name;
  out.validators = wish.validators;
  TRY_LET(bond, amount_of(wish.bond));
  out.bonds.assign(verifiers, bond);
  out.providers.resize(providers);
  if (wish.prices.size() > providers && providers > 0)
    return Error{Code::usage, std::to_string(wish.prices.size()) + " prices are given for " + std::to_string(providers) + " providers",
                 "give one a provider; the last counts for the rest"};
  for (size_t i = 0; i < out.providers.size() && !wish.prices.empty(); i++) {
    TRY_LET(price, amount_of(wish.prices[std::min(i, wish.prices.size() - 1)]));
    out.providers[i].price = price;
  }
  for (const auto& text : wish.workers) {
    const size_t equals = text.find('=');
    const std::string number = text.substr(0, equals);
    const bool counts = equals != std::string::npos && !number.empty() && number.size() < 4 &&
                        number.find_first_not_of("0123456789") == std::string::npos;
    const size_t ordinal = counts ? std::stoul(number) : 0;
    if (ordinal < 1 || ordinal > out.providers.size())
      return Error{Code::usage, "`" + text + "` is no worker of one of " + std::to_string(providers) + " providers",
                   "write NUMBER=PATH, counting from 1: --provider-worker 2=/path/to/worker"};
    TRY_LET(path, program_at(text.substr(equals + 1)));
    out.providers[ordinal - 1].worker = path;
  }
  return out;
}

Result<> up(const Cli& cli, const Wish& wish) {
  TRY_LET(order, understood(wish, wish.providers, wish.verifiers));
  Devnet devnet(cli.devnet_folder());
  const auto old = devnet.state();
  if (!old && old.error().code != Code::not_found) return old.error();
  if (old && old->running()) {
    const auto idle = std::find_if(old->members.begin(), old->members.end(),
                                   [](const auto& m) { return m.has_process() && !m.running(); });
    if (idle == old->members.end())
      return Error{Code::exists, "the devnet in " + devnet.folder().string() + " runs already",
                   "cairn net status, cairn net down, or another --dir"};
  }
  TRY_LET(state, old ? devnet.restart(bar(cli)) : devnet.make(order, bar(cli)));
  cli.out.line(old ? "the devnet in " + devnet.folder().string() + " runs again, as it was made"
                   : "a devnet runs in " + devnet.folder().string());
  list(cli, state);
  cli.out.line(row("node", state.node));
  cli.out.line(row("genesis", state.genesis));
  cli.out.line(row("logs", (devnet.folder() / "logs").string()));
  if (Cli usual; devnet.folder() != usual.devnet_folder()) cli.out.line(row("next", "export CAIRN_NET=" + devnet.folder().string()));
  cli.out.line(row("next", "cairn job run examples/digits/job.yaml"));
  cli.out.object(shown(devnet, state).add("restarted", static_cast<bool>(old)));
  return {};
}

Result<> down(const Cli& cli) {
  Devnet devnet(cli.devnet_folder());
  TRY_LET(ended, devnet.stop());
  cli.out.line(ended.empty() ? "nothing ran in " + devnet.folder().string()
                             : std::to_string(ended.size()) + " processes ended; keys and chain stay in " + devnet.folder().string());
  cli.out.object(JsonObject().add("dir", devnet.folder().string()).add("ended", ended));
  return {};
}

Result<> status(const Cli& cli) {
  Devnet devnet(cli.devnet_folder());
  TRY_LET(state, devnet.state());
  JsonObject json = shown(devnet, state);
  cli.out.line(row("devnet", devnet.folder().string()));
  list(cli, state);
  NodeClient node(state.node);
  const auto chain = node.status();
  cli.out.line(row("node", state.node + (chain ? "" : "  does not answer")));
  if (chain) {
    cli.out.line(row("height", std::to_string(number(chain->height))));
    json.add("height", chain->height);
  } else {
    json.raw("height", "null");
  }
  json.add("running", state.running());
  cli.out.object(json);
  return {};
}

Result<> kill(const Cli& cli, const Wish& wish) {
  Devnet devnet(cli.devnet_folder());
  TRY_LET(member, devnet.kill(wish.member));
  cli.out.line(member.name + " is dead; cairn net heal starts it again");
  cli.out.object(shown(member));
  return {};
}

Result<> heal(const Cli& cli) {
  Devnet devnet(cli.devnet_folder());
  TRY_LET(old, devnet.state());
  std::vector<std::string> healed;
  for (const auto& member : old.members)
    if (member.has_process() && !member.running()) healed.push_back(member.name);
  TRY_LET(state, devnet.restart(bar(cli)));
  cli.out.line(healed.empty() ? "everything runs" : std::to_string(healed.size()) + " processes run again");
  list(cli, state);
  cli.out.object(shown(devnet, state).add("healed", healed));
  return {};
}

Result<> add(const Cli& cli, const Wish& wish, bool provider) {
  Wish numbered = wish;
  for (auto& worker : numbered.workers)
    if (worker.find('=') == std::string::npos) worker = "1=" + worker;
  TRY_LET(order, understood(numbered, provider ? 1 : 0, provider ? 0 : 1));
  Devnet devnet(cli.devnet_folder());
  TRY_LET(old, devnet.state());
  if (!old.running())
    return Error{Code::unreachable, "the devnet in " + devnet.folder().string() + " does not run", "cairn net up"};
  TRY_LET(state, devnet.add(order, bar(cli)));
  const DevnetMember& member = state.members.back();
  cli.out.line(member.name + " runs as process " + std::to_string(member.pid) + ", account " + brief(member.account));
  cli.out.object(shown(member));
  return {};
}

}  // namespace

void add_net_verbs(CLI::App& app, Cli& cli) {
  auto* net = app.add_subcommand("net", "A devnet of real processes on this machine")->require_subcommand(1);
  const auto wish = std::make_shared<Wish>();
  const auto verb = [&](const char* name, const char* about, auto run) {
    auto* sub = net->add_subcommand(name, about);
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };
  auto* make = verb("up", "Make and start one, or start one again", up);
  make->add_option("--name", wish->name, "of the chain; made up when missing");
  make->add_option("--validators", wish->validators, "of a chain on CometBFT, which must be built; 0: one producer alone")
      ->check(CLI::Range(0, 16))
      ->capture_default_str();
  make->add_option("--providers", wish->providers, "how many")->check(CLI::Range(0, 16))->capture_default_str();
  make->add_option("--verifiers", wish->verifiers, "how many")->check(CLI::Range(0, 16))->capture_default_str();
  make->add_option("--price", wish->prices, "of an hour of each provider's machine, in their order; the last counts for the rest (100 CRN)");
  make->add_option("--provider-worker", wish->workers, "NUMBER=PATH: the worker program of one provider, counting from 1");
  make->add_option("--bond", wish->bond, "of a verifier")->capture_default_str();
  verb("status", "Who is in it and what runs", [](const Cli& c, const Wish&) { return status(c); });
  verb("down", "End the processes that `net up` started, and nothing else", [](const Cli& c, const Wish&) { return down(c); });
  verb("kill", "Kill one process and all that it started, as a power cut would", [](const Cli& c, const Wish& w) { return kill(c, w); })
      ->add_option("name", wish->member, "validator-2, provider-1, ...")
      ->required();
  verb("heal", "Start again whatever of it does not run", [](const Cli& c, const Wish&) { return heal(c); });
  auto* provider = verb("add-provider", "One more provider", [](const Cli& c, const Wish& w) { return add(c, w, true); });
  provider->add_option("--price", wish->prices, "of an hour")->expected(1);
  provider->add_option("--worker", wish->workers, "another worker program")->expected(1);
  auto* verifier = verb("add-verifier", "One more verifier", [](const Cli& c, const Wish& w) { return add(c, w, false); });
  verifier->add_option("--bond", wish->bond, "what it locks")->capture_default_str();
}

}  // namespace cairn::agent
