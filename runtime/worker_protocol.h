// What an agent asks of a worker. A worker holds no keys and no network: it reads and writes artefacts in one folder, by
// content id, and speaks over one inherited socket.
//
//   frame := size:u32 message        message := Ask (to the worker) | Answer (from it)        codec of base/codec.h
//
// One request at a time; answers end with exactly one that is not Progress or CheckpointMade. Everything a worker reads from
// the folder it hashes first, so a damaged file is an error (`proof`) and never an input.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "attest/dispute.h"
#include "attest/plan.h"
#include "attest/records.h"
#include "runtime/trace.h"

namespace cairn::runtime {

inline constexpr uint32_t kMaxFrameBytes = 64u << 20;

// A plan and everything that its steps depend on. Artefacts stand in `store` as files named by their id.
struct Work {
  std::string store;
  Hash plan;
  std::vector<Hash> inputs;  // of the plan, in order
  std::vector<Hash> given;   // of its `given` slots, in order
  uint64_t seed = 0;
  uint32_t threads = 0;      // 0: as many as there are cores
  uint64_t memory_bytes = 0; // refuse a plan that needs more; 0: no limit
  attest::WorkTable table;   // the chain's
  ContentKey key;            // of a private job: ids of all but the plan are keyed by it
  static constexpr auto fields() {
    return std::tuple{field("store", &Work::store),     field("plan", &Work::plan),
                      field("inputs", &Work::inputs),   field("given", &Work::given),
                      field("seed", &Work::seed),       field("threads", &Work::threads),
                      field("memory_bytes", &Work::memory_bytes), field("table", &Work::table),
                      field("key", &Work::key)};
  }
};

// The state after `step` steps: ids of its slots in plan order, each an artefact.
struct StatePoint {
  uint64_t step = 0;
  std::vector<Hash> ids;
  static constexpr auto fields() { return std::tuple{field("step", &StatePoint::step), field("ids", &StatePoint::ids)}; }
};

struct AskInspect {
  static constexpr uint16_t kTag = 1;
  std::string program;  // path of a .pt2
  static constexpr auto fields() { return std::tuple{field("program", &AskInspect::program)}; }
};
// An artefact that is a tensor with a name.
struct StoredTensor {
  std::string name;
  kernels::TensorType type;
  Hash id;
  static constexpr auto fields() {
    return std::tuple{field("name", &StoredTensor::name), field("type", &StoredTensor::type), field("id", &StoredTensor::id)};
  }
};
// Traces, and puts program, plan, schedule and weights into the store. A parameter's weights are those of `weights` under any
// of its names, else the program file's own; else, in a prediction, they are made from the seed by the parameter's ordinal.
struct AskTrace {
  static constexpr uint16_t kTag = 2;
  std::string program;
  std::string store;
  TraceRequest request;  // `given` is found here
  std::vector<StoredTensor> weights;
  uint64_t seed = 0;
  static constexpr auto fields() {
    return std::tuple{field("program", &AskTrace::program), field("store", &AskTrace::store),
                      field("request", &AskTrace::request), field("weights", &AskTrace::weights),
                      field("seed", &AskTrace::seed)};
  }
};
// The state before step 0, by the plan's rules; its slots go into the store.
struct AskInitial {
  static constexpr uint16_t kTag = 3;
  Work work;
  static constexpr auto fields() { return std::tuple{field("work", &AskInitial::work)}; }
};
// Runs from `from` to `until_step`; a checkpoint after each step that `interval` divides, and after the last.
struct AskRun {
  static constexpr uint16_t kTag = 4;
  Work work;
  StatePoint from;
  uint64_t until_step = 0;
  uint64_t interval = 0;
  attest::Tier tier = attest::Tier::exact;
  static constexpr auto fields() {
    return std::tuple{field("work", &AskRun::work), field("from", &AskRun::from), field("until_step", &AskRun::until_step),
                      field("interval", &AskRun::interval), field("tier", &AskRun::tier)};
  }
};
// Re-runs a segment and tells what only that can tell: the id of one call's outputs, and the end root.
struct AskCheck {
  static constexpr uint16_t kTag = 5;
  Work work;
  StatePoint from;
  uint64_t until_step = 0;
  uint64_t step = 0;  // from.step <= step < until_step
  uint32_t call = 0;
  static constexpr auto fields() {
    return std::tuple{field("work", &AskCheck::work), field("from", &AskCheck::from),
                      field("until_step", &AskCheck::until_step), field("step", &AskCheck::step),
                      field("call", &AskCheck::call)};
  }
};
// The next move of `party` in a game about the segment that starts at `from`.
struct AskMove {
  static constexpr uint16_t kTag = 6;
  Work work;
  StatePoint from;
  attest::Game game;
  attest::Party party = attest::Party::provider;
  static constexpr auto fields() {
    return std::tuple{field("work", &AskMove::work), field("from", &AskMove::from), field("game", &AskMove::game),
                      field("party", &AskMove::party)};
  }
};
// Whether `claimed` can be where an honest native run from `from` ends: see runtime/judge.h.
struct AskJudge {
  static constexpr uint16_t kTag = 7;
  Work work;
  StatePoint from;
  StatePoint claimed;
  static constexpr auto fields() {
    return std::tuple{field("work", &AskJudge::work), field("from", &AskJudge::from), field("claimed", &AskJudge::claimed)};
  }
};
using Ask = std::variant<AskInspect, AskTrace, AskInitial, AskRun, AskCheck, AskMove, AskJudge>;

struct Inspected {
  static constexpr uint16_t kTag = 1;
  Inspection inspection;
  static constexpr auto fields() { return std::tuple{field("inspection", &Inspected::inspection)}; }
};
struct Traced {
  static constexpr uint16_t kTag = 2;
  Hash program;           // id of the normalised program
  Hash program_artefact;  // id of its bytes in the store
  Hash plan;
  Hash plan_root;
  uint32_t calls = 0;
  uint64_t step_work_ns = 0;
  uint64_t peak_bytes = 0;
  uint64_t state_bytes = 0;
  uint64_t batch = 0;
  uint64_t steps = 0;
  std::optional<Hash> schedule;        // of a training plan
  std::vector<std::string> inputs;     // names of the plan's inputs, in order
  std::vector<std::string> given;      // names of its `given` slots, in order
  std::vector<std::string> slots;      // names of all state slots, in order
  std::vector<StoredTensor> weights;   // by parameter, of those that have any
  std::vector<std::string> removed;    // by normalising
  static constexpr auto fields() {
    using T = Traced;
    return std::tuple{field("program", &T::program),   field("program_artefact", &T::program_artefact),
                      field("plan", &T::plan),         field("plan_root", &T::plan_root),
                      field("calls", &T::calls),       field("step_work_ns", &T::step_work_ns),
                      field("peak_bytes", &T::peak_bytes), field("state_bytes", &T::state_bytes),
                      field("batch", &T::batch),       field("steps", &T::steps),
                      field("schedule", &T::schedule), field("inputs", &T::inputs),
                      field("given", &T::given),       field("slots", &T::slots),
                      field("weights", &T::weights),   field("removed", &T::removed)};
  }
};
struct Progress {
  static constexpr uint16_t kTag = 3;
  uint64_t step = 0;                  // steps that have run
  std::optional<uint32_t> loss_bits;  // of the last one; absent when the plan has no `losses`
  static constexpr auto fields() { return std::tuple{field("step", &Progress::step), field("loss_bits", &Progress::loss_bits)}; }
};
struct CheckpointMade {
  static constexpr uint16_t kTag = 4;
  StatePoint state;
  Hash root;
  static constexpr auto fields() { return std::tuple{field("state", &CheckpointMade::state), field("root", &CheckpointMade::root)}; }
};
// Ends AskInitial and AskRun.
struct StateReached {
  static constexpr uint16_t kTag = 5;
  StatePoint state;
  Hash root;
  uint64_t run_ns = 0;         // time in steps
  uint64_t checkpoint_ns = 0;  // time that checkpoints kept the steps waiting
  static constexpr auto fields() {
    return std::tuple{field("state", &StateReached::state), field("root", &StateReached::root),
                      field("run_ns", &StateReached::run_ns), field("checkpoint_ns", &StateReached::checkpoint_ns)};
  }
};
struct Checked {
  static constexpr uint16_t kTag = 6;
  attest::Knowledge knowledge;
  static constexpr auto fields() { return std::tuple{field("knowledge", &Checked::knowledge)}; }
};
struct Moved {
  static constexpr uint16_t kTag = 7;
  attest::Move move;
  static constexpr auto fields() { return std::tuple{field("move", &Moved::move)}; }
};
struct Failed {
  static constexpr uint16_t kTag = 8;
  Code code = Code::internal;
  std::string text;
  std::string next;
  static constexpr auto fields() {
    return std::tuple{field("code", &Failed::code), field("text", &Failed::text), field("next", &Failed::next)};
  }
};
struct Judged {
  static constexpr uint16_t kTag = 9;
  uint64_t permille = 0;  // of what is tolerated, in the slot where it is most
  std::string slot;
  bool within() const { return permille <= 1000; }
  static constexpr auto fields() { return std::tuple{field("permille", &Judged::permille), field("slot", &Judged::slot)}; }
};
using Answer = std::variant<Inspected, Traced, Progress, CheckpointMade, StateReached, Checked, Moved, Failed, Judged>;

// Frames over a stream socket. receive: nullopt-like error `unreachable` when the other side has hung up; malformed; limit.
Result<> send_frame(int fd, ByteSpan message);
Result<Bytes> receive_frame(int fd);

}  // namespace cairn::runtime
