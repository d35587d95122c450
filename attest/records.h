// The records that parties sign, commit to and check: job, commitment, draw, verdict. Grammar: fields(), in order.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "attest/plan.h"
#include "base/amount.h"
#include "base/bytes.h"
#include "base/codec.h"

namespace cairn::attest {

enum class Tier : uint8_t { exact = 1, native = 2 };
constexpr bool is_valid(Tier t) { return t == Tier::exact || t == Tier::native; }
constexpr std::string_view name(Tier t) { return t == Tier::exact ? "exact" : "native"; }

enum class Device : uint8_t { cpu = 1, cuda = 2 };
constexpr bool is_valid(Device d) { return d == Device::cpu || d == Device::cuda; }
constexpr std::string_view name(Device d) { return d == Device::cpu ? "cpu" : "cuda"; }

// How products are computed (kernels/ops/matmul.h, matmul_int.h); everything else is f32 in all.
enum class NumericClass : uint8_t { f32 = 1, int2 = 2, int2_row = 3, int3 = 4 };
constexpr bool is_valid(NumericClass c) { return c >= NumericClass::f32 && c <= NumericClass::int3; }
constexpr std::string_view name(NumericClass c) {
  constexpr std::string_view kNames[] = {"?", "f32", "int2", "int2.row", "int3"};
  return kNames[is_valid(c) ? static_cast<size_t>(c) : 0];
}

struct OfferClass {
  Device device = Device::cpu;
  NumericClass numeric = NumericClass::f32;
  friend auto operator<=>(const OfferClass&, const OfferClass&) = default;
  static constexpr auto fields() {
    return std::tuple{field("device", &OfferClass::device), field("numeric", &OfferClass::numeric)};
  }
};

// k drawn segments and the stake as a multiple of the reward; the numbers stand in the chain's table.
enum class Policy : uint8_t { starter = 1, standard = 2, careful = 3, all = 4 };
constexpr bool is_valid(Policy p) { return p >= Policy::starter && p <= Policy::all; }
constexpr std::string_view name(Policy p) {
  constexpr std::string_view kNames[] = {"?", "starter", "standard", "careful", "all"};
  return kNames[static_cast<uint8_t>(p)];
}

// A plan input, or a `given` state slot, bound to bytes. `asset` is zero when the bytes are nobody's asset.
struct InputBinding {
  std::string name;
  Hash id;  // BLAKE3 of the tensor's row-major bytes
  AssetId asset;
  static constexpr auto fields() {
    return std::tuple{field("name", &InputBinding::name), field("id", &InputBinding::id),
                      field("asset", &InputBinding::asset)};
  }
};

// Who may see the data of a private job; ascending. The requester sees it anyway.
struct Viewers {
  std::vector<AccountId> providers;
  std::vector<AccountId> verifiers;  // the jury: draws are among those of them that have a bond; none: nobody checks
  Hash key_hash;                     // private_key_hash(key): ids of inputs, state and outputs are keyed by it (base/content.h)
  static constexpr auto fields() {
    return std::tuple{field("providers", &Viewers::providers), field("verifiers", &Viewers::verifiers), field("key_hash", &Viewers::key_hash)};
  }
};

Hash private_key_hash(const Hash& key);  // tagged_hash("cairn.private.v1", key)

// What a requester buys. Everything that the result depends on stands here, so the result has one value.
struct JobSpec {
  std::string title;
  Hash program;             // id of the normalised program, shown in the receipt
  AssetId program_asset;    // zero when it is nobody's asset
  Hash plan;                // id of the plan's bytes
  Hash plan_root;           // its sum tree: what the ledger opens
  uint32_t calls = 0;       // leaves of that tree
  uint32_t state_slots = 0;
  uint64_t step_work_ns = 0;            // total of the sum tree, reference nanoseconds a step
  std::vector<InputBinding> inputs;     // plan inputs in plan order, then `given` slots in slot order
  Hash initial_state;                   // state root before step 0
  uint64_t seed = 0;
  uint64_t steps = 0;
  uint64_t interval = 0;                // steps between checkpoints; the last segment may be shorter
  Tier tier = Tier::exact;
  OfferClass klass;
  uint64_t memory_bytes = 0;            // the plan's peak; a provider's limit must cover it
  Policy policy = Policy::standard;
  bool require_audit = false;           // void rather than settled unaudited
  Amount price_ceiling;                 // pebbles per 10^9 reference seconds
  uint64_t accept_ms = 0;               // chain time from match to Accept (staging)
  uint64_t run_ms = 0;                  // chain time from Accept to Commit
  Hash secret_hash;                     // tagged_hash("cairn.secret.v1", secret): mixed into the draw when revealed
  std::string endpoint;                 // where the requester serves the inputs, "tcp://127.0.0.1:port"
  Amount harm;                          // what one poisoned segment could cost: the stake covers it; 0 names none
  std::vector<AccountId> judges;        // of a native job, ascending and odd in number: their majority decides about pay
  std::optional<Viewers> viewers;       // set: the job is private, and nothing of it is opened on the chain
  static constexpr auto fields() {
    return std::tuple{field("title", &JobSpec::title),
                      field("program", &JobSpec::program),
                      field("program_asset", &JobSpec::program_asset),
                      field("plan", &JobSpec::plan),
                      field("plan_root", &JobSpec::plan_root),
                      field("calls", &JobSpec::calls),
                      field("state_slots", &JobSpec::state_slots),
                      field("step_work_ns", &JobSpec::step_work_ns),
                      field("inputs", &JobSpec::inputs),
                      field("initial_state", &JobSpec::initial_state),
                      field("seed", &JobSpec::seed),
                      field("steps", &JobSpec::steps),
                      field("interval", &JobSpec::interval),
                      field("tier", &JobSpec::tier),
                      field("class", &JobSpec::klass),
                      field("memory_bytes", &JobSpec::memory_bytes),
                      field("policy", &JobSpec::policy),
                      field("require_audit", &JobSpec::require_audit),
                      field("price_ceiling", &JobSpec::price_ceiling),
                      field("accept_ms", &JobSpec::accept_ms),
                      field("run_ms", &JobSpec::run_ms),
                      field("secret_hash", &JobSpec::secret_hash),
                      field("endpoint", &JobSpec::endpoint),
                      field("harm", &JobSpec::harm),
                      field("judges", &JobSpec::judges),
                      field("viewers", &JobSpec::viewers)};
  }
  // Who checks one drawn segment: a verifier; two of a private job's jury; every judge of a native job.
  uint64_t checkers() const { return tier == Tier::native ? judges.size() : viewers ? 2 : 1; }
  uint64_t segments() const { return interval == 0 ? 0 : (steps + interval - 1) / interval; }
  uint64_t segment_start(uint64_t segment) const { return segment * interval; }
  uint64_t segment_end(uint64_t segment) const { return std::min(steps, (segment + 1) * interval); }
};
// Well-formedness that needs no chain: steps, interval, lengths of texts, `exact` class. Error: invalid.
Result<> check(const JobSpec& spec);
Hash input_root(const JobSpec& spec);  // tree_root over the bindings' ids, in order
// That a job says what its plan says: roots, counts, work, memory, input names. For a provider before Accept, and for the
// requester's tool. Errors: invalid, naming the field.
Result<> check_against_plan(const JobSpec& spec, const Plan& plan, const PlanFacts& facts);

// What a provider claims to have computed. Leaf i of the checkpoint tree is the state root after segment i; losses and
// predictions are state, so the last leaf is the result and equals `outputs_root`.
struct Commitment {
  JobId job;
  Hash plan_root;
  Hash input_root;
  Hash checkpoint_root;
  Hash outputs_root;
  uint64_t steps = 0;
  static constexpr auto fields() {
    return std::tuple{field("job", &Commitment::job),
                      field("plan_root", &Commitment::plan_root),
                      field("input_root", &Commitment::input_root),
                      field("checkpoint_root", &Commitment::checkpoint_root),
                      field("outputs_root", &Commitment::outputs_root),
                      field("steps", &Commitment::steps)};
  }
};

// One drawn check: `verifier` re-runs `segment` and must know the id of the call that covers `work_offset` of step `step`.
struct DrawnCheck {
  uint64_t segment = 0;
  uint64_t step = 0;         // absolute, inside the segment
  uint64_t work_offset = 0;  // < step_work_ns: the call whose work interval holds it (calls in order)
  AccountId verifier;
  static constexpr auto fields() {
    return std::tuple{field("segment", &DrawnCheck::segment), field("step", &DrawnCheck::step),
                      field("work_offset", &DrawnCheck::work_offset), field("verifier", &DrawnCheck::verifier)};
  }
};
struct Candidate {
  AccountId account;
  Amount bond;
};
// k distinct segments of n, one verifier each, two of a private job, in proportion to bonds; all judges for each of a native
// job, whatever the candidates; those of one segment look at the same call. `randomness` = draw_randomness(...).
// Candidates must be sorted by account; candidates without any bond give an empty draw. k = 0, or k >= n, is all segments.
// The checks come in the order of their segments. Integer arithmetic and rejection sampling only: no bias, no rounding.
Hash draw_randomness(const Hash& beacon, const Hash& requester_secret_or_zero, const JobId& job, const Hash& commitment);
std::vector<DrawnCheck> draw(const Hash& randomness, const JobSpec& spec, uint64_t k, const std::vector<Candidate>& candidates);
// Others for the same segments: of `unheard`, each that some candidate can take who was not drawn for that segment. The segments
// stay, or whoever withholds a drawn one would be drawn a better one. `drawn`: all earlier checks.
std::vector<DrawnCheck> redraw(const Hash& randomness, const JobSpec& spec, const std::vector<DrawnCheck>& unheard,
                               const std::vector<DrawnCheck>& drawn, const std::vector<Candidate>& candidates);
// Index of the call whose work interval holds `work_offset`.
uint32_t call_at(const Plan& plan, uint64_t work_offset);

// Knowledge of a run: the id of the drawn call's outputs, which stands in no commitment, and the segment's end root.
struct Knowledge {
  Hash call_id;   // call_id() of tree.h
  Hash end_root;  // state root after the segment
  friend bool operator==(const Knowledge&, const Knowledge&) = default;
  static constexpr auto fields() { return std::tuple{field("call_id", &Knowledge::call_id), field("end_root", &Knowledge::end_root)}; }
};
// What a verifier commits before anybody reveals.
Hash verdict_hash(const Hash& salt, const AccountId& verifier, const JobId& job, uint64_t segment, const Knowledge& knowledge);

}  // namespace cairn::attest

CODEC_ELSEWHERE(attest::JobSpec)
CODEC_ELSEWHERE(attest::Commitment)
CODEC_ELSEWHERE(attest::Knowledge)
