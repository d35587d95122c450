// A person's first ten minutes: a devnet, a model trained by a stranger's machine, predictions from it, receipts that check,
// and what the command line says when something is wrong.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/scratch.h"

namespace cairn {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
const fs::path kBin = fs::weakly_canonical(fs::read_symlink("/proc/self/exe").parent_path() / "../bin");

struct Said {
  int status = -1;
  std::string out;
  Json json() const {  // the last line
    std::string text = out;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t last = text.rfind('\n');
    return Json::parse(last == std::string::npos ? text : text.substr(last + 1), nullptr, false);
  }
};

struct Digits : testing::Test {
  const Scratch scratch;
  const fs::path folder = scratch.path;

  void TearDown() override { run("cairn net down"); }
  // Standard output alone; the rest is for people.
  Said run(const std::string& command) {
    const std::string whole = "timeout 120 " + kBin.string() + "/" + command + " 2>>" + (folder / "remarks").string();
    ::setenv("CAIRN_NET", (folder / "net").c_str(), 1);
    Said said;
    FILE* pipe = ::popen(whole.c_str(), "r");
    std::array<char, 4096> piece;
    while (const size_t n = std::fread(piece.data(), 1, piece.size(), pipe)) said.out.append(piece.data(), n);
    const int status = ::pclose(pipe);
    if (WIFEXITED(status)) said.status = WEXITSTATUS(status);
    return said;
  }
  std::string remarks() { return read_text(folder / "remarks", 1 << 24) ? *read_text(folder / "remarks", 1 << 24) : ""; }
};

TEST_F(Digits, TrainedByAStrangerCheckedByAThirdUsedByYou) {
  const Said up = run("cairn net up --json");
  ASSERT_EQ(up.status, 0) << remarks();
  const Json net = up.json();
  ASSERT_TRUE(net.is_object()) << up.out;

  const std::string train_out = (folder / "train").string();
  const Said trained = run("cairn job run examples/digits/job.yaml --json --out " + train_out);
  ASSERT_EQ(trained.status, 0) << trained.out << remarks();
  const Json job = trained.json();
  ASSERT_TRUE(job.is_object()) << trained.out;
  EXPECT_EQ(job["state"], "settled");
  EXPECT_EQ(job["audit"], "as_ordered");
  EXPECT_TRUE(fs::exists(fs::path(train_out) / "model.safetensors"));
  const Json losses = Json::parse(*read_text(fs::path(train_out) / "losses.json", 1 << 20), nullptr, false);
  ASSERT_FALSE(losses.is_discarded());

  const std::string check = "cairn-verify receipt " + train_out + "/receipt-0.cairn --genesis " + net["genesis"].get<std::string>();
  const Said accepted = run(check + " --json");
  EXPECT_EQ(accepted.status, 0);
  EXPECT_EQ(accepted.json()["accepted"], true);
  EXPECT_EQ(accepted.json()["trusts"].size(), 3u);
  Bytes receipt = *read_file(fs::path(train_out) / "receipt-0.cairn", 1 << 20);
  receipt[receipt.size() / 2] ^= 1;
  ASSERT_TRUE(write_file(fs::path(train_out) / "receipt-0.cairn", receipt));
  EXPECT_EQ(run(check).status, 9);

  const Said predicted = run("cairn job run examples/digits/predict.yaml --json --weights " + train_out + "/model.safetensors --out " +
                             (folder / "predict").string());
  ASSERT_EQ(predicted.status, 0) << predicted.out << remarks();
  EXPECT_EQ(predicted.json()["state"], "settled");
  EXPECT_TRUE(fs::exists(folder / "predict" / "outputs.safetensors"));
}

TEST_F(Digits, EveryMistakeHasItsStatusAndItsObject) {
  const struct {
    const char* command;
    int status;
    const char* code;
  } rows[] = {
      {"cairn frobnicate --json", 2, "usage"},
      {"cairn job --json", 2, "usage"},
      {"cairn --node http://127.0.0.1:9 node status --json", 7, "unreachable"},
      {"cairn net status --json", 6, "not_found"},
      {"cairn job quote examples/digits/absent.yaml --json", 6, "not_found"},
      {"cairn --config configs/absent.yaml wallet show --json", 6, "not_found"},
  };
  for (const auto& row : rows) {
    const Said said = run(row.command);
    EXPECT_EQ(said.status, row.status) << row.command << "\n" << said.out;
    const Json json = said.json();
    ASSERT_TRUE(json.is_object() && json.contains("error")) << row.command << "\n" << said.out;
    EXPECT_EQ(json["error"]["code"], row.code) << row.command;
    EXPECT_FALSE(json["error"]["text"].get<std::string>().empty());
    EXPECT_FALSE(json["error"]["next"].get<std::string>().empty()) << row.command;
  }
}

}  // namespace
}  // namespace cairn
