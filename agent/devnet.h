// A devnet: a whole network of real processes in one folder, on loopback, for trying and for tests.
//
//   FOLDER/net.json           what runs: names, process ids, their start times
//   FOLDER/genesis.bin        the chain; faucet.key holds most of its money
//   FOLDER/node.yaml  provider-1.yaml ...  verifier-1.yaml ...  requester.yaml
//   FOLDER/log/NAME.log       what each process says
//
// A process is ended only when its id and start time are those in net.json: never one that happens to have the id now.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/amount.h"
#include "base/keys.h"
#include "base/result.h"

namespace cairn::agent {

struct DevnetProcess {
  std::string name;        // "node", "provider-1", "verifier-1"
  int pid = 0;
  uint64_t started = 0;    // of /proc/PID/stat: clock ticks after boot
  std::string account;     // empty for the node
  std::string config;
  std::string log;
  bool running() const;
};

struct DevnetState {
  std::string node;        // HTTP address
  std::string faucet;      // account
  std::string requester;   // account
  std::vector<DevnetProcess> processes;
};

struct ProviderWish {
  std::string worker;      // empty: the usual one
  Amount price = Amount::of_pebbles(500'000);
};

class Devnet {
 public:
  explicit Devnet(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& folder() const { return folder_; }

  // Errors: not_found (no devnet there), malformed.
  Result<DevnetState> state() const;

  // Makes keys and genesis where they are missing, starts the node and returns when it answers.
  // Errors: exists (it runs already), io, and what the process said when it ended at once.
  Result<DevnetState> start_node();
  // Adds one more; funded by the faucet. Returns when its offer or bond is on the chain.
  Result<DevnetProcess> add_provider(const ProviderWish& wish);
  Result<DevnetProcess> add_verifier(Amount bond);
  // Starts again whatever net.json names and does not run: after a reboot, or a kill.
  Result<DevnetState> restart();
  // Ends the processes of net.json: SIGTERM, then SIGKILL after five seconds. Returns how many ran.
  Result<int> stop();

 private:
  Result<> save(const DevnetState& state) const;
  Result<DevnetProcess> launch(const std::string& name, const std::string& program, const std::vector<std::string>& arguments) const;
  Result<> fund(const DevnetState& state, const AccountId& account, Amount amount) const;
  std::filesystem::path folder_;
};

}  // namespace cairn::agent
