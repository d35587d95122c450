#include "bench/kernels.h"

#include "runtime/race.h"

namespace cairn::bench {
namespace {

// What is raced, and how many times as fast as the peer ours must be, and aims to be.
struct Contest {
  std::string name;
  double must;
  double aim;
  std::function<runtime::Race(int threads)> race;
};

Contest sgemm(int64_t m, int64_t n, int64_t k) {
  return {"sgemm " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k), 0.95, 1.05,
          [=](int threads) { return runtime::race_product(m, n, k, threads); }};
}

constexpr int64_t kMany = 1 << 20;

// At 2^20 elements, or operands of the shapes given.
Contest lowering(std::string op, std::vector<kernels::TensorType> in, std::vector<int64_t> attrs = {}) {
  const std::string name = op.substr(0, op.find('.'));
  return {name, 0.9, 1.0, [=](int threads) { return runtime::race_lowering(op, in, attrs, threads); }};
}
kernels::TensorType f32(std::vector<int64_t> shape) { return {kernels::DType::f32, std::move(shape)}; }
Contest elementwise(std::string op, size_t operands, std::vector<float> attrs = {}) {
  std::vector<int64_t> bits;
  for (const float attribute : attrs) bits.push_back(kernels::attr_of(attribute));
  return lowering(std::move(op), std::vector<kernels::TensorType>(operands, f32({kMany})), bits);
}

std::vector<Contest> contests() {
  const kernels::TensorType rows = f32({2048, 512}), long_rows = f32({16, 65536}), labels{kernels::DType::i64, {2048}};
  return {
      sgemm(64, 64, 64),
      sgemm(128, 128, 128),
      sgemm(256, 256, 256),
      sgemm(512, 512, 512),
      sgemm(1024, 1024, 1024),
      sgemm(2048, 2048, 2048),
      sgemm(64, 10, 128),
      sgemm(64, 2048, 1024),
      sgemm(2048, 64, 1024),
      sgemm(2048, 2048, 64),
      sgemm(64, 64, 2048),
      sgemm(256, 1024, 1024),
      elementwise("add.v1", 2),
      elementwise("mul.v1", 2),
      elementwise("div.v1", 2),
      lowering("add.v1", {rows, f32({1, 512})}),
      lowering("mul.v1", {rows, f32({2048, 1})}),
      elementwise("add_mul.v1", 3, {0.5f}),
      elementwise("sqrt.v1", 1),
      elementwise("rsqrt.v1", 1),
      elementwise("pow.v1", 2),
      elementwise("exp.v1", 1),
      elementwise("expm1.v1", 1),
      elementwise("log.v1", 1),
      elementwise("log1p.v1", 1),
      elementwise("sin.v1", 1),
      elementwise("cos.v1", 1),
      elementwise("tanh.v1", 1),
      elementwise("erf.v1", 1),
      elementwise("relu.v1", 1),
      elementwise("relu_backward.v1", 2, {0.0f}),
      elementwise("leaky_relu.v1", 1, {0.01f}),
      elementwise("sigmoid.v1", 1),
      elementwise("sigmoid_backward.v1", 2),
      elementwise("tanh_backward.v1", 2),
      elementwise("silu.v1", 1),
      elementwise("silu_backward.v1", 2),
      elementwise("gelu.v1", 1),
      elementwise("gelu_backward.v1", 2),
      elementwise("gelu_tanh.v1", 1),
      elementwise("gelu_tanh_backward.v1", 2),
      elementwise("softplus.v1", 1, {1.0f, 20.0f}),
      elementwise("elu.v1", 1, {1.0f, 1.0f, 1.0f}),
      elementwise("mish.v1", 1),
      elementwise("mish_backward.v1", 2),
      elementwise("hardswish.v1", 1),
      elementwise("hardsigmoid.v1", 1),
      elementwise("clamp.v1", 1, {0.0f, 0.5f}),
      lowering("sum_rows.v1", {rows}),
      lowering("sum_last.v1", {rows}),
      lowering("sum_last.v1", {f32({1, kMany})}),
      lowering("sum_squares_last.v1", {f32({1, kMany})}),
      lowering("max_last.v1", {rows}),
      lowering("prod_last.v1", {rows}),
      lowering("softmax.v1", {rows}),
      lowering("softmax.v1", {long_rows}),
      lowering("softmax_backward.v1", {rows, rows}),
      lowering("log_softmax.v1", {rows}),
      lowering("log_softmax_backward.v1", {rows, rows}),
      lowering("layer_norm.v1", {rows, f32({512}), f32({512})}, {kernels::attr_of(1e-5f)}),
      lowering("nll_loss.v1", {rows, labels}, {1, -100}),
      elementwise("squared_difference.v1", 2),
      elementwise("huber.v1", 2, {1.0f}),
      elementwise("smooth_l1.v1", 2, {1.0f}),
      elementwise("binary_cross_entropy.v1", 2),
      elementwise("binary_cross_entropy_logits.v1", 2),
      lowering("sgd.v1", {f32({kMany}), f32({kMany}), f32({kMany}), f32({1, 1})}, {kernels::attr_of(0.9f), 0, 0}),
      lowering("adam.v1", {f32({kMany}), f32({kMany}), f32({kMany}), f32({kMany}), f32({1, 3})},
               {kernels::attr_of(0.9f), kernels::attr_of(0.999f), kernels::attr_of(1e-8f), 0, 0}),
  };
}

}  // namespace

std::vector<Row> measure_kernels(int threads, bool quick) {
  std::vector<Row> rows;
  for (const Contest& contest : contests()) {
    const auto race = contest.race(threads);
    Row row = compare(contest.name, "libtorch", race.ours, race.theirs, quick);
    row.target = contest.must;
    row.aim = contest.aim;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace cairn::bench
