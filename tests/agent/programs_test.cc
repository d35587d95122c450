// The programs' words and exit statuses when something is wrong before any work begins.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/key_file.h"
#include "base/scratch.h"

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

void write(const fs::path& path, const std::string& text) { ASSERT_TRUE(write_file(path, as_bytes(text))); }

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
