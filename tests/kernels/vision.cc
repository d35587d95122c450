// Convolution, pooling, batch and group norm, resampling.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

using Sizes = std::vector<int64_t>;

// body(index) for every index of a box, in row-major order.
void each_index(const Sizes& box, const std::function<void(const Sizes&)>& body) {
  Sizes at(box.size(), 0);
  while (true) {
    body(at);
    size_t d = box.size();
    while (d > 0 && ++at[d - 1] == box[d - 1]) at[--d] = 0;
    if (d == 0) return;
  }
}
size_t flat(const Sizes& shape, const Sizes& at) {
  int64_t e = 0;
  for (size_t d = 0; d < shape.size(); d++) e = e * shape[d] + at[d];
  return static_cast<size_t>(e);
}

// The relation of convolution, pair by pair: gain(y's element, w's, x's) wherever they meet.
void each_meeting(const Sizes& x, const Sizes& y, const Sizes& w, const Sizes& attrs, const std::function<void(size_t, size_t, size_t)>& gain) {
  const size_t rank = x.size() - 2;
  const int64_t groups = attrs[0];
  Sizes box = {x[0], w[0], w[1]};
  box.insert(box.end(), w.begin() + 2, w.end());
  box.insert(box.end(), y.begin() + 2, y.end());
  each_index(box, [&](const Sizes& i) {
    const int64_t filter = i[1], channel = filter / (w[0] / groups) * w[1] + i[2];
    Sizes at_x{i[0], channel}, at_y{i[0], filter}, at_w{filter, i[2]};
    for (size_t d = 0; d < rank; d++) {
      const int64_t k = i[3 + d], q = i[3 + rank + d];
      const int64_t p = q * attrs[1 + d] - attrs[1 + rank + d] + k * attrs[1 + 2 * rank + d];
      if (p < 0 || p >= x[2 + d]) return;
      at_x.push_back(p);
      at_y.push_back(q);
      at_w.push_back(k);
    }
    gain(flat(y, at_y), flat(w, at_w), flat(x, at_x));
  });
}
std::vector<Numbers> with_bias(const Naive& n, Numbers out) {
  const Sizes& shape = n.run.out_types[0].shape;
  const size_t positions = out.size() / static_cast<size_t>(shape[0] * shape[1]), channels = static_cast<size_t>(shape[1]);
  if (n.in.size() == 3)
    for (size_t i = 0; i < out.size(); i++) out[i] += n.in[2][i / positions % channels];
  return {out};
}
std::vector<Numbers> convolved(const Naive& n) {
  Numbers y(static_cast<size_t>(elements(n.run.out_types[0])));
  each_meeting(n.run.in_types[0].shape, n.run.out_types[0].shape, n.run.in_types[1].shape, n.run.attrs,
               [&](size_t i, size_t j, size_t l) { y[i] += n.in[1][j] * n.in[0][l]; });
  return with_bias(n, y);
}
std::vector<Numbers> transposed(const Naive& n) {
  Numbers x(static_cast<size_t>(elements(n.run.out_types[0])));
  each_meeting(n.run.out_types[0].shape, n.run.in_types[0].shape, n.run.in_types[1].shape, n.run.attrs,
               [&](size_t i, size_t j, size_t l) { x[l] += n.in[1][j] * n.in[0][i]; });
  return with_bias(n, x);
}
std::vector<Numbers> weighed(const Naive& n) {
  Numbers w(static_cast<size_t>(elements(n.run.out_types[0])));
  each_meeting(n.run.in_types[1].shape, n.run.in_types[0].shape, n.run.out_types[0].shape, n.run.attrs,
               [&](size_t i, size_t j, size_t l) { w[j] += n.in[0][i] * n.in[1][l]; });
  return {w};
}

// Normalisation: x as [sample][channel][position], statistics over what `key` says belongs together.
struct Moments {
  Numbers mean, var;
  double count;
};
Moments moments(const Numbers& x, size_t keys, const std::function<size_t(size_t)>& key) {
  Moments m{Numbers(keys), Numbers(keys), static_cast<double>(x.size() / keys)};
  for (size_t i = 0; i < x.size(); i++) m.mean[key(i)] += x[i] / m.count;
  for (size_t i = 0; i < x.size(); i++) m.var[key(i)] += std::pow(x[i] - m.mean[key(i)], 2) / m.count;
  return m;
}
Numbers sums(const Numbers& x, size_t keys, const std::function<size_t(size_t)>& key) {
  Numbers s(keys);
  for (size_t i = 0; i < x.size(); i++) s[key(i)] += x[i];
  return s;
}

