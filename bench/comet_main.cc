// cairn-comet-bench: our application under CometBFT beside CometBFT's own kvstore, both at saturation, in one run.
//
//   cairn-comet-bench [--json] [--transactions N]
//
// A program of its own, since libtorch, which cairn-bench links, brings a protobuf of its own. For each size of network the two
// alternate (A B B A); each side starts fresh nodes, is handed N transactions of equal size as fast as it takes them, and its
// time ends when the last is in a block. Signatures are not checked in the first rows (`stub`): they measure our side of the
// engine alone. With real ones a row stands beside the lesser of kvstore's rate and the rate of verification over the validators.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/blake3.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loopback.h"
#include "base/scratch.h"
#include "ledger/comet/application.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/home.h"
#include "ledger/comet/rpc.h"
#include "ledger/genesis_file.h"

namespace cairn::bench {
namespace {

namespace fs = std::filesystem;
namespace comet = ledger::comet;
using Steady = std::chrono::steady_clock;
double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

constexpr size_t kSenders = 256;
constexpr size_t kBatch = 200;  // transactions of one request

SecretKey key_numbered(uint64_t n) { return SecretKey::from_seed(hash_of("cairn.bench.comet.v1", n).v); }

enum class Side { kvstore, stub, real };

// Raw HTTP over a unix socket, kept open: a client that costs little beside what it measures.
class Pipe {
 public:
  explicit Pipe(const fs::path& socket) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::snprintf(to.sun_path, sizeof to.sun_path, "%s", socket.c_str());
    CHECK(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~Pipe() { ::close(fd_); }
  std::string post(const std::string& body) {
    const std::string head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    for (const std::string& part : {head, body})
      for (size_t sent = 0; sent < part.size();) {
        const ssize_t n = ::send(fd_, part.data() + sent, part.size() - sent, MSG_NOSIGNAL);
        CHECK(n > 0);
        sent += static_cast<size_t>(n);
      }
    std::string answer;
    size_t whole = std::string::npos;
    char buffer[65536];
    while (answer.size() < whole) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      CHECK(n > 0);
      answer.append(buffer, static_cast<size_t>(n));
      const size_t end = answer.find("\r\n\r\n");
      if (whole != std::string::npos || end == std::string::npos) continue;
      const size_t length = answer.find("Content-Length: ");
      if (length < end) {
        whole = end + 4 + std::stoul(answer.substr(length + 16));
      } else if (answer.ends_with("0\r\n\r\n")) {  // in chunks
        break;
      }
    }
    return answer;
  }

 private:
  int fd_ = -1;
};

struct Node {
  std::unique_ptr<ledger::Chain> chain;
  std::unique_ptr<comet::Application> application;
  std::unique_ptr<comet::AbciServer> server;
  pid_t engine = 0;
};

struct Bench {
  attest::Genesis genesis;
  std::vector<Bytes> ours, plain;  // equal in number and size

  Bench(unsigned validators, size_t transactions) {
    std::vector<attest::GenesisValidator> set;
    for (unsigned i = 0; i < validators; i++) {
      const PublicKey key = key_numbered(1000 + i).public_key();
      set.push_back({account_of(key), key, key_numbered(2000 + i).public_key(), Amount::of_pebbles(100 * Amount::kPerCrn)});
    }
    std::vector<SecretKey> keys;
    std::vector<attest::GenesisAccount> accounts;
    for (size_t n = 0; n < kSenders; n++) {
      keys.push_back(key_numbered(n));
      accounts.push_back({account_of(keys.back().public_key()), Amount::of_pebbles(1'000'000'000'000)});
    }
    genesis = must(ledger::make_comet_genesis("bench", set, account_of(key_numbered(3000).public_key()), Amount::of_pebbles(1),
                                              SystemClock().wall_ms(), accounts));
    genesis.params.interval_ms = 300;
    for (size_t i = 0; i < transactions; i++) {
      ledger::Transaction tx;
      tx.genesis = attest::genesis_hash(genesis);
      tx.sender = account_of(keys[i % kSenders].public_key());
      tx.nonce = i / kSenders;
      tx.expiry = ChainTime{UINT64_MAX};
      tx.body = ledger::Transfer{account_of(keys[(i * 7 + 1) % kSenders].public_key()), Amount::of_pebbles(1)};
      sign(tx, keys[i % kSenders], genesis.params.fee_per_byte);
      ours.push_back(encode(tx));
      std::string pair = std::to_string(i) + "=";
      pair.resize(ours.back().size(), 'v');
      plain.emplace_back(pair.begin(), pair.end());
    }
  }

