#include <CLI/CLI.hpp>

#include "agent/cli/cli.h"

namespace cairn::agent {
void add_job_verbs(CLI::App& app, Cli& cli) { static_cast<void>(app), static_cast<void>(cli); }
}  // namespace cairn::agent
