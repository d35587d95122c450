// The fast bodies of a family for one instruction set, which -DCAIRN_ISA names, with that set's flags.
#include "kernels/family.h"
#include "kernels/host.h"

namespace cairn::kernels::CAIRN_ISA {

template <class Op>
void host_body(const void* args, const HostCall& call) {
  Op::host(*static_cast<const typename Op::Args*>(args), call);
}

#define FAMILY_OPERATOR(Op) template void host_body<Op>(const void* args, const HostCall& call);
#include "kernels/operators.def"

#if defined(CAIRN_FAMILY_products)
template void host_body<Checked<MatmulInt2>>(const void* args, const HostCall& call);
template void host_body<Checked<MatmulInt2Row>>(const void* args, const HostCall& call);
template void host_body<PackWeight>(const void* args, const HostCall& call);
#endif

}  // namespace cairn::kernels::CAIRN_ISA
