// The corpus's training as a job that a requester of a network can open: policy `all`, 20 segments, of 5 steps in the corpus.
#pragma once

#include "tests/agent/network.h"
#include "tests/cheats/corpus.h"

namespace cairn::cheats {

inline constexpr uint64_t kSegments = 20, kInterval = 5;

inline agent::Assignment training_job(agent::ArtifactStore& store, std::string_view product = "matmul.f32.v1", uint64_t interval = kInterval) {
  const Training made = training(kSegments * interval, product);
  agent::Assignment job;
  job.plan = made.plan;
  const auto facts = must(attest::validate(job.plan, attest::WorkTable{}));
  auto& spec = job.spec;
  spec.title = "training";
  spec.plan = must(store.put(encode(job.plan)));
  spec.plan_root = facts.root;
  spec.calls = static_cast<uint32_t>(job.plan.calls.size());
  spec.state_slots = static_cast<uint32_t>(job.plan.state.size());
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  for (size_t i = 0; i < made.inputs.size(); i++) spec.inputs.push_back({job.plan.inputs[i].name, must(store.put(made.inputs[i])), {}});
  spec.seed = 7;
  spec.steps = kSegments * interval;
  spec.interval = interval;
  spec.memory_bytes = facts.peak_bytes;
  spec.policy = attest::Policy::all;
  spec.price_ceiling = Amount::of_pebbles(1'000'000'000'000'000);
  spec.accept_ms = 20'000;
  spec.run_ms = 60'000;
  spec.program = blake3(as_bytes("program"));
  spec.initial_state = runtime::root_of(must(runtime::initial_state(job.plan, spec.seed, std::vector<ByteSpan>(job.plan.state.size()))));
  return job;
}

}  // namespace cairn::cheats