// The windows of pooling, from the side of the windows; lists as in the attributes after `skip`.
struct Windows {
  Sizes in, out;
  size_t rank;
  const std::vector<int64_t>& attrs;
  size_t skip;
  bool dilated;
  int64_t list(size_t which, size_t d) const { return attrs[skip + which * rank + d]; }
  struct Window {
    size_t number;
    std::vector<size_t> inside;  // positions
    double padded;               // how many there are with the padding
    Sizes low, high;             // first and last of each dimension, also outside
  };
  void each(const std::function<void(const Window&)>& body) const {
    each_index(out, [&](const Sizes& o) {
      Window window{flat(out, o), {}, 1, {}, {}};
      std::vector<Sizes> inside(rank);
      Sizes box;
      for (size_t d = 0; d < rank; d++) {
        Sizes all;
        if (list(0, d) == 0) {
          const double begin = std::floor(double(o[d] * in[d]) / double(out[d])), end = std::ceil(double((o[d] + 1) * in[d]) / double(out[d]));
          for (int64_t p = int64_t(begin); p < int64_t(end); p++) all.push_back(p);
        }
        for (int64_t i = 0; i < list(0, d); i++) all.push_back(o[d] * list(1, d) - list(2, d) + i * (dilated ? list(3, d) : 1));
        window.low.push_back(all.front());
        window.high.push_back(all.back());
        window.padded *= double(std::count_if(all.begin(), all.end(), [&](int64_t p) { return p < in[d] + list(2, d); }));
        std::copy_if(all.begin(), all.end(), std::back_inserter(inside[d]), [&](int64_t p) { return p >= 0 && p < in[d]; });
        box.push_back(int64_t(inside[d].size()));
      }
      each_index(box, [&](const Sizes& i) {
        Sizes p;
        for (size_t d = 0; d < rank; d++) p.push_back(inside[d][size_t(i[d])]);
        window.inside.push_back(flat(in, p));
      });
      body(window);
    });
  }
};
Windows windows(const Naive& n, bool forward, size_t skip, bool dilated) {
  const auto tail = [](const TensorType& type) { return Sizes(type.shape.begin() + 1, type.shape.end()); };
  const Sizes here = tail(n.run.in_types[0]), there = tail(n.run.out_types[0]);
  return {forward ? here : there, forward ? there : here, here.size(), n.run.attrs, skip, dilated};
}
size_t count_of(const Sizes& sizes) {
  size_t count = 1;
  for (const int64_t size : sizes) count *= size_t(size);
  return count;
}
double divisor(const Naive& n, const Windows::Window& w) {
  return n.attr(0) > 0 ? double(n.attr(0)) : n.attr(0) == 0 ? double(w.inside.size()) : w.padded;
}

// What bilinear resampling reads: (output, input, weight) in a plane.
void each_weight(const Naive& n, const Sizes& x, const Sizes& y, const std::function<void(size_t, size_t, double)>& body) {
  const auto place = [&](size_t d, int64_t o) {
    const double scale = n.real(1 + d);  // attributes 2 and 3, of dimensions 1 and 2
    return n.attr(4) ? double(o) * scale : std::max(0.0, (double(o) + 0.5) * scale - 0.5);
  };
  each_index({y[1], y[2]}, [&](const Sizes& o) {
    const double h = place(1, o[0]), w = place(2, o[1]);
    for (int64_t i = 0; i < x[1]; i++)
      for (int64_t j = 0; j < x[2]; j++) {
        const auto share = [](double at, int64_t p, int64_t size) {
          return std::max(0.0, 1 - std::fabs(std::min(at, double(size - 1)) - double(p)));
        };
        const double weight = share(h, i, x[1]) * share(w, j, x[2]);
        if (weight != 0) body(flat({y[1], y[2]}, o), flat({x[1], x[2]}, {i, j}), weight);
      }
  });
}
int64_t nearest(const Naive& n, size_t d, int64_t o, int64_t in) {
  return std::min(in - 1, int64_t(std::floor((float(o) + attr_f32(n.attr(4))) * attr_f32(n.attr(1 + d)))));
}

}  // namespace

