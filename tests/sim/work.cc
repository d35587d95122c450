#include "tests/sim/work.h"

namespace cairn::sim {

using attest::Lie;
using attest::Trial;

const std::vector<Program>& programs() {
  static const std::vector<Program> all = [] {
    std::vector<Program> out;
    for (const char* name : {"relu.v1", "matmul.f32.v1", "softmax.v1"}) {
      Program program;
      const kernels::Operator* op = kernels::find_operator(name);
      CHECK(op != nullptr);
      program.example = attest::example_of(*op);
      program.facts = must(attest::validate(program.example.plan, attest::WorkTable{}));
      out.push_back(std::move(program));
    }
    return out;
  }();
  return all;
}

const std::vector<Program>& private_programs() {
  static const std::vector<Program> all = [] {
    std::vector<Program> out = programs();
    for (Program& program : out) program.example.key = tagged_hash("content key", {program.facts.root.span()});
    return out;
  }();
  return all;
}

const Program& program_of(const Hash& plan_root, bool is_private) {
  for (const Program& program : is_private ? private_programs() : programs())
    if (program.facts.root == plan_root) return program;
  throw std::logic_error("a job about no program");
}
const Program& program_of(const attest::JobSpec& spec) { return program_of(spec.plan_root, spec.viewers.has_value()); }

attest::JobSpec Program::spec() const {
  attest::JobSpec spec;
  spec.title = "simulated";
  spec.program = facts.id;
  spec.plan = facts.id;
  spec.plan_root = facts.root;
  spec.calls = static_cast<uint32_t>(example.plan.calls.size());
  spec.state_slots = static_cast<uint32_t>(example.plan.state.size());
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  spec.memory_bytes = facts.peak_bytes;
  for (size_t i = 0; i < example.plan.inputs.size(); i++)
    spec.inputs.push_back({example.plan.inputs[i].name, blake3(example.inputs[i], example.key), {}});
  for (size_t i = 0; i < example.plan.state.size(); i++)
    if (example.plan.state[i].init.kind == attest::InitKind::given)
      spec.inputs.push_back({example.plan.state[i].name, blake3(example.start[i], example.key), {}});
  std::vector<Hash> start;
  for (const Bytes& bytes : example.start) start.push_back(blake3(bytes, example.key));
  spec.initial_state = attest::state_root(0, start);
  spec.seed = kJobSeed;
  spec.steps = kSteps;
  spec.interval = kInterval;
  return spec;
}

Run::Run(const Program& program, Lie lie)
    : program_(program), lie_(lie), whole_(program.example, kJobSeed, 0, kSteps, program.example.start, lie) {
  const auto steps = whole_.step_roots();
  for (uint64_t s = 0; s < kSegments; s++) roots_.push_back(steps[(s + 1) * kInterval - 1]);
  if (lie.kind == Lie::none) return;
  for (uint64_t s = 0; s < kSegments; s++)
    if (rerun(s).step_roots().back() != roots_[s]) false_.insert(s);
}

attest::Commitment Run::commitment(const JobId& job, const attest::JobSpec& spec) const {
  return {job, spec.plan_root, attest::input_root(spec), attest::tree_root(roots_), roots_.back(), spec.steps};
}

SegmentRoots Run::segment(const attest::JobSpec& spec, uint64_t segment) const {
  SegmentRoots out;
  out.start_root = segment == 0 ? spec.initial_state : roots_[segment - 1];
  if (segment > 0) out.start_path = attest::tree_path(roots_, segment - 1);
  out.end_root = roots_[segment];
  out.end_path = attest::tree_path(roots_, segment);
  return out;
}

Trial& Run::rerun(uint64_t segment, const Lie& lie) const {
  const auto known = reruns_.find({segment, lie});
  if (known != reruns_.end()) return known->second;
  const uint64_t start = segment * kInterval;
  return reruns_.emplace(std::pair(segment, lie), Trial(program_.example, kJobSeed, start, start + kInterval, whole_.state(start), lie)).first->second;
}

std::shared_ptr<const Run> run(const Program& program, const Lie& lie) {
  static std::map<const Program*, std::shared_ptr<const Run>> honest;
  if (lie.kind != Lie::none) return std::make_shared<const Run>(program, lie);
  auto& made = honest[&program];
  if (!made) made = std::make_shared<const Run>(program, lie);
  return made;
}

attest::Knowledge knowledge(const Program& program, const attest::DrawnCheck& draw, Trial& trial) {
  const uint32_t call = attest::call_at(program.example.plan, draw.work_offset);
  return {trial.call_ids(draw.step)[call], trial.step_roots().back()};
}

DrawnCall drawn_call(const Program& program, const attest::DrawnCheck& draw) {
  const uint32_t call = attest::call_at(program.example.plan, draw.work_offset);
  const auto& plan = program.example.plan;
  return {call, attest::plan_head(plan), plan.calls[call], attest::plan_path(plan, call)};
}

Lie random_lie(const Program& program, Rng& rng) {
  constexpr Lie::Kind kKinds[] = {Lie::value, Lie::id_only, Lie::state, Lie::skip, Lie::seed, Lie::end_root};
  Lie lie;
  lie.kind = kKinds[rng.below(6)];
  lie.step = rng.below(kSteps);
  if (rng.chance(700)) lie.step = lie.step / kInterval * kInterval + kInterval - 1;  // what a segment ends with is what is committed
  if (lie.kind == Lie::end_root) lie.step = kSteps - 1;
  lie.call = static_cast<uint32_t>(rng.below(program.example.plan.calls.size()));
  lie.output = static_cast<uint32_t>(rng.below(4));
  lie.slot = static_cast<uint32_t>(rng.below(program.example.plan.state.size()));
  lie.at = rng.next();
  lie.flip = rng.next();
  return lie;
}

}  // namespace cairn::sim
