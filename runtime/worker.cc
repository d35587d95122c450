#include "runtime/worker.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "attest/prover.h"
#include "base/file.h"
#include "runtime/artefacts.h"
#include "runtime/job_run.h"
#include "runtime/judge.h"
#include "runtime/native.h"
#include "runtime/replay.h"
#include "runtime/sandbox.h"
#include "runtime/worker_protocol.h"

namespace cairn::runtime {
namespace {

constexpr uint64_t kProgramMaxBytes = 4ull << 30;

// The same steps by stock ATen. The executor holds the state where it is shown or saved.
Result<StateReached> run_native(JobRun& job, const AskRun& ask, const JobRun::Watch& watch) {
  TRY(job.enter(ask.from));
  const std::vector<ByteSpan> inputs(job.inputs().begin(), job.inputs().end());
  TRY_LET(native, NativeRun::make(job.plan(), inputs, ask.work.seed, job.executor().save(), threads_of(ask.work)));
  StateReached reached{ask.from, root_of(ask.from)};
  for (uint64_t step = ask.from.step; step < ask.until_step;) {
    const auto began = std::chrono::steady_clock::now();
    native->run_step();
    step++;
    reached.run_ns += static_cast<uint64_t>((std::chrono::steady_clock::now() - began) / std::chrono::nanoseconds(1));
    const bool last = step == ask.until_step;
    if (!last && (ask.interval == 0 || step % ask.interval != 0)) continue;
    TRY(job.executor().load(native->state()));
    TRY(job.executor().check_finite());
    TRY_LET(state, job.save());
    reached.state = std::move(state);
    reached.root = root_of(reached.state);
    watch.progress({step, job.last_loss()});
    watch.checkpoint({reached.state, reached.root});
  }
  return reached;
}

Result<std::vector<StoredTensor>> weights_of(const Import& import, const AskTrace& ask) {
  std::vector<StoredTensor> out;
  bool used = false;
  for (uint32_t ordinal = 0; ordinal < import.program.parameters.size(); ordinal++) {
    const Parameter& parameter = import.program.parameters[ordinal];
    const auto brought = std::find_if(ask.weights.begin(), ask.weights.end(), [&](const StoredTensor& weight) {
      const auto& aliases = parameter.aliases;
      return weight.name == parameter.name || std::find(aliases.begin(), aliases.end(), weight.name) != aliases.end();
    });
    if (brought != ask.weights.end()) {
      if (brought->type != parameter.type)
        return Error{Code::shape, "weight '" + brought->name + "' is " + to_string(brought->type) + "; the program wants " +
                                      to_string(parameter.type), "bring the weights of this program"};
      out.push_back({parameter.name, parameter.type, brought->id});
      used = true;
      continue;
    }
    const auto own = std::find_if(import.weights.begin(), import.weights.end(), [&](const auto& w) { return w.name == parameter.name; });
    if (own == import.weights.end() && ask.request.train) continue;
    const Bytes bytes = own != import.weights.end()
                            ? own->bytes
                            : must(initial_slot({parameter.name, parameter.type, default_init(parameter), {}}, ordinal, ask.seed));
    TRY_LET(id, write_artefact(ask.store, bytes));
    out.push_back({parameter.name, parameter.type, id});
  }
  if (!ask.weights.empty() && !used)
    return Error{Code::usage, "none of the " + std::to_string(ask.weights.size()) + " weights has the name of a parameter of this program",
                 "name them as `cairn program inspect` does"};
  return out;
}

class Desk {
 public:
  Desk(int fd, Tamper tamper, kernels::BreakTile break_tile) : fd_(fd), tamper_(std::move(tamper)), break_tile_(std::move(break_tile)) {}

  Result<Answer> answer(const AskInspect& ask) {
    TRY_LET(file, read_file(ask.program, kProgramMaxBytes));
    TRY_LET(import, import_pt2(file));
    TRY_LET(inspection, inspect(import));
    return Answer{Inspected{std::move(inspection)}};
  }

