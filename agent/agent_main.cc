// cairn-agent: the provider daemon.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "agent/provider.h"
#include "base/log.h"

int main(int argc, char** argv) {
  using namespace cairn;
  CLI::App app("cairn-agent: offers this machine, takes jobs, is paid. Ends on SIGTERM; SIGHUP reads the settings again.",
               "cairn-agent");
  std::string config;
  app.add_option("--config", config, "settings, as configs/provider.yaml")->required();
  app.set_version_flag("--version", "cairn-agent 0.1.0");
  const auto fail = [](const Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return exit_status(error.code);
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    return fail({Code::usage, error.what(), "cairn-agent --help"});
  }
  try {
    const auto done = agent::run_provider(config);
    return done ? 0 : fail(done.error());
  } catch (const Fault& fault) {
    return fail(fault.error());
  } catch (const std::exception& fault) {
    return fail({Code::internal, fault.what(), "report this with the log"});
  }
}
