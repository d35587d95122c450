// Products over packed weights: the same bits as over the weight as it is, at every instruction set and number of threads.
#include "kernels/packed_weight.h"

#include <gtest/gtest.h>

#include <random>

#include "kernels/pool.h"

namespace cairn::kernels {
namespace {

using Floats = std::vector<float>;

Floats numbers(int64_t count, uint64_t seed) {
  std::mt19937_64 rng(seed);
  Floats all(static_cast<size_t>(count));
  for (float& value : all) value = static_cast<float>(static_cast<int64_t>(rng() % 2001) - 1000) / 512;
  return all;
}

TEST(PackedWeight, GivesTheSameBits) {
  struct Shape {
    int64_t m, n, k;
  };
  Pool two(2), seven(7);
  for (const auto [m, n, k] : {Shape{1, 1, 1}, {1, 100, 37}, {3, 33, 300}, {16, 384, 70}, {48, 65, 1100}, {192, 31, 5}, {60, 700, 33}})
    for (const char* name : {"linear.f32.v1", "matmul.f32.v1"}) {
      const Operator& op = *find_operator(std::string_view(name));
      const bool linear = op.name.starts_with("linear");
      std::vector<TensorType> in{{DType::f32, {m, k}}, {DType::f32, {n, k}}};
      if (linear) in.push_back({DType::f32, {n}});
      const std::vector<int64_t> attrs = linear ? std::vector<int64_t>{1} : std::vector<int64_t>{0, 1};
      const std::vector<TensorType> out = must(op.infer(in, attrs));
      const auto packed = with_packed_weight(op, {in, out, attrs});
      ASSERT_TRUE(packed);
      const Floats x = numbers(m * k, 1), w = numbers(n * k, 2), bias = numbers(n, 3);
      for (const Isa isa : isas())
        for (Pool* pool : {static_cast<Pool*>(nullptr), &two, &seven}) {
          const Exec exec{isa, pool};
          Floats weight = w, want(static_cast<size_t>(m * n)), have = want;
          std::vector<const void*> operands{x.data(), weight.data()};
          if (linear) operands.push_back(bias.data());
          void* to = want.data();
          op.host({in, out, attrs}, {}, operands, {&to, 1}, exec);
          pack_weight(weight.data(), in[kWeight], exec);
          to = have.data();
          op.host({in, out, *packed}, {}, operands, {&to, 1}, exec);
          EXPECT_EQ(have, want) << name << ' ' << m << 'x' << n << 'x' << k << ' ' << cairn::kernels::name(isa) << ' ' << (pool ? pool->threads() : 1);
        }
    }
}

TEST(PackedWeight, IsTakenWhereItIsOfUse) {
  const auto takes = [](const char* name, int64_t rows, std::vector<int64_t> attrs, std::vector<int64_t> weight) {
    const std::vector<TensorType> in{{DType::f32, {rows, 8}}, {DType::f32, std::move(weight)}}, out{{DType::f32, {rows, 4}}};
    return with_packed_weight(*find_operator(std::string_view(name)), {in, out, attrs}).has_value();
  };
  EXPECT_TRUE(takes("matmul.f32.v1", 192, {0, 1}, {4, 8}));
  EXPECT_FALSE(takes("matmul.f32.v1", 193, {0, 1}, {4, 8}));   // packed in passing
  EXPECT_FALSE(takes("matmul.f32.v1", 1, {0, 0}, {8, 4}));     // lies well
  EXPECT_FALSE(takes("matmul.int2.v1", 1, {0, 1}, {4, 8}));    // cut in digits
}

}  // namespace
}  // namespace cairn::kernels
