// The device's plumbing: memory, views, copies, and the one place where an undefined operator becomes an error.
#include "runtime/exact_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "runtime/aten.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

using Sizes = std::vector<int64_t>;
constexpr size_t kMostDimensions = 6;  // of permute.v1, broadcast.v1 and as_strided.v1

struct HostMemory final : c10::Allocator {
  static void release(void* bytes) { std::free(bytes); }
  c10::DataPtr allocate(size_t size_bytes) override {
    void* bytes = std::aligned_alloc(64, (std::max<size_t>(size_bytes, 1) + 63) / 64 * 64);
    if (bytes == nullptr) throw std::bad_alloc();
    std::memset(bytes, 0, size_bytes);
    return {bytes, bytes, &release, exact_device()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t count) const override { std::memcpy(to, from, count); }
};
HostMemory memory;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::DeviceType::PrivateUse1;
  c10::DeviceType type() const override { return static_type; }
  c10::Device exchangeDevice(c10::Device) const override { return exact_device(); }
  c10::Device getDevice() const override { return exact_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const override { return c10::Stream(c10::Stream::DEFAULT, device); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &memory; }
  c10::Device getDeviceFromPtr(void*) const override { return exact_device(); }
};

constexpr c10::DispatchKeySet kKeys{c10::DispatchKey::PrivateUse1};

uint8_t* data_of(const Tensor& tensor) { return static_cast<uint8_t*>(tensor.storage().mutable_data()); }

bool is_whole(const Tensor& tensor) {
  return tensor.storage_offset() == 0 && tensor.is_contiguous() &&
         tensor.storage().nbytes() == static_cast<size_t>(tensor.numel()) * tensor.element_size();
}

// Where a view's elements lie in its storage, as as_strided.v1 takes it: dimensions that continue each other are one.
struct View {
  Sizes dims, strides;
};
View view_of(const Tensor& tensor) {
  View view;
  for (int64_t d = 0; d < tensor.dim(); d++) {
    const int64_t size = tensor.size(d), stride = tensor.stride(d);
    if (size == 1) continue;
    if (!view.dims.empty() && view.strides.back() == stride * size) {
      view.dims.back() *= size;
      view.strides.back() = stride;
    } else {
      view.dims.push_back(size);
      view.strides.push_back(stride);
    }
  }
  if (view.dims.size() > kMostDimensions) refuse_undefined("a view of " + std::to_string(view.dims.size()) + " dimensions", "as_strided.v1");
  return view;
}

// A view of a whole storage by order and repetition of its dimensions, as every layout but a slice is.
struct Layout {
  Sizes stored;               // dimensions longer than 1 in the order of memory
  std::vector<int64_t> order;  // order[i]: which of them is the i-th longer, not repeated dimension of the view
  bool repeats = false;       // some dimension has stride 0
};
std::optional<Layout> layout_of(const Tensor& tensor) {
  if (tensor.dim() > static_cast<int64_t>(kMostDimensions)) return std::nullopt;
  Layout layout;
  std::vector<int64_t> longer;
  for (int64_t d = 0; d < tensor.dim(); d++) {
    if (tensor.size(d) == 1) continue;
    if (tensor.stride(d) == 0) layout.repeats = true;
    else longer.push_back(d);
  }
  std::vector<int64_t> by_memory = longer;
  std::stable_sort(by_memory.begin(), by_memory.end(), [&](int64_t a, int64_t b) { return tensor.stride(a) > tensor.stride(b); });
  int64_t expected = 1;
  for (size_t i = by_memory.size(); i-- > 0;) {
    if (tensor.stride(by_memory[i]) != expected) return std::nullopt;
    expected *= tensor.size(by_memory[i]);
  }
  if (tensor.storage_offset() != 0 || static_cast<size_t>(expected) * tensor.element_size() != tensor.storage().nbytes())
    return std::nullopt;
  for (const int64_t d : by_memory) layout.stored.push_back(tensor.size(d));
  for (const int64_t d : longer) layout.order.push_back(std::find(by_memory.begin(), by_memory.end(), d) - by_memory.begin());
  return layout;
}

Tensor view_of_storage(const Tensor& tensor, IntArrayRef sizes, IntArrayRef strides, int64_t offset, at::ScalarType dtype) {
  auto out = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(tensor.storage()), tensor.key_set(), c10::scalarTypeToTypeMeta(dtype));
  out.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides, offset);
  return out;
}

