// A register of floats with the names of arith.h, for the instruction set that this file is compiled for: `Vector` is 16
// floats under AVX-512, 8 under AVX2, 4 under NEON, one otherwise. Host bodies are written once over `Vector`.
#pragma once

#include "kernels/arith.h"
#include "kernels/pool.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#elif defined(CAIRN_NEON)
#include <arm_neon.h>
#endif

#define LANES_FN inline __attribute__((always_inline))

namespace cairn::kernels::CAIRN_ISA {

// ---- memory, one float at a time (the scalar build's Vector is float) ----------------------------------------------------

template <class F>
F load(const float* p);
template <class F>
F load_some(const float* p, int n, float fill);  // lanes n and above hold `fill`
template <>
LANES_FN float load<float>(const float* p) {
  return *p;
}
template <>
LANES_FN float load_some<float>(const float* p, int n, float fill) {
  return n > 0 ? *p : fill;
}
LANES_FN void store(float* p, float x) { *p = x; }
LANES_FN void store_some(float* p, int n, float x) {
  if (n > 0) *p = x;
}
LANES_FN float fill_beyond(float x, int n, float fill) { return n > 0 ? x : fill; }

#if defined(__AVX512F__)

struct Mask {
  __mmask16 m;
};
struct VectorInt {
  __m512i v;
  LANES_FN VectorInt() : v(_mm512_setzero_si512()) {}
  LANES_FN VectorInt(__m512i x) : v(x) {}
  LANES_FN VectorInt(uint32_t x) : v(_mm512_set1_epi32(static_cast<int>(x))) {}
};
LANES_FN VectorInt operator+(VectorInt a, VectorInt b) { return _mm512_add_epi32(a.v, b.v); }
LANES_FN VectorInt operator-(VectorInt a, VectorInt b) { return _mm512_sub_epi32(a.v, b.v); }
LANES_FN VectorInt operator&(VectorInt a, VectorInt b) { return _mm512_and_si512(a.v, b.v); }
LANES_FN VectorInt operator|(VectorInt a, VectorInt b) { return _mm512_or_si512(a.v, b.v); }
LANES_FN VectorInt operator^(VectorInt a, VectorInt b) { return _mm512_xor_si512(a.v, b.v); }
LANES_FN VectorInt operator<<(VectorInt a, int by) { return _mm512_slli_epi32(a.v, static_cast<unsigned>(by)); }
LANES_FN VectorInt shift_signed(VectorInt a, int by) { return _mm512_srai_epi32(a.v, static_cast<unsigned>(by)); }

struct Vector {
  __m512 v;
  Vector() = default;  // holds nothing: an array that a constructor fills stays in memory with g++ 12
  LANES_FN Vector(__m512 x) : v(x) {}
  LANES_FN Vector(float x) : v(_mm512_set1_ps(x)) {}
};
LANES_FN Vector operator+(Vector a, Vector b) { return _mm512_add_ps(a.v, b.v); }
LANES_FN Vector operator-(Vector a, Vector b) { return _mm512_sub_ps(a.v, b.v); }
LANES_FN Vector operator*(Vector a, Vector b) { return _mm512_mul_ps(a.v, b.v); }
LANES_FN Vector operator/(Vector a, Vector b) { return _mm512_div_ps(a.v, b.v); }
LANES_FN Mask operator<(Vector a, Vector b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
LANES_FN Mask operator<=(Vector a, Vector b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
LANES_FN Mask operator>(Vector a, Vector b) { return b < a; }
LANES_FN Mask operator==(Vector a, Vector b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
LANES_FN Mask is_nan(Vector a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
// `yes` in a register: folded into a masked load, a constant whose page nothing else reads would cost a microcode assist for
// each mask that is empty (and an empty mask never brings the page in).
LANES_FN Vector select(Mask m, Vector yes, Vector no) {
  asm("" : "+v"(yes.v));
  return _mm512_mask_blend_ps(m.m, no.v, yes.v);
}
LANES_FN VectorInt select(Mask m, VectorInt yes, VectorInt no) { return _mm512_mask_blend_epi32(m.m, no.v, yes.v); }
LANES_FN Vector fused(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
LANES_FN Vector root(Vector a) { return _mm512_sqrt_ps(a.v); }
LANES_FN VectorInt as_bits(Vector a) { return _mm512_castps_si512(a.v); }
LANES_FN Vector as_float(VectorInt a) { return _mm512_castsi512_ps(a.v); }
LANES_FN Vector to_float(VectorInt a) { return _mm512_cvtepi32_ps(a.v); }

LANES_FN bool any(Mask m) { return m.m != 0; }
LANES_FN Mask unordered_or(Vector x, Vector limit) { return {_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ)}; }
LANES_FN Vector at_least(Vector x, float low) { return _mm512_max_ps(_mm512_set1_ps(low), x.v); }  // the second operand is what a NaN gives
LANES_FN Vector at_most(Vector x, float high) { return _mm512_min_ps(_mm512_set1_ps(high), x.v); }
// In one instruction each: those of arith.h, and of math.h.
LANES_FN Vector with_sign(Vector size, Vector sign) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32(0x7FFFFFFF), _mm512_castps_si512(size.v), _mm512_castps_si512(sign.v), 0xCA));
}
LANES_FN Vector canonical(Vector x) {  // for both kinds of NaN nothing is taken over kNan, for all else x
  return _mm512_fixupimm_ps(_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(kNan))), x.v, _mm512_set1_epi32(0x11111100), 0);
}
LANES_FN Vector scale(Vector y, Vector t) { return _mm512_scalef_ps(y.v, (t - Vector(0x1.8p23f)).v); }
LANES_FN Vector scale_where(Mask m, Vector y, Vector t) { return _mm512_mask_scalef_ps(y.v, m.m, y.v, (t - Vector(0x1.8p23f)).v); }

