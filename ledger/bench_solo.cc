#include "ledger/bench_solo.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/blake3.h"
#include "ledger/genesis_file.h"
#include "ledger/solo.h"

namespace cairn::ledger {
namespace {

constexpr size_t kAccounts = 256;
constexpr double kVerifySeconds = 0.5;  // each of two measurements

using Steady = std::chrono::steady_clock;
double seconds_since(Steady::time_point start) { return std::chrono::duration<double>(Steady::now() - start).count(); }

SecretKey key_numbered(uint64_t n) { return SecretKey::from_seed(hash_of("cairn.bench.v1", n).v); }
unsigned cores() { return std::max(1u, std::thread::hardware_concurrency()); }

template <class Work>
void on_all_cores(Work&& work) {
  std::vector<std::thread> threads;
  for (unsigned core = 0; core < cores(); core++) threads.emplace_back([&, core] { work(core); });
  for (auto& thread : threads) thread.join();
}

// Of this whole process, so that what others do on this machine does not count.
double processor_seconds() {
  rusage used{};
  CHECK(::getrusage(RUSAGE_SELF, &used) == 0);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct VerifyRate {
  double wall = 0;       // verifications a second
  double processor = 0;  // verifications a second of one core
};
VerifyRate verify_rate(const std::vector<Transaction>& samples, const Hash& chain) {
  std::atomic<uint64_t> done{0};
  const auto start = Steady::now();
  const double processor_start = processor_seconds();
  on_all_cores([&](unsigned core) {
    uint64_t mine = 0;
    for (size_t i = core; seconds_since(start) < kVerifySeconds; i++, mine++) {
      const Transaction& tx = samples[i % samples.size()];
      const std::array<uint8_t, 32> text{};
      CHECK(!verify(tx.signatures.front().key, chain, SignKind::transaction, tx.sender, text, tx.signatures.front().signature));  // as dear as one that holds
    }
    done += mine;
  });
  return {static_cast<double>(done) / seconds_since(start), static_cast<double>(done) / (processor_seconds() - processor_start)};
}

}  // namespace

BenchChain BenchChain::make() {
  std::vector<SecretKey> keys;
  std::vector<attest::GenesisAccount> accounts;
  for (size_t n = 0; n < kAccounts; n++) {
    keys.push_back(key_numbered(n));
    accounts.push_back({account_of(keys.back().public_key()), Amount::of_pebbles(1'000'000'000'000)});
  }
  const SecretKey producer = key_numbered(kAccounts), vrf = key_numbered(kAccounts + 1), faucet = key_numbered(kAccounts + 2);
  auto genesis = must(make_devnet_genesis("bench", producer.public_key(), vrf.public_key(), account_of(faucet.public_key()),
                                          Amount::of_pebbles(1), 0, accounts));
  const Hash id = attest::genesis_hash(genesis);
  return {producer, vrf, std::move(genesis), id, std::move(keys)};
}

Transaction BenchChain::transfer(size_t n) const {
  Transaction tx;
  tx.genesis = id;
  tx.sender = account_of(keys[n % kAccounts].public_key());
  tx.nonce = n / kAccounts;
  tx.expiry = ChainTime{UINT64_MAX};
  tx.body = Transfer{account_of(keys[(n * 7 + 1) % kAccounts].public_key()), Amount::of_pebbles(1 + n % 5)};
  sign(tx, keys[n % kAccounts], genesis.params.fee_per_byte);
  return tx;
}

Result<SoloRates> measure_solo(const std::filesystem::path& folder, size_t transactions) {
  const BenchChain bench = BenchChain::make();
  std::vector<Transaction> drafts(transactions);
  std::vector<Bytes> encoded(transactions);
  const size_t step = cores();
  on_all_cores([&](unsigned core) {
    for (size_t i = core; i < transactions; i += step) {
      drafts[i] = bench.transfer(i);
      encoded[i] = encode(drafts[i]);
    }
  });

  SoloRates rates;
  rates.transactions = transactions;
  const VerifyRate before = verify_rate(drafts, bench.id);
  double run_processor_s = 0;
  {
    TRY_LET(chain, Chain::open(folder, bench.genesis));
    std::mutex mutex;
    std::condition_variable wake;
    size_t answered = 0;
    std::optional<Error> refused;
    const SystemClock clock;
    SoloConfig config;
    config.mempool.count = config.mempool.lane = transactions;
    config.mark = folder.string() + ".mark";
    TRY_LET(solo, Solo::start(*chain, bench.producer, bench.vrf, clock, config));
    const auto start = Steady::now();
    const double processor_start = processor_seconds();
    for (auto& bytes : encoded) {
      solo->submit(std::move(bytes), Solo::Until::committed, [&](const Result<TxResult>& result) {
        std::lock_guard lock(mutex);
        if (!result) refused = result.error();
        if (result && result->code != 0) refused = Error{static_cast<Code>(result->code), result->text, ""};
        if (++answered == transactions) wake.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return answered == transactions || refused; });
    if (refused) {
      lock.unlock();
      solo.reset();
      return *refused;
    }
    rates.transactions_per_s = static_cast<double>(transactions) / seconds_since(start);
    run_processor_s = processor_seconds() - processor_start;
    lock.unlock();
    solo.reset();
    rates.blocks = number(chain->store().head());
  }
  const VerifyRate after = verify_rate(drafts, bench.id);
  rates.verifications_per_s = (before.wall + after.wall) / 2;
  rates.verification_share = static_cast<double>(transactions) / ((before.processor + after.processor) / 2) / run_processor_s;
  return rates;
}

Result<CommitTimes> measure_commits(const std::filesystem::path& folder, size_t commits) {
  const BenchChain bench = BenchChain::make();
  TRY_LET(chain, Chain::open(folder / "chain", bench.genesis));
  const SystemClock clock;
  SoloConfig config;
  config.mark = folder / "mark";
  TRY_LET(solo, Solo::start(*chain, bench.producer, bench.vrf, clock, config));
  const int fd = ::open((folder / "page").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> page(4096, 'x');
  CommitTimes out;
  for (size_t n = 0; n < commits; n++) {
    Bytes bytes = encode(bench.transfer(n));
    std::promise<Result<TxResult>> answered;
    const auto start = Steady::now();
    solo->submit(std::move(bytes), Solo::Until::committed, [&](const Result<TxResult>& result) { answered.set_value(result); });
    TRY_LET(result, answered.get_future().get());
    out.commit_s.push_back(seconds_since(start));
    if (result.code != 0) return Error{static_cast<Code>(result.code), result.text, ""};
    const auto write = Steady::now();
    CHECK(::write(fd, page.data(), page.size()) == static_cast<ssize_t>(page.size()) && ::fsync(fd) == 0);
    out.fsync_s.push_back(seconds_since(write));
  }
  ::close(fd);
  return out;
}

}  // namespace cairn::ledger
