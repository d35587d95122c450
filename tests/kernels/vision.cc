// Convolution, pooling, batch and group norm, resampling.
#include <algorithm>
#include <cmath>

#include "tests/kernels/family.h"

namespace cairn::kernels {

Family vision_family() {
  return {
      .title = "Convolution, pooling, batch norm",
      .cases = {},
      .largest = {},
      .formulas = {},
      .refused = {},
  };
}

}  // namespace cairn::kernels
