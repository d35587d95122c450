#include "agent/computer.h"

#include "base/clock.h"
#include "base/log.h"
#include "kernels/operator.h"

namespace cairn::agent {

namespace {

constexpr size_t kRecordMaxBytes = 256u << 20;
constexpr uint64_t kRecordEveryNs = 200'000'000;  // work that kill -9 may cost, beside the segment itself

runtime::StatePoint point_of(const StateIds& state) { return {state.step, state.ids}; }
StateIds ids_of(const runtime::StatePoint& state) { return {state.step, state.ids}; }

}  // namespace

Computer::Computer(std::filesystem::path worker, uint32_t threads, const attest::WorkTable& table,
                   std::filesystem::path folder, ArtifactStore& store, const std::atomic<bool>& stop)
    : program_(std::move(worker)), threads_(threads), table_(table), folder_(std::move(folder)), store_(store), stop_(stop) {
  watch_ = std::thread([this] {
    while (!closing_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (!stop_) continue;
      const std::lock_guard lock(mutex_);
      if (client_) client_->stop();
    }
  });
}

Computer::~Computer() {
  closing_ = true;
  watch_.join();
}

Result<runtime::WorkerClient*> Computer::worker() {
  if (stop_) return Error{Code::cancelled, "asked to stop", ""};
  if (!client_) {
    TRY_LET(fresh, runtime::WorkerClient::start(program_));
    const std::lock_guard lock(mutex_);
    client_ = std::move(fresh);
  }
  return client_.get();
}

// After an answer: a worker that is gone is forgotten, and one that we ended ourselves is no failure of the job.
template <class T>
Result<T> Computer::settled(Result<T> answer) {
  if (answer) return answer;
  const Code code = answer.error().code;
  if (code == Code::unreachable || code == Code::timed_out || code == Code::malformed) {
    const std::lock_guard lock(mutex_);
    client_.reset();
  }
  if (stop_) return Error{Code::cancelled, "asked to stop", ""};
  return answer;
}

runtime::Work Computer::work_of(const Assignment& job) const {
  runtime::Work work;
  work.store = store_.folder().string();
  work.plan = job.spec.plan;
  for (size_t i = 0; i < job.spec.inputs.size(); i++)
    (i < job.plan.inputs.size() ? work.inputs : work.given).push_back(job.spec.inputs[i].id);
  work.seed = job.spec.seed;
  work.threads = threads_;
  work.table = table_;
  work.key = job.key;
  return work;
}

Result<runtime::StatePoint> Computer::opening_of(const Assignment& job, const StateIds& opening) {
  if (!opening.ids.empty()) return point_of(opening);
  TRY_LET(client, worker());
  TRY_LET(reached, settled(client->initial(work_of(job))));
  if (reached.root != job.spec.initial_state)
    return Error{Code::invalid, "the job says that it starts at " + job.spec.initial_state.hex().substr(0, 16) +
                     ", its plan and seed make " + reached.root.hex().substr(0, 16), "refuse the job"};
  return reached.state;
}

Result<> Computer::check_initial(const Assignment& job) {
  TRY(opening_of(job, {}));
  return {};
}

Result<Ran> Computer::run(const Assignment& job, const OnStep& on_step) {
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  const std::filesystem::path record = folder_ / "ran";
  Ran ran;
  if (const auto bytes = read_file(record, kRecordMaxBytes))
    if (auto earlier = decode<Ran>(*bytes); earlier && earlier->leaves.size() == earlier->states.size()) ran = *std::move(earlier);
  // An artefact that a power cut took away is made again: back to the last checkpoint that is whole.
  const ArtifactStore store = store_.keyed(job.key);
  const auto whole = [&](const StateIds& state) {
    return std::all_of(state.ids.begin(), state.ids.end(), [&](const Hash& id) { return bool(store.verified(id)); });
  };
  while (!ran.states.empty() && !whole(ran.states.back())) {
    ran.states.pop_back();
    ran.leaves.pop_back();
  }
  if (!ran.states.empty()) log_info("run.resumed", {{"step", ran.states.back().step}, {"steps", job.spec.steps}});
  if (ran.leaves.size() == job.spec.segments()) return ran;

  TRY_LET(from, opening_of(job, ran.states.empty() ? StateIds{} : ran.states.back()));
  TRY_LET(client, worker());
  const SystemClock clock;
  uint64_t recorded_ns = clock.steady_ns();
  const runtime::AskRun ask{work_of(job), from, job.spec.steps, job.spec.interval, job.spec.tier};
  const auto reached = client->run(
      ask,
      [&](const runtime::Progress& told) {
        std::optional<float> loss;
        if (told.loss_bits) loss = std::bit_cast<float>(*told.loss_bits);
        if (on_step) on_step(told.step, loss);
      },
      [&](const runtime::CheckpointMade& made) {
        ran.leaves.push_back(made.root);
        ran.states.push_back(ids_of(made.state));
        if (clock.steady_ns() - recorded_ns < kRecordEveryNs) return;
        recorded_ns = clock.steady_ns();
        static_cast<void>(must(write_file(record, encode(ran))));
      });
  // A machine that has computed wrong may have done so before it was noticed: nothing that it gave is kept.
  if (!reached && reached.error().code == Code::known_answer) std::filesystem::remove(record, ignored);
  TRY(settled(Result<runtime::StateReached>(reached)));
  if (ran.leaves.size() != job.spec.segments())
    return Error{Code::internal, "the worker made " + std::to_string(ran.leaves.size()) + " checkpoints of " +
                     std::to_string(job.spec.segments()), "use programs of one version"};
  TRY(write_file(record, encode(ran)));
  return ran;
}

Result<attest::Knowledge> Computer::check(const Assignment& job, uint64_t segment, const StateIds& opening, uint64_t step,
                                          uint32_t call) {
  TRY_LET(from, opening_of(job, opening));
  TRY_LET(client, worker());
  return settled(client->check({work_of(job), from, job.spec.segment_end(segment), step, call}));
}

Result<attest::Move> Computer::play(const Assignment& job, const attest::Game& game, attest::Party side, const StateIds& opening) {
  TRY_LET(from, opening_of(job, opening));
  TRY_LET(client, worker());
  return settled(client->move({work_of(job), from, game, side}));
}

Result<runtime::Judged> Computer::judge(const Assignment& job, const StateIds& opening, const StateIds& end) {
  TRY_LET(from, opening_of(job, opening));
  TRY_LET(client, worker());
  return settled(client->judge({work_of(job), from, point_of(end)}));
}

Result<double> Computer::speed() {
  constexpr int64_t kSide = 256;
  constexpr uint64_t kSteps = 40;
  const kernels::TensorType square{kernels::DType::f32, {kSide, kSide}};
  Assignment job;
  const auto* product = kernels::find_operator("matmul.f32.v1");
  if (!product) return Error{Code::internal, "there is no matmul.f32.v1", "use programs of one version"};
  const attest::ValueRef x{attest::From::state, 0, 0};
  attest::Call call;
  call.op = product->id;
  call.attrs.assign(product->attrs.size(), 0);
  call.inputs = {x, x};
  call.input_types = {square, square};
  call.output_types = {square};
  call.work_ns = attest::work_of(*product, {call.input_types, call.output_types, call.attrs}, table_);
  job.plan.state = {{"x", square, {attest::InitKind::uniform, std::bit_cast<uint32_t>(1.0f)}, x},
                    {"y", square, {attest::InitKind::zeros, 0}, {attest::From::call, 0, 0}}};
  job.plan.calls = {call};
  TRY(attest::validate(job.plan, table_));
  TRY_LET(id, store_.put(encode(job.plan)));
  job.spec.plan = id;
  TRY_LET(client, worker());
  TRY_LET(start, settled(client->initial(work_of(job))));
  TRY_LET(warm, settled(client->run({work_of(job), start.state, 4, 4, attest::Tier::exact})));
  TRY_LET(reached, settled(client->run({work_of(job), warm.state, 4 + kSteps, 4 + kSteps, attest::Tier::exact})));
  if (reached.run_ns == 0) return Error{Code::internal, "the worker measured no time", "use programs of one version"};
  return static_cast<double>(call.work_ns * kSteps) / static_cast<double>(reached.run_ns);
}

}  // namespace cairn::agent
