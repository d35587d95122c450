// Attention, recurrence, norms of language models.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {

Family sequence_family() {
  return {
      .title = "Attention and recurrence",
      .cases = {},
      .largest = {},
      .formulas = {},
      .refused = {},
  };
}

}  // namespace cairn::kernels
