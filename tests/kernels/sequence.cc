// Attention, recurrence, norms of language models.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

// Weights of attention, by the formula: softmax of the scores, and what dropout multiplies them with.
struct Weights {
  size_t batch, heads, kv_heads, queries, keys, depth, width;
  Numbers max, sum, w, kept;  // w: e^(s - max), by (head of all batches, query, key)

  Weights(const Naive& n, size_t q, size_t bias)
      : batch(n.dim(q, 0)), heads(n.dim(q, 1)), kv_heads(n.dim(q + 1, 1)), queries(n.dim(q, 2)), keys(n.dim(q + 1, 2)), depth(n.dim(q, 3)), width(n.dim(q + 2, 3)) {
    for (size_t h = 0; h < batch * heads; h++)
      for (size_t i = 0; i < queries; i++) {
        Numbers s;
        for (size_t j = 0; j < (n.attr(1) ? std::min(i + 1, keys) : keys); j++) {
          double dot = 0;
          for (size_t d = 0; d < depth; d++) dot += n.in[q][(h * queries + i) * depth + d] * n.in[q + 1][(kv(h) * keys + j) * depth + d];
          s.push_back(dot * n.real(0));
          if (n.in.size() > bias) {
            const auto at = [&](size_t d, size_t where) { return n.dim(bias, d) == 1 ? 0 : where; };
            s.back() += n.in[bias][((at(0, h / heads) * n.dim(bias, 1) + at(1, h % heads)) * n.dim(bias, 2) + at(2, i)) * keys + j];
          }
        }
        max.push_back(*std::max_element(s.begin(), s.end()));
        sum.push_back(0);
        for (size_t j = 0; j < keys; j++) {
          const double weight = j < s.size() ? std::exp(s[j] - max.back()) : 0;
          sum.back() += weight;
          w.push_back(weight);
          const int64_t e = static_cast<int64_t>(w.size()) - 1;
          const float u = philox_to_unit(philox_quad(n.step.seed, n.step.step, static_cast<uint32_t>(n.attr(2)), e / 4).word[e % 4]);
          kept.push_back(u < static_cast<float>(n.real(3)) ? 0 : 1 / (1 - n.real(3)));
        }
      }
  }
  size_t kv(size_t head) const { return head / heads * kv_heads + head % heads * kv_heads / heads; }
};

std::vector<Numbers> attention(const Naive& n) {
  const Weights a(n, 0, 3);
  Numbers y;
  for (size_t row = 0; row < a.sum.size(); row++)
    for (size_t c = 0; c < a.width; c++) {
      double value = 0;
      for (size_t j = 0; j < a.keys; j++)
        value += a.w[row * a.keys + j] * a.kept[row * a.keys + j] * n.in[2][(a.kv(row / a.queries) * a.keys + j) * a.width + c];
      y.push_back(value / a.sum[row]);
    }
  return {a.max, a.sum, y};
}

// The statistics are operands: made up, as any gradient of the formula takes them.
std::vector<Numbers> attention_backward(const Naive& n) {
  const Weights a(n, 1, 7);
  Numbers delta, dq(n.in[1].size()), dk(n.in[2].size()), dv(n.in[3].size());
  for (size_t row = 0; row < a.sum.size(); row++) {
    delta.push_back(0);
    for (size_t c = 0; c < a.width; c++) delta.back() += n.in[0][row * a.width + c] * n.in[4][row * a.width + c];
    for (size_t j = 0; j < a.keys; j++) {
      const size_t at = row * a.keys + j, kv = a.kv(row / a.queries) * a.keys + j;
      const double w = a.w[at] * std::exp(a.max[row] - n.in[5][row]) / n.in[6][row];
      double product = 0;
      for (size_t c = 0; c < a.width; c++) {
        product += n.in[0][row * a.width + c] * n.in[3][kv * a.width + c];
        dv[kv * a.width + c] += w * a.kept[at] * n.in[0][row * a.width + c];
      }
      const double t = w * (product * a.kept[at] - delta.back()) * n.real(0);
      for (size_t d = 0; d < a.depth; d++) {
        dq[row * a.depth + d] += t * n.in[2][kv * a.depth + d];
        dk[kv * a.depth + d] += t * n.in[1][row * a.depth + d];
      }
    }
  }
  return {delta, dq, dk, dv};
}

