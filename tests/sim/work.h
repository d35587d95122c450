// What jobs compute in a simulation: small real plans, run by the operators' own definitions, honestly or with one lie.
// Games about them are played to the last number by the real prover and referee.
#pragma once

#include <memory>
#include <set>

#include "tests/attest/trial.h"
#include "tests/sim/rng.h"
#include "tests/sim/records.h"

namespace cairn::sim {

inline constexpr uint64_t kJobSeed = 2026, kSteps = 12, kInterval = 2, kSegments = kSteps / kInterval;

struct Program {
  attest::Example example;
  attest::PlanFacts facts;
  // A job about it; price and policy are the requester's.
  attest::JobSpec spec() const;
};
const std::vector<Program>& programs();          // made once
const std::vector<Program>& private_programs();  // the same, each under a content key of its own
const Program& program_of(const Hash& plan_root, bool is_private);
const Program& program_of(const attest::JobSpec& spec);

// One party's run of a whole job.
class Run {
 public:
  Run(const Program& program, attest::Lie lie);

  const std::vector<Hash>& roots() const { return roots_; }  // after each segment
  attest::Commitment commitment(const JobId& job, const attest::JobSpec& spec) const;
  SegmentRoots segment(const attest::JobSpec& spec, uint64_t segment) const;
  // A segment again, from this run's state before it; kept, since whoever re-runs one looks at it until its game is over.
  attest::Trial& rerun(uint64_t segment, const attest::Lie& lie = {}) const;
  // Segments whose end is not what an honest run from their beginning gives.
  const std::set<uint64_t>& false_segments() const { return false_; }
  const attest::Lie& lie() const { return lie_; }
  const Program& program() const { return program_; }

 private:
  const Program& program_;
  attest::Lie lie_;
  attest::Trial whole_;
  std::vector<Hash> roots_;
  std::set<uint64_t> false_;
  mutable std::map<std::pair<uint64_t, attest::Lie>, attest::Trial> reruns_;
};
std::shared_ptr<const Run> run(const Program& program, const attest::Lie& lie);  // an honest one is made once

attest::Knowledge knowledge(const Program& program, const attest::DrawnCheck& draw, attest::Trial& trial);
DrawnCall drawn_call(const Program& program, const attest::DrawnCheck& draw);

// A lie that says something false about some step.
attest::Lie random_lie(const Program& program, Rng& rng);

}  // namespace cairn::sim
