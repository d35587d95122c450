// Products of matrices.
#include <algorithm>
#include <numeric>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

// A matrix as it lies in memory, and whether it is read transposed.
struct Matrix {
  Operand operand;
  int64_t transposed;
};
Matrix matrix(const Tensor& tensor) {
  const bool swapped = tensor.dim() == 2 && !tensor.is_contiguous() && tensor.stride(0) == 1 && tensor.stride(1) == tensor.size(0) &&
                       tensor.storage_offset() == 0 && tensor.storage().nbytes() == static_cast<size_t>(tensor.numel()) * tensor.element_size();
  if (!swapped) {
    const Tensor whole = plain(tensor);
    return {{whole, whole.sizes().vec()}, 0};
  }
  const std::vector<int64_t> stored{tensor.size(1), tensor.size(0)};
  return {{reshaped(tensor, stored), stored}, 1};
}

Tensor product(const Tensor& a, const Tensor& b) {
  const Matrix left = matrix(a), right = matrix(b);
  return call("matmul." + std::string(name(numeric_class())) + ".v1", {left.transposed, right.transposed}, {left.operand, right.operand}).back();
}
Tensor& mm(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, is_integer(out) ? integer_product(a, b) : product(a, b));
  return out;
}
Tensor& addmm(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  if (bias.dim() == 1 && bias.size(0) == out.size(1) && beta.equal(1) && alpha.equal(1) && numeric_class() == attest::NumericClass::f32) {
    const Matrix weights = matrix(b);
    const Tensor x = plain(a), offset = plain(bias);
    assign(out, call("linear.f32.v1", {weights.transposed}, {{x, x.sizes().vec()}, weights.operand, {offset, offset.sizes().vec()}})[0]);
  } else {
    assign(out, one("add.v1", {scaled(spread(bias, out.sizes()), beta), scaled(product(a, b), alpha)}));
  }
  return out;
}

void on_exact(torch::Library& m) {
  m.impl("mm.out", &mm);
  m.impl("addmm.out", &addmm);
}

// ---- the native tier ----

constexpr Lowering kLowerings[] = {
    {"matmul.f32.v1", [](const Lowered& c) -> Outputs { return {at::mm(c.turned(0, 0), c.turned(1, 1))}; }},
    {"matmul.int2.v1", [](const Lowered& c) -> Outputs { return {at::matmul(c.turned(0, 0), c.turned(1, 1))}; }},
    {"matmul.int2.row.v1", [](const Lowered& c) { return last_of(c, at::matmul(c.turned(0, 0), c.turned(1, 1))); }},
    {"matmul.int3.v1", [](const Lowered& c) -> Outputs { return {at::matmul(c.turned(0, 0), c.turned(1, 1))}; }},
    {"linear.f32.v1", [](const Lowered& c) -> Outputs { return {at::addmm(c.in[2], c.in[0], c.turned(1, 0))}; }},
};

}  // namespace

Family aten_products() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
