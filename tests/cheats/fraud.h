// One lie told over a whole job, in memory: what the liar commits to, what an honest verifier finds in each segment.
#pragma once

#include <map>

#include "attest/receipt.h"
#include "ledger/records.h"
#include "tests/attest/trial.h"
#include "tests/cheats/corpus.h"

namespace cairn::cheats {

class Fraud {
 public:
  static constexpr uint64_t kSeed = 2026;
  // `cheat` null: an honest run.
  Fraud(const Cheat* cheat, uint64_t segments, uint64_t interval)
      : cheat_(cheat), steps_(segments * interval), interval_(interval) {
    const Training job = training(steps_);
    honest_.plan = job.plan;
    honest_.inputs = job.inputs;
    std::vector<ByteSpan> none(job.plan.state.size());
    for (size_t s = 0; s < job.plan.state.size(); s++) {  // the test's own start: any bytes will do, both sides have the same
      const auto size = static_cast<size_t>(kernels::bytes(job.plan.state[s].type));
      honest_.start.emplace_back(size);
      honest_.plan.state[s].init = {attest::InitKind::given, 0};
    }
    for (size_t i = 0; i < 64; i++) {
      const float value = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 200.0f;
      std::memcpy(honest_.start[0].data() + 4 * i, &value, 4);
    }
    lying_ = honest_;
    if (cheat_ && cheat_->plan) cheat_->plan(lying_.plan);

    std::vector<Slots> past{honest_.start};
    attest::Meddling meddling;
    if (cheat_) meddling.output = cheat_->output;
    if (cheat_ && cheat_->checkpoint)
      meddling.state = [&](uint64_t step, Slots& state) {
        if (step % interval_ != 0) return;
        cheat_->checkpoint(step / interval_ - 1, past, state);
        past.push_back(state);
      };
    attest::Trial whole(lying_, seed(), 0, steps_, honest_.start, {}, meddling);
    const auto roots = whole.step_roots();
    start_root_ = whole.start_root();
    for (uint64_t s = 0; s < segments; s++) {
      openings_.push_back(whole.state(s * interval_));
      roots_.push_back(roots[(s + 1) * interval_ - 1]);
      for (uint64_t step = s * interval_; step < (s + 1) * interval_; step++) theirs_.push_back(whole.call_ids(step));
      attest::Trial honest = check(s);
      ends_.push_back(honest.step_roots().back());
      for (uint64_t step = s * interval_; step < (s + 1) * interval_; step++) ours_.push_back(honest.call_ids(step));
      if (ends_[s] != roots_[s]) false_segments_.push_back(s);
    }
    openings_.push_back(whole.state(steps_));
  }

  const attest::Plan& plan() const { return honest_.plan; }
  const std::vector<uint64_t>& false_segments() const { return false_segments_; }
  const std::vector<Hash>& roots() const { return roots_; }

  attest::JobSpec spec(attest::JobSpec spec) const {
    const auto facts = must(attest::validate(honest_.plan, attest::WorkTable{}));
    spec.plan = facts.id;
    spec.plan_root = facts.root;
    spec.calls = static_cast<uint32_t>(honest_.plan.calls.size());
    spec.state_slots = static_cast<uint32_t>(honest_.plan.state.size());
    spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
    spec.memory_bytes = facts.peak_bytes;
    spec.inputs.clear();
    for (size_t i = 0; i < honest_.inputs.size(); i++) spec.inputs.push_back({honest_.plan.inputs[i].name, blake3(honest_.inputs[i]), {}});
    for (size_t i = 0; i < honest_.start.size(); i++) spec.inputs.push_back({honest_.plan.state[i].name, blake3(honest_.start[i]), {}});
    spec.initial_state = start_root_;
    spec.seed = kSeed;
    spec.steps = steps_;
    spec.interval = interval_;
    return spec;
  }
  attest::Commitment commitment(const JobId& job, const attest::JobSpec& s) const {
    return {job, s.plan_root, attest::input_root(s), attest::tree_root(roots_), roots_.back(), s.steps};
  }
  ledger::SegmentRoots segment(uint64_t s) const {
    ledger::SegmentRoots out;
    out.start_root = s == 0 ? start_root_ : roots_[s - 1];
    if (s > 0) out.start_path = attest::tree_path(roots_, s - 1);
    out.end_root = roots_[s];
    out.end_path = attest::tree_path(roots_, s);
    return out;
  }
  uint32_t call_of(const attest::DrawnCheck& draw) const { return attest::call_at(honest_.plan, draw.work_offset); }
  attest::Knowledge ours(const attest::DrawnCheck& draw) const { return {ours_[draw.step][call_of(draw)], ends_[draw.segment]}; }
  Hash their_call(const attest::DrawnCheck& draw) const {
    return cheat_ && cheat_->call_id ? blake3(as_bytes("a guess")) : theirs_[draw.step][call_of(draw)];
  }

  // The two sides of a game about a segment: an honest run, and the liar's, which ends where it committed to.
  attest::Trial check(uint64_t s) const { return attest::Trial(honest_, kSeed, s * interval_, (s + 1) * interval_, openings_[s]); }
  attest::Trial lie(uint64_t s) const {
    attest::Meddling meddling;
    if (cheat_) meddling.output = cheat_->output;
    if (cheat_ && cheat_->checkpoint)
      meddling.state = [this, s](uint64_t step, Slots& state) {
        if (step == (s + 1) * interval_) state = openings_[s + 1];
      };
    return attest::Trial(lying_, seed(), s * interval_, (s + 1) * interval_, openings_[s], {}, meddling);
  }
  const attest::Plan& lying_plan() const { return lying_.plan; }

 private:
  uint64_t seed() const { return kSeed + (cheat_ ? cheat_->seed_shift : 0); }
  const Cheat* cheat_;
  const uint64_t steps_, interval_;
  attest::Example honest_, lying_;
  Hash start_root_;
  std::vector<Slots> openings_;                // as the liar committed to them; one more than segments
  std::vector<Hash> roots_, ends_;             // by segment: committed, and as an honest run from the opening ends
  std::vector<std::vector<Hash>> theirs_, ours_;  // ids of the calls, by step
  std::vector<uint64_t> false_segments_;
};

}  // namespace cairn::cheats
