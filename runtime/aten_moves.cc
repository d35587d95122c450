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

// What depends on no input is computed on the host, and is a constant of the plan.
Tensor& arange(const Scalar& start, const Scalar& end, const Scalar& step, Tensor& out) {
  const Tensor row = at::arange(start, end, step, at::TensorOptions(out.scalar_type()));
  at::_copy_from_and_resize(row, out);
  return out;
}

void on_exact(torch::Library& m) {
  m.impl("cat.out", &cat);
  m.impl("unfold", &windows);
  m.impl("unfold_backward", &windows_backward);
  m.impl("arange.start_out", &arange);
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
