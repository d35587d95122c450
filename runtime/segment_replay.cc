#include "runtime/segment_replay.h"

#include <algorithm>

#include "attest/tree.h"

namespace cairn::runtime {

using attest::From;

SegmentReplay::SegmentReplay(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t start, uint64_t end, size_t cache_bytes)
    : plan_(plan), start_(start), end_(end), cache_bytes_(cache_bytes) {
  for (const ByteSpan input : inputs) inputs_.emplace_back(input.begin(), input.end());
}

Result<std::unique_ptr<SegmentReplay>> SegmentReplay::make(const attest::Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed,
                                                           State start, uint64_t end_step, ExecutorOptions options, size_t cache_bytes) {
  std::unique_ptr<SegmentReplay> replay(new SegmentReplay(plan, inputs, start.step, end_step, cache_bytes));
  TRY_LET(executor, Executor::make(plan, inputs, seed, std::move(options)));
  replay->executor_ = std::move(executor);
  TRY(replay->executor_->load(start));
  size_t state_bytes = 1;
  for (const Bytes& slot : start.slots) state_bytes += slot.size();
  const uint64_t room = std::max<uint64_t>(cache_bytes / state_bytes, 1), steps = end_step - start.step;
  replay->keep_every_ = std::max<uint64_t>((steps + room - 1) / room, 1);
  replay->kept_[start.step] = std::move(start);
  return replay;
}

void SegmentReplay::go_to(uint64_t step) {
  CHECK(step >= start_ && step <= end_);
  const auto before = std::prev(kept_.upper_bound(step));
  if (executor_->step() > step || executor_->step() < before->first) must(executor_->load(before->second));
  while (executor_->step() < step) {
    executor_->run_step();
    if ((executor_->step() - start_) % keep_every_ == 0) kept_.try_emplace(executor_->step(), executor_->save());
  }
}

std::vector<Hash> SegmentReplay::step_roots() {
  for (uint64_t step = start_ + step_roots_.size() + 1; step <= end_; step++) {
    go_to(step);
    step_roots_.push_back(executor_->root());
  }
  return step_roots_;
}

void SegmentReplay::look_at(uint64_t step) {
  if (looked_at_ == step) return;
  go_to(step);
  size_t total = 0;
  for (const attest::Call& call : plan_.calls)
    for (const kernels::TensorType& type : call.output_types) total += static_cast<size_t>(kernels::bytes(type));
  ids_.assign(plan_.calls.size(), {});
  values_.assign(total <= cache_bytes_ ? plan_.calls.size() : 0, {});
  executor_->run_step([&](uint32_t call, uint8_t, ByteSpan bytes) {
    ids_[call].push_back(blake3(bytes));
    if (!values_.empty()) values_[call].emplace_back(bytes.begin(), bytes.end());
  });
  looked_at_ = step;
}

std::vector<Hash> SegmentReplay::call_ids(uint64_t step) {
  look_at(step);
  std::vector<Hash> out;
  for (const std::vector<Hash>& ids : ids_) out.push_back(attest::call_id(ids));
  return out;
}

std::vector<Hash> SegmentReplay::output_ids(uint64_t step, uint32_t call) {
  look_at(step);
  return ids_.at(call);
}

std::vector<Hash> SegmentReplay::state_ids(uint64_t step) {
  go_to(step);
  std::vector<Hash> out;
  for (size_t s = 0; s < plan_.state.size(); s++) out.push_back(blake3(executor_->slot(s)));
  return out;
}

Bytes SegmentReplay::value(uint64_t step, const attest::ValueRef& ref) {
  switch (ref.from) {
    case From::input: return inputs_.at(ref.index);
    case From::constant: return plan_.constants.at(ref.index).bytes;
    case From::state: {
      go_to(step);
      const ByteSpan bytes = executor_->slot(ref.index);
      return {bytes.begin(), bytes.end()};
    }
    case From::call: break;
  }
  look_at(step);
  if (!values_.empty()) return values_.at(ref.index).at(ref.output);
  Bytes out;
  go_to(step);
  executor_->run_step([&](uint32_t call, uint8_t output, ByteSpan bytes) {
    if (call == ref.index && output == ref.output) out.assign(bytes.begin(), bytes.end());
  });
  return out;
}

}  // namespace cairn::runtime