LANES_FN __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1); }
template <>
LANES_FN Vector load<Vector>(const float* p) {
  return _mm512_loadu_ps(p);
}
template <>
LANES_FN Vector load_some<Vector>(const float* p, int n, float fill) {
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p);
}
// Masked loads cost nothing here; elsewhere only whole registers are read this way.
LANES_FN Mask lanes_below(int n) { return {first(n)}; }
LANES_FN Vector load_masked(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m.m, p); }
LANES_FN Mask lanes_between(int low, int high) { return {static_cast<__mmask16>(first(high) & ~first(low))}; }
LANES_FN Vector load_over(Vector x, const float* p, Mask m) { return _mm512_mask_loadu_ps(x.v, m.m, p); }  // other lanes keep x
LANES_FN VectorInt load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
LANES_FN void store(int32_t* p, VectorInt x) { _mm512_storeu_si512(p, x.v); }
LANES_FN Vector gather_over(Vector x, const float* p, VectorInt at) {  // lanes whose index is negative keep x
  return _mm512_mask_i32gather_ps(x.v, _mm512_cmpge_epi32_mask(at.v, _mm512_setzero_si512()), at.v, p, 4);
}
LANES_FN void store(float* p, Vector x) { _mm512_storeu_ps(p, x.v); }
LANES_FN void store_some(float* p, int n, Vector x) { _mm512_mask_storeu_ps(p, first(n), x.v); }
LANES_FN Vector fill_beyond(Vector x, int n, float fill) {
  return _mm512_mask_blend_ps(first(n), _mm512_set1_ps(fill), x.v);
}
// op over lanes l and l + w for w = 8, 4, 2, 1.
template <class Op>
LANES_FN float butterfly(Vector x, Op op) {
  x = op(x, Vector(_mm512_shuffle_f32x4(x.v, x.v, 0x4E)));
  x = op(x, Vector(_mm512_shuffle_f32x4(x.v, x.v, 0xB1)));
  x = op(x, Vector(_mm512_permute_ps(x.v, 0x4E)));
  x = op(x, Vector(_mm512_permute_ps(x.v, 0xB1)));
  return _mm512_cvtss_f32(x.v);
}
template <>
struct Lane<Vector> {
  static constexpr int kWidth = 16;
  using Int = VectorInt;
};
// Row i, lane j becomes row j, lane i.
LANES_FN void transpose(Vector (&row)[16]) {
  __m512 a[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // 4 x 4 within each quarter of a register
    const __m512 t0 = _mm512_unpacklo_ps(row[i].v, row[i + 1].v), t1 = _mm512_unpackhi_ps(row[i].v, row[i + 1].v);
    const __m512 t2 = _mm512_unpacklo_ps(row[i + 2].v, row[i + 3].v), t3 = _mm512_unpackhi_ps(row[i + 2].v, row[i + 3].v);
    a[i] = _mm512_shuffle_ps(t0, t2, 0x44);
    a[i + 1] = _mm512_shuffle_ps(t0, t2, 0xEE);
    a[i + 2] = _mm512_shuffle_ps(t1, t3, 0x44);
    a[i + 3] = _mm512_shuffle_ps(t1, t3, 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {  // then the quarters themselves
    const __m512 t0 = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x44), t1 = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xEE);
    const __m512 t2 = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x44), t3 = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xEE);
    row[i].v = _mm512_shuffle_f32x4(t0, t2, 0x88);
    row[i + 4].v = _mm512_shuffle_f32x4(t0, t2, 0xDD);
    row[i + 8].v = _mm512_shuffle_f32x4(t1, t3, 0x88);
    row[i + 12].v = _mm512_shuffle_f32x4(t1, t3, 0xDD);
  }
}

