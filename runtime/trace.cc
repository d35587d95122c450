#include "runtime/trace.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/aten.h"
#include "runtime/executor.h"
#include "runtime/graph_driver.h"
#include "runtime/recorder.h"

namespace cairn::runtime {

using attest::From;
using kernels::DType;
using kernels::TensorType;

namespace {

constexpr uint64_t kDefaultBatch = 64;

Tensor on_exact(const TensorType& type, ByteSpan bytes) {
  Tensor tensor = empty_exact(type.shape, torch_type(type.dtype));
  if (!bytes.empty()) std::memcpy(tensor.storage().mutable_data(), bytes.data(), bytes.size());
  return tensor;
}

std::string shape_text(const ProgramInput& input) {
  std::string out = std::string(kernels::name(input.dtype)) + "[";
  for (const Dim& dim : input.shape) out += (out.back() == '[' ? "" : ", ") + (dim.symbol.empty() ? std::to_string(dim.size) : dim.symbol);
  return out + "]";
}

// The argument of torch.export.export that gives every input a batch of any size.
std::string dynamic_shapes_line(const Program& program) {
  std::string out = "dynamic_shapes=(";
  for (const ProgramInput& input : program.inputs) {
    static_cast<void>(input);
    out += "{0: torch.export.Dim(\"batch\")}, ";
  }
  return out.substr(0, out.size() - (program.inputs.size() > 1 ? 2 : 1)) + ")";
}

class Tracer {
 public:
  Tracer(const Program& program, const TraceRequest& request, Rehearsal* rehearsal, bool survey)
      : program_(program), request_(request), rehearsal_(rehearsal), recorder_(request.work, request.numeric, {rehearsal ? rehearsal->seed : 0, 0}) {
    recorder_.keep_ids = rehearsal != nullptr;
    recorder_.survey = survey;
  }

  Result<Trace> run() {
    TRY(choose_batch());
    TRY(bind_symbols());
    TRY(check(request_.optimizer));
    try {
      bring_data();
      bring_parameters();
      bring_constants();
      if (request_.train) TRY(train());
      else predict();
    } catch (const Refusal& refused) {
      return refused.error;
    } catch (const c10::Error& error) {
      return Error{Code::shape, recorder_.place() + ": " + error.what_without_backtrace(), "compare the data with the program's inputs"};
    }
    finish_state();
    Trace out{std::move(recorder_.plan), {}, batch_, steps_};
    if (recorder_.survey && !recorder_.undefined.empty()) return out;
    drop_unused(out.plan);
    TRY_LET(facts, attest::validate(out.plan, request_.work));
    out.facts = facts;
    if (rehearsal_) rehearsal_->output_ids = std::move(recorder_.output_ids);
    return out;
  }
  const Recorder& recorder() const { return recorder_; }
  // Of the program's outputs, after run().
  std::string output_type(const std::string& name) const {
    const auto found = values_.find(name);
    return found != values_.end() && found->second.isTensor() ? kernels::to_string(type_of(found->second.toTensor())) : "";
  }

 private:
  const DataType* data_of(const std::string& name) const {
    for (const DataType& data : request_.data)
      if (data.name == name) return &data;
    return nullptr;
  }

  // Rows are what the first dimension of the first input counts. An input that shares it is sampled; another (a mask, a table) is
  // brought whole at every step.
  bool is_sampled(const ProgramInput& input) const {
    const auto& lead = program_.inputs[0].shape;
    return !lead.empty() && !input.shape.empty() && input.shape[0] == lead[0];
  }

