#include "agent/devnet.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "agent/node_client.h"
#include "agent/settings.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loopback.h"
#include "ledger/genesis_file.h"

extern char** environ;

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kFaucetPebbles = 1'000'000'000 * Amount::kPerCrn;
constexpr uint64_t kRequesterPebbles = 1'000 * Amount::kPerCrn;
constexpr uint64_t kProviderPebbles = 100 * Amount::kPerCrn;
constexpr uint64_t kVerifierPebbles = 10 * Amount::kPerCrn;
constexpr uint64_t kValidatorPebbles = 10 * Amount::kPerCrn;
constexpr uint64_t kValidatorStakePebbles = 1'000 * Amount::kPerCrn;
constexpr uint16_t kUsualPort = 7700;
constexpr uint64_t kStartMs = 60'000;
constexpr uint64_t kStopMs = 10'000;

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie.
uint64_t start_ticks(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_end + 1));
  std::string word;
  rest >> word;
  if (word == "Z") return 0;
  for (int i = 4; i <= 22; i++) rest >> word;
  return std::strtoull(word.c_str(), nullptr, 10);
}

// The program that runs as `pid`. A program that was rebuilt meanwhile is still the one that was started.
std::string program_of(int pid) {
  std::error_code fault;
  std::string path = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", fault).string();
  constexpr std::string_view kGone = " (deleted)";
  if (path.ends_with(kGone)) path.resize(path.size() - kGone.size());
  return fault ? "" : path;
}

Result<std::string> free_endpoint() {
  TRY_LET(port, free_port(0));
  return "tcp://127.0.0.1:" + std::to_string(port);
}

Result<> write_settings(const fs::path& path, const std::string& sample,
                        const std::vector<std::pair<std::string, std::string>>& settings) {
  std::string text = "# Written by `cairn net up`. Every setting is explained in configs/" + sample + ".\n";
  for (const auto& [name, value] : settings) text += name + ": " + value + "\n";
  return write_file(path, as_bytes(text));
}

// The last two lines: an error and what to do about it.
std::string last_words(const fs::path& log) {
  const auto text = read_text(log, 16 << 20);
  if (!text) return "";
  const size_t end = text->find_last_not_of('\n');
  if (end == std::string::npos) return "";
  size_t begin = text->rfind('\n', end);
  if (begin != std::string::npos && begin > 0) begin = text->rfind('\n', begin - 1);
  begin = begin == std::string::npos ? 0 : begin + 1;
  return text->substr(begin, end - begin + 1);
}

// Waits until `ready` says so. Errors: io when the process ends before, timed_out.
template <class Ready>
Result<> wait_for(const DevnetMember& member, Ready&& ready) {
  const SystemClock clock;
  const uint64_t end_ns = clock.steady_ns() + kStartMs * 1'000'000;
  while (!ready()) {
    if (!member.running())
      return Error{Code::io, member.name + " ended: " + last_words(member.log), "read " + member.log};
    if (clock.steady_ns() > end_ns)
      return Error{Code::timed_out, member.name + " was not ready within " + std::to_string(kStartMs / 1000) + " s",
                   "read " + member.log};
    pause_ms(20);
  }
  return {};
}

}  // namespace

bool DevnetMember::running() const {
  if (pid <= 0 || started == 0) return false;
  ::waitpid(pid, nullptr, WNOHANG);  // when it is our own child
  return start_ticks(pid) == started && program_of(pid) == program;
}

const DevnetMember* DevnetState::find(const std::string& member) const {
  for (const auto& m : members)
    if (m.name == member) return &m;
  return nullptr;
}

bool DevnetState::running() const {
  return std::any_of(members.begin(), members.end(), [](const auto& m) { return m.running(); });
}

Result<DevnetState> Devnet::state() const {
  const fs::path file = folder_ / "net.json";
  if (!fs::exists(file))
    return Error{Code::not_found, "there is no devnet in " + folder_.string(), "cairn net up --dir " + folder_.string()};
  return read_config<DevnetState>(file);  // JSON is YAML
}

Result<> Devnet::save(const DevnetState& state) const {
  return write_file(folder_ / "net.json", as_bytes(to_json(state) + "\n"));
}

Result<SecretKey> Devnet::key(const std::string& member, const std::string& file) const {
  return ledger::key_at(folder_ / member / file);
}

