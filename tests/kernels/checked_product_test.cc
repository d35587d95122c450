// Products that check themselves: the same bits as unchecked at every instruction set and number of threads, right products pass, and
// every fault after packing is found.
#include "kernels/checked_product.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <memory>
#include <random>

#include "kernels/pool.h"

namespace cairn::kernels {
namespace {

struct Shape {
  int64_t batch, m, k, n;
  int64_t trans_a = 0, trans_b = 0;
};

// A product with operands and outputs in memory.
class Product {
 public:
  Product(std::string_view name, Shape s, uint64_t seed, bool wild = false) : op(*find_operator(name)), attrs{s.trans_a, s.trans_b} {
    std::vector<int64_t> a{s.batch, s.m, s.k}, b{s.batch, s.k, s.n};
    if (s.trans_a) std::swap(a[1], a[2]);
    if (s.trans_b) std::swap(b[1], b[2]);
    in = {{DType::f32, a}, {DType::f32, b}};
    out = must(op.infer(in, attrs));
    std::mt19937_64 rng(seed);
    for (const auto& type : in) {
      auto* values = static_cast<float*>(add(type));
      for (int64_t i = 0; i < elements(type); i++) values[i] = std::ldexp(static_cast<float>(static_cast<int64_t>(rng() % 20'001) - 10'000), -static_cast<int>(rng() % 12));
      for (int64_t i = 0; wild && i < elements(type); i += 1 + static_cast<int64_t>(rng() % 300)) values[i] = rng() % 2 ? HUGE_VALF : -NAN;
      operands.push_back(values);
    }
    for (const auto& type : out) results.push_back(add(type));
  }
  void plain(const Exec& exec) { op.host(shape(), {}, operands, results, exec); }
  Result<> checked(const Exec& exec, uint64_t seed, const BreakTile& broken = {}) { return run_checked(op, shape(), operands, results, exec, seed, broken); }
  Bytes bytes_out() const {
    Bytes all;
    for (size_t o = 0; o < out.size(); o++) {
      const auto* from = static_cast<const uint8_t*>(results[o]);
      all.insert(all.end(), from, from + bytes(out[o]));
    }
    return all;
  }
  CallShape shape() const { return {in, out, attrs}; }

  const Operator& op;
  std::vector<int64_t> attrs;
  std::vector<TensorType> in, out;
  std::vector<const void*> operands;
  std::vector<void*> results;

 private:
  void* add(const TensorType& type) {
    memory_.emplace_back(std::aligned_alloc(64, (static_cast<size_t>(bytes(type)) + 63) / 64 * 64), &std::free);
    return memory_.back().get();
  }
  std::vector<std::unique_ptr<void, decltype(&std::free)>> memory_;
};

const std::vector<Shape> kShapes{{1, 1, 1, 1},       {1, 3, 16, 17},       {1, 37, 53, 41},        {1, 48, 128, 32},    {1, 49, 129, 33}, {1, 100, 300, 70},
                                 {1, 200, 1500, 90}, {3, 20, 140, 35},     {1, 61, 77, 95, 1, 0},  {1, 61, 77, 95, 0, 1}, {2, 50, 64, 40, 1, 1}};

TEST(CheckedProduct, RightProductsPassWithTheSameBits) {
  Pool pool(3);
  bool wild = false;
  for (const std::string_view name : {"matmul.int2.row.v1", "matmul.int2.v1"})
    for (const Shape& s : kShapes)
      for (const Isa isa : isas())
        for (Pool* threads : {static_cast<Pool*>(nullptr), &pool, static_cast<Pool*>(nullptr)}) {
          Product product(name, s, 1, wild = !wild);  // a number that no digits hold is a NaN in C, and no fault of the machine
          product.plain({isa, threads});
          const Bytes want = product.bytes_out();
          for (uint64_t seed = 0; seed < 4; seed++) {
            const auto checked = product.checked({isa, threads}, seed);
            ASSERT_TRUE(checked) << name << " " << kernels::name(isa) << " m " << s.m << ": " << checked.error().text;
            ASSERT_EQ(product.bytes_out(), want);
          }
        }
}

// What is broken before tile 2 (or, at m <= 48, tile 0), and what the verdict must be. `once`: mended before the next tile.
struct Breakage {
  const char* what;
  bool in_a;
  int64_t lane;  // of the packed side; from the end when negative
  int bit;
  bool once;
};
constexpr Breakage kBreakages[] = {
    {"a digit of the first row of A", true, 0, 3, false},
    {"the same, for one tile", true, 0, 3, true},
    {"its highest bit", true, 0, 7, true},
    {"a digit of B", false, 1, 0, false},
    {"the same, for one tile", false, 1, 0, true},
    {"where the sums of a row of A start", true, -48, 0, true},
    {"the same, at the highest bit", true, -48, 31, true},
};

TEST(CheckedProduct, EveryFaultAfterPackingIsFound) {
  for (const std::string_view name : {"matmul.int2.row.v1", "matmul.int2.v1"})
    for (const Isa isa : isas())
      for (const Breakage& b : kBreakages) {
        Product product(name, {1, 40, 100, 90}, 2);  // one panel of A, three of B; one block of k
        product.plain({isa, nullptr});
        const Bytes right = product.bytes_out();
        const auto broken = [&](int64_t tile, std::span<int32_t> a, std::span<int32_t> packed_b) {
          const std::span<int32_t> side = b.in_a ? a : packed_b;
          auto& lane = side[b.lane < 0 ? side.size() - static_cast<size_t>(-b.lane) : static_cast<size_t>(b.lane)];
          if (tile == 0 || (tile == 1 && b.once)) lane = static_cast<int32_t>(static_cast<uint32_t>(lane) ^ 1u << b.bit);
        };
        for (uint64_t seed = 0; seed < 20; seed++) {
          const auto checked = product.checked({isa, nullptr}, seed, broken);
          ASSERT_NE(product.bytes_out(), right) << b.what;
          ASSERT_FALSE(checked) << name << " " << kernels::name(isa) << ": " << b.what;
          EXPECT_EQ(checked.error().code, Code::known_answer);
        }
      }
}

// Any bit of what lies packed, but for the exponents, before any tile: found when it changes C.
TEST(CheckedProduct, RandomFaultsAreFound) {
  std::mt19937_64 rng(3);
  for (const std::string_view name : {"matmul.int2.row.v1", "matmul.int2.v1"}) {
    int found = 0;
    for (int i = 0; i < 400; i++) {
      const Shape shape{1, 1 + static_cast<int64_t>(rng() % 100), 1 + static_cast<int64_t>(rng() % 128), 1 + static_cast<int64_t>(rng() % 100)};
      Product product(name, shape, rng());
      const Isa isa = isas()[rng() % isas().size()];
      product.plain({isa, nullptr});
      const Bytes right = product.bytes_out();
      const int64_t tile = static_cast<int64_t>(rng() % 6);
      const bool in_a = rng() % 2;
      const uint64_t in_lane = isa == Isa::vnni ? 4 : 2, groups = (static_cast<uint64_t>(shape.k) + in_lane - 1) / in_lane, width = in_a ? 48 : 32;
      const uint64_t at = rng(), bit = rng() % 32, in_panel = at % ((2 * groups + 3) * width);
      if (in_panel >= 2 * groups * width && in_panel < (2 * groups + 1) * width) continue;  // int_gemm.h, PackedBlock
      const auto checked = product.checked({isa, nullptr}, rng(), [&](int64_t now, std::span<int32_t> a, std::span<int32_t> b) {
        const std::span<int32_t> side = in_a ? a : b;
        const uint64_t panel = at / ((2 * groups + 3) * width) % (side.size() / ((2 * groups + 3) * width));
        if (now == tile) side[panel * (2 * groups + 3) * width + in_panel] ^= static_cast<int32_t>(1u << bit);
      });
      if (checked) ASSERT_EQ(product.bytes_out(), right) << name << " " << kernels::name(isa) << " " << i;
      else found++;
    }
    EXPECT_GT(found, 100) << name;
  }
}

// The operators' sums, from their definition's digits alone: what the check holds them to is what they are.
TEST(CheckedProduct, SumsAreThoseOfTheDefinition) {
  for (const std::string_view name : {"matmul.int2.row.v1", "matmul.int2.v1"})
    for (const Shape& s : kShapes) {
      if (s.k > 300) continue;  // the definition is slow
      Product product(name, s, 4);
      ASSERT_TRUE(product.checked({best_isa(), nullptr}, 1));
      const Bytes have = product.bytes_out();
      run_reference(product.op, product.shape(), {}, product.operands, product.results);
      ASSERT_EQ(product.bytes_out(), have) << name << " m " << s.m;
    }
}

// The ends: k = 65536 of the greatest numbers, and more rows than 32 bits hold sums of.
TEST(CheckedProduct, TheGreatestSumsAreExact) {
  for (const Shape& s : {Shape{1, 7, 65'536, 3}, Shape{1, 9000, 4, 2}})
    for (const Isa isa : isas()) {
      Product product("matmul.int2.row.v1", s, 5);
      for (size_t o = 0; o < 2; o++)
        for (int64_t i = 0; i < elements(product.in[o]); i++) static_cast<float*>(const_cast<void*>(product.operands[o]))[i] = o == 0 && i % 2 ? 32'639.0f : -32'639.0f;
      EXPECT_TRUE(product.checked({isa, nullptr}, 1)) << kernels::name(isa);
      EXPECT_FALSE(product.checked({isa, nullptr}, 2, [](int64_t tile, std::span<int32_t>, std::span<int32_t> b) { b[0] ^= tile == 0; }));
    }
}

}  // namespace
}  // namespace cairn::kernels