Family vision_family() {
  const auto bits = [](float x) { return attr_of(x); };
  constexpr int64_t s = 2048, deep = 4096;
  return {
      .title = "Convolution, pooling, batch norm",
      .cases = {
          {"convolution.f32.v1", {f32({1, 1, 1}), f32({1, 1, 1})}, {1, 1, 0, 1}},
          {"convolution.f32.v1", {f32({3, 4, 50}), f32({6, 4, 5}), f32({6})}, {1, 2, 2, 1}},
          {"convolution.f32.v1", {f32({2, 3, 700}), f32({5, 3, 3})}, {1, 1, 1, 2}},
          {"convolution.f32.v1", {f32({2, 3, 11, 9}), f32({33, 3, 3, 3}), f32({33})}, {1, 1, 1, 1, 1, 1, 1}},
          {"convolution.f32.v1", {f32({1, 70, 14, 14}), f32({17, 70, 3, 3})}, {1, 1, 1, 1, 1, 1, 1}},       // depth in two blocks
          {"convolution.f32.v1", {f32({2, 8, 9, 40}), f32({16, 8, 3, 3})}, {1, 2, 2, 1, 1, 1, 1}},
          {"convolution.f32.v1", {f32({2, 5, 8, 8}), f32({7, 5, 1, 1}), f32({7})}, {1, 1, 1, 0, 0, 1, 1}},  // 1 x 1
          {"convolution.f32.v1", {f32({2, 5, 9, 7}), f32({7, 5, 1, 1})}, {1, 2, 3, 0, 0, 1, 1}},
          {"convolution.f32.v1", {f32({2, 4, 13, 11}), f32({6, 2, 3, 2}), f32({6})}, {2, 3, 4, 2, 1, 2, 3}},  // groups, dilation, stride > kernel
          {"convolution.f32.v1", {f32({2, 12, 10, 21}), f32({12, 1, 3, 3}), f32({12})}, {12, 1, 1, 1, 1, 1, 1}},  // depthwise
          {"convolution.f32.v1", {f32({3, 6, 9, 9}), f32({12, 1, 3, 3})}, {6, 2, 2, 1, 1, 1, 1}},
          {"convolution.f32.v1", {f32({40, 3, 5, 5}), f32({4, 3, 5, 5})}, {1, 1, 1, 0, 0, 1, 1}},  // one position an image
          {"convolution.f32.v1", {f32({2, 3, 5, 6, 7}), f32({4, 3, 2, 3, 3}), f32({4})}, {1, 1, 2, 1, 1, 0, 1, 1, 1, 2}},
          {"convolution_transposed.f32.v1", {f32({1, 1, 1}), f32({1, 1, 1})}, {1, 1, 0, 1, 1}},
          {"convolution_transposed.f32.v1", {f32({3, 6, 25}), f32({6, 4, 5}), f32({4})}, {1, 2, 2, 1, 50}},
          {"convolution_transposed.f32.v1", {f32({2, 33, 11, 9}), f32({33, 18, 3, 3})}, {1, 1, 1, 1, 1, 1, 1, 11, 9}},
          {"convolution_transposed.f32.v1", {f32({1, 70, 7, 7}), f32({70, 5, 3, 3})}, {1, 2, 2, 1, 1, 1, 1, 14, 14}},
          {"convolution_transposed.f32.v1", {f32({2, 16, 5, 20}), f32({16, 8, 3, 3}), f32({8})}, {1, 2, 2, 1, 1, 1, 1, 9, 40}},
          {"convolution_transposed.f32.v1", {f32({2, 7, 5, 3}), f32({7, 5, 1, 1})}, {1, 2, 3, 0, 0, 1, 1, 9, 7}},  // positions without a tap
          {"convolution_transposed.f32.v1", {f32({2, 6, 5, 2}), f32({6, 2, 3, 2}), f32({4})}, {2, 3, 4, 2, 1, 2, 3, 13, 7}},
          {"convolution_transposed.f32.v1", {f32({2, 12, 10, 21}), f32({12, 1, 3, 3})}, {12, 1, 1, 1, 1, 1, 1, 10, 21}},
          {"convolution_transposed.f32.v1", {f32({2, 4, 6, 3, 5}), f32({4, 3, 2, 3, 3})}, {1, 1, 2, 1, 1, 0, 1, 1, 1, 2, 5, 7, 7}},
          {"convolution_weight.f32.v1", {f32({1, 1, 1}), f32({1, 1, 1})}, {1, 1, 0, 1, 1}},
          {"convolution_weight.f32.v1", {f32({3, 6, 25}), f32({3, 4, 50})}, {1, 2, 2, 1, 5}},
          {"convolution_weight.f32.v1", {f32({2, 5, 698}), f32({2, 3, 700})}, {1, 1, 1, 2, 3}},
          {"convolution_weight.f32.v1", {f32({2, 33, 11, 9}), f32({2, 18, 11, 9})}, {1, 1, 1, 1, 1, 1, 1, 3, 3}},
          {"convolution_weight.f32.v1", {f32({1, 34, 30, 30}), f32({1, 3, 30, 30})}, {1, 1, 1, 1, 1, 1, 1, 3, 3}},
          {"convolution_weight.f32.v1", {f32({2, 16, 5, 20}), f32({2, 8, 9, 40})}, {1, 2, 2, 1, 1, 1, 1, 3, 3}},
          {"convolution_weight.f32.v1", {f32({2, 6, 5, 2}), f32({2, 4, 13, 7})}, {2, 3, 4, 2, 1, 2, 3, 3, 2}},
          {"convolution_weight.f32.v1", {f32({2, 12, 10, 21}), f32({2, 12, 10, 21})}, {12, 1, 1, 1, 1, 1, 1, 3, 3}},
          {"convolution_weight.f32.v1", {f32({3, 40, 3, 2}), f32({3, 20, 6, 9})}, {20, 2, 2, 1, 1, 1, 2, 3, 5}},
          {"convolution_weight.f32.v1", {f32({2, 16, 2, 3, 3}), f32({2, 32, 3, 5, 3})}, {16, 1, 2, 1, 0, 1, 1, 1, 1, 1, 2, 3, 3}},
          {"convolution_weight.f32.v1", {f32({300, 4, 1, 1}), f32({300, 3, 5, 5})}, {1, 1, 1, 0, 0, 1, 1, 5, 5}},
          {"convolution_weight.f32.v1", {f32({2, 4, 6, 3, 5}), f32({2, 3, 5, 7, 7})}, {1, 1, 2, 1, 1, 0, 1, 1, 1, 2, 2, 3, 3}},
          {"batch_norm.v1", {f32({5, 3, 70}), f32({3}), f32({3}), f32({3}), f32({3})}, {bits(1e-5f), bits(0.1f)}},
          {"batch_norm.v1", {f32({300, 70, 1}), f32({70}), f32({70}), f32({70}), f32({70})}, {bits(1e-5f), bits(0.1f)}},
          {"batch_norm.v1", {f32({2, 2, 5001}), f32({2}), f32({2})}, {bits(1e-3f), bits(0)}},
          {"batch_norm.v1", {f32({1, 9, 16}), f32({9}), f32({9})}, {bits(1e-5f), bits(0)}},
          {"batch_norm_backward.v1", {f32({5, 3, 70}), f32({5, 3, 70}), f32({3}), f32({3}), f32({3})}, {1}},
          {"batch_norm_backward.v1", {f32({300, 70, 1}), f32({300, 70, 1}), f32({70}), f32({70}), f32({70})}, {1}},
          {"batch_norm_backward.v1", {f32({300, 5, 3}), f32({300, 5, 3}), f32({5}), f32({5}), f32({5})}, {1}},
          {"batch_norm_backward.v1", {f32({2, 2, 5001}), f32({2, 2, 5001}), f32({2}), f32({2}), f32({2})}, {0}},
          {"batch_norm_inference.v1", {f32({5, 3, 70}), f32({3}), f32({3}), f32({3}), f32({3})}, {bits(9.0f)}},
          {"batch_norm_inference.v1", {f32({300, 70, 1}), f32({70}), f32({70}), f32({70}), f32({70})}, {bits(9.0f)}},
          {"group_norm.v1", {f32({3, 6, 70}), f32({6}), f32({6})}, {2, bits(1e-5f)}},
          {"group_norm.v1", {f32({2, 4, 2501}), f32({4}), f32({4})}, {1, bits(1e-5f)}},
          {"group_norm.v1", {f32({7, 6, 3}), f32({6}), f32({6})}, {6, bits(1e-5f)}},
          {"group_norm_backward.v1", {f32({3, 6, 70}), f32({3, 6, 70}), f32({3, 2}), f32({3, 2}), f32({6})}, {}},
          {"group_norm_backward.v1", {f32({2, 300, 5}), f32({2, 300, 5}), f32({2, 1}), f32({2, 1}), f32({300})}, {}},
          {"max_pool.v1", {f32({3, 9})}, {3, 2, 1, 1, 5}},
          {"max_pool.v1", {f32({70, 8, 8})}, {2, 2, 2, 2, 0, 0, 1, 1, 4, 4}},
          {"max_pool.v1", {f32({5, 9, 7})}, {3, 2, 2, 1, 1, 1, 1, 2, 5, 7}},
          {"max_pool.v1", {f32({5, 8, 8})}, {3, 3, 3, 3, 1, 1, 2, 2, 3, 3}},  // the last window reaches past the end
          {"max_pool.v1", {f32({3, 7, 10})}, {0, 0, 1, 1, 0, 0, 1, 1, 3, 4}},  // adaptive
          {"max_pool.v1", {f32({2, 4, 5, 6})}, {2, 3, 2, 2, 1, 2, 0, 1, 1, 1, 1, 1, 2, 5, 4}},
          {"max_pool_backward.v1", {f32({3, 5}), i64({3, 5})}, {3, 2, 1, 1, 9}},
          {"max_pool_backward.v1", {f32({70, 4, 4}), i64({70, 4, 4})}, {2, 2, 2, 2, 0, 0, 1, 1, 8, 8}},
          {"max_pool_backward.v1", {f32({5, 5, 7}), i64({5, 5, 7})}, {3, 2, 2, 1, 1, 1, 1, 2, 9, 7}},
          {"max_pool_backward.v1", {f32({3, 3, 4}), i64({3, 3, 4})}, {0, 0, 1, 1, 0, 0, 1, 1, 7, 10}},
          {"max_pool_backward.v1", {f32({2, 2, 5, 4}), i64({2, 2, 5, 4})}, {2, 3, 2, 2, 1, 2, 0, 1, 1, 1, 1, 1, 4, 5, 6}},
          {"avg_pool.v1", {f32({3, 9})}, {-1, 3, 2, 1, 5}},
          {"avg_pool.v1", {f32({70, 8, 8})}, {0, 2, 2, 2, 2, 0, 0, 4, 4}},
          {"avg_pool.v1", {f32({5, 9, 7})}, {-1, 3, 2, 2, 1, 1, 1, 5, 8}},
          {"avg_pool.v1", {f32({5, 9, 7})}, {0, 3, 2, 2, 1, 1, 1, 5, 8}},
          {"avg_pool.v1", {f32({5, 9, 8})}, {5, 3, 3, 3, 3, 1, 1, 4, 3}},
          {"avg_pool.v1", {f32({3, 7, 10})}, {0, 0, 0, 1, 1, 0, 0, 3, 4}},
          {"avg_pool.v1", {f32({3, 3, 4})}, {0, 0, 0, 1, 1, 0, 0, 7, 9}},  // adaptive to more
          {"avg_pool.v1", {f32({2, 4, 5, 6})}, {-1, 2, 3, 2, 2, 1, 2, 0, 1, 1, 2, 5, 4}},
          {"avg_pool_backward.v1", {f32({3, 5})}, {-1, 3, 2, 1, 9}},
          {"avg_pool_backward.v1", {f32({70, 4, 4})}, {0, 2, 2, 2, 2, 0, 0, 8, 8}},
          {"avg_pool_backward.v1", {f32({5, 5, 8})}, {-1, 3, 2, 2, 1, 1, 1, 9, 7}},
          {"avg_pool_backward.v1", {f32({5, 4, 3})}, {5, 3, 3, 3, 3, 1, 1, 9, 8}},
          {"avg_pool_backward.v1", {f32({3, 3, 4})}, {0, 0, 0, 1, 1, 0, 0, 7, 10}},
          {"avg_pool_backward.v1", {f32({3, 7, 9})}, {0, 0, 0, 1, 1, 0, 0, 3, 4}},
          {"avg_pool_backward.v1", {f32({2, 2, 5, 4})}, {-1, 2, 3, 2, 2, 1, 2, 0, 1, 1, 4, 5, 6}},
          {"upsample_nearest.v1", {f32({3, 5, 4})}, {11, 6, bits(5.0f / 11), bits(4.0f / 6), 0}},
          {"upsample_nearest.v1", {f32({3, 1, 40})}, {1, 13, bits(1), bits(40.0f / 13), bits(0.5f)}},
          {"upsample_nearest_backward.v1", {f32({3, 11, 6})}, {5, 4, bits(5.0f / 11), bits(4.0f / 6), 0}},
          {"upsample_nearest_backward.v1", {f32({3, 1, 13})}, {1, 40, bits(1), bits(40.0f / 13), bits(0.5f)}},
          {"upsample_bilinear.v1", {f32({3, 5, 4})}, {11, 6, bits(5.0f / 11), bits(4.0f / 6), 0}},
          {"upsample_bilinear.v1", {f32({3, 5, 4})}, {11, 6, bits(0.4f), bits(0.6f), 1}},
          {"upsample_bilinear.v1", {f32({3, 8, 9})}, {3, 1, bits(7.0f / 2), bits(0), 1}},
          {"upsample_bilinear.v1", {f32({3, 1, 9})}, {1, 30, bits(1), bits(0.3f), 0}},
          {"upsample_bilinear_backward.v1", {f32({3, 11, 6})}, {5, 4, bits(5.0f / 11), bits(4.0f / 6), 0}},
          {"upsample_bilinear_backward.v1", {f32({3, 11, 6})}, {5, 4, bits(0.4f), bits(0.6f), 1}},
          {"upsample_bilinear_backward.v1", {f32({3, 3, 1})}, {8, 9, bits(7.0f / 2), bits(0), 1}},
          {"im2col.v1", {f32({2, 3, 7, 5})}, {3, 2, 2, 1, 1, 0, 1, 2}},
          {"im2col.v1", {f32({1, 1, 20, 20})}, {18, 18, 1, 1, 1, 1, 1, 1}},
          {"col2im.v1", {f32({2, 18, 12})}, {3, 2, 2, 1, 1, 0, 1, 2, 7, 5}},
          {"col2im.v1", {f32({1, 324, 25})}, {18, 18, 1, 1, 1, 1, 1, 1, 20, 20}},
      },
      .largest = {
          {"convolution.f32.v1", {f32({256, deep, s, s}), f32({deep, deep, 7, 7}), f32({deep})}, {1, 2, 2, 3, 3, 1, 1}},
          {"convolution_transposed.f32.v1", {f32({256, deep, s, s}), f32({deep, deep, 7, 7}), f32({deep})}, {1, 1, 1, 3, 3, 1, 1, s, s}},
          {"convolution_weight.f32.v1", {f32({1024, deep, 7, 7}), f32({1024, deep, s, s})}, {1, 300, 300, 0, 0, 1, 1, 7, 7}},
          {"batch_norm.v1", {f32({kMostTokens, 16, s * s}), f32({16}), f32({16}), f32({16}), f32({16})}, {bits(1e-5f), bits(0.1f)}},
          {"batch_norm_backward.v1", {f32({kMostTokens, 16, s * s}), f32({kMostTokens, 16, s * s}), f32({16}), f32({16}), f32({16})}, {1}},
          {"batch_norm_inference.v1", {f32({kMostTokens, 16, s * s}), f32({16}), f32({16}), f32({16}), f32({16})}, {bits(1e-5f)}},
          {"group_norm.v1", {f32({kMostTokens, 16, s * s}), f32({16}), f32({16})}, {1, bits(1e-5f)}},
          {"group_norm_backward.v1", {f32({256, deep, s * s}), f32({256, deep, s * s}), f32({256, 1}), f32({256, 1}), f32({deep})}, {}},
          {"max_pool.v1", {f32({kMostTokens, s, s})}, {95, 2048, 95, 2048, 0, 0, 1, 1, 21, 1}},
          {"max_pool_backward.v1", {f32({kMostTokens, s, s}), i64({kMostTokens, s, s})}, {30, 300, 1, 1, 15, 150, 1, 1, s - 1, s - 1}},
          {"avg_pool.v1", {f32({kMostTokens, s, s})}, {0, 95, 2048, 95, 2048, 0, 0, 21, 1}},
          {"avg_pool_backward.v1", {f32({kMostTokens, s, s})}, {-1, 30, 300, 1, 1, 15, 150, s - 1, s - 1}},
          {"upsample_nearest.v1", {f32({kMostTokens, s, s})}, {deep, deep, bits(0.5f), bits(0.5f), 0}},
          {"upsample_nearest_backward.v1", {f32({kMostTokens, 4096, 4096})}, {32, 32, bits(1.0f / 128), bits(1.0f / 128), 0}},
          {"upsample_bilinear.v1", {f32({kMostTokens, s, s})}, {deep, deep, bits(0.5f), bits(0.5f), 0}},
          {"upsample_bilinear_backward.v1", {f32({kMostTokens, 4096, 4096})}, {40, 40, bits(1.0f / 102), bits(1.0f / 102), 0}},
          {"im2col.v1", {f32({4, 16, s, s})}, {32, 32, 1, 1, 0, 0, 1, 1}},
          {"col2im.v1", {f32({4, 16 * 1024, (s - 31) * (s - 31)})}, {32, 32, 1, 1, 0, 0, 1, 1, s, s}},
      },
      .formulas = {
          {"convolution.f32.v1", {1e-4, convolved}},
          {"convolution_transposed.f32.v1", {1e-4, transposed}},
          {"convolution_weight.f32.v1", {3e-4, weighed}},
          {"batch_norm.v1", {1e-4, [](const Naive& n) {
            const size_t c = n.dim(0, 1), p = n.dim(0, 2);
            const Numbers& x = n.in[0];
            const Moments m = moments(x, c, [&](size_t i) { return i / p % c; });
            Numbers rstd, y, mean, var;
            for (size_t i = 0; i < c; i++) rstd.push_back(1 / std::sqrt(m.var[i] + n.real(0)));
            for (size_t i = 0; i < x.size(); i++) y.push_back((x[i] - m.mean[i / p % c]) * rstd[i / p % c] * n.in[1][i / p % c] + n.in[2][i / p % c]);
            std::vector<Numbers> out{m.mean, m.var, rstd, y};
            if (n.in.size() == 3) return out;
            for (size_t i = 0; i < c; i++) {
              mean.push_back(n.in[3][i] * (1 - n.real(1)) + n.real(1) * m.mean[i]);
              var.push_back(n.in[4][i] * (1 - n.real(1)) + n.real(1) * m.var[i] * m.count / (m.count - 1));
            }
            out.push_back(mean);
            out.push_back(var);
            return out; }}},
          {"batch_norm_backward.v1", {3e-4, [](const Naive& n) {
            const size_t c = n.dim(0, 1), p = n.dim(0, 2);
            const auto &dy = n.in[0], &x = n.in[1];
            const double count = double(dy.size() / c);
            Numbers xhat, both, dx;
            for (size_t i = 0; i < x.size(); i++) xhat.push_back((x[i] - n.in[2][i / p % c]) * n.in[3][i / p % c]);
            for (size_t i = 0; i < x.size(); i++) both.push_back(dy[i] * xhat[i]);
            const auto channel = [&](size_t i) { return i / p % c; };
            const Numbers db = sums(dy, c, channel), dw = sums(both, c, channel);
            for (size_t i = 0; i < x.size(); i++) {
              const size_t j = channel(i);
              dx.push_back(n.in[4][j] * n.in[3][j] * (dy[i] - (n.attr(0) ? db[j] / count + xhat[i] * dw[j] / count : 0)));
            }
            return std::vector<Numbers>{db, dw, dx}; }}},
          {"batch_norm_inference.v1", {1e-4, [](const Naive& n) {
            const size_t c = n.dim(0, 1), p = n.dim(0, 2);
            Numbers rstd, y;
            for (size_t i = 0; i < c; i++) rstd.push_back(1 / std::sqrt(n.in[2][i] + n.real(0)));
            for (size_t i = 0; i < n.in[0].size(); i++) y.push_back((n.in[0][i] - n.in[1][i / p % c]) * rstd[i / p % c] * n.in[3][i / p % c] + n.in[4][i / p % c]);
            return std::vector<Numbers>{rstd, y}; }}},
          {"group_norm.v1", {1e-4, [](const Naive& n) {
            const size_t c = n.dim(0, 1), p = n.dim(0, 2), groups = size_t(n.attr(0)), length = c / groups * p;
            const Numbers& x = n.in[0];
            const Moments m = moments(x, x.size() / length, [&](size_t i) { return i / length; });
            Numbers rstd, y;
            for (const double var : m.var) rstd.push_back(1 / std::sqrt(var + n.real(1)));
            for (size_t i = 0; i < x.size(); i++) y.push_back((x[i] - m.mean[i / length]) * rstd[i / length] * n.in[1][i / p % c] + n.in[2][i / p % c]);
            return std::vector<Numbers>{m.mean, rstd, y}; }}},
          {"group_norm_backward.v1", {3e-4, [](const Naive& n) {
            const size_t c = n.dim(0, 1), p = n.dim(0, 2), rows = n.dim(0, 0) * c, groups = n.dim(2, 1), length = c / groups * p;
            const auto &dy = n.in[0], &x = n.in[1];
            Numbers xhat, both, weighed1, weighed2, dx;
            for (size_t i = 0; i < x.size(); i++) {
              xhat.push_back((x[i] - n.in[2][i / length]) * n.in[3][i / length]);
              both.push_back(dy[i] * xhat[i]);
              weighed1.push_back(dy[i] * n.in[4][i / p % c]);
              weighed2.push_back(both[i] * n.in[4][i / p % c]);
            }
            const auto row = [&](size_t i) { return i / p; };
            const auto channel = [&](size_t i) { return i / p % c; };
            const auto group = [&](size_t i) { return i / length; };
            const Numbers s1 = sums(weighed1, x.size() / length, group), s2 = sums(weighed2, x.size() / length, group);
            for (size_t i = 0; i < x.size(); i++)
              dx.push_back(n.in[3][i / length] * (weighed1[i] - s1[i / length] / double(length) - xhat[i] * s2[i / length] / double(length)));
            return std::vector<Numbers>{sums(dy, rows, row), sums(both, rows, row), sums(dy, c, channel), sums(both, c, channel), s1, s2, dx}; }}},
          {"max_pool.v1", {0, [](const Naive& n) {
            const Windows all = windows(n, true, 0, true);
            Numbers y, index;
            for (size_t r = 0; r < n.dim(0, 0); r++)
              all.each([&](const Windows::Window& w) {
                const auto at = [&](size_t p) { return n.in[0][r * count_of(all.in) + p]; };
                const size_t best = *std::max_element(w.inside.begin(), w.inside.end(), [&](size_t a, size_t b) { return at(a) < at(b); });
                y.push_back(at(best));
                index.push_back(double(best));
              });
            return std::vector<Numbers>{y, index}; }}},
          {"max_pool_backward.v1", {1e-5, [](const Naive& n) {
            const Windows all = windows(n, false, 0, true);
            Numbers dx(static_cast<size_t>(elements(n.run.out_types[0])));
            for (size_t r = 0; r < n.dim(0, 0); r++)
              all.each([&](const Windows::Window& w) {
                const size_t o = r * count_of(all.out) + w.number, p = size_t(n.in[1][o]);
                size_t rest = p;
                for (size_t d = all.rank; d-- > 0; rest /= size_t(all.in[d]))
                  if (const auto at = int64_t(rest % size_t(all.in[d])); at < w.low[d] || at > w.high[d]) return;
                dx[r * count_of(all.in) + p] += n.in[0][o];
              });
            return std::vector<Numbers>{dx}; }}},
          {"avg_pool.v1", {1e-5, [](const Naive& n) {
            const Windows all = windows(n, true, 1, false);
            Numbers y;
            for (size_t r = 0; r < n.dim(0, 0); r++)
              all.each([&](const Windows::Window& w) {
                double sum = 0;
                for (const size_t p : w.inside) sum += n.in[0][r * count_of(all.in) + p];
                y.push_back(sum / divisor(n, w));
              });
            return std::vector<Numbers>{y}; }}},
          {"avg_pool_backward.v1", {1e-5, [](const Naive& n) {
            const Windows all = windows(n, false, 1, false);
            Numbers dx(static_cast<size_t>(elements(n.run.out_types[0])));
            for (size_t r = 0; r < n.dim(0, 0); r++)
              all.each([&](const Windows::Window& w) {
                for (const size_t p : w.inside) dx[r * count_of(all.in) + p] += n.in[0][r * count_of(all.out) + w.number] / divisor(n, w);
              });
            return std::vector<Numbers>{dx}; }}},
          {"upsample_nearest.v1", {0, [](const Naive& n) {
            const Sizes &x = n.run.in_types[0].shape, &y = n.run.out_types[0].shape;
            Numbers out;
            each_index(y, [&](const Sizes& o) { out.push_back(n.in[0][flat(x, {o[0], nearest(n, 1, o[1], x[1]), nearest(n, 2, o[2], x[2])})]); });
            return std::vector<Numbers>{out}; }}},
          {"upsample_nearest_backward.v1", {1e-5, [](const Naive& n) {
            const Sizes &y = n.run.in_types[0].shape, &x = n.run.out_types[0].shape;
            Numbers dx(static_cast<size_t>(elements(n.run.out_types[0])));
            each_index(y, [&](const Sizes& o) { dx[flat(x, {o[0], nearest(n, 1, o[1], x[1]), nearest(n, 2, o[2], x[2])})] += n.in[0][flat(y, o)]; });
            return std::vector<Numbers>{dx}; }}},
          {"upsample_bilinear.v1", {1e-5, [](const Naive& n) {
            const Sizes &x = n.run.in_types[0].shape, &y = n.run.out_types[0].shape;
            const size_t from = size_t(x[1] * x[2]), to = size_t(y[1] * y[2]);
            Numbers out(static_cast<size_t>(elements(n.run.out_types[0])));
            each_weight(n, x, y, [&](size_t o, size_t i, double weight) {
              for (size_t r = 0; r < size_t(x[0]); r++) out[r * to + o] += weight * n.in[0][r * from + i]; });
            return std::vector<Numbers>{out}; }}},
          {"upsample_bilinear_backward.v1", {1e-5, [](const Naive& n) {
            const Sizes &y = n.run.in_types[0].shape, &x = n.run.out_types[0].shape;
            const size_t from = size_t(x[1] * x[2]), to = size_t(y[1] * y[2]);
            Numbers dx(static_cast<size_t>(elements(n.run.out_types[0])));
            each_weight(n, x, y, [&](size_t o, size_t i, double weight) {
              for (size_t r = 0; r < size_t(x[0]); r++) dx[r * from + i] += weight * n.in[0][r * to + o]; });
            return std::vector<Numbers>{dx}; }}},
          {"im2col.v1", {0, [](const Naive& n) {
            Numbers y;
            const int64_t h = int64_t(n.dim(0, 2)), w = int64_t(n.dim(0, 3));
            const auto places = [&](size_t d, int64_t size) { return (size + 2 * n.attr(4 + d) - n.attr(6 + d) * (n.attr(d) - 1) - 1) / n.attr(2 + d) + 1; };
            each_index({int64_t(n.dim(0, 0) * n.dim(0, 1)), n.attr(0), n.attr(1), places(0, h), places(1, w)}, [&](const Sizes& i) {
              const int64_t p = i[3] * n.attr(2) - n.attr(4) + i[1] * n.attr(6), q = i[4] * n.attr(3) - n.attr(5) + i[2] * n.attr(7);
              y.push_back(p < 0 || q < 0 || p >= h || q >= w ? 0 : n.in[0][size_t((i[0] * h + p) * w + q)]); });
            return std::vector<Numbers>{y}; }}},
          {"col2im.v1", {1e-4, [](const Naive& n) {
            const int64_t h = n.attr(8), w = n.attr(9);
            Numbers x(static_cast<size_t>(elements(n.run.out_types[0])));
            size_t e = 0;
            const auto places = [&](size_t d, int64_t size) { return (size + 2 * n.attr(4 + d) - n.attr(6 + d) * (n.attr(d) - 1) - 1) / n.attr(2 + d) + 1; };
            each_index({int64_t(x.size()) / (h * w), n.attr(0), n.attr(1), places(0, h), places(1, w)}, [&](const Sizes& i) {
              const int64_t p = i[3] * n.attr(2) - n.attr(4) + i[1] * n.attr(6), q = i[4] * n.attr(3) - n.attr(5) + i[2] * n.attr(7);
              if (p >= 0 && q >= 0 && p < h && q < w) x[size_t((i[0] * h + p) * w + q)] += n.in[0][e];
              e++; });
            return std::vector<Numbers>{x}; }}},
      },
      .refused = {
          {{"convolution.f32.v1", {f32({2, 3}), f32({4, 3})}, {1}}, "one to three dimensions"},
          {{"convolution.f32.v1", {f32({2, 3, 8, 8}), f32({4, 3, 3, 3})}, {2, 1, 1, 0, 0, 1, 1}}, "groups do not fit"},
          {{"convolution.f32.v1", {f32({2, 3, 8, 8}), f32({4, 3, 3, 3})}, {1, 0, 1, 0, 0, 1, 1}}, "stride, dilation and sizes"},
          {{"convolution.f32.v1", {f32({2, 3, 8, 8}), f32({4, 3, 3, 3})}, {1, 1, 1, -1, 0, 1, 1}}, "padding at least 0"},
          {{"convolution.f32.v1", {f32({2, 3, 8, 8}), f32({4, 3, 3, 3})}, {1, 1, 1, 0, 0, 4, 1}}, "larger than the padded operand"},
          {{"convolution.f32.v1", {f32({2, 3, 8, 8}), f32({4, 3, 3, 3}), f32({3})}, {1, 1, 1, 0, 0, 1, 1}}, "bias does not fit"},
          {{"convolution_transposed.f32.v1", {f32({2, 4, 8}), f32({4, 3, 3})}, {1, 2, 1, 1, 14}}, "size does not fit"},
          {{"convolution_transposed.f32.v1", {f32({2, 4, 8}), f32({4, 3, 3})}, {1, 2, 1, 1, 17}}, "size does not fit"},
          {{"convolution_transposed.f32.v1", {f32({2, 5, 8}), f32({4, 3, 3})}, {1, 2, 1, 1, 16}}, "groups do not fit"},
          {{"convolution_weight.f32.v1", {f32({2, 4, 8}), f32({3, 3, 16})}, {1, 2, 1, 1, 3}}, "do not fit"},
          {{"convolution_weight.f32.v1", {f32({2, 4, 8}), f32({2, 3, 16})}, {1, 2, 1, 1, 7}}, "kernel does not fit"},
          {{"batch_norm.v1", {f32({5, 3, 7}), f32({3}), f32({4})}, {0, 0}}, "one number a channel"},
          {{"batch_norm.v1", {f32({5, 3}), f32({3}), f32({3})}, {0, 0}}, "3 dimensions"},
          {{"batch_norm_backward.v1", {f32({5, 3, 7}), f32({5, 3, 7}), f32({3}), f32({3}), f32({3})}, {2}}, "0 or 1"},
          {{"batch_norm_inference.v1", {f32({5, 3, 7}), f32({3}), f32({3}), f32({3}), f32({7})}, {0}}, "one number a channel"},
          {{"group_norm.v1", {f32({5, 6, 7}), f32({6}), f32({6})}, {4, 0}}, "divide the channels"},
          {{"group_norm_backward.v1", {f32({5, 6, 7}), f32({5, 6, 7}), f32({5, 4}), f32({5, 4}), f32({6})}, {}}, "divide the channels"},
          {{"max_pool.v1", {f32({5, 8, 8})}, {2, 2, 2, 2, 0, 0, 1, 1, 4}}, "for each dimension"},
          {{"max_pool.v1", {f32({5, 8, 8})}, {2, 2, 2, 2, 0, 0, 1, 1, 5, 4}}, "no position"},
          {{"max_pool.v1", {f32({1, 16'000'000})}, {2, 1, 16'500'000, 16'500'000, 1}}, "no position"},  // too many to be looked at
          {{"max_pool.v1", {f32({5, 2048, 2048})}, {2048, 2048, 1, 1, 0, 0, 1, 1, 1, 1}}, "than a dispute opens"},
          {{"max_pool.v1", {f32({1, 16777216})}, {1000, 1, 0, 16384, 1}}, "than a dispute opens"},  // each in another chunk, far apart
          {{"max_pool_backward.v1", {f32({5, 4, 4}), i64({5, 4, 3})}, {2, 2, 2, 2, 0, 0, 1, 1, 8, 8}}, "index"},
          {{"avg_pool.v1", {f32({5, 8, 8})}, {-2, 2, 2, 2, 2, 0, 0, 4, 4}}, "divisor"},
          {{"avg_pool.v1", {f32({1, 960, 8192})}, {0, 960, 1, 960, 1, 0, 0, 1, 8192}}, "than a dispute opens"},
          {{"avg_pool_backward.v1", {f32({5, 4, 4})}, {0, 2, 2, 2, 2, 3, 0, 8, 8}}, "no position"},
          {{"upsample_nearest.v1", {f32({3, 5, 4})}, {11, 0, bits(1), bits(1), 0}}, "1 .. 2^24"},
          {{"upsample_nearest.v1", {f32({3, 5, 4})}, {11, 6, bits(NAN), bits(1), 0}}, "finite"},
          {{"upsample_nearest_backward.v1", {f32({3, 4096, 4096})}, {1, 1, bits(1.0f / 4096), bits(1.0f / 4096), 0}}, "than a dispute opens"},
          {{"upsample_nearest_backward.v1", {f32({1, 1, 1048576})}, {1, 1, bits(1), bits(1), 0}}, "than a dispute opens"},  // all lie past the one position
          {{"upsample_bilinear_backward.v1", {f32({1, 2048, 256})}, {4, 256, bits(1), bits(1), 0}}, "than a dispute opens"},
          {{"upsample_bilinear.v1", {f32({3, 5, 4})}, {11, 6, bits(1), bits(1), 2}}, "corners"},
          {{"upsample_bilinear_backward.v1", {f32({3, 5, 4, 1})}, {11, 6, bits(1), bits(1), 0}}, "3 dimensions"},
          {{"im2col.v1", {f32({2, 3, 4, 4})}, {5, 5, 1, 1, 0, 0, 1, 1}}, "larger than"},
          {{"col2im.v1", {f32({2, 27, 5})}, {3, 3, 1, 1, 0, 0, 1, 1, 4, 4}}, "places"},
      },
  };
}

}  // namespace cairn::kernels
