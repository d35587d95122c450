// Convolution, pooling, batch and group norm, resampling.
#include <algorithm>
#include <numeric>

#include "runtime/aten_products.h"

namespace cairn::runtime {
namespace {

using Sizes = std::vector<int64_t>;

// ATen gives one number for all dimensions, or one each.
Sizes spread_list(IntArrayRef list, size_t rank, int64_t otherwise) {
  if (list.empty()) return Sizes(rank, otherwise);
  return list.size() == rank ? list.vec() : Sizes(rank, list[0]);
}
Sizes joined(std::initializer_list<Sizes> lists) {
  Sizes all;
  for (const Sizes& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}
// The last `rank` dimensions, all before them as rows.
Sizes tail(const Tensor& x, size_t rank) { return {x.sizes().end() - static_cast<std::ptrdiff_t>(rank), x.sizes().end()}; }
Operand as_rows(const Tensor& x, size_t rank) {
  const Tensor whole = plain(x);
  Sizes shape = tail(x, rank);
  const int64_t positions = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  shape.insert(shape.begin(), positions == 0 ? 0 : x.numel() / positions);
  return {whole, shape};
}
// (samples, channels, positions)
Operand as_channels(const Tensor& x) {
  const int64_t samples = x.size(0), channels = x.size(1);
  return {plain(x), {samples, channels, samples * channels == 0 ? 0 : x.numel() / (samples * channels)}};
}
Operand a_channel(const Maybe& given, double otherwise, int64_t channels) {
  return {given && given->defined() ? plain(*given) : constant(otherwise, {channels}), {channels}};
}

// ---- patches ----

Tensor patches_of(const Tensor& x, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride) {
  require_float(x, "unfold");
  const bool batched = x.dim() == 4;
  const Tensor whole = plain(x);
  Sizes shape = x.sizes().vec();
  if (!batched) shape.insert(shape.begin(), 1);
  const Tensor out = call("im2col.v1", joined({spread_list(kernel, 2, 1), spread_list(stride, 2, 1), spread_list(padding, 2, 0), spread_list(dilation, 2, 1)}), {{whole, shape}})[0];
  return batched ? out : reshaped(out, out.sizes().slice(1));
}
Tensor from_patches(const Tensor& y, IntArrayRef size, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride) {
  require_float(y, "fold");
  const bool batched = y.dim() == 3;
  const Tensor whole = plain(y);
  Sizes shape = y.sizes().vec();
  if (!batched) shape.insert(shape.begin(), 1);
  const Tensor out = call("col2im.v1", joined({spread_list(kernel, 2, 1), spread_list(stride, 2, 1), spread_list(padding, 2, 0), spread_list(dilation, 2, 1), spread_list(size, 2, 1)}),
                          {{whole, shape}})[0];
  return batched ? out : reshaped(out, out.sizes().slice(1));
}

// ---- convolution ----

Tensor bias_gradient(const Tensor& grad) {  // each channel of a sample, then the samples
  const Operand g = as_channels(grad);
  const Tensor rows = call("sum_last.v1", {}, {{g.tensor, {g.shape[0] * g.shape[1], g.shape[2]}}}).back();
  return call("sum_rows.v1", {}, {{rows, {g.shape[0], g.shape[1]}}})[0];
}

// Of classes other than f32: products with the patches, one for each group, whose columns are the places of all samples. `s`, `p`, `d`:
// stride, padding, dilation.
bool is_made_of_products() { return numeric_class() != attest::NumericClass::f32; }
// im2col.v1 knows two dimensions: one is a row of them; of three come first the patches along the first, each place of which is then
// a channel for the other two.
Tensor windows_of(const Tensor& x, IntArrayRef k, IntArrayRef d, IntArrayRef p, IntArrayRef s) {
  const int64_t samples = x.size(0), channels = x.size(1);
  if (k.size() == 1) return patches_of(reshaped(plain(x), {samples, channels, 1, x.size(2)}), {1, k[0]}, {1, d[0]}, {0, p[0]}, {1, s[0]});
  if (k.size() == 2) return patches_of(x, k, d, p, s);
  const int64_t plane = x.size(3) * x.size(4);
  const Tensor deep = patches_of(reshaped(plain(x), {samples, channels, x.size(2), plane}), {k[0], 1}, {d[0], 1}, {p[0], 0}, {s[0], 1});
  const int64_t depth = deep.size(2) / plane, taps = k[1] * k[2];
  const Tensor flat = patches_of(reshaped(deep, {samples, channels * k[0] * depth, x.size(3), x.size(4)}), k.slice(1), d.slice(1), p.slice(1), s.slice(1));
  const Tensor turned = plain(flat.view({samples, channels * k[0], depth, taps, flat.size(2)}).permute({0, 1, 3, 2, 4}));
  return reshaped(turned, {samples, channels * k[0] * taps, depth * flat.size(2)});
}
// The other way: what windows_of made of an x of `size` is added up where it came from.
Tensor from_windows(const Tensor& y, IntArrayRef size, IntArrayRef k, IntArrayRef d, IntArrayRef p, IntArrayRef s) {
  const int64_t samples = y.size(0);
  if (k.size() == 1) return from_patches(y, {1, size[0]}, {1, k[0]}, {1, d[0]}, {0, p[0]}, {1, s[0]});
  if (k.size() == 2) return from_patches(y, size, k, d, p, s);
  const int64_t taps = k[1] * k[2], channels = y.size(1) / (k[0] * taps), plane = size[1] * size[2];
  const int64_t depth = (size[0] + 2 * p[0] - d[0] * (k[0] - 1) - 1) / s[0] + 1, places = y.size(2) / depth;
  const Tensor turned = plain(y.view({samples, channels * k[0], taps, depth, places}).permute({0, 1, 3, 2, 4}));
  const Tensor flat = from_patches(reshaped(turned, {samples, channels * k[0] * depth * taps, places}), size.slice(1), k.slice(1), d.slice(1), p.slice(1), s.slice(1));
  return from_patches(reshaped(flat, {samples, channels * k[0], depth * plane}), {size[0], plane}, {k[0], 1}, {d[0], 1}, {p[0], 0}, {s[0], 1});
}
Operand by_groups(const Tensor& x, int64_t groups) {  // (samples, channels, places) -> (groups, channels of one, samples and places)
  const int64_t samples = x.size(0), channels = x.size(1) / groups, places = x.numel() / (samples * x.size(1));
  const Tensor whole = plain(plain(x).view({samples, groups, channels, places}).permute({1, 2, 0, 3}));
  return {reshaped(whole, {groups, channels, samples * places}), {groups, channels, samples * places}};
}
Tensor by_samples(const Tensor& y, int64_t samples) {  // the other way
  const int64_t groups = y.size(0), channels = y.size(1), places = y.size(2) / samples;
  return reshaped(plain(y.view({groups, channels, samples, places}).permute({2, 0, 1, 3})), {samples, groups * channels, places});
}
Operand weights_of(const Tensor& w, int64_t groups) {
  const Sizes shape{groups, w.size(0) / groups, w.numel() / w.size(0)};
  return {reshaped(plain(w), shape), shape};
}
Tensor product_forward(const Tensor& x, const Tensor& w, const Sizes& size, IntArrayRef s, IntArrayRef p, IntArrayRef d, int64_t groups) {
  const Tensor y = product(weights_of(w, groups), false, by_groups(windows_of(x, tail(w, s.size()), d, p, s), groups), false);
  return reshaped(by_samples(y, x.size(0)), joined({{x.size(0), w.size(0)}, size}));
}
Tensor product_transposed(const Tensor& y, const Tensor& w, const Sizes& size, IntArrayRef s, IntArrayRef p, IntArrayRef d, int64_t groups) {
  const Tensor patches = product(weights_of(w, groups), true, by_groups(y, groups), false);
  return reshaped(from_windows(by_samples(patches, y.size(0)), size, tail(w, s.size()), d, p, s), joined({{y.size(0), w.size(1) * groups}, size}));
}
Tensor product_weight(const Tensor& grad, const Tensor& x, IntArrayRef shape, IntArrayRef s, IntArrayRef p, IntArrayRef d, int64_t groups) {
  return reshaped(product(by_groups(grad, groups), false, by_groups(windows_of(x, shape.slice(2), d, p, s), groups), true), shape);
}
Tensor with_bias(const Tensor& y, const Maybe& bias) {
  if (!bias || !bias->defined()) return y;
  Sizes of_channel(static_cast<size_t>(y.dim()) - 1, 1);
  of_channel[0] = -1;
  return elementwise("add.v1", {y, bias->view(of_channel)});
}

Tensor forward(const Tensor& x, const Tensor& w, const Maybe& bias, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, int64_t groups) {
  if (is_made_of_products()) {
    Sizes size;
    for (size_t d = 0; d < stride.size(); d++) {
      const auto at = static_cast<int64_t>(d) + 2;
      size.push_back((x.size(at) + 2 * padding[d] - dilation[d] * (w.size(at) - 1) - 1) / stride[d] + 1);
    }
    return with_bias(product_forward(x, w, size, stride, padding, dilation, groups), bias);
  }
  std::vector<Tensor> operands{x, w};
  if (bias && bias->defined()) operands.push_back(*bias);
  return one("convolution.f32.v1", operands, joined({{groups}, stride.vec(), padding.vec(), dilation.vec()}));
}
Tensor transposed(const Tensor& y, const Tensor& w, const Maybe& bias, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, int64_t groups,
                  const Sizes& size) {
  if (is_made_of_products()) return with_bias(product_transposed(y, w, size, stride, padding, dilation, groups), bias);
  std::vector<Tensor> operands{y, w};
  if (bias && bias->defined()) operands.push_back(*bias);
  return one("convolution_transposed.f32.v1", operands, joined({{groups}, stride.vec(), padding.vec(), dilation.vec(), size}));
}
Tensor weight(const Tensor& grad, const Tensor& x, IntArrayRef shape, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, int64_t groups) {
  if (is_made_of_products()) return product_weight(grad, x, shape, stride, padding, dilation, groups);
  return one("convolution_weight.f32.v1", {grad, x}, joined({{groups}, stride.vec(), padding.vec(), dilation.vec(), shape.slice(2).vec()}));
}
Tensor convolution(const Tensor& x, const Tensor& w, const Maybe& bias, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool is_transposed,
                   IntArrayRef output_padding, int64_t groups) {
  require_float(x, "a convolution");
  if (!is_transposed) return forward(x, w, bias, stride, padding, dilation, groups);
  Sizes size;
  for (size_t d = 0; d < stride.size(); d++) {
    const auto at = static_cast<int64_t>(d) + 2;
    size.push_back((x.size(at) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (w.size(at) - 1) + 1 + output_padding[d]);
  }
  return transposed(x, w, bias, stride, padding, dilation, groups, size);
}
std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor& grad, const Tensor& x, const Tensor& w, IntArrayRef stride, IntArrayRef padding,
                                                        IntArrayRef dilation, bool is_transposed, IntArrayRef, int64_t groups, std::array<bool, 3> wanted) {
  Tensor dx, dw, db;
  if (wanted[0]) {
    if (is_transposed) dx = forward(grad, w, {}, stride, padding, dilation, groups);
    else dx = transposed(grad, w, {}, stride, padding, dilation, groups, tail(x, stride.size()));
  }
  if (wanted[1]) dw = is_transposed ? weight(x, grad, w.sizes(), stride, padding, dilation, groups) : weight(grad, x, w.sizes(), stride, padding, dilation, groups);
  if (wanted[2]) db = bias_gradient(grad);
  return {dx, dw, db};
}

// ---- normalisation by channel ----

// Running statistics are written although the schema does not say so.
std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Maybe& weight, const Maybe& bias, const Maybe& running_mean, const Maybe& running_var,
                                              bool training, double momentum, double eps) {
  require_float(x, "batch_norm");
  const int64_t channels = x.size(1);
  const bool running = running_mean && running_mean->defined();
  std::vector<Operand> operands{as_channels(x)};
  if (!training) {
    operands.push_back({plain(*running_mean), {channels}});
    operands.push_back({plain(*running_var), {channels}});
  }
  operands.push_back(a_channel(weight, 1, channels));
  operands.push_back(a_channel(bias, 0, channels));
  if (!training) {
    const auto out = call("batch_norm_inference.v1", {number(eps)}, operands);
    return {reshaped(out[1], x.sizes()), empty_exact({0}, at::kFloat), out[0]};
  }
  if (running) {
    operands.push_back({plain(*running_mean), {channels}});
    operands.push_back({plain(*running_var), {channels}});
  }
  const auto out = call("batch_norm.v1", {number(eps), number(running ? momentum : 0)}, operands);
  if (running) {
    assign(*running_mean, out[4]);
    assign(*running_var, out[5]);
  }
  return {reshaped(out[3], x.sizes()), out[0], out[2]};
}
std::tuple<Tensor, Tensor, Tensor> batch_norm_backward(const Tensor& grad, const Tensor& x, const Maybe& weight, const Maybe& running_mean, const Maybe&,
                                                       const Maybe& save_mean, const Maybe& save_rstd, bool training, double, std::array<bool, 3> wanted) {
  const int64_t channels = x.size(1);
  const auto out = call("batch_norm_backward.v1", {training},
                        {as_channels(grad), as_channels(x), {plain(training ? *save_mean : *running_mean), {channels}}, {plain(*save_rstd), {channels}},
                         a_channel(weight, 1, channels)});
  return {wanted[0] ? reshaped(out[2], x.sizes()) : Tensor(), wanted[1] ? out[1] : Tensor(), wanted[2] ? out[0] : Tensor()};
}
std::tuple<Tensor, Tensor, Tensor> group_norm(const Tensor& x, const Maybe& weight, const Maybe& bias, int64_t samples, int64_t channels, int64_t positions,
                                              int64_t groups, double eps) {
  require_float(x, "group_norm");
  const auto out = call("group_norm.v1", {groups, number(eps)},
                        {{plain(x), {samples, channels, positions}}, a_channel(weight, 1, channels), a_channel(bias, 0, channels)});
  return {reshaped(out[2], x.sizes()), out[0], out[1]};
}
std::tuple<Tensor, Tensor, Tensor> group_norm_backward(const Tensor& grad, const Tensor& x, const Tensor& mean, const Tensor& rstd, const Maybe& weight,
                                                       int64_t samples, int64_t channels, int64_t positions, int64_t groups, std::array<bool, 3> wanted) {
  const Sizes shape{samples, channels, positions}, statistics{samples, groups};
  const auto out = call("group_norm_backward.v1", {},
                        {{plain(grad), shape}, {plain(x), shape}, {plain(mean), statistics}, {plain(rstd), statistics}, a_channel(weight, 1, channels)});
  return {wanted[0] ? reshaped(out[6], x.sizes()) : Tensor(), wanted[1] ? out[3] : Tensor(), wanted[2] ? out[2] : Tensor()};
}

// ---- pooling ----

template <size_t kRank>
Sizes window(IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding) {
  const Sizes k = spread_list(kernel, kRank, 1);
  return joined({k, stride.empty() ? k : spread_list(stride, kRank, 1), spread_list(padding, kRank, 0)});
}
template <size_t kRank>
Sizes adaptive_window() {
  return joined({Sizes(kRank, 0), Sizes(kRank, 1), Sizes(kRank, 0)});
}
void put_pooled(const std::vector<Tensor>& result, Tensor& out, Tensor& indices) {
  assign(out, reshaped(result[0], out.sizes()));
  assign(indices, reshaped(result[1], indices.sizes()));
}
template <size_t kRank>
std::tuple<Tensor&, Tensor&> max_pool_out(const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool,
                                          Tensor& out, Tensor& indices) {
  require_float(x, "max_pool");
  put_pooled(call("max_pool.v1", joined({window<kRank>(kernel, stride, padding), spread_list(dilation, kRank, 1), tail(out, kRank)}), {as_rows(x, kRank)}), out, indices);
  return {out, indices};
}
Tensor max_pool_gradient(const Tensor& grad, const Tensor& x, const Tensor& indices, size_t rank, const Sizes& list) {
  const Tensor g = plain(grad), index = plain(indices);
  const Sizes shape = as_rows(g, rank).shape;
  return reshaped(call("max_pool_backward.v1", joined({list, tail(x, rank)}), {{g, shape}, {index, shape}})[0], x.sizes());
}
template <size_t kRank>
Tensor& max_pool_backward_out(const Tensor& grad, const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool,
                              const Tensor& indices, Tensor& out) {
  assign(out, max_pool_gradient(grad, x, indices, kRank, joined({window<kRank>(kernel, stride, padding), spread_list(dilation, kRank, 1)})));
  return out;
}
// Of three dimensions ATen leaves the size to us.
std::tuple<Tensor, Tensor> max_pool3d(const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool ceil_mode) {
  const Sizes list = joined({window<3>(kernel, stride, padding), spread_list(dilation, 3, 1)});
  Sizes shape = x.sizes().vec();
  for (size_t d = 0; d < 3; d++) {
    int64_t& size = shape[shape.size() - 3 + d];
    const int64_t in = size, stride_d = list[3 + d], padding_d = list[6 + d];
    const int64_t room = in + 2 * padding_d - list[9 + d] * (list[d] - 1) - 1;
    size = (room + (ceil_mode ? stride_d - 1 : 0)) / stride_d + 1;
    if (ceil_mode && (size - 1) * stride_d >= in + padding_d) size--;
  }
  Tensor out = empty_exact(shape, at::kFloat), indices = empty_exact(shape, at::kLong);
  max_pool_out<3>(x, kernel, stride, padding, dilation, ceil_mode, out, indices);
  return {out, indices};
}
Tensor max_pool3d_backward(const Tensor& grad, const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool,
                           const Tensor& indices) {
  return max_pool_gradient(grad, x, indices, 3, joined({window<3>(kernel, stride, padding), spread_list(dilation, 3, 1)}));
}
template <size_t kRank>
std::tuple<Tensor&, Tensor&> adaptive_max_pool_out(const Tensor& x, IntArrayRef, Tensor& out, Tensor& indices) {
  require_float(x, "adaptive_max_pool");
  put_pooled(call("max_pool.v1", joined({adaptive_window<kRank>(), Sizes(kRank, 1), tail(out, kRank)}), {as_rows(x, kRank)}), out, indices);
  return {out, indices};
}
template <size_t kRank>
Tensor& adaptive_max_pool_backward_out(const Tensor& grad, const Tensor& x, const Tensor& indices, Tensor& out) {
  assign(out, max_pool_gradient(grad, x, indices, kRank, joined({adaptive_window<kRank>(), Sizes(kRank, 1)})));
  return out;
}

int64_t divisor(bool count_include_pad, std::optional<int64_t> given) {
  if (given && *given < 1) refuse_undefined("avg_pool with a divisor below 1", "avg_pool.v1");
  return given ? *given : count_include_pad ? -1 : 0;
}
template <size_t kRank>
Tensor& avg_pool_out(const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, bool, bool count_include_pad, std::optional<int64_t> given,
                     Tensor& out) {
  require_float(x, "avg_pool");
  const Sizes attrs = joined({{divisor(count_include_pad, given)}, window<kRank>(kernel, stride, padding), tail(out, kRank)});
  assign(out, reshaped(call("avg_pool.v1", attrs, {as_rows(x, kRank)})[0], out.sizes()));
  return out;
}
template <size_t kRank>
Tensor& avg_pool_backward_out(const Tensor& grad, const Tensor& x, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, bool, bool count_include_pad,
                              std::optional<int64_t> given, Tensor& out) {
  const Sizes attrs = joined({{divisor(count_include_pad, given)}, window<kRank>(kernel, stride, padding), tail(x, kRank)});
  assign(out, reshaped(call("avg_pool_backward.v1", attrs, {as_rows(grad, kRank)})[0], x.sizes()));
  return out;
}
template <size_t kRank>
Tensor adaptive_avg_pool(const Tensor& x, IntArrayRef size) {
  require_float(x, "adaptive_avg_pool");
  Sizes shape = x.sizes().vec();
  std::copy(size.begin(), size.end(), shape.end() - kRank);
  return reshaped(call("avg_pool.v1", joined({{0}, adaptive_window<kRank>(), size.vec()}), {as_rows(x, kRank)})[0], shape);
}
template <size_t kRank>
Tensor adaptive_avg_pool_backward(const Tensor& grad, const Tensor& x) {
  return reshaped(call("avg_pool_backward.v1", joined({{0}, adaptive_window<kRank>(), tail(x, kRank)}), {as_rows(grad, kRank)})[0], x.sizes());
}

// ---- resampling ----

using Scale = std::optional<double>;

float scale_of(int64_t in, int64_t out, Scale given) {
  return given && *given > 0 ? static_cast<float>(1.0 / *given) : static_cast<float>(in) / static_cast<float>(out);
}
float corner_scale_of(int64_t in, int64_t out) { return out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f; }

// (rows, height, width), a height of 1 for one dimension.
Operand as_images(const Tensor& x, size_t rank) {
  Operand rows = as_rows(x, rank);
  if (rank == 1) rows.shape.insert(rows.shape.begin() + 1, 1);
  return rows;
}
struct Resized {
  Sizes in, out;  // height and width of the source and of what it became
  Sizes scales;
};
// `corners`: -1 for nearest
Resized resized(Sizes in, Sizes out, int corners, std::initializer_list<Scale> given) {
  Resized r{std::move(in), std::move(out), {}};
  std::vector<Scale> scales(given);
  if (r.in.size() == 1) {
    r.in.insert(r.in.begin(), 1);
    r.out.insert(r.out.begin(), 1);
    scales.insert(scales.begin(), Scale{});
  }
  for (size_t d = 0; d < 2; d++) r.scales.push_back(number(corners == 1 ? corner_scale_of(r.in[d], r.out[d]) : scale_of(r.in[d], r.out[d], scales[d])));
  return r;
}
void upsample(std::string_view op, const Tensor& x, const Resized& r, int64_t last, size_t rank, Tensor& out) {
  require_float(x, "upsample");
  assign(out, reshaped(call(op, joined({r.out, r.scales, {last}}), {as_images(x, rank)})[0], out.sizes()));
}
void upsample_gradient(std::string_view op, const Tensor& grad, const Resized& r, int64_t last, size_t rank, Tensor& out) {
  assign(out, reshaped(call(op, joined({r.in, r.scales, {last}}), {as_images(grad, rank)})[0], out.sizes()));
}
int64_t offset(bool exact) { return number(exact ? 0.5 : 0.0); }

template <bool kExact>
Tensor& nearest1d(const Tensor& x, IntArrayRef, Scale scale, Tensor& out) {
  upsample("upsample_nearest.v1", x, resized(tail(x, 1), tail(out, 1), -1, {scale}), offset(kExact), 1, out);
  return out;
}
template <bool kExact>
Tensor& nearest1d_backward(const Tensor& grad, IntArrayRef, IntArrayRef, Scale scale, Tensor& out) {
  upsample_gradient("upsample_nearest_backward.v1", grad, resized(tail(out, 1), tail(grad, 1), -1, {scale}), offset(kExact), 1, out);
  return out;
}
template <bool kExact>
Tensor& nearest2d(const Tensor& x, IntArrayRef, Scale h, Scale w, Tensor& out) {
  upsample("upsample_nearest.v1", x, resized(tail(x, 2), tail(out, 2), -1, {h, w}), offset(kExact), 2, out);
  return out;
}
template <bool kExact>
Tensor& nearest2d_backward(const Tensor& grad, IntArrayRef, IntArrayRef, Scale h, Scale w, Tensor& out) {
  upsample_gradient("upsample_nearest_backward.v1", grad, resized(tail(out, 2), tail(grad, 2), -1, {h, w}), offset(kExact), 2, out);
  return out;
}
Tensor& linear1d(const Tensor& x, IntArrayRef, bool corners, Scale scale, Tensor& out) {
  upsample("upsample_bilinear.v1", x, resized(tail(x, 1), tail(out, 1), corners, {scale}), corners, 1, out);
  return out;
}
Tensor& linear1d_backward(const Tensor& grad, IntArrayRef, IntArrayRef, bool corners, Scale scale, Tensor& out) {
  upsample_gradient("upsample_bilinear_backward.v1", grad, resized(tail(out, 1), tail(grad, 1), corners, {scale}), corners, 1, out);
  return out;
}
Tensor& bilinear2d(const Tensor& x, IntArrayRef, bool corners, Scale h, Scale w, Tensor& out) {
  upsample("upsample_bilinear.v1", x, resized(tail(x, 2), tail(out, 2), corners, {h, w}), corners, 2, out);
  return out;
}
Tensor& bilinear2d_backward(const Tensor& grad, IntArrayRef, IntArrayRef, bool corners, Scale h, Scale w, Tensor& out) {
  upsample_gradient("upsample_bilinear_backward.v1", grad, resized(tail(out, 2), tail(grad, 2), corners, {h, w}), corners, 2, out);
  return out;
}

void on_exact(torch::Library& m) {
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
  m.impl("native_batch_norm", &batch_norm);
  m.impl("native_batch_norm_backward", &batch_norm_backward);
  m.impl("native_group_norm", &group_norm);
  m.impl("native_group_norm_backward", &group_norm_backward);
  m.impl("max_pool2d_with_indices.out", &max_pool_out<2>);
  m.impl("max_pool2d_with_indices_backward.grad_input", &max_pool_backward_out<2>);
  m.impl("max_pool3d_with_indices", &max_pool3d);
  m.impl("max_pool3d_with_indices_backward", &max_pool3d_backward);
  m.impl("adaptive_max_pool2d.out", &adaptive_max_pool_out<2>);
  m.impl("adaptive_max_pool2d_backward.grad_input", &adaptive_max_pool_backward_out<2>);
  m.impl("adaptive_max_pool3d.out", &adaptive_max_pool_out<3>);
  m.impl("adaptive_max_pool3d_backward.grad_input", &adaptive_max_pool_backward_out<3>);
  m.impl("avg_pool2d.out", &avg_pool_out<2>);
  m.impl("avg_pool2d_backward.grad_input", &avg_pool_backward_out<2>);
  m.impl("avg_pool3d.out", &avg_pool_out<3>);
  m.impl("avg_pool3d_backward.grad_input", &avg_pool_backward_out<3>);
  m.impl("_adaptive_avg_pool2d", &adaptive_avg_pool<2>);
  m.impl("_adaptive_avg_pool2d_backward", &adaptive_avg_pool_backward<2>);
  m.impl("_adaptive_avg_pool3d", &adaptive_avg_pool<3>);
  m.impl("_adaptive_avg_pool3d_backward", &adaptive_avg_pool_backward<3>);
  m.impl("upsample_nearest1d.out", &nearest1d<false>);
  m.impl("upsample_nearest1d_backward.grad_input", &nearest1d_backward<false>);
  m.impl("_upsample_nearest_exact1d.out", &nearest1d<true>);
  m.impl("_upsample_nearest_exact1d_backward.grad_input", &nearest1d_backward<true>);
  m.impl("upsample_nearest2d.out", &nearest2d<false>);
  m.impl("upsample_nearest2d_backward.grad_input", &nearest2d_backward<false>);
  m.impl("_upsample_nearest_exact2d.out", &nearest2d<true>);
  m.impl("_upsample_nearest_exact2d_backward.grad_input", &nearest2d_backward<true>);
  m.impl("upsample_linear1d.out", &linear1d);
  m.impl("upsample_linear1d_backward.grad_input", &linear1d_backward);
  m.impl("upsample_bilinear2d.out", &bilinear2d);
  m.impl("upsample_bilinear2d_backward.grad_input", &bilinear2d_backward);
  m.impl("im2col", &patches_of);
  m.impl("col2im", &from_patches);
}

// ---- the native tier ----

// List `which` of `rank` numbers after `skip` attributes.
Sizes list_of(const Lowered& c, size_t skip, size_t which, size_t rank) {
  const auto from = c.call.attrs.begin() + static_cast<std::ptrdiff_t>(skip + which * rank);
  return {from, from + static_cast<std::ptrdiff_t>(rank)};
}
size_t rank_of(const Tensor& x, size_t others) { return static_cast<size_t>(x.dim()) - others; }
Maybe bias_of(const Lowered& c) { return c.in.size() > 2 ? Maybe(c.in[2]) : Maybe(); }

Outputs convolution_lowered(const Lowered& c) {
  const size_t rank = rank_of(c.in[0], 2);
  return {at::convolution(c.in[0], c.in[1], bias_of(c), list_of(c, 1, 0, rank), list_of(c, 1, 1, rank), list_of(c, 1, 2, rank), false, Sizes(rank, 0), c.n(0))};
}
Outputs transposed_lowered(const Lowered& c) {
  const size_t rank = rank_of(c.in[0], 2);
  const Sizes stride = list_of(c, 1, 0, rank), padding = list_of(c, 1, 1, rank), dilation = list_of(c, 1, 2, rank);
  Sizes more = list_of(c, 1, 3, rank);
  for (size_t d = 0; d < rank; d++) {
    const auto at = static_cast<int64_t>(d) + 2;
    more[d] -= (c.in[0].size(at) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (c.in[1].size(at) - 1) + 1;
  }
  return {at::convolution(c.in[0], c.in[1], bias_of(c), stride, padding, dilation, true, more, c.n(0))};
}
Outputs weight_lowered(const Lowered& c) {
  const size_t rank = rank_of(c.in[0], 2);
  const Tensor like = at::empty(c.call.output_types[0].shape);
  return {std::get<1>(at::convolution_backward(c.in[0], c.in[1], like, at::OptionalIntArrayRef(), list_of(c, 1, 0, rank), list_of(c, 1, 1, rank), list_of(c, 1, 2, rank), false,
                                               Sizes(rank, 0), c.n(0), {false, true, false}))};
}
Outputs batch_norm_lowered(const Lowered& c) {
  Maybe mean, var;
  if (c.in.size() == 5) {
    mean = c.in[3].clone();
    var = c.in[4].clone();
  }
  auto [y, batch_mean, rstd] = at::native_batch_norm(c.in[0], c.in[1], c.in[2], mean, var, true, c.f(1), c.f(0));
  Outputs out{batch_mean, {}, rstd, y};
  if (mean) out.insert(out.end(), {*mean, *var});
  return out;
}
Outputs batch_norm_backward_lowered(const Lowered& c) {
  const bool of_batch = c.n(0) == 1;
  const Tensor var = c.in[3].pow(-2);  // of which the given rstd is that with eps 0
  auto [dx, dw, db] = at::native_batch_norm_backward(c.in[0], c.in[1], c.in[4], c.in[2], var, c.in[2], c.in[3], of_batch, 0, {true, true, true});
  return {db, dw, dx};
}
Outputs batch_norm_inference_lowered(const Lowered& c) {
  return {c.in[2].add(c.f(0)).rsqrt(), std::get<0>(at::native_batch_norm(c.in[0], c.in[3], c.in[4], c.in[1], c.in[2], false, 0, c.f(0)))};
}
Outputs group_norm_lowered(const Lowered& c) {
  auto [y, mean, rstd] = at::native_group_norm(c.in[0], c.in[1], c.in[2], c.in[0].size(0), c.in[0].size(1), c.in[0].size(2), c.n(0), c.f(1));
  return {mean, rstd, y};
}
Outputs group_norm_backward_lowered(const Lowered& c) {
  auto [dx, dw, db] = at::native_group_norm_backward(c.in[0], c.in[1], c.in[2], c.in[3], c.in[4], c.in[1].size(0), c.in[1].size(1), c.in[1].size(2), c.in[2].size(1),
                                                     {true, true, true});
  return {{}, {}, db, dw, {}, {}, dx};
}

// Pooling of a call in ATen's words: one dimension goes as two.
struct Pooled {
  size_t rank;
  Sizes kernel, stride, padding, dilation;
  Sizes in, out;
  bool ceil_mode;
  bool adaptive() const { return kernel.back() == 0; }

  Pooled(const Lowered& c, size_t skip, bool dilated, bool forward) : rank(rank_of(c.in[0], 1)) {
    const Sizes here = tail(c.in[0], rank), there = list_of(c, skip, dilated ? 4 : 3, rank);
    kernel = list_of(c, skip, 0, rank);
    stride = list_of(c, skip, 1, rank);
    padding = list_of(c, skip, 2, rank);
    dilation = dilated ? list_of(c, skip, 3, rank) : Sizes(rank, 1);
    in = forward ? here : there;
    out = forward ? there : here;
    if (rank == 1) {
      rank = 2;
      for (Sizes* list : {&stride, &dilation, &in, &out}) list->insert(list->begin(), 1);
      kernel.insert(kernel.begin(), adaptive() ? 0 : 1);
      padding.insert(padding.begin(), 0);
    }
    ceil_mode = false;
    for (size_t d = 0; d < rank && !adaptive(); d++)
      ceil_mode |= (in[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) / stride[d] + 1 != out[d];
  }
  Tensor at_sizes(const Tensor& x, const Sizes& sizes) const { return x.reshape(joined({{1, x.size(0)}, sizes})); }
  Tensor like(const Lowered& c) const { return at::empty(joined({{1, c.in[0].size(0)}, in})); }
};
Outputs shaped(const Lowered& c, std::vector<Tensor> all) {
  for (size_t i = 0; i < all.size(); i++) all[i] = all[i].reshape(c.call.output_types[i].shape);
  return all;
}
Outputs max_pool_lowered(const Lowered& c) {
  const Pooled p(c, 0, true, true);
  const Tensor x = p.at_sizes(c.in[0], p.in);
  auto [y, index] = p.adaptive() ? (p.rank == 2 ? at::adaptive_max_pool2d(x, p.out) : at::adaptive_max_pool3d(x, p.out))
                    : p.rank == 2 ? at::max_pool2d_with_indices(x, p.kernel, p.stride, p.padding, p.dilation, p.ceil_mode)
                                  : at::max_pool3d_with_indices(x, p.kernel, p.stride, p.padding, p.dilation, p.ceil_mode);
  return shaped(c, {y, index});
}
Outputs max_pool_backward_lowered(const Lowered& c) {
  const Pooled p(c, 0, true, false);
  const Tensor dy = p.at_sizes(c.in[0], p.out), index = p.at_sizes(c.in[1], p.out), x = p.like(c);
  if (p.adaptive()) return shaped(c, {p.rank == 2 ? at::adaptive_max_pool2d_backward(dy, x, index) : at::adaptive_max_pool3d_backward(dy, x, index)});
  return shaped(c, {p.rank == 2 ? at::max_pool2d_with_indices_backward(dy, x, p.kernel, p.stride, p.padding, p.dilation, p.ceil_mode, index)
                                : at::max_pool3d_with_indices_backward(dy, x, p.kernel, p.stride, p.padding, p.dilation, p.ceil_mode, index)});
}
std::optional<int64_t> divisor_of(const Lowered& c) { return c.n(0) > 0 ? std::optional(c.n(0)) : std::nullopt; }
Outputs avg_pool_lowered(const Lowered& c) {
  const Pooled p(c, 1, false, true);
  const Tensor x = p.at_sizes(c.in[0], p.in);
  if (p.adaptive()) return shaped(c, {p.rank == 2 ? at::_adaptive_avg_pool2d(x, p.out) : at::_adaptive_avg_pool3d(x, p.out)});
  return shaped(c, {p.rank == 2 ? at::avg_pool2d(x, p.kernel, p.stride, p.padding, p.ceil_mode, c.n(0) == -1, divisor_of(c))
                                : at::avg_pool3d(x, p.kernel, p.stride, p.padding, p.ceil_mode, c.n(0) == -1, divisor_of(c))});
}
Outputs avg_pool_backward_lowered(const Lowered& c) {
  const Pooled p(c, 1, false, false);
  const Tensor dy = p.at_sizes(c.in[0], p.out), x = p.like(c);
  if (p.adaptive()) return shaped(c, {p.rank == 2 ? at::_adaptive_avg_pool2d_backward(dy, x) : at::_adaptive_avg_pool3d_backward(dy, x)});
  return shaped(c, {p.rank == 2 ? at::avg_pool2d_backward(dy, x, p.kernel, p.stride, p.padding, p.ceil_mode, c.n(0) == -1, divisor_of(c))
                                : at::avg_pool3d_backward(dy, x, p.kernel, p.stride, p.padding, p.ceil_mode, c.n(0) == -1, divisor_of(c))});
}

Scale stretch(const Lowered& c, size_t attr) { return c.f(attr) > 0 ? Scale(1.0 / c.f(attr)) : Scale(); }
Outputs nearest_lowered(const Lowered& c) {
  const Tensor x = c.in[0].unsqueeze(0);
  const Sizes size = list_of(c, 0, 0, 2);
  return shaped(c, {c.f(4) == 0 ? at::upsample_nearest2d(x, size, stretch(c, 2), stretch(c, 3)) : at::_upsample_nearest_exact2d(x, size, stretch(c, 2), stretch(c, 3))});
}
Outputs nearest_backward_lowered(const Lowered& c) {
  const Tensor dy = c.in[0].unsqueeze(0);
  const Sizes in{1, dy.size(1), c.n(0), c.n(1)}, out = tail(dy, 2);
  return shaped(c, {c.f(4) == 0 ? at::upsample_nearest2d_backward(dy, out, in, stretch(c, 2), stretch(c, 3))
                                : at::_upsample_nearest_exact2d_backward(dy, out, in, stretch(c, 2), stretch(c, 3))});
}
Outputs bilinear_lowered(const Lowered& c) {
  return shaped(c, {at::upsample_bilinear2d(c.in[0].unsqueeze(0), list_of(c, 0, 0, 2), c.n(4) == 1, stretch(c, 2), stretch(c, 3))});
}
Outputs bilinear_backward_lowered(const Lowered& c) {
  const Tensor dy = c.in[0].unsqueeze(0);
  return shaped(c, {at::upsample_bilinear2d_backward(dy, tail(dy, 2), {1, dy.size(1), c.n(0), c.n(1)}, c.n(4) == 1, stretch(c, 2), stretch(c, 3))});
}

constexpr Lowering kLowerings[] = {
    {"convolution.f32.v1", convolution_lowered},
    {"convolution_transposed.f32.v1", transposed_lowered},
    {"convolution_weight.f32.v1", weight_lowered},
    {"batch_norm.v1", batch_norm_lowered},
    {"batch_norm_backward.v1", batch_norm_backward_lowered},
    {"batch_norm_inference.v1", batch_norm_inference_lowered},
    {"group_norm.v1", group_norm_lowered},
    {"group_norm_backward.v1", group_norm_backward_lowered},
    {"max_pool.v1", max_pool_lowered},
    {"max_pool_backward.v1", max_pool_backward_lowered},
    {"avg_pool.v1", avg_pool_lowered},
    {"avg_pool_backward.v1", avg_pool_backward_lowered},
    {"upsample_nearest.v1", nearest_lowered},
    {"upsample_nearest_backward.v1", nearest_backward_lowered},
    {"upsample_bilinear.v1", bilinear_lowered},
    {"upsample_bilinear_backward.v1", bilinear_backward_lowered},
    {"im2col.v1", [](const Lowered& c) -> Outputs { return {at::im2col(c.in[0], list_of(c, 0, 0, 2), list_of(c, 0, 3, 2), list_of(c, 0, 2, 2), list_of(c, 0, 1, 2))}; }},
    {"col2im.v1", [](const Lowered& c) -> Outputs {
      return {at::col2im(c.in[0], list_of(c, 0, 4, 2), list_of(c, 0, 0, 2), list_of(c, 0, 3, 2), list_of(c, 0, 2, 2), list_of(c, 0, 1, 2))}; }},
};

}  // namespace

Family aten_vision() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
