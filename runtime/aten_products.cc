// Products of matrices.
#include "runtime/aten_products.h"

#include <algorithm>
#include <numeric>

namespace cairn::runtime {

Tensor product(const Operand& a, bool turn_a, const Operand& b, bool turn_b, const Tensor& bias) {
  const bool f32 = numeric_class() == attest::NumericClass::f32, stack = a.shape.size() == 3;
  if (f32 && bias.defined() && !turn_a && !stack) return call("linear.f32.v1", {turn_b}, {a, b, {plain(bias), bias.sizes().vec()}})[0];
  const std::string op = f32 && stack ? "bmm.f32.v1" : "matmul." + std::string(name(numeric_class())) + ".v1";
  const Tensor c = call(op, {turn_a, turn_b}, {a, b}).back();
  return bias.defined() ? elementwise("add.v1", {c, bias}) : c;
}

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

Tensor of_matrices(const Tensor& a, const Tensor& b) {
  if (is_integer(a)) return integer_product(a, b);
  const Matrix left = matrix(a), right = matrix(b);
  return product(left.operand, left.transposed, right.operand, right.transposed);
}
Tensor& mm(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, of_matrices(a, b));
  return out;
}
// beta * bias + alpha * product; a bias times 0 is not read.
Tensor added(const Tensor& bias, const Tensor& product, const Scalar& beta, const Scalar& alpha) {
  const Tensor right = scaled(product, alpha);
  return beta.equal(0) ? right : one("add.v1", {scaled(spread(bias, product.sizes()), beta), right});
}
Tensor& addmm(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  if (bias.dim() == 1 && bias.size(0) == out.size(1) && beta.equal(1) && alpha.equal(1) && !is_integer(a)) {
    const Matrix weights = matrix(b);
    const Tensor x = plain(a);
    assign(out, product({x, x.sizes().vec()}, false, weights.operand, weights.transposed, bias));
  } else {
    assign(out, added(bias, of_matrices(a, b), beta, alpha));
  }
  return out;
}

// A stack of matrices: plain, or each of them transposed.
Matrix matrices(const Tensor& tensor) {
  const Tensor turned = tensor.transpose(1, 2);
  const bool swapped = !tensor.is_contiguous() && turned.is_contiguous();
  const Tensor whole = plain(swapped ? turned : tensor);
  return {{whole, whole.sizes().vec()}, swapped};
}
Tensor batched(const Tensor& a, const Tensor& b) {
  if (is_integer(a)) return integer_product(a, b);
  const Matrix left = matrices(a), right = matrices(b);
  return product(left.operand, left.transposed, right.operand, right.transposed);
}
Tensor& bmm(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, batched(a, b));
  return out;
}
Tensor& baddbmm(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  assign(out, added(bias, batched(a, b), beta, alpha));
  return out;
}
// The sum over the batch is part of one product: k runs over (batch, k).
Tensor& addbmm_out(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  const Tensor wide = plain(a.permute({1, 0, 2})), tall = plain(b);
  const int64_t m = a.size(1), n = b.size(2), k = a.size(0) * a.size(2);
  assign(out, added(bias, product({wide, {m, k}}, false, {tall, {k, n}}, false), beta, alpha));
  return out;
}
Tensor addbmm(const Tensor& bias, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
  Tensor out = empty_exact({a.size(1), b.size(2)}, at::kFloat);
  return addbmm_out(bias, a, b, beta, alpha, out);
}
Tensor& addmv(const Tensor& bias, const Tensor& a, const Tensor& x, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  const Tensor column = reshaped(plain(x), {x.size(0), 1});
  assign(out, added(bias, reshaped(of_matrices(a, column), {a.size(0)}), beta, alpha));
  return out;
}
Tensor& addr_out(const Tensor& bias, const Tensor& x, const Tensor& y, const Scalar& beta, const Scalar& alpha, Tensor& out) {
  assign(out, added(bias, of_matrices(reshaped(plain(x), {x.size(0), 1}), reshaped(plain(y), {1, y.size(0)})), beta, alpha));
  return out;
}
Tensor mv(const Tensor& a, const Tensor& x) { return reshaped(of_matrices(a, reshaped(plain(x), {x.size(0), 1})), {a.size(0)}); }
Tensor dot(const Tensor& x, const Tensor& y) {
  TORCH_CHECK(x.dim() == 1 && y.dim() == 1 && x.numel() == y.numel(), "dot takes two vectors of one length");
  return reshaped(of_matrices(reshaped(plain(x), {1, x.numel()}), reshaped(plain(y), {y.numel(), 1})), {});
}

void on_exact(torch::Library& m) {
  m.impl("mm.out", &mm);
  m.impl("addmm.out", &addmm);
  m.impl("bmm.out", &bmm);
  m.impl("baddbmm.out", &baddbmm);
  m.impl("addbmm", &addbmm);
  m.impl("addbmm.out", &addbmm_out);
  m.impl("addmv.out", &addmv);
  m.impl("addr.out", &addr_out);
  m.impl("mv", &mv);
  m.impl("dot", &dot);
}

// ---- the native tier ----

constexpr Lowering kLowerings[] = {
    {"matmul.f32.v1", [](const Lowered& c) -> Outputs { return {at::mm(c.turned(0, 0), c.turned(1, 1))}; }},
    {"matmul.int2.v1", [](const Lowered& c) -> Outputs { return {at::matmul(c.turned(0, 0), c.turned(1, 1))}; }},
    {"matmul.int2.row.v1", [](const Lowered& c) { return last_of(c, at::matmul(c.turned(0, 0), c.turned(1, 1))); }},
    {"matmul.int3.v1", [](const Lowered& c) -> Outputs { return {at::matmul(c.turned(0, 0), c.turned(1, 1))}; }},
    {"linear.f32.v1", [](const Lowered& c) -> Outputs { return {at::addmm(c.in[2], c.in[0], c.turned(1, 0))}; }},
    {"bmm.f32.v1", [](const Lowered& c) -> Outputs { return {at::bmm(c.turned(0, 0), c.turned(1, 1))}; }},
};

}  // namespace

Family aten_products() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
