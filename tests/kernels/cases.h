// One row or more for every operator: calls with odd shapes. Who adds an operator adds a row here.
#pragma once

#include <memory>
#include <random>

#include "kernels/reference.h"

namespace cairn::kernels {

struct Case {
  const char* op;
  Types in;
  std::vector<int64_t> attrs;
};

inline const std::vector<Case>& cases() {
  const auto bits = [](float x) { return attr_of(x); };
  const auto u8 = [](std::vector<int64_t> shape) { return TensorType{DType::u8, std::move(shape)}; };
  const auto i32 = [](std::vector<int64_t> shape) { return TensorType{DType::i32, std::move(shape)}; };
  static const std::vector<Case> all = {
      {"sample_rows.v1", {f32({13, 3})}, {8, 0}},
      {"sample_rows.v1", {i64({1})}, {5, 0}},
      {"sample_rows.v1", {u8({130, 3, 5})}, {64, 0}},
      {"sample_rows.v1", {f32({1000, 80})}, {999, 0}},
      {"sample_rows.v1", {f32({1000, 80})}, {999, 1}},
      {"put_rows.v1", {f32({13, 3}), f32({4, 3})}, {}},
      {"put_rows.v1", {f32({13}), f32({})}, {}},
      {"put_rows.v1", {i64({3, 2}), i64({7, 2})}, {}},
      {"permute.v1", {f32({300, 70})}, {1, 0}},
      {"permute.v1", {i64({3, 4, 5})}, {2, 0, 1}},
      {"permute.v1", {u8({2, 3, 2, 3, 2, 3})}, {5, 1, 3, 0, 2, 4}},
      {"permute.v1", {f32({8, 17, 9, 33})}, {0, 2, 1, 3}},
      {"permute.v1", {f32({8, 17, 33})}, {0, 2, 1}},
      {"permute.v1", {f32({7})}, {0}},
      {"broadcast.v1", {f32({})}, {3, 70}},
      {"broadcast.v1", {f32({70})}, {300, 70}},
      {"broadcast.v1", {i64({3, 1, 2})}, {2, 3, 4, 2}},
      {"broadcast.v1", {u8({1})}, {1, 1}},
      {"cast.v1", {f32({7, 11})}, {2}},
      {"cast.v1", {f32({7, 11})}, {3}},
      {"cast.v1", {f32({7, 11})}, {4}},
      {"cast.v1", {i64({70001})}, {1}},
      {"cast.v1", {i32({77})}, {1}},
      {"cast.v1", {u8({77})}, {1}},
      {"matmul.f32.v1", {f32({1, 1}), f32({1, 1})}, {0, 0}},
      {"matmul.f32.v1", {f32({7, 300}), f32({300, 9})}, {0, 0}},
      {"matmul.f32.v1", {f32({300, 29}), f32({300, 33})}, {1, 0}},
      {"matmul.f32.v1", {f32({15, 257}), f32({70, 257})}, {0, 1}},
      {"matmul.f32.v1", {f32({65, 100}), f32({17, 65})}, {1, 1}},
      {"matmul.f32.v1", {f32({100, 5}), f32({5, 300})}, {0, 0}},
      {"matmul.f32.v1", {f32({5, 100}), f32({5, 300})}, {1, 0}},
      {"matmul.f32.v1", {f32({1, 520}), f32({520, 70})}, {0, 0}},
      {"matmul.f32.v1", {f32({3, 520}), f32({70, 520})}, {0, 1}},
      {"matmul.f32.v1", {f32({200, 300}), f32({300, 1})}, {0, 0}},
      {"matmul.f32.v1", {f32({300, 130}), f32({130, 70})}, {0, 0}},
      {"matmul.f32.v1", {f32({9, 130}), f32({130, 1100})}, {0, 0}},
      {"matmul.f32.v1", {f32({260, 70}), f32({290, 70})}, {0, 1}},
      {"linear.f32.v1", {f32({7, 300}), f32({9, 300}), f32({9})}, {1}},
      {"linear.f32.v1", {f32({65, 30}), f32({30, 40}), f32({40})}, {0}},
      {"linear.f32.v1", {f32({100, 300}), f32({300, 333}), f32({333})}, {0}},
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
      {"sum_rows.v1", {f32({1, 1})}, {}},
      {"sum_rows.v1", {f32({300, 70})}, {}},
      {"sum_rows.v1", {f32({600, 133})}, {}},
      {"sum_last.v1", {f32({70, 1})}, {}},
      {"sum_last.v1", {f32({70, 33})}, {}},
      {"sum_last.v1", {f32({9, 4096})}, {}},
      {"sum_last.v1", {f32({2, 70001})}, {}},
      {"layer_norm.v1", {f32({5, 1}), f32({1}), f32({1})}, {bits(1e-5f)}},
      {"layer_norm.v1", {f32({300, 70}), f32({70}), f32({70})}, {bits(1e-5f)}},
      {"layer_norm.v1", {f32({2, 5001}), f32({5001}), f32({5001})}, {bits(1e-5f)}},
      {"layer_norm_backward_input.v1", {f32({300, 70}), f32({300, 70}), f32({300}), f32({300}), f32({70})}, {}},
      {"layer_norm_backward_input.v1", {f32({2, 5001}), f32({2, 5001}), f32({2}), f32({2}), f32({5001})}, {}},
      {"layer_norm_backward_affine.v1", {f32({300, 9}), f32({300, 9}), f32({300}), f32({300})}, {}},
      {"layer_norm_backward_affine.v1", {f32({300, 133}), f32({300, 133}), f32({300}), f32({300})}, {}},
      {"log_softmax.v1", {f32({64, 10})}, {}},
      {"log_softmax.v1", {f32({300, 70})}, {}},
      {"log_softmax.v1", {f32({3, 5001})}, {}},
      {"log_softmax.v1", {f32({3, 1})}, {}},
      {"log_softmax_backward.v1", {f32({300, 70}), f32({300, 70})}, {}},
      {"log_softmax_backward.v1", {f32({3, 5001}), f32({3, 5001})}, {}},
      {"nll_loss.v1", {f32({64, 10}), i64({64})}, {1, -100}},
      {"nll_loss.v1", {f32({600, 7}), i64({600})}, {1, 3}},
      {"nll_loss.v1", {f32({600, 7}), i64({600})}, {2, 3}},
      {"nll_loss_backward.v1", {f32({}), i64({64}), f32({})}, {10, 1, -100}},
      {"nll_loss_backward.v1", {f32({}), i64({64}), f32({})}, {10, 2, 3}},
      {"softmax.v1", {f32({300, 70})}, {}},
      {"softmax.v1", {f32({3, 5001})}, {}},
      {"philox_mask.v1", {}, {3, bits(0.1f), 5, 67}},
      {"philox_mask.v1", {}, {0, bits(1.0f), 11}},
      {"philox_mask.v1", {}, {1, bits(0.5f), 70001}},
      {"sgd.v1", {f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 1})}, {bits(0.9f), bits(0.01f), 1}},
      {"sgd.v1", {f32({70001}), f32({70001}), f32({70001}), f32({2, 1})}, {bits(0.0f), bits(0.0f), 0}},
      {"adam.v1", {f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({5, 67}), f32({9, 3})}, {bits(0.9f), bits(0.999f), bits(1e-8f), bits(0.01f), 1}},
      {"adam.v1", {f32({70001}), f32({70001}), f32({70001}), f32({70001}), f32({2, 3})}, {bits(0.9f), bits(0.999f), bits(1e-8f), bits(0.01f), 0}},
      {"argmax_last.v1", {f32({300, 70})}, {}},
      {"argmax_last.v1", {f32({3, 5001})}, {}},
      {"argmax_last.v1", {f32({3, 1})}, {}},
  };
  return all;
}

