// `cairn program` as somebody types it: the digits trained to one state root on every instruction set, killed and gone on
// with, and classified; what is wrong is said.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "base/scratch.h"
#include "kernels/operator.h"
#include "runtime/safetensors.h"
#include "runtime/worker_protocol.h"

namespace cairn::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kBin = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";
const std::string kTrain =
    "train examples/digits/train.pt2 --data examples/digits/train.safetensors --optimizer adamw --weight-decay 0.1 --lr 1e-2 "
    "--schedule cosine --seed 3 ";

struct Answer {
  int status;
  json last;  // the last line of standard output
};
Answer cairn(const std::string& words, const std::string& environment = "") {
  FILE* pipe = popen((environment + " " + (kBin / "cairn").string() + " program --json " + words + " 2>/dev/null").c_str(), "r");
  std::string text;
  char part[4096];
  for (size_t got = 0; (got = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, got);
  const int status = pclose(pipe);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return {WEXITSTATUS(status), json::parse(text.substr(text.rfind('\n') + 1), nullptr, false)};
}

// What `train --folder` remembers.
struct Record {
  Hash plan;
  uint64_t seed = 0;
  uint64_t interval = 0;
  std::vector<runtime::CheckpointMade> checkpoints;
  static constexpr auto fields() {
    return std::tuple{field("plan", &Record::plan), field("seed", &Record::seed), field("interval", &Record::interval),
                      field("checkpoints", &Record::checkpoints)};
  }
};

// Of the 360 held-out digits, how many a prediction program with these weights classifies rightly.
int held_out_right(const std::string& program, const std::string& model, const fs::path& folder) {
  const std::string scores = folder / "scores.safetensors";
  EXPECT_EQ(cairn("run " + program + " --weights " + model + " --inputs examples/digits/test.safetensors --outputs " + scores).status, 0);
  const Bytes score_bytes = must(read_file(scores, 1 << 24)), test_bytes = must(read_file("examples/digits/test.safetensors", 1 << 24));
  const auto found = must(runtime::parse_tensors(score_bytes)), test = must(runtime::parse_tensors(test_bytes));
  int right = 0;
  for (size_t row = 0; row < 360; row++) {
    float score[10];
    int64_t label = 0;
    std::memcpy(score, found.find("output_0")->bytes.data() + row * sizeof score, sizeof score);
    std::memcpy(&label, test.find("y")->bytes.data() + row * 8, 8);
    right += std::max_element(score, score + 10) - score == label;
  }
  return right;
}

class ProgramVerbs : public ::testing::Test {
 protected:
  const Scratch scratch_;
  const fs::path folder_ = scratch_.path;
};

TEST_F(ProgramVerbs, OneRootOnEveryInstructionSet) {
  std::string root;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    const Answer trained = cairn(kTrain + "--steps 60", std::string("CAIRN_ISA=") + isa);
    ASSERT_EQ(trained.status, 0);
    if (root.empty()) root = trained.last["exact"]["root"];
    EXPECT_EQ(trained.last["exact"]["root"], root) << isa;
    EXPECT_EQ(trained.last["exact"]["losses"].size(), 60u);
  }
  EXPECT_NE(cairn(kTrain + "--steps 60 --batch 32").last["exact"]["root"], root);
}

TEST_F(ProgramVerbs, TrainsClassifiesAndNamesItsWeights) {
  const std::string model = folder_ / "model.safetensors";
  ASSERT_EQ(cairn(kTrain + "--steps 2000 --outputs " + model).status, 0);
  const Bytes model_bytes = must(read_file(model, 1 << 24));
  const auto weights = must(runtime::parse_tensors(model_bytes));
  EXPECT_EQ(weights.tensors.size(), 8u);  // nothing of the optimizer
  EXPECT_NE(weights.find("model.hidden.weight"), nullptr);
  EXPECT_GE(held_out_right("examples/digits/predict.pt2", model, folder_), 342);  // 95 of 100
}

TEST_F(ProgramVerbs, AConvolutionalNetworkTrainsOnEveryInstructionSet) {
  const std::string words = "train examples/images/train.pt2 --data examples/digits/train.safetensors --optimizer adam --lr 3e-3 --seed 3 ";
  std::string root;
  for (const char* isa : {"scalar", "avx2", "avx512"}) {
    const Answer trained = cairn(words + "--steps 2", std::string("CAIRN_ISA=") + isa);
    ASSERT_EQ(trained.status, 0);
    if (root.empty()) root = trained.last["exact"]["root"];
    EXPECT_EQ(trained.last["exact"]["root"], root) << isa;
  }
  const std::string model = folder_ / "images.safetensors";
  ASSERT_EQ(cairn(words + "--steps 300 --outputs " + model).status, 0);
  const Bytes model_bytes = must(read_file(model, 1 << 24));
  const auto weights = must(runtime::parse_tensors(model_bytes));
  ASSERT_NE(weights.find("model.stem_norm.num_batches_tracked"), nullptr);  // what batch normalisation writes is delivered too
  int64_t batches = 0;
  std::memcpy(&batches, weights.find("model.stem_norm.num_batches_tracked")->bytes.data(), sizeof batches);
  EXPECT_EQ(batches, 300);
  EXPECT_GE(held_out_right("examples/images/predict.pt2", model, folder_), 342);
}

