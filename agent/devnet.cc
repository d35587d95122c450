#include "agent/devnet.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/node_client.h"
#include "agent/settings.h"
#include "base/clock.h"
#include "base/file.h"

extern char** environ;

namespace cairn::agent {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr uint64_t kFaucetPebbles = 1'000'000'000 * Amount::kPerCrn;
constexpr uint64_t kRequesterPebbles = 1'000 * Amount::kPerCrn;
constexpr uint64_t kProviderPebbles = 100 * Amount::kPerCrn;
constexpr uint64_t kVerifierPebbles = 10 * Amount::kPerCrn;
constexpr int kStartMs = 20'000;

// Field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie.
uint64_t start_ticks(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_end + 1));
  std::string word;
  rest >> word;
  if (word == "Z") return 0;
  for (int i = 4; i <= 22; i++) rest >> word;
  return std::strtoull(word.c_str(), nullptr, 10);
}

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// A port that nobody listens on now. Somebody else may take it before we do; then the start fails and says so.
Result<uint16_t> free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool ok = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!ok) return Error{Code::io, "no port of 127.0.0.1 is free", "end what listens there"};
  return ntohs(address.sin_port);
}

Result<SecretKey> key_in(const fs::path& path) {
  if (!fs::exists(path)) {
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    const SecretKey key = SecretKey::generate();
    TRY(save_key(path, key));
    return key;
  }
  return load_key(path);
}

Result<> write_text(const fs::path& path, const std::string& text) { return write_file(path, as_bytes(text)); }

std::string last_line(const fs::path& log) {
  const auto text = read_text(log, 16 << 20);
  if (!text) return "";
  const size_t end = text->find_last_not_of('\n');
  if (end == std::string::npos) return "";
  // The last two lines: an error and what to do about it.
  size_t begin = text->rfind('\n', end);
  if (begin != std::string::npos && begin > 0) begin = text->rfind('\n', begin - 1);
  return text->substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

// Waits until `ready` says so. Errors: io when the process ends before, timed_out.
template <class Ready>
Result<> wait_for(const DevnetProcess& process, Ready&& ready) {
  const SystemClock clock;
  const uint64_t end_ns = clock.steady_ns() + uint64_t{kStartMs} * 1'000'000;
  while (!ready()) {
    if (!process.running())
      return Error{Code::io, process.name + " ended at once: " + last_line(process.log), "read " + process.log};
    if (clock.steady_ns() > end_ns)
      return Error{Code::timed_out, process.name + " was not ready within " + std::to_string(kStartMs / 1000) + " s",
                   "read " + process.log};
    pause_ms(20);
  }
  return {};
}

}  // namespace

bool DevnetProcess::running() const {
  ::waitpid(pid, nullptr, WNOHANG);  // when it is our own child
  return pid > 0 && started != 0 && start_ticks(pid) == started;
}

Result<DevnetState> Devnet::state() const {
  const auto text = read_text(folder_ / "net.json", 1 << 20);
  if (!text)
    return Error{Code::not_found, "there is no devnet in " + folder_.string(), "cairn net up --dir " + folder_.string()};
  const auto json = Json::parse(*text, nullptr, false);
  try {
    DevnetState state{json.at("node"), json.at("faucet"), json.at("requester"), {}};
    for (const auto& p : json.at("processes"))
      state.processes.push_back({p.at("name"), p.at("pid"), p.at("started"), p.at("account"), p.at("config"), p.at("log")});
    return state;
  } catch (const std::exception&) {
    return Error{Code::malformed, (folder_ / "net.json").string() + " is not what `cairn net up` wrote", "use another folder"};
  }
}

Result<> Devnet::save(const DevnetState& state) const {
  Json json = {{"node", state.node}, {"faucet", state.faucet}, {"requester", state.requester}, {"processes", Json::array()}};
  for (const auto& p : state.processes)
    json["processes"].push_back({{"name", p.name}, {"pid", p.pid}, {"started", p.started}, {"account", p.account},
                                 {"config", p.config}, {"log", p.log}});
  return write_text(folder_ / "net.json", json.dump(1) + "\n");
}

