// Convolution in one to three dimensions, by groups, and its gradients, numeric class f32. The three operators are one relation
// between x (n, channels, in...), y (n, filters, out...) and w (filters, channels / groups, kernel...):
//
//   y[o, q] gains w[o, c, k] * x[c, p]   wherever   p = q * stride - padding + k * dilation
//
// What is sought is one chain of fused multiply-adds over the rest. A position outside of x or y reads as +0 and takes part,
// as if the tensor had been padded; a tap between two strides (transposed) does not exist and is left out.
//
// Source: LeCun et al. 1989; Chellapilla, Puri & Simard 2006 (as a product); Dumoulin & Visin 2016 (transposed).
#pragma once

#include "kernels/ops/op.h"
#include "kernels/patches.h"

namespace cairn::kernels::CAIRN_ISA {

// What the operators share. Fewer than three dimensions are filled up with ones, in front.
struct ConvolutionBase {
  using Args = Stencil;
  static constexpr int64_t kMostStep = int64_t{1} << 20;  // of stride, padding, dilation

  static std::vector<InPlace> in_place() { return {}; }
  static uint64_t multiply_adds(const Args& a) {
    return static_cast<uint64_t>(a.n * a.groups * a.filters) * static_cast<uint64_t>(a.y[0] * a.y[1] * a.y[2]) * static_cast<uint64_t>(a.channels * a.taps());
  }
  // groups, then stride, padding, dilation and perhaps one more number for each of `rank` dimensions.
  static void expect_window(Expect& expect, std::span<const int64_t> attrs, size_t rank, size_t lists) {
    expect.that([&] { return rank >= 1 && rank <= 3; }, "takes one to three dimensions beside two of images and channels");
    expect.attributes(1 + lists * rank);
    expect.that([&] { return attrs[0] >= 1; }, "groups must be at least 1");
    expect.that([&] {
      for (size_t i = 1; i < attrs.size(); i++) {
        const bool padding = (i - 1) / rank == 1;
        if (attrs[i] < (padding ? 0 : 1) || ((i - 1) / rank < 3 && attrs[i] > kMostStep)) return false;
      }
      return true;
    }, "stride, dilation and sizes must be at least 1, padding at least 0, each up to 2^20");
  }
  // Positions of the kernel along one dimension of size `in`; below 1 where it does not fit.
  static int64_t fitting(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
    const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
  // x, y, w: whole shapes, n first.
  static Args stencil(std::span<const int64_t> x, std::span<const int64_t> y, std::span<const int64_t> w, std::span<const int64_t> attrs, bool bias) {
    Args a{};
    const size_t rank = x.size() - 2;
    a.n = x[0];
    a.groups = attrs[0];
    a.channels = w[1];
    a.filters = w[0] / attrs[0];
    a.bias = bias;
    for (size_t d = 0; d < 3; d++) {
      const bool there = d + rank >= 3;
      const size_t at = d + rank - 3;
      a.x[d] = there ? x[2 + at] : 1;
      a.y[d] = there ? y[2 + at] : 1;
      a.k[d] = there ? w[2 + at] : 1;
      a.stride[d] = there ? attrs[1 + at] : 1;
      a.padding[d] = there ? attrs[1 + rank + at] : 0;
      a.dilation[d] = there ? attrs[1 + 2 * rank + at] : 1;
    }
    return a;
  }
  struct Place {
    int64_t image, channel, at[3];
  };
  KERNEL_FN static Place place(int64_t e, int64_t channels, const int64_t* size) {
    Place p;
    for (int d = 2; d >= 0; d--) {
      p.at[d] = e % size[d];
      e /= size[d];
    }
    p.channel = e % channels;
    p.image = e / channels;
    return p;
  }
  // The element of the tensor at `operand`, or +0 outside.
  template <class S>
  KERNEL_FN static float padded(S& source, size_t operand, int64_t image_and_channel, const int64_t* at, const int64_t* size) {
    for (int d = 0; d < 3; d++)
      if (at[d] < 0 || at[d] >= size[d]) return 0.0f;
    return source.f32(operand, ((image_and_channel * size[0] + at[0]) * size[1] + at[1]) * size[2] + at[2]);
  }
  KERNEL_FN static void tap_of(const Args& a, int64_t tap, int64_t (&k)[3]) {
    for (int d = 2; d >= 0; d--) {
      k[d] = tap % a.k[d];
      tap /= a.k[d];
    }
  }
};

// y[n, o, q] = sum over c, k of w[o, c, k] x[n, c, q * stride - padding + k * dilation] (+ bias[o])
struct Convolution : ConvolutionBase {
  static constexpr OperatorText kText{
      260, "convolution.f32.v1", "y[n, o, q] = sum over c, k of w[o, c, k] * x[n, c, q * stride - padding + k * dilation] (+ bias[o]); c in the group of o",
      "one chain of fused multiply-adds over (c, k) ascending from +0, outside of x as +0; blocks of 256; then one addition of bias",
      "Chellapilla, Puri & Simard 2006"};
  static std::vector<AttrSpec> attrs() { return {{"groups"}, {"stride_padding_dilation..."}}; }
  static KnownCall known() { return {{f32({2, 6, 7, 5}), f32({4, 3, 3, 2}), f32({4})}, {2, 2, 1, 1, 0, 1, 2}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() == 2 || in.size() == 3; }, "takes 2 or 3 operands").dtype_is(0, DType::f32);
    const size_t rank = in.empty() || in[0].shape.size() < 3 ? 0 : in[0].shape.size() - 2;
    expect_window(expect, attrs, rank, 3);
    expect.type(1, DType::f32, rank + 2);
    expect.that([&] { return in[0].shape[1] % attrs[0] == 0 && in[1].shape[0] % attrs[0] == 0 && in[1].shape[1] == in[0].shape[1] / attrs[0]; },
                "channels, filters and groups do not fit");
    expect.that([&] { return in.size() == 2 || in[2] == f32({in[1].shape[0]}); }, "bias does not fit");
    Types out{f32({})};
    expect.that([&] {
      out[0].shape = {in[0].shape[0], in[1].shape[0]};
      for (size_t d = 0; d < rank; d++)
        out[0].shape.push_back(fitting(in[0].shape[2 + d], in[1].shape[2 + d], attrs[1 + d], attrs[1 + rank + d], attrs[1 + 2 * rank + d]));
      for (const int64_t size : out[0].shape)
        if (size < 1) return false;
      return true;
    }, "the kernel is larger than the padded operand");
    if (!expect.ok()) return expect.error();
    return out;
  }
  static Args args(const CallShape& call) { return stencil(call.in[0].shape, call.out[0].shape, call.in[1].shape, call.attrs, call.in.size() == 3); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.channels * a.taps(), kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const Place p = place(e, a.groups * a.filters, a.y);
    const int64_t depth = a.channels * a.taps(), end = least(depth, (block + 1) * kFoldBlock), group = p.channel / a.filters;
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t j = block * kFoldBlock; j < end; j++) {
      int64_t k[3], at[3];
      tap_of(a, j % a.taps(), k);
      for (int d = 0; d < 3; d++) at[d] = p.at[d] * a.stride[d] - a.padding[d] + k[d] * a.dilation[d];
      const float x = padded(source, 0, (p.image * a.groups + group) * a.channels + j / a.taps(), at, a.x);
      chain = fused(source.f32(1, p.channel * depth + j), x, chain);
    }
    if (a.bias && end == depth) chain = chain + source.f32(2, p.channel);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) { convolve(a, in_f32(c, 0), in_f32(c, 1), a.bias ? in_f32(c, 2) : nullptr, out_f32(c, 0), c.pool); }
};