TEST_F(ProgramVerbs, KilledItGoesOnWithTheSameBits) {
  const std::string words = kTrain + "--steps 4000 --interval 100 --folder ";
  const Answer whole = cairn(words + (folder_ / "whole").string());
  ASSERT_EQ(whole.status, 0);
  const std::string broken = folder_ / "broken";
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    execl("/bin/sh", "sh", "-c", ((kBin / "cairn").string() + " program " + words + broken + " >/dev/null 2>&1").c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 2000 && !fs::exists(broken + "/record"); i++) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(-child, SIGKILL);
  waitpid(child, nullptr, 0);
  const Answer rest = cairn(words + broken);
  ASSERT_EQ(rest.status, 0);
  EXPECT_EQ(rest.last["exact"]["root"], whole.last["exact"]["root"]);
  EXPECT_LT(rest.last["exact"]["steps_run"].get<int>(), 4000);
  EXPECT_EQ(rest.last["exact"]["checkpoints"], whole.last["exact"]["checkpoints"]);
}

TEST_F(ProgramVerbs, BothTiersComeClose) {
  const Answer both = cairn(kTrain + "--steps 60 --tier both");
  ASSERT_EQ(both.status, 0);
  EXPECT_NEAR(both.last["exact"]["losses"].back().get<double>(), both.last["native"]["losses"].back().get<double>(), 1e-3);
}

TEST_F(ProgramVerbs, ADamagedCheckpointIsMadeAnewFromTheOneBefore) {
  const std::string words = kTrain + "--steps 60 --interval 20 --folder " + (folder_ / "kept").string();
  const Answer whole = cairn(words);
  ASSERT_EQ(whole.status, 0);
  const Record record = must(decode<Record>(must(read_file(folder_ / "kept" / "record", 1 << 20))));
  ASSERT_EQ(record.checkpoints.size(), 3u);
  const fs::path slot = folder_ / "kept" / "store" / record.checkpoints.back().state.ids.front().hex();
  Bytes bytes = must(read_file(slot, 1 << 24));
  bytes[bytes.size() / 2] ^= 1;
  must(write_file(slot, bytes));
  const Answer again = cairn(words);
  ASSERT_EQ(again.status, 0) << again.last;
  EXPECT_EQ(again.last["exact"]["steps_run"], 20);
  EXPECT_EQ(again.last["exact"]["root"], whole.last["exact"]["root"]);
}

TEST_F(ProgramVerbs, DamagedFilesAreRefusedByTheirCode) {
  const auto damaged = [&](const std::string& path, auto change) {
    Bytes bytes = must(read_file(path, 1 << 24));
    change(bytes);
    const fs::path out = folder_ / ("damaged" + fs::path(path).extension().string());
    must(write_file(out, bytes));
    return out.string();
  };
  const auto cut = [](Bytes& b) { b.resize(b.size() / 2); };
  const auto flip = [](Bytes& b) { b[b.size() / 3] ^= 0x10; };
  const auto flip_header = [](Bytes& b) { b[20] ^= 0x10; };
  const std::string pt2 = "examples/digits/train.pt2", data = "examples/digits/train.safetensors";
  const std::string steps = " --steps 3 --data ";
  const std::string rows[] = {
      "inspect " + damaged(pt2, cut),  "train " + damaged(pt2, cut) + steps + data,
      "inspect " + damaged(pt2, flip), "train " + damaged(pt2, flip) + steps + data,
      "inspect " + data,
  };
  for (const std::string& row : rows) {
    const Answer said = cairn(row);
    EXPECT_EQ(said.status, 1) << row;
    EXPECT_EQ(said.last["error"]["code"], "malformed") << row << said.last;
    EXPECT_FALSE(said.last["error"]["next"].get<std::string>().empty()) << row;
  }
  for (const auto& change : {std::function<void(Bytes&)>(cut), std::function<void(Bytes&)>(flip_header)}) {
    const Answer said = cairn("train " + pt2 + steps + damaged(data, change));
    EXPECT_EQ(said.last["error"]["code"], "malformed") << said.last;
    EXPECT_EQ(said.status, 1);
    EXPECT_FALSE(said.last["error"]["next"].get<std::string>().empty());
  }
  const Answer no_data = cairn("train " + pt2 + steps + pt2);
  EXPECT_EQ(no_data.last["error"]["code"], "limit") << no_data.last;  // what stands where a header's size should is huge
  EXPECT_FALSE(no_data.last["error"]["next"].get<std::string>().empty());
  const Answer other = cairn("train " + pt2 + " --weights " + data + steps + data);  // no weight of this program is in it
  EXPECT_EQ(other.last["error"]["code"], "usage") << other.last;
  EXPECT_EQ(other.status, 2);
  const Answer absent = cairn("train " + pt2 + steps + "no-such-file");
  EXPECT_EQ(absent.last["error"]["code"], "not_found");
  EXPECT_EQ(absent.status, 6);
}

TEST_F(ProgramVerbs, SaysWhatIsWrong) {
  EXPECT_EQ(cairn("inspect examples/digits/train.pt2").status, 0);
  EXPECT_EQ(cairn("inspect tests/runtime/programs/undefined.pt2").status, 2);
  EXPECT_EQ(cairn("inspect no-such-file").status, 6);
  EXPECT_EQ(cairn(kTrain + "--steps 60 --batch 1").status, 2);  // the export takes 2 and more
  EXPECT_EQ(cairn(kTrain + "--steps 60 --tier quick").status, 2);
  const Answer wrong = cairn("train tests/runtime/programs/static.pt2 --data examples/digits/train.safetensors --steps 3");
  EXPECT_EQ(wrong.last["error"]["code"], "usage");
}

}  // namespace
}  // namespace cairn::agent
