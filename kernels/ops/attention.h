// Scaled dot-product attention and its gradient, numeric class f32, no scores in memory. The exact maximum of a row of scores
// goes first, then everything relative to it: nothing is rescaled on the way.
//
// Whoever computes or judges an element recomputes the scores it needs, 256 keys (or queries) at a time; row statistics are
// outputs, so that a dispute agrees on them first. A causal row takes whole groups of 64 keys: those beyond the row's own have
// weight +0 and are multiplied like others, groups that hold no key of the row are not touched.
//
// Source: Vaswani et al. 2017, eq. 1; Dao et al. 2022 for the gradient from row statistics.
#pragma once

#include "kernels/gemm.h"
#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

inline constexpr int64_t kCausalGroup = 64;
inline constexpr int64_t kMostDepth = 256;  // of a head: a block opens 256 keys and values whole

// Element (i, j) of a product goes through scores: s = q . k * scale + bias; weight w = e^(s - max), +0 where masked.
//   q (batch, heads, queries, depth), k (batch, kv_heads, keys, depth), v (batch, kv_heads, keys, width); head h reads keys and
//   values of head h / (heads / kv_heads); bias (batch | 1, heads | 1, queries | 1, keys), or none
//   a dropped weight is 0, a kept one divided by 1 - p, by philox_mask.v1 over (batch, heads, queries, keys)
struct AttentionArgs {
  int64_t batch, heads, kv_heads, queries, keys, depth, width;
  int64_t bias_batch, bias_head, bias_query;  // steps of bias, 0 where it is repeated
  float scale, p;
  uint32_t site;
  int32_t causal, bias;

  KERNEL_FN int64_t head(int64_t row) const { return row / queries; }  // of all batches
  KERNEL_FN int64_t kv_head(int64_t head) const { return head / heads * kv_heads + head % heads / (heads / kv_heads); }
  // Keys that row i weighs, and keys that it is multiplied with.
  KERNEL_FN int64_t own(int64_t i) const { return causal ? least(keys, i + 1) : keys; }
  KERNEL_FN int64_t taken(int64_t i) const { return causal ? least(keys, (i / kCausalGroup + 1) * kCausalGroup) : keys; }
  KERNEL_FN int64_t bias_at(int64_t row) const {
    return head(row) / heads * bias_batch + head(row) % heads * bias_head + row % queries * bias_query;
  }
  // 1 / (1 - p), or +0 for a dropped weight.
  KERNEL_FN float kept(const StepContext& step, int64_t row, int64_t j) const {
    if (p == 0.0f) return 1.0f;
    const int64_t e = row * keys + j;
    return philox_to_unit(philox_quad(step.seed, step.step, site, e / 4).word[e % 4]) >= p ? 1.0f / (1.0f - p) : 0.0f;
  }
  KERNEL_FN static float shift(float max) { return max == as_float(0xFF800000u) ? 0.0f : max; }  // of a row that is masked whole
  KERNEL_FN static float divisor(float sum) { return sum == 0.0f ? 1.0f : sum; }
};

template <class F>
KERNEL_FN F score_of(F chain, F scale, F bias) {
  return fused(chain, scale, bias);
}
template <class F>
KERNEL_FN F score_of(F chain, F scale) {
  return chain * scale;
}
// dot(a[first ...], b[first ...]) as a chain.
template <class S>
KERNEL_FN float chain_of(S& source, size_t a, int64_t a_first, size_t b, int64_t b_first, int64_t n) {
  float chain = 0.0f;
  for (int64_t k = 0; k < n; k++) chain = fused(source.f32(a, a_first + k), source.f32(b, b_first + k), chain);
  return chain;
}
// The score of row `row` (of all heads and batches) and key j; q and k are operands `q` and `q + 1`, bias is operand `bias`.
template <class S>
KERNEL_FN float score_at(const AttentionArgs& a, S& source, size_t q, size_t bias, int64_t row, int64_t j) {
  const float chain = chain_of(source, q, row * a.depth, q + 1, (a.kv_head(a.head(row)) * a.keys + j) * a.depth, a.depth);
  return a.bias ? score_of(chain, a.scale, source.f32(bias, a.bias_at(row) + j)) : score_of(chain, a.scale);
}

