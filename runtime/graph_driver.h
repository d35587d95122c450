// Drives a program's graph through libtorch's dispatcher, node by node, on whatever device its values are.
#pragma once

#include <map>

#include "runtime/program.h"
#include "runtime/torch.h"

namespace cairn::runtime {

using Values = std::map<std::string, c10::IValue>;

// The values that no node reads after this one, node by node; outputs of the program, and what it starts from, are none.
using Dead = std::vector<std::vector<std::string>>;
Dead dead_after(const Program& program);

// Runs every node; `values` holds the inputs, parameters and constants, and then everything but what is `dead`. Throws c10::Error
// or Refusal.
void drive(const Program& program, Values& values, c10::Device device, const Dead& dead = {});

}  // namespace cairn::runtime