Tensor empty_memory_format(IntArrayRef sizes, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                           std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(sizes, &memory, kKeys, dtype.value_or(at::kFloat), format);
}
Tensor empty_strided(IntArrayRef sizes, IntArrayRef strides, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                     std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(sizes, strides, &memory, kKeys, dtype.value_or(at::kFloat));
}

Tensor strided(const Tensor& self, IntArrayRef sizes, IntArrayRef strides, std::optional<int64_t> offset) {
  for (const int64_t stride : strides)  // which libtorch would take for another
    if (stride < 0) throw Refusal({Code::shape, place_in_program() + ": a view has a negative stride", "flip the tensor instead"});
  return view_of_storage(self, sizes, strides, offset.value_or(self.storage_offset()), self.scalar_type());
}
Tensor view(const Tensor& self, IntArrayRef sizes) {
  Sizes wanted(sizes.begin(), sizes.end());
  int64_t known = 1;
  auto open = wanted.end();
  for (auto at = wanted.begin(); at != wanted.end(); ++at) {
    if (*at == -1) open = at;
    else known *= *at;
  }
  if (open != wanted.end()) *open = known == 0 ? 0 : self.numel() / known;
  const auto strides = at::detail::computeStride(self.sizes(), self.strides(), wanted);
  TORCH_CHECK(strides, "the view's size does not fit the tensor's memory");
  return strided(self, wanted, *strides, std::nullopt);
}
Tensor reshape_alias(const Tensor& self, IntArrayRef sizes, IntArrayRef strides) {
  return strided(self, sizes, strides, std::nullopt);
}
const Tensor& resize_to(const Tensor& self, IntArrayRef sizes, std::optional<at::MemoryFormat>) {
  auto* impl = self.unsafeGetTensorImpl();
  impl->set_sizes_contiguous(sizes);
  const size_t need = static_cast<size_t>(self.numel()) * self.element_size();
  if (self.storage().nbytes() != need) impl->set_storage_keep_dtype(empty_exact(sizes, self.scalar_type()).storage());
  return self;
}

// All of a tensor's storage as one row.
Tensor storage_of(const Tensor& tensor) {
  return view_of_storage(tensor, {static_cast<int64_t>(tensor.storage().nbytes() / tensor.element_size())}, {1}, 0, tensor.scalar_type());
}

// A host tensor over the same bytes.
Tensor on_host(const Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(data_of(tensor) + tensor.storage_offset() * static_cast<int64_t>(tensor.element_size()), tensor.sizes(),
                       tensor.strides(), at::TensorOptions(tensor.scalar_type()));
}

Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  if (to.is_cpu()) {
    if (const Recorder* recorder = Recorder::current(); recorder && recorder->tracked(from))
      throw Refusal({Code::data_dependent, place_in_program() + " needs a value on the host while the program is traced",
                     "keep the computation in tensors"});
    on_host(to).copy_(on_host(from));
    return to;
  }
  if (from.is_cpu()) {
    const Tensor here = empty_exact(from.sizes(), to.scalar_type());
    on_host(here).copy_(from);
    assign(to, spread(here, to.sizes()));
  } else {
    assign(to, cast(spread(from, to.sizes()), to.scalar_type()));
  }
  return to;
}
Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  if (to.sizes() != from.sizes()) resize_to(to, from.sizes(), std::nullopt);
  return copy_from(from, to, false);
}

at::Scalar local_scalar(const Tensor& self) {
  if (Recorder* recorder = Recorder::current(); recorder && recorder->tracked(self))
    throw Refusal({Code::data_dependent, place_in_program() + " needs a value of a tensor while the program is traced",
                   "write that part without branching on values, .item() or data-dependent shapes"});
  return on_host(self).item();
}

Tensor& fill(Tensor& self, const at::Scalar& value) {
  if (is_whole(self) || layout_of(self)) {
    on_host(self).fill_(value);
    if (Recorder* recorder = Recorder::current()) recorder->forget(self);
  } else {
    assign(self, empty_exact(self.sizes(), self.scalar_type()).fill_(value));
  }
  return self;
}
Tensor& fill_from(Tensor& self, const Tensor& value) {
  self.copy_(value);
  return self;
}
Tensor& zero(Tensor& self) { return fill(self, 0); }

