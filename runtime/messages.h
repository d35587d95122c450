// What the worker is asked and what it says: length-prefixed values of the codec over one socket.
//
//   frame   := length:u32 bytes            length at most 64 MiB
//   client  -> Request, then reads replies until one that is no progress
//   worker  -> Said*, Answer               of each request, in order
//
// The worker holds no keys and no network. It reads and writes the files that a request names and nothing else.
#pragma once

#include <filesystem>
#include <variant>

#include "attest/dispute.h"
#include "runtime/trace.h"

namespace cairn::runtime {

// Row-major bytes of one tensor: `size` bytes at `offset` of a file.
struct TensorBytes {
  std::string name;  // of a plan input or a `given` state slot
  std::string path;
  uint64_t offset = 0;
  uint64_t size = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &TensorBytes::name), field("path", &TensorBytes::path),
                      field("offset", &TensorBytes::offset), field("size", &TensorBytes::size)};
  }
};

// ---- requests ----

struct InspectProgram {
  static constexpr uint16_t kTag = 1;
  std::string path;  // .pt2
  static constexpr auto fields() { return std::tuple{field("path", &InspectProgram::path)}; }
};

// Traces a program over data and leaves in `folder`: program, plan, schedule, and each tensor's row-major bytes.
struct TraceProgram {
  static constexpr uint16_t kTag = 2;
  std::string path;     // .pt2
  std::string data;     // safetensors with the program's inputs by name
  std::string weights;  // safetensors with parameters by name; may be empty. The .pt2's own weights come after it
  std::string folder;   // exists
  bool train = true;
  uint64_t batch = 0;
  uint64_t steps = 0;
  uint64_t seed = 0;
  Optimizer optimizer;
  attest::WorkTable work;
  static constexpr auto fields() {
    using T = TraceProgram;
    return std::tuple{field("path", &T::path),     field("data", &T::data),   field("weights", &T::weights),
                      field("folder", &T::folder), field("train", &T::train), field("batch", &T::batch),
                      field("steps", &T::steps),   field("seed", &T::seed),   field("optimizer", &T::optimizer),
                      field("work", &T::work)};
  }
};

// A plan with everything that its result depends on.
struct PlanRun {
  std::string plan;                 // file with the plan's bytes
  std::vector<TensorBytes> inputs;  // plan inputs and given slots, by name
  uint64_t seed = 0;
  uint32_t threads = 1;
  attest::WorkTable work;           // the chain's: the plan is validated against it
  static constexpr auto fields() {
    return std::tuple{field("plan", &PlanRun::plan), field("inputs", &PlanRun::inputs), field("seed", &PlanRun::seed),
                      field("threads", &PlanRun::threads), field("work", &PlanRun::work)};
  }
};

// Runs to step `steps`, writing a checkpoint in `folder` every `interval` steps and at the end. Goes on from the last of the
// unbroken row of checkpoints that lie there already; says Checkpointed of those and of each new one, and Progress at least
// once a second where a step takes less.
struct RunPlan {
  static constexpr uint16_t kTag = 3;
  PlanRun run;
  uint64_t steps = 0;
  uint64_t interval = 0;  // 0: only at the end
  std::string folder;
  std::string checkpoint;  // to start from, another's; empty: from step 0
  bool native = false;    // by stock ATen: checked within a tolerance, never called proof
  static constexpr auto fields() {
    using R = RunPlan;
    return std::tuple{field("run", &R::run), field("steps", &R::steps), field("interval", &R::interval),
                      field("folder", &R::folder), field("checkpoint", &R::checkpoint), field("native", &R::native)};
  }
};

// Runs one segment again: what a drawn verifier must know. `checkpoint` is empty when it starts at step 0.
struct CheckSegment {
  static constexpr uint16_t kTag = 4;
  PlanRun run;
  std::string checkpoint;
  uint64_t end_step = 0;
  uint64_t step = 0;  // of the drawn call
  uint32_t call = 0;
  std::string end_checkpoint;  // written there unless empty
  static constexpr auto fields() {
    using C = CheckSegment;
    return std::tuple{field("run", &C::run),   field("checkpoint", &C::checkpoint), field("end_step", &C::end_step),
                      field("step", &C::step), field("call", &C::call),             field("end_checkpoint", &C::end_checkpoint)};
  }
};

// The next move of a dispute, from an own replay of the segment that starts at `checkpoint`.
struct PlayDispute {
  static constexpr uint16_t kTag = 5;
  PlanRun run;
  std::string checkpoint;
  Bytes game;  // encoded attest::Game
  attest::Party party = attest::Party::provider;
  static constexpr auto fields() {
    using P = PlayDispute;
    return std::tuple{field("run", &P::run), field("checkpoint", &P::checkpoint), field("game", &P::game), field("party", &P::party)};
  }
};