// ---- products of tiles, for the host bodies -------------------------------------------------------------------------------

// B of a product by panels of kPanel columns, where it lies or packed.
struct Panels {
  const float* data;
  int64_t panel, row;  // steps from panel to panel, and from row to row
};
LANES_FN int64_t packed_floats(int64_t n, int64_t depth) { return blocks_of(n, kPanel) * kPanel * depth; }
// b (depth, n) row-major
LANES_FN Panels panels_of(const float* b, int64_t n, int64_t depth, Scratch& scratch) {
  if (kWidth != 8 || n % kWidth == 0) return {b, kPanel, n};
  float* packed = scratch.need(packed_floats(n, depth));
  for (int64_t j = 0; j < n; j += kPanel) pack_plain(packed + j * depth, kPanel, b + j, n, least(kPanel, n - j), depth);
  return {packed, kPanel * depth, kPanel};
}
// b (n, depth) row-major, transposed
LANES_FN Panels panels_of_transposed(const float* b, int64_t n, int64_t depth, Scratch& scratch) {
  float* packed = scratch.need(packed_floats(n, depth));
  for (int64_t j = 0; j < n; j += kPanel)
    pack_transposed(packed + j * depth, kPanel, b + j * depth, depth, least(kPanel, n - j), depth);
  return {packed, kPanel * depth, kPanel};
}
// C (m, n) = A B, or C + A B unless `fresh`, chains over `depth` ascending. kRows as in run_tile.
template <bool kRows>
inline void multiply_panels(const float* a, int64_t a_step, Panels b, float* c, int64_t c_step, int64_t m, int64_t n, int64_t depth, bool fresh) {
  const int64_t bands = blocks_of(m, kTallest), tall = blocks_of(m, bands);
  for (int64_t j = 0; j < n; j += kPanel) {
    const int64_t columns = least(kPanel, n - j);
    const int wide = columns > kWidth ? 2 : 1;
    Tile t{};
    t.a_stride = a_step;
    t.b = b.data + j / kPanel * b.panel;
    t.b_stride = b.row;
    t.depth = depth;
    t.c_stride = c_step;
    t.last_lanes = static_cast<int>(columns - (wide - 1) * kWidth);
    t.first = fresh;
    for (int64_t i = 0; i < m; i += tall) {
      t.a = a + (kRows ? i * a_step : i);
      t.next_c = t.c = c + i * c_step + j;
      tile_of<kRows>(static_cast<int>(least(tall, m - i)), wide)(t);
    }
  }
}

// Scores of one row, from chains to scores in place; their greatest.
LANES_FN float scores_of_row(const AttentionArgs& a, const float* bias, float* row, int64_t n) {
  if (bias == nullptr) return lanes_max(n, [&](int64_t j, int m) __attribute__((always_inline)) {
    const Vector s = score_of(read(row + j, m), Vector(a.scale));
    store_some(row + j, m, s);
    return s;
  });
  return lanes_max(n, [&](int64_t j, int m) __attribute__((always_inline)) {
    const Vector s = score_of(read(row + j, m), Vector(a.scale), read(bias + j, m));
    store_some(row + j, m, s);
    return s;
  });
}
// to[j] = what the weight of key j of `row` is multiplied with, first <= j < first + n.
inline void kept_of_row(const AttentionArgs& a, const StepContext& step, int64_t row, int64_t first, int64_t n, float* to) {
  const float kept = 1.0f / (1.0f - a.p);
  const int64_t begin = row * a.keys + first;
  for (int64_t e = begin; e < begin + n;) {
    const PhiloxWords words = philox_quad(step.seed, step.step, a.site, e / 4);
    for (int64_t l = e % 4; l < 4 && e < begin + n; l++, e++) to[e - begin] = philox_to_unit(words.word[l]) >= a.p ? kept : 0.0f;
  }
}

