// What families (family.h) give to the list of operators. Each is compiled once for its definitions and once for the fast bodies
// of each instruction set, with that set's flags; only plain numbers and pointers cross into these, never a type whose inline
// functions another file has.
#pragma once

#include "kernels/operator.h"

namespace cairn::kernels {

struct HostCall;
using HostBody = void (*)(const void* args, const HostCall& call);  // args: the operator's Args

#if defined(__aarch64__)
#define CAIRN_FAST_ISAS(EACH, ...) EACH(isa_neon, __VA_ARGS__)
#else
#define CAIRN_FAST_ISAS(EACH, ...) EACH(isa_avx2, __VA_ARGS__) EACH(isa_avx512, __VA_ARGS__)
#endif

#define DECLARE_BODY(isa, ...)                            \
  namespace isa {                                         \
  template <class Op>                                     \
  void host_body(const void* args, const HostCall& call); \
  }
CAIRN_FAST_ISAS(DECLARE_BODY)
#undef DECLARE_BODY

struct KnownCall;
struct Entry {
  Operator op;  // without `device`
  KnownCall (*known)();
};
template <class Op, HostBody... kFast>  // in the order of CAIRN_FAST_ISAS
Entry entry();

}  // namespace cairn::kernels

// The same struct under each instruction set, within namespace cairn::kernels; and the function that makes its entry.
#define DECLARE_STRUCT(isa, Op) namespace isa { struct Op; }
#define DECLARE_OPERATOR(Op) DECLARE_STRUCT(isa_scalar, Op) CAIRN_FAST_ISAS(DECLARE_STRUCT, Op)
#define FAST_BODY(isa, Op) , isa::host_body<isa::Op>
#define ENTRY(Op) entry<isa_scalar::Op CAIRN_FAST_ISAS(FAST_BODY, Op)>
