// `cairn-bench kernels`: operators of ours beside stock eager libtorch, one row each, with what each must reach.
#pragma once

#include <functional>
#include <string>

#include "bench/pairs.h"

namespace cairn::bench {

// Rows whose name contains `only`, each told to `tell` when it is there. `quick`: fewer pairs, and none measured again. Cost: about
// two seconds a row, or a third of one; whole steps take longer.
void measure_kernels(int threads, bool quick, const std::string& only, const std::function<void(const Row&)>& tell);

}  // namespace cairn::bench
