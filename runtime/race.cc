#include "runtime/race.h"

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <atomic>
#include <cstring>
#include <memory>

#include "attest/plan.h"
#include "kernels/pool.h"
#include "runtime/aten.h"
#include "runtime/exact_device.h"
#include "runtime/executor.h"
#include "runtime/graph_driver.h"
#include "runtime/torch.h"
#include "runtime/trace.h"

namespace cairn::runtime {
namespace {

using at::Tensor;

Tensor noise(at::IntArrayRef shape) { return at::rand(shape).sub_(0.5); }

Argument tensor(const std::string& name) { return {ArgumentKind::tensor, {name}, {}, ""}; }

// Stock libtorch: the program's graph, call by call.
class Eager {
 public:
  Eager(const ProgramRace& race, const std::map<std::string, ByteSpan>& weights, std::vector<Tensor> data)
      : race_(race), dead_(dead_after(race.program)), data_(std::move(data)), order_(at::randperm(race.rows)) {
    const Program& program = race.program;
    const auto is_truth = [&](const std::string& value) { return std::count(program.truths.begin(), program.truths.end(), value) > 0; };
    const auto tensor = [](const kernels::TensorType& type, ByteSpan bytes) {
      Tensor value = at::empty(type.shape, torch_type(type.dtype));
      if (!bytes.empty()) std::memcpy(value.mutable_data_ptr(), bytes.data(), bytes.size());
      return value;
    };
    for (const Parameter& parameter : program.parameters) {
      const Tensor value = tensor(parameter.type, weights.at(parameter.name));
      for (const std::string& name : parameter.values) fixed_[name] = is_truth(name) ? value.to(at::kBool) : value;
      if (!race.train || !parameter.trained) continue;
      learned_.push_back({value.set_requires_grad(true), at::zeros_like(value), at::zeros_like(value)});
    }
    for (const ProgramConstant& constant : program.constants) {
      const Tensor value = tensor(constant.type, constant.bytes);
      fixed_[constant.value] = is_truth(constant.value) ? value.to(at::kBool) : value;
    }
    for (size_t i = 0; i < data_.size(); i++)
      if (is_truth(program.inputs[i].name)) data_[i] = data_[i].to(at::kBool);
  }

  void step() {
    at::AutoGradMode grad(race_.train);
    Values values = fixed_;
    const int64_t start = race_.rows == race_.batch ? 0 : (step_ * race_.batch) % (race_.rows - race_.batch);
    const Tensor rows = order_.slice(0, start, start + race_.batch);
    for (size_t i = 0; i < data_.size(); i++)
      values[race_.program.inputs[i].name] = race_.rows == race_.batch ? data_[i] : data_[i].index_select(0, rows);
    drive(race_.program, values, at::kCPU, dead_);
    step_++;
    if (!race_.train) return;
    const Tensor loss = values.at(race_.program.outputs[0]).toTensor();
    values.clear();
    loss.backward();
    update();
  }

 private:
  struct Learned {
    Tensor value, first, second;
  };

  void update() {
    const at::NoGradGuard guard;
    const double one = 1 - std::pow(0.9, static_cast<double>(step_)), two = std::sqrt(1 - std::pow(0.999, static_cast<double>(step_)));
    for (Learned& learned : learned_) {
      const Tensor gradient = learned.value.grad();
      if (!gradient.defined()) continue;
      learned.first.lerp_(gradient, 0.1);
      learned.second.mul_(0.999).addcmul_(gradient, gradient, 0.001);
      learned.value.addcdiv_(learned.first, learned.second.sqrt().div_(two).add_(1e-8), -1e-3 / one);
    }
    for (Learned& learned : learned_) learned.value.mutable_grad() = Tensor();
  }

