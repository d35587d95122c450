// Losses, dropout, optimizers.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

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
          {"philox_mask.v1", {1e-7, [](const Naive& n) {
            Numbers y;
            for (int64_t i = 0; i < elements(n.run.out_types[0]); i++) {
              const auto words = philox(n.step.seed, {{static_cast<uint32_t>(n.step.step), static_cast<uint32_t>(n.attr(0)), static_cast<uint32_t>(i / 4), 0}});
              y.push_back(words.word[i % 4] >> 8 >= n.real(1) * 16777216.0 ? 1 / (1 - n.real(1)) : 0);
            }
            return std::vector<Numbers>{y}; }}},
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
          {{"philox_mask.v1", {}, {0, attr_of(1.5f), 3}}, "probability"},
          {{"philox_mask.v1", {}, {0, attr_of(NAN), 3}}, "probability"},
          {{"philox_mask.v1", {}, {0}}, "site, p"},
          {{"sgd.v1", {f32({3}), f32({3}), f32({3}), f32({9, 3})}, {0, 0, 0}}, "schedule of 1"},
          {{"adam.v1", {f32({3}), f32({3}), f32({3}), f32({3}), f32({9, 3})}, {0, 0, 0, 0, 2}}, "0 or 1"},
      },
  };
}

}  // namespace cairn::kernels
