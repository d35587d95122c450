// Places by index: gather, scatter, embedding, order.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/arith.h"
#include "runtime/aten.h"
#include "runtime/recorder.h"

namespace cairn::runtime {
namespace {

using Sizes = std::vector<int64_t>;
using Indices = c10::List<std::optional<Tensor>>;

// Of scatter.v1.
enum Reduce : int64_t { kReplace, kAdd, kMultiply, kGreatest, kLeast };
constexpr int64_t kNoSkip = -1;

int64_t product(IntArrayRef sizes) { return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>()); }
int64_t axis(const Tensor& x, int64_t dim) { return c10::maybe_wrap_dim(dim, std::max<int64_t>(x.dim(), 1)); }
// A shape as the operators see it: what is before `dim`, `dim`, and what is after it. A scalar is a line of one.
Sizes lines(IntArrayRef sizes, int64_t dim) {
  if (sizes.empty()) return {1, 1, 1};
  const auto at = static_cast<size_t>(dim);
  return {product(sizes.slice(0, at)), sizes[at], product(sizes.slice(at + 1))};
}
Operand lines_of(const Tensor& x, int64_t dim) { return {plain(x), lines(x.sizes(), dim)}; }
Operand flat(const Tensor& x) { return {plain(x), {x.numel()}}; }

[[noreturn]] void refuse_shape_of_values(const std::string& what) {
  throw Refusal({Code::data_dependent, place_in_program() + ": the shape of " + what + " depends on values",
                 "keep shapes fixed: multiply by the mask, or take where() of it"});
}
Tensor as_index(const Tensor& index) {
  if (index.scalar_type() == at::kBool || index.scalar_type() == at::kByte) refuse_shape_of_values("a selection by a mask");
  return cast(index, at::kLong);
}
void resize_like(Tensor& out, IntArrayRef sizes) {
  if (out.sizes() != sizes) out.resize_(sizes);
}

Operand scalar(double value, at::ScalarType dtype) {
  Tensor out = empty_exact({}, dtype);
  out.fill_(value);
  return {out, {}};
}
// What is the same everywhere, as one element, of which no copies are made: one repeated, or one that depends on no input.
std::optional<Operand> one_of(const Tensor& x) {
  if (x.numel() > 0 && x.storage().nbytes() == static_cast<size_t>(x.element_size())) return Operand{reshaped(x, {}), {}};
  const Recorder* recorder = Recorder::current();
  if (recorder && recorder->tracked(x)) return std::nullopt;
  const size_t size = static_cast<size_t>(x.element_size()), bytes = x.storage().nbytes();
  const auto* data = static_cast<const char*>(x.storage().data());
  if (bytes < size || std::memcmp(data, data + size, bytes - size) != 0) return std::nullopt;
  const Tensor out = empty_exact({}, x.scalar_type());
  std::memcpy(out.storage().mutable_data(), data, size);
  return Operand{out, {}};
}

// The result has the shape that `shape`, of lines, says.
Tensor scattered(const Operand& target, const Sizes& shape, const Operand& index, const Operand& src, Reduce reduce, bool keep = true,
                 int64_t skip = kNoSkip) {
  return call("scatter.v1", {shape[0], shape[1], shape[2], reduce, keep, skip}, {target, index, src})[0];
}
Operand target_of(const Tensor& x, int64_t dim) {
  if (const auto one = one_of(x)) return *one;
  return lines_of(x, dim);
}
Tensor gathered(const Operand& x, const Operand& index) { return call("gather.v1", {}, {x, index})[0]; }

// ---- an index for whole lines ------------------------------------------------------------------------------------------------

Tensor& index_select_out(const Tensor& x, int64_t dim, const Tensor& index, Tensor& out) {
  const int64_t d = axis(x, dim);
  Sizes sizes = x.sizes().vec();
  if (!sizes.empty()) sizes[static_cast<size_t>(d)] = index.numel();
  resize_like(out, sizes);
  assign(out, reshaped(gathered(lines_of(x, d), flat(as_index(index))), sizes));
  return out;
}
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  Tensor out = empty_exact({0}, x.scalar_type());
  return index_select_out(x, dim, index, out);
}
Tensor embedding_dense_backward(const Tensor& grad, const Tensor& indices, int64_t rows, int64_t padding, bool by_frequency) {
  if (by_frequency) refuse_undefined("embedding with scale_grad_by_freq", "scatter.v1");
  const int64_t width = grad.size(-1), count = indices.numel();
  const Sizes shape{1, rows, width};
  const Tensor out = scattered(scalar(0, at::kFloat), shape, flat(as_index(indices)), {plain(grad), {1, count, width}}, kAdd, true, std::max(padding, kNoSkip));
  return reshaped(out, {rows, width});
}
Tensor rows_scattered(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, Reduce reduce, bool keep = true) {
  const int64_t d = axis(x, dim);
  const Sizes shape = lines(x.sizes(), d);
  const auto one = one_of(src);
  return reshaped(scattered(target_of(x, d), shape, flat(as_index(index)), one ? *one : Operand{plain(src), {shape[0], index.numel(), shape[2]}}, reduce, keep), x.sizes());
}
Tensor& index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, const Scalar& alpha, Tensor& out) {
  assign(out, rows_scattered(x, dim, index, scaled(src, alpha), kAdd));
  return out;
}
Tensor& index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, Tensor& out) {
  assign(out, rows_scattered(x, dim, index, src, kReplace));
  return out;
}
Tensor& index_fill_tensor(Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  assign(x, rows_scattered(x, dim, index, cast(value, x.scalar_type()), kReplace));
  return x;
}
Tensor& index_fill(Tensor& x, int64_t dim, const Tensor& index, const Scalar& value) {
  return index_fill_tensor(x, dim, index, scalar(value.to<double>(), x.scalar_type()).tensor);
}

