// Element by element.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

}  // namespace

Family pointwise_family() {
  const auto bits = [](float x) { return attr_of(x); };
  constexpr int64_t t = kMostTokens, f = kMostFeatures;
  const TensorType i = i64({3});
  return {
      .title = "Element by element",
      .cases = {
          {"add.v1", {f32({70001}), f32({70001})}, {}},
          {"sub.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"mul.v1", {f32({}), f32({})}, {}},
          {"mul.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"div.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"add_scalar.v1", {f32({5, 67})}, {bits(0.1f)}},
          {"mul_scalar.v1", {f32({5, 67})}, {bits(-3.7f)}},
          {"div_scalar.v1", {f32({5, 67})}, {bits(3.0f)}},
          {"neg.v1", {f32({5, 67})}, {}},
          {"relu.v1", {f32({5, 67})}, {}},
          {"relu_backward.v1", {f32({5, 67}), f32({5, 67})}, {bits(0.0f)}},
          {"exp.v1", {f32({70001})}, {}},
          {"log.v1", {f32({5, 67})}, {}},
          {"tanh.v1", {f32({5, 67})}, {}},
          {"sigmoid.v1", {f32({5, 67})}, {}},
      },
      .largest = {
          {"add.v1", {f32({t, f}), f32({t, f})}, {}},
          {"sub.v1", {f32({t, f}), f32({t, f})}, {}},
          {"mul.v1", {f32({t, f}), f32({t, f})}, {}},
          {"div.v1", {f32({t, f}), f32({t, f})}, {}},
          {"add_scalar.v1", {f32({t, f})}, {0}},
          {"mul_scalar.v1", {f32({t, f})}, {0}},
          {"div_scalar.v1", {f32({t, f})}, {0}},
          {"neg.v1", {f32({t, f})}, {}},
          {"relu.v1", {f32({t, f})}, {}},
          {"relu_backward.v1", {f32({t, f}), f32({t, f})}, {0}},
          {"exp.v1", {f32({t, f})}, {}},
          {"log.v1", {f32({t, f})}, {}},
          {"tanh.v1", {f32({t, f})}, {}},
          {"sigmoid.v1", {f32({t, f})}, {}},
      },
      .formulas = {
          {"add.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a + b; })}; }}},
          {"sub.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a - b; })}; }}},
          {"mul.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a * b; })}; }}},
          {"div.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [](double a, double b) { return a / b; })}; }}},
          {"add_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x + n.real(0); })}; }}},
          {"mul_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x * n.real(0); })}; }}},
          {"div_scalar.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) { return x / n.real(0); })}; }}},
          {"neg.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return -x; })}; }}},
          {"relu.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::max(x, 0.0); })}; }}},
          {"relu_backward.v1", {0, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], n.in[1], [&](double g, double x) { return x > n.real(0) ? g : 0; })}; }}},
          {"exp.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::exp(x); })}; }}},
          {"log.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::log(x); })}; }}},
          {"tanh.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return std::tanh(x); })}; }}},
          {"sigmoid.v1", {1e-7, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [](double x) { return 1 / (1 + std::exp(-x)); })}; }}},
      },
      .refused = {
          {{"add.v1", {f32({3})}, {}}, "takes 2 operands"},
          {{"add.v1", {f32({3}), f32({4})}, {}}, "must match"},
          {{"add.v1", {i, i}, {}}, "must be f32"},
          {{"add.v1", {f32({0}), f32({0})}, {}}, "empty"},
          {{"add.v1", {f32({-1}), f32({-1})}, {}}, "negative"},
          {{"add.v1", {f32({1 << 30, 1 << 30}), f32({1 << 30, 1 << 30})}, {}}, "larger than 2^46"},
          {{"add.v1", {f32({3}), f32({3})}, {1}}, "attributes"},
      },
  };
}

}  // namespace cairn::kernels
