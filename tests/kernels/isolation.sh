#!/bin/bash
# isolation.sh ISA OBJECT...: inline functions compiled for AVX must not stand in for those that a plain machine runs. The linker
# keeps one of several equal weak symbols, so an AVX object may define only symbols of its own namespace (a reference to the
# personality of exceptions is data, the same everywhere).
set -euo pipefail
isa=$1
shift
symbols=$(nm -C "$@")
grep -q "isa_$isa::" <<<"$symbols" || { echo "no symbols of $isa found"; exit 1; }
if grep -E '^[0-9a-f]+ [A-TV-Zuvw] ' <<<"$symbols" | grep -v -E "isa_$isa::|DW\.ref\.__gxx_personality"; then
  echo "the symbols above are defined by the bodies of $isa outside of isa_$isa"
  exit 1
fi
