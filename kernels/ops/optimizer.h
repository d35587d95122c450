// Optimizers, one pass over the parameters. Learning rate and bias corrections come from row `step` of a schedule table, an
// input of the job: no transcendental here. A table shorter than the job repeats its last row; plan validation refuses it.
// Expressions in the order in which PyTorch's single-tensor optimizers evaluate them.
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

struct OptimizerArgs {
  int64_t n;
  int64_t steps;                        // rows of the schedule
  float a, b, eps, weight_decay;        // momentum; or beta1, beta2
  int32_t flag;                         // nesterov; decoupled
};
KERNEL_FN int64_t schedule_row(const OptimizerArgs& a, const StepContext& step) {
  return step.step < static_cast<uint64_t>(a.steps) ? static_cast<int64_t>(step.step) : a.steps - 1;
}
inline Result<Types> infer_optimizer(std::span<const TensorType> in, std::span<const int64_t> attrs, size_t tensors, size_t attributes, int64_t columns) {
  Expect expect(in, attrs);
  expect.operands(tensors + 1).attributes(attributes).dtype_is(0, DType::f32);
  for (size_t k = 1; k < tensors; k++) expect.same(0, k);
  expect.type(tensors, DType::f32, 2);
  expect.that([&] { return in[tensors].shape[1] == columns; }, "needs a schedule of " + std::to_string(columns) + " columns");
  expect.that([&] { return attrs.back() == 0 || attrs.back() == 1; }, "the last attribute is 0 or 1");
  if (!expect.ok()) return expect.error();
  return Types(tensors - 1, in[0]);
}

