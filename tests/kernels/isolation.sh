#!/bin/bash
# isolation.sh LIBRARY: inline functions compiled for AVX must not stand in for those that a plain machine runs. The linker
# keeps one of several equal weak symbols, so an AVX object may define only symbols of its own namespace (a reference to the
# personality of exceptions is data, the same everywhere).
set -euo pipefail
for isa in avx2 avx512; do
  nm -C "$1" | awk -v file="host_$isa.cc.o:" '/^[a-z].*\.o:$/ { inside = $0 == file } inside' >"${TMPDIR:-/tmp}/isolation.$$"
  trap 'rm -f "${TMPDIR:-/tmp}/isolation.$$"' EXIT
  grep -q "isa_$isa::" "${TMPDIR:-/tmp}/isolation.$$" || { echo "no symbols of $isa found in $1"; exit 1; }
  if grep -E '^[0-9a-f]+ [A-TV-Zuvw] ' "${TMPDIR:-/tmp}/isolation.$$" | grep -v -E "isa_$isa::|cairn::kernels::kHost|DW\.ref\.__gxx_personality"; then
    echo "the symbols above are defined by host_$isa.cc outside of isa_$isa"
    exit 1
  fi
done