inline Result<AttentionArgs> attention_shape(std::span<const TensorType> in, std::span<const int64_t> attrs, size_t q, size_t bias) {
  Expect expect(in, attrs);
  expect.that([&] { return in.size() == bias || in.size() == bias + 1; }, "takes " + std::to_string(bias) + " operands and a bias").attributes(4);
  for (size_t k = 0; k < 3; k++) expect.type(q + k, DType::f32, 4);
  if (!expect.ok()) return expect.error();
  const auto &Q = in[q].shape, &K = in[q + 1].shape, &V = in[q + 2].shape;
  expect.that([&] { return Q[0] == K[0] && Q[3] == K[3]; }, "query and key do not fit");
  expect.that([&] { return K[0] == V[0] && K[1] == V[1] && K[2] == V[2]; }, "key and value do not fit");
  expect.that([&] { return Q[1] % K[1] == 0; }, "heads of the query must be a multiple of the key's");
  expect.that([&] { return Q[3] <= kMostDepth && V[3] <= kMostDepth; }, "takes heads of up to 256 elements");
  expect.that([&] { return attrs[1] == 0 || attrs[1] == 1; }, "causal is 0 or 1");
  expect.that([&] { return attrs[2] >= 0 && attrs[2] < int64_t{1} << 31; }, "site is below 2^31");
  expect.that([&] { return attrs[3] >= 0 && attr_f32(attrs[3]) >= 0.0f && attr_f32(attrs[3]) < 1.0f; }, "p is a probability below 1");
  AttentionArgs a{};
  if (in.size() > bias) {
    expect.type(bias, DType::f32, 4);
    if (!expect.ok()) return expect.error();
    const auto& B = in[bias].shape;
    for (size_t d = 0; d < 3; d++) expect.that([&] { return B[d] == 1 || B[d] == Q[d]; }, "bias does not fit");
    expect.that([&] { return B[3] == K[2]; }, "bias does not fit");
    a.bias = 1;
    a.bias_query = B[2] == 1 ? 0 : B[3];
    a.bias_head = B[1] == 1 ? 0 : B[2] * B[3];
    a.bias_batch = B[0] == 1 ? 0 : B[1] * B[2] * B[3];
  }
  if (!expect.ok()) return expect.error();
  a.batch = Q[0];
  a.heads = Q[1];
  a.kv_heads = K[1];
  a.queries = Q[2];
  a.keys = K[2];
  a.depth = Q[3];
  a.width = V[3];
  a.scale = attr_f32(attrs[0]);
  a.causal = attrs[1] != 0;
  a.site = static_cast<uint32_t>(attrs[2]);
  a.p = attr_f32(attrs[3]);
  return a;
}
inline std::vector<AttrSpec> attention_attrs() {
  return {{"scale", AttrKind::f32}, {"causal"}, {"site"}, {"p", AttrKind::f32}};
}
inline uint64_t weighed_pairs(const AttentionArgs& a) {
  int64_t pairs = a.queries * a.keys;
  if (a.causal) {
    pairs = 0;
    for (int64_t i = 0; i < a.queries; i += kCausalGroup) pairs += least(kCausalGroup, a.queries - i) * a.taken(i);
  }
  return static_cast<uint64_t>(a.batch * a.heads) * static_cast<uint64_t>(pairs);
}

// ---- forward --------------------------------------------------------------------------------------------------------------

