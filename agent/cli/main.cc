// cairn: the command line of requesters and owners.
#include <CLI/CLI.hpp>
#include <csignal>

#include "agent/cli/cli.h"
#include "base/log.h"

int main(int argc, char** argv) {
  using namespace cairn;
  std::signal(SIGPIPE, SIG_IGN);
  set_log_level(LogLevel::warning);
  agent::Cli cli;
  CLI::App app("Cairn: buy and sell computation that can be proven.\n"
               "Exit status: 0 ok, 1 failed, 2 usage, 3 cancelled or timed out, 4 keys, 5 funds, 6 not found,\n"
               "7 network or chain unreachable, 8 job ended in failure, 9 proof rejected.", "cairn");
  bool json = false;
  app.add_flag("--json", json, "print one JSON object as the last line of standard output");
  app.add_option("--config", cli.config_path, "settings; otherwise CAIRN_CONFIG, ~/.config/cairn/requester.yaml, the devnet's");
  app.add_option("--node", cli.node, "address of a node, instead of the settings'");
  app.set_version_flag("--version", "cairn 0.1.0");
  app.require_subcommand(1);
  app.fallthrough();
  agent::add_net_verbs(app, cli);
  agent::add_wallet_verbs(app, cli);
  agent::add_node_verbs(app, cli);
  agent::add_job_verbs(app, cli);
  agent::add_asset_verbs(app, cli);
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
  try {
    const auto done = cli.chosen ? cli.chosen() : Result<>(Error{Code::usage, "no verb was given", "cairn --help"});
    if (done) return 0;
    cli.out.error(done.error());
    return exit_status(done.error().code);
  } catch (const Fault& fault) {
    cli.out.error(fault.error());
    return exit_status(fault.error().code);
  } catch (const std::exception& fault) {
    cli.out.error({Code::internal, fault.what(), "report this with the command line"});
    return exit_status(Code::internal);
  }
}
