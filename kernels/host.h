// The fast bodies of one instruction set, as a table in the order of operators.def. Each set is compiled by its own file
// with its own flags; only plain numbers and pointers cross into it, never a type whose inline functions another file has.
#pragma once

#include "kernels/operator.h"

namespace cairn::kernels {

struct HostCall;
using HostBody = void (*)(const void* args, const HostCall& call);  // args: the operator's Args

extern const HostBody kHostScalar[];
extern const HostBody kHostAvx2[];
extern const HostBody kHostAvx512[];

}  // namespace cairn::kernels
