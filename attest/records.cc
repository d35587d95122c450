#include "attest/records.h"

#include <functional>
#include <set>

#include "attest/tree.h"

namespace cairn::attest {
namespace {

constexpr size_t kMaxText = 256;
constexpr size_t kMaxInputs = 4096;
constexpr size_t kMaxJudges = 15;
constexpr size_t kMaxViewers = 64;
constexpr uint64_t kMaxSteps = uint64_t{1} << 40;
constexpr uint64_t kMaxSegments = uint64_t{1} << 24;

Error invalid(std::string text) { return {Code::invalid, std::move(text), "correct the job"}; }

// Uniform numbers from a hash, without bias: what would favour small results is thrown again.
class Dice {
 public:
  explicit Dice(const Hash& randomness) : randomness_(randomness) {}

  u128 below(u128 n) {
    CHECK(n > 0);
    const u128 excess = (~u128{0} % n + 1) % n;  // 2^128 mod n
    for (;;) {
      const Bytes counter = encode(counter_++);
      const Hash hash = tagged_hash("cairn.draw.v1", {randomness_.span(), counter});
      u128 roll = 0;
      for (size_t i = 0; i < 16; i++) roll |= static_cast<u128>(hash.v[i]) << (8 * i);
      if (excess == 0 || roll < ~u128{0} - excess + 1) return roll % n;
    }
  }
  uint64_t below64(uint64_t n) { return static_cast<uint64_t>(below(n)); }

 private:
  Hash randomness_;
  uint64_t counter_ = 0;
};

// k of n, every set equally likely: Floyd's way.
std::set<uint64_t> choose(Dice& dice, uint64_t k, uint64_t n) {
  std::set<uint64_t> chosen;
  for (uint64_t i = n - k; i < n; i++) {
    const uint64_t roll = dice.below64(i + 1);
    chosen.insert(chosen.contains(roll) ? i : roll);
  }
  return chosen;
}

}  // namespace

Result<> check(const JobSpec& spec) {
  if (spec.title.size() > kMaxText) return invalid("title: at most 256 bytes");
  if (spec.endpoint.size() > kMaxText) return invalid("endpoint: at most 256 bytes");
  if (spec.plan.is_zero() || spec.plan_root.is_zero()) return invalid("plan: a job names its plan's id and root");
  if (spec.calls == 0 || spec.calls > kMaxCalls) return invalid("calls: 1 to 2^24");
  if (spec.state_slots == 0) return invalid("state_slots: at least 1, or there is no result");
  if (spec.step_work_ns == 0) return invalid("step_work_ns: a step has work");
  if (spec.inputs.size() > kMaxInputs) return invalid("inputs: at most 4096");
  std::set<std::string> names;
  for (const InputBinding& input : spec.inputs) {
    if (input.name.empty() || input.name.size() > kMaxNameBytes) return invalid("inputs: a name has 1 to 256 bytes");
    if (!names.insert(input.name).second) return invalid("inputs: " + input.name + " twice");
  }
  if (spec.steps == 0 || spec.steps > kMaxSteps) return invalid("steps: 1 to 2^40");
  if (spec.interval == 0 || spec.interval > spec.steps) return invalid("interval: 1 to the number of steps");
  if (spec.segments() > kMaxSegments) return invalid("interval: at most 2^24 segments");
  if (spec.price_ceiling.pebbles == 0) return invalid("price_ceiling: above 0");
  if (spec.accept_ms == 0) return invalid("accept_ms: above 0");
  if (spec.run_ms == 0) return invalid("run_ms: above 0");
  const auto ascending = [](const std::vector<AccountId>& who) {
    return std::adjacent_find(who.begin(), who.end(), std::greater_equal<>()) == who.end();
  };
  if (spec.tier == Tier::exact && !spec.judges.empty()) return invalid("judges: for native jobs only; an exact one needs none");
  if (spec.tier == Tier::native) {
    if (spec.judges.size() % 2 == 0 || spec.judges.size() > kMaxJudges || !ascending(spec.judges))
      return invalid("judges: a native job names 1, 3 ... 15 of them, ascending");
    if (spec.harm.pebbles > 0) return invalid("harm: a native job's stake cannot be lost to its judges, so it covers no harm");
  }
  if (spec.viewers) {
    const auto& [providers, verifiers, key_hash] = *spec.viewers;
    if (providers.empty() || providers.size() > kMaxViewers || verifiers.size() > kMaxViewers || !ascending(providers) || !ascending(verifiers))
      return invalid("viewers: 1 to 64 providers and at most 64 verifiers, ascending");
    if (key_hash.is_zero()) return invalid("viewers: a private job names its key by hash");
    if (std::any_of(spec.inputs.begin(), spec.inputs.end(), [](const InputBinding& input) { return !input.asset.is_zero(); }))
      return invalid("viewers: an asset is public, an input of a private job is not");
  }
  return {};
}

Hash input_root(const JobSpec& spec) {
  std::vector<Hash> ids;
  for (const InputBinding& input : spec.inputs) ids.push_back(input.id);
  return tree_root(ids);
}

Result<> check_against_plan(const JobSpec& spec, const Plan& plan, const PlanFacts& facts) {
  if (spec.plan != facts.id) return invalid("plan: the job names " + spec.plan.hex().substr(0, 16) + ", this is " + facts.id.hex().substr(0, 16));
  if (spec.plan_root != facts.root) return invalid("plan_root: it is not the root of the job's plan");
  if (spec.calls != plan.calls.size()) return invalid("calls: the plan has " + std::to_string(plan.calls.size()));
  if (spec.state_slots != plan.state.size()) return invalid("state_slots: the plan has " + std::to_string(plan.state.size()));
  if (spec.step_work_ns != facts.work_ns) return invalid("step_work_ns: it is not the work of the job's plan");
  if (spec.memory_bytes != facts.peak_bytes) return invalid("memory_bytes: the plan's peak is " + std::to_string(facts.peak_bytes));
  std::vector<std::string> names;
  for (const InputSlot& slot : plan.inputs) names.push_back(slot.name);
  for (const StateSlot& slot : plan.state)
    if (slot.init.kind == InitKind::given) names.push_back(slot.name);
  if (spec.inputs.size() != names.size()) return invalid("inputs: the plan takes " + std::to_string(names.size()));
  for (size_t i = 0; i < names.size(); i++)
    if (spec.inputs[i].name != names[i]) return invalid("inputs: number " + std::to_string(i) + " is " + names[i] + ", not " + spec.inputs[i].name);
  return {};
}

Hash private_key_hash(const Hash& key) { return tagged_hash("cairn.private.v1", {key.span()}); }

Hash draw_randomness(const Hash& beacon, const Hash& requester_secret_or_zero, const JobId& job, const Hash& commitment) {
  return tagged_hash("cairn.randomness.v1", {beacon.span(), requester_secret_or_zero.span(), job.span(), commitment.span()});
}

namespace {
DrawnCheck place_of(Dice& dice, const JobSpec& spec, uint64_t segment) {
  DrawnCheck check;
  check.segment = segment;
  check.step = spec.segment_start(segment) + dice.below64(spec.segment_end(segment) - spec.segment_start(segment));
  check.work_offset = dice.below64(std::max<uint64_t>(spec.step_work_ns, 1));
  return check;
}

// Of one segment, in proportion to bonds among all candidates but some. Nothing when none of them has a bond.
std::optional<DrawnCheck> draw_one(Dice& dice, const JobSpec& spec, uint64_t segment, const std::vector<Candidate>& candidates,
                                   const std::set<AccountId>& but) {
  u128 bonds = 0;
  for (const Candidate& candidate : candidates)
    if (!but.contains(candidate.account)) bonds += candidate.bond.pebbles;
  if (bonds == 0) return std::nullopt;
  DrawnCheck check = place_of(dice, spec, segment);
  u128 ticket = dice.below(bonds);
  for (const Candidate& candidate : candidates) {
    if (but.contains(candidate.account)) continue;
    if (ticket < candidate.bond.pebbles) {
      check.verifier = candidate.account;
      break;
    }
    ticket -= candidate.bond.pebbles;
  }
  return check;
}
}  // namespace

std::vector<DrawnCheck> draw(const Hash& randomness, const JobSpec& spec, uint64_t k, const std::vector<Candidate>& candidates) {
  const uint64_t n = spec.segments();
  const bool nobody = std::all_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.bond.pebbles == 0; });
  if ((nobody && spec.tier == Tier::exact) || n == 0) return {};
  if (k == 0 || k > n) k = n;
  Dice dice(randomness);
  std::vector<DrawnCheck> checks;
  for (uint64_t segment : choose(dice, k, n)) {
    if (spec.tier == Tier::native) {
      DrawnCheck check = place_of(dice, spec, segment);
      for (const AccountId& judge : spec.judges) {
        check.verifier = judge;
        checks.push_back(check);
      }
      continue;
    }
    std::set<AccountId> taken;
    for (uint64_t i = 0; i < spec.checkers(); i++) {
      const auto check = draw_one(dice, spec, segment, candidates, taken);
      if (!check) break;
      taken.insert(check->verifier);
      checks.push_back(i == 0 ? *check : DrawnCheck{segment, checks.back().step, checks.back().work_offset, check->verifier});
    }
  }
  return checks;
}