Result<DevnetProcess> Devnet::launch(const std::string& process_name, const std::string& program,
                                     const std::vector<std::string>& arguments) const {
  DevnetProcess process;
  process.name = process_name;
  process.config = (folder_ / (process_name + ".yaml")).string();
  process.log = (folder_ / "log" / (process_name + ".log")).string();
  const std::string path = find_program(program).string();
  std::vector<std::string> words{path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, process.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);  // outlives this terminal
  pid_t pid = 0;
  const int fault = ::posix_spawnp(&pid, path.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (fault != 0)
    return Error{Code::io, program + " cannot be started: " + std::strerror(fault), "install it, or build it with scripts/build"};
  process.pid = pid;
  process.started = start_ticks(pid);
  return process;
}

Result<DevnetState> Devnet::start_node() {
  if (const auto old = state())
    for (const auto& process : old->processes)
      if (process.running())
        return Error{Code::exists, "the devnet in " + folder_.string() + " runs already (" + process.name + ", process " +
                         std::to_string(process.pid) + ")", "cairn net down --dir " + folder_.string()};
  std::error_code fault;
  fs::create_directories(folder_ / "log", fault);
  if (fault) return Error{Code::io, "the folder " + folder_.string() + " cannot be made: " + fault.message(), "name another"};

  TRY_LET(producer, key_in(folder_ / "producer.key"));
  TRY_LET(vrf, key_in(folder_ / "producer-vrf.key"));
  TRY_LET(faucet, key_in(folder_ / "faucet.key"));
  TRY_LET(requester, key_in(folder_ / "wallet.key"));
  const AccountId faucet_account = account_of(faucet.public_key()), requester_account = account_of(requester.public_key());
  if (!fs::exists(folder_ / "genesis.bin")) {
    attest::Genesis genesis;
    genesis.name = "devnet-" + random_hash().hex().substr(0, 8);
    genesis.created_wall_ms = SystemClock().wall_ms();
    genesis.producer = producer.public_key();
    genesis.producer_vrf = vrf.public_key();
    genesis.faucet = faucet_account;
    genesis.accounts = {{faucet_account, Amount::of_pebbles(kFaucetPebbles)},
                        {requester_account, Amount::of_pebbles(kRequesterPebbles)}};
    std::sort(genesis.accounts.begin(), genesis.accounts.end(),
              [](const auto& a, const auto& b) { return a.account < b.account; });
    TRY(write_file(folder_ / "genesis.bin", encode(genesis)));
  }
  TRY_LET(port, free_port());
  const std::string address = "127.0.0.1:" + std::to_string(port);
  TRY(write_text(folder_ / "node.yaml", "# a devnet's node; see configs/node.yaml\n"
                                        "genesis: " + (folder_ / "genesis.bin").string() + "\n"
                                        "folder: " + (folder_ / "chain").string() + "\n"
                                        "listen: " + address + "\n"
                                        "producer_key: " + (folder_ / "producer.key").string() + "\n"
                                        "vrf_key: " + (folder_ / "producer-vrf.key").string() + "\n"));
  TRY(write_text(folder_ / "requester.yaml", "# a devnet's requester; see configs/requester.yaml\n"
                                             "node: http://" + address + "\n"
                                             "key: " + (folder_ / "wallet.key").string() + "\n"
                                             "folder: " + (folder_ / "requester").string() + "\n"));
  DevnetState state{"http://" + address, faucet_account.hex(), requester_account.hex(), {}};
  TRY_LET(process, launch("node", "cairnd", {"--config", (folder_ / "node.yaml").string()}));
  state.processes.push_back(process);
  TRY(save(state));
  NodeClient node(state.node);
  TRY(wait_for(process, [&] { return static_cast<bool>(node.status()); }));
  return state;
}

Result<> Devnet::fund(const DevnetState& state, const AccountId& account, Amount amount) const {
  TRY_LET(faucet, load_key(folder_ / "faucet.key"));
  NodeClient node(state.node);
  TRY_LET(sender, Sender::make(node, faucet));
  TRY(sender.send(ledger::Transfer{account, amount}));
  return {};
}

Result<DevnetProcess> Devnet::add_provider(const ProviderWish& wish) {
  TRY_LET(state, this->state());
  int ordinal = 1;
  for (const auto& process : state.processes) ordinal += process.name.starts_with("provider-") ? 1 : 0;
  const std::string word = "provider-" + std::to_string(ordinal);
  const fs::path home = folder_ / word;
  TRY_LET(key, key_in(home / "agent.key"));
  const AccountId account = account_of(key.public_key());
  TRY(fund(state, account, Amount::of_pebbles(kProviderPebbles)));
  TRY_LET(port, free_port());
  TRY(write_text(folder_ / (word + ".yaml"), "# a devnet's provider; see configs/provider.yaml\n"
                                             "node: " + state.node + "\n"
                                             "key: " + (home / "agent.key").string() + "\n"
                                             "folder: " + home.string() + "\n"
                                             "listen: tcp://127.0.0.1:" + std::to_string(port) + "\n" +
                                                 (wish.worker.empty() ? "" : "worker: " + wish.worker + "\n") +
                                             "price: " + pretty(wish.price) + "\n"
                                             "threads: 1\n"));
  TRY_LET(process, launch(word, "cairn-agent", {"--config", (folder_ / (word + ".yaml")).string()}));
  process.account = account.hex();
  state.processes.push_back(process);
  TRY(save(state));
  NodeClient node(state.node);
  TRY(wait_for(process, [&] {
    const auto offers = node.offers();
    return offers && std::any_of(offers->begin(), offers->end(), [&](const auto& o) { return o.owner == account; });
  }));
  return process;
}

Result<DevnetProcess> Devnet::add_verifier(Amount bond) {
  TRY_LET(state, this->state());
  int ordinal = 1;
  for (const auto& process : state.processes) ordinal += process.name.starts_with("verifier-") ? 1 : 0;
  const std::string word = "verifier-" + std::to_string(ordinal);
  const fs::path home = folder_ / word;
  TRY_LET(key, key_in(home / "verify.key"));
  const AccountId account = account_of(key.public_key());
  TRY(fund(state, account, add(bond, Amount::of_pebbles(kVerifierPebbles)).value_or(bond)));
  TRY_LET(port, free_port());
  TRY(write_text(folder_ / (word + ".yaml"), "# a devnet's verifier; see configs/verifier.yaml\n"
                                             "node: " + state.node + "\n"
                                             "key: " + (home / "verify.key").string() + "\n"
                                             "folder: " + home.string() + "\n"
                                             "listen: tcp://127.0.0.1:" + std::to_string(port) + "\n"
                                             "bond: " + pretty(bond) + "\n"
                                             "threads: 1\n"));
  TRY_LET(process, launch(word, "cairn-verify", {"run", "--config", (folder_ / (word + ".yaml")).string()}));
  process.account = account.hex();
  state.processes.push_back(process);
  TRY(save(state));
  NodeClient node(state.node);
  TRY(wait_for(process, [&] {
    const auto verifiers = node.verifiers();
    return verifiers && std::any_of(verifiers->begin(), verifiers->end(),
                                    [&](const auto& v) { return v.verifier.account == account; });
  }));
  return process;
}

Result<DevnetState> Devnet::restart() {
  TRY_LET(state, this->state());
  for (auto& process : state.processes) {
    if (process.running()) continue;
    const bool is_node = process.name == "node", is_verifier = process.name.starts_with("verifier-");
    std::vector<std::string> arguments{"--config", process.config};
    if (is_verifier) arguments.insert(arguments.begin(), "run");
    TRY_LET(fresh, launch(process.name, is_node ? "cairnd" : is_verifier ? "cairn-verify" : "cairn-agent", arguments));
    process.pid = fresh.pid;
    process.started = fresh.started;
    TRY(save(state));
    if (is_node) {
      NodeClient node(state.node);
      TRY(wait_for(process, [&] { return static_cast<bool>(node.status()); }));
    }
  }
  return state;
}

Result<int> Devnet::stop() {
  TRY_LET(state, this->state());
  int ran = 0;
  // Last started, first ended: nobody waits for a node that is gone.
  for (auto process = state.processes.rbegin(); process != state.processes.rend(); ++process) {
    if (!process->running()) continue;
    ran++;
    ::kill(process->pid, SIGTERM);
    for (int i = 0; i < 500 && process->running(); i++) pause_ms(10);
    if (process->running()) ::kill(process->pid, SIGKILL);
    for (int i = 0; i < 100 && process->running(); i++) pause_ms(10);
  }
  return ran;
}

}  // namespace cairn::agent