// x with position j of `dim` from position source(j).
template <class Source>
Tensor reordered(const Tensor& x, int64_t dim, Source source) {
  const int64_t d = axis(x, dim);
  Tensor index = empty_exact({x.dim() == 0 ? 1 : x.size(d)}, at::kLong);
  auto* data = static_cast<int64_t*>(index.storage().mutable_data());
  for (int64_t j = 0; j < index.numel(); j++) data[j] = source(j, index.numel());
  return reshaped(gathered(lines_of(x, d), flat(index)), x.sizes());
}
Tensor flipped(const Tensor& x, IntArrayRef dims) {
  Tensor out = x;
  for (const int64_t d : dims) out = reordered(out, d, [](int64_t j, int64_t n) { return n - 1 - j; });
  return out.is_same(x) ? x.clone() : out;
}
Tensor rolled(const Tensor& x, IntArrayRef shifts, IntArrayRef dims) {
  if (dims.empty()) return reshaped(rolled(reshaped(plain(x), {x.numel()}), shifts, IntArrayRef{0}), x.sizes());
  TORCH_CHECK(shifts.size() == dims.size(), "roll: as many shifts as dimensions");
  Tensor out = x;
  for (size_t k = 0; k < dims.size(); k++)
    out = reordered(out, dims[k], [&](int64_t j, int64_t n) { return ((j - shifts[k]) % n + n) % n; });
  return out;
}

// ---- an index for each element -----------------------------------------------------------------------------------------------

// The part of `x` that an index of `sizes` names, all of `but`.
Tensor part(Tensor x, IntArrayRef sizes, int64_t but = -1) {
  for (int64_t d = 0; d < x.dim(); d++)
    if (d != but && x.size(d) != sizes[static_cast<size_t>(d)]) x = x.narrow(d, 0, sizes[static_cast<size_t>(d)]);
  return x;
}
Tensor& gather(const Tensor& x, int64_t dim, const Tensor& index, bool, Tensor& out) {
  const int64_t d = axis(x, dim);
  assign(out, reshaped(gathered(lines_of(part(x, index.sizes(), d), d), lines_of(as_index(index), d)), out.sizes()));
  return out;
}

// An index with fewer lines must have the first of them.
void require_first_lines(const Tensor& x, const Tensor& index, int64_t dim) {
  for (int64_t d = 0; d < x.dim(); d++)
    if (d != dim && d != 0 && d != dim + 1 && x.size(d) != index.size(d))
      refuse_undefined("scattering by an index that is smaller in dimension " + std::to_string(d), "scatter.v1");
}
Tensor elements_scattered(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, Reduce reduce, bool keep = true) {
  const int64_t d = axis(x, dim);
  require_first_lines(x, index, d);
  const auto one = one_of(src);
  const Tensor out = scattered(target_of(x, d), lines(x.sizes(), d), lines_of(as_index(index), d), one ? *one : lines_of(part(src, index.sizes()), d), reduce, keep);
  return reshaped(out, x.sizes());
}
Tensor same_dtype_scalar(const Tensor& x, const Scalar& value) { return scalar(value.to<double>(), x.scalar_type()).tensor; }

