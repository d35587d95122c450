// Games of the largest size, over trees that are made up but for the one call that is disputed.
#pragma once

#include "tests/attest/trial.h"

namespace cairn::attest {

// A party in a job of the largest size: its trees are made up, but for the one call that is disputed.
class Vast final : public Replay {
 public:
  static constexpr uint64_t kSeed = 77;
  static constexpr uint64_t kSteps = 100'000, kStep = 67'890;
  static constexpr uint32_t kCalls = 100'000, kCall = 77'777;

  Vast(const Example& example, Bytes output, bool liar) : example_(example), output_(std::move(output)) {
    for (uint64_t i = 0; i < kSteps; i++) roots_.push_back(made_up("step", i, liar && i >= kStep));
    for (uint64_t i = 0; i < kCalls; i++) calls_.push_back(made_up("call", i, liar && i > kCall));
    calls_[kCall] = call_id(output_ids(kStep, kCall));
  }
  std::vector<Hash> input_ids() override {
    std::vector<Hash> ids;
    for (const Bytes& input : example_.inputs) ids.push_back(blake3(input));
    return ids;
  }
  std::vector<Hash> step_roots() override { return roots_; }
  std::vector<Hash> call_ids(uint64_t) override { return calls_; }
  std::vector<Hash> output_ids(uint64_t, uint32_t) override { return {blake3(output_)}; }
  std::vector<Hash> state_ids(uint64_t) override { return {}; }
  Bytes value(uint64_t, const ValueRef& ref) override { return ref.from == From::input ? example_.inputs[ref.index] : output_; }

 private:
  static Hash made_up(std::string_view what, uint64_t i, bool lie) {
    return tagged_hash(what, {encode(i), encode(lie)});
  }
  const Example& example_;
  Bytes output_;
  std::vector<Hash> roots_, calls_;
};

// A product of (rows, depth) and (depth, columns) in it, with one false number.
inline Played play_vast(std::string_view product, int64_t rows, int64_t depth, int64_t columns) {
  using kernels::DType;
  const kernels::Operator& matmul = *kernels::find_operator(product);
  Example example;
  Call call;
  call.op = matmul.id;
  call.attrs = {0, 0};
  call.inputs = {{From::input, 0, 0}, {From::input, 1, 0}};
  call.input_types = {{DType::f32, {rows, depth}}, {DType::f32, {depth, columns}}};
  call.output_types = {{DType::f32, {rows, columns}}};
  example.plan.calls.assign(Vast::kCalls, call);
  example.plan.state.resize(1);
  std::mt19937_64 rng(1);
  for (const TensorType& type : call.input_types) {
    Bytes bytes(static_cast<size_t>(kernels::bytes(type)));
    for (size_t i = 0; i < bytes.size(); i += 4) {
      const float value = static_cast<float>(static_cast<int64_t>(rng() % 2001) - 1000) / 997.0f;
      std::memcpy(bytes.data() + i, &value, 4);
    }
    example.plan.inputs.push_back({"input" + std::to_string(example.inputs.size()), type});
    example.inputs.push_back(std::move(bytes));
  }
  // Only the disputed element of the output needs to be what the call gives.
  const int64_t element = rows * columns * 3 / 4;
  const kernels::CallShape shape{call.input_types, call.output_types, call.attrs};
  const void* in[] = {example.inputs[0].data(), example.inputs[1].data()};
  void* none[] = {nullptr};
  kernels::MemorySource source(shape, in, none);
  const int64_t blocks = matmul.blocks(shape, 0);
  kernels::Carry carry;
  for (int64_t b = 0; b < blocks; b++) carry = matmul.fold(shape, {Vast::kSeed, Vast::kStep}, 0, element, b, carry, source);
  Bytes truth(static_cast<size_t>(kernels::bytes(call.output_types[0])));
  std::memcpy(truth.data() + element * 4, &carry.lo, 4);
  Bytes lie = truth;
  lie[static_cast<size_t>(element) * 4] ^= 1;

  Vast honest(example, truth, false), liar(example, lie, true);
  GameTerms terms;
  terms.plan_root = plan_root(example.plan);
  terms.calls = Vast::kCalls;
  terms.state_slots = 1;
  terms.inputs = static_cast<uint32_t>(example.inputs.size());
  terms.input_root = tree_root(honest.input_ids());
  terms.seed = Vast::kSeed;
  terms.end_step = Vast::kSteps;
  terms.end_root = liar.step_roots().back();
  terms.challenger_end_root = honest.step_roots().back();
  return play_out(terms, example.plan, liar, honest);
}

}  // namespace cairn::attest