// The defined operator whose name has most in common with `name`, by pairs of letters.
std::string nearest_defined(const std::string& name) {
  const auto common = [&](std::string_view other) {
    int pairs = 0;
    for (size_t i = 0; i + 1 < name.size(); i++) pairs += other.find(name.substr(i, 2)) != std::string_view::npos;
    return 2.0 * pairs / static_cast<double>(name.size() + other.size());
  };
  std::string best;
  double most = 0.3;
  for (const kernels::Operator* op : kernels::operators()) {
    const std::string_view own = op->name.substr(0, op->name.find('.'));
    if (common(own) > most) {
      most = common(own);
      best = op->name;
    }
  }
  return best;
}

// A survey goes on with zeros of the shape that the CPU gives for zeros; no value of it reaches anybody.
void stand_in(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const size_t count = op.schema().arguments().size(), base = stack->size() - count;
  std::vector<Tensor> ours, theirs;
  const auto to_cpu = [&](const Tensor& tensor) {
    ours.push_back(tensor);
    theirs.push_back(tensor.defined() && !tensor.is_cpu() ? at::zeros(tensor.sizes(), at::TensorOptions(tensor.scalar_type())) : tensor);
    return theirs.back();
  };
  torch::jit::Stack arguments;
  for (size_t i = 0; i < count; i++) {
    const c10::IValue& value = (*stack)[base + i];
    if (value.isTensor()) arguments.emplace_back(to_cpu(value.toTensor()));
    else if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& tensor : value.toTensorVector()) list.push_back(to_cpu(tensor));
      arguments.emplace_back(list);
    } else if (value.isDevice()) arguments.emplace_back(at::Device(at::kCPU));
    else arguments.push_back(value);
  }
  op.callBoxed(arguments);
  stack->resize(base);
  const auto from_cpu = [&](const Tensor& tensor) {
    for (size_t i = 0; i < theirs.size(); i++)
      if (theirs[i].is_same(tensor)) return resize_to(ours[i], tensor.sizes(), std::nullopt);
    return tensor.defined() ? empty_exact(tensor.sizes(), tensor.scalar_type()) : tensor;
  };
  for (const c10::IValue& value : arguments) {
    if (value.isTensor()) stack->emplace_back(from_cpu(value.toTensor()));
    else if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& tensor : value.toTensorVector()) list.push_back(from_cpu(tensor));
      stack->emplace_back(list);
    } else stack->push_back(value);
  }
}

void undefined(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  std::string name = toString(op.operator_name());
  Recorder* recorder = Recorder::current();
  if (recorder && recorder->survey) {
    recorder->undefined.insert(name + " at " + place_in_program());
    return stand_in(op, stack);
  }
  const std::string bare = op.operator_name().name.substr(op.operator_name().name.find(':') + 2);
  refuse_undefined(name, nearest_defined(bare));
}

}  // namespace

c10::Device exact_device() { return {c10::DeviceType::PrivateUse1, 0}; }

void register_exact_device() {
  // Kept for the life of the process: a library's registrations end with it.
  static const auto* const kept = [] {
    c10::register_privateuse1_backend("exact");
    at::RegisterPrivateUse1HooksInterface(new Hooks);
    c10::SetAllocator(c10::DeviceType::PrivateUse1, &memory);
    static const c10::impl::DeviceGuardImplRegistrar guard(c10::DeviceType::PrivateUse1, new Guard);

    auto* aten = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
    aten->impl("empty.memory_format", &empty_memory_format);
    aten->impl("empty_strided", &empty_strided);
    aten->impl("as_strided", &strided);
    aten->impl("view", &view);
    aten->impl("_reshape_alias", &reshape_alias);
    aten->impl("resize_", &resize_to);
    aten->impl("_copy_from", &copy_from);
    aten->impl("_copy_from_and_resize", &copy_from_and_resize);
    aten->impl("_local_scalar_dense", &local_scalar);
    aten->impl("fill_.Scalar", &fill);
    aten->impl("fill_.Tensor", &fill_from);
    aten->impl("zero_", &zero);
    auto* above = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::AutogradPrivateUse1, __FILE__, __LINE__);
    for (const Family& family : aten_families()) {
      family.on_exact(*aten);
      if (family.above_autograd) family.above_autograd(*above);
    }
    auto* rest = new torch::Library(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
    rest->fallback(torch::CppFunction::makeFromBoxedFunction<&undefined>());
    return aten;
  }();
  static_cast<void>(kept);
}