Reduce reduce_named(std::string_view name) {
  if (name == "sum" || name == "add") return kAdd;
  if (name == "prod" || name == "multiply") return kMultiply;
  if (name == "amax") return kGreatest;
  if (name == "amin") return kLeast;
  refuse_undefined("the reduction '" + std::string(name) + "'", "scatter.v1");
}
// `scatter(reduce, keep, src)` of what is reduced; a mean is a sum by a count, where what is not named counts once.
template <class ScatterBy>
Tensor reduced(const Tensor& x, std::string_view reduce, const Tensor& src, bool keep, ScatterBy scatter) {
  if (reduce != "mean") return scatter(x, src, reduce_named(reduce), keep);
  return one("div.v1", {scatter(x, src, kAdd, keep), scatter(constant(1, x.sizes()), constant(1, {}), kAdd, keep)});
}
Tensor& scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, Tensor& out) {
  assign(out, elements_scattered(x, dim, index, src, kReplace));
  return out;
}
Tensor& scatter_value(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value, Tensor& out) {
  return scatter(x, dim, index, same_dtype_scalar(x, value), out);
}
Tensor& scatter_reduced(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, std::string_view reduce, Tensor& out) {
  assign(out, elements_scattered(x, dim, index, src, reduce_named(reduce)));
  return out;
}
Tensor& scatter_value_reduced(const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value, std::string_view reduce, Tensor& out) {
  return scatter_reduced(x, dim, index, same_dtype_scalar(x, value), reduce, out);
}
Tensor& scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, Tensor& out) {
  return scatter_reduced(x, dim, index, src, "sum", out);
}
Tensor& scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, std::string_view reduce, bool include_self, Tensor& out) {
  assign(out, reduced(x, reduce, src, include_self, [&](const Tensor& onto, const Tensor& what, Reduce by, bool keep) {
    return elements_scattered(onto, dim, index, what, by, keep);
  }));
  return out;
}
Tensor& index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src, std::string_view reduce, bool include_self, Tensor& out) {
  assign(out, reduced(x, reduce, src, include_self, [&](const Tensor& onto, const Tensor& what, Reduce by, bool keep) {
    return rows_scattered(onto, dim, index, what, by, keep);
  }));
  return out;
}

// ---- coordinates -------------------------------------------------------------------------------------------------------------

// What x[i, :, j, ...] names: the indexed dimensions side by side in a permutation of x, as one; their places; the result.
struct Places {
  std::vector<int64_t> order;  // dimension of x at each dimension of the permutation
  Sizes shape;                 // lines of the permutation
  Tensor index;
  Sizes sizes;                 // of the result
};
Places places_of(const Tensor& x, const Indices& given) {
  std::vector<int64_t> indexed, rest;
  std::vector<Tensor> indices;
  Sizes spread_to;
  for (int64_t d = 0; d < x.dim(); d++) {
    const auto index = d < static_cast<int64_t>(given.size()) ? given.get(static_cast<size_t>(d)) : std::optional<Tensor>();
    if (!index || !index->defined()) {
      rest.push_back(d);
      continue;
    }
    indexed.push_back(d);
    indices.push_back(as_index(*index));
    spread_to = at::infer_size(spread_to, indices.back().sizes());
  }
  Sizes dims;
  for (Tensor& index : indices) index = spread(index, spread_to);
  for (const int64_t d : indexed) dims.push_back(x.size(d));
  // Indices side by side stay where they are; others put their dimensions first.
  const bool together = indexed.back() - indexed.front() + 1 == static_cast<int64_t>(indexed.size());
  const auto before = together ? static_cast<std::ptrdiff_t>(indexed.front()) : 0;
  Places out;
  out.order = rest;
  out.order.insert(out.order.begin() + before, indexed.begin(), indexed.end());
  const Sizes sizes = x.permute(out.order).sizes().vec();
  const auto after = before + static_cast<std::ptrdiff_t>(indexed.size());
  out.shape = {product({sizes.data(), static_cast<size_t>(before)}), product(dims), product(IntArrayRef(sizes).slice(static_cast<size_t>(after)))};
  out.index = one("ravel_index.v1", indices, dims);
  out.sizes.assign(sizes.begin(), sizes.begin() + before);
  out.sizes.insert(out.sizes.end(), spread_to.begin(), spread_to.end());
  out.sizes.insert(out.sizes.end(), sizes.begin() + after, sizes.end());
  return out;
}
Tensor indexed(const Tensor& x, const Indices& indices) {
  const Places at = places_of(x, indices);
  return reshaped(gathered({plain(x.permute(at.order)), at.shape}, flat(at.index)), at.sizes);
}
Tensor& index_out(const Tensor& x, const Indices& indices, Tensor& out) {
  const Tensor result = indexed(x, indices);
  resize_like(out, result.sizes());
  assign(out, result);
  return out;
}
Tensor& index_put(Tensor& x, const Indices& indices, const Tensor& values, bool accumulate, bool) {
  const Places at = places_of(x, indices);
  const Tensor permuted = x.permute(at.order);
  const auto one_target = one_of(x), one_value = one_of(values);
  const Operand src = one_value ? *one_value : Operand{spread(values, at.sizes), {at.shape[0], at.index.numel(), at.shape[2]}};
  const Operand target = one_target ? *one_target : Operand{plain(permuted), at.shape};
  const Tensor out = reshaped(scattered(target, at.shape, flat(at.index), src, accumulate ? kAdd : kReplace), permuted.sizes());
  std::vector<int64_t> inverse(at.order.size());
  for (size_t d = 0; d < inverse.size(); d++) inverse[static_cast<size_t>(at.order[d])] = static_cast<int64_t>(d);
  assign(x, out.permute(inverse));
  return x;
}
Tensor places_in_all(const Tensor& x, const Tensor& index) { return one("ravel_index.v1", {as_index(index)}, {x.numel()}); }
Tensor taken(const Tensor& x, const Tensor& index) {
  return reshaped(gathered({plain(x), {1, x.numel(), 1}}, flat(places_in_all(x, index))), index.sizes());
}
Tensor& take_out(const Tensor& x, const Tensor& index, Tensor& out) {
  resize_like(out, index.sizes());
  assign(out, taken(x, index));
  return out;
}
Tensor& put(Tensor& x, const Tensor& index, const Tensor& src, bool accumulate) {
  const auto target = one_of(x), one = one_of(src);
  const Sizes shape{1, x.numel(), 1};
  const Tensor out = scattered(target ? *target : Operand{plain(x), shape}, shape, flat(places_in_all(x, index)),
                               one ? *one : Operand{plain(src), {1, src.numel(), 1}}, accumulate ? kAdd : kReplace);
  assign(x, reshaped(out, x.sizes()));
  return x;
}