// max[i] = max_j s;  sum[i] = sum_j e^(s - max);  y[i] = sum_j e^(s - max) * kept * v[j] / sum
//   q, k, v (, bias) f32 -> max, sum (batch, heads, queries), y (batch, heads, queries, width)
struct Attention {
  static constexpr OperatorText kText{
      240, "attention.f32.v1",
      "s = q . k * scale (+ bias), j <= i where causal; max[i] = max_j s; sum[i] = sum_j w, w = e^(s - max), of a row whose max is -infinity e^s; "
      "y[i] = sum_j w * kept * v[j] / sum, / 1 where sum is 0; kept of philox_mask.v1",
      "s a chain of fused multiply-adds over the depth from +0, then times scale, or fused(chain, scale, bias); max exact (NaN wins); sum by "
      "blocks of 256 keys, each by the recursive rule, added in order; y a chain fused(w * kept, v, y) over keys ascending, then one "
      "division; a causal row takes keys below (i / 64 + 1) * 64, with w = +0 for j > i",
      "Vaswani et al. 2017, eq. 1"};
  using Args = AttentionArgs;
  static constexpr size_t kRowOutputs = 2;
  static std::vector<AttrSpec> attrs() { return attention_attrs(); }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() {
    return {{f32({1, 4, 70, 9}), f32({1, 2, 290, 9}), f32({1, 2, 290, 5}), f32({1, 1, 70, 290})}, {attr_of(0.3f), 1, 3, attr_of(0.25f)}};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, attention_shape(in, attrs, 0, 3));
    return Types{f32({a.batch, a.heads, a.queries}), f32({a.batch, a.heads, a.queries}), f32({a.batch, a.heads, a.queries, a.width})};
  }
  static Args args(const CallShape& call) { return must(attention_shape(call.in, call.attrs, 0, 3)); }
  static uint64_t multiply_adds(const Args& a) { return weighed_pairs(a) * static_cast<uint64_t>(a.depth + a.width + 16); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t) { return blocks_of(a.keys, kFoldBlock); }

  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const size_t in = a.bias ? 4 : 3;
    const int64_t row = out == 2 ? e / a.width : e, i = row % a.queries, first = block * kFoldBlock;
    const auto score = [&](int64_t j) { return score_at(a, source, 0, 3, row, j); };
    float value = as_float(static_cast<uint32_t>(carry.lo));
    if (out == 0) {
      const int64_t n = least(a.own(i) - first, kFoldBlock);
      if (n <= 0) return carry;
      const float most = max_of(source, n, [&](int64_t l) { return score(first + l); });
      return result(block == 0 ? most : greater(value, most));
    }
    const float shift = Args::shift(source.f32(in, row));
    const auto weight = [&](int64_t j) { return j < a.own(i) ? exp_of(score(j) - shift) : 0.0f; };
    const int64_t n = least(a.taken(i) - first, kFoldBlock);
    if (out == 1) {
      if (n <= 0) return carry;
      return result(value + sum_block(source, n, [&](int64_t l) { return weight(first + l); }));
    }
    const int64_t kv = a.kv_head(a.head(row)) * a.keys, at = e % a.width;
    for (int64_t j = first; j < first + n; j++)
      value = fused(weight(j) * a.kept(step, row, j), source.f32(2, (kv + j) * a.width + at), value);
    if (block + 1 == blocks(a, out)) value = value / Args::divisor(source.f32(in + 1, row));
    return result(value);
  }

  static void host(const Args& a, const HostCall& c) {
    const float *q = in_f32(c, 0), *k = in_f32(c, 1), *v = in_f32(c, 2), *bias = a.bias ? in_f32(c, 3) : nullptr;
    float *maxima = out_f32(c, 0), *sums = out_f32(c, 1), *y = out_f32(c, 2);
    const int64_t tiles = blocks_of(a.queries, kCausalGroup), work = a.keys * (a.depth + a.width) * kCausalGroup;
    parallel(c.pool, a.batch * a.heads * tiles, (int64_t{1} << 20) / work + 1, 1, [&](int64_t begin, int64_t end) {
      static thread_local Scratch keys_scratch, values_scratch, scores_scratch, kept_scratch;
      const int64_t step = blocks_of(a.keys, 32) * 32 + 16;  // rows of scores lie in different sets of the cache
      float* scores = scores_scratch.need(step * kCausalGroup);
      float* kept = a.p == 0.0f ? nullptr : kept_scratch.need(a.keys);
      Panels keys{}, values{};
      int64_t packed = -1;
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t head = unit / tiles, i0 = unit % tiles * kCausalGroup, kv = a.kv_head(head);
        const int64_t rows = least(kCausalGroup, a.queries - i0), taken = a.taken(i0);
        if (kv != packed) {
          keys = panels_of_transposed(k + kv * a.keys * a.depth, a.keys, a.depth, keys_scratch);
          values = panels_of(v + kv * a.keys * a.width, a.width, a.keys, values_scratch);
          packed = kv;
        }
        multiply_panels<true>(q + (head * a.queries + i0) * a.depth, a.depth, keys, scores, step, rows, taken, a.depth, true);
        for (int64_t r = 0; r < rows; r++) {
          const int64_t row = head * a.queries + i0 + r, own = a.own(i0 + r);
          float* s = scores + r * step;
          const float max = scores_of_row(a, bias ? bias + a.bias_at(row) : nullptr, s, own);
          const Vector shift(Args::shift(max));
          if (kept) kept_of_row(a, c.step, row, 0, own, kept);
          for (int64_t j = own; j < taken; j++) s[j] = 0.0f;
          float sum = 0.0f;
          for (int64_t j = 0; j < own; j += kFoldBlock)
            sum = canonical(sum + lanes_sum_block(least(kFoldBlock, own - j), [&](int64_t l, int m) __attribute__((always_inline)) {
              const Vector w = exp_of(read(s + j + l, m) - shift);
              store_some(s + j + l, m, kept ? w * read(kept + j + l, m) : w);
              return w;
            }));
          maxima[row] = max;
          sums[row] = sum;
        }
        float* to = y + (head * a.queries + i0) * a.width;
        for (int64_t j = 0; j < taken; j += kFoldBlock)
          multiply_panels<true>(scores + j, step, {values.data + j * values.row, values.panel, values.row}, to, a.width, rows, a.width,
                         least(kFoldBlock, taken - j), j == 0);
        for (int64_t r = 0; r < rows; r++) {
          const Vector divisor(Args::divisor(sums[head * a.queries + i0 + r]));
          each(0, a.width, [&](int64_t l, int m) { write(to + r * a.width + l, m, read(to + r * a.width + l, m) / divisor); });
        }
      }
    });
  }
};

