// What a block of a fold reads: the chunks that a dispute has to open.
#pragma once

#include <chrono>
#include <set>

#include "tests/kernels/cases.h"

namespace cairn::kernels {

inline constexpr int64_t kChunk = 1024;
inline constexpr size_t kMostBytes = size_t{1} << 20;

// Gives made-up bits, remembers which chunks were read, and refuses what lies outside of an operand.
class RecordingSource final : public Source {
 public:
  explicit RecordingSource(const CallShape& call) {
    for (const TensorType& type : call.in) types_.push_back(type);
    for (const TensorType& type : call.out) types_.push_back(type);
  }
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand >= types_.size() || element < 0 || element >= elements(types_[operand]))
      throw SourceMissing{operand, element};
    chunks_.insert({operand, element * size_of(types_[operand].dtype) / kChunk});
    return types_[operand].dtype == DType::f32 ? std::bit_cast<uint32_t>(0.5f) : 0;
  }
  size_t opened_bytes() const { return chunks_.size() * static_cast<size_t>(kChunk); }

 private:
  Types types_;
  std::set<std::pair<size_t, int64_t>> chunks_;
};

struct Opening {
  int64_t blocks = 0;
  size_t bytes = 0;      // of the widest of some blocks of some elements: first, middle, last
  double slowest_ms = 0; // with recording
};
inline Opening widest_opening(const Operator& op, const CallShape& call, size_t output) {
  const int64_t last = elements(call.out[output]) - 1;
  Opening opening;
  opening.blocks = op.blocks(call, output);
  for (const int64_t element : {int64_t{0}, last / 2 + 77 < last ? last / 2 + 77 : 0, last})
    for (const int64_t block : {int64_t{0}, opening.blocks / 2, opening.blocks - 1}) {
      RecordingSource source(call);
      const auto start = std::chrono::steady_clock::now();
      op.fold(call, {1, 5}, output, element, block, {}, source);
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      opening.slowest_ms = std::max(opening.slowest_ms, took.count());
      opening.bytes = std::max(opening.bytes, source.opened_bytes());
    }
  return opening;
}

}  // namespace cairn::kernels
