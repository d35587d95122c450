// Integers and truth values: arithmetic, comparison, choice.
#include <cmath>
#include <cstring>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

// A number's bits as an attribute of an operator on `dtype`.
int64_t number_of(const Scalar& value, at::ScalarType dtype) {
  return at::isIntegralType(dtype, true) ? value.to<int64_t>() : number(value);
}
int64_t bits_of(const Scalar& value, at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return c10::BFloat16(value.to<float>()).x;
  if (dtype == at::kInt) return static_cast<uint32_t>(value.to<int32_t>());
  return number_of(value, dtype);
}

// In `dtype`, spread to `sizes`; a number becomes a tensor of it.
Tensor arranged(const Tensor& x, at::ScalarType dtype, IntArrayRef sizes) {
  if (!is_scalar(x)) return spread(cast(x, dtype), sizes);
  Tensor out = empty_exact(sizes, dtype);
  out.fill_(x.item());
  return out;
}
bool is_truth(const Tensor& x) { return x.scalar_type() == at::kBool; }
Tensor as_truth(const Tensor& x) { return cast(x, at::kBool); }

}  // namespace

bool is_integer(const Tensor& x) { return at::isIntegralType(x.scalar_type(), true); }

Tensor paired(std::string_view op, const Tensor& a, const Tensor& b, at::ScalarType dtype, IntArrayRef sizes) {
  if (is_scalar(b)) return one(op, {arranged(a, dtype, sizes)}, {number_of(b.item(), dtype)});
  return one(op, {arranged(a, dtype, sizes), arranged(b, dtype, sizes)});
}

Tensor& integer_added(std::string_view op, const Tensor& a, const Tensor& b, const Scalar& alpha, Tensor& out) {
  const at::ScalarType dtype = out.scalar_type();
  if (dtype == at::kBool) {  // PyTorch adds truth values by `or`, and knows no difference of them
    assign(out, truth(paired("bit_or.v1", is_scalar(a) ? b : a, is_scalar(a) ? a : b, dtype, out.sizes())));
  } else if (alpha.equal(1)) {
    assign(out, paired(op, a, b, dtype, out.sizes()));
  } else {
    assign(out, one(op, {arranged(a, dtype, out.sizes()), one("integer_mul.v1", {arranged(b, dtype, out.sizes())}, {alpha.to<int64_t>()})}));
  }
  return out;
}
Tensor& integer_multiplied(const Tensor& a, const Tensor& b, Tensor& out) {
  const Tensor &x = is_scalar(a) ? b : a, &y = is_scalar(a) ? a : b;
  const bool truths = out.scalar_type() == at::kBool;
  const Tensor result = paired(truths ? "bit_and.v1" : "integer_mul.v1", x, y, out.scalar_type(), out.sizes());
  assign(out, truths ? truth(result) : result);
  return out;
}

Tensor integer_reduced(std::string_view op, const Tensor& x, at::OptionalIntArrayRef dims) {
  std::vector<bool> reduced(static_cast<size_t>(x.dim()), !dims || dims->empty());
  if (dims)
    for (const int64_t d : *dims) reduced[static_cast<size_t>(at::maybe_wrap_dim(d, x.dim()))] = true;
  std::vector<int64_t> kept, gone, shape;
  for (int64_t d = 0; d < x.dim(); d++) (reduced[static_cast<size_t>(d)] ? gone : kept).push_back(d);
  for (const int64_t d : kept) shape.push_back(x.size(d));
  int64_t count = 1;
  for (const int64_t d : gone) count *= x.size(d);
  // Neighbours are reduced where they stand; others are brought to the end.
  const bool together = !gone.empty() && gone.back() - gone.front() + 1 == static_cast<int64_t>(gone.size());
  int64_t inner = 1;
  if (together)
    for (int64_t d = gone.back() + 1; d < x.dim(); d++) inner *= x.size(d);
  std::vector<int64_t> order = kept;
  order.insert(order.end(), gone.begin(), gone.end());
  const Tensor whole = plain(together ? x : x.permute(order));
  return reshaped(call(op, {}, {{whole, {x.numel() / (count * inner), count, inner}}})[0], shape);
}

Tensor integer_product(const Tensor& a, const Tensor& b) {
  const Tensor left = plain(cast(a, at::kLong)), right = plain(cast(b, at::kLong));
  const int64_t batch = a.dim() == 3 ? a.size(0) : 1;
  std::vector<int64_t> shape = a.sizes().vec();
  shape.back() = b.size(-1);
  const Tensor out = call("matmul.i64.v1", {}, {{left, {batch, a.size(-2), a.size(-1)}}, {right, {batch, b.size(-2), b.size(-1)}}})[0];
  return cast(reshaped(out, shape), a.scalar_type());
}

