// cairn-comet-bench: our application under CometBFT beside CometBFT's own kvstore, both at saturation, in one run.
//
//   cairn-comet-bench [--json] [--only TEXT] [--rounds N] [--seconds S]
//
// A program of its own, since libtorch, which cairn-bench links, brings a protobuf of its own. Every run starts fresh nodes, keeps
// what waits at every node at one number, with transactions of one size, and counts what came into blocks once it has warmed up, by
// the blocks' own times. All sides have the same settings, intervals and bounds; a round runs each once, the next one the other way
// round. Our application is a process of its own beside each CometBFT, the kvstore is inside of it.
//
// Each side gets its load through the door it has: kvstore through CometBFT's RPC, in requests of many transactions; ours in
// process, where a node's HTTP interface hands over what it is sent. What kvstore's door takes of the processors, here and in
// CometBFT, is measured too, by requests that are refused as known: a row of its own stands beside what kvstore's rate would be if
// its load came for nothing.
//
// Signatures are not checked in the rows `stub`: they measure our side of the engine alone. With real ones a row stands beside the
// lesser of kvstore's rate and the rate of verification over the validators.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/blake3.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/loopback.h"
#include "base/scratch.h"
#include "ledger/comet/application.h"
#include "ledger/comet/base64.h"
#include "ledger/comet/comet.h"
#include "ledger/comet/home.h"
#include "ledger/comet/parcel.h"
#include "ledger/genesis_file.h"

namespace cairn::bench {
namespace {

namespace fs = std::filesystem;
namespace comet = ledger::comet;
using nlohmann::json;
using Steady = std::chrono::steady_clock;
double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }
void pause_ms(int time_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(time_ms)); }

constexpr size_t kSenders = 256;
constexpr size_t kBatch = 200;        // transactions of one request
constexpr size_t kConnections = 4;    // that hand them over, to one node or one each
// More than a block takes, at all nodes together, since each has those of the others too.
uint32_t kept_waiting(unsigned validators) { return validators == 1 ? 20'000 : 10'000; }
constexpr uint64_t kIntervalMs = 300;
constexpr double kWarmSeconds = 3;

SecretKey key_numbered(uint64_t n) { return SecretKey::from_seed(hash_of("cairn.bench.comet.v1", n).v); }

void on_all_cores(const std::function<void(size_t core, size_t cores)>& work) {
  std::vector<std::thread> threads;
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  for (size_t core = 0; core < cores; core++) threads.emplace_back([&, core] { work(core, cores); });
  for (auto& thread : threads) thread.join();
}