// ---- backward -------------------------------------------------------------------------------------------------------------

// With w = e^(s - max) / sum and t = w * (kept * (dy[i] . v[j]) - delta[i]):
// delta[i] = dy[i] . y[i];  dq[i] = scale * sum_j t k[j];  dk[j] = scale * sum_i t q[i];  dv[j] = sum_i w * kept * dy[i]
//   dy, q, k, v, y, max, sum (, bias) f32, the last ones of attention.f32.v1 -> delta as max, dq as q, dk as k, dv as v
struct AttentionBackward {
  static constexpr OperatorText kText{
      241, "attention_backward.f32.v1",
      "w = e^(s - max) * (1 / sum), t = w * (kept * (dy[i] . v[j]) - delta[i]); delta[i] = sum dy[i] * y[i]; dq[i] = scale * sum_j t k[j]; "
      "dk[j] = scale * sum_i t q[i]; dv[j] = sum_i w * kept * dy[i]; operands dy, q, k, v, y, max, sum (, bias)",
      "s as in attention.f32.v1; delta by the recursive rule; dy . v a chain of fused multiply-adds from +0, then times kept; dq, dk, dv chains "
      "of fused multiply-adds, dq over keys ascending, dk and dv over the heads of the group and queries ascending, blocks of 256, then "
      "times scale; a causal row takes the keys of attention.f32.v1, with w = t = +0 for j > i",
      "Dao et al. 2022, appendix B.2"};
  using Args = AttentionArgs;
  static constexpr size_t kRowOutputs = 1;
  static std::vector<AttrSpec> attrs() { return attention_attrs(); }
  static std::vector<InPlace> in_place() { return {}; }
  static KnownCall known() {
    const TensorType y = f32({1, 4, 70, 5}), row = f32({1, 4, 70});
    return {{y, f32({1, 4, 70, 9}), f32({1, 2, 290, 9}), f32({1, 2, 290, 5}), y, row, row, f32({1, 1, 70, 290})},
            {attr_of(0.3f), 1, 3, attr_of(0.25f)}};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, attention_shape(in, attrs, 1, 7));
    Expect expect(in, attrs);
    expect.same(0, 4).same(5, 6);
    expect.that([&] { return in[0] == f32({a.batch, a.heads, a.queries, a.width}); }, "the output does not fit");
    expect.that([&] { return in[5] == f32({a.batch, a.heads, a.queries}); }, "statistics do not fit");
    if (!expect.ok()) return expect.error();
    return Types{in[5], in[1], in[2], in[3]};
  }
  static Args args(const CallShape& call) { return must(attention_shape(call.in, call.attrs, 1, 7)); }
  static uint64_t multiply_adds(const Args& a) { return weighed_pairs(a) * static_cast<uint64_t>(3 * a.depth + 2 * a.width + 24); }
  KERNEL_FN static int64_t blocks(const Args& a, size_t out) {
    return out == 0 ? 1 : out == 1 ? blocks_of(a.keys, kFoldBlock) : a.heads / a.kv_heads * blocks_of(a.queries, kFoldBlock);
  }

  template <class F>
  KERNEL_FN static F slope(F w, F kept, F product, F delta) {
    return w * (product * kept - delta);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t out, int64_t e, int64_t block, Carry carry, S& source) {
    const size_t delta = a.bias ? 8 : 7;
    if (out == 0)
      return result(sum_of(source, a.width, [&](int64_t l) { return source.f32(0, e * a.width + l) * source.f32(4, e * a.width + l); }));
    const auto weight = [&](int64_t row, int64_t j) {
      if (j >= a.own(row % a.queries)) return 0.0f;
      const float w = exp_of(score_at(a, source, 1, 7, row, j) - Args::shift(source.f32(5, row)));
      return w * (1.0f / Args::divisor(source.f32(6, row)));
    };
    const auto tilt = [&](int64_t row, int64_t j) {
      if (j >= a.own(row % a.queries)) return 0.0f;
      const int64_t kv = a.kv_head(a.head(row)) * a.keys + j;
      return slope(weight(row, j), a.kept(step, row, j), chain_of(source, 0, row * a.width, 3, kv * a.width, a.width), source.f32(delta, row));
    };
    float chain = as_float(static_cast<uint32_t>(carry.lo));
    if (out == 1) {
      const int64_t row = e / a.depth, kv = a.kv_head(a.head(row)) * a.keys, first = block * kFoldBlock;
      const int64_t end = least(a.taken(row % a.queries), first + kFoldBlock);
      for (int64_t j = first; j < end; j++) chain = fused(tilt(row, j), source.f32(2, (kv + j) * a.depth + e % a.depth), chain);
    } else {
      const int64_t size = out == 2 ? a.depth : a.width, kv = e / size / a.keys, j = e / size % a.keys, group = a.heads / a.kv_heads;
      const int64_t each_head = blocks_of(a.queries, kFoldBlock), first = block % each_head * kFoldBlock;
      const int64_t head = kv * group + block / each_head;  // kv counts over batches, and so does head
      const int64_t end = least(a.queries, first + kFoldBlock);
      for (int64_t i = first; i < end; i++) {
        if (j >= a.taken(i)) continue;
        const int64_t row = head * a.queries + i;
        const float t = out == 2 ? tilt(row, j) : j < a.own(i) ? weight(row, j) * a.kept(step, row, j) : 0.0f;
        chain = fused(t, source.f32(out == 2 ? 1 : 0, row * size + e % size), chain);
      }
    }
    if (out != 3 && block + 1 == blocks(a, out)) chain = chain * a.scale;
    return result(chain);
  }

  static void host(const Args& a, const HostCall& c) {
    const float *dy = in_f32(c, 0), *q = in_f32(c, 1), *k = in_f32(c, 2), *v = in_f32(c, 3), *y = in_f32(c, 4);
    const float *maxima = in_f32(c, 5), *sums = in_f32(c, 6), *bias = a.bias ? in_f32(c, 7) : nullptr;
    float *deltas = out_f32(c, 0), *dq = out_f32(c, 1), *dk = out_f32(c, 2), *dv = out_f32(c, 3);
    constexpr int64_t kKeys = 512;  // at a time
    const int64_t group = a.heads / a.kv_heads, most = least(a.keys, kKeys);
    const int64_t work = a.keys * (a.depth + a.width) * a.queries * group;
    parallel(c.pool, a.batch * a.kv_heads, (int64_t{1} << 20) / work + 1, 1, [&](int64_t begin, int64_t end) {
      static thread_local Scratch keys_turned, values_turned, keys_scratch, queries_scratch, grads_scratch, scores_scratch, slopes_scratch, kept_scratch;
      const int64_t step = blocks_of(most, 32) * 32 + 16;
      float *weights = scores_scratch.need(step * kCausalGroup), *slopes = slopes_scratch.need(step * kCausalGroup);
      float* kept = a.p == 0.0f ? nullptr : kept_scratch.need(most);
      for (int64_t kv = begin; kv < end; kv++) {
        const float *keys_here = k + kv * a.keys * a.depth, *values_here = v + kv * a.keys * a.width;
        float *dk_here = dk + kv * a.keys * a.depth, *dv_here = dv + kv * a.keys * a.width;
        const Panels turned_keys = panels_of_transposed(keys_here, a.keys, a.depth, keys_turned);
        const Panels turned_values = panels_of_transposed(values_here, a.keys, a.width, values_turned);
        const Panels keys = panels_of(keys_here, a.depth, a.keys, keys_scratch);
        std::memset(dk_here, 0, static_cast<size_t>(a.keys * a.depth) * sizeof(float));
        std::memset(dv_here, 0, static_cast<size_t>(a.keys * a.width) * sizeof(float));
        for (int64_t head = kv * group; head < (kv + 1) * group; head++)
          for (int64_t i0 = 0; i0 < a.queries; i0 += kCausalGroup) {
            const int64_t rows = least(kCausalGroup, a.queries - i0), taken = a.taken(i0), first = head * a.queries + i0;
            const float *q_here = q + first * a.depth, *dy_here = dy + first * a.width;
            float* dq_here = dq + first * a.depth;
            for (int64_t row = first; row < first + rows; row++)
              deltas[row] = canonical(lanes_sum(a.width, [&](int64_t l, int m) { return read(dy + row * a.width + l, m) * read(y + row * a.width + l, m); }));
            const Panels queries = panels_of(q_here, a.depth, rows, queries_scratch), grads = panels_of(dy_here, a.width, rows, grads_scratch);
            for (int64_t j0 = 0; j0 < taken; j0 += kKeys) {
              const int64_t n = least(kKeys, taken - j0);
              const auto panels_at = [&](Panels p) { return Panels{p.data + j0 / kPanel * p.panel, p.panel, p.row}; };
              multiply_panels<true>(q_here, a.depth, panels_at(turned_keys), weights, step, rows, n, a.depth, true);
              multiply_panels<true>(dy_here, a.width, panels_at(turned_values), slopes, step, rows, n, a.width, true);
              for (int64_t r = 0; r < rows; r++) {
                const int64_t row = first + r, own = least(a.own(i0 + r) - j0, n);
                float *w = weights + r * step, *t = slopes + r * step;
                const float* b = bias ? bias + a.bias_at(row) + j0 : nullptr;
                const Vector shift(Args::shift(maxima[row])), inverse(1.0f / Args::divisor(sums[row])), delta(deltas[row]), scale(a.scale);
                if (kept && own > 0) kept_of_row(a, c.step, row, j0, own, kept);
                each(0, own, [&](int64_t j, int m) __attribute__((always_inline)) {
                  const Vector chain = read(w + j, m), s = b ? score_of(chain, scale, read(b + j, m)) : score_of(chain, scale);
                  const Vector weight = exp_of(s - shift) * inverse, keep = kept ? read(kept + j, m) : Vector(1.0f);
                  store_some(t + j, m, slope(weight, keep, read(t + j, m), delta));
                  store_some(w + j, m, weight * keep);
                });
                for (int64_t j = own < 0 ? 0 : own; j < n; j++) w[j] = t[j] = 0.0f;
              }
              multiply_panels<true>(slopes, step, {keys.data + j0 * keys.row, keys.panel, keys.row}, dq_here, a.depth, rows, a.depth, n, j0 == 0);
              multiply_panels<false>(slopes, step, queries, dk_here + j0 * a.depth, a.depth, n, a.depth, rows, false);
              multiply_panels<false>(weights, step, grads, dv_here + j0 * a.width, a.width, n, a.width, rows, false);
            }
            each(0, rows * a.depth, [&](int64_t l, int m) { write(dq_here + l, m, read(dq_here + l, m) * Vector(a.scale)); });
          }
        each(0, a.keys * a.depth, [&](int64_t l, int m) { write(dk_here + l, m, read(dk_here + l, m) * Vector(a.scale)); });
        each(0, a.keys * a.width, [&](int64_t l, int m) { write(dv_here + l, m, read(dv_here + l, m)); });
      }
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
