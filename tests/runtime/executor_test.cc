// Where values lie between calls: slots that take each other's values, shared and untouched ones, intermediates that die and
// whose place is used again, against the definitions run call by call without any sharing.
#include "runtime/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "base/scratch.h"
#include "runtime/artefacts.h"
#include "runtime/job_run.h"

namespace cairn::runtime {
namespace {

using attest::From;
using attest::Plan;
using attest::ValueRef;
using kernels::TensorType;

const TensorType kType{kernels::DType::f32, {5, 7}};

Bytes numbers(float first, const TensorType& type = kType) {
  Bytes out(static_cast<size_t>(kernels::bytes(type)));
  for (size_t i = 0; i < out.size() / 4; i++) {
    const float value = first + static_cast<float>(i) / 8;
    std::memcpy(&out[i * 4], &value, 4);
  }
  return out;
}

ValueRef add_call(Plan& plan, uint16_t op, std::vector<ValueRef> inputs, const TensorType& type = kType) {
  attest::Call call;
  call.op = op;
  call.input_types.assign(inputs.size(), type);
  call.output_types = {type};
  call.inputs = std::move(inputs);
  call.work_ns = attest::work_of(*kernels::find_operator(op), {call.input_types, call.output_types, call.attrs}, {});
  plan.calls.push_back(std::move(call));
  return {From::call, static_cast<uint32_t>(plan.calls.size() - 1), 0};
}

// One step by the definitions, every value in a buffer of its own.
State by_definition(const Plan& plan, const std::vector<Bytes>& inputs, const State& before) {
  std::vector<Bytes> made;
  const auto value = [&](const ValueRef& ref) -> const Bytes& {
    switch (ref.from) {
      case From::input: return inputs[ref.index];
      case From::constant: return plan.constants[ref.index].bytes;
      case From::state: return before.slots[ref.index];
      case From::call: break;
    }
    return made[ref.index];
  };
  for (const attest::Call& call : plan.calls) {
    std::vector<const void*> in;
    for (const ValueRef& ref : call.inputs) in.push_back(value(ref).data());
    Bytes out(static_cast<size_t>(kernels::bytes(call.output_types[0])));
    void* const to = out.data();
    kernels::run_reference(*kernels::find_operator(call.op), {call.input_types, call.output_types, call.attrs}, {1, before.step}, in, {&to, 1});
    made.push_back(std::move(out));
  }
  State after{before.step + 1, {}};
  for (const attest::StateSlot& slot : plan.state) after.slots.push_back(value(slot.next));
  return after;
}

// A device that is the host's memory and definitions, and keeps to the contract: what is recorded runs again as it was given.
class Recording final : public kernels::Accelerator {
 public:
  void* allocate(size_t bytes) override { return std::aligned_alloc(64, bytes); }
  void release(void* memory) override { std::free(memory); }
  void run(const kernels::StepContext& step, std::optional<uint32_t> turn, const std::function<void()>& give) override {
    step_ = step;
    auto& work = recorded_[turn.value_or(kNever)];
    if (!turn) work.clear();
    work_ = &work;
    if (work.empty()) give();
    for (const auto& piece : work) piece();
  }
  void launch(const kernels::Operator& op, const kernels::CallShape& call, std::span<const void* const> in, std::span<void* const> out) override {
    work_->push_back([this, &op, call, in = std::vector(in.begin(), in.end()), out = std::vector(out.begin(), out.end())] {
      for (const void* to : out) EXPECT_EQ(std::count(in.begin(), in.end(), to), 0) << "written over what is read";
      kernels::run_reference(op, call, step_, in, out);
    });
  }
  void copy(void* to, const void* from, size_t bytes) override {
    work_->push_back([=] { std::memcpy(to, from, bytes); });
  }
  void wait() override {}

