#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/cli.h"
#include "agent/devnet.h"

namespace cairn::agent {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Wish {
  std::string folder = default_devnet().string();
  int providers = 1;
  int verifiers = 1;
  std::string price = "0.5 CRN";
  std::string worker;
  std::string bond = "1 CRN";
};

Json shown(const DevnetProcess& process) {
  Json json = {{"name", process.name}, {"pid", process.pid},       {"running", process.running()},
               {"account", process.account}, {"config", process.config}, {"log", process.log}};
  return json;
}

Json shown(const Devnet& devnet, const DevnetState& state) {
  Json processes = Json::array();
  for (const auto& process : state.processes) processes.push_back(shown(process));
  return {{"dir", devnet.folder().string()},
          {"node", state.node},
          {"genesis", (devnet.folder() / "genesis.bin").string()},
          {"config", (devnet.folder() / "requester.yaml").string()},
          {"faucet", state.faucet},
          {"requester", state.requester},
          {"processes", processes}};
}

void list(const Cli& cli, const DevnetState& state) {
  for (const auto& process : state.processes)
    cli.out.line("  " + process.name + std::string(process.name.size() < 12 ? 12 - process.name.size() : 1, ' ') +
                 (process.running() ? "runs as " + std::to_string(process.pid) : "is not running") +
                 (process.account.empty() ? "" : "   account " + process.account.substr(0, 16)));
}

Result<Amount> amount_of(const std::string& text) {
  if (const auto amount = parse_amount(text)) return *amount;
  return Error{Code::usage, "`" + text + "` is no amount", "write for example 0.5 CRN or 7 pebbles"};
}

Result<> up(const Cli& cli, const Wish& wish) {
  TRY_LET(price, amount_of(wish.price));
  TRY_LET(bond, amount_of(wish.bond));
  Devnet devnet(fs::absolute(wish.folder));
  const int all = 1 + wish.providers + wish.verifiers;
  int done = 0;
  const auto bar = [&](const std::string& text) { cli.out.bar("net up", double(done++) / all, text); };
  bar("node");
  if (const auto old = devnet.state(); old && old->processes.size() > 1) {
    bool runs = false;
    for (const auto& process : old->processes) runs = runs || process.running();
    if (!runs) {  // the same network again
      TRY_LET(state, devnet.restart());
      cli.out.line("the devnet in " + devnet.folder().string() + " runs again");
      list(cli, state);
      cli.out.object(shown(devnet, state).dump());
      return {};
    }
  }
  const auto started = [&]() -> Result<> {
    TRY(devnet.start_node());
    for (int i = 0; i < wish.verifiers; i++) {
      bar("verifier");
      TRY(devnet.add_verifier(bond));
    }
    for (int i = 0; i < wish.providers; i++) {
      bar("provider");
      TRY(devnet.add_provider({wish.worker, price}));
    }
    return {};
  }();
  if (!started) {
    if (started.error().code != Code::exists) static_cast<void>(devnet.stop());
    return started.error();
  }
  TRY_LET(state, devnet.state());
  cli.out.line("a devnet runs in " + devnet.folder().string());
  list(cli, state);
  cli.out.line("node       " + state.node);
  cli.out.line("requester  " + state.requester.substr(0, 16) + " with 1000 CRN");
  if (devnet.folder() != default_devnet())
    cli.out.line("next       export CAIRN_CONFIG=" + (devnet.folder() / "requester.yaml").string());
  cli.out.line("next       cairn job run examples/digits/job.yaml");
  cli.out.object(shown(devnet, state).dump());
  return {};
}

Result<> down(const Cli& cli, const Wish& wish) {
  Devnet devnet(fs::absolute(wish.folder));
  TRY_LET(count, devnet.stop());
  cli.out.line(std::to_string(count) + " processes ended; keys and chain stay in " + devnet.folder().string());
  cli.out.object(Json{{"dir", devnet.folder().string()}, {"ended", count}}.dump());
  return {};
}

Result<> status(const Cli& cli, const Wish& wish) {
  Devnet devnet(fs::absolute(wish.folder));
  TRY_LET(state, devnet.state());
  Json json = shown(devnet, state);
  cli.out.line("devnet in " + devnet.folder().string());
  list(cli, state);
  NodeClient node(state.node);
  const auto chain = node.status();
  if (chain) {
    cli.out.line("height " + std::to_string(number(chain->height)));
    json["height"] = number(chain->height);
  } else {
    cli.out.line("the node does not answer at " + state.node);
    json["height"] = nullptr;
  }
  cli.out.object(json.dump());
  return {};
}

Result<> add(const Cli& cli, const Wish& wish, bool provider) {
  TRY_LET(price, amount_of(wish.price));
  TRY_LET(bond, amount_of(wish.bond));
  Devnet devnet(fs::absolute(wish.folder));
  std::string worker = wish.worker;
  if (worker.find('/') != std::string::npos) worker = fs::absolute(worker).string();
  TRY_LET(process, provider ? devnet.add_provider({worker, price}) : devnet.add_verifier(bond));
  cli.out.line(process.name + " runs as " + std::to_string(process.pid) + ", account " + process.account.substr(0, 16));
  cli.out.object(shown(process).dump());
  return {};
}

}  // namespace

void add_net_verbs(CLI::App& app, Cli& cli) {
  auto* net = app.add_subcommand("net", "a devnet of real processes on this machine")->require_subcommand(1)->fallthrough();
  const auto wish = std::make_shared<Wish>();
  const auto verb = [&](const char* name, const char* about, auto run) {
    auto* sub = net->add_subcommand(name, about);
    sub->add_option("--dir", wish->folder, "its folder")->capture_default_str();
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };
  auto* make = verb("up", "start node, verifiers and providers; keys and genesis are made when missing", up);
  make->add_option("--providers", wish->providers, "how many")->check(CLI::Range(0, 16))->capture_default_str();
  make->add_option("--verifiers", wish->verifiers, "how many")->check(CLI::Range(0, 16))->capture_default_str();
  make->add_option("--price", wish->price, "of an hour of a provider")->capture_default_str();
  make->add_option("--bond", wish->bond, "of a verifier")->capture_default_str();
  make->add_option("--worker", wish->worker, "another worker program for the providers");
  verb("down", "end the processes that `net up` started", down);
  verb("status", "what runs", status);
  auto* provider = verb("add-provider", "one more provider", [](const Cli& c, const Wish& w) { return add(c, w, true); });
  provider->add_option("--price", wish->price, "of an hour")->capture_default_str();
  provider->add_option("--worker", wish->worker, "another worker program, for example a dishonest one");
  auto* verifier = verb("add-verifier", "one more verifier", [](const Cli& c, const Wish& w) { return add(c, w, false); });
  verifier->add_option("--bond", wish->bond, "what it locks")->capture_default_str();
}

}  // namespace cairn::agent
