// The list of CUDA bodies.
#include "kernels/device.h"

namespace cairn::kernels::isa_cuda {
#define OPERATOR(family, Op) struct Op;
#include "kernels/operators.def"
#undef OPERATOR
}  // namespace cairn::kernels::isa_cuda

extern "C" const cairn::kernels::DeviceBody* cairn_kernels_device_bodies() {
  using namespace cairn::kernels;
  static const DeviceBody kBodies[] = {
#define OPERATOR(family, Op) isa_cuda::device_body<isa_cuda::Op>,
#include "kernels/operators.def"
#undef OPERATOR
  };
  return kBodies;
}
