// Prints golden.inc: the digest of every operator's known answer, by its definition. Run it when an operator is added; a
// line that changes is a changed meaning, which is a new operator.
//
//   build/release/bin/kernels_golden > kernels/golden.inc
#include <cstdio>

#include "kernels/reference.h"

int main() {
  using namespace cairn::kernels;
  for (const Operator* op : operators())
    std::printf("{%d, \"%s\"},  // %s\n", op->id, known_answer(*op, std::nullopt).hex().c_str(), std::string(op->name).c_str());
}