// The largest calls that a plan may hold: 131,072 tokens, 16,384 features, 65,536 classes. One row for every operator.
inline const std::vector<Case>& largest_cases() {
  constexpr int64_t t = 131072, f = 16384, classes = isa_scalar::kMaxColumns;
  static const std::vector<Case> all = {
      {"sample_rows.v1", {f32({t, f})}, {t, 0}},
      {"put_rows.v1", {f32({t, f}), f32({t, f})}, {}},
      {"permute.v1", {f32({t, f})}, {1, 0}},
      {"broadcast.v1", {f32({f})}, {t, f}},
      {"cast.v1", {i64({t, f})}, {1}},
      {"matmul.f32.v1", {f32({t, f}), f32({f, f})}, {0, 0}},
      {"matmul.f32.v1", {f32({t, f}), f32({t, f})}, {1, 0}},
      {"matmul.f32.v1", {f32({f, t}), f32({f, f})}, {1, 1}},
      {"linear.f32.v1", {f32({t, f}), f32({f, f}), f32({f})}, {0}},
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
      {"sum_rows.v1", {f32({t, f})}, {}},
      {"sum_last.v1", {f32({f, t})}, {}},
      {"layer_norm.v1", {f32({t, classes}), f32({classes}), f32({classes})}, {attr_of(1e-5f)}},
      {"layer_norm_backward_input.v1", {f32({t, classes}), f32({t, classes}), f32({t}), f32({t}), f32({classes})}, {}},
      {"layer_norm_backward_affine.v1", {f32({t, classes}), f32({t, classes}), f32({t}), f32({t})}, {}},
      {"log_softmax.v1", {f32({t, classes})}, {}},
      {"log_softmax_backward.v1", {f32({t, classes}), f32({t, classes})}, {}},
      {"nll_loss.v1", {f32({t, classes}), i64({t})}, {1, -100}},
      {"nll_loss_backward.v1", {f32({}), i64({t}), f32({})}, {classes, 1, -100}},
      {"softmax.v1", {f32({t, classes})}, {}},
      {"philox_mask.v1", {}, {0, attr_of(0.5f), t, f}},
      {"sgd.v1", {f32({t, f}), f32({t, f}), f32({t, f}), f32({t, 1})}, {0, 0, 0}},
      {"adam.v1", {f32({t, f}), f32({t, f}), f32({t, f}), f32({t, f}), f32({t, 3})}, {0, 0, 0, 0, 0}},
      {"argmax_last.v1", {f32({t, classes})}, {}},
  };
  return all;
}

