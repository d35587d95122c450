// The worker as its owners see it: a process that traces, trains, is killed, goes on, checks, and plays disputes.
#include "runtime/worker_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "attest/tree.h"
#include "base/file.h"
#include "base/scratch.h"
#include "runtime/artefacts.h"
#include "runtime/job_run.h"
#include "runtime/program.h"
#include "runtime/program_files.h"

namespace cairn::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kBin = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";

class WorkerTest : public ::testing::Test {
 protected:
  std::unique_ptr<WorkerClient> start(const char* program = "cairn-worker", const std::vector<std::string>& arguments = {}) {
    return must(WorkerClient::start(kBin / program, {}, arguments));
  }
  // The digits, ready to train: everything stands in the store.
  Work digits(WorkerClient& worker, uint64_t steps) {
    const Bytes file = must(read_file("examples/digits/train.safetensors", 1 << 24));
    const TensorFile data = must(parse_tensors(file));
    AskTrace ask{"examples/digits/train.pt2", store_.string(), {}, {}};
    std::map<std::string, Hash> ids;
    for (const auto& tensor : data.tensors) {
      ask.request.data.push_back({tensor.name, tensor.type});
      ids[tensor.name] = must(write_artefact(store_, tensor.bytes));
    }
    ask.request.steps = steps;
    ask.request.optimizer.lr_bits = std::bit_cast<uint32_t>(1e-2f);
    traced_ = must(worker.trace(ask));
    ids[std::string(kSchedule)] = traced_.schedule.value();
    Work work;
    work.store = store_.string();
    work.plan = traced_.plan;
    work.seed = 3;
    for (const auto& input : traced_.inputs) work.inputs.push_back(ids.at(input));
    return work;
  }
  AskRun run(const Work& work, const StatePoint& from, uint64_t until, uint64_t interval) { return {work, from, until, interval, attest::Tier::exact}; }

  const Scratch scratch_;
  const fs::path store_ = scratch_.path;
  Traced traced_;
};

TEST_F(WorkerTest, TrainsIsKilledAndGoesOnWithTheSameBits) {
  auto worker = start();
  const Work work = digits(*worker, 600);
  const StateReached first = must(worker->initial(work));
  std::vector<CheckpointMade> made;
  std::vector<float> losses;
  const StateReached whole = must(worker->run(
      run(work, first.state, 600, 100), [&](const Progress& p) { losses.push_back(std::bit_cast<float>(p.loss_bits.value())); },
      [&](const CheckpointMade& c) { made.push_back(c); }));
  ASSERT_EQ(made.size(), 6u);
  EXPECT_EQ(made.back().root, whole.root);
  EXPECT_EQ(whole.root, root_of(whole.state));
  EXPECT_LT(losses.back(), 0.5f);

  StatePoint reached;
  const auto stopped = worker->run(run(work, first.state, 600, 100), {}, [&](const CheckpointMade& c) {
    reached = c.state;
    if (c.state.step == 200) worker->stop();
  });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::unreachable);
  EXPECT_NE(stopped.error().text.find("signal 9"), std::string::npos);
  auto second = start();
  EXPECT_EQ(must(second->run(run(work, reached, 600, 100))).root, whole.root);
}

TEST_F(WorkerTest, NativeTierLandsBesideTheExactOne) {
  auto worker = start();
  const Work work = digits(*worker, 200);
  const StateReached first = must(worker->initial(work));
  float exact = 0, native = 0;
  AskRun ask = run(work, first.state, 200, 200);
  must(worker->run(ask, [&](const Progress& p) { exact = std::bit_cast<float>(p.loss_bits.value()); }));
  ask.tier = attest::Tier::native;
  must(worker->run(ask, [&](const Progress& p) { native = std::bit_cast<float>(p.loss_bits.value()); }));
  EXPECT_NEAR(exact, native, 0.02f * std::max(0.1f, exact));
}

TEST_F(WorkerTest, DamagedCheckpointsInputsAndPlansAreRefused) {
  auto worker = start();
  const Work work = digits(*worker, 20);
  const StateReached first = must(worker->initial(work));
  const StateReached whole = must(worker->run(run(work, first.state, 10, 10)));
  for (const Hash& id : {whole.state.ids.at(0), work.inputs.at(0), work.plan}) {
    const fs::path path = store_ / id.hex();
    Bytes bytes = must(read_file(path, 1 << 24));
    bytes[bytes.size() / 2] ^= 1;
    must(write_file(path, bytes));
    const auto flipped = worker->run(run(work, whole.state, 20, 10));
    ASSERT_FALSE(flipped);
    EXPECT_EQ(flipped.error().code, Code::proof);
    must(write_file(path, ByteSpan(bytes).first(bytes.size() - 1)));
    EXPECT_FALSE(worker->run(run(work, whole.state, 20, 10)));
    bytes[bytes.size() / 2] ^= 1;
    must(write_file(path, bytes));
  }
  EXPECT_TRUE(worker->run(run(work, whole.state, 20, 10)));
}

