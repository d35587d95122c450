#include "ledger/bench_state.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>

#include "attest/light_client.h"
#include "ledger/chain.h"
#include "ledger/genesis_file.h"

namespace cairn::ledger {
namespace {

namespace fs = std::filesystem;

// In large blocks first and small ones at last: most pages are written once, and what a start finds in the log is an ordinary block's.
constexpr uint64_t kAccountsABlockMax = 250'000, kAccountsABlockMin = 20'000;
constexpr int kProofs = 2'000, kChecksAProof = 20, kStarts = 5;

using Steady = std::chrono::steady_clock;
double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

SecretKey key_numbered(uint64_t n) { return SecretKey::from_seed(hash_of("cairn.bench.v1", n).v); }
AccountId account_numbered(uint64_t n) { return hash_of("cairn.bench.account.v1", n).as<AccountIdTag>(); }

struct Keys {
  SecretKey producer = key_numbered(0), vrf = key_numbered(1), faucet = key_numbered(2);
};

// Accounts as they are after a first transaction each, written block by block as the engine does, without the transactions.
void build(Store& store, const attest::Genesis& genesis, const Keys& keys, uint64_t accounts) {
  const Hash chain = attest::genesis_hash(genesis);
  App app(genesis);
  must(app.init());
  const Holder faucet = Holder::account(genesis.faucet);
  std::optional<attest::Header> previous;
  for (uint64_t done = 0; done < accounts;) {
    const Hash before = previous ? previous->beacon.beacon : attest::first_beacon(chain);
    const Height height{number(store.head()) + 1};
    const auto beacon = attest::make_beacon(before, height, keys.producer.public_key(), keys.vrf);
    State& state = app.state();
    const uint64_t block_accounts = std::clamp((accounts - done) / 4, kAccountsABlockMin, kAccountsABlockMax);
    for (const uint64_t until = std::min(accounts, done + block_accounts); done < until; done++) {
      const AccountId id = account_numbered(done);
      state.put(Account{id, KeySet::of(hash_of("cairn.bench.key.v1", done).as<PublicKeyTag>()), 1});
      must(state.move(faucet, Holder::account(id), Amount{1'000'000 + done}));
    }
    attest::Header header;
    header.genesis = chain;
    header.height = height;
    header.time = ChainTime{(number(height) - 1) * genesis.params.interval_ms};
    header.wall_ms = ms(header.time);
    header.previous = previous ? attest::header_id(*previous) : Hash{};
    header.state_root = app.state_root();
    header.beacon = beacon;
    const Block block{attest::sign_header(keys.producer, header), {}, {}};
    const App::Changes changes = app.changes();
    store.commit({block, changes.records, changes.pages, {}, {}});
    app.committed(block.header, store.view(height));
    previous = header;
  }
}

// cairnd on the folder, until it listens.
class Daemon {
 public:
  Daemon(const fs::path& cairnd, const fs::path& home) {
    int out[2];
    CHECK(::pipe2(out, O_CLOEXEC) == 0);
    const std::vector<std::string> words = {cairnd, "--genesis", home / "genesis.json", "--folder", home / "chain", "--listen", "127.0.0.1:0",
                                            "--producer-key", home / "producer.key", "--vrf-key", home / "vrf.key", "--log-level", "info"};
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const auto began = Steady::now();
    pid_ = ::fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      const int log = ::open((home / "log").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
      ::dup2(out[1], 1);
      ::dup2(log, 2);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(out[1]);
    char said[256];
    const ssize_t got = ::read(out[0], said, sizeof said);
    start_ms = 1e3 * seconds_since(began);
    ::close(out[0]);
    if (got <= 0 || std::string_view(said, 9) != "listening") {
      kill();
      throw Fault({Code::io, "cairnd did not start: see " + (home / "log").string(), "build it, and look there"});
    }
  }
  ~Daemon() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  double resident_bytes() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmRSS:")) return 1024 * std::stod(line.substr(6));
    return 0;
  }
  double start_ms = 0;