 private:
  static constexpr uint32_t kNever = UINT32_MAX;
  kernels::StepContext step_{};
  std::map<uint32_t, std::vector<std::function<void()>>> recorded_;
  std::vector<std::function<void()>>* work_ = nullptr;
};

void expect_same(const Plan& plan, const std::vector<Bytes>& inputs, const ExecutorOptions& options) {
  must(attest::validate(plan, {}));
  State wanted{0, {}};
  for (size_t s = 0; s < plan.state.size(); s++) wanted.slots.push_back(numbers(static_cast<float>(s) - 1.5f));
  const std::vector<ByteSpan> spans(inputs.begin(), inputs.end());
  auto executor = must(Executor::make(plan, spans, 1, options));
  must(executor->load(wanted));
  for (int step = 0; step < 5; step++) {
    wanted = by_definition(plan, inputs, wanted);
    executor->run_step();
    ASSERT_EQ(executor->save().slots, wanted.slots) << "step " << step;
    ASSERT_EQ(executor->root(), root_of(wanted));
  }
}
void expect_same(const Plan& plan, const std::vector<Bytes>& inputs) {
  ExecutorOptions recorded;
  recorded.accelerator = [] { return std::make_unique<Recording>(); };
  expect_same(plan, inputs, {});
  expect_same(plan, inputs, recorded);
  if (kernels::make_accelerator() == nullptr) return;
  ExecutorOptions gpu;
  gpu.accelerator = kernels::make_accelerator;
  expect_same(plan, inputs, gpu);
}

void add_slot(Plan& plan, ValueRef next) { plan.state.push_back({"slot" + std::to_string(plan.state.size()), kType, {}, next}); }

TEST(Executor, SlotsTakeEachOthersValues) {
  Plan plan;
  plan.inputs = {{"x", kType}};
  plan.constants = {{kType, numbers(9)}};
  add_slot(plan, {From::state, 1, 0});     // 0 and 1 change places
  add_slot(plan, {From::state, 0, 0});
  add_slot(plan, {From::state, 2, 0});     // stays
  add_slot(plan, {From::input, 0, 0});
  add_slot(plan, {From::constant, 0, 0});
  const ValueRef sum = add_call(plan, 20, {{From::state, 5, 0}, {From::state, 0, 0}});
  add_slot(plan, sum);                     // written over its own slot, or not
  add_slot(plan, sum);                     // and shared
  add_slot(plan, {From::state, 5, 0});     // the old value of a slot that changes
  expect_same(plan, {numbers(3)});
}

// Random programs of adds, products, relus and negations over state, inputs and each other.
TEST(Executor, AnyWiringEqualsTheDefinitions) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; round++) {
    Plan plan;
    plan.inputs = {{"x", kType}};
    plan.constants = {{kType, numbers(0.5f)}};
    const auto slots = static_cast<uint32_t>(1 + random() % 6), calls = static_cast<uint32_t>(1 + random() % 12);
    const auto any = [&](uint32_t calls_before) -> ValueRef {
      const auto pick = static_cast<uint32_t>(random() % (slots + 2 + calls_before));
      if (pick < slots) return {From::state, pick, 0};
      if (pick == slots) return {From::input, 0, 0};
      if (pick == slots + 1) return {From::constant, 0, 0};
      return {From::call, pick - slots - 2, 0};
    };
    for (uint32_t c = 0; c < calls; c++) {
      const uint16_t op = std::array<uint16_t, 5>{20, 21, 22, 27, 30}[random() % 5];
      if (op < 27) add_call(plan, op, {any(c), any(c)});
      else add_call(plan, op, {any(c)});
    }
    for (uint32_t s = 0; s < slots; s++) add_slot(plan, any(calls));
    ASSERT_NO_FATAL_FAILURE(expect_same(plan, {numbers(-2)})) << "round " << round;
    if (HasFailure()) return;
  }
}

// h = 0.01 (h A' + b) B' by weights that are inputs; and the same where one of them is read otherwise too.
TEST(Executor, WeightsLiePackedWhereProductsAloneReadThem) {
  const TensorType few{kernels::DType::f32, {4, 6}}, wide{kernels::DType::f32, {4, 25}}, a{kernels::DType::f32, {25, 6}}, b{kernels::DType::f32, {25}}, back{kernels::DType::f32, {6, 25}};
  const auto product = [](Plan& plan, std::string_view op, std::vector<ValueRef> inputs, std::vector<TensorType> types, std::vector<int64_t> attrs) {
    attest::Call call;
    call.op = kernels::find_operator(op)->id;
    call.inputs = std::move(inputs);
    call.input_types = std::move(types);
    call.attrs = std::move(attrs);
    call.output_types = must(kernels::find_operator(op)->infer(call.input_types, call.attrs));
    call.work_ns = attest::work_of(*kernels::find_operator(op), {call.input_types, call.output_types, call.attrs}, {});
    plan.calls.push_back(std::move(call));
    return ValueRef{From::call, static_cast<uint32_t>(plan.calls.size() - 1), 0};
  };
  const std::vector<Bytes> weights{numbers(-4, a), numbers(0, b), numbers(-9, back)};
  for (const bool otherwise : {false, true})
    for (const kernels::Isa isa : kernels::isas())
      for (const int threads : {1, 2}) {
        Plan plan;
        plan.inputs = {{"a", a}, {"b", b}, {"c", back}};
        const ValueRef there = product(plan, "linear.f32.v1", {{From::state, 0, 0}, {From::input, 0, 0}, {From::input, 1, 0}}, {few, a, b}, {1});
        const ValueRef less = product(plan, "mul_scalar.v1", {there}, {wide}, {kernels::attr_of(0.01f)});
        const ValueRef next = product(plan, "matmul.f32.v1", {less, {From::input, 2, 0}}, {wide, back}, {0, 1});
        plan.state = {{"h", few, {}, next}};
        if (otherwise) plan.state.push_back({"a too", a, {}, product(plan, "neg.v1", {{From::input, 0, 0}}, {a}, {})});
        if (otherwise) plan.state.push_back({"c too", back, {}, {From::input, 2, 0}});
        must(attest::validate(plan, {}));
        State wanted{0, {numbers(-1, few)}};
        if (otherwise) wanted.slots.insert(wanted.slots.end(), {numbers(1, a), numbers(2, back)});
        ExecutorOptions options;
        options.isa = isa;
        options.threads = threads;
        const std::vector<ByteSpan> spans(weights.begin(), weights.end());
        auto executor = must(Executor::make(plan, spans, 1, options));
        must(executor->load(wanted));
        for (int step = 0; step < 3; step++) {
          wanted = by_definition(plan, weights, wanted);
          executor->run_step();
          ASSERT_EQ(executor->save().slots, wanted.slots) << name(isa) << ", " << threads << " threads, step " << step;
        }
      }
}