// ---- bags of an embedding: sums of rows by the bag that each position lies in -----------------------------------------------

// A bag holds the rows at `index` with its number in `bag`; rows of the padding count for nothing.
struct Bags {
  Tensor index, bag;
  int64_t count;
  bool mean;
  Tensor each;  // a weight for each position, or undefined
  int64_t padding, rows;
};
Bags bags(const Tensor& indices, const Tensor& bag, int64_t count, int64_t mode, bool by_frequency, const Maybe& each, int64_t padding, int64_t rows) {
  if (mode != 0 && mode != 1) refuse_undefined("an embedding bag that is neither sum nor mean", "scatter.v1");
  if (by_frequency) refuse_undefined("an embedding bag with scale_grad_by_freq", "scatter.v1");
  return {as_index(indices), bag, count, mode == 1, each && each->defined() ? plain(*each) : Tensor(), std::max(padding, kNoSkip), rows};
}
Tensor rows_at(const Tensor& table, const Tensor& index) {
  return reshaped(gathered({plain(table), {1, table.size(0), table.size(1)}}, flat(index)), {index.numel(), table.size(1)});
}
Tensor summed_by(const Tensor& rows, const Tensor& index, int64_t count, int64_t skip = kNoSkip) {
  const Sizes shape{1, count, rows.size(1)};
  return reshaped(scattered(scalar(0, at::kFloat), shape, flat(index), {rows, {1, rows.size(0), rows.size(1)}}, kAdd, true, skip), {count, rows.size(1)});
}
// A number for every row of the table, 0 for the padding.
Tensor unless_padding(const Tensor& table, const Bags& b) {
  if (b.padding < 0) return table;
  Tensor row = empty_exact({1}, at::kLong);
  row.fill_(b.padding);
  return reshaped(scattered({table, {1, b.rows, table.size(1)}}, {1, b.rows, table.size(1)}, flat(row), scalar(0, at::kFloat), kReplace), table.sizes());
}
// Rows in the bags, divided by how many there are.
Tensor averaged(const Tensor& rows, const Bags& b) {
  if (!b.mean) return rows;
  const Tensor found = summed_by(rows_at(unless_padding(constant(1, {b.rows, 1}), b), b.index), b.bag, b.count);
  Tensor all = empty_exact({b.count}, at::kLong);  // an empty bag is divided by 1
  std::iota(static_cast<int64_t*>(all.storage().mutable_data()), static_cast<int64_t*>(all.storage().mutable_data()) + b.count, int64_t{0});
  const Sizes shape{1, b.count, 1};
  const Tensor counts = reshaped(scattered({found, shape}, shape, flat(all), scalar(1, at::kFloat), kGreatest), {b.count, 1});
  return one("div.v1", {rows, spread(counts, rows.sizes())});
}
Tensor weighted(const Tensor& rows, const Bags& b) {
  if (!b.each.defined()) return rows;
  return one("mul.v1", {rows, spread(reshaped(b.each, {b.each.numel(), 1}), rows.sizes())});
}
std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_bag(const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool by_frequency, int64_t mode,
                                                         bool, const Maybe& each, bool include_last, int64_t padding) {
  const int64_t count = offsets.numel() - (include_last ? 1 : 0), positions = indices.numel();
  // The bag of a position is one less than the offsets that are not beyond it.
  Tensor position = empty_exact({positions}, at::kLong), less_one = empty_exact({offsets.numel() + 1}, at::kLong);
  const auto fill = [](const Tensor& to, int64_t first) {
    auto* data = static_cast<int64_t*>(to.storage().mutable_data());
    for (int64_t i = 0; i < to.numel(); i++) data[i] = std::max<int64_t>(first + i, 0);
  };
  fill(position, 0);
  fill(less_one, -1);
  const Tensor found = call("searchsorted.v1", {1}, {{plain(as_index(offsets)), {1, offsets.numel()}}, {position, {1, positions}}})[0];
  const Tensor bag = reshaped(gathered({less_one, {1, less_one.numel(), 1}}, flat(found)), {positions});
  const Bags b = bags(indices, bag, count, mode, by_frequency, each, padding, weight.size(0));
  const Tensor rows = rows_at(unless_padding(plain(weight), b), b.index);
  const Tensor sizes = reshaped(scattered(scalar(0, at::kLong), {1, count, 1}, flat(bag), scalar(1, at::kLong), kAdd), {count});
  return {averaged(summed_by(weighted(rows, b), bag, count), b), bag, sizes, empty_exact({0}, at::kLong)};
}
Tensor embedding_bag_backward(const Tensor& grad, const Tensor& indices, const Tensor& bag, const Tensor&, const Tensor&, int64_t rows, bool by_frequency,
                              int64_t mode, const Maybe& each, int64_t padding) {
  const Bags b = bags(indices, plain(bag), grad.size(0), mode, by_frequency, each, padding, rows);
  return summed_by(weighted(rows_at(averaged(plain(grad), b), b.bag), b), b.index, rows, b.padding);
}
Tensor embedding_bag_backward_by_offsets(const Tensor& grad, const Tensor& indices, const Tensor&, const Tensor& bag, const Tensor& sizes, const Tensor& greatest,
                                         int64_t rows, bool by_frequency, int64_t mode, bool sparse, const Maybe& each, int64_t padding) {
  if (sparse) refuse_undefined("an embedding bag with a sparse gradient", "scatter.v1");
  return embedding_bag_backward(grad, indices, bag, sizes, greatest, rows, by_frequency, mode, each, padding);
}
Tensor embedding_bag_backward_of_each(const Tensor& grad, const Tensor& weight, const Tensor& indices, const Tensor&, const Tensor& bag, int64_t mode, int64_t padding) {
  const Bags b = bags(indices, plain(bag), grad.size(0), mode, false, std::nullopt, padding, weight.size(0));
  return summed(one("mul.v1", {rows_at(grad, b.bag), rows_at(unless_padding(plain(weight), b), b.index)}), IntArrayRef{1});
}

