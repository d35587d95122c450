// Order along a dimension: sorted, the first k, the greatest, with their places.
//
// A tensor is (outer, n, inner), ordered along the middle. Equal elements keep their order, so every place is decided; -0 and +0
// are equal, a NaN is greater than everything and all NaNs are equal.
#pragma once

#include "kernels/ops/indexing.h"

namespace cairn::kernels::CAIRN_ISA {

// Keys that compare as the elements do.
KERNEL_FN uint32_t order_key(float x) {
  const uint32_t bits = as_bits(x + 0.0f);  // -0 + 0 is +0
  return is_nan(x) ? 0xFFFFFFFFu : bits >> 31 ? ~bits : bits | 0x80000000u;
}
KERNEL_FN uint32_t order_key(int32_t x) { return static_cast<uint32_t>(x) ^ 0x80000000u; }
KERNEL_FN uint32_t order_key(uint8_t x) { return x; }
KERNEL_FN uint64_t order_key(int64_t x) { return static_cast<uint64_t>(x) ^ uint64_t{1} << 63; }
// The greatest of these is the least element, but a NaN still comes before it.
template <class T>
KERNEL_FN auto least_key(T x) {
  const auto key = order_key(x);
  using Key = std::remove_const_t<decltype(key)>;
  return std::is_same_v<T, float> && key == static_cast<Key>(0xFFFFFFFFu) ? key : static_cast<Key>(~key);
}
// body(x) for an element given by its bits.
template <class Body>
KERNEL_FN uint64_t of_dtype(DType t, uint64_t bits, Body body) {
  if (t == DType::f32) return body(as_float(static_cast<uint32_t>(bits)));
  if (t == DType::i64) return body(static_cast<int64_t>(bits));
  if (t == DType::i32) return body(static_cast<int32_t>(static_cast<uint32_t>(bits)));
  return body(static_cast<uint8_t>(bits));
}
// body(T{}) for the type of the elements.
template <class Body>
LANES_FN void with_dtype(DType t, Body body) {
  if (t == DType::f32) body(float{});
  else if (t == DType::i64) body(int64_t{});
  else if (t == DType::i32) body(int32_t{});
  else body(uint8_t{});
}

struct OrderedLines {
  int64_t outer, n, inner;
  DType dtype;
};
inline Expect& expect_lines(Expect& expect, std::span<const TensorType> in) {
  expect.rank_is(0, 3).that([&] { return in[0].dtype == DType::f32 || in[0].dtype == DType::i64 || in[0].dtype == DType::i32 || in[0].dtype == DType::u8; },
                            "orders f32, i64, i32 and u8");
  return expect.that([&] { return in[0].shape[1] < int64_t{1} << 31; }, "takes lines of up to 2^31 - 1 elements");
}
inline OrderedLines ordered_lines(const TensorType& x) { return {x.shape[0], x.shape[1], x.shape[2], x.dtype}; }

// Stable, ascending by `digits` digits of 8 bits; leaves the result in a or b and says where.
template <class E, class Digit>
inline E* radix_sort(E* a, E* b, int64_t n, int digits, Digit digit) {
  uint32_t start[8][256];
  __builtin_memset(start, 0, static_cast<size_t>(digits) * sizeof start[0]);
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < digits; d++) start[d][digit(a[i], d)]++;
  for (int d = 0; d < digits; d++) {
    if (start[d][digit(a[0], d)] == n) continue;
    uint32_t before = 0;
    for (uint32_t& bucket : start[d]) {
      const uint32_t count = bucket;
      bucket = before;
      before += count;
    }
    for (int64_t i = 0; i < n; i++) b[start[d][digit(a[i], d)]++] = a[i];
    E* const sorted = b;
    b = a;
    a = sorted;
  }
  return a;
}

