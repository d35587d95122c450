#include "runtime/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "attest/tree.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/checkpoint.h"
#include "runtime/messages.h"
#include "runtime/native.h"
#include "runtime/sandbox.h"
#include "runtime/segment_replay.h"

namespace cairn::runtime {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr int kSocket = 3;
constexpr size_t kMaxProgramBytes = size_t{4} << 30, kMaxTensorBytes = size_t{1} << 40, kMaxPlanBytes = size_t{1} << 30;
constexpr auto kProgressEvery = std::chrono::milliseconds(250);

uint64_t ms_since(Clock::time_point start) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
}

Result<Bytes> read_tensor(const TensorBytes& where) {
  const int fd = ::open(where.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::not_found, "cannot open " + where.path + " for '" + where.name + "'", ""};
  Result<Bytes> out = Error{Code::io, where.path + " is shorter than '" + where.name + "' needs", ""};
  // Check the file's length before memory is taken for it.
  if (where.size <= kMaxTensorBytes && ::lseek(fd, 0, SEEK_END) >= static_cast<off_t>(where.offset + where.size)) {
    Bytes bytes(where.size);
    size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t got = ::pread(fd, &bytes[at], bytes.size() - at, static_cast<off_t>(where.offset + at));
      if (got <= 0) break;
      at += static_cast<size_t>(got);
    }
    if (at == bytes.size()) out = std::move(bytes);
  }
  ::close(fd);
  return out;
}

// A plan with its inputs in memory; kept from one request to the next.
struct Loaded {
  Bytes key;  // the encoded PlanRun
  attest::Plan plan;
  attest::PlanFacts facts;
  std::vector<Bytes> inputs;  // in plan order
  std::vector<Bytes> given;   // by slot, empty where it is not given
  uint64_t seed = 0;

  std::vector<ByteSpan> input_spans() const { return {inputs.begin(), inputs.end()}; }
  Result<State> initial() const {
    const std::vector<ByteSpan> spans(given.begin(), given.end());
    return initial_state(plan, seed, spans);
  }
  Result<State> opening(const std::string& checkpoint) const {
    if (checkpoint.empty()) return initial();
    TRY_LET(read, read_checkpoint(checkpoint, plan, facts.id));
    return read.state;
  }
};

class Worker {
 public:
  Worker(Channel& channel, Tamper tamper) : channel_(channel), tamper_(std::move(tamper)) {}

  Result<Reply> answer(const Request& request) {
    return std::visit([&](const auto& one) { return handle(one); }, request);
  }

 private:
  Result<Reply> handle(const InspectProgram& request) {
    TRY_LET(file, read_file(request.path, kMaxProgramBytes));
    TRY_LET(import, import_pt2(file));
    TRY_LET(inspection, inspect(import));
    return Reply{Inspected{std::move(inspection)}};
  }

