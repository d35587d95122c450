// cairnd as a process: killed under load again and again, nothing that it acknowledged is lost; a disk that fails halts it.
//
//   cairnd_test --kills 1000 --gtest_filter=*KillMinusNine      the long sweep
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "devnet.h"

namespace cairn::ledger {
namespace {

int kills = 20;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::filesystem::path cairnd() { return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "cairnd"; }

// A child with its standard output in a file; killed when it goes out of scope.
struct Process {
  pid_t pid = -1;
  std::filesystem::path out;

  Process(std::vector<std::string> words, const std::filesystem::path& output, rlim_t file_bytes = RLIM_INFINITY) : out(output) {
    std::filesystem::remove(out);
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid = ::fork();
    if (pid != 0) return;
    if (file_bytes != RLIM_INFINITY) {
      const rlimit limit{file_bytes, file_bytes};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      ::signal(SIGXFSZ, SIG_IGN);  // then a write fails, as on a full disk
    }
    if (!std::freopen(out.c_str(), "w", stdout) || !std::freopen((out.string() + ".log").c_str(), "a", stderr)) ::_exit(126);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Process() { end(SIGKILL); }
  int end(int signal_number) {
    if (pid <= 0) return -1;
    ::kill(pid, signal_number);
    return wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid, &status, 0);
    pid = -1;
    return status;
  }
  // The port of its line `listening on 127.0.0.1:PORT`; 0 if it does not come.
  uint16_t port() const {
    for (int i = 0; i < 2000; i++) {
      std::ifstream file(out);
      std::string line;
      if (std::getline(file, line) && !file.eof()) return static_cast<uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return 0;
  }
};

class CairndTest : public ::testing::Test {
 protected:
  CairndTest() {
    must(save_genesis(scratch_.path / "genesis.json", genesis_));
    must(save_key(scratch_.path / "producer.key", key_named("producer")));
    must(save_key(scratch_.path / "vrf.key", key_named("vrf")));
  }
  std::vector<std::string> words(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> out{cairnd().string(), "--genesis", path("genesis.json"), "--folder", path("chain"), "--listen", "127.0.0.1:0",
                                 "--producer-key", path("producer.key"), "--vrf-key", path("vrf.key")};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::string path(const std::string& name) const { return (scratch_.path / name).string(); }

  const std::vector<std::string> actors_{"A", "B", "C", "D"};
  const attest::Genesis genesis_ = devnet_genesis(actors_);
  Scratch scratch_;
};

// `kills` times: load, SIGKILL at a random moment, start; each time every acknowledged transaction of the round before, the blocks
// since then and the whole supply, and at the end every acknowledged transaction there was.
TEST_F(CairndTest, NothingAcknowledgedIsLostByKillMinusNine) {
  std::mutex mutex;
  std::map<std::string, std::string> acknowledged, latest;  // id -> height
  std::minstd_rand random(7);
  double slowest_s = 0;
  attest::Header previous;
  const auto holds = [&](uint16_t port, const std::map<std::string, std::string>& all, int round) {
    for (const auto& [id, height] : all) {
      const Answer answer = get(port, "/v1/transactions/" + id);
      EXPECT_EQ(answer.at("code"), "ok") << "round " << round << " lost " << id;
      EXPECT_EQ(answer.at("height"), height);
    }
  };
  for (int round = 0; round <= kills && !HasFailure(); round++) {
    const auto start = Clock::now();
    Process node(words(), scratch_.path / "out");
    const uint16_t port = node.port();
    ASSERT_NE(port, 0) << "round " << round;
    const std::string A = account_named("A").hex();
    ASSERT_EQ(get(port, "/v1/status").status, 200);
    const Answer view = get(port, "/v1/accounts/" + A);
    ASSERT_EQ(post(port, "/v1/transactions?wait=1", transfer(genesis_, "A", "B", std::stoull(view.at("nonce")))).at("code"), "ok");
    slowest_s = std::max(slowest_s, seconds_since(start));  // until it makes blocks again

    EXPECT_TRUE(record<Supply>(port, "/v1/supply").conserved);
    holds(port, round == kills ? acknowledged : latest, round);
    latest.clear();
    const auto status = record<Status>(port, "/v1/status");
    for (uint64_t height = number(previous.height) + 1; height <= number(status.height); height++) {
      const auto block = record<Block>(port, "/v1/blocks/" + std::to_string(height));
      EXPECT_TRUE(attest::check_header(genesis_, block.header));
      EXPECT_EQ(block.header.header.previous, height > 1 ? attest::header_id(previous) : Hash{});
      previous = block.header.header;
    }
    EXPECT_EQ(previous.state_root, status.state_root);
    if (round == kills) {
      EXPECT_EQ(node.end(SIGTERM), 0);  // and a clean stop is one
      break;
    }

    std::vector<std::thread> clients;
    for (const auto& actor : actors_) {
      clients.emplace_back([&, actor] {
        const Answer mine = get(port, "/v1/accounts/" + account_named(actor).hex());
        if (mine.status != 200) return;
        for (uint64_t nonce = std::stoull(mine.at("nonce"));; nonce++) {
          const Answer answer = post(port, "/v1/transactions?wait=1", transfer(genesis_, actor, "A", nonce));
          if (answer.status == 0) return;  // killed
          EXPECT_EQ(answer.at("code"), "ok") << answer.body;
          std::lock_guard lock(mutex);
          acknowledged[answer.at("id")] = latest[answer.at("id")] = answer.at("height");
        }
      });
    }
    const size_t enough = 4 + random() % 60;
    for (int waited_ms = 0; waited_ms < 20'000; waited_ms += 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      std::lock_guard lock(mutex);
      if (latest.size() >= enough) break;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    node.end(SIGKILL);
    for (auto& client : clients) client.join();
    if (round % 50 == 49) std::printf("%d kills, %zu acknowledged, slowest %.3f s\n", round + 1, acknowledged.size(), slowest_s), std::fflush(stdout);
  }
  EXPECT_GT(acknowledged.size(), static_cast<size_t>(2 * kills));
  EXPECT_LT(slowest_s, 10.0);
  std::printf("%d kills, %zu acknowledged, none lost; slowest start to block %.3f s\n", kills, acknowledged.size(), slowest_s);
}

TEST_F(CairndTest, AFailedDiskHaltsIt) {
  std::string last_good;
  {
    Process node(words(), scratch_.path / "out", 128u << 10);
    const uint16_t port = node.port();
    ASSERT_NE(port, 0);
    Answer answer;
    uint64_t nonce = 0;
    for (; nonce < 2000; nonce++) {
      answer = post(port, "/v1/transactions?wait=1", transfer(genesis_, "A", "B", nonce));
      if (answer.status != 200) break;
      last_good = answer.at("id");
    }
    EXPECT_EQ(answer.at("code"), "halted") << answer.body;
    EXPECT_EQ(answer.status, 503);
    EXPECT_GT(nonce, 10u);
    EXPECT_NE(record<Status>(port, "/v1/status").halted, "");  // reading goes on
    EXPECT_EQ(post(port, "/v1/transactions", transfer(genesis_, "B", "A", 0)).at("code"), "halted");
    EXPECT_EQ(record<AccountView>(port, "/v1/accounts/" + account_named("A").hex()).account.nonce, nonce);  // that block did not happen
    EXPECT_EQ(node.end(SIGTERM), 0);
  }
  Process node(words(), scratch_.path / "out");  // with room again
  const uint16_t port = node.port();
  ASSERT_NE(port, 0);
  EXPECT_EQ(get(port, "/v1/transactions/" + last_good).at("code"), "ok");
  const uint64_t nonce = record<AccountView>(port, "/v1/accounts/" + account_named("A").hex()).account.nonce;
  EXPECT_EQ(post(port, "/v1/transactions?wait=1", transfer(genesis_, "A", "B", nonce)).at("code"), "ok");
}

TEST_F(CairndTest, EveryStartErrorIsASentenceWithACode) {
  std::ofstream(path("bad.yaml")) << "folder: x\nlisten_on: 7\n";
  std::ofstream(path("damaged.bin")) << "not a genesis";
  std::filesystem::copy_file(path("producer.key"), path("open.key"));
  ::chmod(path("open.key").c_str(), 0644);
  struct Row {
    std::vector<std::string> more;  // the last of two equal flags counts
    const char* code;
    int status;
  };
  const std::vector<Row> rows = {
      {{"--what"}, "usage", 2},
      {{"--config", path("bad.yaml")}, "config", 2},
      {{"--config", path("none.yaml")}, "not_found", 6},
  };
  const auto run = [&](const std::vector<std::string>& all, const char* code, int status) {
    std::filesystem::remove(path("out.log"));
    Process node(all, scratch_.path / "out");
    const int ended = node.wait();
    EXPECT_TRUE(WIFEXITED(ended) && WEXITSTATUS(ended) == status) << code << " " << ended;
    std::ifstream log(path("out.log"));
    const std::string text(std::istreambuf_iterator<char>(log), {});
    EXPECT_TRUE(text.starts_with(std::string(code) + ": ")) << text;
    EXPECT_NE(text.find("\n  next: "), std::string::npos) << text;
  };
  for (const auto& row : rows) run(words(row.more), row.code, row.status);
  const auto with = [&](size_t at, const std::string& value) {
    auto out = words();
    out[at] = value;
    return out;
  };
  run(with(2, path("nothing.bin")), "not_found", 6);
  run(with(2, path("damaged.bin")), "malformed", 1);
  run(with(4, path("bad.yaml")), "io", 1);
  run(with(6, "0.0.0.0:1"), "invalid", 2);
  run(with(8, path("vrf.key")), "unauthorised", 4);
  run(with(8, path("open.key")), "key_file", 4);
}

}  // namespace
}  // namespace cairn::ledger

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc == 3 && std::string(argv[1]) == "--kills") cairn::ledger::kills = std::atoi(argv[2]);
  return RUN_ALL_TESTS();
}