// x = x B by digits, so small that one step in many checks itself: one whose machine breaks then says so, and where.
TEST(Executor, AStepOnABrokenMachineNamesItsCall) {
  const TensorType square{kernels::DType::f32, {8, 8}};
  for (const std::string_view name : {"matmul.int2.v1", "matmul.int2.row.v1"}) {
    const kernels::Operator& op = *kernels::find_operator(name);
    Plan plan;
    attest::Call call;
    call.op = op.id;
    call.attrs = {0, 0};
    call.inputs = {{From::state, 0, 0}, {From::input, 0, 0}};
    call.input_types = {square, square};
    call.output_types = must(op.infer(call.input_types, call.attrs));
    call.work_ns = attest::work_of(op, {call.input_types, call.output_types, call.attrs}, {});
    plan.inputs = {{"b", square}};
    plan.state = {{"x", square, {}, {From::call, 0, static_cast<uint8_t>(call.output_types.size() - 1)}}};
    plan.calls = {call};
    Bytes rotation(64 * 4);  // B turns columns round, so that x never dies
    for (size_t i = 0; i < 8; i++) {
      const float one = 1;
      std::memcpy(&rotation[4 * (8 * i + (i + 1) % 8)], &one, 4);
    }
    Bytes start(64 * 4);
    for (size_t i = 0; i < 64; i++) {
      const float value = static_cast<float>(i) - 31.5f;
      std::memcpy(&start[4 * i], &value, 4);
    }
    for (const bool broken : {false, true}) {
      ExecutorOptions options;
      int tiles = 0;
      options.break_tile = [&](int64_t, std::span<int32_t> a, std::span<int32_t>) {
        tiles++;
        if (broken) a[0] ^= 1 << 5;
      };
      const std::vector<ByteSpan> inputs{rotation};
      auto executor = must(Executor::make(plan, inputs, 1, options));
      must(executor->load({0, {start}}));
      std::string said;
      try {
        while (executor->step() < 400) executor->run_step();
        must(executor->canary(true));
      } catch (const Fault& fault) {
        EXPECT_EQ(fault.error().code, Code::known_answer);
        said = fault.error().text;
      }
      EXPECT_GE(tiles, 1);
      EXPECT_TRUE(said.starts_with(broken ? "step 0, call 0: " + std::string(name) + ": the sums of column " : "")) << said;
      EXPECT_EQ(said.empty(), !broken) << said;
    }
  }
}

// Two to the 31 elements are a plan like any other, with the memory that it needs known before anything of it is there.
TEST(Executor, TwoToThe31ElementsAreRefusedWhereMemoryIsLess) {
  const TensorType large{kernels::DType::f32, {int64_t{1} << 16, int64_t{1} << 15}};
  Plan plan;
  add_slot(plan, add_call(plan, 20, {{From::state, 0, 0}, {From::state, 0, 0}}, large));
  plan.state[0].type = large;
  const auto facts = attest::validate(plan, {});
  ASSERT_TRUE(facts) << facts.error().text;
  EXPECT_GE(facts->peak_bytes, uint64_t{1} << 33);

  std::string store = std::filesystem::temp_directory_path() / "cairn-executor-XXXXXX";
  ASSERT_NE(::mkdtemp(store.data()), nullptr);
  Work work;
  work.store = store;
  work.plan = must(write_artefact(store, encode(plan)));
  work.memory_bytes = uint64_t{1} << 30;
  const auto job = JobRun::load(work);
  ASSERT_FALSE(job);
  EXPECT_EQ(job.error().code, Code::memory_limit);
  EXPECT_NE(job.error().text.find(std::to_string(facts->peak_bytes)), std::string::npos) << job.error().text;
  std::filesystem::remove_all(store);
}

// A provider's threads keep what two jobs share.
TEST(Artefacts, ThreadsMayWriteOne) {
  const Scratch scratch;
  const Bytes bytes(1 << 20, 7);
  for (int round = 0; round < 20; round++) {
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; n++)
      threads.emplace_back([&] {
        const auto id = write_artefact(scratch.path, bytes);
        EXPECT_TRUE(id) << (id ? "" : id.error().text);
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(must(read_artefact(scratch.path, blake3(bytes), bytes.size())), bytes);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path), {}), 1);
    std::filesystem::remove(scratch.path / blake3(bytes).hex());
  }
}

}  // namespace
}  // namespace cairn::runtime
