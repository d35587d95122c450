// The programs' words and exit statuses when something is wrong before any work begins.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/key_file.h"
#include "base/scratch.h"
#include "ledger/records.h"
#include "tests/agent/played_node.h"

namespace cairn::agent {
namespace {

namespace fs = std::filesystem;
const fs::path kBin = fs::weakly_canonical(fs::read_symlink("/proc/self/exe").parent_path() / "../bin");

struct Said {
  int status = -1;
  std::string out;  // standard output and error
};
Said run(const std::string& command) {
  Said said;
  FILE* pipe = ::popen(("timeout 20 " + kBin.string() + "/" + command + " 2>&1").c_str(), "r");
  std::array<char, 4096> piece;
  while (const size_t n = std::fread(piece.data(), 1, piece.size(), pipe)) said.out.append(piece.data(), n);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) said.status = WEXITSTATUS(status);
  return said;
}

void write(const fs::path& path, ByteSpan bytes) { ASSERT_TRUE(write_file(path, bytes)); }
void write(const fs::path& path, const std::string& text) { write(path, as_bytes(text)); }

TEST(Programs, AWrongSettingNamesItsPlace) {
  Scratch scratch;
  const std::string file = (scratch.path / "settings.yaml").string();
  write(file, "node: http://127.0.0.1:1\njobs_maxx: 2\n");
  for (const char* program : {"cairn-agent --config ", "cairn-verify run --config "}) {
    const Said said = run(program + file);
    EXPECT_EQ(said.status, 2) << said.out;
    EXPECT_NE(said.out.find("settings.yaml:2:1"), std::string::npos) << said.out;
    EXPECT_NE(said.out.find("next:"), std::string::npos);
  }
  EXPECT_EQ(run("cairn-agent --config " + (scratch.path / "absent.yaml").string()).status, 6);
  EXPECT_EQ(run("cairn-agent").status, 2);
  EXPECT_EQ(run("cairn-verify").status, 2);
  EXPECT_EQ(run("cairn-verify frobnicate").status, 2);
  EXPECT_EQ(run("cairn-verify --help").status, 0);
}

TEST(Programs, AKeyThatOthersCouldReadIsRefused) {
  Scratch scratch;
  const fs::path key = scratch.path / "agent.key";
  write(scratch.path / "p.yaml", "key: " + key.string() + "\nfolder: " + (scratch.path / "home").string() + "\n");
  const std::string command = "cairn-agent --config " + (scratch.path / "p.yaml").string();
  ASSERT_TRUE(save_key(key, SecretKey::generate()));
  ASSERT_EQ(::chmod(key.c_str(), 0640), 0);
  Said said = run(command);
  EXPECT_EQ(said.status, 4) << said.out;
  EXPECT_NE(said.out.find("key_file"), std::string::npos) << said.out;
  fs::remove(key);
  write(key, "cairn-key-1 nonsense\n");
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  EXPECT_EQ(run(command).status, 4);
}

// A daemon that cannot read the chain says why, once, and what to do next; it does not look alive and do nothing.
TEST(Programs, ADaemonSaysWhyItCannotReadTheChain) {
  struct Memory {
    Hash chain;
    std::optional<attest::SignedHeader> seen;
    static constexpr auto fields() { return std::tuple{field("chain", &Memory::chain), field("seen", &Memory::seen)}; }
  };
  Scratch scratch;
  PlayedNode node;
  node.records["/v1/status"] = encode(ledger::Status{});
  const fs::path folder = scratch.path / "home", key = scratch.path / "verify.key", log = scratch.path / "log";
  ASSERT_TRUE(save_key(key, SecretKey::generate()));
  write(scratch.path / "v.yaml", "node: " + node.address() + "\nkey: " + key.string() + "\nfolder: " + folder.string() + "\nlisten: tcp://127.0.0.1:0\n");
  // What the daemon logs until `word` stands there, and for a second more.
  const auto so_far = [&] {
    const auto text = read_text(log, 1 << 20);
    return text ? *text : std::string();
  };
  const auto logged = [&](const std::string& word) {
    fs::remove(log);
    const pid_t pid = ::fork();
    if (pid == 0) {
      static_cast<void>(!std::freopen(log.c_str(), "w", stderr));
      ::execl((kBin / "cairn-verify").c_str(), "cairn-verify", "run", "--config", (scratch.path / "v.yaml").c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 400 && so_far().find(word) == std::string::npos; i++) ::usleep(50'000);
    ::sleep(1);
    ::kill(pid, SIGTERM);
    ::waitpid(pid, nullptr, 0);
    return so_far();
  };
  const auto count = [](const std::string& text, const std::string& word) {
    size_t n = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) n++;
    return n;
  };

  const std::string no_jobs = logged("chain.not_read");  // the node lists none
  EXPECT_EQ(count(no_jobs, "verifier.ready"), 1u) << no_jobs;
  EXPECT_EQ(count(no_jobs, "verifier.no_money"), 1u) << no_jobs;  // its account has never held anything
  EXPECT_EQ(count(no_jobs, "chain.not_read"), 1u) << no_jobs;
  EXPECT_NE(no_jobs.find("code=not_found"), std::string::npos) << no_jobs;

  const auto remember = [&] {
    attest::Header seen;
    seen.genesis = attest::genesis_hash(node.genesis);
    seen.height = Height{7};
    write(folder / "chain.seen", encode(Memory{seen.genesis, attest::SignedHeader{seen, attest::CometSeal{}}}));
  };
  node.genesis.engine = attest::Engine::comet;
  remember();
  const std::string old = logged("chain.not_read");
  EXPECT_EQ(count(old, "chain.not_read"), 1u) << old;
  EXPECT_NE(old.find("code=too_old"), std::string::npos) << old;
  EXPECT_NE(old.find("cairn chain trust"), std::string::npos) << old;
  EXPECT_NE(old.find("folder=" + folder.string()), std::string::npos) << old;

  remember();
  node.genesis.name = "theirs";
  const std::string theirs = logged("chain.not_read");
  EXPECT_NE(theirs.find("code=wrong_chain"), std::string::npos) << theirs;
}

TEST(Programs, WhatIsNoReceiptIsRefusedLikeAFalseOne) {
  Scratch scratch;
  const std::string with = " --genesis examples/genesis.json";
  const fs::path file = scratch.path / "receipt";
  for (const std::string& text : {std::string(), std::string("no receipt at all"), std::string(100'000, 'x')}) {
    write(file, text);
    EXPECT_EQ(run("cairn-verify receipt " + file.string() + with).status, 9);
  }
  const Said said = run("cairn-verify receipt " + file.string() + with + " --json");
  EXPECT_EQ(said.status, 9);
  const size_t last = said.out.rfind('\n', said.out.size() - 2);
  const auto json = nlohmann::json::parse(said.out.substr(last == std::string::npos ? 0 : last + 1), nullptr, false);
  ASSERT_TRUE(json.is_object()) << said.out;
  EXPECT_EQ(json["error"]["code"], "proof");
  EXPECT_FALSE(json["error"]["text"].get<std::string>().empty());
  EXPECT_FALSE(json["error"]["next"].get<std::string>().empty());
  EXPECT_EQ(run("cairn-verify receipt " + (scratch.path / "absent").string() + with).status, 6);
  EXPECT_EQ(run("cairn-verify receipt " + file.string()).status, 2);
  EXPECT_EQ(run("cairn-verify plan " + file.string()).status, 9);
  EXPECT_EQ(run("cairn-verify receipt examples/receipt.cairn" + with).status, 0);
  EXPECT_EQ(run("cairn-verify receipt examples/receipt.tampered.cairn" + with).status, 9);
}

}  // namespace
}  // namespace cairn::agent