  const ProgramRace race_;
  const Dead dead_;
  std::vector<Tensor> data_;
  const Tensor order_;
  Values fixed_;
  std::vector<Learned> learned_;
  int64_t step_ = 0;
};

ByteSpan bytes_of(const Tensor& t) { return {static_cast<const uint8_t*>(t.const_data_ptr()), t.nbytes()}; }

// Calls of ours, one after the other.
struct OurCall {
  std::string_view op;
  std::vector<Tensor> in;
  std::vector<int64_t> attrs;
};
class Ours {
 public:
  Ours(std::vector<OurCall> calls, int threads) : pool_(threads) {
    at::set_num_threads(threads);
    for (OurCall& call : calls) {
      Ready ready{kernels::find_operator(call.op), std::move(call.attrs), std::move(call.in), {}, {}, {}, {}, {}};
      CHECK(ready.op);
      for (const Tensor& tensor : ready.in) {
        ready.in_types.push_back(type_of(tensor));
        ready.in_data.push_back(tensor.const_data_ptr());
      }
      ready.out_types = must(ready.op->infer(ready.in_types, ready.attrs));
      for (const auto& type : ready.out_types) {
        ready.out.push_back(at::empty(type.shape, torch_type(type.dtype)));
        ready.out_data.push_back(ready.out.back().mutable_data_ptr());
      }
      calls_.push_back(std::move(ready));
    }
  }
  void run() {
    for (const Ready& call : calls_)
      call.op->host({call.in_types, call.out_types, call.attrs}, {}, call.in_data, call.out_data, {kernels::best_isa(), &pool_});
  }
  const std::vector<Tensor>& outputs(size_t call) const { return calls_[call].out; }

 private:
  struct Ready {
    const kernels::Operator* op;
    std::vector<int64_t> attrs;
    std::vector<Tensor> in, out;
    std::vector<kernels::TensorType> in_types, out_types;
    std::vector<const void*> in_data;
    std::vector<void*> out_data;
  };
  kernels::Pool pool_;
  std::vector<Ready> calls_;
};
Race race_calls(std::vector<OurCall> calls, int threads, std::function<void()> theirs) {
  const auto ours = std::make_shared<Ours>(std::move(calls), threads);
  return {[ours] { ours->run(); }, std::move(theirs)};
}

// A program's two sides, before either is timed.
struct Sides {
  TraceRequest request;
  attest::Plan plan;
  std::unique_ptr<Executor> ours;
  std::unique_ptr<Eager> theirs;
};
Result<std::shared_ptr<Sides>> make_sides(const ProgramRace& race, uint64_t steps, int threads) {
  at::set_num_threads(threads);
  TraceRequest request;
  request.train = race.train;
  request.batch = static_cast<uint64_t>(race.batch);
  request.steps = race.train ? steps : 0;
  std::vector<Tensor> data;
  for (const ProgramInput& input : race.program.inputs) {
    std::vector<int64_t> shape{race.rows};
    for (size_t d = 1; d < input.shape.size(); d++) shape.push_back(input.shape[d].size);
    const auto options = at::TensorOptions(torch_type(input.dtype));
    data.push_back(input.dtype == kernels::DType::f32 ? noise(shape) : at::randint(0, race.labels, shape, options));
    request.data.push_back({input.name, {input.dtype, shape}});
  }
  if (!race.train)
    for (const Parameter& parameter : race.program.parameters) request.given.push_back(parameter.name);
  TRY_LET(traced, trace(race.program, request));
  auto sides = std::make_shared<Sides>();
  sides->request = request;
  sides->plan = std::move(traced.plan);

  std::map<std::string, Bytes> weights;
  TRY_LET(start, initial_state(sides->plan, 1, std::vector<ByteSpan>(sides->plan.state.size())));
  for (size_t s = 0; s < sides->plan.state.size(); s++) weights[sides->plan.state[s].name] = start.slots[s];
  for (size_t p = 0; !race.train && p < race.program.parameters.size(); p++) {
    const Parameter& parameter = race.program.parameters[p];
    attest::StateSlot slot;
    slot.name = parameter.name;
    slot.type = parameter.type;
    slot.init = default_init(parameter);
    TRY_LET(bytes, initial_slot(slot, static_cast<uint32_t>(p), 1));
    weights[parameter.name] = std::move(bytes);
  }
  const Bytes table = schedule(request.optimizer, steps);
  std::vector<ByteSpan> inputs;
  for (const auto& slot : sides->plan.inputs) {
    ByteSpan bytes = slot.name == kSchedule ? ByteSpan(table) : ByteSpan();
    if (const auto weight = weights.find(slot.name); weight != weights.end()) bytes = weight->second;
    for (size_t i = 0; i < data.size(); i++)
      if (race.program.inputs[i].name == slot.name) bytes = bytes_of(data[i]);
    inputs.push_back(bytes);
  }
  ExecutorOptions options;
  options.threads = threads;
  TRY_LET(executor, Executor::make(sides->plan, inputs, 1, std::move(options)));
  sides->ours = std::move(executor);
  TRY(sides->ours->load(start));
  std::map<std::string, ByteSpan> spans;
  for (const auto& [name, bytes] : weights) spans[name] = bytes;
  sides->theirs = std::make_unique<Eager>(race, spans, std::move(data));
  return sides;
}

// Counts what libtorch's own allocator hands out while this stands. What an earlier count leaves behind (libtorch keeps a few
// tensors of its own) is no part of it.
class Counted final : public c10::Allocator {
 public:
  Counted() : own_(c10::GetCPUAllocator()), before_(live_) {
    c10::SetCPUAllocator(this, 255);
    forget_peak();
  }
  ~Counted() override { c10::SetCPUAllocator(own_, 255); }
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr data = own_->allocate(bytes);
    void* const at = data.get();
    if (at == nullptr) return data;
    live_ += malloc_usable_size(at);
    peak_ = std::max<uint64_t>(peak_, live_);
    data.release_context();
    return {at, at, &Counted::release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Counted::release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
  uint64_t peak() const { return peak_ - before_; }
  void forget_peak() { peak_ = live_.load(); }

 private:
  static void release(void* at) {
    live_ -= malloc_usable_size(at);
    c10::free_cpu(at);
  }
  static inline std::atomic<uint64_t> live_{0}, peak_{0};
  c10::Allocator* const own_;
  const uint64_t before_;
};

}  // namespace

Race race_product(std::string_view op, int64_t m, int64_t n, int64_t k, int threads) {
  const Tensor a = noise({m, k}), b = noise({k, n}), out = at::empty({m, n});
  return race_calls({{op, {a, b}, {0, 0}}}, threads, [=] {
    Tensor to = out;
    at::mm_out(to, a, b);
  });
}

Race race_attention(int64_t heads, int64_t length, int64_t depth, bool causal, bool backward, int threads) {
  const Tensor q = noise({1, heads, length, depth}), k = noise({1, heads, length, depth}), v = noise({1, heads, length, depth}), grad = noise({1, heads, length, depth});
  const std::vector<int64_t> attrs{number(1.0 / std::sqrt(static_cast<double>(depth))), causal, 0, number(0)};
  const OurCall forward{"attention.f32.v1", {q, k, v}, attrs};
  if (!backward) return race_calls({forward}, threads, [=] { at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0, causal); });
  Ours once({forward}, threads);
  once.run();
  const auto [out, sums] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0, causal);
  return race_calls({{"attention_backward.f32.v1", {grad, q, k, v, once.outputs(0)[2], once.outputs(0)[0], once.outputs(0)[1]}, attrs}}, threads,
                    [=, out = out, sums = sums] { at::_scaled_dot_product_flash_attention_for_cpu_backward(grad, q, k, v, out, sums, 0, causal); });
}

