// `cairn-bench bounds`: how far stock libtorch, operator by operator, lies from the definitions on this machine.
#pragma once

#include <string>

namespace cairn::bench {

// Writes runtime/native_bounds.inc, or another FILE: what runtime/judge.h tolerates. Compared are the tests' cases of every operator,
// and every call in two steps of the programs in examples/. Run from the root of the sources; about a minute.
void measure_bounds(const std::string& file);

}  // namespace cairn::bench
