// What families (family.h) give to the list of operators. Each is compiled once for its definitions and once for the fast bodies
// of each instruction set, with that set's flags; only plain numbers and pointers cross into these, never a type whose inline
// functions another file has.
#pragma once

#include "kernels/operator.h"

namespace cairn::kernels {

struct HostCall;
using HostBody = void (*)(const void* args, const HostCall& call);  // args: the operator's Args

namespace isa_avx2 {
template <class Op>
void host_body(const void* args, const HostCall& call);
}
namespace isa_avx512 {
template <class Op>
void host_body(const void* args, const HostCall& call);
}

struct KnownCall;
struct Entry {
  Operator op;  // without `device`
  KnownCall (*known)();
};
template <class Op, HostBody kAvx2, HostBody kAvx512>
Entry entry();

}  // namespace cairn::kernels

// The same struct under each instruction set, within namespace cairn::kernels; and the function that makes its entry.
#define DECLARE_OPERATOR(Op)          \
  namespace isa_scalar { struct Op; } \
  namespace isa_avx2 { struct Op; }   \
  namespace isa_avx512 { struct Op; }
#define ENTRY(Op) entry<isa_scalar::Op, isa_avx2::host_body<isa_avx2::Op>, isa_avx512::host_body<isa_avx512::Op>>