Race race_convolution(const ImageShape& s, bool backward, int threads) {
  const Tensor x = noise({s.n, s.channels, s.height, s.width}), w = noise({s.filters, s.channels / s.groups, 3, 3}), bias = noise({s.filters});
  if (!backward)
    return race_calls({{"convolution.f32.v1", {x, w, bias}, {s.groups, 1, 1, 1, 1, 1, 1}}}, threads, [=] { at::conv2d(x, w, bias, 1, 1, 1, s.groups); });
  const Tensor grad = noise({s.n, s.filters, s.height, s.width});
  const auto ours = std::make_shared<Ours>(
      std::vector<OurCall>{{"convolution_transposed.f32.v1", {grad, w}, {s.groups, 1, 1, 1, 1, 1, 1, s.height, s.width}},
                           {"convolution_weight.f32.v1", {grad, x}, {s.groups, 1, 1, 1, 1, 1, 1, 3, 3}},
                           {"sum_last.v1", {grad.view({s.n * s.filters, s.height * s.width})}, {}}},
      threads);
  const Tensor channels = ours->outputs(2).back().view({s.n, s.filters});
  const auto bias_grad = std::make_shared<Ours>(std::vector<OurCall>{{"sum_rows.v1", {channels}, {}}}, threads);
  return {[=] {
            ours->run();
            bias_grad->run();
          },
          [=] { at::convolution_backward(grad, x, w, at::IntArrayRef{s.filters}, {1, 1}, {1, 1}, {1, 1}, false, {0, 0}, s.groups, {true, true, true}); }};
}

