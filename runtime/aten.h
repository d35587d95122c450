// ATen and Cairn's operators, both ways, a family a file: what an ATen operator that reaches `exact` is composed of, and what
// one of Cairn's operators is in stock ATen (the native tier). Who adds an operator adds it to its family's file.
//
// Structured operators arrive as `.out`, scalars as 0-dimensional CPU tensors. Everything here throws Refusal where something
// has no definition.
#pragma once

#include <optional>
#include <span>

#include "attest/plan.h"
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
void require_float(const Tensor& x, const char* what);

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
