#include <gtest/gtest.h>

#include "kernels/reference.h"

namespace cairn::kernels {
namespace {

TEST(Operators, known_answers_on_every_instruction_set) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (isa > best_isa()) continue;
    for (const Operator* op : operators())
      EXPECT_EQ(known_answer(*op, isa), known_answer(*op, std::nullopt)) << op->name << " on " << name(isa);
    const auto result = self_test(isa);
    EXPECT_TRUE(result) << result.error().message();
  }
}

}  // namespace
}  // namespace cairn::kernels