using Request = std::variant<InspectProgram, TraceProgram, RunPlan, CheckSegment, PlayDispute>;

// ---- replies ----

struct Progress {
  static constexpr uint16_t kTag = 1;
  uint64_t step = 0;
  uint64_t steps = 0;
  std::vector<uint32_t> loss_bits;  // f32 bits of the losses since the last one, when the plan has `losses`
  static constexpr auto fields() {
    return std::tuple{field("step", &Progress::step), field("steps", &Progress::steps), field("loss_bits", &Progress::loss_bits)};
  }
};
struct Checkpointed {
  static constexpr uint16_t kTag = 2;
  uint64_t step = 0;
  Hash root;
  std::string path;
  bool resumed = false;  // it was there already: the run went on from it
  static constexpr auto fields() {
    using C = Checkpointed;
    return std::tuple{field("step", &C::step), field("root", &C::root), field("path", &C::path), field("resumed", &C::resumed)};
  }
};

struct Inspected {
  static constexpr uint16_t kTag = 3;
  Inspection inspection;
  static constexpr auto fields() { return std::tuple{field("inspection", &Inspected::inspection)}; }
};
struct NamedId {
  std::string name;
  Hash id;
  std::string path;  // its row-major bytes
  uint64_t size = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &NamedId::name), field("id", &NamedId::id), field("path", &NamedId::path), field("size", &NamedId::size)};
  }
};
struct Traced {
  static constexpr uint16_t kTag = 4;
  Hash program;
  Hash plan;
  Hash plan_root;
  uint32_t calls = 0;
  uint32_t state_slots = 0;
  uint64_t step_work_ns = 0;
  uint64_t peak_bytes = 0;
  uint64_t state_bytes = 0;
  uint64_t batch = 0;
  uint64_t steps = 0;
  Hash initial_state;            // state root before step 0, with the request's seed
  std::string program_path;
  std::string plan_path;
  std::vector<NamedId> inputs;   // plan inputs in order, then given slots in slot order
  std::vector<std::string> removed;
  static constexpr auto fields() {
    using T = Traced;
    return std::tuple{field("program", &T::program),
                      field("plan", &T::plan),
                      field("plan_root", &T::plan_root),
                      field("calls", &T::calls),
                      field("state_slots", &T::state_slots),
                      field("step_work_ns", &T::step_work_ns),
                      field("peak_bytes", &T::peak_bytes),
                      field("state_bytes", &T::state_bytes),
                      field("batch", &T::batch),
                      field("steps", &T::steps),
                      field("initial_state", &T::initial_state),
                      field("program_path", &T::program_path),
                      field("plan_path", &T::plan_path),
                      field("inputs", &T::inputs),
                      field("removed", &T::removed)};
  }
};
struct Ran {
  static constexpr uint16_t kTag = 5;
  uint64_t step = 0;
  Hash root;             // zero on the native tier
  std::string path;      // the last checkpoint
  uint64_t steps_run = 0;  // by this request, without those resumed from
  uint64_t elapsed_ms = 0;
  static constexpr auto fields() {
    return std::tuple{field("step", &Ran::step), field("root", &Ran::root), field("path", &Ran::path),
                      field("steps_run", &Ran::steps_run), field("elapsed_ms", &Ran::elapsed_ms)};
  }
};
struct Checked {
  static constexpr uint16_t kTag = 6;
  Hash start_root;
  Hash end_root;
  Hash call_id;  // of the drawn call's outputs
  static constexpr auto fields() {
    return std::tuple{field("start_root", &Checked::start_root), field("end_root", &Checked::end_root), field("call_id", &Checked::call_id)};
  }
};
struct Played {
  static constexpr uint16_t kTag = 7;
  Bytes move;  // encoded attest::Move
  static constexpr auto fields() { return std::tuple{field("move", &Played::move)}; }
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

using Reply = std::variant<Progress, Checkpointed, Inspected, Traced, Ran, Checked, Played, Failed>;

inline constexpr size_t kMaxFrameBytes = 64u << 20;

// One end of the socket. Not for several threads. Closing it is the owner's business.
class Channel {
 public:
  explicit Channel(int fd) : fd_(fd) {}
  // Errors: unreachable (the other end is gone), limit, malformed, timed_out.
  template <class T>
  Result<> send(const T& message) {
    return send_frame(encode(message));
  }
  // `timeout_ms` < 0 waits for ever.
  template <class T>
  Result<T> receive(int timeout_ms = -1) {
    TRY_LET(bytes, receive_frame(timeout_ms));
    return decode<T>(bytes);
  }

 private:
  Result<> send_frame(ByteSpan bytes);
  Result<Bytes> receive_frame(int timeout_ms);
  int fd_;
};

}  // namespace cairn::runtime
