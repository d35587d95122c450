#include "runtime/judge.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "runtime/native.h"

namespace cairn::runtime {
namespace {

using kernels::DType;

constexpr NativeBound kBounds[] = {
#define BOUND(op, output, dtype, element, scale) {op, output, DType::dtype, element, scale},
#include "runtime/native_bounds.inc"
#undef BOUND
};

// Numbers of any type, as doubles.
std::vector<double> numbers(const kernels::TensorType& type, ByteSpan bytes) {
  const auto size = static_cast<size_t>(kernels::size_of(type.dtype));
  std::vector<double> out;
  for (size_t at = 0; at < bytes.size(); at += size) {
    uint64_t bits = 0;
    std::memcpy(&bits, &bytes[at], size);
    switch (type.dtype) {
      case DType::f32: out.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits))); break;
      case DType::bf16: out.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits << 16))); break;
      case DType::i64: out.push_back(static_cast<double>(static_cast<int64_t>(bits))); break;
      case DType::i32: out.push_back(static_cast<int32_t>(bits)); break;
      case DType::u8: out.push_back(static_cast<double>(bits)); break;
    }
  }
  return out;
}

struct Distance {
  double mean = 0;     // root of the mean square
  double largest = 0;
};
// Not finite where one of them is not.
Distance distance(const std::vector<double>& a, const std::vector<double>& b) {
  Distance out;
  for (size_t i = 0; i < a.size(); i++) {
    const double d = std::fabs(a[i] - b[i]);
    if (!std::isfinite(d)) return {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
    out.mean += d * d;
    out.largest = std::max(out.largest, d);
  }
  out.mean = std::sqrt(out.mean / static_cast<double>(std::max<size_t>(1, a.size())));
  return out;
}

// Thousandths of what is tolerated.
uint64_t permille(double found, double spread) {
  constexpr uint64_t kFar = 1'000'000;
  if (found == 0) return 0;
  const double share = 1000 * found / (kSlack * spread);
  return share < static_cast<double>(kFar) ? static_cast<uint64_t>(std::ceil(share)) : kFar;
}

uint64_t mixed(uint64_t z) {  // splitmix64
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Bounds of each call's outputs, null where there is none.
class Disturbance {
 public:
  Disturbance(const attest::Plan& plan, uint64_t run) : run_(run) {
    for (const attest::Call& call : plan.calls) {
      const std::string_view name = kernels::find_operator(call.op)->name;
      auto& bounds = bounds_.emplace_back();
      for (size_t o = 0; o < call.output_types.size(); o++) {
        const auto found = std::find_if(std::begin(kBounds), std::end(kBounds), [&](const NativeBound& bound) {
          return bound.op == name && bound.output == o && bound.dtype == call.output_types[o].dtype;
        });
        bounds.push_back(found == std::end(kBounds) ? nullptr : found);
      }
    }
  }

  void operator()(uint64_t step, uint32_t call, uint8_t output, std::span<uint8_t> bytes) const {
    const NativeBound* bound = bounds_[call][output];
    if (bound == nullptr) return;
    const uint64_t seed = mixed(mixed(mixed(run_) + step) + (uint64_t{call} << 8 | output));
    if (bound->dtype == DType::f32) disturb<uint32_t, 0>(*bound, seed, bytes);
    if (bound->dtype == DType::bf16) disturb<uint16_t, 16>(*bound, seed, bytes);
  }

 private:
  template <class Word, int kShift>
  static void disturb(const NativeBound& bound, uint64_t seed, std::span<uint8_t> bytes) {
    const size_t count = bytes.size() / sizeof(Word);
    const auto at = [&](size_t i) {
      Word word;
      std::memcpy(&word, &bytes[i * sizeof(Word)], sizeof(Word));
      return std::bit_cast<float>(static_cast<uint32_t>(word) << kShift);
    };
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += static_cast<double>(at(i)) * static_cast<double>(at(i));
    const float scale = bound.scale * static_cast<float>(std::sqrt(squares / static_cast<double>(std::max<size_t>(1, count))));
    for (size_t i = 0; i < count; i++) {
      const float x = at(i), u = static_cast<float>(static_cast<int64_t>(mixed(seed + i)) >> 40) * 0x1p-23f;  // -1 .. 1
      const float y = x + u * (bound.element * std::fabs(x) + scale);
      const uint32_t bits = std::bit_cast<uint32_t>(y);
      const Word word = static_cast<Word>(kShift == 0 ? bits : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
      if (std::isfinite(y)) std::memcpy(&bytes[i * sizeof(Word)], &word, sizeof(Word));
    }
  }

  const uint64_t run_;
  std::vector<std::vector<const NativeBound*>> bounds_;
};

}  // namespace

std::span<const NativeBound> native_bounds() { return kBounds; }

Result<Judged> judge_segment(JobRun& job, const StatePoint& from, const StatePoint& claimed) {
  const attest::Plan& plan = job.plan();
  if (from.step >= claimed.step)
    return Error{Code::invalid, "a segment ends after it begins", "ask for what was drawn"};
  TRY(job.enter(claimed));
  const State theirs = job.executor().save();
  TRY(job.enter(from));
  const State start = job.executor().save();
  const std::vector<ByteSpan> inputs(job.inputs().begin(), job.inputs().end());
  const auto run = [&](Tamper tamper) -> Result<State> {
    TRY_LET(native, NativeRun::make(plan, inputs, job.seed(), start, job.threads(), std::move(tamper)));
    while (native->state().step < claimed.step) native->run_step();
    return native->state();
  };
  TRY_LET(plain, run({}));
  std::vector<State> disturbed;
  for (uint64_t r = 1; r <= kDisturbedRuns; r++) {
    TRY_LET(state, run(Disturbance(plan, r)));
    disturbed.push_back(std::move(state));
  }

  Judged judged;
  for (size_t s = 0; s < plan.state.size(); s++) {
    const auto& type = plan.state[s].type;
    const std::vector<double> ours = numbers(type, plain.slots[s]);
    Distance spread;
    for (const State& state : disturbed) {
      const Distance d = distance(ours, numbers(type, state.slots[s]));
      spread = {std::max(spread.mean, d.mean), std::max(spread.largest, d.largest)};
    }
    const Distance found = distance(ours, numbers(type, theirs.slots[s]));
    const uint64_t share = std::max(permille(found.mean, spread.mean), permille(found.largest, spread.largest));
    if (share > judged.permille || judged.slot.empty()) judged = {share, plan.state[s].name};
  }
  return judged;
}

}  // namespace cairn::runtime
