#include "attest/freivalds.h"

#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cairn::attest {
namespace {

constexpr uint64_t kP = (uint64_t{1} << 31) - 1;

uint64_t residue(uint64_t x) {
  x = (x & kP) + (x >> 31);
  x = (x & kP) + (x >> 31);
  x = (x & kP) + (x >> 31);
  return x >= kP ? x - kP : x;
}
uint64_t times(uint64_t x, uint64_t y) { return residue(x * y); }  // both below p

// A stored number becomes unsigned by this; the sums are put right afterwards.
constexpr uint64_t kBias = 1 << 15, kLowBias = 128;
// Sums of a matrix are below 2^50 in size: 2^16 terms of three digit products of at most 2^14, the highest shifted by 8.
constexpr uint64_t kSumBias = uint64_t{1} << 50;

// sum_c (q[c] + 2^15) x[c] and sum_c (low(q[c]) + 128) y[c] over a row, x and y residues; exact for up to 2^16 columns.
struct RowSums {
  uint64_t q = 0, low = 0;
};
RowSums row_sums(const int16_t* q, const uint64_t* x, const uint64_t* y, int64_t columns) {
  RowSums out;
  for (int64_t c = 0; c < columns; c++) {
    const uint64_t biased = static_cast<uint64_t>(q[c] + static_cast<int>(kBias));
    out.q += biased * x[c];
    out.low += ((biased + kLowBias) & 255) * y[c];
  }
  return out;
}
// sum_j (s[j] + 2^50) r[j] modulo p.
uint64_t sum_row(const int64_t* s, const uint64_t* r, int64_t columns) {
  uint64_t low = 0, high = 0;
  for (int64_t j = 0; j < columns; j++) {
    const uint64_t biased = static_cast<uint64_t>(s[j]) + kSumBias;
    low += (biased & kP) * r[j] >> 31;
    high += (biased & kP) * r[j] & kP;
    high += times(biased >> 31, r[j]);
  }
  return residue(residue(low) + residue(high));
}

#if defined(__x86_64__)
#define CAIRN_IFMA __attribute__((target("avx512f,avx512dq,avx512ifma")))

CAIRN_IFMA uint64_t total(__m512i x) {
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, x);
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum += lane;
  return sum;
}

// Eight columns at a time: 52-bit multiply-adds; products of 16 and 31 bits do not reach 52.
CAIRN_IFMA RowSums row_sums_ifma(const int16_t* q, const uint64_t* x, const uint64_t* y, int64_t columns) {
  __m512i sum_q[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, sum_low[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  const __m512i byte = _mm512_set1_epi64(255), bias = _mm512_set1_epi64(kBias), low_bias = _mm512_set1_epi64(kLowBias);
  int64_t c = 0;
  for (; c + 16 <= columns; c += 16)
    for (int h = 0; h < 2; h++) {
      const __m512i biased = _mm512_add_epi64(_mm512_maskz_cvtepi16_epi64(0xFF, _mm_loadu_si128(reinterpret_cast<const __m128i*>(q + c + 8 * h))), bias);
      sum_q[h] = _mm512_madd52lo_epu64(sum_q[h], biased, _mm512_loadu_si512(x + c + 8 * h));
      sum_low[h] = _mm512_madd52lo_epu64(sum_low[h], _mm512_and_si512(_mm512_add_epi64(biased, low_bias), byte), _mm512_loadu_si512(y + c + 8 * h));
    }
  RowSums out = row_sums(q + c, x + c, y + c, columns - c);
  out.q += total(_mm512_add_epi64(sum_q[0], sum_q[1]));
  out.low += total(_mm512_add_epi64(sum_low[0], sum_low[1]));
  return out;
}

// The product of 51 and 31 bits comes as 52 low and 30 high ones.
CAIRN_IFMA uint64_t sum_row_ifma(const int64_t* s, const uint64_t* r, int64_t columns) {
  __m512i low[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  const __m512i bias = _mm512_set1_epi64(static_cast<int64_t>(kSumBias));
  uint64_t sum = 0;
  int64_t j = 0;
  while (j + 16 <= columns) {
    const int64_t end = std::min(columns - 15, j + 16 * 2048);  // 2^12 terms of 2^52 fill 64 bits
    for (; j < end; j += 16)
      for (int h = 0; h < 2; h++) {
        const __m512i biased = _mm512_add_epi64(_mm512_loadu_si512(s + j + 8 * h), bias), x = _mm512_loadu_si512(r + j + 8 * h);
        low[h] = _mm512_madd52lo_epu64(low[h], biased, x);
        high[h] = _mm512_madd52hi_epu64(high[h], biased, x);
      }
    for (int h = 0; h < 2; h++) {
      alignas(64) uint64_t lanes[8];
      _mm512_store_si512(lanes, low[h]);
      for (const uint64_t lane : lanes) sum += residue(lane);
      _mm512_store_si512(lanes, high[h]);
      for (const uint64_t lane : lanes) sum += times(residue(lane), uint64_t{1} << (52 - 31));  // 2^52 = 2^21 modulo p
      low[h] = high[h] = _mm512_setzero_si512();
    }
  }
  return residue(sum + sum_row(s + j, r + j, columns - j));
}
#endif

struct Engine {
  RowSums (*rows)(const int16_t*, const uint64_t*, const uint64_t*, int64_t) = row_sums;
  uint64_t (*sums)(const int64_t*, const uint64_t*, int64_t) = sum_row;
  Engine() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512dq")) {
      rows = row_sums_ifma;
      sums = sum_row_ifma;
    }
#endif
  }
};

int32_t low_digit(int32_t q) { return ((q + 128) & 255) - 128; }

int16_t number_of(float value, int32_t exponent) {
  const float scaled = std::nearbyint(std::ldexp(value, -exponent));  // the operator's rounding: to nearest even
  return static_cast<int16_t>(std::fmin(std::fmax(scaled, -32768.0f), 32767.0f));
}

}  // namespace

