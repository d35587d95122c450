// The pointwise parts of recurrent layers, one time step a call; the products with the weights stand before them. What all
// steps share (the input's part of the gates, the gradient of the output) is read where it lies: attribute `step` says which.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct CellArgs {
  int64_t batch, hidden, step;
};
// gx or dy (steps, batch, of_step * hidden), then rows of `widths` times hidden; hidden is that of operand `of`.
inline Result<CellArgs> cell_shape(std::span<const TensorType> in, std::span<const int64_t> attrs, int64_t of_step, std::vector<int64_t> widths, size_t of) {
  Expect expect(in, attrs);
  expect.operands(widths.size() + 1).attributes(1).type(0, DType::f32, 3);
  for (size_t k = 1; k <= widths.size(); k++) expect.type(k, DType::f32, 2);
  if (!expect.ok()) return expect.error();
  const CellArgs a{in[0].shape[1], in[of].shape[1], attrs[0]};
  expect.that([&] { return in[0].shape[2] == of_step * a.hidden; }, "operand 0 does not fit the state");
  for (size_t k = 1; k <= widths.size(); k++)
    expect.that([&] { return in[k].shape[0] == a.batch && in[k].shape[1] == widths[k - 1] * a.hidden; }, "operand " + std::to_string(k) + " does not fit the state");
  expect.that([&] { return a.step >= 0 && a.step < in[0].shape[0]; }, "step is none of operand 0's");
  if (!expect.ok()) return expect.error();
  return a;
}
// Rows of the batch on the pool.
template <class Row>
LANES_FN void each_row(const CellArgs& a, Pool* pool, Row row) {
  parallel(pool, a.batch, kGrain / 8 / a.hidden + 1, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) row(b);
  });
}

struct CellOperator {
  using Args = CellArgs;
  static std::vector<AttrSpec> attrs() { return {{"step"}}; }
  static std::vector<InPlace> in_place() { return {}; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }
};

