#define CAIRN_ISA isa_avx2
#define CAIRN_HOST_TABLE kHostAvx2
#include "kernels/host_bodies.inc"