// ---- order -------------------------------------------------------------------------------------------------------------------

Tensor places_in_order(const Tensor& sorted, const Tensor& values, bool as_int32, bool right, std::optional<std::string_view> side, const Maybe& sorter) {
  Tensor row = sorted, v = values;
  if (sorter && sorter->defined()) row = at::gather(row, -1, *sorter);
  if (row.scalar_type() != v.scalar_type()) {
    row = cast(row, at::kFloat);
    v = cast(v, at::kFloat);
  }
  const int64_t n = row.size(-1), rows = row.numel() / n;
  const Tensor found = call("searchsorted.v1", {right || (side && *side == "right")}, {{plain(row), {rows, n}}, {plain(v), {rows, v.numel() / rows}}})[0];
  return cast(reshaped(found, values.sizes()), as_int32 ? at::kInt : at::kLong);
}
Tensor searchsorted_value(const Tensor& sorted, const Scalar& value, bool as_int32, bool right, std::optional<std::string_view> side, const Maybe& sorter) {
  return places_in_order(sorted, same_dtype_scalar(sorted, value), as_int32, right, side, sorter);
}
Tensor bucketize(const Tensor& values, const Tensor& boundaries, bool as_int32, bool right) {
  return places_in_order(boundaries, values, as_int32, right, std::nullopt, std::nullopt);
}

