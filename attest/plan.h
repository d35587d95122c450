// A plan: what is bought. A straight-line, single-assignment list of calls over values, run once per step.
//
// Everything that changes from step to step is state: parameters, moments, the step's row of `losses`, predictions. Batches
// are drawn inside the plan by `sample_rows`, so the order of the data is bound by the plan like everything else.
//
//   plan      := version:u16 inputs:input* constants:constant* state:slot* calls:call*
//   id        := BLAKE3(plan bytes)                          what is carried and stored
//   root      := 16-ary sum tree over the calls' leaves      what the ledger opens (tree.h)
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "kernels/operator.h"

namespace cairn::attest {

using kernels::TensorType;

enum class From : uint8_t { input = 1, constant = 2, state = 3, call = 4 };
constexpr bool is_valid(From f) { return f >= From::input && f <= From::call; }

// A value: input[index], constant[index], state[index] as it was before the step, or output `output` of call `index`.
struct ValueRef {
  From from = From::input;
  uint32_t index = 0;
  uint8_t output = 0;  // 0 unless from == call
  friend bool operator==(const ValueRef&, const ValueRef&) = default;
  static constexpr auto fields() {
    return std::tuple{field("from", &ValueRef::from), field("index", &ValueRef::index), field("output", &ValueRef::output)};
  }
};

// Bytes from outside, bound by content id in the job: datasets, schedule table, weights of an inference job.
struct InputSlot {
  std::string name;
  TensorType type;
  static constexpr auto fields() { return std::tuple{field("name", &InputSlot::name), field("type", &InputSlot::type)}; }
};

// Depends on no input (masks, tables, the root gradient 1). `bytes` are row-major; its id is their BLAKE3.
struct Constant {
  TensorType type;
  Bytes bytes;
  static constexpr auto fields() { return std::tuple{field("type", &Constant::type), field("bytes", &Constant::bytes)}; }
};

// How a state buffer starts. `uniform`: element i = bound * (2u - 1), u = Philox(key = seed, counter = (0, site, i / 4))[i % 4]
// >> 8 times 2^-24, site = 2^31 + ordinal of the slot. `given`: the job's inputs name its content id. A bf16 slot rounds the f32 to nearest even.
enum class InitKind : uint8_t { zeros = 1, fill = 2, uniform = 3, given = 4 };
constexpr bool is_valid(InitKind k) { return k >= InitKind::zeros && k <= InitKind::given; }
struct Init {
  InitKind kind = InitKind::zeros;
  uint32_t value_bits = 0;  // f32 bits: the fill value, or the bound
  static constexpr auto fields() { return std::tuple{field("kind", &Init::kind), field("value_bits", &Init::value_bits)}; }
};

struct StateSlot {
  std::string name;  // as it will be called in the checkpoint; a tied weight has one slot
  TensorType type;
  Init init;
  ValueRef next;  // its value after the step; {state, itself} when a step leaves it alone
  static constexpr auto fields() {
    return std::tuple{field("name", &StateSlot::name), field("type", &StateSlot::type), field("init", &StateSlot::init),
                      field("next", &StateSlot::next)};
  }
};

// One leaf of the plan's tree: self-contained, so that it can be judged alone.
struct Call {
  uint16_t op = 0;
  std::vector<int64_t> attrs;
  std::vector<ValueRef> inputs;
  std::vector<TensorType> input_types;
  std::vector<TensorType> output_types;
  uint64_t work_ns = 0;  // reference nanoseconds, by work_of()
  static constexpr auto fields() {
    return std::tuple{field("op", &Call::op),
                      field("attrs", &Call::attrs),
                      field("inputs", &Call::inputs),
                      field("input_types", &Call::input_types),
                      field("output_types", &Call::output_types),
                      field("work_ns", &Call::work_ns)};
  }
};

struct Plan {
  static constexpr uint16_t kVersion = 1;
  uint16_t version = kVersion;
  std::vector<InputSlot> inputs;
  std::vector<Constant> constants;
  std::vector<StateSlot> state;
  std::vector<Call> calls;
  static constexpr auto fields() {
    return std::tuple{field("version", &Plan::version), field("inputs", &Plan::inputs),
                      field("constants", &Plan::constants), field("state", &Plan::state), field("calls", &Plan::calls)};
  }
};

// The chain's work table: reference nanoseconds of a call = max(multiply-adds / mac_per_ns, bytes / bytes_per_ns, fixed_ns),
// each division rounded up.
struct WorkTable {
  uint32_t mac_per_ns = 32;
  uint32_t bytes_per_ns = 16;
  uint32_t fixed_ns = 200;
  static constexpr auto fields() {
    return std::tuple{field("mac_per_ns", &WorkTable::mac_per_ns), field("bytes_per_ns", &WorkTable::bytes_per_ns),
                      field("fixed_ns", &WorkTable::fixed_ns)};
  }
};
uint64_t work_of(const kernels::Operator& op, const kernels::CallShape& call, const WorkTable& table);

// What a validated plan needs; known before anybody runs it.
struct PlanFacts {
  Hash id;
  Hash root;
  u128 work_ns = 0;          // of one step
  uint64_t peak_bytes = 0;   // state + inputs + constants + the largest set of live intermediates
  uint64_t state_bytes = 0;
};

// Checks everything a provider must know before Accept: operator ids, attributes, shapes by `infer`, single assignment
// (a call reads only what stands before it), types of references and of every slot's `next`, work, names unique.
// Errors: malformed, limit, undefined_operator, shape, understated_work; each names the call's number and operator.
Result<PlanFacts> validate(const Plan& plan, const WorkTable& table);

inline constexpr uint64_t kMaxPlanBytes = 256u << 20;     // encoded: nobody reads more
inline constexpr uint64_t kMaxConstantBytes = 64u << 20;  // all constants of a plan together
inline constexpr uint32_t kMaxCalls = 1u << 24;
inline constexpr size_t kMaxRank = 16;
inline constexpr size_t kMaxNameBytes = 256;

// What one leaf alone shows: operator, attributes, shapes. A leaf that fails proves its plan false (requester at fault).
// Errors: undefined_operator, shape.
Result<> check_leaf(const Call& call);
// The same with the work rule. Errors: those, and understated_work.
Result<> check_leaf(const Call& call, const WorkTable& table);
// The type of the value that `ref` names, or null when there is none such.
const TensorType* type_of(const Plan& plan, const ValueRef& ref);

}  // namespace cairn::attest

CODEC_ELSEWHERE(attest::Plan)
