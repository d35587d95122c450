// Integers and truth values: arithmetic, comparison, choice.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {

Family integers_family() {
  return {
      .title = "Integers and truth values",
      .cases = {},
      .largest = {},
      .formulas = {},
      .refused = {},
  };
}

}  // namespace cairn::kernels