// A process that ends with this object, or with this program.
class Child {
 public:
  // Runs `work` in a copy of this process, which has no other thread, and what it says goes to `log`.
  Child(const fs::path& log, const std::function<void()>& work) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (::getppid() == parent) work();
    ::_exit(127);
  }
  static Child start(const std::vector<std::string>& words, const fs::path& log) {
    return Child(log, [&] {
      std::vector<char*> argv;
      for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
    });
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  // Of the processor, so far.
  double used_s() const {
    const std::string stat = must(read_text("/proc/" + std::to_string(pid_) + "/stat", 4'096));
    std::istringstream in(stat.substr(stat.rfind(')') + 1));
    std::string word;
    for (int field = 3; field <= 13; field++) in >> word;
    double user = 0, system = 0;
    in >> user >> system;
    return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = 0;
};

std::string ask(HttpClient& http, const fs::path& home, const std::string& question) {
  HttpQuestion post{"http" "://localhost/", comet::rpc_socket(home), as_bytes(question)};
  post.content_type = "application/json";
  post.timeout_ms = 60'000;
  return must(http.ask(post)).body;
}

// How many transactions wait, of an answer that says so.
size_t waiting_of(const std::string& answer) {
  constexpr std::string_view kTotal = R"("total":")";
  const size_t at = answer.find(kTotal);
  return at == std::string::npos ? 0 : std::stoul(answer.substr(at + kTotal.size()));
}

// What is asked over one connection: each request hands over `kBatch` transactions, and asks how many wait then.
constexpr const char* kHowMany = R"({"jsonrpc":"2.0","id":1,"method":"num_unconfirmed_txs","params":{}})";
std::vector<std::string> requests_of(size_t count, size_t connection, const std::function<Bytes(size_t)>& transaction) {
  std::vector<std::string> out;
  std::string batch;
  size_t held = 0;
  const auto close = [&] {
    if (held > 0) out.push_back("[" + batch + kHowMany + "]");
    batch.clear();
    held = 0;
  };
  for (size_t n = 0; n < count; n++) {
    if (n % kSenders % kConnections != connection) continue;  // one sender's transactions go one way, in order
    batch += R"({"jsonrpc":"2.0","id":1,"method":"broadcast_tx_async","params":{"tx":")" + comet::to_base64(transaction(n)) + R"("}},)";
    if (++held == kBatch) close();
  }
  close();
  return out;
}

// Transactions of a block, and the time of its header: when the block before was agreed on.
struct Seen {
  uint64_t transactions = 0;
  double time_s = 0;
};
std::vector<Seen> blocks_of(const fs::path& home) {
  HttpClient http;
  std::vector<Seen> out;
  for (uint64_t last = 1; out.size() < last;) {
    const std::string from = std::to_string(out.size() + 1), to = std::to_string(out.size() + 20);
    const json answer = json::parse(ask(http, home, R"({"jsonrpc":"2.0","id":1,"method":"blockchain","params":{"minHeight":")" + from + R"(","maxHeight":")" + to + R"("}})"))["result"];
    last = std::stoul(answer["last_height"].get<std::string>());
    const json& metas = answer["block_metas"];  // the last first
    for (auto meta = metas.rbegin(); meta != metas.rend(); ++meta) {
      const std::string time = (*meta)["header"]["time"];
      tm parts{};
      const char* rest = ::strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
      out.push_back({std::stoul((*meta)["num_txs"].get<std::string>()), static_cast<double>(::timegm(&parts)) + std::strtod(rest, nullptr)});
    }
  }
  return out;
}

enum class Side { kvstore, stub, real };
constexpr std::array kSides{Side::kvstore, Side::stub, Side::real};

struct Rate {
  double tx_s = 0;
  double engine_us = 0, application_us = 0;  // of a processor, for a transaction, by all nodes together
  double all_us = 0, door_us = 0;            // with this process's part, and what of that handing over takes
  double without_door() const { return tx_s * all_us / (all_us - door_us); }
};

// Of the processor, by this process.
double own_s() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// A chain of so many validators, and a load for either side of it.
class Network {
 public:
  Network(unsigned validators, double seconds) : validators_(validators), seconds_(seconds) {
    std::vector<attest::GenesisValidator> set;
    for (unsigned i = 0; i < validators; i++) {
      const PublicKey key = key_numbered(1000 + i).public_key();
      set.push_back({account_of(key), key, key_numbered(2000 + i).public_key(), Amount::of_pebbles(100 * Amount::kPerCrn)});
    }
    std::vector<SecretKey> keys;
    std::vector<attest::GenesisAccount> accounts;
    for (size_t n = 0; n < kSenders; n++) {
      keys.push_back(key_numbered(n));
      senders_.push_back(account_of(keys.back().public_key()));
      accounts.push_back({senders_.back(), Amount::of_pebbles(1'000'000'000'000)});
    }
    genesis_ = must(ledger::make_comet_genesis("bench", set, account_of(key_numbered(3000).public_key()), Amount::of_pebbles(1),
                                               SystemClock().wall_ms(), accounts));
    genesis_.params.interval_ms = kIntervalMs;
    const Hash chain = attest::genesis_hash(genesis_);
    const double most_a_second = validators == 1 ? 60'000 : 25'000;  // more than anybody takes on two cores
    transfers_.resize(static_cast<size_t>((seconds + kWarmSeconds) * most_a_second));
    std::vector<Bytes> pairs(transfers_.size());
    on_all_cores([&](size_t core, size_t cores) {
      for (size_t i = core; i < transfers_.size(); i += cores) {
        ledger::Transaction tx;
        tx.genesis = chain;
        tx.sender = account_of(keys[i % kSenders].public_key());
        tx.nonce = i / kSenders;
        tx.expiry = ChainTime{UINT64_MAX};
        tx.body = ledger::Transfer{account_of(keys[(i * 7 + 1) % kSenders].public_key()), Amount::of_pebbles(1)};
        sign(tx, keys[i % kSenders], genesis_.params.fee_per_byte);
        transfers_[i] = encode(tx);
        std::string pair = std::to_string(i) + "=";
        pair.resize(transfers_[i].size(), 'v');
        pairs[i].assign(pair.begin(), pair.end());
      }
    });
    for (size_t i = 0; i < kConnections; i++) pairs_.push_back(requests_of(pairs.size(), i, [&](size_t n) { return pairs[n]; }));
  }

  Rate rate(Side side) const {
    const Scratch scratch;
    std::vector<fs::path> folders;
    for (unsigned i = 0; i < validators_; i++) {
      folders.push_back(scratch.path / std::to_string(i));
      fs::create_directories(folders.back());
    }
    std::vector<Seen> blocks;
    Moment from, to;
    double door_us = 0;
    {
      const auto applications = start_applications(side, folders);
      const auto engines = start_engines(side, folders);
      std::tie(from, to) = load(side, folders, engines, applications);
      if (side == Side::kvstore) door_us = door(folders[0], engines[0]);
      blocks = blocks_of(home_in(folders[0]));
    }
    const bool ours = side != Side::kvstore;
    uint64_t all = 0, counted = 0;
    const Seen *first = nullptr, *last = nullptr;
    for (auto& block : blocks) {
      if (ours && block.transactions > 0) block.transactions--;  // the beacon
      all += block.transactions;
      if (block.time_s < from.time_s || block.time_s > to.time_s) continue;
      if (!first) first = &block;
      if (last) counted += last->transactions;
      last = &block;
    }
    if (!first || last == first) throw Fault({Code::timed_out, "no two blocks within the measurement", "measure longer, on a machine that is idle"});
    if (ours) {
      // Blocks may have come since; none of what stands in those that were seen may be missing.
      const auto applied = must(decode<uint64_t>(must(read_file(folders[0] / "applied", 8))));
      if (applied < all) throw Fault({Code::internal, std::to_string(all) + " transactions stand in blocks, " + std::to_string(applied) + " were applied", "report this"});
      if (applied == transfers_.size()) throw Fault({Code::limit, "all transactions were taken before the measurement's end", "make it shorter"});
    }
    Rate rate{static_cast<double>(counted) / (last->time_s - first->time_s)};
    const double transactions = rate.tx_s * (to.time_s - from.time_s);
    rate.engine_us = 1e6 * (to.engines_s - from.engines_s) / transactions;
    rate.application_us = 1e6 * (to.applications_s - from.applications_s) / transactions;
    rate.all_us = rate.engine_us + rate.application_us + 1e6 * (to.own_s - from.own_s) / transactions;
    rate.door_us = std::min(door_us, rate.all_us / 2);
    return rate;
  }

  double verifications_a_second() const {
    std::atomic<uint64_t> done{0};
    const auto start = Steady::now();
    on_all_cores([&](size_t core, size_t) {
      for (size_t i = core; seconds_since(start) < 1.0; i++) {
        CHECK(check_signature(must(decode<ledger::Transaction>(transfers_[i % transfers_.size()])), attest::genesis_hash(genesis_)));
        done++;
      }
    });
    return static_cast<double>(done) / seconds_since(start);
  }

  unsigned validators() const { return validators_; }

 private:
  static fs::path home_in(const fs::path& folder) { return folder / "c"; }
  static fs::path beside_cometbft(const char* name) { return fs::canonical(fs::read_symlink("/proc/self/exe").parent_path() / "cometbft").parent_path() / name; }

  // Transactions that the state has of some senders.
  uint64_t applied(const ledger::Chain& chain, const std::function<bool(size_t)>& counts) const {
    return chain.read([&](const ledger::App& app) {
      uint64_t sum = 0;
      for (size_t n = 0; n < kSenders; n++)
        if (counts(n)) sum += app.state().nonce({senders_[n], {}});
      return sum;
    });
  }
  // Until SIGTERM; then `applied` in its folder says how many transactions its state has.
  void be_the_application(unsigned i, const fs::path& folder, Side side) const {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    const auto chain = must(ledger::Chain::open(folder / "chain", genesis_));
    const SystemClock clock;
    comet::Pool pool(*chain, {}, side != Side::real);
    comet::CometConfig config;
    config.home = home_in(folder);
    comet::Comet engine(*chain, pool, clock, config);
    comet::Application application(*chain, pool, {key_numbered(1000 + i).public_key(), key_numbered(2000 + i), {}, {}});
    const auto server = must(comet::AbciServer::start(comet::app_address(home_in(folder)), [&](const auto& request, auto& response) { application.handle(request, response); }));
    std::atomic<bool> over{false};
    std::thread load([&] {
      while (!over && number(chain->store().head()) < 2) pause_ms(5);
      size_t handed_over = 0;
      const auto keep_below = [&](size_t waiting) {
        while (!over && handed_over - applied(*chain, [&](size_t sender) { return sender % validators_ == i; }) >= waiting) pause_ms(5);
      };
      for (size_t n = 0; n < transfers_.size() && !over; n++) {
        if (n == kSenders) keep_below(1);  // accounts come into being before the flood does
        if (n % kSenders % validators_ != i) continue;
        if (++handed_over % kBatch == 0) keep_below(kept_waiting(validators_) / validators_);
        engine.submit(transfers_[n], ledger::Engine::Until::admitted, [](const auto&) {});
      }
    });
    int signal_number = 0;
    sigwait(&ends, &signal_number);
    over = true;
    load.join();
    must(write_file(folder / "applied", encode(applied(*chain, [](size_t) { return true; }))));
  }

  std::vector<Child> start_applications(Side side, const std::vector<fs::path>& folders) const {
    std::vector<Child> out;
    std::vector<std::string> peers;
    for (unsigned i = 0; i < validators_; i++)
      peers.push_back(comet::peer_id(key_numbered(4000 + i).public_key()) + "@127.0.0.1:" + std::to_string(must(free_port())));
    for (unsigned i = 0; i < validators_; i++) {
      comet::HomeConfig home;
      home.home = home_in(folders[i]);
      home.last_signed = folders[i] / "signed";
      home.p2p = peers[i].substr(peers[i].find('@') + 1);
      home.mempool_transactions = 4 * kept_waiting(validators_);
      for (unsigned k = 0; k < validators_; k++)
        if (k != i) home.peers.push_back(peers[k]);
      must(comet::write_home(home, genesis_, key_numbered(1000 + i), key_numbered(4000 + i)));
      const fs::path log = folders[i] / "application.log";
      if (side != Side::kvstore)
        out.emplace_back(log, [&, i] {
          be_the_application(i, folders[i], side);
          ::_exit(0);
        });
    }
    return out;
  }

  std::vector<Child> start_engines(Side side, const std::vector<fs::path>& folders) const {
    std::vector<Child> out;
    for (const auto& folder : folders) {
      std::vector<std::string> words{beside_cometbft("cometbft"), "start", "--home", home_in(folder)};
      if (side == Side::kvstore) words.insert(words.end(), {"--proxy_app", "kvstore"});
      out.push_back(Child::start(words, folder / "comet.log"));
    }
    for (const auto& folder : folders) {
      comet::Rpc rpc(comet::rpc_socket(home_in(folder)));
      for (int waited = 0;; waited++) {
        const auto height = rpc.height();
        if (height && number(*height) >= 2) break;
        if (waited > 1'200) throw Fault({Code::timed_out, "a node made no block within a minute", "see whether cometbft runs"});
        pause_ms(50);
      }
    }
    return out;
  }

  // On the clock that blocks show, and of the processor, in seconds.
  struct Moment {
    double time_s = 0, own_s = 0, engines_s = 0, applications_s = 0;
  };
  // Keeps the mempools filled, where the applications do not do it themselves. Gives when the measurement began and when it ended.
  std::pair<Moment, Moment> load(Side side, const std::vector<fs::path>& folders, const std::vector<Child>& engines, const std::vector<Child>& applications) const {
    std::atomic<bool> over{false};
    std::vector<std::thread> senders;
    const size_t connections = side == Side::kvstore ? kConnections : 0;
    HttpClient first;
    for (size_t i = 0; i < connections; i++) ask(first, home_in(folders[i % validators_]), pairs_[i].front());
    while (connections > 0 && waiting_of(ask(first, home_in(folders[0]), kHowMany)) > 0) pause_ms(5);
    for (size_t i = 0; i < connections; i++)
      senders.emplace_back([&, i] {
        HttpClient http;
        const fs::path home = home_in(folders[i % validators_]);
        size_t waiting = 0;
        for (size_t n = 1; n < pairs_[i].size(); n++) {
          for (; !over && waiting >= kept_waiting(validators_); waiting = waiting_of(ask(http, home, kHowMany))) pause_ms(5);
          if (over) return;
          waiting = waiting_of(ask(http, home, pairs_[i][n]));
        }
        over = true;  // more was taken than was thought
      });
    const auto pause_s = [&](double time_s) {
      for (const auto start = Steady::now(); !over && seconds_since(start) < time_s;) pause_ms(20);
      Moment now{static_cast<double>(SystemClock().wall_ms()) / 1000, own_s()};
      for (const Child& engine : engines) now.engines_s += engine.used_s();
      for (const Child& application : applications) now.applications_s += application.used_s();
      return now;
    };
    const Moment from = pause_s(kWarmSeconds), to = pause_s(seconds_);
    over = true;
    for (auto& sender : senders) sender.join();
    return {from, to};
  }

  // What a transaction takes of the processors until CometBFT looks whether it knows it: those that it knows go no further.
  double door(const fs::path& folder, const Child& engine) const {
    HttpClient http;
    const std::string& request = *(pairs_[0].end() - 2);  // the last one may be short
    const auto hand_over = [&] { return waiting_of(ask(http, home_in(folder), request)); };
    while (hand_over() > 0) pause_ms(20);
    const double before = own_s() + engine.used_s();
    const auto start = Steady::now();
    size_t requests = 0;
    for (; seconds_since(start) < 1.5; requests++) hand_over();
    return 1e6 * (own_s() + engine.used_s() - before) / static_cast<double>(requests * kBatch);
  }

  const unsigned validators_;
  const double seconds_;
  attest::Genesis genesis_;
  std::vector<AccountId> senders_;
  std::vector<Bytes> transfers_;
  std::vector<std::vector<std::string>> pairs_;  // requests, by connection; as many and as large transactions
};

// Of one value at least.
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  std::string name;
  Side side;
  double must = 0;  // 0: nothing must hold
  bool without_door = false;
  std::vector<double> ratios = {};
  std::vector<Rate> ours = {}, theirs = {};
  bool met() const { return must == 0 || (!ratios.empty() && median(ratios) >= must); }
  static double middle(const std::vector<Rate>& rates, double Rate::*what) {
    std::vector<double> values;
    for (const Rate& rate : rates) values.push_back(rate.*what);
    return median(values);
  }
  std::string as_json() const {
    auto sorted = ratios;
    std::sort(sorted.begin(), sorted.end());
    char text[1024];
    std::snprintf(text, sizeof text,
                  R"({"name":"%s","must":%.2f,"ratio":%.3f,"q1":%.3f,"q3":%.3f,"met":%s,"ours":%.0f,"theirs":%.0f,"unit":"tx/s",)"
                  R"("ours_engine_us":%.1f,"ours_application_us":%.1f,"theirs_us":%.1f})",
                  name.c_str(), must, median(ratios), sorted[sorted.size() / 4], sorted[sorted.size() * 3 / 4], met() ? "true" : "false", middle(ours, &Rate::tx_s),
                  middle(theirs, &Rate::tx_s), middle(ours, &Rate::engine_us), middle(ours, &Rate::application_us), middle(theirs, &Rate::engine_us));
    return text;
  }
  void print() const {
    std::printf("%-80s %6.2f   %8.0f over %8.0f tx/s; of a processor for each %.1f us (engine) + %.1f us (application) beside %.1f us\n", name.c_str(), median(ratios),
                middle(ours, &Rate::tx_s), middle(theirs, &Rate::tx_s), middle(ours, &Rate::engine_us), middle(ours, &Rate::application_us), middle(theirs, &Rate::engine_us));
    std::fflush(stdout);
  }
};

std::vector<Row> measure(int rounds, double seconds, const std::string& only, bool as_json) {
  std::vector<Row> rows;
  for (const unsigned validators : {1u, 4u}) {
    const std::string name = "comet " + std::to_string(validators) + (validators == 1 ? " validator, " : " validators, ");
    std::vector<Row> mine{{name + "stub signatures, over kvstore", Side::stub, 0.8},
                                {name + "stub signatures, over kvstore were its load for nothing", Side::stub, 0, true},
                    {name + "real signatures, over min(kvstore, verification / validators)", Side::real}};
    std::erase_if(mine, [&](const Row& row) { return row.name.find(only) == std::string::npos; });
    if (mine.empty()) continue;
    const Network network(validators, seconds);
    for (int round = 0; round < rounds; round++) {
      std::map<Side, Rate> rates;
      auto sides = kSides;
      if (round % 2 == 1) std::reverse(sides.begin(), sides.end());
      for (const Side side : sides) {
        const auto row = std::find_if(mine.begin(), mine.end(), [&](const Row& r) { return r.side == side; });
        if (side != Side::kvstore && row == mine.end()) continue;
        const char* what = side == Side::kvstore ? "kvstore" : row->name.c_str() + name.size();
        try {
          const Rate rate = rates[side] = network.rate(side);
          std::fprintf(stderr, "%s%s: %.0f tx/s (engine %.1f us, application %.1f us, door %.1f us)\n", name.c_str(), what, rate.tx_s, rate.engine_us, rate.application_us, rate.door_us);
        } catch (const Fault& fault) {  // the others stand
          std::fprintf(stderr, "%s%s: %s\n", name.c_str(), what, fault.error().message().c_str());
        }
      }
      for (Row& row : mine) {
        if (!rates.contains(Side::kvstore) || !rates.contains(row.side)) continue;
        Rate theirs = rates.at(Side::kvstore);
        if (row.without_door) theirs.tx_s = theirs.without_door();
        if (row.side == Side::real) theirs.tx_s = std::min(theirs.tx_s, network.verifications_a_second() / validators);
        row.ratios.push_back(rates.at(row.side).tx_s / theirs.tx_s);
        row.ours.push_back(rates.at(row.side));
        row.theirs.push_back(theirs);
      }
    }
    for (const Row& row : mine) {
      if (!as_json && !row.ratios.empty()) row.print();
      rows.push_back(row);
    }
  }
  return rows;
}

int main(int argc, char** argv) {
  CLI::App app{"CometBFT with our application beside CometBFT with its own."};
  bool as_json = false;
  std::string only;
  int rounds = 3;
  double seconds = 6;
  app.add_flag("--json", as_json, "one line of JSON");
  app.add_option("--only", only, "rows whose names hold this");
  app.add_option("--rounds", rounds, "that run each side once")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "of each run, warmed up")->capture_default_str()->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    const auto rows = measure(rounds, seconds, only, as_json);
    std::string text;
    for (const Row& row : rows)
      if (!row.ratios.empty()) text += (text.empty() ? "" : ",") + row.as_json();
    if (as_json) std::printf("{\"rows\":[%s]}\n", text.c_str());
    return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.met(); }) ? 0 : 1;
  } catch (const Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.error().message().c_str());
    return 1;
  }
}

}  // namespace
}  // namespace cairn::bench

int main(int argc, char** argv) { return cairn::bench::main(argc, argv); }