// g' = g + weight_decay * p;  buf' = momentum * buf + g';  p' = p - lr * (nesterov ? g' + momentum * buf' : buf')
//   p, g, buf of one shape, schedule (steps, 1): lr -> buf', p'
//   buf starts as zeros, so that the first buf' is g'
struct Sgd {
  static constexpr OperatorText kText{
      80, "sgd.v1", "g' = g + weight_decay * p; buf' = momentum * buf + g'; p' = p - lr * (nesterov ? g' + momentum * buf' : buf'); lr = schedule[step, 0]",
      "g' = fused(weight_decay, p, g), skipped at 0; buf' rounded product, then sum; g' + momentum * buf' and p' fused",
      "Sutskever et al. 2013; torch.optim.SGD"};
  using Args = OptimizerArgs;
  static std::vector<AttrSpec> attrs() { return {{"momentum", AttrKind::f32}, {"weight_decay", AttrKind::f32}, {"nesterov"}}; }
  static std::vector<InPlace> in_place() { return {{0, 2}, {1, 0}}; }
  static KnownCall known() {
    return {{f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 1})}, {attr_of(0.9f), attr_of(0.01f), 1}, 0.0f, 1.0f};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_optimizer(in, attrs, 3, 3, 1); }
  static Args args(const CallShape& call) {
    return {elements(call.in[0]), call.in[3].shape[0], attr_f32(call.attrs[0]), 0, 0, attr_f32(call.attrs[1]), call.attrs[2] != 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * 4; }
  static uint64_t moved_bytes(const CallShape& call) { return 5 * static_cast<uint64_t>(bytes(call.in[0])) + 4; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F decayed(const Args& a, F p, F g) {
    return a.weight_decay != 0.0f ? fused(F(a.weight_decay), p, g) : g;
  }
  template <class F>
  KERNEL_FN static F buffer(const Args& a, F p, F g, F buf) {
    return F(a.a) * buf + decayed(a, p, g);
  }
  template <class F>
  KERNEL_FN static F parameter(const Args& a, F p, F g, F buf_next, F lr) {
    const F direction = a.flag ? fused(F(a.a), buf_next, decayed(a, p, g)) : buf_next;
    return fused(F(0.0f) - lr, direction, p);
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t out, int64_t e, int64_t, Carry, S& source) {
    const float p = source.f32(0, e), g = source.f32(1, e);
    if (out == 0) return result(buffer(a, p, g, source.f32(2, e)));
    return result(parameter(a, p, g, source.f32(4, e), source.f32(3, schedule_row(a, step))));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *p = in_f32(c, 0), *g = in_f32(c, 1), *buf = in_f32(c, 2);
    float *buf_next = out_f32(c, 0), *p_next = out_f32(c, 1);
    const float lr = in_f32(c, 3)[schedule_row(a, c.step)];
    parallel(c.pool, a.n, kGrain, 16, [=](int64_t begin, int64_t end) {
      each(begin, end, [=](int64_t i, int m) __attribute__((always_inline)) {
        const Vector pi = read(p + i, m), gi = read(g + i, m), b = buffer(a, pi, gi, read(buf + i, m));
        write(buf_next + i, m, b);
        write(p_next + i, m, parameter(a, pi, gi, b, Vector(lr)));
      });
    });
  }
};

// (lr, c1, c2) = schedule[step]: lr, 1 - beta1^t, sqrt(1 - beta2^t)
// decoupled: p <- p * (1 - lr * weight_decay), else g <- g + weight_decay * p
// m' = beta1 * m + (1 - beta1) * g;  v' = beta2 * v + (1 - beta2) * g^2;  p' = p - (lr / c1) * m' / (sqrt(v') / c2 + eps)
//   p, g, m, v of one shape, schedule (steps, 3) -> m', v', p'
struct Adam {
  static constexpr OperatorText kText{
      81, "adam.v1",
      "(lr, c1, c2) = schedule[step]; decoupled: p <- p (1 - lr weight_decay), else g <- g + weight_decay p; m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; p' = p - (lr / c1) m' / (sqrt(v') / c2 + eps)",
      "g fused, skipped at 0; m' = fused(g, 1 - beta1, m * beta1); v' = fused((1 - beta2) * g, g, v * beta2); p' = p + (-(lr / c1) * m') / (sqrt(v') / c2 + eps)",
      "Kingma & Ba 2015, Loshchilov & Hutter 2019; torch.optim.Adam"};
  using Args = OptimizerArgs;
  static std::vector<AttrSpec> attrs() {
    return {{"beta1", AttrKind::f32}, {"beta2", AttrKind::f32}, {"eps", AttrKind::f32}, {"weight_decay", AttrKind::f32}, {"decoupled"}};
  }
  static std::vector<InPlace> in_place() { return {{0, 2}, {1, 3}, {2, 0}}; }
  static KnownCall known() {
    return {{f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 3})},
            {attr_of(0.9f), attr_of(0.999f), attr_of(1e-8f), attr_of(0.01f), 1}, 0.0f, 1.0f};
  }
  static Result<Types> infer(std::span<const TensorType> in, std::span<const int64_t> attrs) { return infer_optimizer(in, attrs, 4, 5, 3); }
  static Args args(const CallShape& call) {
    return {elements(call.in[0]), call.in[4].shape[0], attr_f32(call.attrs[0]), attr_f32(call.attrs[1]), attr_f32(call.attrs[2]),
            attr_f32(call.attrs[3]), call.attrs[4] != 0};
  }
  static uint64_t multiply_adds(const Args& a) { return static_cast<uint64_t>(a.n) * 16; }
  static uint64_t moved_bytes(const CallShape& call) { return 7 * static_cast<uint64_t>(bytes(call.in[0])) + 12; }
  KERNEL_FN static int64_t blocks(const Args&, size_t) { return 1; }

  template <class F>
  KERNEL_FN static F gradient(const Args& a, F p, F g) {
    return a.weight_decay != 0.0f && !a.flag ? fused(F(a.weight_decay), p, g) : g;
  }
  template <class F>
  KERNEL_FN static F first(const Args& a, F g, F m) {
    return fused(g, F(1.0f - a.a), m * F(a.a));
  }
  template <class F>
  KERNEL_FN static F second(const Args& a, F g, F v) {
    return fused(F(1.0f - a.b) * g, g, v * F(a.b));
  }
  template <class F>
  KERNEL_FN static F parameter(const Args& a, F p, F m_next, F v_next, float lr, float c1, float c2) {
    if (a.weight_decay != 0.0f && a.flag) p = p * F(1.0f - lr * a.weight_decay);
    return p + (F(0.0f - lr / c1) * m_next) / (root(v_next) / F(c2) + F(a.eps));
  }
  template <class S>
  KERNEL_FN static Carry fold(const Args& a, const StepContext& step, size_t out, int64_t e, int64_t, Carry, S& source) {
    const float p = source.f32(0, e);
    if (out < 2) {
      const float g = gradient(a, p, source.f32(1, e));
      return result(out == 0 ? first(a, g, source.f32(2, e)) : second(a, g, source.f32(3, e)));
    }
    const int64_t row = 3 * schedule_row(a, step);
    return result(parameter(a, p, source.f32(5, e), source.f32(6, e), source.f32(4, row), source.f32(4, row + 1),
                            source.f32(4, row + 2)));
  }
  static void host(const Args& a, const HostCall& c) {
    const float *p = in_f32(c, 0), *g = in_f32(c, 1), *m = in_f32(c, 2), *v = in_f32(c, 3);
    const float* row = in_f32(c, 4) + 3 * schedule_row(a, c.step);
    const float lr = row[0], c1 = row[1], c2 = row[2];
    float *m_next = out_f32(c, 0), *v_next = out_f32(c, 1), *p_next = out_f32(c, 2);
    parallel(c.pool, a.n, kGrain, 16, [=](int64_t begin, int64_t end) {
      each(begin, end, [=](int64_t i, int n) __attribute__((always_inline)) {
        const Vector pi = read(p + i, n), gi = gradient(a, pi, read(g + i, n));
        const Vector mi = first(a, gi, read(m + i, n)), vi = second(a, gi, read(v + i, n));
        write(m_next + i, n, mi);
        write(v_next + i, n, vi);
        write(p_next + i, n, parameter(a, pi, mi, vi, lr, c1, c2));
      });
    });
  }
};

}  // namespace cairn::kernels::CAIRN_ISA
