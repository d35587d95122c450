// Honest checks never disagree: segments run again at another instruction set and number of threads, compared as verdicts are.
//
//   checks_test --checks=100000      a few hundred in an ordinary run
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <random>

#include "attest/tree.h"
#include "runtime/executor.h"
#include "tests/attest/trial.h"

namespace cairn::runtime {
namespace {

int checks = 400;

using attest::From;
using kernels::DType;
using kernels::TensorType;

// Products that are wide enough to be shared among threads, in every numeric class, one behind the other.
attest::Example wide() {
  attest::Example example;
  const TensorType a{DType::f32, {96, 320}}, b{DType::f32, {320, 160}}, c{DType::f32, {96, 160}};
  std::mt19937_64 rng(3);
  const auto numbers = [&](const TensorType& type) {
    Bytes bytes(static_cast<size_t>(kernels::bytes(type)));
    for (size_t i = 0; i < bytes.size(); i += 4) {
      const float value = static_cast<float>(static_cast<int64_t>(rng() % 2001) - 1000) / 997.0f;
      std::memcpy(bytes.data() + i, &value, 4);
    }
    return bytes;
  };
  example.plan.inputs = {{"b", b}};
  example.inputs = {numbers(b)};
  example.plan.state = {{"a", a, {attest::InitKind::given, 0}, {From::state, 0, 0}}};
  example.start = {numbers(a)};
  for (const char* name : {"matmul.f32.v1", "matmul.int2.v1", "matmul.int2.row.v1", "matmul.int3.v1"}) {
    const auto* op = kernels::find_operator(name);
    attest::Call call;
    call.op = op->id;
    call.attrs = {0, 0};
    call.inputs = {{From::state, 0, 0}, {From::input, 0, 0}};
    call.input_types = {a, b};
    call.output_types = must(op->infer(call.input_types, call.attrs));
    call.work_ns = attest::work_of(*op, {call.input_types, call.output_types, call.attrs}, attest::WorkTable{});
    const auto index = static_cast<uint32_t>(example.plan.calls.size());
    const auto last = static_cast<uint8_t>(call.output_types.size() - 1);
    example.plan.calls.push_back(std::move(call));
    example.plan.state.push_back({std::string("c") + std::to_string(index), c, {attest::InitKind::given, 0}, {From::call, index, last}});
    example.start.emplace_back(static_cast<size_t>(kernels::bytes(c)));
  }
  return example;
}

// A job, and an executor for every way to run it.
struct Job {
  attest::Example example;
  uint64_t steps = 0;
  std::map<std::pair<kernels::Isa, int>, std::unique_ptr<Executor>> executors;

  // What a verifier would know of call `call` of step `step`, and of the end.
  attest::Knowledge run(kernels::Isa isa, int threads, uint64_t step, uint32_t call) {
    auto& executor = executors[{isa, threads}];
    if (!executor) {
      const std::vector<ByteSpan> inputs(example.inputs.begin(), example.inputs.end());
      ExecutorOptions options;
      options.isa = isa;
      options.threads = threads;
      executor = must(Executor::make(example.plan, inputs, 77, options));
    }
    EXPECT_TRUE(executor->load({0, example.start}));
    std::vector<Hash> ids;
    for (uint64_t s = 0; s < steps; s++)
      executor->run_step([&](uint32_t at, uint8_t, ByteSpan bytes) {
        if (s == step && at == call) ids.push_back(blake3(bytes));
      });
    return {attest::call_id(ids), executor->root()};
  }
};

TEST(Checks, HonestOnesNeverDisagree) {
  const std::span<const kernels::Isa> isas = kernels::isas();
  std::mt19937_64 rng(2026);
  std::vector<Job> jobs(1);
  jobs[0].example = wide();
  jobs[0].steps = 1;
  std::map<kernels::Isa, int> by_isa;
  std::map<int, int> by_threads;
  int done = 0, disagreements = 0;
  while (done < checks) {
    // New programs now and then; every executor of the old ones goes.
    jobs.resize(1);
    for (int i = 0; i < 4; i++) {
      jobs.emplace_back();
      jobs.back().example = attest::random_example(rng, 4 + rng() % 20);
      jobs.back().steps = 1 + rng() % 3;
    }
    for (Job& job : jobs) {
      const uint64_t step = rng() % job.steps;
      const auto call = static_cast<uint32_t>(rng() % job.example.plan.calls.size());
      const attest::Knowledge truth = job.run(kernels::Isa::scalar, 1, step, call);
      for (int i = 0; i < 50 && done < checks; i++, done++) {
        const kernels::Isa isa = isas[rng() % isas.size()];
        const int threads = 1 + static_cast<int>(rng() % 8);
        by_isa[isa]++;
        by_threads[threads]++;
        const attest::Knowledge found = job.run(isa, threads, step, call);
        disagreements += !(found == truth);
        ASSERT_EQ(found.end_root, truth.end_root) << kernels::name(isa) << ", " << threads << " threads";
        ASSERT_EQ(found.call_id, truth.call_id) << kernels::name(isa) << ", " << threads << " threads, call " << call;
      }
    }
  }
  std::printf("%d checks, %d disagreements;", done, disagreements);
  for (const auto& [isa, count] : by_isa) std::printf(" %s %d", std::string(kernels::name(isa)).c_str(), count);
  std::printf("; by threads");
  for (const auto& [threads, count] : by_threads) std::printf(" %d: %d", threads, count);
  std::printf("\n");
}

}  // namespace
}  // namespace cairn::runtime

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i++)
    if (std::string(argv[i]).rfind("--checks=", 0) == 0) cairn::runtime::checks = std::atoi(argv[i] + 9);
  return RUN_ALL_TESTS();
}
