// A dispute ends in one block of one element's fold, opened chunk by chunk: that must stay small for every operator at the
// largest shapes that a plan may hold. The table is printed; docs quote it.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "tests/kernels/family.h"
#include "tests/kernels/opening.h"

namespace cairn::kernels {
namespace {

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
      const Opening opening = widest_opening(op, call, o);
      EXPECT_LE(opening.bytes, kMostBytes) << describe(c) << ": output " << o;
      std::printf("%-30s output %zu  %6lld blocks  opens %7.1f KiB  %6.2f ms with recording\n", c.op, o,
                  static_cast<long long>(opening.blocks), static_cast<double>(opening.bytes) / 1024, opening.slowest_ms);
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