Tensor empty_exact(IntArrayRef sizes, at::ScalarType dtype) { return at::detail::empty_generic(sizes, &memory, kKeys, dtype, std::nullopt); }

kernels::TensorType type_of(const Tensor& tensor) {
  using kernels::DType;
  const Sizes sizes = tensor.sizes().vec();
  switch (tensor.scalar_type()) {
    case at::kFloat: return {DType::f32, sizes};
    case at::kLong: return {DType::i64, sizes};
    case at::kInt: return {DType::i32, sizes};
    case at::kByte: case at::kBool: return {DType::u8, sizes};
    case at::kBFloat16: return {DType::bf16, sizes};
    default: refuse_undefined(std::string("dtype ") + c10::toString(tensor.scalar_type()), "");
  }
}

namespace {

// An operator that takes f32 where it is given bf16 or integers gets them as f32, as PyTorch promotes; what it gives is rounded
// to bf16 where operands were bf16 and none f32.
std::vector<Tensor> call_in_f32(std::string_view name, std::vector<int64_t> attrs, std::vector<Operand> inputs,
                                const std::vector<kernels::TensorType>& wide) {
  bool bf16 = false, f32 = false;
  for (size_t k = 0; k < inputs.size(); k++) {
    bf16 |= inputs[k].tensor.scalar_type() == at::kBFloat16;
    f32 |= inputs[k].tensor.scalar_type() == at::kFloat;
    if (wide[k].dtype == kernels::DType::f32) inputs[k].tensor = cast(inputs[k].tensor, at::kFloat);
  }
  std::vector<Tensor> outputs = call(name, std::move(attrs), inputs);
  for (Tensor& output : outputs)
    if (bf16 && !f32 && output.scalar_type() == at::kFloat) output = cast(output, at::kBFloat16);
  return outputs;
}

}  // namespace

std::vector<Tensor> call(std::string_view name, std::vector<int64_t> attrs, const std::vector<Operand>& inputs) {
  const kernels::Operator* op = kernels::find_operator(name);
  if (op == nullptr) refuse_undefined(std::string(name), "");
  std::vector<kernels::TensorType> in;
  std::vector<const void*> from;
  for (const Operand& operand : inputs) {
    CHECK(is_whole(operand.tensor));
    in.push_back({type_of(operand.tensor).dtype, operand.shape});
    from.push_back(data_of(operand.tensor));
  }
  const auto out = op->infer(in, attrs);
  if (!out) {
    for (const bool integers_too : {false, true}) {
      std::vector<kernels::TensorType> wide = in;
      for (kernels::TensorType& type : wide)
        if (integers_too || type.dtype == kernels::DType::bf16) type.dtype = kernels::DType::f32;
      if (wide != in && op->infer(wide, attrs)) return call_in_f32(name, std::move(attrs), inputs, wide);
    }
    throw Refusal({out.error().code, place_in_program() + ": " + out.error().text, out.error().next});
  }
  std::vector<Tensor> outputs;
  std::vector<void*> to;
  for (const kernels::TensorType& type : *out) {
    outputs.push_back(empty_exact(type.shape, torch_type(type.dtype)));
    to.push_back(data_of(outputs.back()));
  }
  Recorder* recorder = Recorder::current();
  op->host({in, *out, attrs}, recorder ? recorder->context() : kernels::StepContext{}, from, to, {});
  if (recorder) recorder->record(*op, attrs, inputs, outputs);
  return outputs;
}

Tensor reshaped(const Tensor& tensor, IntArrayRef sizes) {
  Sizes strides(sizes.size(), 1);
  for (size_t d = sizes.size(); d-- > 1;) strides[d - 1] = strides[d] * sizes[d];
  return view_of_storage(tensor, sizes, strides, 0, tensor.scalar_type());
}

