// A dispute ends in one block of one element's fold, opened chunk by chunk: that must stay small for every operator at the
// largest shapes that a plan may hold. The table is printed; docs quote it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <set>

#include "tests/kernels/family.h"

namespace cairn::kernels {
namespace {

constexpr int64_t kChunk = 1024;
constexpr size_t kMostBytes = size_t{1} << 20;

// Gives made-up bits, remembers which chunks were read, and refuses what lies outside of an operand.
class RecordingSource final : public Source {
 public:
  explicit RecordingSource(const CallShape& call) {
    for (const TensorType& type : call.in) types_.push_back(type);
    for (const TensorType& type : call.out) types_.push_back(type);
  }
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand >= types_.size() || element < 0 || element >= elements(types_[operand]))
      throw SourceMissing{operand, element};
    chunks_.insert({operand, element * size_of(types_[operand].dtype) / kChunk});
    return types_[operand].dtype == DType::f32 ? std::bit_cast<uint32_t>(0.5f) : 0;
  }
  size_t opened_bytes() const { return chunks_.size() * static_cast<size_t>(kChunk); }

 private:
  Types types_;
  std::set<std::pair<size_t, int64_t>> chunks_;
};

TEST(Openings, one_block_opens_at_most_1_MiB_at_the_largest_shapes) {
  std::set<std::string_view> covered;
  std::vector<Case> largest;
  for (const Family& family : families()) largest.insert(largest.end(), family.largest.begin(), family.largest.end());
  for (const Case& c : largest) {
    covered.insert(c.op);
    const Operator& op = *find_operator(std::string_view(c.op));
    const Types out = must(op.infer(c.in, c.attrs));
    const CallShape call{c.in, out, c.attrs};
    for (size_t o = 0; o < out.size(); o++) {
      const int64_t last = elements(out[o]) - 1, blocks = op.blocks(call, o);
      size_t most = 0;
      double slowest_ms = 0;
      for (const int64_t element : {int64_t{0}, last / 2 + 77 < last ? last / 2 + 77 : 0, last})
        for (const int64_t block : {int64_t{0}, blocks - 1}) {
          RecordingSource source(call);
          const auto start = std::chrono::steady_clock::now();
          op.fold(call, {1, 5}, o, element, block, {}, source);
          slowest_ms = std::max(slowest_ms, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
          most = std::max(most, source.opened_bytes());
        }
      EXPECT_LE(most, kMostBytes) << describe(c) << ": output " << o;
      std::printf("%-30s output %zu  %6lld blocks  opens %7.1f KiB  %6.2f ms with recording\n", c.op, o, static_cast<long long>(blocks),
                  static_cast<double>(most) / 1024, slowest_ms);
    }
  }
  for (const Operator* op : operators()) EXPECT_TRUE(covered.contains(op->name)) << op->name << " has no largest case";
}

// The carry between blocks is all that passes: a fold resumed from any carry ends in the same bits.
TEST(Openings, a_fold_resumes_from_its_carry) {
  for (const Case& c : cases()) {
    const Trial run(c, Values::wild);
    std::vector<Buffer> out = run.reference({3, 1});
    MemorySource source(run.call(), run.in_data, Trial::pointers(out));
    for (size_t o = 0; o < out.size(); o++) {
      const int64_t blocks = run.op.blocks(run.call(), o), element = elements(run.out_types[o]) / 2;
      Carry carry;
      for (int64_t b = 0; b < blocks; b++) {
        const Carry again = run.op.fold(run.call(), {3, 1}, o, element, b, carry, source);
        EXPECT_EQ(again, run.op.fold(run.call(), {3, 1}, o, element, b, carry, source));
        carry = again;
      }
      uint64_t want = 0;
      const size_t size = static_cast<size_t>(size_of(run.out_types[o].dtype));
      std::memcpy(&want, out[o].as<char>() + static_cast<size_t>(element) * size, size);
      EXPECT_EQ(carry.lo, want) << describe(c) << ": output " << o;
    }
  }
}

}  // namespace
}  // namespace cairn::kernels