namespace {

// ---- comparison ----

at::ScalarType compared_type(const Tensor& a, const Tensor& b) {
  const at::ScalarType type = at::result_type(a, b);
  return type == at::kBool ? at::kByte : type;
}
template <const char* kOp>
Tensor& compare(const Tensor& a, const Tensor& b, Tensor& out) {
  assign(out, truth(paired(kOp, a, b, compared_type(a, b), out.sizes())));
  return out;
}
template <const char* kOp>
Tensor& compare_number(const Tensor& a, const Scalar& b, Tensor& out) {
  at::ScalarType type = at::result_type(a, b);
  if (type == at::kBool) type = at::kByte;
  assign(out, truth(one(kOp, {cast(a, type)}, {number_of(b, type)})));
  return out;
}
constexpr char kEq[] = "eq.v1", kNe[] = "ne.v1", kLt[] = "lt.v1", kLe[] = "le.v1", kGt[] = "gt.v1", kGe[] = "ge.v1";

Tensor is_nan(const Tensor& x) { return truth(one("ne.v1", {x, x})); }
template <bool kPositive>
Tensor& is_infinity(const Tensor& x, Tensor& out) {
  if (is_integer(x)) assign(out, is_nan(x));  // none
  else assign(out, truth(one("eq.v1", {x}, {number(kPositive ? INFINITY : -INFINITY)})));
  return out;
}

// ---- truth values ----

// These have no structure: a caller may bring an empty result.
void resize(Tensor& out, IntArrayRef sizes) {
  if (out.sizes() != sizes) out.resize_(sizes);
}
template <const char* kOp>
Tensor& logical(const Tensor& a, const Tensor& b, Tensor& out) {
  resize(out, at::infer_size(a.sizes(), b.sizes()));
  assign(out, truth(one(kOp, {spread(as_truth(a), out.sizes()), spread(as_truth(b), out.sizes())})));
  return out;
}
Tensor& logical_not(const Tensor& x, Tensor& out) {
  resize(out, x.sizes());
  assign(out, truth(one("eq.v1", {x}, {0})));
  return out;
}
Tensor& bitwise_not(const Tensor& x, Tensor& out) {
  if (is_truth(x)) return logical_not(x, out);
  assign(out, one("bit_xor.v1", {x}, {x.scalar_type() == at::kByte ? 255 : -1}));
  return out;
}
template <const char* kOp>
Tensor& pair(const Tensor& a, const Tensor& b, Tensor& out) {
  const Tensor result = is_scalar(a) && !is_scalar(b) && std::string_view(kOp).starts_with("bit_")
                            ? paired(kOp, b, a, out.scalar_type(), out.sizes())
                            : paired(kOp, a, b, out.scalar_type(), out.sizes());
  assign(out, is_truth(out) ? truth(result) : result);
  return out;
}
constexpr char kAnd[] = "bit_and.v1", kOr[] = "bit_or.v1", kXor[] = "bit_xor.v1", kLeft[] = "shift_left.v1", kRight[] = "shift_right.v1";

template <const char* kOp>
Tensor shifted(const Tensor& a, const Tensor& b) {
  return paired(kOp, a, b, at::result_type(a, b), at::infer_size(a.sizes(), b.sizes()));
}
template <const char* kOp>
Tensor shifted_by(const Tensor& a, const Scalar& b) {
  return one(kOp, {a}, {b.to<int64_t>()});
}

template <const char* kOp>
void some(const Tensor& x, at::OptionalIntArrayRef dims, const Tensor& out) {
  const Tensor found = truth(integer_reduced(kOp, as_truth(x), dims));
  assign(out, reshaped(found, out.sizes()));
}
template <const char* kOp>
Tensor& some_of_dim(const Tensor& x, int64_t dim, bool, Tensor& out) {
  some<kOp>(x, IntArrayRef(dim), out);
  return out;
}
template <const char* kOp>
Tensor& some_of_dims(const Tensor& x, at::OptionalIntArrayRef dims, bool, Tensor& out) {
  some<kOp>(x, dims, out);
  return out;
}
template <const char* kOp>
Tensor& some_of_all(const Tensor& x, Tensor& out) {
  some<kOp>(x, std::nullopt, out);
  return out;
}
// Whether each element is one of `among`.
Tensor& is_in(const Tensor& x, const Tensor& among, bool, bool invert, Tensor& out) {
  const Tensor found = x.unsqueeze(-1).eq(among.reshape(-1)).any(-1);
  assign(out, invert ? found.logical_not() : found);
  return out;
}
constexpr char kLeast[] = "integer_least.v1", kGreatest[] = "integer_greatest.v1";

// ---- choice ----

Tensor chosen(const Tensor& mask, const Tensor& a, const Tensor& b, IntArrayRef sizes) {
  const at::ScalarType dtype = at::result_type(a, b);
  const Tensor wide = spread(as_truth(mask), sizes);
  Tensor out;
  if (is_scalar(a)) out = one("masked_fill.v1", {arranged(b, dtype, sizes), wide}, {bits_of(a.item(), dtype)});
  else if (is_scalar(b)) out = one("masked_fill.v1", {arranged(a, dtype, sizes), one("eq.v1", {wide}, {0})}, {bits_of(b.item(), dtype)});
  else out = one("where.v1", {wide, arranged(a, dtype, sizes), arranged(b, dtype, sizes)});
  return dtype == at::kBool ? truth(out) : out;
}
Tensor selected(const Tensor& mask, const Tensor& a, const Tensor& b) {
  return chosen(mask, a, b, at::infer_size(mask.sizes(), at::infer_size(a.sizes(), b.sizes())));
}
Tensor& where_out(const Tensor& mask, const Tensor& a, const Tensor& b, Tensor& out) {
  const Tensor result = selected(mask, a, b);
  resize(out, result.sizes());
  assign(out, result);
  return out;
}
Tensor& masked_fill(Tensor& self, const Tensor& mask, const Scalar& value) {
  const Tensor result = one("masked_fill.v1", {self, spread(as_truth(mask), self.sizes())}, {bits_of(value, self.scalar_type())});
  assign(self, is_truth(self) ? truth(result) : result);
  return self;
}
Tensor& masked_fill_from(Tensor& self, const Tensor& mask, const Tensor& value) {
  if (is_scalar(value)) return masked_fill(self, mask, value.item());
  const Tensor result = one("where.v1", {spread(as_truth(mask), self.sizes()), spread(cast(value, self.scalar_type()), self.sizes()), self});
  assign(self, is_truth(self) ? truth(result) : result);
  return self;
}

void on_exact(torch::Library& m) {
  m.impl("eq.Tensor_out", &compare<kEq>);
  m.impl("ne.Tensor_out", &compare<kNe>);
  m.impl("lt.Tensor_out", &compare<kLt>);
  m.impl("le.Tensor_out", &compare<kLe>);
  m.impl("gt.Tensor_out", &compare<kGt>);
  m.impl("ge.Tensor_out", &compare<kGe>);
  m.impl("eq.Scalar_out", &compare_number<kEq>);
  m.impl("ne.Scalar_out", &compare_number<kNe>);
  m.impl("lt.Scalar_out", &compare_number<kLt>);
  m.impl("le.Scalar_out", &compare_number<kLe>);
  m.impl("gt.Scalar_out", &compare_number<kGt>);
  m.impl("ge.Scalar_out", &compare_number<kGe>);
  m.impl("isnan", &is_nan);
  m.impl("isposinf.out", &is_infinity<true>);
  m.impl("isneginf.out", &is_infinity<false>);
  m.impl("logical_and.out", &logical<kAnd>);
  m.impl("logical_or.out", &logical<kOr>);
  m.impl("logical_xor.out", &logical<kXor>);
  m.impl("logical_not.out", &logical_not);
  m.impl("bitwise_and.Tensor_out", &pair<kAnd>);
  m.impl("bitwise_or.Tensor_out", &pair<kOr>);
  m.impl("bitwise_xor.Tensor_out", &pair<kXor>);
  m.impl("bitwise_not.out", &bitwise_not);
  m.impl("bitwise_left_shift.Tensor_out", &pair<kLeft>);
  m.impl("bitwise_right_shift.Tensor_out", &pair<kRight>);
  m.impl("__lshift__.Tensor", &shifted<kLeft>);
  m.impl("__rshift__.Tensor", &shifted<kRight>);
  m.impl("__lshift__.Scalar", &shifted_by<kLeft>);
  m.impl("__rshift__.Scalar", &shifted_by<kRight>);
  m.impl("any.out", &some_of_dim<kGreatest>);
  m.impl("all.out", &some_of_dim<kLeast>);
  m.impl("any.dims_out", &some_of_dims<kGreatest>);
  m.impl("all.dims_out", &some_of_dims<kLeast>);
  m.impl("any.all_out", &some_of_all<kGreatest>);
  m.impl("all.all_out", &some_of_all<kLeast>);
  m.impl("isin.Tensor_Tensor_out", &is_in);
  m.impl("where.self", &selected);
  m.impl("where.self_out", &where_out);
  m.impl("masked_fill_.Scalar", &masked_fill);
  m.impl("masked_fill_.Tensor", &masked_fill_from);
}

// ---- the native tier ----

// Scalars of ATen are int64 or double, so that they convert.
Scalar number_at(const Lowered& c) { return c.in[0].is_floating_point() ? Scalar(c.f(0)) : Scalar(c.n(0)); }
Tensor other(const Lowered& c) { return c.in.size() == 2 ? c.in[1] : at::full_like(c.in[0], number_at(c)); }
// Where ATen refuses to divide by zero.
Tensor divided(const Lowered& c, const char* mode) {
  const Tensor b = other(c), zero = b.eq(0);
  return c.in[0].div(b.masked_fill(zero, 1), mode).masked_fill(zero, 0);
}
Tensor remains(const Lowered& c, const char* mode) { return c.in[0].sub(other(c).mul(divided(c, mode))); }

constexpr Lowering kLowerings[] = {
    {"integer_add.v1", [](const Lowered& c) -> Outputs { return {c.in[0].add(other(c))}; }},
    {"integer_sub.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sub(other(c))}; }},
    {"integer_mul.v1", [](const Lowered& c) -> Outputs { return {c.in[0].mul(other(c))}; }},
    {"trunc_div.v1", [](const Lowered& c) -> Outputs { return {divided(c, "trunc")}; }},
    {"floor_div.v1", [](const Lowered& c) -> Outputs { return {divided(c, "floor")}; }},
    {"trunc_remainder.v1", [](const Lowered& c) -> Outputs { return {remains(c, "trunc")}; }},
    {"floor_remainder.v1", [](const Lowered& c) -> Outputs { return {remains(c, "floor")}; }},
    {"integer_min.v1", [](const Lowered& c) -> Outputs { return {at::minimum(c.in[0], other(c))}; }},
    {"integer_max.v1", [](const Lowered& c) -> Outputs { return {at::maximum(c.in[0], other(c))}; }},
    {"bit_and.v1", [](const Lowered& c) -> Outputs { return {c.in[0].bitwise_and(other(c))}; }},
    {"bit_or.v1", [](const Lowered& c) -> Outputs { return {c.in[0].bitwise_or(other(c))}; }},
    {"bit_xor.v1", [](const Lowered& c) -> Outputs { return {c.in[0].bitwise_xor(other(c))}; }},
    {"shift_left.v1", [](const Lowered& c) -> Outputs { return {c.in[0].bitwise_left_shift(other(c))}; }},
    {"shift_right.v1", [](const Lowered& c) -> Outputs { return {c.in[0].bitwise_right_shift(other(c))}; }},
    {"eq.v1", [](const Lowered& c) -> Outputs { return {c.in[0].eq(other(c)).to(at::kByte)}; }},
    {"ne.v1", [](const Lowered& c) -> Outputs { return {c.in[0].ne(other(c)).to(at::kByte)}; }},
    {"lt.v1", [](const Lowered& c) -> Outputs { return {c.in[0].lt(other(c)).to(at::kByte)}; }},
    {"le.v1", [](const Lowered& c) -> Outputs { return {c.in[0].le(other(c)).to(at::kByte)}; }},
    {"gt.v1", [](const Lowered& c) -> Outputs { return {c.in[0].gt(other(c)).to(at::kByte)}; }},
    {"ge.v1", [](const Lowered& c) -> Outputs { return {c.in[0].ge(other(c)).to(at::kByte)}; }},
    {"where.v1", [](const Lowered& c) -> Outputs { return {at::where(c.in[0].to(at::kBool), c.in[1], c.in[2])}; }},
    {"masked_fill.v1", [](const Lowered& c) -> Outputs {
      const Tensor value = at::empty({}, c.in[0].options());
      std::memcpy(value.mutable_data_ptr(), &c.call.attrs[0], value.element_size());
      return {c.in[0].masked_fill(c.in[1].to(at::kBool), value)};
    }},
    {"integer_sum.v1", [](const Lowered& c) -> Outputs { return {c.in[0].sum(IntArrayRef{1})}; }},
    {"integer_least.v1", [](const Lowered& c) -> Outputs { return {c.in[0].amin(IntArrayRef{1})}; }},
    {"integer_greatest.v1", [](const Lowered& c) -> Outputs { return {c.in[0].amax(IntArrayRef{1})}; }},
    {"integer_argmin.v1", [](const Lowered& c) -> Outputs { return {c.in[0].argmin(1)}; }},
    {"integer_argmax.v1", [](const Lowered& c) -> Outputs { return {c.in[0].argmax(1)}; }},
    {"matmul.i64.v1", [](const Lowered& c) -> Outputs { return {at::bmm(c.in[0], c.in[1])}; }},
};

}  // namespace

Family aten_integers() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