Tensor plain(const Tensor& tensor) {
  if (is_whole(tensor)) return tensor;
  if (tensor.numel() == 0) return empty_exact(tensor.sizes(), tensor.scalar_type());
  const auto layout = layout_of(tensor);
  if (!layout) {
    const View view = view_of(tensor);
    const Tensor whole = storage_of(tensor);
    Sizes attrs{tensor.storage_offset()};
    attrs.insert(attrs.end(), view.dims.begin(), view.dims.end());
    attrs.insert(attrs.end(), view.strides.begin(), view.strides.end());
    return reshaped(call("as_strided.v1", attrs, {{whole, whole.sizes().vec()}})[0], tensor.sizes());
  }
  Tensor out = reshaped(tensor, layout->stored);
  if (!std::is_sorted(layout->order.begin(), layout->order.end())) out = call("permute.v1", layout->order, {{out, layout->stored}})[0];
  if (!layout->repeats) return reshaped(out, tensor.sizes());
  Sizes kept = tensor.sizes().vec();
  for (int64_t d = 0; d < tensor.dim(); d++)
    if (tensor.stride(d) == 0) kept[static_cast<size_t>(d)] = 1;
  return call("broadcast.v1", tensor.sizes().vec(), {{out, kept}})[0];
}

Tensor spread(const Tensor& tensor, IntArrayRef sizes) {
  const Tensor from = plain(tensor);
  if (from.sizes() == sizes) return from;
  Sizes padded(sizes.size() - static_cast<size_t>(from.dim()), 1);
  padded.insert(padded.end(), from.sizes().begin(), from.sizes().end());
  if (IntArrayRef(padded) == sizes) return reshaped(from, sizes);
  return call("broadcast.v1", sizes.vec(), {{from, padded}})[0];
}

Tensor cast(const Tensor& tensor, at::ScalarType dtype) {
  if (tensor.scalar_type() == dtype) return tensor;
  const kernels::DType source = type_of(tensor).dtype, target = type_of(empty_exact({0}, dtype)).dtype;
  if (dtype == at::kBool) return truth(one("ne.v1", {tensor}, {0}));
  const Tensor from = plain(tensor);
  if (source == target) return view_of_storage(from, from.sizes(), from.strides(), 0, dtype);  // a truth value as u8
  return call("cast.v1", {static_cast<int64_t>(target)}, {{from, from.sizes().vec()}})[0];
}

Tensor truth(const Tensor& bytes) { return view_of_storage(bytes, bytes.sizes(), bytes.strides(), bytes.storage_offset(), at::kBool); }

void assign(const Tensor& out, const Tensor& result) {
  if (out.numel() == 0) {  // as ATen makes the `out` of what is not structured
    if (result.numel() == 0) return;
    resize_to(out, result.sizes(), std::nullopt);
  }
  if (result.is_floating_point() && !out.is_floating_point()) refuse_undefined(std::string("this operator on ") + c10::toString(out.scalar_type()), "");
  Tensor from = cast(plain(result), out.scalar_type());
  if (!is_whole(out)) {
    const auto layout = layout_of(out);
    if (layout && !layout->repeats) {
      std::vector<int64_t> inverse(layout->order.size());
      for (size_t i = 0; i < inverse.size(); i++) inverse[static_cast<size_t>(layout->order[i])] = static_cast<int64_t>(i);
      Sizes longer;
      for (const int64_t size : out.sizes())
        if (size != 1) longer.push_back(size);
      from = call("permute.v1", inverse, {{from, longer}})[0];
    } else {
      const View view = view_of(out);
      const Tensor whole = storage_of(out);
      Sizes attrs{out.storage_offset()};
      attrs.insert(attrs.end(), view.strides.begin(), view.strides.end());
      from = call("as_strided_scatter.v1", attrs, {{whole, whole.sizes().vec()}, {from, view.dims}})[0];
    }
  }
  std::memcpy(data_of(out), data_of(from), out.storage().nbytes());
  if (Recorder* recorder = Recorder::current()) recorder->alias(out, from);
}

std::string place_in_program() {
  const Recorder* recorder = Recorder::current();
  return recorder ? recorder->place() : "outside a program";
}

void refuse_undefined(const std::string& what, const std::string& nearest) {
  throw Refusal({Code::undefined_operator, what + " has no definition on exact, at " + place_in_program(),
                 nearest.empty() ? "write that part with defined operators, or run the job on the native tier"
                                 : "the nearest defined operator is " + nearest});
}

}  // namespace cairn::runtime
