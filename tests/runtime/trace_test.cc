// From an exported program to a trained model: the plan, its bits, its errors.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "attest/tree.h"
#include "base/file.h"
#include "runtime/executor.h"
#include "runtime/trace.h"

namespace cairn::runtime {
namespace {

Import program(const std::string& path) { return must(import_pt2(must(read_file(path, 1 << 20)))); }

struct Data {
  Bytes bytes;
  TensorFile file;
  explicit Data(const std::string& path) : bytes(must(read_file(path, 1 << 24))), file(must(parse_tensors(bytes))) {}
  std::vector<DataType> types() const {
    std::vector<DataType> out;
    for (const NamedTensor& tensor : file.tensors) out.push_back({tensor.name, tensor.type});
    return out;
  }
};

// The digits' training, traced once for all cases.
struct Training {
  Import import = program("examples/digits/train.pt2");
  Data data{"examples/digits/train.safetensors"};
  TraceRequest request;
  Trace traced;
  Bytes rates;

  explicit Training(uint64_t steps) {
    request.data = data.types();
    request.steps = steps;
    request.optimizer.lr_bits = std::bit_cast<uint32_t>(1e-2f);
    request.optimizer.kind = OptimizerKind::adamw;
    request.optimizer.weight_decay_bits = std::bit_cast<uint32_t>(0.1f);
    request.optimizer.curve = Curve::cosine;
    traced = must(trace(import.program, request));
    rates = schedule(request.optimizer, steps);
  }
  std::vector<ByteSpan> inputs() const {
    std::vector<ByteSpan> out;
    for (const attest::InputSlot& slot : traced.plan.inputs)
      out.push_back(slot.name == kSchedule ? ByteSpan(rates) : data.file.find(slot.name)->bytes);
    return out;
  }
  std::unique_ptr<Executor> executor(ExecutorOptions options = {}, uint64_t seed = 3) const {
    auto executor = must(Executor::make(traced.plan, inputs(), seed, std::move(options)));
    must(executor->load(must(initial_state(traced.plan, seed, {}))));
    return executor;
  }
};

// Share of held-out rows that the trained state classifies rightly, by the prediction program's own plan.
double held_out_accuracy(const Training& training, const State& state) {
  const Import predict = program("examples/digits/predict.pt2");
  const Data test("examples/digits/test.safetensors");
  TraceRequest request;
  request.train = false;
  request.data = {{"x", test.file.find("x")->type}};
  const Trace traced = must(trace(predict.program, request));
  std::vector<ByteSpan> inputs;
  for (const attest::InputSlot& slot : traced.plan.inputs) {
    if (slot.name == "x") inputs.push_back(test.file.find("x")->bytes);
    for (size_t s = 0; s < training.traced.plan.state.size(); s++)
      if (training.traced.plan.state[s].name == slot.name) inputs.push_back(state.slots[s]);
  }
  auto executor = must(Executor::make(traced.plan, inputs, 0, {}));
  must(executor->load(must(initial_state(traced.plan, 0, {}))));
  for (uint64_t step = 0; step < traced.steps; step++) executor->run_step();
  const auto* scores = reinterpret_cast<const float*>(executor->slot(0).data());
  const auto* labels = test.file.find("y")->bytes.data();
  int right = 0;
  for (int row = 0; row < 360; row++) {
    int64_t label = 0;
    std::memcpy(&label, labels + 8 * row, 8);
    right += std::max_element(scores + 10 * row, scores + 10 * row + 10) - (scores + 10 * row) == label;
  }
  return right / 360.0;
}

TEST(Trace, DigitsTrainToHeldOutAccuracy) {
  const Training training(2000);
  EXPECT_LE(training.traced.facts.work_ns, 1'000'000u);
  auto executor = training.executor();
  for (int step = 0; step < 2000; step++) executor->run_step();
  must(executor->check_finite());
  EXPECT_GE(held_out_accuracy(training, executor->save()), 0.95);
}

TEST(Trace, OneRootOnEveryInstructionSetAndThreadCount) {
  const Training training(60);
  auto executor = training.executor({kernels::Isa::scalar, 1, {}});
  for (int step = 0; step < 60; step++) executor->run_step();
  const Hash root = executor->root();
  for (const kernels::Isa isa : kernels::isas()) {
    for (const int threads : {1, 2}) {
      auto other = training.executor({isa, threads, {}});
      for (int step = 0; step < 60; step++) other->run_step();
      EXPECT_EQ(other->root(), root) << kernels::name(isa) << " on " << threads << " threads";
    }
  }
}

TEST(Trace, SameProgramSamePlan) { EXPECT_EQ(Training(5).traced.facts.id, Training(5).traced.facts.id); }

TEST(Trace, DispatcherAndExecutorGiveTheSameBits) {
  Training training(1);
  Rehearsal rehearsal;
  rehearsal.seed = 3;
  for (const NamedTensor& tensor : training.data.file.tensors) rehearsal.bytes[tensor.name] = tensor.bytes;
  rehearsal.bytes[std::string(kSchedule)] = training.rates;
  const Trace traced = must(trace(training.import.program, training.request, &rehearsal));
  EXPECT_EQ(traced.facts.id, training.traced.facts.id);
  auto executor = training.executor();
  std::vector<std::vector<Hash>> ids(traced.plan.calls.size());
  executor->run_step([&](uint32_t call, uint8_t, ByteSpan bytes) { ids[call].push_back(blake3(bytes)); });
  EXPECT_EQ(ids, rehearsal.output_ids);
}

TEST(Executor, ResumingGivesTheSameBits) {
  const Training training(40);
  auto whole = training.executor();
  for (int step = 0; step < 40; step++) whole->run_step();
  auto first = training.executor();
  for (int step = 0; step < 17; step++) first->run_step();
  auto second = training.executor();
  must(second->load(first->save()));
  EXPECT_EQ(second->root(), first->root());
  while (second->step() < 40) second->run_step();
  EXPECT_EQ(second->root(), whole->root());
  EXPECT_EQ(root_of(whole->save()), whole->root());
}

TEST(Executor, OneNumberChangedOnceChangesTheRoot) {
  const Training training(6);
  auto honest = training.executor();
  ExecutorOptions options;
  const auto last = static_cast<uint32_t>(training.traced.plan.calls.size()) - 2;  // the last parameter's adam.v1
  options.tamper = [last](uint64_t step, uint32_t call, uint8_t output, std::span<uint8_t> bytes) {
    if (step == 3 && call == last && output == 2) bytes[2] ^= 0x20;  // a low bit may be rounded away again
  };
  auto liar = training.executor(options);
  for (int step = 0; step < 6; step++) {
    honest->run_step();
    liar->run_step();
    EXPECT_EQ(honest->root() == liar->root(), step < 3) << step;
  }
}

TEST(Executor, NotANumberIsFoundByName) {
  const Training training(3);
  ExecutorOptions options;
  options.tamper = [](uint64_t, uint32_t call, uint8_t, std::span<uint8_t> bytes) {
    const uint32_t nan = 0x7FC00000;
    if (call == 2) std::memcpy(bytes.data(), &nan, 4);
  };
  auto executor = training.executor(options);
  executor->run_step();
  const auto finite = executor->check_finite();
  ASSERT_FALSE(finite);
  EXPECT_EQ(finite.error().code, Code::not_finite);
}

// The digits again, by an optimizer and a batch of the test's own.
struct Trained {
  std::vector<float> losses;
  State before, after;
  attest::Plan plan;