 private:
  pid_t pid_ = 0;
};

double bytes_in(const fs::path& folder) {
  double sum = 0;
  std::error_code gone;  // RocksDB removes files meanwhile
  for (auto file = fs::recursive_directory_iterator(folder, gone); file != fs::recursive_directory_iterator(); file.increment(gone))
    if (const auto size = file->is_regular_file(gone) ? file->file_size(gone) : 0; !gone) sum += static_cast<double>(size);
  return sum;
}

// Until the folder has been of one size for a while: the node reclaims what the making of the state has left.
void wait_for_rest(const fs::path& folder) {
  constexpr int kRest_s = 5, kPatience_s = 1'200;
  double last = bytes_in(folder);
  for (int waited = 0, same = 0; same < kRest_s && waited < kPatience_s; waited++) {
    ::sleep(1);
    const double now = bytes_in(folder);
    same = now == last ? same + 1 : 0;
    last = now;
  }
}

void wait_for_word(const fs::path& file, const std::string& word) {
  const auto holds = [&] {
    std::ifstream log(file);
    return std::string(std::istreambuf_iterator<char>(log), {}).find(word) != std::string::npos;
  };
  for (const auto began = Steady::now(); !holds() && seconds_since(began) < 600;) ::usleep(20'000);
}

}  // namespace

void build_state(const fs::path& home, uint64_t accounts) {
  const auto genesis = must(load_genesis(home / "genesis.json"));
  const auto store = must(Store::open(home / "chain", attest::genesis_hash(genesis)));
  build(*store, genesis, Keys(), accounts);
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

Result<StateFigures> measure_state(const fs::path& home, uint64_t accounts, const fs::path& cairnd, const std::vector<std::string>& builder) {
  StateFigures out;
  out.accounts = accounts;
  const Keys keys;
  fs::create_directories(home);
  TRY_LET(genesis, make_devnet_genesis("bench", keys.producer.public_key(), keys.vrf.public_key(), account_of(keys.faucet.public_key()),
                                       Amount::of_pebbles(1'000'000'000'000'000'000), 0, {}));
  TRY(save_genesis(home / "genesis.json", genesis));
  TRY(save_key(home / "producer.key", keys.producer));
  TRY(save_key(home / "vrf.key", keys.vrf));
  const auto began = Steady::now();
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    std::vector<char*> arguments;
    for (const auto& word : builder) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  if (!WIFSIGNALED(status)) return Error{Code::io, "the state could not be made in " + home.string(), "look at the disk's free space"};
  out.build_s = seconds_since(began);

  for (int i = 0; i < kStarts; i++) {
    Daemon daemon(cairnd, home);
    out.start_ms.push_back(daemon.start_ms);
    if (i + 1 < kStarts) continue;
    const auto checking = Steady::now();
    wait_for_word(home / "log", "chain.checked");
    out.check_s = seconds_since(checking);
    wait_for_rest(home / "chain");
    out.idle_bytes = daemon.resident_bytes();
  }
  out.disk_bytes = bytes_in(home / "chain") / static_cast<double>(accounts);

  TRY_LET(store, Store::open(home / "chain", attest::genesis_hash(genesis)));
  const auto view = store->view(store->head());
  const Hash root = store->header(store->head())->header.state_root;
  std::mt19937_64 random(1);
  for (int i = 0; i < kProofs; i++) {
    const Bytes key = make_key('a', account_numbered(random() % accounts));
    const attest::ProvenRecord proven{view->record(key), StateTree(*view).prove(blake3(key))};
    out.proof_bytes.push_back(static_cast<double>(encode(proven).size()));
    const auto checking = Steady::now();
    for (int n = 0; n < kChecksAProof; n++) TRY(attest::check_record(root, key, proven));
    out.proof_check_us.push_back(1e6 * seconds_since(checking) / kChecksAProof);
  }
  return out;
}

}  // namespace cairn::ledger