  Result<> choose_batch() {
    if (program_.inputs.empty()) return Error{Code::usage, "the program has no inputs", "export it with example inputs"};
    for (const ProgramInput& input : program_.inputs) {
      const DataType* data = data_of(input.name);
      if (data == nullptr)
        return Error{Code::usage, "the program wants an input '" + input.name + "', " + shape_text(input) + "; the data has none", "name the tensor so in the data file"};
      if (data->type.dtype != input.dtype || data->type.shape.size() != input.shape.size())
        return Error{Code::usage, "input '" + input.name + "' is " + shape_text(input) + " in the program and " + kernels::to_string(data->type) + " in the data", "convert the data"};
      if (!is_sampled(input)) continue;
      if (data->type.shape[0] < 1)
        return Error{Code::usage, "input '" + input.name + "' has no rows to draw batches from", "give it a row or more"};
      if (rows_ == 0) rows_ = data->type.shape[0];
      if (rows_ != data->type.shape[0])
        return Error{Code::usage, "input '" + input.name + "' has " + std::to_string(data->type.shape[0]) + " rows, another has " + std::to_string(rows_), "bring data of one length"};
    }
    const auto& lead = program_.inputs[0].shape;
    const bool fixed = lead.empty() || lead[0].symbol.empty();
    const auto own = fixed ? static_cast<uint64_t>(lead.empty() ? 1 : lead[0].size) : 0;  // what a static export fixes
    rows_ = std::max<int64_t>(rows_, 1);
    batch_ = request_.batch != 0 ? request_.batch : own != 0 ? own : std::min<uint64_t>(kDefaultBatch, static_cast<uint64_t>(rows_));
    if (own != 0 && batch_ != own)
      return Error{Code::usage, "the program was exported for batches of " + std::to_string(own) + ", not " + std::to_string(batch_),
                   "add " + dynamic_shapes_line(program_) + " to torch.export.export, or use --batch " + std::to_string(own)};
    for (const Symbol& symbol : program_.symbols) {
      if (fixed || symbol.name != lead[0].symbol) continue;
      if (request_.batch == 0) batch_ = std::clamp<uint64_t>(batch_, static_cast<uint64_t>(symbol.min), static_cast<uint64_t>(symbol.max));
      if (batch_ < static_cast<uint64_t>(symbol.min) || batch_ > static_cast<uint64_t>(symbol.max))
        return Error{Code::usage, "the program takes batches of " + std::to_string(symbol.min) + " to " + std::to_string(symbol.max) + ", not " + std::to_string(batch_), "choose another --batch"};
    }
    steps_ = request_.steps != 0 ? request_.steps : request_.train ? 1 : (static_cast<uint64_t>(rows_) + batch_ - 1) / batch_;
    return {};
  }

  Result<> bind_symbols() {
    for (const ProgramInput& input : program_.inputs) {
      TensorType type{input.dtype, {}};
      for (size_t d = 0; d < input.shape.size(); d++) {
        const Dim& dim = input.shape[d];
        const int64_t size = d == 0 && is_sampled(input) ? static_cast<int64_t>(batch_) : data_of(input.name)->type.shape[d];
        if (dim.symbol.empty() ? size != dim.size : !bound_.emplace(dim.symbol, size).second && bound_[dim.symbol] != size)
          return Error{Code::usage, "input '" + input.name + "' is " + shape_text(input) + " in the program; the data does not fit dimension " + std::to_string(d), "export it for this shape"};
        type.shape.push_back(size);
      }
      batch_types_.push_back(type);
    }
    for (const Symbol& symbol : program_.symbols)
      if (const auto found = bound_.find(symbol.name); found != bound_.end() && (found->second < symbol.min || found->second > symbol.max))
        return Error{Code::usage, "dimension " + symbol.name + " is " + std::to_string(found->second) + "; the program takes " + std::to_string(symbol.min) + " to " + std::to_string(symbol.max), "export it for this size"};
    return {};
  }

  ByteSpan bytes_of(const std::string& name, const TensorType& type) const {
    if (rehearsal_ == nullptr) return {};
    const auto found = rehearsal_->bytes.find(name);
    return found != rehearsal_->bytes.end() && found->second.size() == static_cast<size_t>(kernels::bytes(type)) ? found->second : ByteSpan{};
  }

  // A plan input, as a tensor that the recorder knows.
  Tensor input(const std::string& name, const TensorType& type) {
    const Tensor tensor = on_exact(type, bytes_of(name, type));
    recorder_.track(tensor, {From::input, static_cast<uint32_t>(recorder_.plan.inputs.size()), 0});
    recorder_.plan.inputs.push_back({name, type});
    return tensor;
  }
  // A state slot that stays what it is until finish_state finds otherwise.
  Tensor state(const std::string& name, const TensorType& type, attest::Init init) {
    const auto slot = static_cast<uint32_t>(recorder_.plan.state.size());
    recorder_.plan.state.push_back({name, type, init, {From::state, slot, 0}});
    ByteSpan bytes = bytes_of(name, type);
    Bytes fresh;
    if (rehearsal_ && init.kind != attest::InitKind::given && bytes.empty())
      bytes = fresh = must(initial_slot(recorder_.plan.state.back(), slot, rehearsal_->seed));
    const Tensor tensor = on_exact(type, bytes);
    recorder_.track(tensor, {From::state, slot, 0});
    slots_.push_back(tensor);
    return tensor;
  }

