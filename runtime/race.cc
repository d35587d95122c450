#include "runtime/race.h"

#include <ATen/Parallel.h>

#include <memory>

#include "attest/plan.h"
#include "kernels/pool.h"
#include "runtime/aten.h"
#include "runtime/exact_device.h"
#include "runtime/executor.h"
#include "runtime/torch.h"
#include "runtime/trace.h"

namespace cairn::runtime {
namespace {

using at::Tensor;

Tensor noise(at::IntArrayRef shape) { return at::rand(shape).sub_(0.5); }

Argument tensor(const std::string& name) { return {ArgumentKind::tensor, {name}, {}, ""}; }

// The perceptron as torch.export would write it.
Program program_of(const Perceptron& model) {
  Program out;
  out.inputs = {{"x", kernels::DType::f32, {{model.batch, ""}, {model.inputs, ""}}}, {"y", kernels::DType::i64, {{model.batch, ""}}}};
  int64_t width = model.inputs;
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
  for (size_t layer = 0; layer <= model.hidden.size(); layer++) {
    const bool last = layer == model.hidden.size();
    const int64_t next = last ? model.classes : model.hidden[layer];
    const std::string at = std::to_string(layer);
    node("linear" + at, "aten.linear.default",
         {{"input", tensor(value)}, {"weight", parameter("weight" + at, {next, width})}, {"bias", parameter("bias" + at, {next})}});
    if (!last) node("relu" + at, "aten.relu.default", {{"self", tensor(value)}});
    if (!last && model.layer_norm)
      node("norm" + at, "aten.layer_norm.default",
           {{"input", tensor(value)}, {"normalized_shape", {ArgumentKind::integers, {""}, {next}, ""}},
            {"weight", parameter("norm_weight" + at, {next})}, {"bias", parameter("norm_bias" + at, {next})}});
    width = next;
  }
  node("loss", "aten.cross_entropy_loss.default", {{"self", tensor(value)}, {"target", tensor("y")}});
  out.outputs = {"loss"};
  return out;
}

// Stock libtorch, as a person would write it.
class Eager {
 public:
  Eager(const Perceptron& model, Tensor x, Tensor y) : model_(model), x_(std::move(x)), y_(std::move(y)) {
    int64_t width = model.inputs;
    const auto add = [&](Tensor value) {
      parameters_.push_back(value.set_requires_grad(true));
      first_.push_back(at::zeros_like(value));
      second_.push_back(at::zeros_like(value));
    };
    for (size_t layer = 0; layer <= model.hidden.size(); layer++) {
      const int64_t next = layer == model.hidden.size() ? model.classes : model.hidden[layer];
      add(noise({next, width}).mul_(2.0 / std::sqrt(static_cast<double>(width))));
      add(at::zeros({next}));
      if (layer != model.hidden.size() && model.layer_norm) {
        add(at::ones({next}));
        add(at::zeros({next}));
      }
      width = next;
    }
    order_ = at::randperm(model.rows);
  }

  void step() {
    const int64_t start = (step_ * model_.batch) % (model_.rows - model_.batch);
    const Tensor rows = order_.slice(0, start, start + model_.batch);
    Tensor value = x_.index_select(0, rows);
    size_t p = 0;
    for (size_t layer = 0; layer <= model_.hidden.size(); layer++) {
      value = at::linear(value, parameters_[p], parameters_[p + 1]);
      p += 2;
      if (layer == model_.hidden.size()) break;
      value = at::relu(value);
      if (model_.layer_norm) {
        value = at::layer_norm(value, {model_.hidden[layer]}, parameters_[p], parameters_[p + 1]);
        p += 2;
      }
    }
    at::cross_entropy_loss(value, y_.index_select(0, rows)).backward();
    step_++;
    const at::NoGradGuard guard;
    const double one = 1 - std::pow(0.9, static_cast<double>(step_)), two = std::sqrt(1 - std::pow(0.999, static_cast<double>(step_)));
    for (size_t i = 0; i < parameters_.size(); i++) {
      Tensor& parameter = parameters_[i];
      const Tensor gradient = parameter.grad();
      first_[i].lerp_(gradient, 0.1);
      second_[i].mul_(0.999).addcmul_(gradient, gradient, 0.001);
      parameter.addcdiv_(first_[i], second_[i].sqrt().div_(two).add_(1e-8), -1e-3 / one);
      parameter.mutable_grad() = Tensor();
    }
  }