Result<> Devnet::launch(DevnetMember& member) const {
  const std::string role = member.role;
  const std::string name = member.is_node() ? "cairnd" : role == "verifier" ? "cairn-verify" : "cairn-agent";
  std::error_code fault;
  const fs::path path = fs::canonical(find_program(name), fault);
  if (fault) return Error{Code::not_found, name + " is neither beside cairn nor in PATH", "build it with scripts/build, or install it"};
  std::vector<std::string> words{path.string()};
  if (role == "verifier") words.push_back("run");
  words.insert(words.end(), {"--config", member.config});
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, member.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  // In a session of its own: it outlives this terminal.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, path.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return Error{Code::io, path.string() + " cannot be started: " + std::strerror(failed), "build it anew"};
  member.program = path.string();
  member.pid = pid;
  member.started = start_ticks(pid);
  return {};
}

Result<> Devnet::start_nodes(DevnetState& state, const DevnetWish& wish, uint16_t wanted_port) {
  TRY_LET(faucet, key("faucet", "faucet.key"));
  TRY_LET(requester, key("requester", "wallet.key"));
  const AccountId faucet_account = account_of(faucet.public_key());
  const fs::path genesis_file = folder_ / "genesis.json";
  const auto file = [&](const std::string& member, const char* leaf) { return (folder_ / member / leaf).string(); };

  const bool several = wish.validators > 0;
  std::vector<DevnetMember> nodes;
  std::vector<attest::GenesisValidator> validators;
  std::vector<attest::GenesisAccount> operators;
  std::vector<std::string> peers;  // ID@HOST:PORT of each
  for (uint32_t i = 0; i < std::max(1u, wish.validators); i++) {
    const std::string name = several ? "validator-" + std::to_string(i + 1) : "node";
    TRY_LET(producer, key(name, "producer.key"));
    TRY_LET(vrf, key(name, "vrf.key"));
    const AccountId account = account_of(producer.public_key());
    validators.push_back({account, producer.public_key(), vrf.public_key(), several ? Amount::of_pebbles(kValidatorStakePebbles) : Amount{}});
    operators.push_back({account, Amount::of_pebbles(kValidatorPebbles)});
    nodes.push_back({name, several ? "validator" : "node", account.hex(), file(name, "producer.key"), (folder_ / (name + ".yaml")).string(),
                     (folder_ / "logs" / (name + ".log")).string(), "", 0, 0});
    if (!several) break;
    TRY_LET(p2p, key(name, "p2p.key"));
    TRY_LET(port, free_port(0));
    peers.push_back(to_hex(attest::address_of(p2p.public_key())) + "@127.0.0.1:" + std::to_string(port));
  }

  const std::string name = wish.name.empty() ? "devnet-" + random_hash().hex().substr(0, 8) : wish.name;
  const Amount all = Amount::of_pebbles(kFaucetPebbles);
  const uint64_t now_ms = SystemClock().wall_ms();
  TRY_LET(genesis, several ? ledger::make_comet_genesis(name, validators, faucet_account, all, now_ms, operators)
                           : ledger::make_devnet_genesis(name, validators[0].key, validators[0].vrf, faucet_account, all, now_ms));
  genesis.governor = faucet_account;
  TRY(ledger::save_genesis(genesis_file, genesis));
  state.name = genesis.name;
  state.genesis = genesis_file.string();
  state.config = (folder_ / "requester.yaml").string();

  uint16_t first_port = 0;
  for (size_t i = 0; i < nodes.size(); i++) {
    DevnetMember& node = nodes[i];
    TRY_LET(port, free_port(i == 0 ? wanted_port : 0));
    if (i == 0) first_port = port;
    const std::string address = "127.0.0.1:" + std::to_string(port);
    if (i == 0) state.node = "http://" + address;
    std::vector<std::pair<std::string, std::string>> settings{{"genesis", state.genesis},
                                                              {"folder", file(node.name, "chain")},
                                                              {"listen", address},
                                                              {"producer_key", node.key},
                                                              {"vrf_key", file(node.name, "vrf.key")}};
    if (several) {
      std::string others;
      for (size_t k = 0; k < peers.size(); k++)
        if (k != i) others += (others.empty() ? "" : ", ") + peers[k];
      settings.push_back({"p2p_key", file(node.name, "p2p.key")});
      settings.push_back({"p2p_listen", peers[i].substr(peers[i].find('@') + 1)});
      settings.push_back({"peers", "[" + others + "]"});
    }
    TRY(write_settings(node.config, "node.yaml", settings));
    TRY(launch(node));
    state.members.push_back(node);
    TRY(save(state));
  }
  TRY(write_settings(state.config, "requester.yaml",
                     {{"node", state.node}, {"key", file("requester", "wallet.key")}, {"folder", (folder_ / "requester").string()}}));
  state.members.push_back({"faucet", "faucet", faucet_account.hex(), file("faucet", "faucet.key"), "", "", "", 0, 0});
  state.members.push_back({"requester", "requester", account_of(requester.public_key()).hex(), file("requester", "wallet.key"),
                           state.config, "", "", 0, 0});
  TRY(save(state));
  NodeClient client(state.node);
  const auto ready = wait_for(state.members.front(), [&] {
    const auto status = client.status();
    if (!status) return false;
    if (status->genesis != attest::genesis_hash(genesis)) return false;  // another's node was quicker to the port: ours ends, and says so
    return !several || number(status->height) > 0;
  });
  if (ready || state.members.front().running() || must(free_port(first_port)) == first_port) return ready;
  return Error{Code::already, "another program took port " + std::to_string(first_port) + " first", "try again"};
}