// i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of gx[step] + gh;  c' = f * c + i * g;  h' = o * tanh(c')
//   gx (steps, batch, 4 hidden), gh (batch, 4 hidden), c (batch, hidden) f32 -> gates (batch, 4 hidden) i f g o, c', h'
struct LstmCell : CellOperator {
  static constexpr OperatorText kText{245, "lstm_cell.v1",
                                      "gates i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of gx[step] + gh; c' = f * c + i * g; h' = o * tanh(c'); outputs gates, c', h'",
                                      "one addition before each of sigmoid.v1 and tanh.v1; c' = fused(f, c, i * g)", "Hochreiter & Schmidhuber 1997; Gers et al. 2000"};
  static KnownCall known() { return {{f32({2, 3, 68}), f32({3, 68}), f32({3, 17})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, cell_shape(in, attrs, 4, {4, 1}, 2));
    static_cast<void>(a);
    return Types{in[1], in[2], in[2]};
  }
  static Args args(const CallShape& call) { return {call.in[2].shape[0], call.in[2].shape[1], call.attrs[0]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch * a.hidden * 5 * 24); }

  template <class F>
  KERNEL_FN static F next(F i, F f, F g, F c) {
    return fused(f, c, i * g);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.hidden;
    if (out == 0) {
      const float x = source.f32(0, a.step * a.batch * 4 * n + e) + source.f32(1, e);
      return result(e % (4 * n) / n == 2 ? tanh_of(x) : sigmoid_of(x));
    }
    const int64_t gates = e / n * 4 * n + e % n;
    if (out == 1) return result(next(source.f32(3, gates), source.f32(3, gates + n), source.f32(3, gates + 2 * n), source.f32(2, e)));
    return result(source.f32(3, gates + 3 * n) * tanh_of(source.f32(4, e)));
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t n = a.hidden;
    const float *gx = in_f32(c, 0) + a.step * a.batch * 4 * n, *gh = in_f32(c, 1), *cell = in_f32(c, 2);
    float *gates = out_f32(c, 0), *cells = out_f32(c, 1), *h = out_f32(c, 2);
    each_row(a, c.pool, [&](int64_t b) {
      each(0, n, [&](int64_t l, int m) {
        const int64_t at = b * 4 * n + l, e = b * n + l;
        const auto x = [&](int64_t gate) __attribute__((always_inline)) { return read(gx + at + gate * n, m) + read(gh + at + gate * n, m); };
        const Vector i = canonical(sigmoid_of(x(0))), f = canonical(sigmoid_of(x(1))), g = canonical(tanh_of(x(2))), o = canonical(sigmoid_of(x(3)));
        const Vector after = canonical(next(i, f, g, read(cell + e, m)));
        write(gates + at, m, i);
        write(gates + at + n, m, f);
        write(gates + at + 2 * n, m, g);
        write(gates + at + 3 * n, m, o);
        write(cells + e, m, after);
        write(h + e, m, o * tanh_of(after));
      });
    });
  }
};

// With dh' = dy[step] + dh, t = tanh(c'), s = dc + dh' * o * (1 - t^2):  dgates = s g i (1 - i), s c f (1 - f), s i (1 - g^2),
// dh' t o (1 - o);  dc = s * f
//   dy (steps, batch, hidden), dh, dc (batch, hidden), gates (batch, 4 hidden), c, c' (batch, hidden) f32 -> dgates, dc of before
struct LstmCellBackward : CellOperator {
  static constexpr OperatorText kText{246, "lstm_cell_backward.v1",
                                      "d = dy[step] + dh, t = tanh(c'), s = dc + d * o * (1 - t * t); dgates = s * g * (i * (1 - i)), s * c * (f * (1 - f)), "
                                      "s * i * (1 - g * g), d * t * (o * (1 - o)); dc before = s * f; operands dy, dh, dc, gates, c, c'",
                                      "left to right; s = fused(d * o, 1 - t * t, dc), 1 - t * t = fused(-t, t, 1), likewise for g", "Hochreiter & Schmidhuber 1997"};
  static KnownCall known() { return {{f32({2, 3, 17}), f32({3, 17}), f32({3, 17}), f32({3, 68}), f32({3, 17}), f32({3, 17})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, cell_shape(in, attrs, 1, {1, 1, 4, 1, 1}, 1));
    static_cast<void>(a);
    return Types{in[3], in[1]};
  }
  static Args args(const CallShape& call) { return {call.in[1].shape[0], call.in[1].shape[1], call.attrs[0]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch * a.hidden * 48); }

  template <class F>
  KERNEL_FN static F rest(F t) {  // 1 - t^2
    return fused(F(0.0f) - t, t, F(1.0f));
  }
  template <class F>
  KERNEL_FN static F bend(F gate) {
    return gate * (F(1.0f) - gate);
  }
  template <class F>
  KERNEL_FN static F slope(F d, F o, F t, F dc) {
    return fused(d * o, rest(t), dc);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.hidden, b = out == 0 ? e / (4 * n) : e / n, l = e % n, gate = out == 0 ? e % (4 * n) / n : 4, at = b * n + l;
    const auto of_gate = [&](int64_t g) { return source.f32(3, b * 4 * n + g * n + l); };
    const float d = source.f32(0, a.step * a.batch * n + at) + source.f32(1, at), t = tanh_of(source.f32(5, at)), o = of_gate(3);
    if (gate == 3) return result(d * t * bend(o));
    const float s = slope(d, o, t, source.f32(2, at));
    if (gate == 0) return result(s * of_gate(2) * bend(of_gate(0)));
    if (gate == 1) return result(s * source.f32(4, at) * bend(of_gate(1)));
    if (gate == 2) return result(s * of_gate(0) * rest(of_gate(2)));
    return result(s * of_gate(1));
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t n = a.hidden;
    const float *dy = in_f32(c, 0) + a.step * a.batch * n, *dh = in_f32(c, 1), *dc = in_f32(c, 2), *gates = in_f32(c, 3), *before = in_f32(c, 4), *after = in_f32(c, 5);
    float *dgates = out_f32(c, 0), *dbefore = out_f32(c, 1);
    each_row(a, c.pool, [&](int64_t b) {
      each(0, n, [&](int64_t l, int m) {
        const int64_t at = b * 4 * n + l, e = b * n + l;
        const Vector i = read(gates + at, m), f = read(gates + at + n, m), g = read(gates + at + 2 * n, m), o = read(gates + at + 3 * n, m);
        const Vector d = read(dy + e, m) + read(dh + e, m), t = tanh_of(read(after + e, m)), s = slope(d, o, t, read(dc + e, m));
        write(dgates + at, m, s * g * bend(i));
        write(dgates + at + n, m, s * read(before + e, m) * bend(f));
        write(dgates + at + 2 * n, m, s * i * rest(g));
        write(dgates + at + 3 * n, m, d * t * bend(o));
        write(dbefore + e, m, s * f);
      });
    });
  }
};

// r, z = sigmoid of gx[step] + gh;  n = tanh(gx[step] + r * gh);  h' = n + z * (h - n)
//   gx (steps, batch, 3 hidden), gh (batch, 3 hidden), h (batch, hidden) f32 -> gates (batch, 3 hidden) r z n, h'
struct GruCell : CellOperator {
  static constexpr OperatorText kText{247, "gru_cell.v1",
                                      "gates r, z = sigmoid of gx[step] + gh, n = tanh(gx[step] + r * gh); h' = n + z * (h - n); outputs gates, h'",
                                      "n = tanh.v1 of fused(r, gh, gx); h' = fused(z, h - n, n)", "Cho et al. 2014, with the reset gate after the product as in PyTorch"};
  static KnownCall known() { return {{f32({2, 3, 51}), f32({3, 51}), f32({3, 17})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, cell_shape(in, attrs, 3, {3, 1}, 2));
    static_cast<void>(a);
    return Types{in[1], in[2]};
  }
  static Args args(const CallShape& call) { return {call.in[2].shape[0], call.in[2].shape[1], call.attrs[0]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch * a.hidden * 4 * 24); }

  template <class F>
  KERNEL_FN static F next(F z, F n, F h) {
    return fused(z, h - n, n);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.hidden, x = a.step * a.batch * 3 * n;
    if (out == 0) {
      const int64_t gate = e % (3 * n) / n;
      if (gate == 2) {  // of its own output: the reset gate stands before it, and is made again
        const float r = canonical(sigmoid_of(source.f32(0, x + e - 2 * n) + source.f32(1, e - 2 * n)));
        return result(tanh_of(fused(r, source.f32(1, e), source.f32(0, x + e))));
      }
      return result(sigmoid_of(source.f32(0, x + e) + source.f32(1, e)));
    }
    const int64_t gates = e / n * 3 * n + e % n;
    return result(next(source.f32(3, gates + n), source.f32(3, gates + 2 * n), source.f32(2, e)));
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t n = a.hidden;
    const float *gx = in_f32(c, 0) + a.step * a.batch * 3 * n, *gh = in_f32(c, 1), *h = in_f32(c, 2);
    float *gates = out_f32(c, 0), *next_h = out_f32(c, 1);
    each_row(a, c.pool, [&](int64_t b) {
      each(0, n, [&](int64_t l, int m) {
        const int64_t at = b * 3 * n + l, e = b * n + l;
        const Vector r = canonical(sigmoid_of(read(gx + at, m) + read(gh + at, m))), z = canonical(sigmoid_of(read(gx + at + n, m) + read(gh + at + n, m)));
        const Vector fresh = canonical(tanh_of(fused(r, read(gh + at + 2 * n, m), read(gx + at + 2 * n, m))));
        write(gates + at, m, r);
        write(gates + at + n, m, z);
        write(gates + at + 2 * n, m, fresh);
        write(next_h + e, m, next(z, fresh, read(h + e, m)));
      });
    });
  }
};

// With d = dy[step] + dh, u = d (1 - z) (1 - n^2):  dgx = u gh_n r (1 - r), d (h - n) z (1 - z), u;  dgh the same with u * r
// last;  dh of before = d * z, without what comes through gh
//   dy (steps, batch, hidden), dh (batch, hidden), gates, gh (batch, 3 hidden), h (batch, hidden) f32 -> dgx, dgh, dh
struct GruCellBackward : CellOperator {
  static constexpr OperatorText kText{248, "gru_cell_backward.v1",
                                      "d = dy[step] + dh, u = d * (1 - z) * (1 - n * n); dgx = u * gh_n * (r * (1 - r)), d * (h - n) * (z * (1 - z)), u; dgh = the same with "
                                      "u * r last; dh before = d * z; operands dy, dh, gates, gh, h",
                                      "left to right; 1 - n * n = fused(-n, n, 1)", "Cho et al. 2014"};
  static KnownCall known() { return {{f32({2, 3, 17}), f32({3, 17}), f32({3, 51}), f32({3, 51}), f32({3, 17})}, {1}}; }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) {
    TRY_LET(a, cell_shape(in, attrs, 1, {1, 3, 3, 1}, 1));
    static_cast<void>(a);
    return Types{in[2], in[2], in[1]};
  }
  static Args args(const CallShape& call) { return {call.in[1].shape[0], call.in[1].shape[1], call.attrs[0]}; }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.batch * a.hidden * 24); }

