#define CAIRN_ISA isa_avx512
#define CAIRN_HOST_TABLE kHostAvx512
#include "kernels/host_bodies.inc"
