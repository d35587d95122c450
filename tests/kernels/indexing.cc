// Places by index: gather, scatter, embedding, order.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {

Family indexing_family() {
  return {
      .title = "Places by index",
      .cases = {},
      .largest = {},
      .formulas = {},
      .refused = {},
  };
}

}  // namespace cairn::kernels