void assign_lines(Tensor& values, Tensor& indices, const Tensor& index, const Tensor& value, IntArrayRef sizes) {
  resize_like(values, sizes);
  resize_like(indices, sizes);
  assign(values, reshaped(value, sizes));
  assign(indices, reshaped(index, sizes));
}
std::vector<Tensor> first_in_order(const Tensor& x, int64_t dim, int64_t k, bool descending) {
  return call("sort.v1", {k, descending}, {lines_of(x, dim)});
}
std::tuple<Tensor&, Tensor&> sort(const Tensor& x, std::optional<bool>, int64_t dim, bool descending, Tensor& values, Tensor& indices) {
  const int64_t d = axis(x, dim);
  const auto out = first_in_order(x, d, x.dim() == 0 ? 1 : x.size(d), descending);
  assign_lines(values, indices, out[1], out[2], x.sizes());
  return {values, indices};
}
std::tuple<Tensor&, Tensor&> topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool, Tensor& values, Tensor& indices) {
  const auto out = first_in_order(x, axis(x, dim), k, largest);
  assign_lines(values, indices, out[1], out[2], values.sizes());
  return {values, indices};
}
Sizes without(const Tensor& x, int64_t dim, bool keep) {
  Sizes sizes = x.sizes().vec();
  if (sizes.empty()) return sizes;
  if (keep) sizes[static_cast<size_t>(dim)] = 1;
  else sizes.erase(sizes.begin() + dim);
  return sizes;
}
std::tuple<Tensor&, Tensor&> kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim, Tensor& values, Tensor& indices) {
  const int64_t d = axis(x, dim);
  const auto out = first_in_order(x, d, k, false);
  const Sizes shape{lines(x.sizes(), d)[0], k, lines(x.sizes(), d)[2]};
  Tensor last = empty_exact({1}, at::kLong);
  last.fill_(k - 1);
  assign_lines(values, indices, gathered({out[1], shape}, flat(last)), gathered({out[2], shape}, flat(last)), without(x, d, keepdim));
  return {values, indices};
}
// The lower one of two; a NaN in the line is its median.
std::tuple<Tensor&, Tensor&> median(const Tensor& x, int64_t dim, bool keepdim, Tensor& values, Tensor& indices) {
  const int64_t d = axis(x, dim), n = x.dim() == 0 ? 1 : x.size(d), middle = (n + 1) / 2;
  if (x.scalar_type() != at::kFloat) return kthvalue(x, middle, dim, keepdim, values, indices);
  const auto sorted = first_in_order(x, d, n, false);  // NaNs last
  const Sizes shape = lines(x.sizes(), d);
  const Tensor greatest = call("extremum.v1", {false}, {lines_of(x, d)})[1];
  const int64_t count = greatest.numel();
  // Only a NaN is beyond infinity: 1 of it, 0 else.
  const Operand infinity{constant(INFINITY, {1, 1}), {1, 1}};
  const Tensor is_nan = call("searchsorted.v1", {0}, {infinity, {greatest, {1, count}}})[0];
  Tensor places = empty_exact({2}, at::kLong);
  static_cast<int64_t*>(places.storage().mutable_data())[0] = middle - 1;
  static_cast<int64_t*>(places.storage().mutable_data())[1] = n - 1;
  const Operand place{gathered({places, {1, 2, 1}}, flat(is_nan)), {shape[0], 1, shape[2]}};
  assign_lines(values, indices, gathered({sorted[1], shape}, place), gathered({sorted[2], shape}, place), without(x, d, keepdim));
  return {values, indices};
}
Tensor median_of_all(const Tensor& x) {
  Tensor values = empty_exact({}, x.scalar_type()), indices = empty_exact({}, at::kLong);
  median(reshaped(plain(x), {x.numel()}), 0, false, values, indices);
  return values;
}
template <bool kLowest>
std::tuple<Tensor&, Tensor&> extreme(const Tensor& x, int64_t dim, bool keepdim, Tensor& values, Tensor& indices) {
  const int64_t d = axis(x, dim);
  const auto out = call("extremum.v1", {kLowest}, {lines_of(x, d)});
  assign_lines(values, indices, out[0], out[1], without(x, d, keepdim));
  return {values, indices};
}
template <bool kLowest>
Tensor& extreme_index(const Tensor& x, std::optional<int64_t> dim, bool, Tensor& out) {
  const Sizes shape = dim ? lines(x.sizes(), axis(x, *dim)) : Sizes{1, x.numel(), 1};
  const Tensor whole = plain(x);
  if (!kLowest && shape[2] == 1 && shape[1] <= kernels::isa_scalar::kMaxColumns && x.scalar_type() == at::kFloat)
    assign(out, reshaped(call("argmax_last.v1", {}, {{whole, {shape[0], shape[1]}}})[0], out.sizes()));
  else
    assign(out, reshaped(call("extremum.v1", {kLowest}, {{whole, shape}})[0], out.sizes()));
  return out;
}
constexpr char kCumsum[] = "cumsum.v1", kCumprod[] = "cumprod.v1";
template <const char* kOp>
Tensor& scan(const Tensor& x, int64_t dim, std::optional<at::ScalarType>, Tensor& out) {
  const bool real = out.scalar_type() == at::kFloat;
  const Tensor from = cast(x, real ? at::kFloat : at::kLong);
  assign(out, reshaped(call(kOp, {}, {lines_of(from, axis(x, dim))})[0], x.sizes()));
  return out;
}
template <bool kLowest>
void cumulative_extreme(const Tensor& x, Tensor& values, Tensor& indices, int64_t dim) {
  const auto out = call("cumulative_extremum.v1", {kLowest}, {lines_of(x, axis(x, dim))});
  assign_lines(values, indices, out[0], out[1], x.sizes());
}
Tensor running_logsumexp(const Tensor& x, int64_t dim) {
  return reshaped(call("logcumsumexp.v1", {}, {lines_of(x, axis(x, dim))})[0], x.sizes());
}
Tensor& logcumsumexp_out(const Tensor& x, int64_t dim, Tensor& out) {
  resize_like(out, x.sizes());
  assign(out, running_logsumexp(x, dim));
  return out;
}