  Result<Reply> handle(const TraceProgram& request) {
    TRY_LET(file, read_file(request.path, kMaxProgramBytes));
    TRY_LET(import, import_pt2(file));
    TRY_LET(data_file, read_file(request.data, kMaxTensorBytes));
    TRY_LET(data, parse_tensors(data_file));
    Bytes weights_file;
    TensorFile weights;
    if (!request.weights.empty()) {
      TRY_LET(bytes, read_file(request.weights, kMaxTensorBytes));
      weights_file = std::move(bytes);
      TRY_LET(parsed, parse_tensors(weights_file));
      weights = std::move(parsed);
    }
    TRY_LET(brought, weights_of(import, weights));

    TraceRequest wanted;
    wanted.train = request.train;
    wanted.batch = request.batch;
    wanted.steps = request.steps;
    wanted.optimizer = request.optimizer;
    wanted.work = request.work;
    for (const NamedTensor& tensor : data.tensors) wanted.data.push_back({tensor.name, tensor.type});
    for (const auto& [name, bytes] : brought) wanted.given.push_back(name);
    TRY_LET(traced, trace(import.program, wanted));

    const Bytes rates = schedule(request.optimizer, traced.steps);
    const fs::path folder = request.folder;
    Traced out;
    const auto put = [&](const std::string& name, ByteSpan bytes) -> Result<> {
      const Hash id = blake3(bytes);
      const fs::path path = folder / id.hex();
      TRY(write_file(path, bytes));
      out.inputs.push_back({name, id, path.string(), bytes.size()});
      return {};
    };
    for (size_t i = 0; i < traced.plan.inputs.size(); i++) {
      const attest::InputSlot& slot = traced.plan.inputs[i];
      if (slot.name == kSchedule && request.train) TRY(put(slot.name, rates));
      else if (const NamedTensor* tensor = data.find(slot.name); tensor != nullptr && is_input(import.program, slot.name)) TRY(put(slot.name, tensor->bytes));
      else if (const auto found = brought.find(slot.name); found != brought.end()) TRY(put(slot.name, found->second));
      else TRY(put(slot.name, initial_weight(import.program, slot.name, request.seed)));
    }
    std::vector<ByteSpan> given(traced.plan.state.size());
    for (size_t s = 0; s < traced.plan.state.size(); s++) {
      if (traced.plan.state[s].init.kind != attest::InitKind::given) continue;
      given[s] = brought.at(traced.plan.state[s].name);
      TRY(put(traced.plan.state[s].name, given[s]));
    }
    TRY_LET(initial, initial_state(traced.plan, request.seed, given));
    out.program = program_id(import.program);
    out.plan = traced.facts.id;
    out.plan_root = traced.facts.root;
    out.calls = static_cast<uint32_t>(traced.plan.calls.size());
    out.state_slots = static_cast<uint32_t>(traced.plan.state.size());
    out.step_work_ns = static_cast<uint64_t>(traced.facts.work_ns);
    out.peak_bytes = traced.facts.peak_bytes;
    out.state_bytes = traced.facts.state_bytes;
    out.batch = traced.batch;
    out.steps = traced.steps;
    out.initial_state = root_of(initial);
    out.program_path = (folder / "program").string();
    out.plan_path = (folder / "plan").string();
    out.removed = import.removed;
    TRY(write_file(out.program_path, encode(import.program)));
    TRY(write_file(out.plan_path, encode(traced.plan)));
    return Reply{std::move(out)};
  }

  static bool is_input(const Program& program, const std::string& name) {
    return std::any_of(program.inputs.begin(), program.inputs.end(), [&](const ProgramInput& input) { return input.name == name; });
  }

  // Weights by parameter name: those of the safetensors file, else those of the .pt2.
  static Result<std::map<std::string, ByteSpan>> weights_of(const Import& import, const TensorFile& file) {
    std::map<std::string, ByteSpan> out;
    for (const Parameter& parameter : import.program.parameters) {
      const NamedTensor* found = file.find(parameter.name);
      for (const std::string& alias : parameter.aliases)
        if (found == nullptr) found = file.find(alias);
      if (found != nullptr && found->type != parameter.type)
        return Error{Code::shape, "weight '" + found->name + "' is " + kernels::to_string(found->type) + "; the program wants " + kernels::to_string(parameter.type), "bring the weights of this program"};
      if (found != nullptr) out[parameter.name] = found->bytes;
    }
    for (const ImportedWeight& weight : import.weights) out.try_emplace(weight.name, weight.bytes);
    return out;
  }

  // The rule for state, with the parameter's ordinal for the slot's.
  static Bytes initial_weight(const Program& program, const std::string& name, uint64_t seed) {
    attest::Plan plan;
    for (const Parameter& parameter : program.parameters) {
      if (parameter.name != name) {
        plan.state.emplace_back();
        continue;
      }
      plan.state.push_back({name, parameter.type, default_init(parameter), {}});
      return must(initial_state(plan, seed, {})).slots.back();
    }
    return {};
  }

  Result<Loaded*> load(const PlanRun& run) {
    Bytes key = encode(run);
    if (loaded_ && loaded_->key == key) return loaded_.get();
    replay_.reset();
    loaded_.reset();
    auto fresh = std::make_unique<Loaded>();
    TRY_LET(bytes, read_file(run.plan, kMaxPlanBytes));
    TRY_LET(plan, decode<attest::Plan>(bytes));
    TRY_LET(facts, attest::validate(plan, run.work));
    fresh->plan = std::move(plan);
    fresh->facts = facts;
    fresh->seed = run.seed;
    const auto read = [&](const std::string& name) -> Result<Bytes> {
      for (const TensorBytes& tensor : run.inputs)
        if (tensor.name == name) return read_tensor(tensor);
      return Error{Code::not_found, "nobody brings '" + name + "', an input of the plan", "name it among the inputs"};
    };
    for (const attest::InputSlot& slot : fresh->plan.inputs) {
      TRY_LET(input, read(slot.name));
      fresh->inputs.push_back(std::move(input));
    }
    for (const attest::StateSlot& slot : fresh->plan.state) {
      fresh->given.emplace_back();
      if (slot.init.kind != attest::InitKind::given) continue;
      TRY_LET(value, read(slot.name));
      fresh->given.back() = std::move(value);
    }
    fresh->key = std::move(key);
    loaded_ = std::move(fresh);
    return loaded_.get();
  }
  ExecutorOptions options(const PlanRun& run) const {
    return {kernels::best_isa(), static_cast<int>(std::clamp(run.threads, 1u, 1024u)), tamper_};
  }

