#include "runtime/aten.h"

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
  if (x.scalar_type() != at::kFloat) refuse_undefined(std::string(what) + " of " + c10::toString(x.scalar_type()), "cast.v1");
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