  Trained(const Optimizer& optimizer, uint64_t batch, uint64_t steps) {
    const Import import = program("tests/runtime/programs/plain.pt2");
    const Data data("examples/digits/train.safetensors");
    TraceRequest request;
    request.data = data.types();
    request.batch = batch;
    request.steps = steps;
    request.optimizer = optimizer;
    const Trace traced = must(trace(import.program, request));
    plan = traced.plan;
    const Bytes rates = schedule(optimizer, steps);
    std::vector<ByteSpan> inputs;
    for (const attest::InputSlot& slot : plan.inputs) inputs.push_back(slot.name == kSchedule ? ByteSpan(rates) : data.file.find(slot.name)->bytes);
    auto executor = must(Executor::make(plan, inputs, 3, {}));
    before = must(initial_state(plan, 3, {}));
    must(executor->load(before));
    for (uint64_t step = 0; step < steps; step++) executor->run_step();
    after = executor->save();
    losses.resize(steps);
    std::memcpy(losses.data(), after.slots.back().data(), steps * 4);
  }
  // Of all that the optimizer moved.
  double distance() const {
    double squares = 0;
    for (size_t s = 0; s + 1 < plan.state.size(); s++) {
      if (plan.state[s].name.find(':') != std::string::npos) continue;
      for (size_t i = 0; i < before.slots[s].size(); i += 4) {
        float a = 0, b = 0;
        std::memcpy(&a, before.slots[s].data() + i, 4);
        std::memcpy(&b, after.slots[s].data() + i, 4);
        squares += std::pow(static_cast<double>(a) - static_cast<double>(b), 2);
      }
    }
    return std::sqrt(squares);
  }
};

TEST(Trace, AccumulatedBatchesAreOneBatch) {
  Optimizer optimizer;
  optimizer.kind = OptimizerKind::sgd;
  optimizer.lr_bits = std::bit_cast<uint32_t>(0.1f);
  const Trained whole(optimizer, 64, 20);
  optimizer.accumulate = 4;
  const Trained parts(optimizer, 16, 20);
  for (size_t step = 0; step < 20; step++) EXPECT_NEAR(whole.losses[step], parts.losses[step], 1e-5) << step;
}

TEST(Trace, AClippedStepIsAsLongAsItsLimit) {
  Optimizer optimizer;
  optimizer.kind = OptimizerKind::sgd;
  optimizer.lr_bits = std::bit_cast<uint32_t>(0.5f);
  const double free = Trained(optimizer, 64, 1).distance();
  optimizer.clip_norm_bits = std::bit_cast<uint32_t>(0.01f);
  EXPECT_NEAR(Trained(optimizer, 64, 1).distance(), 0.005, 1e-6);
  optimizer.clip_norm_bits = std::bit_cast<uint32_t>(1000.0f);
  EXPECT_NEAR(Trained(optimizer, 64, 1).distance(), free, 1e-6);
}

TEST(Optimizer, ScheduleFollowsItsCurve) {
  const struct {
    Curve curve;
    std::vector<float> rates;
  } rows[] = {
      {Curve::constant, {0.5f, 1, 1, 1, 1, 1}},
      {Curve::linear, {0.5f, 1, 1, 0.75f, 0.5f, 0.25f}},
      {Curve::cosine, {0.5f, 1, 1, 0.85355339f, 0.5f, 0.14644661f}},
      {Curve::step, {0.5f, 1, 1, 1, 0.1f, 0.1f}},
  };
  for (const auto& row : rows) {
    Optimizer optimizer;
    optimizer.kind = OptimizerKind::sgd;
    optimizer.lr_bits = std::bit_cast<uint32_t>(1.0f);
    optimizer.warmup_steps = 2;
    optimizer.curve = row.curve;
    optimizer.decay_every = 2;
    const Bytes table = schedule(optimizer, 6);
    for (size_t step = 0; step < 6; step++) {
      float rate = 0;
      std::memcpy(&rate, table.data() + 4 * step, 4);
      EXPECT_FLOAT_EQ(rate, row.rates[step]) << name(row.curve) << " " << step;
    }
  }
}

TEST(Optimizer, NumbersThatMakeNoScheduleAreRefused) {
  Optimizer optimizer;
  EXPECT_TRUE(check(optimizer));
  optimizer.accumulate = 0;
  EXPECT_EQ(check(optimizer).error().code, Code::usage);
  optimizer.accumulate = 1;
  optimizer.curve = Curve::step;
  EXPECT_EQ(check(optimizer).error().code, Code::usage);
  optimizer.decay_every = 3;
  EXPECT_TRUE(check(optimizer));
  optimizer.clip_norm_bits = std::bit_cast<uint32_t>(-1.0f);
  EXPECT_EQ(check(optimizer).error().code, Code::usage);
  EXPECT_EQ(parse_curve("cosinus").error().code, Code::usage);
}

std::vector<DataType> rows_of_four(int64_t rows, kernels::TensorType y) { return {{"x", {kernels::DType::f32, {rows, 4}}}, {"y", std::move(y)}}; }

TEST(Trace, UndefinedOperatorIsNamedWithItsPlace) {
  const Import import = program("tests/runtime/programs/undefined.pt2");
  TraceRequest request;
  request.data = rows_of_four(32, {kernels::DType::i64, {32}});
  const auto traced = trace(import.program, request);
  ASSERT_FALSE(traced);
  EXPECT_EQ(traced.error().code, Code::undefined_operator);
  EXPECT_NE(traced.error().text.find("lgamma"), std::string::npos) << traced.error().text;
  EXPECT_NE(traced.error().text.find("node 'lgamma' (aten.lgamma.default)"), std::string::npos) << traced.error().text;

  const Inspection inspection = must(inspect(import));  // goes on, and finds what backward would miss too
  EXPECT_GE(inspection.undefined.size(), 2u);
  bool backward = false;
  for (const std::string& one : inspection.undefined) backward |= one.find("backward pass of node 'lgamma'") != std::string::npos;
  EXPECT_TRUE(backward) << inspection.undefined.back();
}

TEST(Trace, InspectionSaysWhatGoesInAndOut) {
  const Inspection found = must(inspect(program("examples/digits/predict.pt2")));
  EXPECT_FALSE(found.trains);
  ASSERT_EQ(found.outputs.size(), 1u);
  EXPECT_EQ(found.outputs[0].type, "f32[64, 10]");
  EXPECT_GT(found.step_work_ns, 0u);
  EXPECT_TRUE(must(inspect(program("examples/digits/train.pt2"))).trains);
}

TEST(Trace, StaticBatchSaysWhatToAdd) {
  const Import import = program("tests/runtime/programs/static.pt2");
  TraceRequest request;
  request.data = rows_of_four(32, {kernels::DType::f32, {32, 4}});
  EXPECT_EQ(must(trace(import.program, request)).batch, 8u);
  request.batch = 16;
  const auto traced = trace(import.program, request);
  ASSERT_FALSE(traced);
  EXPECT_NE(traced.error().next.find("dynamic_shapes=({0: torch.export.Dim(\"batch\")}, {0: torch.export.Dim(\"batch\")})"), std::string::npos)
      << traced.error().next;
}

TEST(Trace, StateIsWhatTheGraphWrites) {
  const Import import = program("tests/runtime/programs/counter.pt2");
  TraceRequest request;
  request.data = rows_of_four(32, {kernels::DType::i64, {32}});
  request.optimizer.kind = OptimizerKind::sgd;
  const Trace traced = must(trace(import.program, request));
  std::vector<std::string> names;
  for (uint32_t s = 0; s < traced.plan.state.size(); s++) {
    names.push_back(traced.plan.state[s].name);
    const bool stays = traced.plan.state[s].next == attest::ValueRef{attest::From::state, s, 0};
    EXPECT_FALSE(stays) << names.back();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a.weight", "a.bias", "seen", "momentum:a.weight", "momentum:a.bias", "losses"}));
}

TEST(Trace, WrongDataIsExplained) {
  const Import import = program("examples/digits/train.pt2");
  TraceRequest request;
  request.data = {{"x", {kernels::DType::f32, {100, 64}}}};
  EXPECT_EQ(trace(import.program, request).error().code, Code::usage);  // no y
  request.data.push_back({"y", {kernels::DType::i64, {99}}});
  EXPECT_EQ(trace(import.program, request).error().code, Code::usage);  // lengths differ
  request.data[1].type = {kernels::DType::f32, {100}};
  EXPECT_EQ(trace(import.program, request).error().code, Code::usage);  // dtype
  request.data[1].type = {kernels::DType::i64, {100}};
  EXPECT_TRUE(trace(import.program, request));
  request.data[0].type.shape[1] = 63;
  EXPECT_EQ(trace(import.program, request).error().code, Code::usage);  // width
}

}  // namespace
}  // namespace cairn::runtime