  // Says what has happened, at most every kProgressEvery unless `now`.
  void say_progress(const attest::Plan& plan, uint64_t step, uint64_t steps, const std::function<ByteSpan(size_t)>& slot, bool now) {
    if (!now && Clock::now() - said_ < kProgressEvery) return;
    said_ = Clock::now();
    Progress progress{step, steps, {}};
    for (size_t s = 0; s < plan.state.size(); s++) {
      if (plan.state[s].name != kLosses || plan.state[s].type.shape.size() != 1) continue;
      const ByteSpan losses = slot(s);
      for (uint64_t at = losses_said_; at < step && at * 4 + 4 <= losses.size(); at++) {
        uint32_t bits = 0;
        std::memcpy(&bits, &losses[at * 4], 4);
        progress.loss_bits.push_back(bits);
      }
      losses_said_ = step;
    }
    must(channel_.send(Reply{progress}));
  }

  Result<Reply> handle(const RunPlan& request) {
    TRY_LET(loaded, load(request.run));
    const auto started = Clock::now();
    TRY_LET(start, loaded->opening(request.checkpoint));
    std::error_code error;
    fs::create_directories(request.folder, error);
    if (error) return Error{Code::io, "cannot make the folder " + request.folder, ""};
    said_ = started;
    losses_said_ = start.step;
    if (request.native) return run_native(request, *loaded, std::move(start), started);

    // The unbroken row of checkpoints that lie there already.
    Ran ran;
    const auto next_stop = [&](uint64_t step) {
      return request.interval == 0 ? request.steps : std::min(request.steps, (step / request.interval + 1) * request.interval);
    };
    while (start.step < request.steps) {
      const fs::path path = checkpoint_path(request.folder, next_stop(start.step));
      if (!fs::exists(path, error)) break;
      auto found = read_checkpoint(path, loaded->plan, loaded->facts.id);
      if (!found || found->state.step != next_stop(start.step)) break;
      start = std::move(found->state);
      ran = {start.step, found->root, path.string(), 0, 0};
      must(channel_.send(Reply{Checkpointed{start.step, found->root, path.string(), true}}));
    }
    TRY_LET(executor, Executor::make(loaded->plan, loaded->input_spans(), loaded->seed, options(request.run)));
    TRY(executor->load(start));
    const uint64_t first = start.step;
    const auto slot = [&](size_t s) { return executor->slot(s); };
    while (executor->step() < request.steps) {
      const uint64_t stop = next_stop(executor->step());
      while (executor->step() < stop) {
        executor->run_step();
        say_progress(loaded->plan, executor->step(), request.steps, slot, false);
      }
      TRY(executor->check_finite());
      const State state = executor->save();
      ran.root = root_of(state);
      ran.path = checkpoint_path(request.folder, state.step).string();
      TRY(write_checkpoint(ran.path, loaded->plan, loaded->facts.id, state, ran.root));
      must(channel_.send(Reply{Checkpointed{state.step, ran.root, ran.path, false}}));
    }
    say_progress(loaded->plan, executor->step(), request.steps, slot, true);
    ran.step = executor->step();
    if (ran.path.empty()) ran.root = executor->root();
    ran.steps_run = ran.step - first;
    ran.elapsed_ms = ms_since(started);
    return Reply{ran};
  }

  Result<Reply> run_native(const RunPlan& request, const Loaded& loaded, State start, Clock::time_point started) {
    const uint64_t first = start.step;
    TRY_LET(native, NativeRun::make(loaded.plan, loaded.input_spans(), loaded.seed, std::move(start), static_cast<int>(request.run.threads)));
    uint64_t step = first;
    const auto slot = [&](size_t s) { return ByteSpan(native->state().slots[s]); };
    for (; step < request.steps;) {
      native->run_step();
      say_progress(loaded.plan, ++step, request.steps, slot, false);
    }
    say_progress(loaded.plan, step, request.steps, slot, true);
    Ran ran{step, {}, checkpoint_path(request.folder, step).string(), step - first, ms_since(started)};
    TRY(write_checkpoint(ran.path, loaded.plan, loaded.facts.id, native->state(), root_of(native->state())));
    return Reply{ran};
  }

