// Drives a program's graph through libtorch's dispatcher, node by node, on whatever device its values are.
#pragma once

#include <map>

#include "runtime/program.h"
#include "runtime/torch.h"

namespace cairn::runtime {

using Values = std::map<std::string, c10::IValue>;

// Runs every node; `values` holds the inputs, parameters and constants, and then everything. Throws c10::Error or Refusal.
void drive(const Program& program, Values& values, c10::Device device);

}  // namespace cairn::runtime