// x[n, c, p] = sum over o, k of w[o, c, k] y[n, o, (p + padding - k * dilation) / stride] (+ bias[c]), where that is whole
//   the gradient of convolution.f32.v1 by x, given y's; and transposed convolution, whose input is y
struct ConvolutionTransposed : ConvolutionBase {
  static constexpr OperatorText kText{
      261, "convolution_transposed.f32.v1",
      "x[n, c, p] = sum over o, k of w[o, c, k] * y[n, o, (p + padding - k * dilation) / stride] (+ bias[c]) where stride divides; operands y, w; size of x given",
      "one chain of fused multiply-adds over (o, k) ascending from +0, outside of y as +0, indivisible k left out; blocks of 256; then one addition of bias",
      "Dumoulin & Visin 2016, chapter 4; gradient of convolution.f32.v1"};
  static std::vector<AttrSpec> attrs() { return {{"groups"}, {"stride_padding_dilation_size..."}}; }
  static KnownCall known() { return {{f32({2, 4, 4, 3}), f32({4, 3, 3, 2}), f32({6})}, {2, 2, 1, 1, 0, 1, 2, 7, 5}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.that([&] { return in.size() == 2 || in.size() == 3; }, "takes 2 or 3 operands").dtype_is(0, DType::f32);
    const size_t rank = in.empty() || in[0].shape.size() < 3 ? 0 : in[0].shape.size() - 2;
    expect_window(expect, attrs, rank, 4);
    expect.type(1, DType::f32, rank + 2);
    expect.that([&] { return in[1].shape[0] == in[0].shape[1] && in[1].shape[0] % attrs[0] == 0; }, "channels, filters and groups do not fit");
    expect.that([&] { return in.size() == 2 || in[2] == f32({in[1].shape[1] * attrs[0]}); }, "bias does not fit");
    expect.that([&] { return fits(in[0].shape, in[1].shape, attrs, &attrs[1 + 3 * rank]); }, "size does not fit the operand, stride and kernel");
    if (!expect.ok()) return expect.error();
    Types out{f32({in[0].shape[0], in[1].shape[1] * attrs[0]})};
    for (size_t d = 0; d < rank; d++) out[0].shape.push_back(attrs[1 + 3 * rank + d]);
    return out;
  }
  // Whether y (n, filters, ...) can come of an x of `size`: at least what its last position covers, and less than another.
  static bool fits(std::span<const int64_t> y, std::span<const int64_t> w, std::span<const int64_t> attrs, const int64_t* size) {
    const size_t rank = y.size() - 2;
    for (size_t d = 0; d < rank; d++) {
      const int64_t stride = attrs[1 + d], padding = attrs[1 + rank + d], dilation = attrs[1 + 2 * rank + d];
      const int64_t covered = (y[2 + d] - 1) * stride + dilation * (w[2 + d] - 1) + 1 - 2 * padding;
      if (size[d] < 1 || size[d] < covered || size[d] >= covered + (stride > dilation ? stride : dilation)) return false;
    }
    return true;
  }
  static Args args(const CallShape& call) { return stencil(call.out[0].shape, call.in[0].shape, call.in[1].shape, call.attrs, call.in.size() == 3); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.filters * a.taps(), kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const Place p = place(e, a.groups * a.channels, a.x);
    const int64_t depth = a.filters * a.taps(), end = least(depth, (block + 1) * kFoldBlock), group = p.channel / a.channels;
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t j = block * kFoldBlock; j < end; j++) {
      int64_t k[3], at[3];
      tap_of(a, j % a.taps(), k);
      bool whole = true;
      for (int d = 0; d < 3; d++) {
        at[d] = p.at[d] + a.padding[d] - k[d] * a.dilation[d];
        whole = whole && at[d] % a.stride[d] == 0;
        at[d] = at[d] < 0 ? -1 : at[d] / a.stride[d];
      }
      if (!whole) continue;
      const int64_t filter = group * a.filters + j / a.taps();
      const float y = padded(source, 0, p.image * a.groups * a.filters + filter, at, a.y);
      chain = fused(source.f32(1, (filter * a.channels + p.channel % a.channels) * a.taps() + j % a.taps()), y, chain);
    }
    if (a.bias && end == depth) chain = chain + source.f32(2, p.channel);
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) {
    convolve_transposed(a, in_f32(c, 0), in_f32(c, 1), a.bias ? in_f32(c, 2) : nullptr, out_f32(c, 0), c.pool);
  }
};