  Result<Reply> handle(const CheckSegment& request) {
    TRY_LET(loaded, load(request.run));
    TRY_LET(start, loaded->opening(request.checkpoint));
    if (request.step < start.step || request.step >= request.end_step || request.call >= loaded->plan.calls.size())
      return Error{Code::invalid, "the drawn call does not lie in the segment", ""};
    TRY_LET(executor, Executor::make(loaded->plan, loaded->input_spans(), loaded->seed, options(request.run)));
    TRY(executor->load(start));
    Checked out;
    out.start_root = root_of(start);
    std::vector<Hash> ids;
    losses_said_ = start.step;
    const auto slot = [&](size_t s) { return executor->slot(s); };
    while (executor->step() < request.end_step) {
      if (executor->step() == request.step)
        executor->run_step([&](uint32_t call, uint8_t, ByteSpan bytes) {
          if (call == request.call) ids.push_back(blake3(bytes));
        });
      else executor->run_step();
      say_progress(loaded->plan, executor->step(), request.end_step, slot, false);
    }
    out.call_id = attest::call_id(ids);
    out.end_root = executor->root();
    if (!request.end_checkpoint.empty())
      TRY(write_checkpoint(request.end_checkpoint, loaded->plan, loaded->facts.id, executor->save(), out.end_root));
    return Reply{out};
  }

  Result<Reply> handle(const PlayDispute& request) {
    TRY_LET(game, decode<attest::Game>(request.game));
    TRY_LET(loaded, load(request.run));
    Writer key;
    key.put(request.checkpoint);
    key.put(game.terms.end_step);
    Bytes replay_key = key.take();
    if (!replay_ || replay_key_ != replay_key) {
      TRY_LET(start, loaded->opening(request.checkpoint));
      if (start.step != game.terms.start_step) return Error{Code::invalid, "the checkpoint is not the segment's opening state", ""};
      TRY_LET(replay, SegmentReplay::make(loaded->plan, loaded->input_spans(), loaded->seed, std::move(start), game.terms.end_step, options(request.run)));
      replay_ = std::move(replay);
      replay_key_ = std::move(replay_key);
    }
    TRY_LET(move, attest::next_move(game, request.party, loaded->plan, *replay_));
    return Reply{Played{encode(move)}};
  }

  Channel& channel_;
  const Tamper tamper_;
  std::unique_ptr<Loaded> loaded_;
  std::unique_ptr<SegmentReplay> replay_;
  Bytes replay_key_;
  Clock::time_point said_{};
  uint64_t losses_said_ = 0;
};

// Ends this process when the other end is gone, also in the middle of a step.
void watch_socket() {
  std::thread([] {
    for (;;) {
      pollfd watched{kSocket, POLLRDHUP, 0};
      if (::poll(&watched, 1, -1) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))) ::_exit(0);
    }
  }).detach();
}

}  // namespace

int worker_main(Tamper tamper) {
  Channel channel(kSocket);
  Result<> ready = kernels::self_test(kernels::best_isa());
  watch_socket();
  if (ready) ready = enter_sandbox();
  if (!ready) {
    log_error("worker.not_ready", {{"why", ready.error().text}});
    static_cast<void>(channel.send(Reply{Failed{ready.error().code, ready.error().text, ready.error().next}}));
    return exit_status(ready.error().code);
  }
  if (!channel.send(Reply{Progress{}})) return 0;
  Worker worker(channel, std::move(tamper));
  for (;;) {
    auto request = channel.receive<Request>();
    if (!request && request.error().code == Code::unreachable) return 0;
    Result<Reply> reply = request ? Result<Reply>(Reply{}) : Result<Reply>(request.error());
    if (request) {
      try {
        reply = worker.answer(*request);
      } catch (const Fault& fault) {
        reply = fault.error();
      } catch (const std::bad_alloc&) {
        reply = Error{Code::memory_limit, "the job needs more memory than this worker may take", "raise its limit, or use a smaller batch"};
      } catch (const std::exception& unexpected) {
        reply = Error{Code::internal, unexpected.what(), "this is a bug: please report it"};
      }
    }
    const Reply answer = reply ? *std::move(reply) : Reply{Failed{reply.error().code, reply.error().text, reply.error().next}};
    if (!channel.send(answer)) return 0;
  }
}

}  // namespace cairn::runtime