Result<> Devnet::prepare(DevnetState& state, const DevnetWish& wish, const OnStage& stage) {
  TRY_LET(faucet, load_stored_key(folder_ / "faucet" / "faucet.key"));
  NodeClient client(state.node, folder_ / "requester");
  TRY_LET(sender, Sender::make(client, faucet));
  const auto fund = [&](const std::string& account, uint64_t pebbles) -> Result<> {
    TRY(sender.send(ledger::Transfer{*AccountId::from_hex(account), Amount::of_pebbles(pebbles)}));
    return {};
  };
  const size_t all = wish.providers.size() + wish.bonds.size() + 1;
  size_t done = 0;
  const auto bare = [&](const std::string& role, const std::string& key_name) -> Result<DevnetMember> {
    size_t ordinal = 1;
    for (const auto& member : state.members) ordinal += member.role == role ? 1 : 0;
    const std::string name = role + "-" + std::to_string(ordinal);
    TRY_LET(secret, key(name, key_name));
    return DevnetMember{name, role, account_of(secret.public_key()).hex(), (folder_ / name / key_name).string(),
                        (folder_ / (name + ".yaml")).string(), (folder_ / "logs" / (name + ".log")).string(), "", 0, 0};
  };
  if (const auto* requester = state.find("requester"); requester && std::all_of(state.members.begin(), state.members.end(), [](const auto& m) {
        return m.is_node() || !m.has_process();
      })) {
    stage("requester", double(done) / double(2 * all));
    TRY(fund(requester->account, kRequesterPebbles));
  }
  for (const Amount bond : wish.bonds) {
    TRY_LET(member, bare("verifier", "verify.key"));
    stage(member.name, double(++done) / double(2 * all));
    TRY(fund(member.account, bond.pebbles + kVerifierPebbles));
    TRY_LET(listen, free_endpoint());
    TRY(write_settings(member.config, "verifier.yaml",
                       {{"node", state.node}, {"key", member.key}, {"folder", (folder_ / member.name).string()},
                        {"listen", listen}, {"bond", pretty(bond)}, {"threads", "1"}}));
    TRY(launch(member));
    state.members.push_back(member);
    TRY(save(state));
  }
  for (const auto& provider : wish.providers) {
    TRY_LET(member, bare("provider", "agent.key"));
    stage(member.name, double(++done) / double(2 * all));
    TRY(fund(member.account, kProviderPebbles));
    TRY_LET(listen, free_endpoint());
    std::vector<std::pair<std::string, std::string>> settings{
        {"node", state.node}, {"key", member.key}, {"folder", (folder_ / member.name).string()},
        {"listen", listen}, {"price", pretty(provider.price)}, {"native", "true"}, {"threads", "1"}};
    if (!provider.worker.empty()) settings.push_back({"worker", provider.worker});
    TRY(write_settings(member.config, "provider.yaml", settings));
    TRY(launch(member));
    state.members.push_back(member);
    TRY(save(state));
  }
  return {};
}