#elif defined(__AVX2__)

struct Mask {
  __m256 m;
};
struct VectorInt {
  __m256i v;
  LANES_FN VectorInt() : v(_mm256_setzero_si256()) {}
  LANES_FN VectorInt(__m256i x) : v(x) {}
  LANES_FN VectorInt(uint32_t x) : v(_mm256_set1_epi32(static_cast<int>(x))) {}
};
LANES_FN VectorInt operator+(VectorInt a, VectorInt b) { return _mm256_add_epi32(a.v, b.v); }
LANES_FN VectorInt operator-(VectorInt a, VectorInt b) { return _mm256_sub_epi32(a.v, b.v); }
LANES_FN VectorInt operator&(VectorInt a, VectorInt b) { return _mm256_and_si256(a.v, b.v); }
LANES_FN VectorInt operator|(VectorInt a, VectorInt b) { return _mm256_or_si256(a.v, b.v); }
LANES_FN VectorInt operator^(VectorInt a, VectorInt b) { return _mm256_xor_si256(a.v, b.v); }
LANES_FN VectorInt operator<<(VectorInt a, int by) { return _mm256_slli_epi32(a.v, by); }
LANES_FN VectorInt shift_signed(VectorInt a, int by) { return _mm256_srai_epi32(a.v, by); }

