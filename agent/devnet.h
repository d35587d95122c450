// A devnet: a whole network of real processes in one folder, on loopback, for trying and for tests.
//
//   FOLDER/net.json            who is in it, and the process ids: what `net down` may end, and nothing else
//   FOLDER/genesis.json         the chain's first value; faucet.key holds most of its money
//   FOLDER/node.yaml  provider-1.yaml ...  verifier-1.yaml ...  requester.yaml
//   FOLDER/NAME/               keys (0600) and what the process keeps
//   FOLDER/logs/NAME.log       what each process says
//
// A process is ended only while its id still belongs to the program and the start time that net.json names: never one that
// happens to have the id now.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/amount.h"
#include "base/key_file.h"
#include "base/result.h"

namespace cairn::agent {

// One account of the devnet, most of them with a process. Empty where it has none of a thing.
struct DevnetMember {
  std::string name;        // "node" or "validator-1", "faucet", "requester", "provider-1", "verifier-1"
  std::string role;        // the same without the number
  std::string account;
  std::string key;
  std::string config;
  std::string log;
  std::string program;     // as started
  int32_t pid = 0;
  uint64_t started = 0;    // of /proc/PID/stat: clock ticks after boot
  static constexpr auto fields() {
    using M = DevnetMember;
    return std::tuple{field("name", &M::name), field("role", &M::role),       field("account", &M::account),
                      field("key", &M::key),   field("config", &M::config),   field("log", &M::log),
                      field("program", &M::program), field("pid", &M::pid), field("started", &M::started)};
  }
  bool has_process() const { return !program.empty(); }
  bool is_node() const { return role == "node" || role == "validator"; }
  bool running() const;
};

struct DevnetState {
  std::string name;
  std::string node;        // HTTP address
  std::string genesis;     // file
  std::string config;      // the requester's settings
  std::vector<DevnetMember> members;
  static constexpr auto fields() {
    using S = DevnetState;
    return std::tuple{field("name", &S::name), field("node", &S::node), field("genesis", &S::genesis),
                      field("config", &S::config), field("members", &S::members)};
  }
  const DevnetMember* find(const std::string& member) const;
  bool running() const;    // any process of it
};

struct DevnetWish {
  struct Provider {
    Amount price = Amount::of_pebbles(100'000'000);  // for an hour; large, so that the play money moves visibly
    std::string worker;                              // empty: the usual one
  };
  std::string name;                  // of the chain; empty: one is made up
  uint32_t validators = 0;           // on CometBFT; 0: one producer alone
  std::vector<Provider> providers;
  std::vector<Amount> bonds;         // of the verifiers
};

class Devnet {
 public:
  explicit Devnet(std::filesystem::path folder) : folder_(std::move(folder)) {}
  const std::filesystem::path& folder() const { return folder_; }

  // Errors: not_found (no devnet there), malformed.
  Result<DevnetState> state() const;

  // Hears what is being done, and how much of the whole is behind.
  using OnStage = std::function<void(const std::string& what, double share)>;

  // Makes keys, genesis and settings, starts every process, funds its account from the faucet, and returns when all offers
  // and bonds are visible. What was started is ended again when one of them fails.
  // Errors: exists (a devnet is there already), io, timed_out, and what a process said when it ended.
  Result<DevnetState> make(const DevnetWish& wish, const OnStage& stage);
  // Adds to a devnet that runs.
  Result<DevnetState> add(const DevnetWish& wish, const OnStage& stage);
  // Starts again whatever net.json names and does not run: after a reboot, or a kill.
  Result<DevnetState> restart(const OnStage& stage);
  // Kills a member at once, with all that it started, as a power cut would. Errors: not_found.
  Result<DevnetMember> kill(const std::string& member);
  // Ends the processes of net.json: SIGTERM, then SIGKILL after ten seconds. Returns the names of those that ran.
  Result<std::vector<std::string>> stop();

 private:
  Result<> save(const DevnetState& state) const;
  Result<SecretKey> key(const std::string& member, const std::string& file) const;
  // The node's interface at this port, or at another if somebody listens there. Error already: somebody came between.
  Result<DevnetState> make_at(uint16_t wanted_port, const DevnetWish& wish, const OnStage& stage);
  Result<> start_nodes(DevnetState& state, const DevnetWish& wish, uint16_t wanted_port);
  Result<> prepare(DevnetState& state, const DevnetWish& wish, const OnStage& stage);
  Result<> launch(DevnetMember& member) const;
  Result<> wait_for_all(const DevnetState& state, const OnStage& stage) const;
  std::filesystem::path folder_;
};

}  // namespace cairn::agent