Race race_lowering(std::string_view op, const std::vector<kernels::TensorType>& in, std::vector<int64_t> attrs, int threads, int64_t labels) {
  const Lowering* lowering = nullptr;
  for (const Family& family : aten_families())
    for (const Lowering& one : family.lowerings)
      if (one.op == op) lowering = &one;
  CHECK(lowering);
  std::vector<Tensor> operands;
  for (const kernels::TensorType& type : in)
    operands.push_back(type.dtype == kernels::DType::i64 ? at::randint(0, labels, type.shape, at::kLong) : at::rand(type.shape));
  attest::Call call;
  call.attrs = attrs;
  call.input_types = in;
  call.output_types = must(kernels::find_operator(op)->infer(in, attrs));
  return race_calls({{op, operands, std::move(attrs)}}, threads, [=] { lowering->run({call, {}, operands}); });
}

Result<Race> race_program(const ProgramRace& race, int threads) {
  constexpr uint64_t kSteps = 1'000'000;  // of the schedule: more than a run takes
  TRY_LET(sides, make_sides(race, kSteps, threads));
  return Race{[sides] { sides->ours->run_step(); }, [sides] { sides->theirs->step(); }};
}

Result<Race> race_dispatcher(const ProgramRace& race, int threads) {
  TRY_LET(sides, make_sides(race, 1'000'000, threads));
  return Race{[sides] { sides->ours->run_step(); },
              [sides, program = race.program] {
                Rehearsal rehearsal;
                must(trace(program, sides->request, &rehearsal));
              }};
}

Result<PeakBytes> peak_bytes(const ProgramRace& race) {
  constexpr int kSteps = 3;
  Counted counted;
  TRY_LET(sides, make_sides(race, kSteps, 1));
  counted.forget_peak();  // of what the tracer drew up
  for (int i = 0; i < kSteps; i++) sides->theirs->step();
  return PeakBytes{sides->ours->memory_bytes(), counted.peak()};
}

Program perceptron(int64_t batch, int64_t inputs, const std::vector<int64_t>& hidden, int64_t classes, bool layer_norm) {
  Program out;
  out.inputs = {{"x", kernels::DType::f32, {{batch, ""}, {inputs, ""}}}, {"y", kernels::DType::i64, {{batch, ""}}}};
  int64_t width = inputs;
  std::string value = "x";
  const auto parameter = [&](const std::string& name, std::vector<int64_t> shape) {
    Parameter p;
    p.name = name;
    p.values = {"p_" + name};
    p.type = {kernels::DType::f32, std::move(shape)};
    out.parameters.push_back(std::move(p));
    return tensor("p_" + name);
  };
  const auto node = [&](const std::string& name, const std::string& target, std::vector<NamedArgument> arguments) {
    out.nodes.push_back({name, target, std::move(arguments), {name}, false});
    value = name;
  };
  for (size_t layer = 0; layer <= hidden.size(); layer++) {
    const bool last = layer == hidden.size();
    const int64_t next = last ? classes : hidden[layer];
    const std::string at = std::to_string(layer);
    node("linear" + at, "aten.linear.default",
         {{"input", tensor(value)}, {"weight", parameter("weight" + at, {next, width})}, {"bias", parameter("bias" + at, {next})}});
    if (!last) node("relu" + at, "aten.relu.default", {{"self", tensor(value)}});
    if (!last && layer_norm)
      node("norm" + at, "aten.layer_norm.default",
           {{"input", tensor(value)}, {"normalized_shape", {ArgumentKind::integers, {""}, {next}, ""}},
            {"weight", parameter("norm_weight" + at, {next})}, {"bias", parameter("norm_bias" + at, {next})}});
    width = next;
  }
  node("loss", "aten.cross_entropy_loss.default", {{"self", tensor(value)}, {"target", tensor("y")}});
  out.outputs = {"loss"};
  return out;
}

}  // namespace cairn::runtime
