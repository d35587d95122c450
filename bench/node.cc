#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/scratch.h"
#include "bench/ledger.h"
#include "ledger/bench_solo.h"
#include "ledger/genesis_file.h"

namespace cairn::bench {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;
double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

// A cairnd of BenchChain in a process of its own.
class Daemon {
 public:
  explicit Daemon(const ledger::BenchChain& bench) {
    const auto file = [&](const char* name) { return (scratch_.path / name).string(); };
    must(ledger::save_genesis(file("genesis.json"), bench.genesis));
    must(save_key(file("producer.key"), bench.producer));
    must(save_key(file("vrf.key"), bench.vrf));
    const std::string program = (fs::read_symlink("/proc/self/exe").parent_path() / "cairnd").string();
    std::vector<std::string> words{program,          "--genesis",        file("genesis.json"), "--folder",         file("chain"),   "--listen",
                                   "127.0.0.1:0",    "--producer-key",   file("producer.key"), "--vrf-key",        file("vrf.key"), "--log-level", "error"};
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int out = ::open(file("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(out, STDOUT_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    for (int waited_ms = 0; port_ == 0; waited_ms += 5) {
      if (waited_ms > 10'000) throw Fault({Code::unreachable, "cairnd did not start", "build it, beside cairn-bench"});
      std::this_thread::sleep_for(milliseconds(5));
      std::ifstream in(file("out"));
      std::string line;
      if (std::getline(in, line) && !in.eof()) port_ = static_cast<uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
    }
  }
  ~Daemon() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  uint16_t port() const { return port_; }

 private:
  Scratch scratch_;
  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

// A kept-alive connection that asks one thing at a time.
class Client {
 public:
  explicit Client(uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval timeout{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw Fault({Code::unreachable, "no connection to the node", "see the node's log"});
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool put(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // The body of the answer; throws unless its status is 200.
  std::string ask(const std::string& method, const std::string& path, std::string_view body = "") {
    const Error unanswered{Code::unreachable, method + " " + path + " was not answered", "see the node's log"};
    if (!put(method + " " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body)))
      throw Fault(unanswered);
    size_t end = 0, size = 0;
    for (char buffer[16384]; (end = text_.find("\r\n\r\n")) == std::string::npos || text_.size() < end + 4 + size;) {
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) throw Fault(unanswered);
      text_.append(buffer, static_cast<size_t>(got));
      if (const size_t length = text_.find("Content-Length: "); length != std::string::npos) size = std::stoul(text_.substr(length + 16, 20));
    }
    if (!text_.starts_with("HTTP/1.1 200")) throw Fault({Code::unreachable, text_.substr(0, 500), "see the node's log"});
    std::string out = text_.substr(end + 4, size);
    text_.erase(0, end + 4 + size);
    return out;
  }
  void read_a_little() {
    char bytes[64];
    (void)::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
  }

 private:
  int fd_;
  std::string text_;
};

Row ratios(std::string name, std::string peer, const std::vector<double>& ours, const std::vector<double>& theirs, std::string unit) {
  std::vector<double> each;
  for (size_t i = 0; i < ours.size(); i++) each.push_back(ours[i] / theirs[i]);
  Row row;
  row.name = std::move(name);
  row.peer = std::move(peer);
  row.ours = median(ours);
  row.theirs = median(theirs);
  row.unit = std::move(unit);
  row.ratio = median(each);
  row.q1 = quantile(each, 0.25);
  row.q3 = quantile(each, 0.75);
  return row;
}
// What is no ratio: `values`, of which the median counts.
Row values(std::string name, const std::vector<double>& values, std::string unit) {
  Row row = ratios(std::move(name), "", values, std::vector<double>(values.size(), 1), std::move(unit));
  return row;
}

Row solo_rate(const LedgerOptions& options) {
  std::vector<double> ours, theirs;
  for (int i = 0; i < (options.quick ? 2 : 7); i++) {
    const Scratch scratch;
    const auto rates = must(ledger::measure_solo(scratch.path / "chain", options.quick ? 20'000 : 60'000));
    ours.push_back(rates.transactions_per_s);
    theirs.push_back(rates.verifications_per_s);
  }
  Row row = ratios("solo, transactions/s, submitted in process", "raw ed25519 verifications/s, all cores", ours, theirs, "1/s");
  row.target = 0.5;
  row.aim = 0.8;
  return row;
}

Row solo_latency(const LedgerOptions& options) {
  const Scratch scratch;
  const auto times = must(ledger::measure_commits(scratch.path, options.quick ? 200 : 2'000));
  const double fsync = median(times.fsync_s);
  std::vector<double> ours;
  for (const double t : times.commit_s) ours.push_back(t * 1e3);
  Row row = ratios("solo, commit latency, p50", "fsync of one page appended", ours, std::vector<double>(ours.size(), fsync * 1e3), "ms");
  row.target = 3;
  row.aim = 1.5;
  row.at_most = true;
  return row;
}

// Transactions/s over HTTP: eight clients that do not wait for blocks, until all stand in blocks.
Row http_rate(const LedgerOptions& options) {
  constexpr size_t kClients = 8;
  const size_t transactions = options.quick ? 4'000 : 20'000;
  const auto bench = ledger::BenchChain::make();
  std::vector<Bytes> encoded;
  for (size_t n = 0; n < transactions; n++) encoded.push_back(encode(bench.transfer(n)));
  std::vector<double> rates;
  for (int i = 0; i < (options.quick ? 1 : 5); i++) {
    const Daemon daemon(bench);
    const auto start = Steady::now();
    std::vector<std::thread> threads;
    for (size_t c = 0; c < kClients; c++)
      threads.emplace_back([&, c] {
        Client client(daemon.port());
        for (size_t n = c; n < transactions; n += kClients)
          client.ask("POST", "/v1/transactions", {reinterpret_cast<const char*>(encoded[n].data()), encoded[n].size()});
      });
    for (auto& thread : threads) thread.join();
    Client client(daemon.port());
    while (client.ask("GET", "/v1/status").find("\"pending\":0,") == std::string::npos) std::this_thread::sleep_for(milliseconds(2));
    rates.push_back(static_cast<double>(transactions) / seconds_since(start));
  }
  return values("solo, transactions/s, over HTTP, 8 clients", rates, "1/s");
}

// An honest client beside 500 others on loopback: a third silent, a third that sends a byte now and then, a third that asks for
// much and hardly reads.
Row slow_clients(const LedgerOptions& options) {
  constexpr size_t kSlow = 500;
  const rlimit files{4096, 4096};
  ::setrlimit(RLIMIT_NOFILE, &files);
  const auto bench = ledger::BenchChain::make();
  const Daemon daemon(bench);
  std::vector<std::unique_ptr<Client>> slow;
  for (size_t i = 0; i < kSlow; i++) {
    slow.push_back(std::make_unique<Client>(daemon.port(), 4096));
    if (i % 3 == 1) slow.back()->put("GET /v1/status HTTP/1.1\r\nX: ");
    for (int asks = 0; i % 3 == 2 && asks < 64; asks++) slow.back()->put("GET /v1/genesis HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  std::atomic<bool> done{false};
  std::thread drip([&] {
    for (size_t round = 0; !done; round++) {
      for (size_t i = 0; i < kSlow; i++) {
        if (i % 3 == 1) slow[i]->put("x");
        if (i % 3 == 2) slow[i]->read_a_little();
      }
      std::this_thread::sleep_for(milliseconds(200));
    }
  });
  std::vector<double> p99s;
  const std::string account = "/v1/accounts/" + account_of(bench.keys[0].public_key()).hex();
  for (int i = 0; i < (options.quick ? 1 : 5); i++) {
    Client honest(daemon.port());
    std::vector<double> each_ms;
    for (int n = 0; n < 1'000; n++) {
      const auto start = Steady::now();
      honest.ask("GET", n % 2 ? account : "/v1/status");
      each_ms.push_back(seconds_since(start) * 1e3);
      std::this_thread::sleep_for(milliseconds(1));
    }
    p99s.push_back(quantile(each_ms, 0.99));
  }
  done = true;
  drip.join();
  Row row = values("node, an answer beside 500 slow clients, p99", p99s, "ms");
  row.target = 20;
  row.at_most = true;
  return row;
}

}  // namespace

std::vector<Row> measure_node(const LedgerOptions& options) {
  return {solo_rate(options), http_rate(options), solo_latency(options), slow_clients(options)};
}

}  // namespace cairn::bench