struct Vector {
  __m256 v;
  Vector() = default;
  LANES_FN Vector(__m256 x) : v(x) {}
  LANES_FN Vector(float x) : v(_mm256_set1_ps(x)) {}
};
LANES_FN Vector operator+(Vector a, Vector b) { return _mm256_add_ps(a.v, b.v); }
LANES_FN Vector operator-(Vector a, Vector b) { return _mm256_sub_ps(a.v, b.v); }
LANES_FN Vector operator*(Vector a, Vector b) { return _mm256_mul_ps(a.v, b.v); }
LANES_FN Vector operator/(Vector a, Vector b) { return _mm256_div_ps(a.v, b.v); }
LANES_FN Mask operator<(Vector a, Vector b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
LANES_FN Mask operator<=(Vector a, Vector b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
LANES_FN Mask operator>(Vector a, Vector b) { return b < a; }
LANES_FN Mask operator==(Vector a, Vector b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
LANES_FN Mask is_nan(Vector a) { return {_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q)}; }
LANES_FN Vector select(Mask m, Vector yes, Vector no) { return _mm256_blendv_ps(no.v, yes.v, m.m); }
LANES_FN VectorInt select(Mask m, VectorInt yes, VectorInt no) {
  return _mm256_blendv_epi8(no.v, yes.v, _mm256_castps_si256(m.m));
}
LANES_FN Vector fused(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
LANES_FN Vector root(Vector a) { return _mm256_sqrt_ps(a.v); }
LANES_FN VectorInt as_bits(Vector a) { return _mm256_castps_si256(a.v); }
LANES_FN Vector as_float(VectorInt a) { return _mm256_castsi256_ps(a.v); }
LANES_FN Vector to_float(VectorInt a) { return _mm256_cvtepi32_ps(a.v); }

LANES_FN bool any(Mask m) { return _mm256_movemask_ps(m.m) != 0; }
LANES_FN Mask unordered_or(Vector x, Vector limit) { return {_mm256_cmp_ps(x.v, limit.v, _CMP_NLT_UQ)}; }
LANES_FN Vector at_least(Vector x, float low) { return _mm256_max_ps(_mm256_set1_ps(low), x.v); }  // the second operand is what a NaN gives
LANES_FN Vector at_most(Vector x, float high) { return _mm256_min_ps(_mm256_set1_ps(high), x.v); }

LANES_FN __m256i first(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
template <>
LANES_FN Vector load<Vector>(const float* p) {
  return _mm256_loadu_ps(p);
}
template <>
LANES_FN Vector load_some<Vector>(const float* p, int n, float fill) {
  return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, first(n)), _mm256_castsi256_ps(first(n)));
}
LANES_FN Mask lanes_between(int low, int high) { return {_mm256_castsi256_ps(_mm256_andnot_si256(first(low), first(high)))}; }
LANES_FN Vector load_over(Vector x, const float* p, Mask m) {
  return _mm256_blendv_ps(x.v, _mm256_maskload_ps(p, _mm256_castps_si256(m.m)), m.m);
}
LANES_FN VectorInt load_ints(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
LANES_FN void store(int32_t* p, VectorInt x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
LANES_FN Vector gather_over(Vector x, const float* p, VectorInt at) {
  return _mm256_mask_i32gather_ps(x.v, p, at.v, _mm256_castsi256_ps(_mm256_xor_si256(at.v, _mm256_set1_epi32(-1))), 4);
}
LANES_FN void store(float* p, Vector x) { _mm256_storeu_ps(p, x.v); }
LANES_FN void store_some(float* p, int n, Vector x) { _mm256_maskstore_ps(p, first(n), x.v); }
LANES_FN Vector fill_beyond(Vector x, int n, float fill) {
  return _mm256_blendv_ps(_mm256_set1_ps(fill), x.v, _mm256_castsi256_ps(first(n)));
}
// op over lanes l and l + w for w = 4, 2, 1.
template <class Op>
LANES_FN float butterfly(Vector x, Op op) {
  x = op(x, Vector(_mm256_permute2f128_ps(x.v, x.v, 1)));
  x = op(x, Vector(_mm256_permute_ps(x.v, 0x4E)));
  x = op(x, Vector(_mm256_permute_ps(x.v, 0xB1)));
  return _mm256_cvtss_f32(x.v);
}
template <>
struct Lane<Vector> {
  static constexpr int kWidth = 8;
  using Int = VectorInt;
};
// Row i, lane j becomes row j, lane i.
LANES_FN void transpose(Vector (&row)[8]) {
  __m256 a[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {  // 4 x 4 within each half of a register
    const __m256 t0 = _mm256_unpacklo_ps(row[i].v, row[i + 1].v), t1 = _mm256_unpackhi_ps(row[i].v, row[i + 1].v);
    const __m256 t2 = _mm256_unpacklo_ps(row[i + 2].v, row[i + 3].v), t3 = _mm256_unpackhi_ps(row[i + 2].v, row[i + 3].v);
    a[i] = _mm256_shuffle_ps(t0, t2, 0x44);
    a[i + 1] = _mm256_shuffle_ps(t0, t2, 0xEE);
    a[i + 2] = _mm256_shuffle_ps(t1, t3, 0x44);
    a[i + 3] = _mm256_shuffle_ps(t1, t3, 0xEE);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {  // then the halves themselves
    row[i].v = _mm256_permute2f128_ps(a[i], a[i + 4], 0x20);
    row[i + 4].v = _mm256_permute2f128_ps(a[i], a[i + 4], 0x31);
  }
}

#elif defined(CAIRN_NEON)

struct Mask {
  uint32x4_t m;
};
struct VectorInt {
  uint32x4_t v;
  LANES_FN VectorInt() : v(vdupq_n_u32(0)) {}
  LANES_FN VectorInt(uint32x4_t x) : v(x) {}
  LANES_FN VectorInt(uint32_t x) : v(vdupq_n_u32(x)) {}
};
LANES_FN VectorInt operator+(VectorInt a, VectorInt b) { return vaddq_u32(a.v, b.v); }
LANES_FN VectorInt operator-(VectorInt a, VectorInt b) { return vsubq_u32(a.v, b.v); }
LANES_FN VectorInt operator&(VectorInt a, VectorInt b) { return vandq_u32(a.v, b.v); }
LANES_FN VectorInt operator|(VectorInt a, VectorInt b) { return vorrq_u32(a.v, b.v); }
LANES_FN VectorInt operator^(VectorInt a, VectorInt b) { return veorq_u32(a.v, b.v); }
LANES_FN VectorInt operator<<(VectorInt a, int by) { return vshlq_u32(a.v, vdupq_n_s32(by)); }
LANES_FN VectorInt shift_signed(VectorInt a, int by) {
  return vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a.v), vdupq_n_s32(-by)));
}

struct Vector {
  float32x4_t v;
  Vector() = default;
  LANES_FN Vector(float32x4_t x) : v(x) {}
  LANES_FN Vector(float x) : v(vdupq_n_f32(x)) {}
};
LANES_FN Vector operator+(Vector a, Vector b) { return vaddq_f32(a.v, b.v); }
LANES_FN Vector operator-(Vector a, Vector b) { return vsubq_f32(a.v, b.v); }
LANES_FN Vector operator*(Vector a, Vector b) { return vmulq_f32(a.v, b.v); }
LANES_FN Vector operator/(Vector a, Vector b) { return vdivq_f32(a.v, b.v); }
LANES_FN Mask operator<(Vector a, Vector b) { return {vcltq_f32(a.v, b.v)}; }
LANES_FN Mask operator<=(Vector a, Vector b) { return {vcleq_f32(a.v, b.v)}; }
LANES_FN Mask operator>(Vector a, Vector b) { return b < a; }
LANES_FN Mask operator==(Vector a, Vector b) { return {vceqq_f32(a.v, b.v)}; }
LANES_FN Mask is_nan(Vector a) { return {vmvnq_u32(vceqq_f32(a.v, a.v))}; }
LANES_FN Vector select(Mask m, Vector yes, Vector no) { return vbslq_f32(m.m, yes.v, no.v); }
LANES_FN VectorInt select(Mask m, VectorInt yes, VectorInt no) { return vbslq_u32(m.m, yes.v, no.v); }
LANES_FN Vector fused(Vector a, Vector b, Vector c) { return vfmaq_f32(c.v, a.v, b.v); }
LANES_FN Vector root(Vector a) { return vsqrtq_f32(a.v); }
LANES_FN VectorInt as_bits(Vector a) { return vreinterpretq_u32_f32(a.v); }
LANES_FN Vector as_float(VectorInt a) { return vreinterpretq_f32_u32(a.v); }
LANES_FN Vector to_float(VectorInt a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a.v)); }

LANES_FN bool any(Mask m) { return vmaxvq_u32(m.m) != 0; }
LANES_FN Mask unordered_or(Vector x, Vector limit) { return {vmvnq_u32(vcltq_f32(x.v, limit.v))}; }
LANES_FN Vector at_least(Vector x, float low) { return select(x < Vector(low), Vector(low), x); }  // a NaN stays
LANES_FN Vector at_most(Vector x, float high) { return select(x > Vector(high), Vector(high), x); }

// Memory under a mask goes lane by lane: a lane that does not count may lie outside of what may be read.
LANES_FN uint32x4_t first(int n) { return vcltq_s32(int32x4_t{0, 1, 2, 3}, vdupq_n_s32(n)); }
template <>
LANES_FN Vector load<Vector>(const float* p) {
  return vld1q_f32(p);
}
template <>
LANES_FN Vector load_some<Vector>(const float* p, int n, float fill) {
  float lane[4] = {fill, fill, fill, fill};
  for (int l = 0; l < 4 && l < n; l++) lane[l] = p[l];
  return vld1q_f32(lane);
}
LANES_FN Mask lanes_between(int low, int high) { return {vbicq_u32(first(high), first(low))}; }
LANES_FN Vector load_over(Vector x, const float* p, Mask m) {
  float lane[4];
  uint32_t counts[4];
  vst1q_f32(lane, x.v);
  vst1q_u32(counts, m.m);
  for (int l = 0; l < 4; l++)
    if (counts[l] != 0) lane[l] = p[l];
  return vld1q_f32(lane);
}
LANES_FN VectorInt load_ints(const int32_t* p) { return vreinterpretq_u32_s32(vld1q_s32(p)); }
LANES_FN void store(int32_t* p, VectorInt x) { vst1q_s32(p, vreinterpretq_s32_u32(x.v)); }
LANES_FN Vector gather_over(Vector x, const float* p, VectorInt at) {
  float lane[4];
  int32_t index[4];
  vst1q_f32(lane, x.v);
  store(index, at);
  for (int l = 0; l < 4; l++)
    if (index[l] >= 0) lane[l] = p[index[l]];
  return vld1q_f32(lane);
}
LANES_FN void store(float* p, Vector x) { vst1q_f32(p, x.v); }
LANES_FN void store_some(float* p, int n, Vector x) {
  float lane[4];
  vst1q_f32(lane, x.v);
  for (int l = 0; l < 4 && l < n; l++) p[l] = lane[l];
}
LANES_FN Vector fill_beyond(Vector x, int n, float fill) { return vbslq_f32(first(n), x.v, vdupq_n_f32(fill)); }
// op over lanes l and l + w for w = 2, 1.
template <class Op>
LANES_FN float butterfly(Vector x, Op op) {
  x = op(x, Vector(vextq_f32(x.v, x.v, 2)));
  x = op(x, Vector(vrev64q_f32(x.v)));
  return vgetq_lane_f32(x.v, 0);
}
template <>
struct Lane<Vector> {
  static constexpr int kWidth = 4;
  using Int = VectorInt;
};
// Row i, lane j becomes row j, lane i.
LANES_FN void transpose(Vector (&row)[4]) {
  const float32x4_t even0 = vtrn1q_f32(row[0].v, row[1].v), odd0 = vtrn2q_f32(row[0].v, row[1].v);
  const float32x4_t even1 = vtrn1q_f32(row[2].v, row[3].v), odd1 = vtrn2q_f32(row[2].v, row[3].v);
  row[0].v = vcombine_f32(vget_low_f32(even0), vget_low_f32(even1));
  row[1].v = vcombine_f32(vget_low_f32(odd0), vget_low_f32(odd1));
  row[2].v = vcombine_f32(vget_high_f32(even0), vget_high_f32(even1));
  row[3].v = vcombine_f32(vget_high_f32(odd0), vget_high_f32(odd1));
}

#else

using Vector = float;
using Mask = bool;
LANES_FN Mask lanes_between(int low, int high) { return low <= 0 && high > 0; }
LANES_FN Vector load_over(Vector x, const float* p, Mask m) { return m ? *p : x; }
LANES_FN uint32_t load_ints(const int32_t* p) { return static_cast<uint32_t>(*p); }
LANES_FN void store(int32_t* p, uint32_t x) { *p = static_cast<int32_t>(x); }
LANES_FN Vector gather_over(Vector x, const float* p, uint32_t at) { return static_cast<int32_t>(at) < 0 ? x : p[at]; }
LANES_FN void transpose(float (&)[1]) {}
template <class Op>
LANES_FN float butterfly(float x, Op) {
  return x;
}

#endif

#if !defined(__AVX512F__)
inline constexpr bool kMasksLoads = false;  // load_masked reads whole registers: all of their memory must be there
LANES_FN bool lanes_below(int) { return true; }
LANES_FN Vector load_masked(const float* p, bool) { return load<Vector>(p); }
#else
inline constexpr bool kMasksLoads = true;
#endif

inline constexpr int kWidth = Lane<Vector>::kWidth;

// A number as an argument that the compiler knows: how many Vectors side by side.
template <int N>
struct Wide {
  static constexpr int kCount = N;
};

// ---- loops ---------------------------------------------------------------------------------------------------------------

// body(i, m) for i = begin, begin + kWidth, ...: m = kWidth lanes count, fewer in the last step.
template <class Body>
LANES_FN void each(int64_t begin, int64_t end, Body body) {
  int64_t i = begin;
  for (; i + kWidth <= end; i += kWidth) body(i, kWidth);
  if (i < end) body(i, static_cast<int>(end - i));
}
LANES_FN Vector read(const float* p, int m) { return m == kWidth ? load<Vector>(p) : load_some<Vector>(p, m, 0.0f); }
// Brings the lines that a loop over long operands comes to soon: without it the loop computes while it waits for the third-level
// cache, but for as long as the processor looks ahead.
LANES_FN void fetch_ahead([[maybe_unused]] const float* p) {
  if constexpr (kWidth > 1) __builtin_prefetch(p + 256);
}
LANES_FN void fetch_ahead([[maybe_unused]] float* p) {  // to be written
  if constexpr (kWidth > 1) __builtin_prefetch(p + 256, 1);
}
LANES_FN void write(float* p, int m, Vector x) {
  x = canonical(x);
  if (m == kWidth) store(p, x);
  else store_some(p, m, x);
}

// The recursive rule of arith.h; term(i, m) gives a Vector for i and what follows, of which m lanes count.
template <class Term, class Op>
LANES_FN float lanes_reduce_block(int64_t n, Term term, float identity, Op op) {
  constexpr int kParts = 32 / kWidth;
  Vector lane[kParts];
#pragma GCC unroll 32
  for (int u = 0; u < kParts; u++) lane[u] = Vector(identity);
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 32
    for (int u = 0; u < kParts; u++) lane[u] = op(lane[u], term(i + u * kWidth, kWidth));
  }
  for (int u = 0; i < n; u++, i += kWidth) {
    const int m = static_cast<int>(least(kWidth, n - i));
    lane[u] = op(lane[u], fill_beyond(term(i, m), m, identity));
  }
#pragma GCC unroll 6
  for (int w = kParts / 2; w > 0; w /= 2) {
#pragma GCC unroll 16
    for (int u = 0; u < w; u++) lane[u] = op(lane[u], lane[u + w]);
  }
  return butterfly(lane[0], op);
}
template <class Term>
LANES_FN float lanes_sum_block(int64_t n, Term term) {
  return lanes_reduce_block(n, term, -0.0f, [](Vector a, Vector b) __attribute__((always_inline)) { return a + b; });
}
template <class Term>
LANES_FN float lanes_sum(int64_t n, Term term) {
  if (n <= kSumBlock) return lanes_sum_block(n, term);
  return sum_block(blocks_of(n, kSumBlock), [&](int64_t block) {
    const int64_t first = block * kSumBlock;
    return lanes_sum_block(least(kSumBlock, n - first), [&](int64_t i, int m) { return term(first + i, m); });
  });
}
template <class Term>
LANES_FN float lanes_max(int64_t n, Term term) {
  const float kLowest = as_float(0xFF800000u);
  Vector best[4] = {Vector(kLowest), Vector(kLowest), Vector(kLowest), Vector(kLowest)};
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) best[u] = greater(best[u], term(i + u * kWidth, kWidth));
  }
  for (; i < n; i += kWidth) {
    const int m = static_cast<int>(least(kWidth, n - i));
    best[0] = greater(best[0], fill_beyond(term(i, m), m, kLowest));
  }
  const auto op = [](Vector a, Vector b) { return greater(a, b); };
  return canonical(butterfly(op(op(best[0], best[1]), op(best[2], best[3])), op) + 0.0f);
}

// range(begin, end) over 0 .. n on the pool's threads, cut at multiples of `align`; on this thread alone below `grain` * 2
// steps. What is computed must not depend on the cuts.
template <class Range>
inline void parallel(Pool* pool, int64_t n, int64_t grain, int64_t align, Range range) {
  const int64_t units = (n + align - 1) / align;
  int64_t parts = pool == nullptr ? 1 : least(least(pool->threads(), units), n / (grain > 0 ? grain : 1));
  if (parts <= 1) {
    require_cpu_state();
    range(int64_t{0}, n);
    return;
  }
  struct Job {
    Range* range;
    int64_t n, units, parts, align;
  } job{&range, n, units, parts, align};
  pool->run(static_cast<int>(parts), [](void* data, int part) {
    const Job& j = *static_cast<Job*>(data);
    const int64_t begin = j.units * part / j.parts * j.align;
    const int64_t end = least(j.n, j.units * (part + 1) / j.parts * j.align);
    if (begin < end) (*j.range)(begin, end);
  }, &job);
}
inline constexpr int64_t kGrain = 16384;  // elements of light work that pay for waking a thread

}  // namespace cairn::kernels::CAIRN_ISA
