// Freivalds' check: right products pass, one wrong bit anywhere is found, and the sums are those of the operator.
#include "attest/freivalds.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "kernels/operator.h"

namespace cairn::attest {
namespace {

DigitMatrix random_matrix(int64_t rows, int64_t columns, std::mt19937_64& rng) {
  DigitMatrix out{rows, columns, std::vector<int16_t>(static_cast<size_t>(rows * columns))};
  for (int16_t& q : out.q) q = static_cast<int16_t>(static_cast<int>(rng() % 65'279) - 32'639);
  return out;
}

TEST(Freivalds, RightProductsPassAndOneWrongBitIsFound) {
  std::mt19937_64 rng(1);
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {3, 16, 17}, {37, 53, 41}, {8, 300, 128}, {64, 7, 100}}) {
    const DigitMatrix a = random_matrix(m, k, rng), b = random_matrix(k, n, rng);
    const auto sums = product_sums(a, b);
    for (int i = 0; i < 20; i++) EXPECT_TRUE(check_product(a, b, sums, blake3(encode(rng()))));
    for (int i = 0; i < 500; i++) {
      auto wrong = sums;
      wrong[rng() % wrong.size()] ^= int64_t{1} << (rng() % 44);
      ASSERT_FALSE(check_product(a, b, wrong, blake3(encode(rng())))) << m << " " << k << " " << n;
    }
    for (int i = 0; i < 200; i++) {
      DigitMatrix wrong = a;
      wrong.q[rng() % wrong.q.size()] ^= static_cast<int16_t>(1 << (rng() % 15));
      const bool same = product_sums(wrong, b) == sums;  // a column of B may be zero there
      ASSERT_EQ(static_cast<bool>(check_product(wrong, b, sums, blake3(encode(rng())))), same);
    }
  }
  // The greatest that there is: k = 65536, every number at its end.
  DigitMatrix a{1, 1 << 16, std::vector<int16_t>(1 << 16, -32'768)}, b{1 << 16, 1, std::vector<int16_t>(1 << 16, 32'767)};
  auto sums = product_sums(a, b);
  EXPECT_TRUE(check_product(a, b, sums, blake3(as_bytes("ends"))));
  sums[0]++;
  EXPECT_FALSE(check_product(a, b, sums, blake3(as_bytes("ends"))));
}

TEST(Freivalds, TheSumsAreTheOperators) {
  std::mt19937_64 rng(2);
  const kernels::Operator& op = *kernels::find_operator("matmul.int2.row.v1");
  constexpr int64_t m = 9, k = 130, n = 11;
  const std::vector<kernels::TensorType> in{{kernels::DType::f32, {m, k}}, {kernels::DType::f32, {k, n}}};
  const std::vector<int64_t> attrs{0, 0};
  const auto out = must(op.infer(in, attrs));
  std::vector<float> a(m * k), b(k * n), c(m * n);
  for (auto* list : {&a, &b})
    for (float& value : *list) value = static_cast<float>(static_cast<int64_t>(rng() % 2001) - 1000) / 97.0f;
  std::vector<int32_t> ea(m), eb(n);
  const std::array<const void*, 2> inputs{a.data(), b.data()};
  const std::array<void*, 3> outputs{ea.data(), eb.data(), c.data()};
  kernels::run_reference(op, {in, out, attrs}, {1, 1}, inputs, outputs);
  const DigitMatrix qa = digits_by_row(a, m, k, ea), qb = digits_by_column(b, k, n, eb);
  const auto sums = product_sums(qa, qb);
  EXPECT_TRUE(check_product(qa, qb, sums, blake3(as_bytes("operator"))));
  for (int64_t i = 0; i < m * n; i++) {
    const double value = std::ldexp(static_cast<double>(static_cast<float>(sums[static_cast<size_t>(i)])), ea[static_cast<size_t>(i / n)] + eb[static_cast<size_t>(i % n)] + 8);
    EXPECT_EQ(static_cast<float>(value), c[static_cast<size_t>(i)]) << i;
  }
}

}  // namespace
}  // namespace cairn::attest