  uint32_t batches() const { return request_.train ? request_.optimizer.accumulate : 1; }

  // The rows of all batches of a step are drawn at once.
  void bring_data() {
    for (size_t i = 0; i < program_.inputs.size(); i++) {
      const DataType& data = *data_of(program_.inputs[i].name);
      const Tensor whole = input(data.name, data.type);
      const auto rows = static_cast<int64_t>(batch_ * batches());
      const bool draws = is_sampled(program_.inputs[i]) && rows != rows_;  // a batch of all rows is the data as it is
      drawn_.push_back(draws ? call("sample_rows.v1", {rows, request_.train ? 0 : 1}, {{whole, data.type.shape}})[0] : whole);
    }
  }
  // Runs the program on one of them.
  void drive_batch(uint32_t batch) {
    for (size_t i = 0; i < program_.inputs.size(); i++) {
      const std::vector<int64_t>& shape = batch_types_[i].shape;
      Tensor rows = drawn_[i];
      if (batches() > 1 && is_sampled(program_.inputs[i])) {
        std::vector<int64_t> split = shape;
        split.insert(split.begin(), batches());
        rows = plain(reshaped(rows, split).select(0, batch));
      }
      values_[program_.inputs[i].name] = reshaped(rows, shape);
    }
    for (const std::string& name : program_.truths) values_[name] = truth(values_.at(name).toTensor());
    drive(program_, values_, exact_device());
  }

  void bring_parameters() {
    for (const Parameter& parameter : program_.parameters) {
      Tensor tensor;
      if (request_.train) {
        const bool given = std::find(request_.given.begin(), request_.given.end(), parameter.name) != request_.given.end();
        tensor = state(parameter.name, parameter.type, given ? attest::Init{attest::InitKind::given, 0} : default_init(parameter));
      } else {
        tensor = input(parameter.name, parameter.type);
      }
      // What the optimizer and the recorder see is the same storage without autograd's wrapping.
      Tensor leaf = tensor.detach();
      if (request_.train && parameter.trained && (parameter.type.dtype == DType::f32 || parameter.type.dtype == DType::bf16)) leaf.requires_grad_(true);
      for (const std::string& value : parameter.values) values_[value] = leaf;
      parameters_.push_back({tensor, leaf});
    }
  }

  void bring_constants() {
    for (const ProgramConstant& constant : program_.constants) values_[constant.value] = on_exact(constant.type, constant.bytes);
  }

  Result<> train() {
    Tensor mean;  // of the losses of all batches
    for (uint32_t batch = 0; batch < batches(); batch++) {
      drive_batch(batch);
      Tensor loss = values_.at(program_.outputs[0]).toTensor();
      if (loss.numel() != 1 || !loss.is_floating_point() || !loss.requires_grad())
        return Error{Code::usage, "the program's first output is no loss: it must be one number that depends on parameters", "export a module whose forward returns the loss"};
      if (batches() > 1) loss = at::div(loss, static_cast<double>(batches()));
      loss.backward();
      const Tensor value = plain(cast(loss.detach(), at::kFloat));
      mean = mean.defined() ? one("add.v1", {mean, value}) : value;
    }
    at::NoGradGuard no_grad;
    const Optimizer& optimizer = request_.optimizer;
    const TensorType table{DType::f32, {static_cast<int64_t>(steps_), schedule_columns(optimizer)}};
    const Tensor rates = input(std::string(kSchedule), table);
    std::vector<Tensor> gradients;
    for (const Bound& parameter : parameters_) {
      const Tensor gradient = parameter.leaf.grad();
      gradients.push_back(gradient.defined() ? plain(gradient) : gradient);
    }
    if (optimizer.clip_norm_bits != 0) clip(gradients, optimizer.clip_norm_bits);
    for (size_t i = 0; i < parameters_.size(); i++)
      if (gradients[i].defined()) step_optimizer(optimizer, program_.parameters[i], parameters_[i].tensor, gradients[i], rates, table);
    const TensorType log{DType::f32, {static_cast<int64_t>(steps_)}};
    const Tensor losses = state(std::string(kLosses), log, {});
    assign(losses, call("put_rows.v1", {}, {{losses, log.shape}, {mean, {}}})[0]);
    return {};
  }