struct Heads {
  int64_t batch, heads, kv_heads, queries, keys, depth, width;
};
Case forward(const Heads& h, Types bias, float scale, bool causal, float p) {
  Types in{f32({h.batch, h.heads, h.queries, h.depth}), f32({h.batch, h.kv_heads, h.keys, h.depth}), f32({h.batch, h.kv_heads, h.keys, h.width})};
  in.insert(in.end(), bias.begin(), bias.end());
  return {"attention.f32.v1", in, {attr_of(scale), causal, 5, attr_of(p)}};
}
Case backward(const Heads& h, Types bias, float scale, bool causal, float p) {
  Case c = forward(h, std::move(bias), scale, causal, p);
  c.op = "attention_backward.f32.v1";
  const TensorType y = f32({h.batch, h.heads, h.queries, h.width}), row = f32({h.batch, h.heads, h.queries});
  c.in.insert(c.in.begin(), y);
  c.in.insert(c.in.begin() + 4, {y, row, row});
  return c;
}

Numbers rms_norm_hat(const Numbers& x, const Numbers& rstd, size_t cols) {
  Numbers hat;
  for (size_t i = 0; i < x.size(); i++) hat.push_back(x[i] * rstd[i / cols]);
  return hat;
}

struct Cell {
  size_t hidden, step;
  Cell(const Naive& n, size_t state) : hidden(n.dim(state, 1)), step(static_cast<size_t>(n.attr(0))) {}
  const double* of_step(const Numbers& x, size_t size) const { return x.data() + step * size; }
  size_t gate(size_t e, size_t g, size_t gates) const { return (e / hidden * gates + g) * hidden + e % hidden; }
};
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