// Aligned bytes, as a kernel gets them.
struct Buffer {
  explicit Buffer(size_t bytes) : size(bytes), data(std::aligned_alloc(64, (bytes + 64) / 64 * 64), &std::free) {}
  size_t size;
  std::unique_ptr<void, decltype(&std::free)> data;
  template <class T>
  T* as() const {
    return static_cast<T*>(data.get());
  }
  bool operator==(const Buffer& other) const { return size == other.size && std::memcmp(data.get(), other.data.get(), size) == 0; }
};

enum class Values { tame, wild };

// Operands of a case. Tame: uniform in (-2, 2), positive where an optimizer takes roots, labels in range. Wild: every kind of
// float, NaN payloads, infinities, denormals, both zeros, huge and tiny; labels also out of range.
inline std::vector<Buffer> fill(const Types& types, Values values, bool positive, int64_t labels, uint64_t seed) {
  static const uint32_t kWild[] = {0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF, 0x7F800000, 0xFF800000, 0x00000000, 0x80000000,
                                   0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000,
                                   0xBF800000, 0x42B17218, 0xC2CFF1B5, 0x5F000000, 0xDF000000, 0x4F000000, 0xCF000000, 0x437F0000};
  std::mt19937_64 random(seed);
  std::vector<Buffer> all;
  for (const TensorType& type : types) {
    const size_t count = static_cast<size_t>(elements(type));
    Buffer buffer(static_cast<size_t>(bytes(type)));
    for (size_t i = 0; i < count; i++) {
      const uint64_t r = random();
      const float u = static_cast<float>(r >> 40) * 0x1p-24f;
      uint32_t word = std::bit_cast<uint32_t>(positive ? u + 0.01f : u * 4 - 2);
      if (values == Values::wild) {
        const uint64_t kind = random() % 16;
        if (kind == 0) word = kWild[random() % std::size(kWild)];
        else if (kind == 1) word = static_cast<uint32_t>(random());
        else if (kind == 2) word &= 0x80FFFFFF;
      }
      int64_t integer = static_cast<int64_t>(r % static_cast<uint64_t>(labels));
      if (values == Values::wild && random() % 64 == 0) integer = static_cast<int64_t>(random());
      if (type.dtype == DType::f32) buffer.as<uint32_t>()[i] = word;
      if (type.dtype == DType::i64) buffer.as<int64_t>()[i] = integer;
      if (type.dtype == DType::i32) buffer.as<int32_t>()[i] = static_cast<int32_t>(integer);
      if (type.dtype == DType::u8) buffer.as<uint8_t>()[i] = static_cast<uint8_t>(integer);
    }
    all.push_back(std::move(buffer));
  }
  return all;
}

// A case ready to run.
struct Trial {
  Trial(const Case& c, Values values)
      : op(*find_operator(std::string_view(c.op))),
        in_types(c.in),
        attrs(c.attrs),
        out_types(must(op.infer(in_types, attrs))),
        in(fill(in_types, values, op.id >= 80 && op.id < 90, 7, op.id)) {
    for (const Buffer& buffer : in) in_data.push_back(buffer.data.get());
  }
  CallShape call() const { return {in_types, out_types, attrs}; }
  std::vector<Buffer> outputs() const {
    std::vector<Buffer> out;
    for (const TensorType& type : out_types) {
      out.emplace_back(static_cast<size_t>(bytes(type)));
      std::memset(out.back().data.get(), 0xA5, out.back().size);
    }
    return out;
  }
  static std::vector<void*> pointers(const std::vector<Buffer>& buffers) {
    std::vector<void*> all;
    for (const Buffer& buffer : buffers) all.push_back(buffer.data.get());
    return all;
  }
  std::vector<Buffer> reference(const StepContext& step) const {
    std::vector<Buffer> out = outputs();
    run_reference(op, call(), step, in_data, pointers(out));
    return out;
  }
  std::vector<Buffer> host(const StepContext& step, const Exec& exec) const {
    std::vector<Buffer> out = outputs();
    op.host(call(), step, in_data, pointers(out), exec);
    return out;
  }

  const Operator& op;
  Types in_types;
  std::vector<int64_t> attrs;
  Types out_types;
  std::vector<Buffer> in;
  std::vector<const void*> in_data;
};

inline std::string describe(const Case& c) {
  std::string text = c.op;
  for (const TensorType& type : c.in) text += " " + to_string(type);
  for (const int64_t attr : c.attrs) text += " " + std::to_string(attr);
  return text;
}

}  // namespace cairn::kernels
