// Copies of blocks of a matrix in the order in which a product reads them, and the memory for them.
#pragma once

#include <sys/mman.h>

#include <cstdlib>

#include "kernels/lanes.h"

namespace cairn::kernels::CAIRN_ISA {

// Memory of this thread, kept between calls.
struct Scratch {
  float* data = nullptr;
  int64_t size = 0;
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { free(data); }
  float* need(int64_t floats) {
    if (floats > size) {
      free(data);
      // Large ones in large pages where the system gives some: small ones fall anyhow into the second-level cache's sets.
      constexpr int64_t kLarge = int64_t{2} << 20;
      const bool large = floats * 4 >= kLarge;
      const int64_t unit = (large ? kLarge : 4096) / 4;
      size = (floats + unit - 1) / unit * unit;
      data = static_cast<float*>(aligned_alloc(large ? kLarge : 64, static_cast<size_t>(size) * sizeof(float)));
      if (data == nullptr) __builtin_trap();
#if defined(MADV_HUGEPAGE)
      if (large) madvise(data, static_cast<size_t>(size) * sizeof(float), MADV_HUGEPAGE);
#endif
    }
    return data;
  }
};

// One square of kWidth x kWidth, turned: to[l * width + i] = from[i * stride + l] for i < wide, l < deep; of `from` only
// `rows` rows are there.
template <bool kWhole>
LANES_FN void pack_square(float* to, int64_t width, const float* from, int64_t stride, int rows, int wide, int deep) {
  Vector row[kWidth];
#pragma GCC unroll 16
  for (int l = 0; l < kWidth; l++) {
    if constexpr (kWhole) row[l] = load<Vector>(from + l * stride);
    else row[l] = l < rows ? read(from + l * stride, deep) : Vector(0.0f);
  }
  transpose(row);
#pragma GCC unroll 16
  for (int l = 0; l < kWidth; l++) {
    if constexpr (kWhole) store(to + l * width, row[l]);
    else if (l < deep) store_some(to + l * width, wide, row[l]);
  }
}
// out[k * width + i] = in[i * stride + k] for i < n, k < depth; i from n up to a multiple of kWidth, below width, is filled
// with zeros.
inline void pack_transposed(float* out, int64_t width, const float* in, int64_t stride, int64_t n, int64_t depth) {
  for (int64_t i = 0; i < n; i += kWidth) {
    const int wide = static_cast<int>(least(kWidth, width - i)), rows = static_cast<int>(least(kWidth, n - i));
    for (int64_t k = 0; k < depth; k += kWidth) {
      const int deep = static_cast<int>(least(kWidth, depth - k));
      float* to = out + k * width + i;
      const float* from = in + i * stride + k;
      if (rows == kWidth && deep == kWidth) pack_square<true>(to, width, from, stride, rows, wide, deep);
      else pack_square<false>(to, width, from, stride, rows, wide, deep);
    }
  }
}
// out[k * width + i] = in[k * stride + i] for i < n; zeros up to width.
inline void pack_plain(float* out, int64_t width, const float* in, int64_t stride, int64_t n, int64_t depth) {
  if (width == 2 * kWidth && n == width) {
    for (int64_t k = 0; k < depth; k++) {
      store(out + k * width, load<Vector>(in + k * stride));
      store(out + k * width + kWidth, load<Vector>(in + k * stride + kWidth));
    }
    return;
  }
  for (int64_t i = 0; i < width; i += kWidth) {
    const int wide = static_cast<int>(least(kWidth, width - i)), have = static_cast<int>(n - i < 0 ? 0 : least(kWidth, n - i));
    for (int64_t k = 0; k < depth; k++)
      store_some(out + k * width + i, wide, load_some<Vector>(in + k * stride + i, have, 0.0f));
  }
}

}  // namespace cairn::kernels::CAIRN_ISA
