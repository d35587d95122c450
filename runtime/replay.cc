#include "runtime/replay.h"

#include "attest/tree.h"

namespace cairn::runtime {

SegmentReplay::SegmentReplay(JobRun& job, const StatePoint& from, uint64_t until_step)
    : job_(job), from_(from.step), until_(until_step) {
  must(job_.enter(from));
  first_ = job_.executor().save();
}

void SegmentReplay::go_to(uint64_t step) {
  Executor& executor = job_.executor();
  if (executor.step() > step) must(executor.load(first_));
  while (executor.step() < step) executor.run_step();
}

std::vector<Hash> SegmentReplay::input_ids() { return job_.input_ids(); }

std::vector<Hash> SegmentReplay::step_roots() {
  std::vector<Hash> out;
  for (uint64_t step = from_ + 1; step <= until_; step++) {
    go_to(step);
    out.push_back(job_.executor().root(job_.key()));
  }
  return out;
}

const std::vector<std::vector<Hash>>& SegmentReplay::outputs_of(uint64_t step) {
  if (outputs_step_ == step) return outputs_;
  go_to(step);
  outputs_.assign(job_.plan().calls.size(), {});
  job_.executor().run_step([&](uint32_t call, uint8_t, ByteSpan bytes) { outputs_[call].push_back(blake3(bytes, job_.key())); });
  outputs_step_ = step;
  return outputs_;
}

std::vector<Hash> SegmentReplay::call_ids(uint64_t step) {
  std::vector<Hash> out;
  for (const auto& ids : outputs_of(step)) out.push_back(attest::call_id(ids));
  return out;
}

std::vector<Hash> SegmentReplay::output_ids(uint64_t step, uint32_t call) { return outputs_of(step).at(call); }

std::vector<Hash> SegmentReplay::state_ids(uint64_t step) {
  go_to(step);
  std::vector<Hash> out;
  for (size_t i = 0; i < job_.plan().state.size(); i++) out.push_back(blake3(job_.executor().slot(i), job_.key()));
  return out;
}

Bytes SegmentReplay::value(uint64_t step, const attest::ValueRef& ref) {
  switch (ref.from) {
    case attest::From::input: return job_.inputs().at(ref.index);
    case attest::From::constant: return job_.plan().constants.at(ref.index).bytes;
    case attest::From::state: {
      go_to(step);
      const ByteSpan bytes = job_.executor().slot(ref.index);
      return Bytes(bytes.begin(), bytes.end());
    }
    case attest::From::call: break;
  }
  go_to(step);
  Bytes out;
  job_.executor().run_step([&](uint32_t call, uint8_t output, ByteSpan bytes) {
    if (call == ref.index && output == ref.output) out.assign(bytes.begin(), bytes.end());
  });
  return out;
}

}  // namespace cairn::runtime