 private:
  const Perceptron model_;
  Tensor x_, y_, order_;
  std::vector<Tensor> parameters_, first_, second_;
  int64_t step_ = 0;
};

ByteSpan bytes_of(const Tensor& t) { return {static_cast<const uint8_t*>(t.const_data_ptr()), t.nbytes()}; }

// Our operator `name` on `in`, with `threads`, beside `theirs` with as many.
Race race_operator(std::string_view name, const std::vector<Tensor>& in, std::vector<int64_t> attrs, int threads, std::function<void()> theirs) {
  at::set_num_threads(threads);
  struct Call {
    const kernels::Operator* op;
    std::vector<Tensor> keep;
    std::vector<kernels::TensorType> in_types, out_types;
    std::vector<int64_t> attrs;
    std::vector<const void*> in;
    std::vector<void*> out;
    std::unique_ptr<kernels::Pool> pool;
  };
  const auto call = std::make_shared<Call>(
      Call{kernels::find_operator(name), in, {}, {}, std::move(attrs), {}, {}, std::make_unique<kernels::Pool>(threads)});
  CHECK(call->op);
  for (const Tensor& tensor : in) {
    call->in_types.push_back(type_of(tensor));
    call->in.push_back(tensor.const_data_ptr());
  }
  call->out_types = must(call->op->infer(call->in_types, call->attrs));
  for (const auto& type : call->out_types) {
    call->keep.push_back(at::empty(type.shape, torch_type(type.dtype)));
    call->out.push_back(call->keep.back().mutable_data_ptr());
  }
  return {[call] {
            call->op->host({call->in_types, call->out_types, call->attrs}, {}, call->in, call->out, {kernels::best_isa(), call->pool.get()});
          },
          std::move(theirs)};
}

}  // namespace

Race race_product(int64_t m, int64_t n, int64_t k, int threads) {
  const Tensor a = noise({m, k}), b = noise({k, n}), out = at::empty({m, n});
  return race_operator("matmul.f32.v1", {a, b}, {0, 0}, threads, [=] {
    Tensor to = out;
    at::mm_out(to, a, b);
  });
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
  return race_operator(op, operands, std::move(attrs), threads, [=] { lowering->run({call, {}, operands}); });
}

Result<Race> race_step(const Perceptron& model, int threads) {
  at::set_num_threads(threads);
  constexpr uint64_t kSteps = 1'000'000;  // of the schedule: more than a run takes
  TraceRequest request;
  request.data = {{"x", {kernels::DType::f32, {model.rows, model.inputs}}}, {"y", {kernels::DType::i64, {model.rows}}}};
  request.steps = kSteps;
  TRY_LET(traced, trace(program_of(model), request));
  const Tensor x = at::rand({model.rows, model.inputs}), y = at::randint(0, model.classes, {model.rows}, at::kLong);
  const Bytes table = schedule(request.optimizer, kSteps);
  struct Ours {
    attest::Plan plan;
    std::unique_ptr<Executor> executor;
  };
  auto ours = std::make_shared<Ours>();
  ours->plan = std::move(traced.plan);
  std::vector<ByteSpan> inputs;
  for (const auto& slot : ours->plan.inputs)
    inputs.push_back(slot.name == "x" ? bytes_of(x) : slot.name == "y" ? bytes_of(y) : ByteSpan(table));
  ExecutorOptions options;
  options.threads = threads;
  TRY_LET(executor, Executor::make(ours->plan, inputs, 1, std::move(options)));
  ours->executor = std::move(executor);
  TRY_LET(start, initial_state(ours->plan, 1, std::vector<ByteSpan>(ours->plan.state.size())));
  TRY(ours->executor->load(start));
  auto eager = std::make_shared<Eager>(model, x, y);
  return Race{[ours] { ours->executor->run_step(); }, [eager] { eager->step(); }};
}

}  // namespace cairn::runtime
