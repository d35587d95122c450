// Freivalds' check of an int2.row product (kernels/ops/matmul_int.h), exact over the integers: whether the sums are A times B, for a
// fraction of the work of multiplying. What a machine can ask of its own engine before it commits to what the engine gave.
//
// q = 256 d0 + d1 are the operands' numbers in units of their rows' and columns' exponents, d0 and d1 their digits. A product keeps
// d0 d0', d0 d1' and d1 d0', so its sums S are integers with
//   256 S[i, j] = sum_k q_a[i, k] q_b[k, j] - d1_a[i, k] d1_b[k, j]
// The check multiplies both sides by a vector r of residues modulo the prime p = 2^31 - 1. Sums that are not the product pass with
// a probability of at most 2^-31 + 2^-62 over r; r must not be known to whoever could make the sums wrong on purpose.
//
// Source: Freivalds 1977, "Probabilistic machines can use less running time".
#pragma once

#include <span>

#include "base/blake3.h"
#include "base/result.h"

namespace cairn::attest {

// Row-major; q in [-32768, 32767].
struct DigitMatrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<int16_t> q;
};
// The numbers of a matrix of f32 under the exponents that the operator's first two outputs give: of its rows, or of its columns.
DigitMatrix digits_by_row(std::span<const float> values, int64_t rows, int64_t columns, std::span<const int32_t> exponents);
DigitMatrix digits_by_column(std::span<const float> values, int64_t rows, int64_t columns, std::span<const int32_t> exponents);

// S = A B exactly, by multiplying.
std::vector<int64_t> product_sums(const DigitMatrix& a, const DigitMatrix& b);

// Whether `sums`, row-major (a.rows, b.columns), are the product's. `seed` gives r. Error: proof, naming the first row that differs.
// One thread; reads each matrix once.
Result<> check_product(const DigitMatrix& a, const DigitMatrix& b, std::span<const int64_t> sums, const Hash& seed);

}  // namespace cairn::attest