TEST_F(WorkerTest, RefusesWhatDoesNotFit) {
  auto worker = start();
  const Work work = digits(*worker, 20);
  const StateReached first = must(worker->initial(work));
  Work small = work;
  small.memory_bytes = 1000;
  EXPECT_EQ(worker->initial(small).error().code, Code::memory_limit);
  Work short_of = work;
  short_of.inputs.pop_back();
  EXPECT_EQ(worker->initial(short_of).error().code, Code::shape);
  Work swapped = work;
  std::swap(swapped.inputs[0], swapped.inputs[1]);
  EXPECT_FALSE(worker->initial(swapped));
  AskCheck outside{work, first.state, 10, 10, 0};
  EXPECT_EQ(worker->check(outside).error().code, Code::invalid);
  EXPECT_EQ(worker->inspect("examples/digits/nothing.pt2").error().code, Code::not_found);
  EXPECT_TRUE(worker->inspect("examples/digits/train.pt2"));
  EXPECT_EQ(WorkerClient::start("/no/such/worker").error().code, Code::not_found);
}

TEST_F(WorkerTest, WeightsOfAnotherShapeAreRefusedByName) {
  auto worker = start();
  const Work bound = digits(*worker, 2);
  const Parameter parameter = must(import_pt2(must(read_file("examples/digits/train.pt2", 1 << 20)))).program.parameters.at(0);
  const auto zeros = [&](int64_t bytes) { return must(write_artefact(store_, Bytes(static_cast<size_t>(bytes), 0))); };
  const auto names_it = [&](const Error& error) { return error.code == Code::shape && error.text.find("'" + parameter.name + "'") != std::string::npos; };

  const Bytes file = must(read_file("examples/digits/train.safetensors", 1 << 24));
  AskTrace ask{"examples/digits/train.pt2", store_.string(), {}, {{parameter.name, {kernels::DType::f32, {3, 3}}, zeros(36)}}};
  for (const auto& tensor : must(parse_tensors(file)).tensors) ask.request.data.push_back({tensor.name, tensor.type});
  ask.request.steps = 2;
  const auto other = worker->trace(ask);
  ASSERT_FALSE(other);
  EXPECT_TRUE(names_it(other.error())) << other.error().message();

  const int64_t size = kernels::bytes(parameter.type);
  ask.weights[0] = {parameter.name, parameter.type, zeros(size)};
  Work work = bound;
  work.plan = must(worker->trace(ask)).plan;
  for (const int64_t bytes : {size - 4, size + 4}) {  // what the trace was promised is not what the job brings
    work.given = {zeros(bytes)};
    const auto refused = worker->initial(work);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(names_it(refused.error())) << refused.error().message();
  }
  work.given = {zeros(size)};
  EXPECT_TRUE(worker->initial(work));
}

// A provider that lies in one number of one call loses the game to a challenger that replays the segment.
TEST_F(WorkerTest, LiarLosesItsDispute) {
  auto honest = start();
  const Work work = digits(*honest, 20);
  const StateReached first = must(honest->initial(work));
  const attest::Plan plan = must(decode<attest::Plan>(must(read_file(store_ / work.plan.hex(), 1 << 24))));
  uint32_t product = 0;  // the gradient of the first weights: a number that reaches the state
  for (uint32_t c = 0; c < plan.calls.size(); c++)
    if (plan.calls[c].op == 10) product = c;
  auto liar = start("cairn-cheating-worker", {"13", std::to_string(product), "77"});
  const StateReached truth = must(honest->run(run(work, first.state, 20, 20)));
  const StateReached lie = must(liar->run(run(work, first.state, 20, 20)));
  ASSERT_NE(lie.root, truth.root) << "call " << product;
  RecordProperty("product", static_cast<int>(product));

  attest::GameTerms terms;
  terms.plan_root = traced_.plan_root;
  terms.calls = traced_.calls;
  terms.state_slots = static_cast<uint32_t>(traced_.slots.size());
  std::vector<Hash> inputs = work.inputs;
  inputs.insert(inputs.end(), work.given.begin(), work.given.end());
  terms.inputs = static_cast<uint32_t>(inputs.size());
  terms.input_root = attest::tree_root(inputs);
  terms.seed = work.seed;
  terms.end_step = 20;
  terms.start_root = first.root;
  terms.end_root = lie.root;
  terms.challenger_end_root = truth.root;
  attest::Game game = attest::open_game(terms);
  int moves = 0;
  while (!game.winner && ++moves < 100) {
    WorkerClient& player = game.to_move == attest::Party::provider ? *liar : *honest;
    const attest::Party party = game.to_move;
    must(attest::play(game, party, must(player.move({work, first.state, game, party}))));
  }
  ASSERT_TRUE(game.winner);
  EXPECT_EQ(*game.winner, attest::Party::challenger);
  EXPECT_EQ(game.step, 13u);
  EXPECT_EQ(game.call, product) << "of " << plan.calls.size() << " calls";
  EXPECT_EQ(game.element, 77u);
}