  // The norm of all gradients together: each one's sum of squares, added in the order of the parameters.
  static void clip(std::vector<Tensor>& gradients, uint32_t limit_bits) {
    Tensor total;
    for (const Tensor& gradient : gradients) {
      if (!gradient.defined()) continue;
      const Tensor squares = call("sum_squares_last.v1", {}, {{gradient, {1, gradient.numel()}}}).back();
      total = total.defined() ? one("add.v1", {total, squares}) : squares;
    }
    if (!total.defined()) return;
    const Tensor factor = one("clip_factor.v1", {total}, {static_cast<int64_t>(limit_bits)});
    for (Tensor& gradient : gradients)
      if (gradient.defined()) gradient = elementwise("mul.v1", {gradient, factor}, {}, gradient.sizes());
  }

  void step_optimizer(const Optimizer& optimizer, const Parameter& parameter, const Tensor& tensor, const Tensor& gradient,
                      const Tensor& rates, const TensorType& table) {
    const std::vector<int64_t>& shape = parameter.type.shape;
    const TensorType moment{DType::f32, shape};  // also of a bf16 parameter
    const auto bits = [](uint32_t value) { return static_cast<int64_t>(value); };
    if (optimizer.kind == OptimizerKind::sgd) {
      const Tensor momentum = state("momentum:" + parameter.name, moment, {});
      const auto out = call("sgd.v1", {bits(optimizer.momentum_bits), bits(optimizer.weight_decay_bits), optimizer.nesterov},
                            {{tensor, shape}, {gradient, shape}, {momentum, shape}, {rates, table.shape}});
      assign(momentum, out[0]);
      assign(tensor, out[1]);
      return;
    }
    const Tensor m = state("adam_m:" + parameter.name, moment, {}), v = state("adam_v:" + parameter.name, moment, {});
    const auto out = call("adam.v1",
                          {bits(optimizer.beta1_bits), bits(optimizer.beta2_bits), bits(optimizer.eps_bits),
                           bits(optimizer.weight_decay_bits), optimizer.kind == OptimizerKind::adamw},
                          {{tensor, shape}, {gradient, shape}, {m, shape}, {v, shape}, {rates, table.shape}});
    assign(m, out[0]);
    assign(v, out[1]);
    assign(tensor, out[2]);
  }

  void predict() {
    drive_batch(0);
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < program_.outputs.size(); i++) {
      const Tensor rows = plain(values_.at(program_.outputs[i]).toTensor());
      TensorType type = type_of(rows);
      const std::string name = "output_" + std::to_string(i);
      if (steps_ == 1 && static_cast<int64_t>(batch_) == rows_) {  // all there is: an output of any shape
        assign(state(name, type, {}), rows);
        continue;
      }
      if (type.shape.empty() || type.shape[0] != static_cast<int64_t>(batch_))
        throw Refusal({Code::usage, "output " + std::to_string(i) + " of the program, " + kernels::to_string(type) + ", has no row for each row of its input", "return one row a sample"});
      const std::vector<int64_t> batch_shape = type.shape;
      type.shape[0] = rows_;
      const Tensor target = state(name, type, {});
      assign(target, call("put_rows.v1", {}, {{target, type.shape}, {rows, batch_shape}})[0]);
    }
  }

  void finish_state() {
    for (size_t s = 0; s < slots_.size(); s++) recorder_.plan.state[s].next = recorder_.value_of(slots_[s]);
  }

