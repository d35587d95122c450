// first version
#pragma once
#include "kernels/lanes.h"
namespace cairn::kernels::CAIRN_ISA {
struct Gemm {
  int64_t m, n, k;
  bool trans_a, trans_b;
};
inline void gemm(const Gemm& g, const float* a, const float* b, const float* bias, float* c, Pool* pool) {
  parallel(pool, g.m, 1 + 32768 / (g.n * g.k), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t j = 0; j < g.n; j++) {
        float acc = 0;
        for (int64_t k = 0; k < g.k; k++)
          acc = fused(a[g.trans_a ? k * g.m + i : i * g.k + k], b[g.trans_b ? j * g.k + k : k * g.n + j], acc);
        c[i * g.n + j] = canonical(bias ? acc + bias[j] : acc);
      }
  });
}
}  // namespace cairn::kernels::CAIRN_ISA
