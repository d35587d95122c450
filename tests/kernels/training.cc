// Losses, dropout, optimizers.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

// value(attributes, grad, a, b) for each element; a grad where `leading` is 1. What is shorter repeats as a number or by columns.
std::vector<Numbers> pairs(const Naive& n, size_t leading, double (*value)(const double*, double, double, double)) {
  Numbers s, y;
  for (size_t k = 0; k < n.run.attrs.size(); k++) s.push_back(n.real(k));
  const auto count = static_cast<size_t>(elements(n.run.out_types[0]));
  const auto at = [&](size_t k, size_t e) { return n.in[k][e / (count / n.in[k].size())]; };
  for (size_t e = 0; e < count; e++) y.push_back(value(s.data(), leading ? at(0, e) : 0, at(leading, e), at(leading + 1, e)));
  return {y};
}

// value(attributes, four uniform numbers, which of them) for each element.
std::vector<Numbers> drawn(const Naive& n, size_t numbers, double (*value)(const double*, const double*, int64_t)) {
  Numbers s, y;
  for (size_t k = 0; k < numbers; k++) s.push_back(n.real(1 + k));
  for (int64_t i = 0; i < elements(n.run.out_types[0]); i++) {
    const auto words = philox(n.step.seed, {{static_cast<uint32_t>(n.step.step), static_cast<uint32_t>(n.attr(0)), static_cast<uint32_t>(i / 4), 0}});
    double u[4];
    for (int l = 0; l < 4; l++) u[l] = static_cast<double>(words.word[l] >> 8) / 16777216.0;
    y.push_back(value(s.data(), u, i % 4));
  }
  return {y};
}

}  // namespace