  template <class F>
  KERNEL_FN static F fresh_slope(F d, F z, F n) {
    return d * (F(1.0f) - z) * LstmCellBackward::rest(n);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext&, size_t out, int64_t e, int64_t, Carry, S& source) {
    const int64_t n = a.hidden, b = out == 2 ? e / n : e / (3 * n), l = e % n, gate = out == 2 ? 3 : e % (3 * n) / n, at = b * n + l, gates = b * 3 * n + l;
    const float d = source.f32(0, a.step * a.batch * n + at) + source.f32(1, at);
    const float r = source.f32(2, gates), z = source.f32(2, gates + n), fresh = source.f32(2, gates + 2 * n);
    if (gate == 3) return result(d * z);
    if (gate == 1) return result(d * (source.f32(4, at) - fresh) * LstmCellBackward::bend(z));
    const float u = fresh_slope(d, z, fresh);
    if (gate == 0) return result(u * source.f32(3, gates + 2 * n) * LstmCellBackward::bend(r));
    return result(out == 0 ? u : u * r);
  }
  static void host(const Args& a, const HostCall& c) {
    const int64_t n = a.hidden;
    const float *dy = in_f32(c, 0) + a.step * a.batch * n, *dh = in_f32(c, 1), *gates = in_f32(c, 2), *gh = in_f32(c, 3), *h = in_f32(c, 4);
    float *dgx = out_f32(c, 0), *dgh = out_f32(c, 1), *before = out_f32(c, 2);
    each_row(a, c.pool, [&](int64_t b) {
      each(0, n, [&](int64_t l, int m) {
        const int64_t at = b * 3 * n + l, e = b * n + l;
        const Vector r = read(gates + at, m), z = read(gates + at + n, m), fresh = read(gates + at + 2 * n, m);
        const Vector d = read(dy + e, m) + read(dh + e, m), u = fresh_slope(d, z, fresh);
        const Vector dr = u * read(gh + at + 2 * n, m) * LstmCellBackward::bend(r), dz = d * (read(h + e, m) - fresh) * LstmCellBackward::bend(z);
        for (float* to : {dgx, dgh}) {
          write(to + at, m, dr);
          write(to + at + n, m, dz);
        }
        write(dgx + at + 2 * n, m, u);
        write(dgh + at + 2 * n, m, u * r);
        write(before + e, m, d * z);
      });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