// w[o, c, k] = sum over n, q of y[n, o, q] x[n, c, q * stride - padding + k * dilation]
//   the gradient of convolution.f32.v1 by w, given y's
struct ConvolutionWeight : ConvolutionBase {
  static constexpr OperatorText kText{
      262, "convolution_weight.f32.v1", "w[o, c, k] = sum over n, q of y[n, o, q] * x[n, c, q * stride - padding + k * dilation]; operands y, x; size of the kernel given",
      "one chain of fused multiply-adds over (n, q) ascending from +0, outside of x as +0; blocks of 256", "gradient of convolution.f32.v1"};
  static std::vector<AttrSpec> attrs() { return {{"groups"}, {"stride_padding_dilation_kernel..."}}; }
  static KnownCall known() { return {{f32({2, 4, 4, 3}), f32({2, 6, 7, 5})}, {2, 2, 1, 1, 0, 1, 2, 3, 2}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(2).dtype_is(0, DType::f32);
    const size_t rank = in.empty() || in[0].shape.size() < 3 ? 0 : in[0].shape.size() - 2;
    expect_window(expect, attrs, rank, 4);
    expect.type(1, DType::f32, rank + 2);
    expect.that([&] { return in[0].shape[0] == in[1].shape[0] && in[0].shape[1] % attrs[0] == 0 && in[1].shape[1] % attrs[0] == 0; },
                "images, channels and groups do not fit");
    Types out{f32({})};
    expect.that([&] {
      out[0].shape = {in[0].shape[1], in[1].shape[1] / attrs[0]};
      for (size_t d = 0; d < rank; d++) out[0].shape.push_back(attrs[1 + 3 * rank + d]);
      return ConvolutionTransposed::fits(in[0].shape, out[0].shape, attrs, &in[1].shape[2]);
    }, "the kernel does not fit the operands");
    if (!expect.ok()) return expect.error();
    return out;
  }
  static Args args(const CallShape& call) { return stencil(call.in[1].shape, call.in[0].shape, call.out[0].shape, call.attrs, false); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.n * a.y[0] * a.y[1] * a.y[2], kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t, int64_t e, int64_t block, Carry carry, S& source) {
    const int64_t filter = e / (a.taps() * a.channels), channel = e / a.taps() % a.channels, group = filter / a.filters;
    int64_t k[3];
    tap_of(a, e % a.taps(), k);
    const int64_t plane = a.y[0] * a.y[1] * a.y[2], end = least(a.n * plane, (block + 1) * kFoldBlock);
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    for (int64_t j = block * kFoldBlock; j < end; j++) {
      const Place q = place(j, 1, a.y);
      int64_t at[3];
      for (int d = 0; d < 3; d++) at[d] = q.at[d] * a.stride[d] - a.padding[d] + k[d] * a.dilation[d];
      const float x = padded(source, 1, (q.image * a.groups + group) * a.channels + channel, at, a.x);
      chain = fused(source.f32(0, (q.image * a.groups * a.filters + filter) * plane + j % plane), x, chain);
    }
    return result(chain);
  }
  static void host(const Args& a, const HostCall& c) { convolve_weight(a, in_f32(c, 0), in_f32(c, 1), out_f32(c, 0), c.pool); }
};

}  // namespace cairn::kernels::CAIRN_ISA
