#define CAIRN_ISA isa_scalar
#define CAIRN_HOST_TABLE kHostScalar
#include "kernels/host_bodies.inc"
