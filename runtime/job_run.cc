#include "runtime/job_run.h"

#include <chrono>
#include <thread>

#include "attest/tree.h"
#include "runtime/artefacts.h"
#include "runtime/checkpoint_writer.h"

namespace cairn::runtime {
namespace {

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

Result<Bytes> read_tensor(const Work& work, const Hash& id, const kernels::TensorType& type, const std::string& name) {
  const auto size = static_cast<uint64_t>(kernels::bytes(type));
  auto bytes = read_artefact(work.store, id, size, work.key);
  if (bytes ? bytes->size() != size : bytes.error().code == Code::limit)
    return Error{Code::shape, "'" + name + "' has not the " + std::to_string(size) + " bytes of " + to_string(type) + ", which the plan wants",
                 "bring the tensor that the plan was traced for"};
  return bytes;
}

}  // namespace

Hash root_of(const StatePoint& state) { return attest::state_root(state.step, state.ids); }

int threads_of(const Work& work) {
  return static_cast<int>(work.threads != 0 ? work.threads : std::max(1u, std::thread::hardware_concurrency()));
}

int JobRun::threads() const { return threads_of(work_); }

Result<std::vector<Bytes>> read_inputs(const Work& work, const attest::Plan& plan) {
  if (work.inputs.size() != plan.inputs.size())
    return Error{Code::shape, "the job binds " + std::to_string(work.inputs.size()) + " inputs, the plan has " +
                                  std::to_string(plan.inputs.size()), "bind every input of the plan, in order"};
  std::vector<Bytes> out;
  for (size_t i = 0; i < plan.inputs.size(); i++) {
    TRY_LET(bytes, read_tensor(work, work.inputs[i], plan.inputs[i].type, plan.inputs[i].name));
    out.push_back(std::move(bytes));
  }
  return out;
}

Result<std::unique_ptr<JobRun>> JobRun::load(const Work& work, Tamper tamper, kernels::BreakTile break_tile) {
  TRY_LET(bytes, read_artefact(work.store, work.plan, attest::kMaxPlanBytes));
  TRY_LET(plan, decode<attest::Plan>(bytes));
  TRY_LET(facts, attest::validate(plan, work.table));
  if (work.memory_bytes != 0 && facts.peak_bytes > work.memory_bytes)
    return Error{Code::memory_limit, "the plan needs " + std::to_string(facts.peak_bytes) + " bytes, the limit is " +
                                         std::to_string(work.memory_bytes), "raise the job's memory limit"};
  std::unique_ptr<JobRun> job(new JobRun(work, std::move(plan)));
  TRY_LET(inputs, read_inputs(work, job->plan_));
  job->inputs_ = std::move(inputs);
  ExecutorOptions options;
  options.threads = threads_of(work);
  options.tamper = std::move(tamper);
  options.break_tile = std::move(break_tile);
  const std::vector<ByteSpan> spans(job->inputs_.begin(), job->inputs_.end());
  TRY_LET(executor, Executor::make(job->plan_, spans, work.seed, std::move(options)));
  job->executor_ = std::move(executor);
  for (size_t i = 0; i < job->plan_.state.size(); i++)
    if (job->plan_.state[i].name == kLosses) job->losses_ = i;
  return job;
}

std::vector<Hash> JobRun::input_ids() const {
  std::vector<Hash> ids = work_.inputs;
  ids.insert(ids.end(), work_.given.begin(), work_.given.end());
  return ids;
}

Result<StatePoint> JobRun::initial() {
  std::vector<Bytes> held;
  held.reserve(plan_.state.size());
  std::vector<ByteSpan> given(plan_.state.size());
  size_t next = 0;
  for (size_t i = 0; i < plan_.state.size(); i++) {
    if (plan_.state[i].init.kind != attest::InitKind::given) continue;
    if (next == work_.given.size()) break;
    TRY_LET(bytes, read_tensor(work_, work_.given[next++], plan_.state[i].type, plan_.state[i].name));
    held.push_back(std::move(bytes));
    given[i] = held.back();
  }
  TRY_LET(state, initial_state(plan_, work_.seed, given));
  TRY(executor_->load(state));
  return save();
}

Result<> JobRun::enter(const StatePoint& from) {
  if (from.ids.size() != plan_.state.size())
    return Error{Code::shape, "the checkpoint has " + std::to_string(from.ids.size()) + " buffers, the plan " +
                                  std::to_string(plan_.state.size()), "use a checkpoint of this job"};
  State state{from.step, {}};
  for (size_t i = 0; i < from.ids.size(); i++) {
    TRY_LET(bytes, read_tensor(work_, from.ids[i], plan_.state[i].type, plan_.state[i].name));
    state.slots.push_back(std::move(bytes));
  }
  return executor_->load(state);
}

Result<StatePoint> JobRun::save() {
  StatePoint out{executor_->step(), {}};
  for (size_t i = 0; i < plan_.state.size(); i++) {
    TRY_LET(id, write_artefact(work_.store, executor_->slot(i), work_.key));
    out.ids.push_back(id);
  }
  return out;
}

std::optional<uint32_t> JobRun::last_loss() const {
  if (!losses_ || executor_->step() == 0) return std::nullopt;
  const ByteSpan bytes = executor_->slot(*losses_);
  const size_t at = (executor_->step() - 1) * 4;
  if (at + 4 > bytes.size()) return std::nullopt;
  uint32_t bits = 0;
  std::memcpy(&bits, bytes.data() + at, 4);
  return bits;
}

Result<StateReached> JobRun::run(const AskRun& ask, const Watch& watch) {
  TRY(enter(ask.from));
  StateReached reached{ask.from, root_of(ask.from)};
  CheckpointWriter writer(work_.store, work_.key);
  const auto tell = [&](std::vector<CheckpointMade> made) {
    for (CheckpointMade& one : made) {
      reached.state = one.state;
      reached.root = one.root;
      if (watch.checkpoint) watch.checkpoint(one);
    }
  };
  uint64_t told_ns = 0;
  while (executor_->step() < ask.until_step) {
    const uint64_t began = now_ns();
    executor_->run_step();
    const uint64_t ran = now_ns();
    reached.run_ns += ran - began;
    const uint64_t step = executor_->step();
    const bool last = step == ask.until_step;
    if (watch.progress && (ran - told_ns > 50'000'000 || last)) {
      watch.progress({step, last_loss()});
      told_ns = ran;
    }
    if (!last && (ask.interval == 0 || step % ask.interval != 0)) continue;
    const uint64_t before = now_ns();
    TRY(executor_->canary(last));
    TRY(executor_->check_finite());
    std::vector<ByteSpan> slots;
    for (size_t i = 0; i < plan_.state.size(); i++) slots.push_back(executor_->slot(i));
    writer.take(step, slots);
    TRY_LET(made, last ? writer.rest() : writer.made());
    reached.checkpoint_ns += now_ns() - before;
    tell(std::move(made));
  }
  return reached;
}

Result<attest::Knowledge> JobRun::check(const AskCheck& ask) {
  if (ask.step < ask.from.step || ask.step >= ask.until_step || ask.call >= plan_.calls.size())
    return Error{Code::invalid, "step " + std::to_string(ask.step) + ", call " + std::to_string(ask.call) +
                                    " do not lie in the segment", "ask for what was drawn"};
  TRY(enter(ask.from));
  attest::Knowledge out;
  while (executor_->step() < ask.until_step) {
    if (executor_->step() != ask.step) {
      executor_->run_step();
      continue;
    }
    std::vector<Hash> ids;
    executor_->run_step([&](uint32_t call, uint8_t, ByteSpan bytes) {
      if (call == ask.call) ids.push_back(blake3(bytes, work_.key));
    });
    out.call_id = attest::call_id(ids);
  }
  out.end_root = executor_->root(work_.key);
  return out;
}

}  // namespace cairn::runtime
