// The worker as its owners see it: a process that traces, trains, is killed, goes on, checks, and plays disputes.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>

#include "attest/tree.h"
#include "base/file.h"
#include "runtime/checkpoint.h"
#include "runtime/worker_client.h"

namespace cairn::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kBin = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";

struct Folder {
  fs::path path;
  Folder() {
    char name[] = "/tmp/cairn-worker-test-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
};

std::unique_ptr<WorkerClient> start() { return must(WorkerClient::start(kBin / "cairn-worker")); }

TraceProgram digits(const fs::path& folder, uint64_t steps) {
  TraceProgram request;
  request.path = "examples/digits/train.pt2";
  request.data = "examples/digits/train.safetensors";
  request.folder = folder.string();
  request.steps = steps;
  request.seed = 3;
  request.optimizer.lr_bits = std::bit_cast<uint32_t>(1e-2f);
  return request;
}
PlanRun run_of(const Traced& traced, uint64_t seed) {
  PlanRun run;
  run.plan = traced.plan_path;
  run.seed = seed;
  for (const NamedId& input : traced.inputs) run.inputs.push_back({input.name, input.path, 0, input.size});
  return run;
}
RunPlan training(const Traced& traced, uint64_t steps, uint64_t interval, const fs::path& folder) {
  RunPlan request;
  request.run = run_of(traced, 3);
  request.steps = steps;
  request.interval = interval;
  request.folder = folder.string();
  return request;
}

TEST(Worker, TrainsIsKilledAndGoesOnWithTheSameBits) {
  const Folder folder;
  auto worker = start();
  const Traced traced = must(worker->trace(digits(folder.path, 600)));
  std::vector<Hash> roots;
  std::vector<uint32_t> losses;
  const Ran whole = must(worker->run(training(traced, 600, 100, folder.path / "whole"), [&](const auto& news) {
    if (const auto* checkpoint = std::get_if<Checkpointed>(&news)) roots.push_back(checkpoint->root);
    else losses.insert(losses.end(), std::get<Progress>(news).loss_bits.begin(), std::get<Progress>(news).loss_bits.end());
    return true;
  }));
  EXPECT_EQ(whole.step, 600u);
  ASSERT_EQ(roots.size(), 6u);
  EXPECT_EQ(roots.back(), whole.root);
  ASSERT_EQ(losses.size(), 600u);
  EXPECT_LT(std::bit_cast<float>(losses.back()), 0.5f * std::bit_cast<float>(losses.front()));

  // Killed as soon as the second checkpoint stands: a new worker goes on from it.
  int seen = 0;
  const auto stopped = worker->run(training(traced, 600, 100, folder.path / "broken"), [&](const auto& news) {
    if (std::holds_alternative<Checkpointed>(news) && ++seen == 2) ::kill(worker->process_id(), SIGKILL);
    return true;
  });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::unreachable);
  auto second = start();
  std::vector<std::pair<Hash, bool>> resumed;
  const Ran rest = must(second->run(training(traced, 600, 100, folder.path / "broken"), [&](const auto& news) {
    if (const auto* checkpoint = std::get_if<Checkpointed>(&news)) resumed.emplace_back(checkpoint->root, checkpoint->resumed);
    return true;
  }));
  EXPECT_EQ(rest.root, whole.root);
  EXPECT_LE(rest.steps_run, 400u);
  ASSERT_EQ(resumed.size(), 6u);
  for (size_t i = 0; i < 6; i++) EXPECT_EQ(resumed[i].first, roots[i]);
  EXPECT_TRUE(resumed[1].second);
  EXPECT_FALSE(resumed[5].second);
}

TEST(Worker, DamagedCheckpointIsNotBelieved) {
  const Folder folder;
  auto worker = start();
  const Traced traced = must(worker->trace(digits(folder.path, 30)));
  const Ran whole = must(worker->run(training(traced, 30, 10, folder.path / "a")));
  const fs::path second = checkpoint_path(folder.path / "a", 20);
  Bytes bytes = must(read_file(second, 1 << 24));
  bytes[bytes.size() / 2] ^= 1;
  must(write_file(second, bytes));
  const Ran again = must(worker->run(training(traced, 30, 10, folder.path / "a")));
  EXPECT_EQ(again.root, whole.root);
  EXPECT_EQ(again.steps_run, 20u);
}

TEST(Worker, ChecksASegmentAndNamesADrawnCall) {
  const Folder folder;
  auto worker = start();
  const Traced traced = must(worker->trace(digits(folder.path, 20)));
  must(worker->run(training(traced, 20, 10, folder.path)));
  CheckSegment request;
  request.run = run_of(traced, 3);
  request.checkpoint = checkpoint_path(folder.path, 10).string();
  request.end_step = 20;
  request.step = 14;
  request.call = 5;
  const Checked checked = must(worker->check(request));
  const attest::Plan plan = must(decode<attest::Plan>(must(read_file(traced.plan_path, 1 << 24))));
  EXPECT_EQ(checked.end_root, must(read_checkpoint(checkpoint_path(folder.path, 20), plan, traced.plan)).root);
  EXPECT_EQ(checked.start_root, must(read_checkpoint(checkpoint_path(folder.path, 10), plan, traced.plan)).root);
  request.call = 6;
  EXPECT_NE(must(worker->check(request)).call_id, checked.call_id);
  request.step = 25;
  EXPECT_EQ(worker->check(request).error().code, Code::invalid);
}