// As the service manager does it: one process for each connection to a socket.
TEST_F(WorkerTest, AnswersBehindASocketToo) {
  const std::string path = (store_ / "worker.sock").string();
  EXPECT_EQ(WorkerClient::start(path).error().code, Code::not_found);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const std::string program = (kBin / "cairn-worker").string();
  const int manager = ::fork();
  if (manager == 0) {
    const int connection = ::accept(listener, nullptr, nullptr);
    ::dup2(connection, 3);
    ::execl(program.c_str(), program.c_str(), nullptr);
    ::_exit(127);
  }
  {
    auto worker = must(WorkerClient::start(path));
    EXPECT_EQ(worker->pid(), 0);
    EXPECT_TRUE(worker->inspect("examples/digits/train.pt2"));
    worker->stop();
    EXPECT_EQ(worker->inspect("examples/digits/train.pt2").error().code, Code::unreachable);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(manager, &status, 0), manager);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  ::close(listener);
  EXPECT_EQ(WorkerClient::start(path).error().code, Code::unreachable);
}

TEST_F(WorkerTest, CheckKnowsWhatOnlyARunCanKnow) {
  auto worker = start();
  const Work work = digits(*worker, 20);
  const StateReached first = must(worker->initial(work));
  const StateReached end = must(worker->run(run(work, first.state, 20, 20)));
  const auto known = must(worker->check({work, first.state, 20, 14, 5}));
  EXPECT_EQ(known.end_root, end.root);
  EXPECT_EQ(must(worker->check({work, first.state, 20, 14, 5})).call_id, known.call_id);
  EXPECT_NE(must(worker->check({work, first.state, 20, 15, 5})).call_id, known.call_id);
}

TEST(FinalState, EverySlotHasOneRole) {
  const std::pair<const char*, SlotRole> rows[] = {
      {"output_0", SlotRole::output},          {"output_17", SlotRole::output},
      {"output_layer.weight", SlotRole::weight}, {"losses", SlotRole::losses},
      {"losses.weight", SlotRole::weight},     {"adam_m:a.weight", SlotRole::optimizer},
      {"adam_v:a.weight", SlotRole::optimizer}, {"momentum:a.weight", SlotRole::optimizer},
      {"momentum.weight", SlotRole::weight},
  };
  for (const auto& [name, role] : rows) EXPECT_EQ(role_of(name), role) << name;
}

// Whatever comes over the socket, the worker answers with an error or hangs up; it never dies by a signal.
TEST(WorkerMessages, RandomBytesAreRefused) {
  std::mt19937 random(5);
  const Bytes good = encode(Ask{AskCheck{}});
  for (int i = 0; i < 20'000; i++) {
    Bytes bytes = good;
    if (i % 2) bytes.resize(random() % (bytes.size() + 40));
    for (unsigned k = 0; k <= random() % 4 && !bytes.empty(); k++) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    if (const auto ask = decode<Ask>(bytes)) {
      EXPECT_EQ(encode(*ask), bytes);
    }
    static_cast<void>(decode<Answer>(bytes));
  }
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const uint8_t huge[4] = {255, 255, 255, 255};
  ASSERT_EQ(::send(pair[0], huge, 4, 0), 4);
  EXPECT_EQ(receive_frame(pair[1]).error().code, Code::limit);
  ::close(pair[0]);
  EXPECT_EQ(receive_frame(pair[1]).error().code, Code::unreachable);
  ::close(pair[1]);
}

}  // namespace
}  // namespace cairn::runtime