  // Calls that nothing reads, as backward leaves them, cost work and prove nothing.
  void drop_unused(attest::Plan& plan) {
    std::vector<bool> needed(plan.calls.size(), false);
    const auto need = [&](const attest::ValueRef& ref) {
      if (ref.from == From::call) needed[ref.index] = true;
    };
    for (const attest::StateSlot& slot : plan.state) need(slot.next);
    for (size_t c = plan.calls.size(); c-- > 0;)
      if (needed[c])
        for (const attest::ValueRef& ref : plan.calls[c].inputs) need(ref);
    std::vector<uint32_t> renamed(plan.calls.size(), 0);
    std::vector<bool> constant_used(plan.constants.size(), false);
    std::vector<attest::Call> calls;
    std::vector<std::vector<Hash>> ids;
    for (size_t c = 0; c < plan.calls.size(); c++) {
      if (!needed[c]) continue;
      renamed[c] = static_cast<uint32_t>(calls.size());
      for (attest::ValueRef& ref : plan.calls[c].inputs) {
        if (ref.from == From::call) ref.index = renamed[ref.index];
        if (ref.from == From::constant) constant_used[ref.index] = true;
      }
      calls.push_back(std::move(plan.calls[c]));
      if (rehearsal_) ids.push_back(std::move(recorder_.output_ids[c]));
    }
    plan.calls = std::move(calls);
    recorder_.output_ids = std::move(ids);
    for (attest::StateSlot& slot : plan.state) {
      if (slot.next.from == From::call) slot.next.index = renamed[slot.next.index];
      if (slot.next.from == From::constant) constant_used[slot.next.index] = true;
    }
    std::vector<uint32_t> moved(plan.constants.size(), 0);
    std::vector<attest::Constant> constants;
    for (size_t i = 0; i < plan.constants.size(); i++) {
      moved[i] = static_cast<uint32_t>(constants.size());
      if (constant_used[i]) constants.push_back(std::move(plan.constants[i]));
    }
    plan.constants = std::move(constants);
    const auto move = [&](attest::ValueRef& ref) {
      if (ref.from == From::constant) ref.index = moved[ref.index];
    };
    for (attest::Call& call : plan.calls)
      for (attest::ValueRef& ref : call.inputs) move(ref);
    for (attest::StateSlot& slot : plan.state) move(slot.next);
  }

  struct Bound {
    Tensor tensor;  // the state slot or plan input
    Tensor leaf;    // the same storage, with autograd
  };
  const Program& program_;
  const TraceRequest& request_;
  Rehearsal* rehearsal_;
  Recorder recorder_;
  Values values_;
  int64_t rows_ = 0;
  uint64_t batch_ = 0, steps_ = 0;
  std::map<std::string, int64_t> bound_;
  std::vector<TensorType> batch_types_;
  std::vector<Bound> parameters_;
  std::vector<Tensor> drawn_;  // rows of each input
  std::vector<Tensor> slots_;
};

}  // namespace

Result<Trace> trace(const Program& program, const TraceRequest& request, Rehearsal* rehearsal) {
  register_exact_device();
  return Tracer(program, request, rehearsal, false).run();
}

Result<Inspection> inspect(const Import& import) {
  register_exact_device();
  const Program& program = import.program;
  Inspection out;
  out.program = program_id(program);
  out.removed = import.removed;
  TraceRequest request;
  std::map<std::string, int64_t> sizes;
  for (const Symbol& symbol : program.symbols) sizes[symbol.name] = std::clamp<int64_t>(static_cast<int64_t>(kDefaultBatch), symbol.min, symbol.max);
  for (const ProgramInput& input : program.inputs) {
    TensorType type{input.dtype, {}};
    for (const Dim& dim : input.shape) type.shape.push_back(dim.symbol.empty() ? dim.size : sizes[dim.symbol]);
    request.data.push_back({input.name, type});
    out.inputs.push_back({input.name, shape_text(input)});
  }
  for (const Parameter& parameter : program.parameters) out.parameters.push_back({parameter.name, kernels::to_string(parameter.type)});

  // A loss makes it a training program; what is none is tried as a prediction.
  for (const bool train : {true, false}) {
    request.train = train;
    request.steps = 1;
    Tracer tracer(program, request, nullptr, true);
    const auto traced = tracer.run();
    if (!traced && train && traced.error().code == Code::usage) continue;
    if (!traced) return traced.error();
    for (const std::string& name : program.outputs) out.outputs.push_back({name, tracer.output_type(name)});
    out.trains = train;
    out.batch = traced->batch;
    out.undefined.assign(tracer.recorder().undefined.begin(), tracer.recorder().undefined.end());
    if (out.undefined.empty()) {
      out.step_work_ns = static_cast<uint64_t>(traced->facts.work_ns);
      out.peak_bytes = traced->facts.peak_bytes;
      out.state_bytes = traced->facts.state_bytes;
    }
    std::map<std::string, uint32_t> counts;
    for (const attest::Call& call : traced->plan.calls) counts[std::string(kernels::find_operator(call.op)->name)]++;
    for (const auto& [name, calls] : counts) out.operators.push_back({name, calls});
    return out;
  }
  return Error{Code::usage, "the program neither returns a loss nor one row a sample", "see README for what a program is"};
}

}  // namespace cairn::runtime