  Result<Answer> answer(const AskTrace& ask) {
    TRY_LET(file, read_file(ask.program, kProgramMaxBytes));
    TRY_LET(import, import_pt2(file));
    TRY_LET(weights, weights_of(import, ask));
    TraceRequest request = ask.request;
    for (const auto& weight : weights) request.given.push_back(weight.name);
    TRY_LET(traced, trace(import.program, request));
    Traced out;
    out.weights = std::move(weights);
    out.program = program_id(import.program);
    TRY_LET(program, write_artefact(ask.store, encode(import.program)));
    out.program_artefact = program;
    TRY_LET(plan, write_artefact(ask.store, encode(traced.plan)));
    out.plan = plan;
    out.plan_root = traced.facts.root;
    out.calls = static_cast<uint32_t>(traced.plan.calls.size());
    out.step_work_ns = static_cast<uint64_t>(traced.facts.work_ns);
    out.peak_bytes = traced.facts.peak_bytes;
    out.state_bytes = traced.facts.state_bytes;
    out.batch = traced.batch;
    out.steps = traced.steps;
    if (ask.request.train) {
      TRY_LET(table, write_artefact(ask.store, schedule(ask.request.optimizer, traced.steps)));
      out.schedule = table;
    }
    for (const auto& input : traced.plan.inputs) out.inputs.push_back(input.name);
    for (const auto& slot : traced.plan.state) {
      out.slots.push_back(slot.name);
      if (slot.init.kind == attest::InitKind::given) out.given.push_back(slot.name);
    }
    out.removed = import.removed;
    return Answer{std::move(out)};
  }

  Result<Answer> answer(const AskInitial& ask) {
    TRY_LET(job, JobRun::load(ask.work));
    TRY_LET(state, job->initial());
    const Hash root = root_of(state);
    return Answer{StateReached{std::move(state), root}};
  }

  Result<Answer> answer(const AskRun& ask) {
    TRY_LET(job, JobRun::load(ask.work, tamper_, break_tile_));
    const JobRun::Watch watch{[&](const Progress& told) { say(Answer{told}); },
                              [&](const CheckpointMade& made) { say(Answer{made}); }};
    TRY_LET(reached, ask.tier == attest::Tier::native ? run_native(*job, ask, watch) : job->run(ask, watch));
    return Answer{std::move(reached)};
  }

  Result<Answer> answer(const AskCheck& ask) {
    TRY_LET(job, JobRun::load(ask.work, tamper_, break_tile_));
    TRY_LET(knowledge, job->check(ask));
    return Answer{Checked{knowledge}};
  }

  Result<Answer> answer(const AskMove& ask) {
    TRY_LET(job, JobRun::load(ask.work, tamper_, break_tile_));
    SegmentReplay replay(*job, ask.from, ask.game.terms.end_step);
    TRY_LET(move, attest::next_move(ask.game, ask.party, job->plan(), replay));
    return Answer{Moved{std::move(move)}};
  }

  Result<Answer> answer(const AskJudge& ask) {
    TRY_LET(job, JobRun::load(ask.work));
    TRY_LET(judged, judge_segment(*job, ask.from, ask.claimed));
    return Answer{std::move(judged)};
  }

  // One request, whatever happens in it: the job boundary, where faults end.
  Answer answer(ByteSpan message) {
    const auto answered = [&]() -> Result<Answer> {
      try {
        TRY_LET(ask, decode<Ask>(message));
        return std::visit([&](const auto& what) { return answer(what); }, ask);
      } catch (const Fault& fault) {
        return fault.error();
      } catch (const std::bad_alloc&) {
        return Error{Code::memory_limit, "the worker ran out of memory", "raise the memory limit, or use a smaller batch"};
      } catch (const std::exception& error) {
        return Error{Code::internal, error.what(), "report this with the program that caused it"};
      }
    }();
    if (answered) return *answered;
    return Failed{answered.error().code, answered.error().text, answered.error().next};
  }

  // Throws Fault when nobody listens any more: a run stops there, and its checkpoints stay.
  void say(const Answer& answer) {
    if (auto sent = send_frame(fd_, encode(answer)); !sent) throw Fault(sent.error());
  }

 private:
  int fd_;
  Tamper tamper_;
  kernels::BreakTile break_tile_;
};

}  // namespace

int serve_worker(int fd, Tamper tamper, kernels::BreakTile break_tile) {
  Desk desk(fd, std::move(tamper), std::move(break_tile));
  auto known = kernels::self_test(kernels::best_isa());
  if (known) known = enter_sandbox();
  while (true) {
    const auto message = receive_frame(fd);
    if (!message) return message.error().code == Code::unreachable ? 0 : exit_status(message.error().code);
    try {
      if (known) {
        desk.say(desk.answer(*message));
      } else {
        desk.say(Failed{known.error().code, known.error().text, known.error().next});
      }
    } catch (const Fault& fault) {
      std::fprintf(stderr, "%s\n", fault.error().message().c_str());
      return exit_status(fault.error().code);
    }
  }
}

}  // namespace cairn::runtime
