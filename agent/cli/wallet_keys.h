// What the verbs of `cairn wallet` share when they change an account.
#pragma once

#include <functional>

#include "agent/cli/cli.h"

namespace cairn::agent {

// --draft, --account and --keys of a verb.
struct DraftWish {
  std::string file, account, keys;
  uint64_t hours = 24 * 7;  // of chain time that a draft lives: people sign it
  void add_to(CLI::App& verb);
};

// Whose transaction it becomes: that of --keys or --account with --draft, else the wallet's.
Result<AccountId> sender_of(const Cli& cli, const DraftWish& draft);
// Sends `body` for the wallet's account and tells `done`; or writes a draft of it.
Result<> act(const Cli& cli, const DraftWish& draft, const ledger::Body& body, const std::function<void(const ledger::TxResult&)>& done);

void add_key_verbs(CLI::App& wallet, Cli& cli);

}  // namespace cairn::agent