  // Transactions a second.
  double run(Side side) const {
    const Scratch scratch;
    const unsigned validators = static_cast<unsigned>(genesis.validators.size());
    std::vector<Node> nodes(validators);
    std::vector<fs::path> homes;
    std::vector<std::string> peers;
    for (unsigned i = 0; i < validators; i++) {
      homes.push_back(scratch.path / std::to_string(i) / "c");
      peers.push_back(comet::peer_id(key_numbered(4000 + i).public_key()) + "@127.0.0.1:" + std::to_string(must(free_port())));
    }
    for (unsigned i = 0; i < validators; i++) {
      comet::HomeConfig home{homes[i], homes[i].string() + ".signed", peers[i].substr(peers[i].find('@') + 1), {}, static_cast<uint32_t>(ours.size() + 10'000), {}, {}};
      for (unsigned k = 0; k < validators; k++)
        if (k != i) home.peers.push_back(peers[k]);
      must(comet::write_home(home, genesis, key_numbered(1000 + i), key_numbered(4000 + i)));
      std::vector<std::string> words{(fs::read_symlink("/proc/self/exe").parent_path() / "cometbft").string(), "start", "--home", homes[i].string()};
      if (side == Side::kvstore) {
        words.insert(words.end(), {"--proxy_app", "kvstore"});
      } else {
        nodes[i].chain = must(ledger::Chain::open(scratch.path / std::to_string(i) / "chain", genesis));
        nodes[i].application = std::make_unique<comet::Application>(
            *nodes[i].chain, comet::ApplicationConfig{key_numbered(1000 + i).public_key(), key_numbered(2000 + i), side == Side::stub, {}, {}});
        nodes[i].server = must(comet::AbciServer::start(comet::app_address(homes[i]), [application = nodes[i].application.get()](
                                                            const auto& request, auto& response) { application->handle(request, response); }));
      }
      std::vector<char*> argv;
      for (auto& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      const std::string log = homes[i] / "comet.log";
      nodes[i].engine = ::fork();
      if (nodes[i].engine == 0) {
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        ::execv(argv[0], argv.data());
        ::_exit(127);
      }
    }
    for (const auto& home : homes) {
      comet::Rpc rpc(comet::rpc_socket(home));
      for (int waited = 0;; waited++) {
        const auto height = rpc.height();
        if (height && number(*height) >= 2) break;
        if (waited > 1'200) throw Fault({Code::timed_out, "a node made no block within a minute", "see the log in " + home.string()});
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }

    const auto& transactions = side == Side::kvstore ? plain : ours;
    const auto start = Steady::now();
    std::vector<std::thread> senders;
    for (unsigned i = 0; i < validators; i++)
      senders.emplace_back([&, i] {  // one sender's transactions go to one node, in order
        Pipe pipe(comet::rpc_socket(homes[i]));
        std::string batch;
        size_t held = 0;
        const auto flush = [&] {
          if (held > 0) pipe.post("[" + batch + "]");
          batch.clear();
          held = 0;
        };
        for (size_t n = 0; n < transactions.size(); n++) {
          if (n % kSenders % validators != i) continue;
          batch += std::string(held ? "," : "") + R"({"jsonrpc":"2.0","id":1,"method":"broadcast_tx_async","params":{"tx":")" + comet::to_base64(transactions[n]) + R"("}})";
          if (++held == kBatch) flush();
        }
        flush();
      });
    for (auto& sender : senders) sender.join();
    for (const auto& home : homes) {
      Pipe pipe(comet::rpc_socket(home));
      while (pipe.post(R"({"jsonrpc":"2.0","id":1,"method":"num_unconfirmed_txs","params":{}})").find(R"("total":"0")") == std::string::npos)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const double rate = static_cast<double>(transactions.size()) / seconds_since(start);
    for (auto& node : nodes) ::kill(node.engine, SIGTERM);
    for (auto& node : nodes) ::waitpid(node.engine, nullptr, 0);
    if (side != Side::kvstore) {
      const auto paid = nodes[0].chain->read([&](const ledger::App& app) {
        uint64_t sum = 0;
        for (size_t n = 0; n < kSenders; n++) {
          const auto account = app.state().account(account_of(key_numbered(n).public_key()));
          sum += account ? account->nonce : 0;
        }
        return sum;
      });
      if (paid != transactions.size()) std::fprintf(stderr, "only %lu of %zu transactions came into a block\n", static_cast<unsigned long>(paid), transactions.size());
    }
    return rate;
  }

  double verifications_a_second() const {
    std::vector<std::thread> threads;
    std::atomic<uint64_t> done{0};
    const auto start = Steady::now();
    const Hash chain = attest::genesis_hash(genesis);
    for (unsigned core = 0; core < std::max(1u, std::thread::hardware_concurrency()); core++)
      threads.emplace_back([&, core] {
        for (size_t i = core; seconds_since(start) < 1.0; i++) {
          CHECK(check_signature(must(decode<ledger::Transaction>(ours[i % ours.size()])), chain));
          done++;
        }
      });
    for (auto& thread : threads) thread.join();
    return static_cast<double>(done) / seconds_since(start);
  }
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  std::string name;
  double must = 0;  // 0: nothing must hold
  std::vector<double> ratios;
  double ours = 0, theirs = 0;
  std::string json() const {
    auto sorted = ratios;
    std::sort(sorted.begin(), sorted.end());
    char text[512];
    std::snprintf(text, sizeof text, R"({"name":"%s","must":%.2f,"ratio":%.3f,"q1":%.3f,"q3":%.3f,"met":%s,"ours":%.0f,"theirs":%.0f,"unit":"tx/s"})",
                  name.c_str(), must, median(ratios), sorted[sorted.size() / 4], sorted[sorted.size() * 3 / 4],
                  must == 0 || median(ratios) >= must ? "true" : "false", ours, theirs);
    return text;
  }
};

std::vector<Row> measure(size_t transactions) {
  std::vector<Row> rows;
  for (const unsigned validators : {1u, 4u}) {
    const Bench bench(validators, transactions / validators);
    const std::string name = "comet " + std::to_string(validators) + (validators == 1 ? " validator" : " validators");
    Row stub{name + ", stub signatures, over kvstore", 0.8, {}, 0, 0}, real{name + ", real signatures, over min(kvstore, verification / validators)", 0, {}, 0, 0};
    std::vector<double> kvstores, stubs, reals;
    for (const auto order : {std::array{Side::kvstore, Side::stub}, std::array{Side::stub, Side::kvstore}, std::array{Side::kvstore, Side::stub}}) {
      double kvstore = 0, ours = 0;
      for (const Side side : order) (side == Side::kvstore ? kvstore : ours) = bench.run(side);
      stub.ratios.push_back(ours / kvstore);
      kvstores.push_back(kvstore);
      stubs.push_back(ours);
    }
    stub.ours = median(stubs);
    stub.theirs = median(kvstores);
    const double bound = std::min(stub.theirs, bench.verifications_a_second() / validators);
    for (int i = 0; i < 2; i++) {
      reals.push_back(bench.run(Side::real));
      real.ratios.push_back(reals.back() / bound);
    }
    real.ours = median(reals);
    real.theirs = bound;
    rows.push_back(stub);
    rows.push_back(real);
  }
  return rows;
}

int main(int argc, char** argv) {
  CLI::App app{"CometBFT with our application beside CometBFT with its own."};
  bool json = false;
  size_t transactions = 20'000;
  app.add_flag("--json", json, "one line of JSON");
  app.add_option("--transactions", transactions, "of a run with one validator; a network of four gets a quarter")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  try {
    const auto rows = measure(transactions);
    std::string text;
    for (const Row& row : rows) {
      text += (text.empty() ? "" : ",") + row.json();
      if (!json) std::printf("%-80s %6.2f   %8.0f over %8.0f tx/s\n", row.name.c_str(), median(row.ratios), row.ours, row.theirs);
    }
    if (json) std::printf("{\"rows\":[%s]}\n", text.c_str());
    return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.must == 0 || median(row.ratios) >= row.must; }) ? 0 : 1;
  } catch (const Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.error().message().c_str());
    return 1;
  }
}

}  // namespace
}  // namespace cairn::bench

int main(int argc, char** argv) { return cairn::bench::main(argc, argv); }
