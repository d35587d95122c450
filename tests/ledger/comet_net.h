// A network of real processes for tests: a cairnd and a CometBFT for each validator, on loopback, under a folder of its own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <functional>
#include <random>
#include <sstream>
#include <thread>

#include "base/loopback.h"
#include "devnet.h"
#include "ledger/comet/home.h"

namespace cairn::ledger::comet {

inline bool long_run() { return std::getenv("CAIRN_LONG") != nullptr; }

inline void pause_ms(uint64_t time_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(time_ms)); }
inline double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
// Whether it became true in time.
inline bool becomes(const std::function<bool()>& condition, double limit_s) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    pause_ms(20);
  }
  return true;
}

class Network {
 public:
  enum class Part { all, application, engine };

  // Genesis validators 0..validators-1; `others` more nodes that follow and may join.
  explicit Network(unsigned validators, unsigned others = 0, uint64_t interval_ms = 200) {
    std::vector<attest::GenesisValidator> set;
    std::vector<attest::GenesisAccount> accounts{{account_named("A"), Amount::of_pebbles(1'000'000'000'000)},
                                                 {account_named("B"), Amount::of_pebbles(1'000'000'000)}};
    std::vector<std::string> peers;
    for (unsigned i = 0; i < validators + others; i++) {
      nodes_.push_back({must(free_port()), must(free_port()), 0});
      const std::string name = name_of(i);
      std::filesystem::create_directories(folder(i));
      for (const char* key : {"producer", "vrf", "p2p"}) must(save_key(folder(i) / (std::string(key) + ".key"), key_named(name + key)));
      const PublicKey key = key_named(name + "producer").public_key();
      if (i < validators) set.push_back({account_of(key), key, key_named(name + "vrf").public_key(), Amount::of_pebbles(100 * Amount::kPerCrn)});
      accounts.push_back({account_of(key), Amount::of_pebbles(1'000 * Amount::kPerCrn)});
      peers.push_back(peer_id(key_named(name + "p2p").public_key()) + "@127.0.0.1:" + std::to_string(nodes_[i].p2p_port));
    }
    genesis_ = must(make_comet_genesis("comet-test", set, account_named("faucet"), Amount::of_pebbles(1'000'000), SystemClock().wall_ms(), accounts));
    genesis_.params.interval_ms = interval_ms;
    must(save_genesis(scratch_.path / "genesis.json", genesis_));
    for (unsigned i = 0; i < nodes_.size(); i++) {
      std::string others_of_it;
      for (unsigned k = 0; k < peers.size(); k++)
        if (k != i) others_of_it += (others_of_it.empty() ? "" : ", ") + peers[k];
      std::ofstream out(folder(i) / "node.yaml");
      out << "genesis: " << (scratch_.path / "genesis.json").string() << "\nfolder: " << (folder(i) / "chain").string()
          << "\nlisten: 127.0.0.1:" << nodes_[i].http_port << "\nproducer_key: " << (folder(i) / "producer.key").string()
          << "\nvrf_key: " << (folder(i) / "vrf.key").string() << "\np2p_key: " << (folder(i) / "p2p.key").string()
          << "\np2p_listen: 127.0.0.1:" << nodes_[i].p2p_port << "\npeers: [" << others_of_it << "]\nsnapshot_blocks: 10\n";
    }
  }
  ~Network() {
    for (unsigned i = 0; i < nodes_.size(); i++) kill(i);
    if (!::testing::Test::HasFailure()) return;
    for (unsigned i = 0; i < nodes_.size(); i++) {  // what they said last
      for (const auto& log : {folder(i) / "cairnd.log", home(i) / "comet.log"}) {
        std::ifstream in(log);
        const std::string text((std::istreambuf_iterator<char>(in)), {});
        std::fprintf(stderr, "---- %s\n%s\n", log.c_str(), text.substr(text.size() < 3000 ? 0 : text.size() - 3000).c_str());
      }
    }
  }

  const attest::Genesis& genesis() const { return genesis_; }
  unsigned size() const { return static_cast<unsigned>(nodes_.size()); }
  std::filesystem::path folder(unsigned i) const { return scratch_.path / name_of(i); }
  std::filesystem::path home(unsigned i) const { return folder(i) / "chain" / "comet"; }
  uint16_t port(unsigned i) const { return nodes_[i].http_port; }
  static std::string name_of(unsigned i) { return "v" + std::to_string(i); }
  bool runs(unsigned i) const { return nodes_[i].pid != 0; }
  bool says(unsigned i, std::string_view words) const {  // in a log of its
    for (const auto& log : {folder(i) / "cairnd.log", home(i) / "comet.log"}) {
      std::ifstream in(log);
      const std::string text((std::istreambuf_iterator<char>(in)), {});
      if (text.find(words) != std::string::npos) return true;
    }
    return false;
  }

  // It has not started yet: it will take the others' state.
  void let_sync(unsigned i, const std::vector<unsigned>& from) {
    std::ofstream out(folder(i) / "node.yaml", std::ios::app);
    out << "sync_from: [";
    for (const unsigned one : from) out << (one == from.front() ? "" : ", ") << "127.0.0.1:" << nodes_[one].http_port;
    out << "]\n";
  }
  // It has not started yet: it will sign with the same keys as another.
  void make_twin(unsigned i, unsigned of) {
    for (const char* key : {"producer.key", "vrf.key"})
      std::filesystem::copy_file(folder(of) / key, folder(i) / key, std::filesystem::copy_options::overwrite_existing);
  }
  // `trial`: flags of cairn-comet-trial, which then runs instead.
  void start(unsigned i, const std::vector<std::string>& environment = {}, const std::vector<std::string>& trial = {}) {
    CHECK(!runs(i));
    const auto bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";
    const std::string log = folder(i) / "cairnd.log";
    std::vector<std::string> words{bin / (trial.empty() ? "cairnd" : "cairn-comet-trial"), "--config", folder(i) / "node.yaml"};
    words.insert(words.end(), trial.begin(), trial.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
      const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      ::dup2(fd, 1);
      ::dup2(fd, 2);
      for (const auto& setting : environment) ::putenv(const_cast<char*>(setting.c_str()));
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    nodes_[i].pid = pid;
  }
  void start_all() {
    for (unsigned i = 0; i < size(); i++) start(i);
  }
  // The supervisor and with it both others; or one of these.
  void kill(unsigned i, Part part = Part::all, int signal = SIGKILL) {
    if (!runs(i)) return;
    if (part != Part::all) {
      if (const pid_t pid = pid_of(i, part)) ::kill(pid, signal);
      return;
    }
    const pid_t application = pid_of(i, Part::application), engine = pid_of(i, Part::engine);
    ::kill(nodes_[i].pid, signal);
    if (signal == SIGSTOP || signal == SIGCONT) {
      for (const pid_t pid : {application, engine})
        if (pid) ::kill(pid, signal);
      return;
    }
    ::waitpid(nodes_[i].pid, nullptr, 0);
    nodes_[i].pid = 0;
    for (const pid_t pid : {application, engine})
      while (pid && ::kill(pid, 0) == 0 && std::filesystem::exists("/proc/" + std::to_string(pid) + "/exe")) pause_ms(5);
  }
  pid_t pid_of(unsigned i, Part part) const {
    if (part == Part::all) return nodes_[i].pid;
    const std::string pid = std::to_string(nodes_[i].pid);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    for (pid_t child = 0; children >> child;) {
      std::ifstream in("/proc/" + std::to_string(child) + "/cmdline");
      const std::string words((std::istreambuf_iterator<char>(in)), {});
      if ((words.find("--progress-fd") != std::string::npos) == (part == Part::application)) return child;
    }
    return 0;
  }

  std::optional<Status> status(unsigned i) const {
    const Answer answer = get(port(i), "/v1/status?raw=1");
    if (answer.status != 200) return std::nullopt;
    return must(decode<Status>(as_bytes(answer.body)));
  }
  uint64_t height(unsigned i) const {
    const auto now = status(i);
    return now ? number(now->height) : 0;
  }
  uint64_t highest() const {
    uint64_t out = 0;
    for (unsigned i = 0; i < size(); i++)
      if (runs(i)) out = std::max(out, height(i));
    return out;
  }
  bool reaches(unsigned i, uint64_t wanted, double limit_s) const {
    return becomes([&] { return height(i) >= wanted; }, limit_s);
  }
  std::optional<Block> block(unsigned i, uint64_t height) const {
    const Answer answer = get(port(i), "/v1/blocks/" + std::to_string(height) + "?raw=1");
    if (answer.status != 200) return std::nullopt;
    return must(decode<Block>(as_bytes(answer.body)));
  }
  // That all nodes that run have the same header at this height.
  void expect_same(uint64_t height) const {
    std::optional<Hash> id;
    for (unsigned i = 0; i < size(); i++) {
      if (!runs(i)) continue;
      ASSERT_TRUE(reaches(i, height, 30)) << name_of(i);
      const auto one = block(i, height);
      ASSERT_TRUE(one);
      const Hash its = attest::header_id(one->header.header);
      EXPECT_EQ(its.hex(), id.value_or(its).hex()) << name_of(i) << " at " << height;
      id = its;
    }
  }

  Bytes payment(uint64_t nonce, uint64_t amount = 1) const { return transfer(genesis_, "A", "B", nonce, amount); }
  // Waits for its block.
  Answer pay(unsigned i, uint64_t nonce, uint64_t amount = 1) const { return post(port(i), "/v1/transactions?wait=1", payment(nonce, amount)); }
  Answer send(unsigned i, std::string_view from, Body body) const {
    const AccountId account = account_named(from);
    const auto view = decode<AccountView>(as_bytes(get(port(i), "/v1/accounts/" + account.hex() + "?raw=1").body));
    Transaction tx;
    tx.genesis = attest::genesis_hash(genesis_);
    tx.sender = account;
    tx.nonce = view ? view->account.nonce : 0;
    tx.expiry = ChainTime{UINT64_MAX};
    tx.body = std::move(body);
    sign(tx, key_named(from), genesis_.params.fee_per_byte);
    return post(port(i), "/v1/transactions?wait=1", encode(tx));
  }

 private:
  struct Node {
    uint16_t http_port, p2p_port;
    pid_t pid;
  };
  Scratch scratch_;
  attest::Genesis genesis_;
  std::vector<Node> nodes_;
};

// One sender that pays and remembers what was acknowledged: its nonce goes on only when a block holds the transaction.
class Load {
 public:
  explicit Load(const Network& network) : network_(network), thread_([this] { run(); }) {}
  ~Load() { stop(); }
  uint64_t acknowledged() const { return acknowledged_; }
  const std::vector<std::pair<TransactionId, uint64_t>>& list() const { return list_; }  // after stop()
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    std::mt19937 random(1);
    uint64_t nonce = 0;
    while (!stopping_) {
      const unsigned i = static_cast<unsigned>(random() % network_.size());
      if (!network_.runs(i)) {
        pause_ms(10);
        continue;
      }
      const Bytes bytes = network_.payment(nonce);
      const Answer answer = post(network_.port(i), "/v1/transactions?wait=1", bytes);
      if (answer.status == 200 && answer.at("code") == "ok") {
        list_.emplace_back(transaction_id(bytes), std::stoull(answer.at("height")));
        acknowledged_++;
        nonce++;
      } else {
        // Its block may have come without our hearing of it.
        const auto view = decode<AccountView>(as_bytes(get(network_.port(i), "/v1/accounts/" + account_named("A").hex() + "?raw=1").body));
        if (view) nonce = std::max(nonce, view->account.nonce);
        pause_ms(50);
      }
    }
  }
  const Network& network_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> acknowledged_{0};
  std::vector<std::pair<TransactionId, uint64_t>> list_;
  std::thread thread_;
};

}  // namespace cairn::ledger::comet
