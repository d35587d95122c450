// cairn: the command line of requesters and owners.
#include <CLI/CLI.hpp>
#include <csignal>

#include "agent/cli/cli.h"
#include "base/log.h"

namespace {
constexpr const char* kAbout =
    "Cairn: buy and sell computation that can be proven.\n"
    "\n"
    "The node is taken from --node, else CAIRN_NODE, else the settings file, else 127.0.0.1:7700.\n"
    "The key is taken from --key, else CAIRN_KEY, else the settings file.\n"
    "The settings file is --config, else CAIRN_CONFIG, else the devnet's, else ~/.config/cairn/requester.yaml.\n"
    "The devnet is in --dir, else CAIRN_NET, else the present folder if one lies there, else ~/.local/share/cairn/devnet.";
constexpr const char* kStatus =
    "Exit status: 0 ok, 1 failed, 2 usage, 3 cancelled or timed out, 4 keys, 5 funds, 6 not found, 7 network or chain\n"
    "unreachable, 8 job ended in failure, 9 proof rejected.";
}  // namespace

int main(int argc, char** argv) {
  using namespace cairn;
  std::signal(SIGPIPE, SIG_IGN);
  set_log_level(LogLevel::error);
  agent::Cli cli;
  CLI::App app(kAbout, "cairn");
  bool json = false;
  app.footer(kStatus);
  app.add_flag("--json", json, "print one JSON object as the last line of standard output");
  app.add_option("--node", cli.node, "address of a node");
  app.add_option("--key", cli.key, "key file that signs and pays");
  app.add_option("--config", cli.config_path, "settings file; see configs/requester.yaml");
  app.add_option("--dir", cli.dir, "folder of a devnet");
  app.set_version_flag("--version", "cairn 0.1.0");
  app.require_subcommand(1);
  app.fallthrough();  // inherited: these options may stand anywhere
  agent::add_net_verbs(app, cli);
  agent::add_wallet_verbs(app, cli);
  agent::add_node_verbs(app, cli);
  agent::add_chain_verbs(app, cli);
  agent::add_stake_verbs(app, cli);
  agent::add_job_verbs(app, cli);
  agent::add_asset_verbs(app, cli);
  agent::add_program_verbs(app, cli);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    for (int i = 1; i < argc; i++) json = json || std::string_view(argv[i]) == "--json";
    cli.out.set_json(json);
    cli.out.error({Code::usage, error.what(), "cairn --help, or cairn NOUN --help"});
    return exit_status(Code::usage);
  }
  cli.out.set_json(json);
  const auto ended = [&](const Error& error) {
    cli.out.error(error);
    return exit_status(error.code);
  };
  try {
    const auto done = cli.chosen();
    return done ? 0 : ended(done.error());
  } catch (const Fault& fault) {
    return ended(fault.error());
  } catch (const std::exception& fault) {
    return ended({Code::internal, fault.what(), "report this with the command line"});
  }
}
