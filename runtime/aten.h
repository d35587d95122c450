// ATen and Cairn's operators, both ways, a family a file: what an ATen operator that reaches `exact` is composed of, and what
// one of Cairn's operators is in stock ATen (the native tier). Who adds an operator adds it to its family's file.
//
// Structured operators arrive as `.out`, scalars as 0-dimensional CPU tensors. Everything here throws Refusal where something
// has no definition.
#pragma once

#include <algorithm>
#include <optional>
#include <span>

#include "attest/plan.h"
#include "attest/records.h"
#include "runtime/exact_device.h"

namespace cairn::runtime {

using at::IntArrayRef;
using at::Scalar;
using at::Tensor;
using Maybe = std::optional<Tensor>;

// ---- from ATen: words that the families are written with ----

// An f32 as an attribute.
int64_t number(double value);
inline int64_t number(const Scalar& value) { return number(value.to<double>()); }

// One call whose operands keep their shapes; its first output.
Tensor one(std::string_view op, const std::vector<Tensor>& inputs, std::vector<int64_t> attrs = {});

// The class in which products are to be computed.
attest::NumericClass numeric_class();

// One call that makes each element of its output from one of each operand: operands of any shapes that spread to `sizes`, numbers
// too. What the operator's own rule of spreading does not reach is spread before; integers and bool become floats.
Tensor elementwise(std::string_view op, const std::vector<Tensor>& operands, std::vector<int64_t> attrs, IntArrayRef sizes);
// The same, with the sizes that the operands have together.
Tensor elementwise(std::string_view op, const std::vector<Tensor>& operands, std::vector<int64_t> attrs = {});

// A number where a tensor could stand.
inline bool is_scalar(const Tensor& tensor) { return tensor.is_cpu() && tensor.dim() == 0; }
double value_of(const Tensor& scalar);
Tensor constant(double value, IntArrayRef sizes);
Tensor scaled(const Tensor& tensor, const Scalar& by);  // times `by`, nothing for 1

// The tensor as rows of its last `columns` elements.
struct Rows {
  int64_t rows, columns;
  std::vector<int64_t> shape() const { return {rows, columns}; }
};
Rows rows_of(const Tensor& tensor, int64_t columns);

// Sum over `dims` (none: all); the result has the other dimensions, in order.
Tensor summed(const Tensor& x, at::OptionalIntArrayRef dims);

// The name of an operator as an argument of a template: unary<"exp.v1">.
template <size_t N>
struct OpName {
  char text[N];
  constexpr OpName(const char (&from)[N]) { std::copy(from, from + N, text); }
  operator std::string_view() const { return {text, N - 1}; }
};
void require_float(const Tensor& x, const char* what);

// ---- integers, for families whose ATen operators take both (aten_integers.cc) ----

bool is_integer(const Tensor& x);  // or bool
// op(a, b) elementwise in `dtype`, both spread to `sizes`: of kernels/ops/integer.h, comparisons also of floats. b may be a
// number; of a and b one is a tensor.
Tensor paired(std::string_view op, const Tensor& a, const Tensor& b, at::ScalarType dtype, IntArrayRef sizes);
Tensor& integer_added(std::string_view op, const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out);  // a op alpha * b
Tensor& integer_multiplied(const Tensor& a, const Tensor& b, Tensor& out);
// integer_sum.v1 and its like over `dims` (none: all); the result has the other dimensions, in order.
Tensor integer_reduced(std::string_view op, const Tensor& x, at::OptionalIntArrayRef dims);
Tensor integer_product(const Tensor& a, const Tensor& b);  // of matrices, or batches of them; i64, then the low bits in a's dtype

// ---- to ATen ----

// A call of a plan, its operands as CPU tensors of the call's shapes.
struct Lowered {
  const attest::Call& call;
  const kernels::StepContext& step;
  const std::vector<Tensor>& in;

  float f(size_t i) const { return kernels::attr_f32(call.attrs[i]); }
  int64_t n(size_t i) const { return call.attrs[i]; }
  Tensor turned(size_t i, size_t attr) const { return n(attr) ? in[i].transpose(-2, -1) : in[i]; }
};
using Outputs = std::vector<Tensor>;

// Of a call with several outputs of which nobody reads any but the last: the others stay undefined.
Outputs last_of(const Lowered& c, Tensor result);

// The outputs of one operator; what stays undefined must not be read.
struct Lowering {
  std::string_view op;
  Outputs (*run)(const Lowered&);
};

// ---- the families ----

struct Family {
  void (*on_exact)(torch::Library& aten);
  std::span<const Lowering> lowerings;
  void (*above_autograd)(torch::Library& aten) = nullptr;  // composites that ATen would take apart in another way
};
Family aten_indexing();
Family aten_integers();
Family aten_moves();
Family aten_pointwise();
Family aten_products();
Family aten_recurrence();
Family aten_reductions();
Family aten_sequence();
Family aten_training();
Family aten_vision();
std::span<const Family> aten_families();  // all of them

at::ScalarType torch_type(kernels::DType dtype);

}  // namespace cairn::runtime