std::vector<DrawnCheck> redraw(const Hash& randomness, const JobSpec& spec, const std::vector<DrawnCheck>& unheard,
                               const std::vector<DrawnCheck>& drawn, const std::vector<Candidate>& candidates) {
  if (spec.tier == Tier::native) return {};  // a judge is nobody else's to replace
  Dice dice(randomness);
  std::vector<DrawnCheck> checks;
  for (const DrawnCheck& earlier : unheard) {
    std::set<AccountId> taken;
    for (const DrawnCheck& check : drawn)
      if (check.segment == earlier.segment) taken.insert(check.verifier);
    for (const DrawnCheck& check : checks)
      if (check.segment == earlier.segment) taken.insert(check.verifier);
    const auto check = draw_one(dice, spec, earlier.segment, candidates, taken);
    if (check) checks.push_back(spec.viewers ? DrawnCheck{earlier.segment, earlier.step, earlier.work_offset, check->verifier} : *check);
  }
  return checks;
}

uint32_t call_at(const Plan& plan, uint64_t work_offset) {
  CHECK(!plan.calls.empty());
  for (size_t i = 0; i < plan.calls.size(); i++) {
    if (work_offset < plan.calls[i].work_ns) return static_cast<uint32_t>(i);
    work_offset -= plan.calls[i].work_ns;
  }
  return static_cast<uint32_t>(plan.calls.size() - 1);  // only when the offset is not below the plan's work
}

Hash verdict_hash(const Hash& salt, const AccountId& verifier, const JobId& job, uint64_t segment, const Knowledge& knowledge) {
  const Bytes number = encode(segment), known = encode(knowledge);
  return tagged_hash("cairn.verdict.v1", {salt.span(), verifier.span(), job.span(), number, known});
}

}  // namespace cairn::attest

CODEC_HERE(attest::JobSpec)
CODEC_HERE(attest::Commitment)
CODEC_HERE(attest::Knowledge)
