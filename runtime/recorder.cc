#include "runtime/recorder.h"

#include <algorithm>
#include <cstring>

namespace cairn::runtime {
namespace {

Recorder* at_work = nullptr;

ByteSpan bytes_of(const at::Tensor& tensor) {
  return {static_cast<const uint8_t*>(tensor.storage().data()), static_cast<size_t>(tensor.numel()) * tensor.element_size()};
}

constexpr uint16_t kPhiloxMask = 70;
constexpr size_t kMostBytesOfOneValue = 512;  // a larger constant of one value is a fill

bool is_uniform(ByteSpan bytes, size_t element) {
  return std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) == 0;
}

}  // namespace

Recorder::Recorder(attest::WorkTable work, attest::NumericClass of_products, kernels::StepContext context)
    : numeric(of_products), work_(work), context_(context) {
  CHECK(at_work == nullptr);
  at_work = this;
}
Recorder::~Recorder() { at_work = nullptr; }
Recorder* Recorder::current() { return at_work; }

void Recorder::track(const at::Tensor& tensor, attest::ValueRef ref) {
  alive_.push_back(tensor.storage());
  values_[tensor.storage().unsafeGetStorageImpl()] = {ref, false};
}
void Recorder::forget(const at::Tensor& tensor) { values_.erase(tensor.storage().unsafeGetStorageImpl()); }
bool Recorder::tracked(const at::Tensor& tensor) const {
  const auto found = values_.find(tensor.storage().unsafeGetStorageImpl());
  return found != values_.end() && !found->second.constant;
}

attest::ValueRef Recorder::value_of(const at::Tensor& tensor) {
  const c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  if (const auto found = values_.find(storage); found != values_.end()) return found->second.ref;
  const kernels::TensorType type = type_of(tensor);
  const ByteSpan bytes = bytes_of(tensor);
  if (bytes.size() > kMostBytesOfOneValue && is_uniform(bytes, tensor.element_size())) {
    int64_t bits = 0;
    std::memcpy(&bits, bytes.data(), tensor.element_size());
    attest::Call call;
    call.attrs = {static_cast<int64_t>(type.dtype), bits};
    call.attrs.insert(call.attrs.end(), type.shape.begin(), type.shape.end());
    call.output_types = {type};
    const attest::ValueRef ref{attest::From::call, static_cast<uint32_t>(plan.calls.size()), 0};
    append(*kernels::find_operator("fill.v1"), std::move(call), {tensor});
    alive_.push_back(tensor.storage());
    values_[storage] = {ref, true};
    return ref;
  }
  const auto [at, is_new] = constants_.emplace(Key{static_cast<uint8_t>(type.dtype), blake3(bytes)}, plan.constants.size());
  if (is_new) plan.constants.push_back({type, Bytes(bytes.begin(), bytes.end())});
  return {attest::From::constant, at->second, 0};
}

void Recorder::alias(const at::Tensor& to, const at::Tensor& from) {
  if (tracked(from)) track(to, values_.at(from.storage().unsafeGetStorageImpl()).ref);
  else forget(to);
}

void Recorder::record(const kernels::Operator& op, const std::vector<int64_t>& attrs, const std::vector<Operand>& inputs,
                      const std::vector<at::Tensor>& outputs) {
  for (const at::Tensor& output : outputs) alive_.push_back(output.storage());
  const bool depends = op.id == kPhiloxMask || std::any_of(inputs.begin(), inputs.end(), [&](const Operand& operand) {
                         return tracked(operand.tensor);
                       });
  if (!depends) return;
  attest::Call call;
  call.attrs = attrs;
  for (const Operand& operand : inputs) {
    call.inputs.push_back(value_of(operand.tensor));
    call.input_types.push_back({type_of(operand.tensor).dtype, operand.shape});
  }
  const auto index = static_cast<uint32_t>(plan.calls.size());
  for (size_t o = 0; o < outputs.size(); o++) {
    call.output_types.push_back(type_of(outputs[o]));
    track(outputs[o], {attest::From::call, index, static_cast<uint8_t>(o)});
  }
  append(op, std::move(call), outputs);
}

void Recorder::append(const kernels::Operator& op, attest::Call call, const std::vector<at::Tensor>& outputs) {
  call.op = op.id;
  call.work_ns = attest::work_of(op, {call.input_types, call.output_types, call.attrs}, work_);
  plan.calls.push_back(std::move(call));
  if (!keep_ids) return;
  output_ids.emplace_back();
  for (const at::Tensor& output : outputs) output_ids.back().push_back(blake3(bytes_of(output)));
}

void Recorder::enter_node(const std::string& name, const std::string& target) {
  node_ = "node '" + name + "' (" + target + ")";
  sequences_.emplace_back(at::sequence_number::peek(), node_);
}
void Recorder::leave_node() { node_.clear(); }

std::string Recorder::place() const {
  if (!node_.empty()) return node_;
  const auto working = torch::autograd::get_current_node();
  if (!working) return "the step's end";
  // Autograd numbers its nodes as the forward pass makes them: the last node entered before this number made it.
  const auto after = std::upper_bound(sequences_.begin(), sequences_.end(), working->sequence_nr(),
                                      [](uint64_t number, const auto& entry) { return number < entry.first; });
  return "the backward pass of " + (after == sequences_.begin() ? working->name() : std::prev(after)->second);
}

}  // namespace cairn::runtime