// place[o, i, c] = min(k, how many elements of the line come before element i)
// index[o, j, c] = the i whose place is j;  value[o, j, c] = x[o, index[o, j, c], c]
//   x (outer, n, inner) -> place (outer, n, inner) i32, index (outer, k, inner) i64, value (outer, k, inner)
//   one comes before another if it is less (greater under `descending`), or equal to it and at a lower index
struct Sort {
  static constexpr OperatorText kText{
      204, "sort.v1", "place[i] = min(k, elements before i); index[j] = the i with place j; value[j] = x[index[j]], j < k; along the middle of three dimensions, stable",
      "exact; value moves bits; counts by blocks of 256 elements", "Knuth, volume 3, 5.2, comparison counting; -0 = +0, NaNs greatest"};
  struct Args {
    OrderedLines lines;
    int64_t k, descending;
  };
  static std::vector<AttrSpec> attrs() { return {{"k"}, {"descending"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({2, 70, 3})}, {70, 1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(2);
    if (expect.ok()) expect_lines(expect, in);
    expect.that([&] { return attrs[0] >= 1 && attrs[0] <= in[0].shape[1]; }, "k is 1 .. the length of a line");
    expect.that([&] { return attrs[1] == 0 || attrs[1] == 1; }, "descending is 0 or 1");
    if (!expect.ok()) return expect.error();
    const std::vector<int64_t> first{in[0].shape[0], attrs[0], in[0].shape[2]};
    return Types{{DType::i32, in[0].shape}, i64(first), {in[0].dtype, first}};
  }
  static Args args(const CallShape& call) { return {ordered_lines(call.in[0]), call.attrs[0], call.attrs[1]}; }
  static uint64_t multiply_adds(const Args& a) {
    return static_cast<uint64_t>(a.lines.outer * a.lines.n * a.lines.inner * 2 * (64 - __builtin_clzll(static_cast<uint64_t>(a.lines.n))));
  }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return out == 2 ? 1 : blocks_of(a.lines.n, kFoldBlock); }

  template <class T>
  KERNEL_FN static auto key_of(const Args& a, T x) {
    const auto key = order_key(x);
    return a.descending ? static_cast<std::remove_const_t<decltype(key)>>(~key) : key;
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const OrderedLines& l = a.lines;
    const int64_t length = out == 0 ? l.n : a.k, c = e % l.inner, j = e / l.inner % length, base = e / l.inner / length * l.n * l.inner + c;
    if (out == 2) return {source.bits(0, base + source.i64(2, e) * l.inner), 0};
    const int64_t first = block * kFoldBlock, end = least(l.n, first + kFoldBlock);
    if (out == 1) {
      for (int64_t i = first; i < end; i++)
        if (static_cast<int64_t>(source.bits(1, base + i * l.inner)) == j) carry.lo = static_cast<uint64_t>(i);
      return carry;
    }
    const auto key = [&](int64_t i) {
      return of_dtype(l.dtype, source.bits(0, base + i * l.inner), [&](auto x) -> uint64_t { return key_of(a, x); });
    };
    const uint64_t own = key(j);
    carry.lo += static_cast<uint64_t>(count_of(source, end - first, [&](int64_t i) {
      const uint64_t other = key(first + i);
      return other < own || (other == own && first + i < j);
    }));
    if (end == l.n && carry.lo > static_cast<uint64_t>(a.k)) carry.lo = static_cast<uint64_t>(a.k);
    return carry;
  }

  // An element in the making: its key, and where it stood.
  struct Wide {
    uint64_t key, at;
  };
  static constexpr int kBins = 4096;
  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    const OrderedLines& l = a.lines;
    const T* x = static_cast<const T*>(c.in[0]);
    int32_t* place = static_cast<int32_t*>(c.out[0]);
    int64_t* index = static_cast<int64_t*>(c.out[1]);
    T* value = static_cast<T*>(c.out[2]);
    // Keys of 32 bits and an index share a word, whose order is then strict.
    using Entry = std::conditional_t<sizeof(T) == 8, Wide, uint64_t>;
    parallel(c.pool, l.outer * l.inner, kGrain / 8 / l.n + 1, 1, [&](int64_t begin, int64_t end) {
      const Workspace<Entry> one(l.n), two(l.n);
      for (int64_t line = begin; line < end; line++) {
        const int64_t base = line / l.inner * l.n * l.inner + line % l.inner, to = line / l.inner * a.k * l.inner + line % l.inner;
        int64_t count = l.n;
        Entry* sorted = nullptr;
        if constexpr (sizeof(T) == 8) {
          for (int64_t i = 0; i < l.n; i++) one.data[i] = {key_of(a, x[base + i * l.inner]), static_cast<uint64_t>(i)};
          sorted = radix_sort(one.data, two.data, l.n, 8, [](const Wide& w, int d) { return w.key >> (8 * d) & 255; });
        } else {
          const auto entry = [&](int64_t i) { return uint64_t{key_of(a, x[base + i * l.inner])} << 32 | static_cast<uint64_t>(i); };
          if (a.k <= l.n / 4 && l.n >= kBins / 4) {  // only those that may be among the first k
            const Workspace<uint32_t> bins(kBins);
            __builtin_memset(bins.data, 0, kBins * sizeof(uint32_t));
            for (int64_t i = 0; i < l.n; i++) bins.data[entry(i) >> 52]++;
            int64_t seen = 0;
            uint64_t last = 0;
            while ((seen += bins.data[last]) < a.k) last++;
            count = 0;
            for (int64_t i = 0; i < l.n; i++) {
              one.data[count] = entry(i);
              count += one.data[count] >> 52 <= last;
            }
          } else {
            for (int64_t i = 0; i < l.n; i++) one.data[i] = entry(i);
          }
          sorted = radix_sort(one.data, two.data, count, 4, [](uint64_t word, int d) { return word >> (32 + 8 * d) & 255; });
        }
        if (a.k < l.n)
          for (int64_t i = 0; i < l.n; i++) place[base + i * l.inner] = static_cast<int32_t>(a.k);
        for (int64_t j = 0; j < a.k; j++) {
          int64_t at = 0;
          if constexpr (sizeof(T) == 8) at = static_cast<int64_t>(sorted[j].at);
          else at = static_cast<int64_t>(sorted[j] & 0xFFFFFFFFu);
          place[base + at * l.inner] = static_cast<int32_t>(j);
          index[to + j * l.inner] = at;
          value[to + j * l.inner] = x[base + at * l.inner];
        }
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    with_dtype(a.lines.dtype, [&](auto element) { host_of<decltype(element)>(a, c); });
  }
};

// index[o, c] = the lowest i with the greatest x[o, i, c], or with the least; value[o, c] = x[o, index[o, c], c]; a NaN comes first
//   x (outer, n, inner) -> index (outer, inner) i64, value (outer, inner)
struct Extremum {
  static constexpr OperatorText kText{205, "extremum.v1", "index = the lowest i with the greatest x[o, i, c], the least when `lowest` is 1; value = x at index; a NaN comes before both",
                                      "exact; value moves bits; blocks of 256 elements", "classification"};
  struct Args {
    OrderedLines lines;
    int64_t lowest;
  };
  static std::vector<AttrSpec> attrs() { return {{"lowest"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() { return {{f32({2, 300, 5})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    Expect expect(in, attrs);
    expect.operands(1).attributes(1);
    if (expect.ok()) expect_lines(expect, in);
    expect.that([&] { return attrs[0] == 0 || attrs[0] == 1; }, "lowest is 0 or 1");
    if (!expect.ok()) return expect.error();
    const std::vector<int64_t> lines{in[0].shape[0], in[0].shape[2]};
    return Types{i64(lines), {in[0].dtype, lines}};
  }
  static Args args(const CallShape& call) { return {ordered_lines(call.in[0]), call.attrs[0]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.lines.outer * a.lines.n * a.lines.inner); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) { return out == 1 ? 1 : blocks_of(a.lines.n, kFoldBlock); }

  template <class T>
  KERNEL_FN static auto key_of(const Args& a, T x) {
    return a.lowest ? least_key(x) : order_key(x);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const OrderedLines& l = a.lines;
    const int64_t base = e / l.inner * l.n * l.inner + e % l.inner;
    if (out == 1) return {source.bits(0, base + source.i64(1, e) * l.inner), 0};
    const int64_t first = block * kFoldBlock, end = least(l.n, first + kFoldBlock);
    for (int64_t i = first; i < end; i++) {  // the carry: the index and its key
      const uint64_t key = of_dtype(l.dtype, source.bits(0, base + i * l.inner), [&](auto x) -> uint64_t { return key_of(a, x); });
      if (i == 0 || key > carry.hi) carry = {static_cast<uint64_t>(i), key};
    }
    return end < l.n ? carry : Carry{carry.lo, 0};
  }
  template <class T>
  static void host_of(const Args& a, const HostCall& c) {
    const OrderedLines& l = a.lines;
    const T* x = static_cast<const T*>(c.in[0]);
    int64_t* index = static_cast<int64_t*>(c.out[0]);
    T* value = static_cast<T*>(c.out[1]);
    parallel(c.pool, l.outer * l.inner, kGrain / l.n + 1, 16, [&](int64_t begin, int64_t end) {
      constexpr int64_t kColumns = 256;
      decltype(key_of(a, T{})) best[kColumns];
      for (int64_t line = begin, m = 0; line < end; line += m) {
        m = least(kColumns, least(end - line, l.inner - line % l.inner));
        const T* from = x + line / l.inner * l.n * l.inner + line % l.inner;
        if constexpr (std::is_same_v<T, float>) {
          if (l.inner == 1) {  // the greatest by whole registers, then where it stands
            const Vector sign(a.lowest ? -1.0f : 1.0f);
            const float most = lanes_max(l.n, [&](int64_t i, int lanes) { return read(from + i, lanes) * sign; }) * (a.lowest ? -1.0f : 1.0f);
            int64_t at = 0;
            while (is_nan(most) ? !is_nan(from[at]) : from[at] != most) at++;
            index[line] = at;
            value[line] = from[at];
            continue;
          }
        }
        for (int64_t i = 0; i < m; i++) {
          best[i] = key_of(a, from[i]);
          index[line + i] = 0;
        }
        for (int64_t j = 1; j < l.n; j++)
          for (int64_t i = 0; i < m; i++)
            if (const auto key = key_of(a, from[j * l.inner + i]); key > best[i]) {
              best[i] = key;
              index[line + i] = j;
            }
        for (int64_t i = 0; i < m; i++) value[line + i] = from[index[line + i] * l.inner + i];
      }
    });
  }
  static void host(const Args& a, const HostCall& c) {
    with_dtype(a.lines.dtype, [&](auto element) { host_of<decltype(element)>(a, c); });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
