// Products of the integer classes that check themselves while they are computed: what a machine asks of its own arithmetic before it
// commits to what that gave.
//
// The check is Freivalds', exact over the integers (int_check.h): r^T S = (r^T A) B, where S holds the sums of digit products from
// which C is rounded, and r a number of 31 random bits for every row of A. Sums that are not the product pass with a probability of
// at most 2^-31 over r, which must not be known to whoever could make them wrong on purpose. Checked is one block of k: all of it for
// int2.row, 128 for int2.
//
// Found is what goes wrong after A and B lie packed: in their memory, in the units that multiply and add, in a thread that does
// another's part, or none. Not seen is what is wrong in the operands, in their exponents and in their digits as they are packed, and
// what becomes of a sum once it is right: its one rounding, and the memory that C lies in.
//
// Source: Freivalds 1977, "Probabilistic machines can use less running time".
#pragma once

#include <functional>

#include "kernels/operator.h"

namespace cairn::kernels {

// Called before each tile of C (48 x 32) with the packed operands, which it may change. Empty in every honest program: it lets tests
// break the machine.
using BreakTile = std::function<void(int64_t tile, std::span<int32_t> a, std::span<int32_t> b)>;

// Whether `op` can be run by run_checked.
bool has_check(const Operator& op);
// What a check adds to the product's time, about: 1/100 for 2048^3, and the more the smaller the product is.
double check_share(const Operator& op, const CallShape& call);

// As op.host does it, and checked; `seed` gives r, and the block of k. Error: known_answer, when the sums are not the product; what
// was written is then void.
Result<> run_checked(const Operator& op, const CallShape& call, std::span<const void* const> in, std::span<void* const> out, const Exec& exec,
                     uint64_t seed, const BreakTile& break_tile = {});

}  // namespace cairn::kernels