Tensor nonzero(const Tensor&) { refuse_shape_of_values("nonzero()"); }
Tensor masked_select(const Tensor&, const Tensor&) { refuse_shape_of_values("masked_select()"); }
std::tuple<Tensor, Tensor> unique(const Tensor&, bool, bool) { refuse_shape_of_values("unique()"); }
std::tuple<Tensor, Tensor, Tensor> unique2(const Tensor&, bool, bool, bool) { refuse_shape_of_values("unique()"); }

void on_exact(torch::Library& m) {
  m.impl("index_select", &index_select);
  m.impl("index_select.out", &index_select_out);
  m.impl("flip", &flipped);
  m.impl("roll", &rolled);
  m.impl("embedding_dense_backward", &embedding_dense_backward);
  m.impl("index_add.out", &index_add);
  m.impl("index_copy.out", &index_copy);
  m.impl("index_reduce.out", &index_reduce);
  m.impl("index_fill_.int_Scalar", &index_fill);
  m.impl("index_fill_.int_Tensor", &index_fill_tensor);
  m.impl("gather.out", &gather);
  m.impl("scatter.src_out", &scatter);
  m.impl("scatter.value_out", &scatter_value);
  m.impl("scatter.reduce_out", &scatter_reduced);
  m.impl("scatter.value_reduce_out", &scatter_value_reduced);
  m.impl("scatter_add.out", &scatter_add);
  m.impl("scatter_reduce.two_out", &scatter_reduce);
  m.impl("index.Tensor", &indexed);
  m.impl("index.Tensor_out", &index_out);
  m.impl("_index_put_impl_", &index_put);
  m.impl("take", &taken);
  m.impl("take.out", &take_out);
  m.impl("put_", &put);
  m.impl("_embedding_bag", &embedding_bag);
  m.impl("_embedding_bag_forward_only", &embedding_bag);
  m.impl("_embedding_bag_backward", &embedding_bag_backward_by_offsets);
  m.impl("_embedding_bag_dense_backward", &embedding_bag_backward);
  m.impl("_embedding_bag_per_sample_weights_backward", &embedding_bag_backward_of_each);
  m.impl("searchsorted.Tensor", &places_in_order);
  m.impl("searchsorted.Scalar", &searchsorted_value);
  m.impl("bucketize.Tensor", &bucketize);
  m.impl("sort.values_stable", &sort);
  m.impl("topk.values", &topk);
  m.impl("kthvalue.values", &kthvalue);
  m.impl("median.dim_values", &median);
  m.impl("median", &median_of_all);
  m.impl("max.dim_max", &extreme<false>);
  m.impl("min.dim_min", &extreme<true>);
  m.impl("argmax.out", &extreme_index<false>);
  m.impl("argmin.out", &extreme_index<true>);
  m.impl("cumsum.out", &scan<kCumsum>);
  m.impl("cumprod.out", &scan<kCumprod>);
  m.impl("_cummax_helper", &cumulative_extreme<false>);
  m.impl("_cummin_helper", &cumulative_extreme<true>);
  m.impl("_logcumsumexp", &running_logsumexp);
  m.impl("_logcumsumexp.out", &logcumsumexp_out);
  m.impl("nonzero", &nonzero);
  m.impl("masked_select", &masked_select);
  m.impl("_unique", &unique);
  m.impl("_unique2", &unique2);
}