Result<> Devnet::wait_for_all(const DevnetState& state, const OnStage& stage) const {
  NodeClient client(state.node);
  size_t done = 0;
  for (const auto& member : state.members) {
    stage(member.name, 0.5 + double(done++) / double(2 * state.members.size()));
    const auto account = AccountId::from_hex(member.account);
    if (member.role == "provider")
      TRY(wait_for(member, [&] {
        const auto offers = client.offers();
        return offers && std::any_of(offers->begin(), offers->end(), [&](const auto& o) { return o.owner == *account; });
      }));
    if (member.role == "verifier")
      TRY(wait_for(member, [&] {
        const auto all = client.verifiers();
        return all && std::any_of(all->begin(), all->end(), [&](const auto& v) { return v.verifier.account == *account; });
      }));
  }
  return {};
}

Result<DevnetState> Devnet::make(const DevnetWish& wish, const OnStage& stage) {
  auto made = make_at(kUsualPort, wish, stage);
  if (!made && made.error().code == Code::already) made = make_at(0, wish, stage);
  return made;
}

Result<DevnetState> Devnet::make_at(uint16_t wanted_port, const DevnetWish& wish, const OnStage& stage) {
  if (fs::exists(folder_ / "net.json"))
    return Error{Code::exists, "there is a devnet in " + folder_.string() + " already", "cairn net status --dir " + folder_.string()};
  std::error_code fault;
  fs::create_directories(folder_ / "logs", fault);
  if (fault) return Error{Code::io, "the folder " + folder_.string() + " cannot be made: " + fault.message(), "name another by --dir"};
  DevnetState state;
  const auto made = [&]() -> Result<> {
    stage("node", 0);
    TRY(start_nodes(state, wish, wanted_port));
    TRY(prepare(state, wish, stage));
    return wait_for_all(state, stage);
  }();
  if (made) return state;
  static_cast<void>(stop());
  fs::remove(folder_ / "genesis.json", fault);
  fs::remove(folder_ / "net.json", fault);  // half a devnet is none: the next try begins anew
  for (const auto& member : state.members)
    if (member.is_node()) fs::remove_all(folder_ / member.name / "chain", fault);
  return made.error();
}

Result<DevnetState> Devnet::add(const DevnetWish& wish, const OnStage& stage) {
  TRY_LET(state, this->state());
  TRY(prepare(state, wish, stage));
  TRY(wait_for_all(state, stage));
  return state;
}

Result<DevnetState> Devnet::restart(const OnStage& stage) {
  TRY_LET(state, this->state());
  for (auto& member : state.members) {
    if (!member.has_process() || member.running()) continue;
    stage(member.name, 0);
    TRY(launch(member));
    TRY(save(state));
    if (!member.is_node()) continue;
    const auto next = std::find_if(state.members.begin(), state.members.end(), [&](const auto& m) { return &m > &member && m.is_node() && !m.running(); });
    if (next != state.members.end()) continue;  // one alone makes no blocks
    NodeClient client(state.node);
    TRY(wait_for(member, [&] { return static_cast<bool>(client.status()); }));
  }
  TRY(wait_for_all(state, stage));
  return state;
}

Result<DevnetMember> Devnet::kill(const std::string& name) {
  TRY_LET(state, this->state());
  const DevnetMember* member = state.find(name);
  if (!member || !member->has_process())
    return Error{Code::not_found, "no process of this devnet is called " + name, "cairn net status names them"};
  if (!member->running()) return Error{Code::already, name + " does not run", "cairn net heal starts it again"};
  ::kill(member->pid, SIGKILL);
  for (uint64_t waited = 0; waited < kStopMs && member->running(); waited += 10) pause_ms(10);
  return *member;
}

Result<std::vector<std::string>> Devnet::stop() {
  TRY_LET(state, this->state());
  std::vector<std::string> ended;
  const auto wait_gone = [](const DevnetMember& member, uint64_t limit_ms) {
    for (uint64_t waited = 0; waited < limit_ms && member.running(); waited += 10) pause_ms(10);
  };
  // The node last: whoever ends before it may still want to say so.
  for (const bool node : {false, true}) {
    std::vector<const DevnetMember*> asked;
    for (const auto& member : state.members) {
      if (member.is_node() != node || !member.running()) continue;
      ::kill(member.pid, SIGTERM);
      asked.push_back(&member);
    }
    for (const DevnetMember* member : asked) {
      wait_gone(*member, kStopMs);
      if (member->running()) ::kill(member->pid, SIGKILL);
      wait_gone(*member, kStopMs);
      ended.push_back(member->name);
    }
  }
  return ended;
}

}  // namespace cairn::agent
