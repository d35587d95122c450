// Bytes that change place or type.
#include <algorithm>
#include <cstring>

#include "runtime/aten.h"

namespace cairn::runtime {
namespace {

// ---- from ATen ----

// What torch.cat leaves out: the empty row of numbers that its users start lists with.
std::vector<Tensor> parts_of(const at::ITensorListRef& tensors, at::ScalarType dtype) {
  std::vector<Tensor> parts;
  for (const Tensor& tensor : tensors)
    if (tensor.numel() > 0) parts.push_back(cast(plain(tensor), dtype));
  return parts;
}
Tensor joined(std::vector<Tensor> parts, int64_t axis) {
  constexpr size_t kMost = 64;  // of cat.v1
  while (parts.size() > 1) {
    std::vector<Tensor> fewer;
    for (size_t first = 0; first < parts.size(); first += kMost)
      fewer.push_back(one("cat.v1", {parts.begin() + static_cast<std::ptrdiff_t>(first),
                                     parts.begin() + static_cast<std::ptrdiff_t>(std::min(parts.size(), first + kMost))}, {axis}));
    parts = std::move(fewer);
  }
  return parts[0];
}
Tensor& cat(const at::ITensorListRef& tensors, int64_t dim, Tensor& out) {
  const auto parts = parts_of(tensors, out.scalar_type());
  if (!parts.empty()) assign(out, joined(parts, dim < 0 ? dim + out.dim() : dim));
  return out;
}

// Windows of a dimension, as a view; and back, where a step's windows are added a strip of `step` positions at a time, which
// do not overlap.
Tensor windows(const Tensor& self, int64_t dim, int64_t size, int64_t step) {
  const int64_t d = self.dim() == 0 ? 0 : at::maybe_wrap_dim(dim, self.dim());
  std::vector<int64_t> sizes = self.sizes().vec(), strides = self.strides().vec();
  if (self.dim() == 0) return self.as_strided({size}, {1});
  TORCH_CHECK(size <= sizes[static_cast<size_t>(d)] && step > 0, "a window of ", size, " does not fit dimension ", d);
  strides.push_back(strides[static_cast<size_t>(d)]);
  sizes[static_cast<size_t>(d)] = (sizes[static_cast<size_t>(d)] - size) / step + 1;
  strides[static_cast<size_t>(d)] *= step;
  sizes.push_back(size);
  return self.as_strided(sizes, strides);
}
Tensor windows_backward(const Tensor& grad, IntArrayRef sizes, int64_t dim, int64_t size, int64_t step) {
  Tensor out = empty_exact(sizes, grad.scalar_type()).zero_();
  for (int64_t first = 0; first < size; first += step) {
    const int64_t wide = std::min(step, size - first);
    Tensor strip = windows(out, dim, size, step).narrow(-1, first, wide);
    strip.add_(grad.narrow(-1, first, wide));
  }
  return out;
}

template <bool kUpper>
Tensor& triangle(const Tensor& self, int64_t diagonal, Tensor& out) {
  if (self.numel() == 0) return out;
  const int64_t rows = self.size(-2), columns = self.size(-1);
  const Tensor from = plain(self);
  const Tensor kept = reshaped(call("triangle.v1", {diagonal, kUpper}, {{from, {self.numel() / (rows * columns), rows, columns}}})[0], self.sizes());
  assign(out, out.scalar_type() == at::kBool ? truth(kept) : kept);
  return out;
}

Tensor trace(const Tensor& self) { return self.diagonal().sum(); }
// Channel c of a group goes to the c-th group of channels.
Tensor channels_shuffled(const Tensor& self, int64_t groups) {
  std::vector<int64_t> sizes{self.size(0), groups, self.size(1) / groups};
  sizes.insert(sizes.end(), self.sizes().begin() + 2, self.sizes().end());
  return self.reshape(sizes).transpose(1, 2).reshape(self.sizes());
}

// Margins of the last dimensions; `pads` holds (before, after) from the last dimension backwards, as PyTorch gives them.
// Reflected: x[n] .. x[1] before the first; replicated: x[0] n times. Backwards, a margin's gradient is added where it came from.
template <bool kReflects>
Tensor padded(const Tensor& self, IntArrayRef pads) {
  Tensor out = self;
  for (size_t i = 0; i < pads.size() / 2; i++) {
    const int64_t d = self.dim() - 1 - static_cast<int64_t>(i), size = out.size(d), before = pads[2 * i], after = pads[2 * i + 1];
    if (before < 0 || after < 0) refuse_undefined("a negative margin", "as_strided.v1");
    TORCH_CHECK(!kReflects || (before < size && after < size), "a margin is as wide as dimension ", d);
    const auto margin = [&](int64_t first, int64_t count) {
      std::vector<int64_t> sizes = out.sizes().vec();
      sizes[static_cast<size_t>(d)] = count;
      return kReflects ? out.narrow(d, first, count).flip(d) : plain(out.narrow(d, first, 1).expand(sizes));
    };
    std::vector<Tensor> parts;
    if (before > 0) parts.push_back(margin(kReflects ? 1 : 0, before));
    parts.push_back(plain(out));
    if (after > 0) parts.push_back(margin(kReflects ? size - 1 - after : size - 1, after));
    out = joined(parts, d);
  }
  return out;
}
template <bool kReflects>
Tensor padded_backward(const Tensor& grad, const Tensor& self, IntArrayRef pads) {
  Tensor out = grad;
  for (size_t i = pads.size() / 2; i-- > 0;) {
    const int64_t d = self.dim() - 1 - static_cast<int64_t>(i), size = self.size(d), before = pads[2 * i], after = pads[2 * i + 1];
    const Tensor inner = out.narrow(d, before, size).clone(at::MemoryFormat::Contiguous);
    const auto add = [&](const Tensor& margin, int64_t first) {
      const Tensor back = kReflects ? margin.flip(d) : margin.sum(IntArrayRef(d), true);
      inner.narrow(d, first, back.size(d)).add_(back);
    };
    if (before > 0) add(out.narrow(d, 0, before), kReflects ? 1 : 0);
    if (after > 0) add(out.narrow(d, before + size, after), kReflects ? size - 1 - after : size - 1);
    out = inner;
  }
  return out;
}
template <bool kReflects>
Tensor& pad(const Tensor& self, IntArrayRef pads, Tensor& out) {
  const Tensor result = padded<kReflects>(self, pads);
  if (out.sizes() != result.sizes()) out.resize_(result.sizes());
  assign(out, result);
  return out;
}
template <bool kReflects>
Tensor pad_backward(const Tensor& grad, const Tensor& self, IntArrayRef pads) {
  return plain(padded_backward<kReflects>(grad, self, pads));
}
template <bool kReflects>
Tensor& pad_backward_out(const Tensor& grad, const Tensor& self, IntArrayRef pads, Tensor& out) {
  const Tensor result = padded_backward<kReflects>(grad, self, pads);
  if (out.sizes() != result.sizes()) out.resize_(result.sizes());
  assign(out, result);
  return out;
}

// What depends on no input is computed on the host, and is a constant of the plan.
Tensor& put(const Tensor& computed, Tensor& out) {
  at::_copy_from_and_resize(computed, out);
  return out;
}
Tensor& arange(const Scalar& start, const Scalar& end, const Scalar& step, Tensor& out) {
  return put(at::arange(start, end, step, at::TensorOptions(out.scalar_type())), out);
}
Tensor& range(const Scalar& start, const Scalar& end, const Scalar& step, Tensor& out) {
  return put(at::range(start, end, step, at::TensorOptions(out.scalar_type())), out);
}
Tensor& linspace(const Scalar& start, const Scalar& end, int64_t steps, Tensor& out) {
  return put(at::linspace(start, end, steps, at::TensorOptions(out.scalar_type())), out);
}
Tensor& logspace(const Scalar& start, const Scalar& end, int64_t steps, double base, Tensor& out) {
  return put(at::logspace(start, end, steps, base, at::TensorOptions(out.scalar_type())), out);
}
Tensor& eye(int64_t n, Tensor& out) { return put(at::eye(n, at::TensorOptions(out.scalar_type())), out); }
Tensor& eye_of(int64_t n, int64_t m, Tensor& out) { return put(at::eye(n, m, at::TensorOptions(out.scalar_type())), out); }
template <Tensor (*kIndices)(int64_t, int64_t, int64_t, at::TensorOptions)>
Tensor triangle_indices(int64_t rows, int64_t columns, int64_t offset, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>) {
  return kIndices(rows, columns, offset, at::TensorOptions(dtype.value_or(at::kLong))).to(exact_device());
}

void on_exact(torch::Library& m) {
  m.impl("cat.out", &cat);
  m.impl("unfold", &windows);
  m.impl("unfold_backward", &windows_backward);
  m.impl("tril.out", &triangle<false>);
  m.impl("triu.out", &triangle<true>);
  m.impl("trace", &trace);
  m.impl("channel_shuffle", &channels_shuffled);
  m.impl("reflection_pad1d.out", &pad<true>);
  m.impl("reflection_pad1d_backward.grad_input", &pad_backward_out<true>);
  m.impl("reflection_pad2d", [](const Tensor& x, IntArrayRef pads) { return padded<true>(x, pads); });
  m.impl("reflection_pad2d.out", &pad<true>);
  m.impl("reflection_pad2d_backward", &pad_backward<true>);
  m.impl("reflection_pad2d_backward.grad_input", &pad_backward_out<true>);
  m.impl("reflection_pad3d.out", &pad<true>);
  m.impl("reflection_pad3d_backward.grad_input", &pad_backward_out<true>);
  m.impl("replication_pad1d.out", &pad<false>);
  m.impl("replication_pad1d_backward.grad_input", &pad_backward_out<false>);
  m.impl("replication_pad2d.out", &pad<false>);
  m.impl("replication_pad2d_backward", &pad_backward<false>);
  m.impl("replication_pad2d_backward.grad_input", &pad_backward_out<false>);
  m.impl("replication_pad3d.out", &pad<false>);
  m.impl("replication_pad3d_backward", &pad_backward<false>);
  m.impl("replication_pad3d_backward.grad_input", &pad_backward_out<false>);
  m.impl("arange.start_out", &arange);
  m.impl("range.out", &range);
  m.impl("linspace.out", &linspace);
  m.impl("logspace.out", &logspace);
  m.impl("eye.out", &eye);
  m.impl("eye.m_out", &eye_of);
  m.impl("tril_indices", &triangle_indices<at::tril_indices>);
  m.impl("triu_indices", &triangle_indices<at::triu_indices>);
}

// ---- the native tier ----

constexpr Lowering kLowerings[] = {
    {"permute.v1", [](const Lowered& c) -> Outputs { return {c.in[0].permute(c.call.attrs).contiguous()}; }},
    {"broadcast.v1", [](const Lowered& c) -> Outputs { return {c.in[0].expand(c.call.attrs).contiguous()}; }},
    {"cast.v1", [](const Lowered& c) -> Outputs { return {c.in[0].to(torch_type(static_cast<kernels::DType>(c.n(0))))}; }},
    {"as_strided.v1", [](const Lowered& c) -> Outputs {
      const IntArrayRef attrs(c.call.attrs);
      const size_t rank = attrs.size() / 2;
      return {c.in[0].as_strided(attrs.slice(1, rank), attrs.slice(1 + rank, rank), attrs[0])};
    }},
    {"as_strided_scatter.v1", [](const Lowered& c) -> Outputs {
      const Tensor y = c.in[0].clone();
      y.as_strided(c.in[1].sizes(), IntArrayRef(c.call.attrs).slice(1), c.n(0)).copy_(c.in[1]);
      return {y};
    }},
    {"triangle.v1", [](const Lowered& c) -> Outputs { return {c.n(1) ? c.in[0].triu(c.n(0)) : c.in[0].tril(c.n(0))}; }},
    {"fill.v1", [](const Lowered& c) -> Outputs {
      const auto& type = c.call.output_types[0];
      const Tensor value = at::empty({}, at::TensorOptions(torch_type(type.dtype)));
      std::memcpy(value.mutable_data_ptr(), &c.call.attrs[1], value.element_size());
      return {value.expand(type.shape).contiguous()};
    }},
    {"cat.v1", [](const Lowered& c) -> Outputs { return {at::cat(c.in, c.n(0))}; }},
};

}  // namespace

Family aten_moves() { return {&on_exact, kLowerings}; }

}  // namespace cairn::runtime
