#include "runtime/aten.h"

#include <ATen/ExpandUtils.h>

#include "runtime/recorder.h"

namespace cairn::runtime {

std::span<const Family> aten_families() {
  static const Family all[] = {aten_indexing(),   aten_integers(), aten_moves(),    aten_pointwise(), aten_products(),
                               aten_recurrence(), aten_reductions(), aten_sequence(), aten_training(), aten_vision()};
  return all;
}

int64_t number(double value) { return kernels::attr_of(static_cast<float>(value)); }

Tensor one(std::string_view op, const std::vector<Tensor>& inputs, std::vector<int64_t> attrs) {
  std::vector<Operand> operands;
  for (const Tensor& input : inputs) {
    const Tensor whole = plain(input);
    operands.push_back({whole, whole.sizes().vec()});
  }
  return call(op, std::move(attrs), operands)[0];
}

attest::NumericClass numeric_class() {
  const Recorder* recorder = Recorder::current();
  return recorder ? recorder->numeric : attest::NumericClass::f32;
}

namespace {

// Without the repetitions of expand(): those dimensions are 1 again.
Tensor gathered(const Tensor& tensor) {
  std::vector<int64_t> sizes = tensor.sizes().vec();
  for (size_t d = 0; d < sizes.size(); d++)
    if (tensor.stride(static_cast<int64_t>(d)) == 0) sizes[d] = std::min<int64_t>(sizes[d], 1);
  return IntArrayRef(sizes) == tensor.sizes() ? tensor : tensor.as_strided(sizes, tensor.strides(), tensor.storage_offset());
}

Tensor floating(const Tensor& tensor) { return tensor.is_floating_point() ? tensor : cast(tensor, at::kFloat); }

}  // namespace

Tensor elementwise(std::string_view op, const std::vector<Tensor>& operands, std::vector<int64_t> attrs, IntArrayRef sizes) {
  if (c10::multiply_integers(sizes) == 0) {  // of an `out` that ATen left empty, perhaps
    std::vector<int64_t> own;
    for (const Tensor& operand : operands) own = at::infer_size(own, operand.sizes());
    return c10::multiply_integers(own) == 0 ? empty_exact(sizes, at::kFloat) : elementwise(op, operands, std::move(attrs), own);
  }
  const kernels::Operator* known = kernels::find_operator(op);
  CHECK(known != nullptr);
  std::vector<Operand> all;
  std::vector<kernels::TensorType> types;
  for (const Tensor& operand : operands) {
    const std::vector<int64_t> ones(sizes.size(), 1);
    const Tensor own = is_scalar(operand) ? constant(value_of(operand), ones) : floating(plain(gathered(operand)));
    std::vector<int64_t> shape(sizes.size() - static_cast<size_t>(own.dim()), 1);
    shape.insert(shape.end(), own.sizes().begin(), own.sizes().end());
    all.push_back({own, shape});
    types.push_back({kernels::DType::f32, shape});
  }
  const auto out = known->infer(types, attrs);
  if (!out || IntArrayRef((*out)[0].shape) != sizes)
    for (Operand& operand : all) operand = {spread(operand.tensor, sizes), sizes.vec()};
  return call(op, std::move(attrs), all)[0];
}
Tensor elementwise(std::string_view op, const std::vector<Tensor>& operands, std::vector<int64_t> attrs) {
  std::vector<int64_t> sizes;
  for (const Tensor& operand : operands) sizes = at::infer_size(sizes, operand.sizes());
  return elementwise(op, operands, std::move(attrs), sizes);
}

double value_of(const Tensor& scalar) { return scalar.item().to<double>(); }

Tensor constant(double value, IntArrayRef sizes) {
  Tensor out = empty_exact(sizes, at::kFloat);
  out.fill_(value);
  return out;
}

Tensor scaled(const Tensor& tensor, const Scalar& by) {
  return by.equal(1) ? tensor : one("mul_scalar.v1", {tensor}, {number(by)});
}

Rows rows_of(const Tensor& tensor, int64_t columns) {
  return {columns == 0 ? 0 : tensor.numel() / columns, columns};
}

void require_float(const Tensor& x, const char* what) {
  if (!x.is_floating_point()) refuse_undefined(std::string(what) + " of " + c10::toString(x.scalar_type()), "cast.v1");
}

Outputs last_of(const Lowered& c, Tensor result) {
  Outputs out(c.call.output_types.size());
  out.back() = std::move(result);
  return out;
}

at::ScalarType torch_type(kernels::DType dtype) {
  using kernels::DType;
  switch (dtype) {
    case DType::f32: return at::kFloat;
    case DType::i64: return at::kLong;
    case DType::i32: return at::kInt;
    case DType::u8: return at::kByte;
    case DType::bf16: return at::kBFloat16;
  }
  return at::kByte;
}

}  // namespace cairn::runtime