// A provider that lies in one number of one call loses the game to a challenger that replays the segment.
TEST(Worker, LiarLosesItsDispute) {
  const Folder folder;
  auto honest = start();
  const Traced traced = must(honest->trace(digits(folder.path, 20)));
  const Bytes plan_bytes = must(read_file(traced.plan_path, 1 << 24));
  const attest::Plan plan = must(decode<attest::Plan>(plan_bytes));
  const Ran truth = must(honest->run(training(traced, 20, 20, folder.path / "truth")));
  uint32_t product = 0;  // the gradient of the first weights
  for (uint32_t c = 0; c < plan.calls.size(); c++)
    if (plan.calls[c].op == 10) product = c;
  auto liar = must(WorkerClient::start(kBin / "cairn-cheating-worker", {}, {"13", std::to_string(product), "0", "77", "0.5"}));
  const Ran lie = must(liar->run(training(traced, 20, 20, folder.path / "lie")));
  ASSERT_NE(lie.root, truth.root);

  attest::GameTerms terms;
  terms.plan_root = traced.plan_root;
  terms.calls = traced.calls;
  terms.state_slots = traced.state_slots;
  for (size_t i = 0; i < plan.inputs.size(); i++) terms.input_ids.push_back(traced.inputs[i].id);
  terms.seed = 3;
  terms.end_step = 20;
  terms.start_root = traced.initial_state;
  terms.end_root = lie.root;
  terms.challenger_end_root = truth.root;
  must(attest::check(terms));
  attest::Game game = attest::open_game(terms);
  for (int moves = 0; !game.over() && moves < 100; moves++) {
    PlayDispute request;
    request.run = run_of(traced, 3);
    request.game = encode(game);
    request.party = game.to_move;
    auto& player = game.to_move == attest::Party::provider ? liar : honest;
    const attest::Move move = must(player->play(request));
    must(attest::play(game, game.to_move, move));
  }
  ASSERT_TRUE(game.over());
  EXPECT_EQ(game.winner, attest::Party::challenger) << game.reason;
  EXPECT_EQ(game.step, 13u);
  EXPECT_EQ(game.call, product);
  EXPECT_EQ(game.element, 77u);
}

TEST(Worker, PredictsWithWeightsByName) {
  const Folder folder;
  auto worker = start();
  TraceProgram request;
  request.path = "examples/digits/predict.pt2";
  request.data = "examples/digits/test.safetensors";
  request.folder = folder.path.string();
  request.train = false;
  request.seed = 1;
  const Traced traced = must(worker->trace(request));  // no weights: from the seed
  const Ran ran = must(worker->run(training(traced, traced.steps, 0, folder.path)));
  const Bytes bytes = must(read_file(ran.path, 1 << 24));
  EXPECT_EQ(must(parse_tensors(bytes)).find("output_0")->type.shape, (std::vector<int64_t>{360, 10}));
}

TEST(Worker, NativeTierComesClose) {
  const Folder folder;
  auto worker = start();
  const Traced traced = must(worker->trace(digits(folder.path, 60)));
  float last[2] = {};
  for (const bool native : {false, true}) {
    RunPlan request = training(traced, 60, 0, folder.path / (native ? "native" : "exact"));
    request.native = native;
    must(worker->run(request, [&](const auto& news) {
      if (const auto* progress = std::get_if<Progress>(&news); progress && !progress->loss_bits.empty()) last[native] = std::bit_cast<float>(progress->loss_bits.back());
      return true;
    }));
  }
  EXPECT_NEAR(last[0], last[1], 1e-3f);
  EXPECT_GT(last[0], 0.0f);
}

TEST(Worker, ErrorsKeepItAlive) {
  const Folder folder;
  auto worker = start();
  EXPECT_EQ(worker->inspect("does/not/exist.pt2").error().code, Code::not_found);
  EXPECT_EQ(worker->inspect("examples/digits/README.md").error().code, Code::malformed);
  TraceProgram request = digits(folder.path, 10);
  request.path = "tests/runtime/programs/undefined.pt2";
  EXPECT_EQ(worker->trace(request).error().code, Code::usage);  // 64 pixels do not fit
  const Inspection inspection = must(worker->inspect("examples/digits/train.pt2"));
  EXPECT_TRUE(inspection.trains);
  EXPECT_TRUE(inspection.undefined.empty());
}

TEST(Worker, LimitsAndTimeouts) {
  const Folder folder;
  auto worker = start();
  const Traced traced = must(worker->trace(digits(folder.path, 1'000'000)));
  EXPECT_EQ(worker->run(training(traced, 1'000'000, 0, folder.path), {}, 300).error().code, Code::timed_out);
  EXPECT_FALSE(worker->alive());
  EXPECT_EQ(worker->inspect("examples/digits/train.pt2").error().code, Code::unreachable);
  EXPECT_EQ(WorkerClient::start("/no/such/worker").error().code, Code::not_found);
}

// What arrives on the socket is decoded with suspicion: no bytes end the decoder badly.
TEST(Messages, AnyBytesDecodeOrFail) {
  std::mt19937 random(5);
  PlayDispute play;
  play.run.inputs = {{"x", "/a/path", 0, 12}};
  play.game = Bytes(40, 7);
  const std::vector<Bytes> seeds{encode(Request{play}), encode(Request{digits("/tmp", 3)}), encode(Request{RunPlan{}})};
  int decoded = 0;
  for (int i = 0; i < 30'000; i++) {
    Bytes bytes = seeds[random() % seeds.size()];
    for (int k = 0; k <= i % 4; k++) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    if (i % 5 == 0) bytes.resize(random() % bytes.size());
    if (const auto request = decode<Request>(bytes)) {
      decoded++;
      EXPECT_EQ(encode(*request), bytes);  // one value has one encoding
    }
    static_cast<void>(decode<Reply>(bytes));
  }
  EXPECT_GT(decoded, 100);
}

}  // namespace
}  // namespace cairn::runtime
