#include "bench/bounds.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include "base/file.h"
#include "runtime/executor.h"
#include "runtime/native.h"
#include "runtime/safetensors.h"
#include "runtime/trace.h"
#include "tests/kernels/family.h"

namespace cairn::bench {
namespace {

using kernels::DType;

struct Seen {
  double element = 0, scale = 0;
  size_t outputs = 0, no_rounding = 0;
  int64_t largest = 0;  // elements of an output
};
struct Place {
  std::string_view op;
  size_t output;
  DType dtype;
  auto operator<=>(const Place&) const = default;
};

class Comparison {
 public:
  void outputs(const attest::Call& call, const std::vector<Bytes>& native, const std::vector<Bytes>& exact) {
    for (size_t o = 0; o < exact.size(); o++) {
      const DType dtype = call.output_types[o].dtype;
      if (native[o].empty() || (dtype != DType::f32 && dtype != DType::bf16)) continue;
      Seen& seen = seen_[{kernels::find_operator(call.op)->name, o, dtype}];
      add(seen, numbers(dtype, exact[o]), numbers(dtype, native[o]));
    }
  }
  // One call, by its definition's fast body and by its lowering. False: ATen refuses these operands.
  bool call(const attest::Call& call, const kernels::StepContext& step, const std::vector<ByteSpan>& in) {
    try {
      const auto native = runtime::run_native_call(call, step, in);
      if (!native) return false;
      outputs(call, *native, exactly(call, step, in));
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }
  static std::vector<Bytes> exactly(const attest::Call& call, const kernels::StepContext& step, const std::vector<ByteSpan>& in) {
    const kernels::Operator& op = *kernels::find_operator(call.op);
    std::vector<kernels::Buffer> buffers;
    std::vector<const void*> from;
    std::vector<void*> to;
    for (const ByteSpan bytes : in) {
      buffers.emplace_back(bytes.size());
      if (!bytes.empty()) std::memcpy(buffers.back().data.get(), bytes.data(), bytes.size());
      from.push_back(buffers.back().data.get());
    }
    for (const auto& type : call.output_types) {
      buffers.emplace_back(static_cast<size_t>(kernels::bytes(type)));
      to.push_back(buffers.back().data.get());
    }
    op.host({call.input_types, call.output_types, call.attrs}, step, from, to, {});
    std::vector<Bytes> out;
    for (size_t o = 0; o < to.size(); o++) {
      const auto* bytes = static_cast<const uint8_t*>(to[o]);
      out.emplace_back(bytes, bytes + kernels::bytes(call.output_types[o]));
    }
    return out;
  }
  const std::map<Place, Seen>& seen() const { return seen_; }

 private:
  static std::vector<double> numbers(DType dtype, ByteSpan bytes) {
    const auto size = static_cast<size_t>(kernels::size_of(dtype));
    std::vector<double> out;
    for (size_t at = 0; at < bytes.size(); at += size) {
      uint32_t bits = 0;
      std::memcpy(&bits, &bytes[at], size);
      out.push_back(std::bit_cast<float>(dtype == DType::f32 ? bits : bits << 16));
    }
    return out;
  }
  // Numbers as large as the output's are measured beside themselves; of the smaller ones what is left, beside the output. Where more
  // than a 256th differs the two do not mean the same, for operands that no program makes (places that no maximum has, sums that are
  // nothing but rounding): counted, and left out.
  static void add(Seen& seen, const std::vector<double>& exact, const std::vector<double>& native) {
    seen.outputs++;
    seen.largest = std::max(seen.largest, static_cast<int64_t>(exact.size()));
    double squares = 0;
    size_t finite = 0;
    for (const double x : exact)
      if (std::isfinite(x)) squares += x * x, finite++;
    if (finite == 0 || squares == 0) return;
    const double scale = std::sqrt(squares / static_cast<double>(finite));
    double element = 0;
    for (size_t i = 0; i < exact.size(); i++)
      if (std::fabs(exact[i]) >= scale && std::isfinite(exact[i]) && std::isfinite(native[i])) element = std::max(element, std::fabs((native[i] - exact[i]) / exact[i]));
    double rest = 0;
    for (size_t i = 0; i < exact.size(); i++)
      if (std::isfinite(exact[i]) && std::isfinite(native[i]))
        rest = std::max(rest, (std::fabs(native[i] - exact[i]) - element * std::fabs(exact[i])) / scale);
    if (std::max(element, rest) > 1.0 / 256) {
      seen.no_rounding++;
      return;
    }
    seen.element = std::max(seen.element, element);
    seen.scale = std::max(seen.scale, rest);
  }
  std::map<Place, Seen> seen_;
};

// Drawn operands that no program makes, and for which ATen's operator means something else: a place of the greatest that lies
// outside of its window, a negative reciprocal of a deviation.
void as_programs_make(kernels::Trial& trial) {
  if (trial.op.name == "max_pool_backward.v1") {
    std::vector<int64_t> attrs = trial.attrs;
    const auto& windows = trial.in_types[0].shape;
    std::copy(windows.begin() + 1, windows.end(), attrs.end() - static_cast<std::ptrdiff_t>(windows.size() - 1));
    const kernels::Trial forward({"max_pool.v1", trial.out_types, attrs}, kernels::Values::tame);
    const kernels::Buffer places = std::move(forward.host({}, {})[1]);
    std::memcpy(trial.in[1].data.get(), places.data.get(), places.size);
  }
  if (trial.op.name == "batch_norm_backward.v1")
    for (size_t i = 0; i < trial.in[3].size / sizeof(float); i++) trial.in[3].as<float>()[i] = std::fabs(trial.in[3].as<float>()[i]);
}

size_t compare_cases(Comparison& comparison) {
  size_t refused = 0;
  for (const kernels::Case& c : kernels::cases()) {
    kernels::Trial trial(c, kernels::Values::tame);
    as_programs_make(trial);
    attest::Call call;
    call.op = trial.op.id;
    call.attrs = trial.attrs;
    call.input_types = trial.in_types;
    call.output_types = trial.out_types;
    std::vector<ByteSpan> in;
    for (const kernels::Buffer& buffer : trial.in) in.push_back({buffer.as<uint8_t>(), buffer.size});
    refused += !comparison.call(call, {1, 1}, in);
  }
  return refused;
}

// Every call of two steps, on the operands that the native run has.
void compare_program(Comparison& comparison, const std::string& program, const std::string& data, uint64_t batch) {
  constexpr uint64_t kSteps = 2;
  const auto import = must(runtime::import_pt2(must(read_file(program, 1 << 28))));
  const Bytes file = must(read_file(data, 1 << 28));
  const auto tensors = must(runtime::parse_tensors(file));
  runtime::TraceRequest request;
  std::map<std::string, ByteSpan> bytes;
  for (const auto& tensor : tensors.tensors) {
    request.data.push_back({tensor.name, tensor.type});
    bytes[tensor.name] = tensor.bytes;
  }
  request.batch = batch;
  request.steps = kSteps;
  const auto traced = must(runtime::trace(import.program, request));
  const attest::Plan& plan = traced.plan;
  const Bytes rates = runtime::schedule(request.optimizer, kSteps);
  bytes[std::string(runtime::kSchedule)] = rates;
  std::vector<ByteSpan> inputs;
  for (const auto& slot : plan.inputs) inputs.push_back(bytes.at(slot.name));
  const auto start = must(runtime::initial_state(plan, 1, std::vector<ByteSpan>(plan.state.size())));
  std::vector<std::vector<Bytes>> outputs;
  auto run = must(runtime::NativeRun::make(plan, inputs, 1, start, 1, [&](uint64_t, uint32_t call, uint8_t output, std::span<uint8_t> made) {
    outputs[call].resize(std::max<size_t>(outputs[call].size(), output + 1u));
    outputs[call][output].assign(made.begin(), made.end());
  }));
  for (uint64_t step = 0; step < kSteps; step++) {
    const runtime::State before = run->state();
    outputs.assign(plan.calls.size(), {});
    run->run_step();
    for (size_t c = 0; c < plan.calls.size(); c++) {
      std::vector<ByteSpan> in;
      for (const attest::ValueRef& ref : plan.calls[c].inputs)
        in.push_back(ref.from == attest::From::input      ? inputs[ref.index]
                     : ref.from == attest::From::constant ? ByteSpan(plan.constants[ref.index].bytes)
                     : ref.from == attest::From::state    ? ByteSpan(before.slots[ref.index])
                                                          : ByteSpan(outputs[ref.index][ref.output]));
      outputs[c].resize(plan.calls[c].output_types.size());
      comparison.outputs(plan.calls[c], outputs[c], Comparison::exactly(plan.calls[c], {1, step}, in));
    }
  }
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "an unknown CPU";
}

}  // namespace

void measure_bounds(const std::string& file) {
  Comparison comparison;
  const size_t refused = compare_cases(comparison);
  for (const char* name : {"digits", "images"})
    compare_program(comparison, std::string("examples/") + name + "/train.pt2", "examples/digits/train.safetensors", 64);
  for (const char* name : {"gpt", "gru", "llama", "lstm"})
    compare_program(comparison, std::string("examples/text/") + name + ".pt2", "examples/text/text.safetensors", 8);
  size_t outputs = 0, places = 0;
  int64_t largest = 0;
  std::string rows, left_out;
  for (const auto& [place, seen] : comparison.seen()) {
    outputs += seen.outputs;
    if (seen.no_rounding > 0)
      left_out += "//   " + std::string(place.op) + ", output " + std::to_string(place.output) + ": " + std::to_string(seen.no_rounding) + " of " +
                  std::to_string(seen.outputs) + "\n";
    largest = std::max(largest, seen.largest);
    if (seen.element == 0 && seen.scale == 0) continue;
    places++;
    char row[256];
    std::snprintf(row, sizeof row, "BOUND(\"%s\", %zu, %s, %.1ef, %.1ef)\n", std::string(place.op).c_str(), place.output,
                  place.dtype == DType::f32 ? "f32" : "bf16", 1.05 * seen.element, 1.05 * std::max(0.0, seen.scale));
    rows += row;
  }
  const std::string head = "// Made by `cairn-bench bounds` on " + cpu_name() + " (" + std::string(kernels::name(kernels::best_isa())) +
                           ") with libtorch's own kernels:\n// the largest differences seen in " + std::to_string(outputs) + " outputs of " +
                           std::to_string(comparison.seen().size()) + " kinds, of up to " + std::to_string(largest) +
                           " numbers; " + std::to_string(places) + " kinds differ at all.\n// An observation on one machine, no limit: see judge.h.\n" +
                           (left_out.empty() ? "" : "// Left out, for what differs there is not rounding:\n" + left_out) +
                           "//\n// operator, output, dtype, of the number itself, of the output's root mean square\n";
  must(write_file(file, as_bytes(head + rows)));
  std::printf("%s: %zu of %zu kinds of outputs differ; %zu cases are refused by ATen or have no lowering\n", file.c_str(), places,
              comparison.seen().size(), refused);
}

}  // namespace cairn::bench
