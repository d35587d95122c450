// A job small enough for a test: x' = tanh(x w), a hundred and more steps, no inputs, and one input that is bound.
#pragma once

#include <bit>

#include "agent/computer.h"
#include "attest/tree.h"
#include "kernels/operator.h"
#include "runtime/executor.h"

namespace cairn::agent {

inline attest::Call call_of(std::string_view op_name, std::vector<attest::ValueRef> inputs,
                            std::vector<kernels::TensorType> input_types, const attest::WorkTable& table) {
  const auto* op = kernels::find_operator(op_name);
  CHECK(op != nullptr);
  attest::Call call;
  call.op = op->id;
  call.attrs.assign(op->attrs.size(), 0);
  call.inputs = std::move(inputs);
  call.input_types = std::move(input_types);
  call.output_types = must(op->infer(call.input_types, call.attrs));
  call.work_ns = attest::work_of(*op, {call.input_types, call.output_types, call.attrs}, table);
  return call;
}

inline Assignment small_job(ArtifactStore& store, uint64_t steps, uint64_t interval) {
  using attest::From;
  const attest::WorkTable table;
  const kernels::TensorType square{kernels::DType::f32, {24, 24}};
  Assignment job;
  job.plan.inputs = {{"w", square}};
  job.plan.state = {{"x", square, {attest::InitKind::uniform, std::bit_cast<uint32_t>(1.0f)}, {From::call, 1, 0}}};
  job.plan.calls = {call_of("matmul.f32.v1", {{From::state, 0, 0}, {From::input, 0, 0}}, {square, square}, table),
                    call_of("tanh.v1", {{From::call, 0, 0}}, {square}, table)};
  const auto facts = must(attest::validate(job.plan, table));
  Bytes w(24 * 24 * 4);
  for (size_t i = 0; i < 24 * 24; i++) {
    const float value = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 100.0f;
    std::memcpy(w.data() + 4 * i, &value, 4);
  }
  auto& spec = job.spec;
  spec.title = "small";
  spec.plan = must(store.put(encode(job.plan)));
  spec.plan_root = facts.root;
  spec.calls = 2;
  spec.state_slots = 1;
  spec.step_work_ns = static_cast<uint64_t>(facts.work_ns);
  spec.inputs = {{"w", must(store.put(w)), {}}};
  spec.seed = 7;
  spec.steps = steps;
  spec.interval = interval;
  spec.memory_bytes = facts.peak_bytes;
  spec.price_ceiling = Amount::of_pebbles(1'000'000'000'000'000);
  spec.accept_ms = 60'000;  // a worker starts slowly on a loaded machine
  spec.run_ms = 60'000;
  spec.secret_hash = blake3(as_bytes("secret"));
  spec.program = blake3(as_bytes("program"));
  spec.endpoint = "tcp://127.0.0.1:1";
  spec.initial_state = runtime::root_of(must(runtime::initial_state(job.plan, spec.seed, std::vector<ByteSpan>(1))));
  return job;
}

}  // namespace cairn::agent