Family sequence_family() {
  constexpr int64_t t = kMostTokens, f = kMostFeatures, classes = isa_scalar::kMaxColumns;
  const int64_t eps = attr_of(1e-5f);
  const Heads long_heads{1, 2, 1, t, t, 256, 256};
  return {
      .title = "Attention and recurrence",
      .cases = {
          forward({1, 1, 1, 1, 1, 1, 1}, {}, 1.0f, false, 0),
          forward({2, 3, 3, 70, 70, 8, 8}, {}, 0.35f, true, 0),
          forward({1, 4, 2, 37, 300, 9, 5}, {}, 0.3f, false, 0),
          forward({1, 1, 1, 300, 300, 16, 33}, {}, 0.25f, true, 0),
          forward({2, 2, 1, 65, 290, 9, 17}, {f32({2, 1, 65, 290})}, 0.3f, false, 0.25f),
          forward({1, 2, 2, 20, 70, 4, 4}, {f32({1, 2, 1, 70})}, 0.5f, true, 0.5f),
          backward({1, 1, 1, 1, 1, 1, 1}, {}, 1.0f, false, 0),
          backward({1, 2, 2, 70, 70, 8, 8}, {}, 0.35f, true, 0),
          backward({1, 4, 2, 17, 130, 9, 5}, {}, 0.3f, false, 0),
          backward({1, 1, 1, 20, 530, 3, 4}, {}, 0.5f, false, 0),
          backward({1, 2, 1, 270, 70, 5, 17}, {f32({1, 1, 270, 70})}, 0.3f, true, 0.25f),
          backward({2, 2, 2, 20, 70, 4, 4}, {f32({1, 2, 1, 70})}, 0.5f, false, 0.5f),
          {"rms_norm.v1", {f32({5, 1}), f32({1})}, {eps}},
          {"rms_norm.v1", {f32({300, 70}), f32({70})}, {eps}},
          {"rms_norm.v1", {f32({2, 5001}), f32({5001})}, {eps}},
          {"rms_norm_backward_input.v1", {f32({300, 70}), f32({300, 70}), f32({300}), f32({70})}, {}},
          {"rms_norm_backward_input.v1", {f32({2, 5001}), f32({2, 5001}), f32({2}), f32({5001})}, {}},
          {"rms_norm_backward_weight.v1", {f32({300, 9}), f32({300, 9}), f32({300})}, {}},
          {"rms_norm_backward_weight.v1", {f32({300, 133}), f32({300, 133}), f32({300})}, {}},
          {"lstm_cell.v1", {f32({1, 1, 4}), f32({1, 4}), f32({1, 1})}, {0}},
          {"lstm_cell.v1", {f32({3, 70, 532}), f32({70, 532}), f32({70, 133})}, {2}},
          {"lstm_cell_backward.v1", {f32({1, 1, 1}), f32({1, 1}), f32({1, 1}), f32({1, 4}), f32({1, 1}), f32({1, 1})}, {0}},
          {"lstm_cell_backward.v1", {f32({3, 70, 133}), f32({70, 133}), f32({70, 133}), f32({70, 532}), f32({70, 133}), f32({70, 133})}, {1}},
          {"gru_cell.v1", {f32({1, 1, 3}), f32({1, 3}), f32({1, 1})}, {0}},
          {"gru_cell.v1", {f32({3, 70, 399}), f32({70, 399}), f32({70, 133})}, {2}},
          {"gru_cell_backward.v1", {f32({1, 1, 1}), f32({1, 1}), f32({1, 3}), f32({1, 3}), f32({1, 1})}, {0}},
          {"gru_cell_backward.v1", {f32({3, 70, 133}), f32({70, 133}), f32({70, 399}), f32({70, 399}), f32({70, 133})}, {1}},
      },
      .largest = {
          forward(long_heads, {f32({1, 1, t, t})}, 0.0625f, true, 0.1f),
          backward(long_heads, {f32({1, 1, t, t})}, 0.0625f, true, 0.1f),
          {"rms_norm.v1", {f32({t, classes}), f32({classes})}, {eps}},
          {"rms_norm_backward_input.v1", {f32({t, classes}), f32({t, classes}), f32({t}), f32({classes})}, {}},
          {"rms_norm_backward_weight.v1", {f32({t, classes}), f32({t, classes}), f32({t})}, {}},
          {"lstm_cell.v1", {f32({64, t, 4 * f}), f32({t, 4 * f}), f32({t, f})}, {63}},
          {"lstm_cell_backward.v1", {f32({64, t, f}), f32({t, f}), f32({t, f}), f32({t, 4 * f}), f32({t, f}), f32({t, f})}, {63}},
          {"gru_cell.v1", {f32({64, t, 3 * f}), f32({t, 3 * f}), f32({t, f})}, {63}},
          {"gru_cell_backward.v1", {f32({64, t, f}), f32({t, f}), f32({t, 3 * f}), f32({t, 3 * f}), f32({t, f})}, {63}},
      },
      .formulas = {
          {"attention.f32.v1", {2e-5, attention}},
          {"attention_backward.f32.v1", {2e-4, attention_backward}},
          {"rms_norm.v1", {2e-5, [](const Naive& n) {
            const size_t cols = n.dim(0, 1);
            Numbers rstd(n.dim(0, 0)), y;
            for (size_t i = 0; i < n.in[0].size(); i++) rstd[i / cols] += n.in[0][i] * n.in[0][i] / static_cast<double>(cols);
            rstd = map(rstd, [&](double square) { return 1 / std::sqrt(square + n.real(0)); });
            for (size_t i = 0; i < n.in[0].size(); i++) y.push_back(n.in[0][i] * rstd[i / cols] * n.in[1][i % cols]);
            return std::vector<Numbers>{rstd, y}; }}},
          {"rms_norm_backward_input.v1", {1e-4, [](const Naive& n) {
            const size_t cols = n.dim(0, 1);
            const Numbers hat = rms_norm_hat(n.in[1], n.in[2], cols);
            Numbers s(n.dim(0, 0)), dx;
            for (size_t i = 0; i < hat.size(); i++) s[i / cols] += n.in[0][i] * n.in[3][i % cols] * hat[i];
            for (size_t i = 0; i < hat.size(); i++)
              dx.push_back(n.in[2][i / cols] * (n.in[0][i] * n.in[3][i % cols] - hat[i] * s[i / cols] / static_cast<double>(cols)));
            return std::vector<Numbers>{s, dx}; }}},
          {"rms_norm_backward_weight.v1", {1e-4, [](const Naive& n) {
            const size_t cols = n.dim(0, 1);
            const Numbers hat = rms_norm_hat(n.in[1], n.in[2], cols);
            Numbers dw(cols);
            for (size_t i = 0; i < hat.size(); i++) dw[i % cols] += n.in[0][i] * hat[i];
            return std::vector<Numbers>{dw}; }}},
          {"lstm_cell.v1", {5e-6, [](const Naive& n) {
            const Cell cell(n, 2);
            Numbers gates, c, h;
            for (size_t i = 0; i < n.in[1].size(); i++) {
              const double x = cell.of_step(n.in[0], n.in[1].size())[i] + n.in[1][i];
              gates.push_back(i / cell.hidden % 4 == 2 ? std::tanh(x) : logistic(x));
            }
            for (size_t e = 0; e < n.in[2].size(); e++) {
              const auto gate = [&](size_t g) { return gates[cell.gate(e, g, 4)]; };
              c.push_back(gate(1) * n.in[2][e] + gate(0) * gate(2));
              h.push_back(gate(3) * std::tanh(c[e]));
            }
            return std::vector<Numbers>{gates, c, h}; }}},
          {"lstm_cell_backward.v1", {2e-5, [](const Naive& n) {
            const Cell cell(n, 1);
            Numbers dgates(n.in[3].size()), dc;
            for (size_t e = 0; e < n.in[1].size(); e++) {
              const auto gate = [&](size_t g) { return n.in[3][cell.gate(e, g, 4)]; };
              const double d = cell.of_step(n.in[0], n.in[1].size())[e] + n.in[1][e], bent = std::tanh(n.in[5][e]);
              const double s = n.in[2][e] + d * gate(3) * (1 - bent * bent);
              dgates[cell.gate(e, 0, 4)] = s * gate(2) * gate(0) * (1 - gate(0));
              dgates[cell.gate(e, 1, 4)] = s * n.in[4][e] * gate(1) * (1 - gate(1));
              dgates[cell.gate(e, 2, 4)] = s * gate(0) * (1 - gate(2) * gate(2));
              dgates[cell.gate(e, 3, 4)] = d * bent * gate(3) * (1 - gate(3));
              dc.push_back(s * gate(1));
            }
            return std::vector<Numbers>{dgates, dc}; }}},
          {"gru_cell.v1", {5e-6, [](const Naive& n) {
            const Cell cell(n, 2);
            Numbers gates(n.in[1].size()), h;
            for (size_t e = 0; e < n.in[2].size(); e++) {
              const auto x = [&](size_t g) { return cell.of_step(n.in[0], n.in[1].size())[cell.gate(e, g, 3)]; };
              const auto y = [&](size_t g) { return n.in[1][cell.gate(e, g, 3)]; };
              const double r = logistic(x(0) + y(0)), z = logistic(x(1) + y(1)), fresh = std::tanh(x(2) + r * y(2));
              gates[cell.gate(e, 0, 3)] = r;
              gates[cell.gate(e, 1, 3)] = z;
              gates[cell.gate(e, 2, 3)] = fresh;
              h.push_back((1 - z) * fresh + z * n.in[2][e]);
            }
            return std::vector<Numbers>{gates, h}; }}},
          {"gru_cell_backward.v1", {2e-5, [](const Naive& n) {
            const Cell cell(n, 1);
            Numbers dgx(n.in[2].size()), dgh(n.in[2].size()), dh;
            for (size_t e = 0; e < n.in[1].size(); e++) {
              const auto at = [&](size_t g) { return cell.gate(e, g, 3); };
              const double d = cell.of_step(n.in[0], n.in[1].size())[e] + n.in[1][e], r = n.in[2][at(0)], z = n.in[2][at(1)], fresh = n.in[2][at(2)];
              const double u = d * (1 - z) * (1 - fresh * fresh);
              dgx[at(0)] = dgh[at(0)] = u * n.in[3][at(2)] * r * (1 - r);
              dgx[at(1)] = dgh[at(1)] = d * (n.in[4][e] - fresh) * z * (1 - z);
              dgx[at(2)] = u;
              dgh[at(2)] = u * r;
              dh.push_back(d * z);
            }
            return std::vector<Numbers>{dgx, dgh, dh}; }}},
      },
      .refused = {
          {forward({1, 3, 2, 4, 4, 4, 4}, {}, 1.0f, false, 0), "multiple"},
          {forward({1, 2, 2, 4, 4, 300, 4}, {}, 1.0f, false, 0), "256"},
          {forward({1, 2, 2, 4, 4, 4, 4}, {f32({2, 1, 4, 4})}, 1.0f, false, 0), "bias"},
          {forward({1, 2, 2, 4, 4, 4, 4}, {f32({1, 1, 4, 1})}, 1.0f, false, 0), "bias"},
          {forward({1, 2, 2, 4, 4, 4, 4}, {}, 1.0f, false, 1.0f), "probability"},
          {{"attention.f32.v1", {f32({1, 2, 4, 4}), f32({1, 2, 4, 5}), f32({1, 2, 4, 4})}, {eps, 0, 0, 0}}, "query and key"},
          {{"attention.f32.v1", {f32({1, 2, 4, 4}), f32({1, 2, 5, 4}), f32({1, 2, 4, 4})}, {eps, 0, 0, 0}}, "key and value"},
          {{"rms_norm.v1", {f32({3, 4}), f32({3})}, {eps}}, "weight"},
          {{"rms_norm_backward_input.v1", {f32({3, 4}), f32({3, 4}), f32({4}), f32({4})}, {}}, "statistics"},
          {{"lstm_cell.v1", {f32({2, 3, 8}), f32({3, 8}), f32({3, 2})}, {2}}, "step"},
          {{"lstm_cell.v1", {f32({2, 3, 8}), f32({3, 8}), f32({3, 3})}, {0}}, "does not fit"},
          {{"gru_cell.v1", {f32({2, 3, 6}), f32({4, 6}), f32({3, 2})}, {0}}, "does not fit"},
      },
  };
}

}  // namespace cairn::kernels