Family training_family() {
  const auto bits = [](float x) { return attr_of(x); };
  constexpr int64_t t = kMostTokens, f = kMostFeatures, classes = isa_scalar::kMaxColumns;
  return {
      .title = "Losses, random numbers, optimizers",
      .cases = {
          {"nll_loss.v1", {f32({64, 10}), i64({64})}, {1, -100}},
          {"nll_loss.v1", {f32({600, 7}), i64({600})}, {1, 3}},
          {"nll_loss.v1", {f32({600, 7}), i64({600})}, {2, 3}},
          {"nll_loss_backward.v1", {f32({}), i64({64}), f32({})}, {10, 1, -100}},
          {"nll_loss_backward.v1", {f32({}), i64({64}), f32({})}, {10, 2, 3}},
          {"nll_rows.v1", {f32({30, 7, 11}), i64({30, 11}), f32({7})}, {3}},
          {"nll_rows.v1", {f32({64, 10, 1}), i64({64, 1}), f32({10})}, {-100}},
          {"nll_rows_backward.v1", {f32({30, 11}), i64({30, 11}), f32({7})}, {3}},
          {"nll_rows_backward.v1", {f32({64, 1}), i64({64, 1}), f32({10})}, {-100}},
          {"squared_difference.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"squared_difference.v1", {f32({5, 67}), f32({5, 1})}, {}},
          {"difference_product.v1", {f32({1, 1}), f32({5, 67}), f32({5, 67})}, {bits(0.3f)}},
          {"huber.v1", {f32({5, 67}), f32({5, 67})}, {bits(0.7f)}},
          {"huber_backward.v1", {f32({1, 1}), f32({5, 67}), f32({5, 67})}, {bits(0.7f)}},
          {"smooth_l1.v1", {f32({5, 67}), f32({5, 67})}, {bits(0.7f)}},
          {"smooth_l1_backward.v1", {f32({5, 67}), f32({5, 67}), f32({5, 67})}, {bits(0.7f)}},
          {"binary_cross_entropy.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"binary_cross_entropy_backward.v1", {f32({1, 1}), f32({5, 67}), f32({5, 67})}, {}},
          {"binary_cross_entropy_logits.v1", {f32({5, 67}), f32({5, 67})}, {}},
          {"clip_factor.v1", {f32({})}, {bits(1.0f)}},
          {"clip_factor.v1", {f32({5, 67})}, {bits(0.5f)}},
          {"philox_uniform.v1", {}, {3, bits(-1.0f), bits(2.0f), 5, 67}},
          {"philox_normal.v1", {}, {3, bits(0.5f), bits(2.0f), 70001}},
          {"philox_bernoulli.v1", {}, {3, bits(0.3f), 5, 67}},
          {"philox_mask.v1", {}, {3, bits(0.1f), 5, 67}},
          {"philox_mask.v1", {}, {0, bits(1.0f), 11}},
          {"philox_mask.v1", {}, {1, bits(0.5f), 70001}},
          {"sgd.v1", {f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 1})}, {bits(0.9f), bits(0.01f), 1}},
          {"sgd.v1", {f32({70001}), f32({70001}), f32({70001}), f32({2, 1})}, {bits(0.0f), bits(0.0f), 0}},
          {"adam.v1", {f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 3})}, {bits(0.9f), bits(0.999f), bits(1e-8f), bits(0.01f), 1}},
          {"adam.v1", {f32({70001}), f32({70001}), f32({70001}), f32({70001}), f32({2, 3})}, {bits(0.9f), bits(0.999f), bits(1e-8f), bits(0.01f), 0}},
      },
      .largest = {
          {"nll_loss.v1", {f32({t, classes}), i64({t})}, {1, -100}},
          {"nll_loss_backward.v1", {f32({}), i64({t}), f32({})}, {classes, 1, -100}},
          {"nll_rows.v1", {f32({t, classes, 1}), i64({t, 1}), f32({classes})}, {-100}},
          {"nll_rows_backward.v1", {f32({t, 1}), i64({t, 1}), f32({classes})}, {-100}},
          {"squared_difference.v1", {f32({t, f}), f32({t, f})}, {}},
          {"difference_product.v1", {f32({t, f}), f32({t, f}), f32({t, f})}, {0}},
          {"huber.v1", {f32({t, f}), f32({t, f})}, {0}},
          {"huber_backward.v1", {f32({t, f}), f32({t, f}), f32({t, f})}, {0}},
          {"smooth_l1.v1", {f32({t, f}), f32({t, f})}, {0}},
          {"smooth_l1_backward.v1", {f32({t, f}), f32({t, f}), f32({t, f})}, {0}},
          {"binary_cross_entropy.v1", {f32({t, f}), f32({t, f})}, {}},
          {"binary_cross_entropy_backward.v1", {f32({t, f}), f32({t, f}), f32({t, f})}, {}},
          {"binary_cross_entropy_logits.v1", {f32({t, f}), f32({t, f})}, {}},
          {"clip_factor.v1", {f32({t, f})}, {0}},
          {"philox_uniform.v1", {}, {0, 0, attr_of(1.0f), t, f}},
          {"philox_normal.v1", {}, {0, 0, attr_of(1.0f), t, f}},
          {"philox_bernoulli.v1", {}, {0, attr_of(0.5f), t, f}},
          {"philox_mask.v1", {}, {0, attr_of(0.5f), t, f}},
          {"sgd.v1", {f32({t, f}), f32({t, f}), f32({t, f}), f32({t, 1})}, {0, 0, 0}},
          {"adam.v1", {f32({t, f}), f32({t, f}), f32({t, f}), f32({t, f}), f32({t, 3})}, {0, 0, 0, 0, 0}},
      },
      .formulas = {
          {"nll_loss.v1", {1e-4, [](const Naive& n) {
            const size_t cols = n.dim(0, 1);
            double count = 0, loss = 0;
            for (size_t r = 0; r < n.in[1].size(); r++) {
              if (n.in[1][r] == static_cast<double>(n.attr(1))) continue;
              count++;
              loss -= n.in[0][r * cols + static_cast<size_t>(n.in[1][r])];
            }
            return std::vector<Numbers>{{count}, {n.attr(0) == 1 ? loss / count : loss}}; }}},
          {"nll_loss_backward.v1", {1e-6, [](const Naive& n) {
            const size_t cols = static_cast<size_t>(n.attr(0));
            Numbers dx(n.in[1].size() * cols);
            for (size_t r = 0; r < n.in[1].size(); r++)
              if (n.in[1][r] != static_cast<double>(n.attr(2)))
                dx[r * cols + static_cast<size_t>(n.in[1][r])] = -n.in[0][0] / (n.attr(1) == 1 ? n.in[2][0] : 1);
            return std::vector<Numbers>{dx}; }}},
          {"nll_rows.v1", {1e-6, [](const Naive& n) {
            const size_t labels = n.dim(0, 1), inner = n.dim(0, 2);
            Numbers weights, loss;
            for (size_t e = 0; e < n.in[1].size(); e++) {
              const auto label = static_cast<size_t>(n.in[1][e]);
              const double w = n.in[1][e] == static_cast<double>(n.attr(0)) ? 0 : n.in[2][label];
              weights.push_back(w);
              loss.push_back(w == 0 ? 0 : -w * n.in[0][(e / inner * labels + label) * inner + e % inner]);
            }
            return std::vector<Numbers>{weights, loss}; }}},
          {"nll_rows_backward.v1", {1e-6, [](const Naive& n) {
            const size_t labels = n.dim(2, 0), inner = n.dim(0, 1);
            Numbers dx(n.in[0].size() * labels);
            for (size_t e = 0; e < n.in[1].size(); e++) {
              const auto label = static_cast<size_t>(n.in[1][e]);
              if (n.in[1][e] != static_cast<double>(n.attr(0))) dx[(e / inner * labels + label) * inner + e % inner] = -n.in[0][e] * n.in[2][label];
            }
            return std::vector<Numbers>{dx}; }}},
          {"squared_difference.v1", {1e-6, [](const Naive& n) { return pairs(n, 0, [](const double*, double, double a, double b) { return (a - b) * (a - b); }); }}},
          {"difference_product.v1", {1e-6, [](const Naive& n) { return pairs(n, 1, [](const double* s, double g, double a, double b) { return s[0] * (a - b) * g; }); }}},
          {"huber.v1", {1e-6, [](const Naive& n) { return pairs(n, 0, [](const double* s, double, double a, double b) {
            const double z = std::fabs(a - b);
            return z < s[0] ? z * z / 2 : s[0] * (z - s[0] / 2); }); }}},
          {"huber_backward.v1", {1e-6, [](const Naive& n) { return pairs(n, 1, [](const double* s, double g, double a, double b) { return g * std::clamp(a - b, -s[0], s[0]); }); }}},
          {"smooth_l1.v1", {1e-6, [](const Naive& n) { return pairs(n, 0, [](const double* s, double, double a, double b) {
            const double z = std::fabs(a - b);
            return z < s[0] ? z * z / 2 / s[0] : z - s[0] / 2; }); }}},
          {"smooth_l1_backward.v1", {1e-6, [](const Naive& n) { return pairs(n, 1, [](const double* s, double g, double a, double b) { return g * std::clamp((a - b) / s[0], -1.0, 1.0); }); }}},
          {"binary_cross_entropy.v1", {1e-6, [](const Naive& n) { return pairs(n, 0, [](const double*, double, double x, double y) {
            return -(y * std::max(std::log(x), -100.0) + (1 - y) * std::max(std::log1p(-x), -100.0)); }); }}},
          {"binary_cross_entropy_backward.v1", {1e-6, [](const Naive& n) { return pairs(n, 1, [](const double*, double g, double x, double y) {
            return g * (x - y) / std::max(x * (1 - x), 1e-12); }); }}},
          {"binary_cross_entropy_logits.v1", {1e-6, [](const Naive& n) { return pairs(n, 0, [](const double*, double, double x, double y) {
            const double p = 1 / (1 + std::exp(-x));
            return -(y * std::log(p) + (1 - y) * std::log(1 - p)); }); }}},
          {"clip_factor.v1", {1e-6, [](const Naive& n) { return std::vector<Numbers>{map(n.in[0], [&](double x) {
            return x < 0 ? 1.0 : std::min(1.0, n.real(0) / (std::sqrt(x) + 1e-6)); })}; }}},
          {"philox_mask.v1", {1e-7, [](const Naive& n) { return drawn(n, 1, [](const double* s, const double* u, int64_t i) { return u[i] >= s[0] ? 1 / (1 - s[0]) : 0.0; }); }}},
          {"philox_uniform.v1", {1e-6, [](const Naive& n) { return drawn(n, 2, [](const double* s, const double* u, int64_t i) { return s[0] + u[i] * (s[1] - s[0]); }); }}},
          {"philox_bernoulli.v1", {0, [](const Naive& n) { return drawn(n, 1, [](const double* s, const double* u, int64_t i) { return u[i] < s[0] ? 1.0 : 0.0; }); }}},
          {"philox_normal.v1", {2e-6, [](const Naive& n) { return drawn(n, 2, [](const double* s, const double* u, int64_t i) {
            const double radius = std::sqrt(-2 * std::log(1 - u[i & 2])), angle = 2 * M_PI * u[i | 1];
            return s[0] + s[1] * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)); }); }}},
          {"sgd.v1", {1e-6, [](const Naive& n) {
            Numbers buf, next;
            const double lr = n.in[3][std::min<size_t>(n.step.step, n.dim(3, 0) - 1)];
            for (size_t i = 0; i < n.in[0].size(); i++) {
              const double g = n.in[1][i] + n.real(1) * n.in[0][i];
              buf.push_back(n.real(0) * n.in[2][i] + g);
              next.push_back(n.in[0][i] - lr * (n.attr(2) ? g + n.real(0) * buf[i] : buf[i]));
            }
            return std::vector<Numbers>{buf, next}; }}},
          {"adam.v1", {2e-6, [](const Naive& n) {
            Numbers m, v, next;
            const size_t row = 3 * std::min<size_t>(n.step.step, n.dim(4, 0) - 1);
            const double lr = n.in[4][row], c1 = n.in[4][row + 1], c2 = n.in[4][row + 2];
            for (size_t i = 0; i < n.in[0].size(); i++) {
              const bool decoupled = n.attr(4);
              const double p = n.in[0][i] * (decoupled ? 1 - lr * n.real(3) : 1), g = n.in[1][i] + (decoupled ? 0 : n.real(3) * n.in[0][i]);
              m.push_back(n.real(0) * n.in[2][i] + (1 - n.real(0)) * g);
              v.push_back(n.real(1) * n.in[3][i] + (1 - n.real(1)) * g * g);
              next.push_back(p - lr / c1 * m[i] / (std::sqrt(v[i]) / c2 + n.real(2)));
            }
            return std::vector<Numbers>{m, v, next}; }}},
      },
      .refused = {
          {{"nll_loss.v1", {f32({4, 2}), i64({3})}, {1, -100}}, "label"},
          {{"nll_loss.v1", {f32({4, 2}), i64({4})}, {0, -100}}, "reduction"},
          {{"nll_rows.v1", {f32({4, 2, 3}), i64({4, 2}), f32({2})}, {-100}}, "label"},
          {{"nll_rows.v1", {f32({4, 2, 3}), i64({4, 3}), f32({3})}, {-100}}, "weight"},
          {{"philox_uniform.v1", {}, {0, attr_of(2.0f), attr_of(1.0f), 3}}, "in order"},
          {{"philox_normal.v1", {}, {0, 0, attr_of(-1.0f), 3}}, "not negative"},
          {{"philox_bernoulli.v1", {}, {0, attr_of(1.5f), 3}}, "probability"},
          {{"philox_mask.v1", {}, {0, attr_of(1.5f), 3}}, "probability"},
          {{"philox_mask.v1", {}, {0, attr_of(NAN), 3}}, "probability"},
          {{"philox_mask.v1", {}, {0}}, "site, p"},
          {{"sgd.v1", {f32({3}), f32({3}), f32({3}), f32({9, 3})}, {0, 0, 0}}, "schedule of 1"},
          {{"adam.v1", {f32({3}), f32({3}), f32({3}), f32({3}), f32({9, 3})}, {0, 0, 0, 0, 2}}, "0 or 1"},
      },
  };
}

}  // namespace cairn::kernels
