#include "tests/cheats/corpus.h"

#include <bit>
#include <cstring>
#include <memory>

#include "base/blake3.h"
#include "kernels/operator.h"

namespace cairn::cheats {

namespace {

using attest::From;
using kernels::DType;
using kernels::TensorType;

constexpr int64_t kRows = 64, kWide = 8;

float value_at(std::span<const uint8_t> bytes, size_t i) {
  float value = 0;
  std::memcpy(&value, bytes.data() + 4 * i, 4);
  return value;
}
void put_value(std::span<uint8_t> bytes, size_t i, float value) { std::memcpy(bytes.data() + 4 * i, &value, 4); }

// Numbers between -1 and 1 that look like data.
Bytes made_up(size_t count, std::string_view name) {
  Bytes bytes(count * 4);
  for (size_t i = 0; i < count; i++) {
    const Hash hash = tagged_hash(name, {encode(static_cast<uint64_t>(i))});
    put_value(bytes, i, static_cast<float>(hash.v[0] + 256 * hash.v[1]) / 32768.0f - 1.0f);
  }
  return bytes;
}

attest::Call call(std::string_view name, std::vector<attest::ValueRef> inputs, std::vector<TensorType> types, std::vector<int64_t> attrs) {
  const auto* op = kernels::find_operator(name);
  CHECK(op != nullptr);
  attest::Call out;
  out.op = op->id;
  out.attrs = std::move(attrs);
  out.inputs = std::move(inputs);
  out.input_types = std::move(types);
  out.output_types = must(op->infer(out.input_types, out.attrs));
  out.work_ns = attest::work_of(*op, {out.input_types, out.output_types, out.attrs}, attest::WorkTable{});
  return out;
}

}  // namespace

Training training(uint64_t steps, std::string_view product) {
  const auto n = static_cast<int64_t>(steps);
  const TensorType data{DType::f32, {kRows, kWide}}, schedule{DType::f32, {n, 1}}, square{DType::f32, {kWide, kWide}}, kept{DType::f32, {n, kWide}};
  Training out;
  out.plan.inputs = {{"data", data}, {"schedule", schedule}};
  out.inputs = {made_up(kRows * kWide, "data"), Bytes(steps * 4)};
  for (uint64_t i = 0; i < steps; i++) put_value(out.inputs[1], i, 0.05f);
  out.plan.state = {{"w", square, {attest::InitKind::uniform, std::bit_cast<uint32_t>(0.5f)}, {From::call, kSgd, 1}},
                    {"momentum", square, {attest::InitKind::zeros, 0}, {From::call, kSgd, 0}},
                    {"predictions", kept, {attest::InitKind::zeros, 0}, {From::call, kPut, 0}}};
  out.plan.calls = {call("sample_rows.v1", {{From::input, 0, 0}}, {data}, {kWide, 0}),
                    call(product, {{From::call, kSample, 0}, {From::state, 0, 0}}, {square, square}, {0, 0}),
                    call("tanh.v1", {{From::call, kProduct, 0}}, {square}, {}),
                    call(product, {{From::call, kSample, 0}, {From::call, kTanh, 0}}, {square, square}, {1, 0}),
                    call("sgd.v1", {{From::state, 0, 0}, {From::call, kGradient, 0}, {From::state, 1, 0}, {From::input, 1, 0}},
                         {square, square, square, schedule}, {kernels::attr_of(0.9f), kernels::attr_of(0.001f), 0}),
                    call("put_rows.v1", {{From::state, 2, 0}, {From::call, kTanh, 0}}, {kept, square}, {})};
  return out;
}

std::vector<Cheat> corpus(uint64_t segments, uint64_t interval) {
  const uint64_t middle = segments / 2 * interval;  // a step
  const auto add = [](std::string_view name, std::string_view what) { return Cheat{name, what, {}, {}, 0, {}, false, {}, 0}; };
  std::vector<Cheat> out;

  out.push_back(add("one_bit", "one flipped bit of one number of one product"));
  out.back().output = [=](uint64_t step, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (step == middle && c == kProduct) bytes[4 * 19 + 2] ^= 1;
  };
  out.push_back(add("one_optimizer_bit", "one flipped bit of one weight after the optimizer"));
  out.back().output = [=](uint64_t step, uint32_t c, uint8_t o, std::span<uint8_t> bytes) {
    if (step == middle && c == kSgd && o == 1) bytes[4 * 5] ^= 1;
  };
  out.push_back(add("random_output", "a checkpoint of random numbers"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>&, Slots& state) {
    if (segment == segments / 2) state[0] = made_up(state[0].size() / 4, "random");
  };
  out.push_back(add("skipped_steps", "a segment that was never run"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>& past, Slots& state) {
    if (segment == segments / 2) state = past.back();
  };
  out.push_back(add("skipped_tenth", "a tenth of the segments never run"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>& past, Slots& state) {
    if (segment % 10 == 3) state = past.back();
  };
  out.push_back(add("stale_checkpoint", "an old checkpoint in place of a new one"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>& past, Slots& state) {
    if (segment == segments - 2) state = past[segments / 4];
  };
  out.push_back(add("truncated_training", "the second half is the first half's end, again and again"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>& past, Slots& state) {
    if (segment >= segments / 2) state = past[segments / 2];
  };
  out.push_back(add("smaller_model", "half of the model's columns are not computed"));
  out.back().output = [](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c != kProduct) return;
    for (size_t i = 0; i < kWide * kWide; i++)
      if (i % kWide >= kWide / 2) put_value(bytes, i, 0.0f);
  };
  out.push_back(add("quantised_weights", "weights kept in 8 bits"));
  out.back().output = [](uint64_t, uint32_t c, uint8_t o, std::span<uint8_t> bytes) {
    if (c != kSgd || o != 1) return;
    for (size_t i = 0; i < kWide * kWide; i++) put_value(bytes, i, static_cast<float>(static_cast<int>(value_at(bytes, i) * 128)) / 128);
  };
  out.push_back(add("wrong_seed", "another seed: other rows of the data"));
  out.back().seed_shift = 1;
  out.push_back(add("wrong_data_order", "the rows of a batch in another order"));
  out.back().output = [](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c != kSample) return;
    for (size_t i = 0; i < kWide; i++) std::swap_ranges(bytes.begin(), bytes.begin() + 32, bytes.begin() + static_cast<long>(32 * i));
  };
  out.push_back(add("reused_batch", "the same rows in every step"));
  const auto first = std::make_shared<Bytes>();
  out.back().output = [first](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c != kSample) return;
    if (first->size() != bytes.size()) first->assign(bytes.begin(), bytes.end());
    std::copy(first->begin(), first->end(), bytes.begin());
  };
  out.push_back(add("half_batch", "half of a batch's rows, each twice"));
  out.back().output = [](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c == kSample) std::copy(bytes.begin(), bytes.begin() + static_cast<long>(bytes.size() / 2), bytes.begin() + static_cast<long>(bytes.size() / 2));
  };
  out.push_back(add("poisoned_data", "one number of the data, whenever it is drawn, is another"));
  const auto training_data = std::make_shared<Bytes>(made_up(kRows * kWide, "data"));
  out.back().output = [training_data](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c != kSample) return;
    for (size_t i = 0; i < kWide; i++)
      if (std::memcmp(bytes.data() + 32 * i, training_data->data(), 32) == 0) put_value(bytes, kWide * i, 2.0f);
  };
  out.push_back(add("rounded_products", "products in 16 bits"));
  out.back().output = [](uint64_t, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (c != kProduct) return;
    for (size_t i = 0; i < kWide * kWide; i++) bytes[4 * i] = bytes[4 * i + 1] = 0;
  };
  out.push_back(add("lost_momentum", "the optimizer's momentum is not kept over every tenth checkpoint"));
  out.back().checkpoint = [](uint64_t segment, const std::vector<Slots>&, Slots& state) {
    if (segment % 10 == 6) std::fill(state[1].begin(), state[1].end(), uint8_t{0});
  };
  out.push_back(add("extrapolated_checkpoint", "weights guessed from the two checkpoints before, in place of a segment's run"));
  out.back().checkpoint = [=](uint64_t segment, const std::vector<Slots>& past, Slots& state) {
    if (segment != segments / 3) return;
    const Slots &last = past.back(), &before = past[past.size() - 2];
    for (size_t i = 0; i < kWide * kWide; i++) put_value(state[0], i, 2 * value_at(last[0], i) - value_at(before[0], i));
  };
  out.push_back(add("wrong_optimizer_constant", "momentum 0.8 in place of 0.9"));
  out.back().plan = [](attest::Plan& plan) {
    if (plan.calls.size() > kSgd) plan.calls[kSgd].attrs[0] = kernels::attr_of(0.8f);
  };
  out.push_back(add("forged_predictions", "the model is honest, a prediction is not"));
  out.back().output = [=](uint64_t step, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (step == middle && c == kPut) put_value(bytes, middle * kWide % (bytes.size() / 4), 1.0f);
  };
  out.push_back(add("copied_commitment", "somebody else's honest roots, without the run: the drawn call's id is a guess"));
  out.back().call_id = true;
  out.push_back(add("forged_proof", "one false number, and proofs in the game that do not open"));
  out.back().output = [=](uint64_t step, uint32_t c, uint8_t, std::span<uint8_t> bytes) {
    if (step == middle && c == kProduct) bytes[2] ^= 0x40;  // so much that tanh does not round it away
  };
  out.back().move = [](attest::Move& move) {
    if (auto* show = std::get_if<attest::ShowNode>(&move)) show->children[0].v[0] ^= 1;
    if (auto* show = std::get_if<attest::ShowCalls>(&move)) show->children[0].v[0] ^= 1;
    if (auto* show = std::get_if<attest::ShowOutputs>(&move)) show->output_ids[0].v[0] ^= 1;
  };
  out.push_back(add("late_answer", "an honest run whose checks are answered too late"));
  out.back().late_ms = 30'000;
  return out;
}

const Cheat* find(const std::vector<Cheat>& corpus, std::string_view name) {
  for (const Cheat& cheat : corpus)
    if (cheat.name == name) return &cheat;
  return nullptr;
}

}  // namespace cairn::cheats