DigitMatrix digits_by_row(std::span<const float> values, int64_t rows, int64_t columns, std::span<const int32_t> exponents) {
  DigitMatrix out{rows, columns, std::vector<int16_t>(static_cast<size_t>(rows * columns))};
  for (size_t i = 0; i < out.q.size(); i++) out.q[i] = number_of(values[i], exponents[i / static_cast<size_t>(columns)]);
  return out;
}
DigitMatrix digits_by_column(std::span<const float> values, int64_t rows, int64_t columns, std::span<const int32_t> exponents) {
  DigitMatrix out{rows, columns, std::vector<int16_t>(static_cast<size_t>(rows * columns))};
  for (size_t i = 0; i < out.q.size(); i++) out.q[i] = number_of(values[i], exponents[i % static_cast<size_t>(columns)]);
  return out;
}

std::vector<int64_t> product_sums(const DigitMatrix& a, const DigitMatrix& b) {
  CHECK(a.columns == b.rows);
  std::vector<int64_t> out(static_cast<size_t>(a.rows * b.columns));
  for (int64_t i = 0; i < a.rows; i++)
    for (int64_t k = 0; k < a.columns; k++) {
      const int64_t q = a.q[static_cast<size_t>(i * a.columns + k)], low = low_digit(static_cast<int32_t>(q));
      const int16_t* from = b.q.data() + k * b.columns;
      int64_t* to = out.data() + i * b.columns;
      for (int64_t j = 0; j < b.columns; j++) to[j] += q * from[j] - low * low_digit(from[j]);
    }
  for (int64_t& sum : out) sum /= 256;  // exactly: what is not divisible has been taken off
  return out;
}

Result<> check_product(const DigitMatrix& a, const DigitMatrix& b, std::span<const int64_t> sums, const Hash& seed) {
  CHECK(a.columns == b.rows && a.columns <= 1 << 16 && b.columns <= 1 << 16);
  CHECK(sums.size() == static_cast<size_t>(a.rows * b.columns));
  static const Engine engine;
  std::vector<uint64_t> r(static_cast<size_t>(b.columns)), u(static_cast<size_t>(b.rows)), v(static_cast<size_t>(b.rows));
  uint64_t sum_r = 0;
  for (size_t at = 0; at < r.size(); at += 4) {
    const Hash random = tagged_hash("cairn.freivalds.v1", {seed.span(), encode(static_cast<uint64_t>(at))});
    for (size_t i = 0; i < 4 && at + i < r.size(); i++) {
      uint64_t word = 0;
      std::memcpy(&word, random.data() + 8 * i, 8);
      r[at + i] = word % kP;
      sum_r = residue(sum_r + r[at + i]);
    }
  }
  // u = q_b r, v = d1_b r; then 256 S r = q_a u - d1_a v.
  uint64_t sum_u = 0, sum_v = 0;
  for (int64_t k = 0; k < b.rows; k++) {
    const RowSums found = engine.rows(b.q.data() + k * b.columns, r.data(), r.data(), b.columns);
    const auto at = static_cast<size_t>(k);
    u[at] = residue(residue(found.q) + kP - times(kBias, sum_r));
    v[at] = residue(residue(found.low) + kP - times(kLowBias, sum_r));
    sum_u = residue(sum_u + u[at]);
    sum_v = residue(sum_v + v[at]);
  }
  const uint64_t sum_bias = times(residue(kSumBias), sum_r);
  for (int64_t i = 0; i < a.rows; i++) {
    const RowSums found = engine.rows(a.q.data() + i * a.columns, u.data(), v.data(), a.columns);
    const uint64_t of_q = residue(residue(found.q) + kP - times(kBias, sum_u));
    const uint64_t of_low = residue(residue(found.low) + kP - times(kLowBias, sum_v));
    const uint64_t product = residue(of_q + kP - of_low);
    const int64_t* row = sums.data() + i * b.columns;
    const uint64_t claimed = times(256, residue(engine.sums(row, r.data(), b.columns) + kP - sum_bias));
    if (claimed != product)
      return Error{Code::proof, "row " + std::to_string(i) + " of a product is not what its operands give", "this machine computes wrong: do not commit"};
  }
  return {};
}

}  // namespace cairn::attest
