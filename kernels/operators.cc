// The list of operators, from the entries of each family.
#include <algorithm>
#include <cstdlib>

#include "kernels/accelerator.h"
#include "kernels/device.h"
#include "kernels/host.h"
#include "kernels/reference.h"

extern "C" __attribute__((weak)) const cairn::kernels::DeviceBody* cairn_kernels_device_bodies();
extern "C" __attribute__((weak)) cairn::kernels::Accelerator* cairn_kernels_gpu_accelerator();

namespace cairn::kernels {

#define OPERATOR(family, Op) DECLARE_OPERATOR(Op)
#include "kernels/operators.def"
#undef OPERATOR

namespace {

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = [] {
    std::vector<Entry> entries = {
#define OPERATOR(family, Op) ENTRY(Op)(),
#include "kernels/operators.def"
#undef OPERATOR
    };
    if (&cairn_kernels_device_bodies != nullptr)
      for (size_t i = 0; i < entries.size(); i++) entries[i].op.device = cairn_kernels_device_bodies()[i];
    return entries;
  }();
  return all;
}

}  // namespace

std::span<const Operator* const> operators() {
  static const std::vector<const Operator*> list = [] {
    std::vector<const Operator*> pointers;
    for (const Entry& entry : entries()) pointers.push_back(&entry.op);
    CHECK(std::is_sorted(pointers.begin(), pointers.end(), [](auto* a, auto* b) { return a->id < b->id; }));
    return pointers;
  }();
  return list;
}

const Operator* find_operator(uint16_t id) {
  for (const Operator* op : operators())
    if (op->id == id) return op;
  return nullptr;
}

const Operator* find_operator(std::string_view name) {
  for (const Operator* op : operators())
    if (op->name == name) return op;
  return nullptr;
}

KnownCall known_call(const Operator& op) {
  for (const Entry& entry : entries())
    if (entry.op.id == op.id) return entry.known();
  CHECK(false);
  return {};
}

std::unique_ptr<Accelerator> make_accelerator() {
  return std::unique_ptr<Accelerator>(&cairn_kernels_gpu_accelerator != nullptr ? cairn_kernels_gpu_accelerator() : nullptr);
}

// ---- types and instruction sets -------------------------------------------------------------------------------------------

std::string_view name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
    case DType::bf16: return "bf16";
  }
  return "?";
}

Result<int64_t> elements_checked(const TensorType& type) {
  constexpr int64_t kMaxBytes = int64_t{1} << 46;
  if (!is_valid(type.dtype)) return Error{Code::shape, "unknown dtype", ""};
  int64_t count = 1;
  for (const int64_t dim : type.shape) {
    if (dim < 0) return Error{Code::shape, "a dimension of " + to_string(type) + " is negative", ""};
    if (dim == 0) count = 0;
  }
  if (count == 0) return 0;
  for (const int64_t dim : type.shape)
    if (__builtin_mul_overflow(count, dim, &count) || count > kMaxBytes / size_of(type.dtype))
      return Error{Code::shape, to_string(type) + " is larger than 2^46 bytes", ""};
  return count;
}

int64_t elements(const TensorType& type) {
  int64_t count = 1;
  for (const int64_t dim : type.shape) count *= dim;
  return count;
}

std::string to_string(const TensorType& type) {
  std::string out = std::string(name(type.dtype)) + "[";
  for (size_t d = 0; d < type.shape.size(); d++) out += (d ? ", " : "") + std::to_string(type.shape[d]);
  return out + "]";
}

std::string_view name(Isa isa) {
  constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512", "vnni", "neon"};
  return kNames[static_cast<size_t>(isa)];
}

std::span<const Isa> isas() {
  static const std::vector<Isa> all = [] {
    std::vector<Isa> isas = {Isa::scalar};
#if defined(__aarch64__)
    isas.push_back(Isa::neon);
#else
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      isas.push_back(Isa::avx2);
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512vl")) {
        isas.push_back(Isa::avx512);
        if (__builtin_cpu_supports("avx512vnni")) isas.push_back(Isa::vnni);
      }
    }
#endif
    if (const char* wanted = std::getenv("CAIRN_ISA"))
      if (const auto at = std::ranges::find(isas, wanted, [](Isa isa) { return name(isa); }); at != isas.end()) isas.erase(at + 1, isas.end());
    return isas;
  }();
  return all;
}

}  // namespace cairn::kernels
