// `cairn-bench kernels`: operators of ours beside stock eager libtorch, one row each, with what each must reach.
#pragma once

#include <vector>

#include "bench/pairs.h"

namespace cairn::bench {

// `quick`: fewer pairs, and none measured again. Cost: about two seconds a row, or a third of one.
std::vector<Row> measure_kernels(int threads, bool quick);

}  // namespace cairn::bench
