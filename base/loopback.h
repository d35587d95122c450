// Ports of 127.0.0.1, for whoever starts several programs on one machine.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace cairn {

// A port that nobody listens on now: `wanted` if it is free, any when that is 0 or taken. Somebody else may take it before the caller
// does. Error: io.
Result<uint16_t> free_port(uint16_t wanted = 0);

}  // namespace cairn
