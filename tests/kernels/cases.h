// Calls of operators as the tests make them: operands tame and wild, run by definition and by fast bodies.
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

const std::vector<Case>& cases();  // of all families

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
      if (type.dtype == DType::bf16) buffer.as<uint16_t>()[i] = static_cast<uint16_t>(word >> 16);
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