// ---- the native tier ----

Outputs scatter_lowered(const Lowered& c) {
  const Sizes shape{c.n(0), c.n(1), c.n(2)};
  const bool shared = c.in[1].dim() == 1;
  Tensor index = c.in[1], src = c.in[2];
  if (shared) src = src.expand({shape[0], index.size(0), shape[2]});
  if (c.n(5) >= 0) {
    const Tensor kept = index.ne(c.n(5)).nonzero().view({-1});
    index = index.index_select(0, kept);
    src = src.index_select(1, kept);
  }
  if (shared && c.n(3) == kAdd && c.n(4)) return {at::index_add(c.in[0].expand(shape), 1, index, src)};
  if (shared) index = index.view({1, -1, 1}).expand(src.sizes());
  const Tensor target = c.in[0].expand(shape), values = src.expand(index.sizes());
  if (c.n(3) == kReplace) return {at::scatter(target, 1, index, values)};
  constexpr const char* kNames[] = {"", "sum", "prod", "amax", "amin"};
  return {at::scatter_reduce(target, 1, index, values, kNames[c.n(3)], c.n(4) != 0)};
}
Outputs ravel_index_lowered(const Lowered& c) {
  Tensor place = at::zeros_like(c.in[0]);
  for (size_t k = 0; k < c.in.size(); k++) {
    const Tensor& i = c.in[k];
    TORCH_CHECK_INDEX(at::logical_and(i.ge(-c.n(k)), i.lt(c.n(k))).all().item<bool>(), "an index is out of range for a dimension of ", c.n(k));
    place = place.mul(c.n(k)).add(at::where(i.lt(0), i.add(c.n(k)), i));
  }
  return {place};
}
Outputs sort_lowered(const Lowered& c) {
  auto [values, indices] = at::sort(c.in[0], true, 1, c.n(1) != 0);
  return {{}, indices.narrow(1, 0, c.n(0)), values.narrow(1, 0, c.n(0))};
}
Outputs index_first(std::tuple<Tensor, Tensor> values_and_indices) {
  return {std::get<1>(values_and_indices), std::get<0>(values_and_indices)};
}
constexpr Lowering kLowerings[] = {
    {"gather.v1", [](const Lowered& c) -> Outputs { return {c.in[1].dim() == 1 ? c.in[0].index_select(1, c.in[1]) : at::gather(c.in[0], 1, c.in[1])}; }},
    {"scatter.v1", scatter_lowered},
    {"ravel_index.v1", ravel_index_lowered},
    {"searchsorted.v1", [](const Lowered& c) -> Outputs {
      const Tensor sorted = c.in[0].size(0) == 1 ? c.in[0].view({-1}) : c.in[0];
      return {at::searchsorted(sorted, c.in[1], false, c.n(0) != 0)};
    }},
    {"sort.v1", sort_lowered},
    {"extremum.v1", [](const Lowered& c) { return index_first(c.n(0) ? at::min(c.in[0], 1) : at::max(c.in[0], 1)); }},
    {"cumsum.v1", [](const Lowered& c) -> Outputs { return {c.in[0].cumsum(1)}; }},
    {"cumprod.v1", [](const Lowered& c) -> Outputs { return {c.in[0].cumprod(1)}; }},
    {"cumulative_extremum.v1", [](const Lowered& c) { return index_first(c.n(0) ? at::cummin(c.in[0], 1) : at::cummax(c.in[0], 1)); }},
    {"logcumsumexp.v1", [](const Lowered& c) -> Outputs { return {c.in[0].logcumsumexp(1)}; }},
};

}  // namespace

Family aten_indexing() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
