// What an operator is: one definition, written once, that serves as scalar reference, referee, tile rule and block rule.
//
// Every output element is a *fold*: `blocks` steps over consecutive blocks of its reduction axis, each taking the carry of
// the one before (256 positions a block for products and column sums; 1 block for everything that reads at most 4096
// elements). The step reads operands only through `Source`, element by element. So
//   - run over a whole tensor it is the scalar reference that every fast version must equal bit for bit;
//   - run for one block over opened slices it is the ledger's referee;
//   - run over a recording source it says which slices an opening must hold: there is no second rule to keep in step.
// An operator with several outputs lists them in the order of dependency: element folds of output o may also read outputs
// before o (row maxima before softmax values), which a dispute has agreed on by then, as it walks to the first difference.
//
// A *tile* of an output is one chunk of BLAKE3's tree over its bytes: 1024 bytes, 256 floats.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/codec.h"

namespace cairn::kernels {

// u8 also stores bool, 0 or 1. bf16 is storage: it is moved and cast, all arithmetic is in f32.
enum class DType : uint8_t { f32 = 1, i64 = 2, i32 = 3, u8 = 4, bf16 = 5 };
constexpr bool is_valid(DType t) { return t >= DType::f32 && t <= DType::bf16; }
constexpr int64_t size_of(DType t) { return t == DType::i64 ? 8 : t == DType::u8 ? 1 : t == DType::bf16 ? 2 : 4; }
std::string_view name(DType t);

// Row-major, contiguous. A scalar has no dimensions and one element.
struct TensorType {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
  static constexpr auto fields() { return std::tuple{field("dtype", &TensorType::dtype), field("shape", &TensorType::shape)}; }
};
// Product of the shape, or `shape` when a dimension is negative or the bytes would pass 2^46.
Result<int64_t> elements_checked(const TensorType& type);
int64_t elements(const TensorType& type);  // of a checked type
inline int64_t bytes(const TensorType& type) { return elements(type) * size_of(type.dtype); }
std::string to_string(const TensorType& type);  // "f32[64, 10]"

// Implicit in every call: which step of the job this is, and the job's seed.
struct StepContext {
  uint64_t seed = 0;
  uint64_t step = 0;
};

struct CallShape {
  std::span<const TensorType> in;
  std::span<const TensorType> out;
  std::span<const int64_t> attrs;  // floats as the bits of an f32
};
inline int64_t attr_of(float value) { return std::bit_cast<uint32_t>(value); }
inline float attr_f32(int64_t attr) { return std::bit_cast<float>(static_cast<uint32_t>(attr)); }

// Where a fold reads: operand k < in.size() is an input, the rest are the call's own earlier outputs. Bits are the
// element's, zero-extended. A source may refuse (an opening that lacks the slice): it then throws SourceMissing.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t bits(size_t operand, int64_t element) = 0;
  float f32(size_t operand, int64_t element) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits(operand, element)));
  }
  int64_t i64(size_t operand, int64_t element) { return static_cast<int64_t>(bits(operand, element)); }
};
struct SourceMissing {
  size_t operand;
  int64_t element;
};

// What passes from block to block; after the last block `lo` holds the element's bits. Starts as {0, 0}.
struct Carry {
  uint64_t lo = 0;
  uint64_t hi = 0;
  friend bool operator==(const Carry&, const Carry&) = default;
  static constexpr auto fields() { return std::tuple{field("lo", &Carry::lo), field("hi", &Carry::hi)}; }
};

// Exact cost of a call; work in nanoseconds is the chain table's business (attest/plan.h).
struct Cost {
  uint64_t multiply_adds = 0;
  uint64_t bytes = 0;  // read and written
};

enum class Isa : uint8_t { scalar, avx2, avx512, vnni, neon };  // vnni: AVX-512 with its integer products
std::string_view name(Isa isa);
std::span<const Isa> isas();  // what this CPU has, the best last; CAIRN_ISA=NAME in the environment leaves those after it out
inline Isa best_isa() { return isas().back(); }

class Pool;  // kernels/pool.h
struct Exec {
  Isa isa = best_isa();
  Pool* pool = nullptr;  // null: this thread alone
};

enum class AttrKind : uint8_t { integer, f32 };
struct AttrSpec {
  std::string_view name;
  AttrKind kind = AttrKind::integer;
};
// Output `output` may be written over input `input` by `host` (the input dies there).
struct InPlace {
  uint32_t output;
  uint32_t input;
};

struct Operator {
  uint16_t id;             // on the wire; never reused
  std::string_view name;   // "matmul.f32.v1"; a changed meaning is a new name and id
  std::string_view formula;
  std::string_view order;  // the one order of roundings, in a sentence
  std::string_view source;
  std::vector<AttrSpec> attrs;
  std::vector<InPlace> in_place;

  // Output types; refuses (`shape`) what does not fit, with the operator's name in the text.
  Result<std::vector<TensorType>> (*infer)(std::span<const TensorType> in, std::span<const int64_t> attrs);
  Cost (*cost)(const CallShape& call);
  int64_t (*blocks)(const CallShape& call, size_t output);  // the same for every element of an output; >= 1
  Carry (*fold)(const CallShape& call, const StepContext& step, size_t output, int64_t element, int64_t block,
                Carry carry, Source& source);  // THE definition
  // The fast version, same bits at every isa and thread count. Pointers are 64-byte aligned and do not alias but by in_place.
  void (*host)(const CallShape& call, const StepContext& step, std::span<const void* const> in, std::span<void* const> out,
               const Exec& exec);
  // Launch on a CUDA stream with device pointers, of which `step` is one, so that a recorded launch can run as of another step;
  // null where nvcc was absent at build time. Outputs lie over no input: a kernel may read what another thread has written.
  void (*device)(const CallShape& call, const StepContext* step, std::span<const void* const> in,
                 std::span<void* const> out, void* stream);
};

// Every operator, ordered by id. The list is kernels/operators.cc, one line each.
std::span<const Operator* const> operators();
const Operator* find_operator(uint16_t id);
const Operator* find_operator(std::string_view name);

// Whole outputs by `fold` alone, element by element: slow, and the definition.
void run_reference(const Operator& op, const CallShape& call, const StepContext& step, std::span<const void* const> in,
                   std::span<void* const> out);

// Runs every operator's known-answer case at `isa` and compares its digest: `known_answer` names the first that differs.
Result<> self_test(Isa isa);

}  // namespace cairn::kernels
