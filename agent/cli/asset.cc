#include <CLI/CLI.hpp>

#include "agent/cli/cli.h"

namespace cairn::agent {
void add_asset_verbs(CLI::App& app, Cli& cli) { static_cast<void>(app), static_cast<void>(cli); }
}  // namespace cairn::agent
