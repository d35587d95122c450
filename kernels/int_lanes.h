// Registers of integers for the products of digits (int_gemm.h), under every instruction set: `VectorInt` of lanes.h, whose lanes hold
// the digits of neighbouring k, and `Doubles`, a register's lanes as doubles, in which their sums are exact.
#pragma once

#include "kernels/lanes.h"

namespace cairn::kernels::CAIRN_ISA {

#if defined(__AVX512F__)
LANES_FN VectorInt load_int(const int32_t* p) { return _mm512_loadu_si512(p); }
LANES_FN void store_int(int32_t* p, VectorInt x) { _mm512_storeu_si512(p, x.v); }
LANES_FN VectorInt to_int(Vector x) { return _mm512_cvtps_epi32(x.v); }  // to nearest even
LANES_FN VectorInt greater_bits(VectorInt a, VectorInt b) { return _mm512_max_epi32(a.v, b.v); }
LANES_FN VectorInt dot_halves(VectorInt sum, VectorInt a, VectorInt b) { return _mm512_add_epi32(sum.v, _mm512_madd_epi16(a.v, b.v)); }
// Four products of a byte of b, unsigned, and one of a, signed; only where the processor has VNNI, which this file is not compiled for.
LANES_FN VectorInt dot_bytes(VectorInt sum, VectorInt a, VectorInt b) {
  asm("vpdpbusd %[a], %[b], %[sum]" : [sum] "+v"(sum.v) : [a] "v"(a.v), [b] "v"(b.v));
  return sum;
}
struct Doubles {
  __m512d low, high;
};
LANES_FN Doubles widen(VectorInt x) { return {_mm512_cvtepi32_pd(_mm512_castsi512_si256(x.v)), _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(x.v, 1))}; }
LANES_FN Doubles fused(Doubles a, double b, Doubles c) { return {_mm512_fmadd_pd(a.low, _mm512_set1_pd(b), c.low), _mm512_fmadd_pd(a.high, _mm512_set1_pd(b), c.high)}; }
LANES_FN Vector rounded(Doubles x) { return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.low)), _mm512_cvtpd_ps(x.high), 1); }
LANES_FN void add_whole(int64_t* to, Doubles x) {
  _mm512_storeu_si512(to, _mm512_add_epi64(_mm512_loadu_si512(to), _mm512_cvtpd_epi64(x.low)));
  _mm512_storeu_si512(to + 8, _mm512_add_epi64(_mm512_loadu_si512(to + 8), _mm512_cvtpd_epi64(x.high)));
}
#elif defined(__AVX2__)
LANES_FN VectorInt load_int(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
LANES_FN void store_int(int32_t* p, VectorInt x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
LANES_FN VectorInt to_int(Vector x) { return _mm256_cvtps_epi32(x.v); }
LANES_FN VectorInt greater_bits(VectorInt a, VectorInt b) { return _mm256_max_epi32(a.v, b.v); }
LANES_FN VectorInt dot_halves(VectorInt sum, VectorInt a, VectorInt b) { return _mm256_add_epi32(sum.v, _mm256_madd_epi16(a.v, b.v)); }
struct Doubles {
  __m256d low, high;
};
LANES_FN Doubles widen(VectorInt x) { return {_mm256_cvtepi32_pd(_mm256_castsi256_si128(x.v)), _mm256_cvtepi32_pd(_mm256_extracti128_si256(x.v, 1))}; }
LANES_FN Doubles fused(Doubles a, double b, Doubles c) { return {_mm256_fmadd_pd(a.low, _mm256_set1_pd(b), c.low), _mm256_fmadd_pd(a.high, _mm256_set1_pd(b), c.high)}; }
LANES_FN Vector rounded(Doubles x) { return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(x.low)), _mm256_cvtpd_ps(x.high), 1); }
LANES_FN void store_wide(double* p, Doubles x) {
  _mm256_storeu_pd(p, x.low);
  _mm256_storeu_pd(p + 4, x.high);
}
#elif defined(CAIRN_NEON)
LANES_FN VectorInt load_int(const int32_t* p) { return load_ints(p); }
LANES_FN void store_int(int32_t* p, VectorInt x) { store(p, x); }
LANES_FN VectorInt to_int(Vector x) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(x.v)); }
LANES_FN VectorInt greater_bits(VectorInt a, VectorInt b) { return vmaxq_u32(a.v, b.v); }
LANES_FN VectorInt dot_halves(VectorInt sum, VectorInt a, VectorInt b) {
  const int16x8_t x = vreinterpretq_s16_u32(a.v), y = vreinterpretq_s16_u32(b.v);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return vaddq_u32(sum.v, vreinterpretq_u32_s32(vpaddq_s32(low, high)));
}
struct Doubles {
  float64x2_t low, high;
};
LANES_FN Doubles widen(VectorInt x) {
  const int32x4_t whole = vreinterpretq_s32_u32(x.v);
  return {vcvtq_f64_s64(vmovl_s32(vget_low_s32(whole))), vcvtq_f64_s64(vmovl_high_s32(whole))};
}
LANES_FN Doubles fused(Doubles a, double b, Doubles c) { return {vfmaq_n_f64(c.low, a.low, b), vfmaq_n_f64(c.high, a.high, b)}; }
LANES_FN Vector rounded(Doubles x) { return vcombine_f32(vcvt_f32_f64(x.low), vcvt_f32_f64(x.high)); }
LANES_FN void store_wide(double* p, Doubles x) {
  vst1q_f64(p, x.low);
  vst1q_f64(p + 2, x.high);
}
#else
using VectorInt = uint32_t;
LANES_FN VectorInt load_int(const int32_t* p) { return static_cast<uint32_t>(*p); }
LANES_FN void store_int(int32_t* p, VectorInt x) { *p = static_cast<int32_t>(x); }
LANES_FN VectorInt to_int(float x) {
  if (!(x > -0x1p23f && x < 0x1p23f)) return 0;  // of a group without exponent
  return static_cast<uint32_t>(static_cast<int32_t>(x < 0.0f ? (x - 0x1p23f) + 0x1p23f : (x + 0x1p23f) - 0x1p23f));
}
LANES_FN VectorInt greater_bits(VectorInt a, VectorInt b) { return a > b ? a : b; }
LANES_FN VectorInt dot_halves(VectorInt sum, VectorInt a, VectorInt b) {
  const auto low = [](uint32_t x) { return static_cast<int32_t>(static_cast<int16_t>(x)); };
  return sum + static_cast<uint32_t>(low(a) * low(b) + low(a >> 16) * low(b >> 16));
}
using Doubles = double;
LANES_FN Doubles widen(VectorInt x) { return static_cast<double>(static_cast<int32_t>(x)); }
LANES_FN Doubles fused(Doubles a, double b, Doubles c) { return a * b + c; }  // exact in every use
LANES_FN Vector rounded(Doubles x) { return static_cast<float>(x); }
LANES_FN void store_wide(double* p, Doubles x) { *p = x; }
#endif

// high * 2^16 + middle * 2^8 + low.
LANES_FN Doubles join(VectorInt middle, VectorInt low) { return fused(widen(middle), 256.0, widen(low)); }
LANES_FN Doubles join(VectorInt high, VectorInt middle, VectorInt low) { return fused(widen(middle), 256.0, fused(widen(high), 65536.0, widen(low))); }

#if !defined(__AVX512F__)
// to[l] += lane l, a whole number below 2^53.
LANES_FN void add_whole(int64_t* to, Doubles x) {
  double lanes[kWidth];
  store_wide(lanes, x);
  for (int l = 0; l < kWidth; l++) to[l] += static_cast<int64_t>(lanes[l]);
}
#endif
// sum += the products of the kGroup digits in each lane; b is unsigned where there are four.
template <int kGroup>
LANES_FN VectorInt dot(VectorInt sum, VectorInt a, VectorInt b) {
#if defined(__AVX512F__)
  if constexpr (kGroup == 4) return dot_bytes(sum, a, b);
#endif
  return dot_halves(sum, a, b);
}

}  // namespace cairn::kernels::CAIRN_ISA
