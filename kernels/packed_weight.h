// Weights that lie, for as long as no one else reads them, in the order in which products read them: a product of few rows costs less
// than to bring its weight into that order, which it else does in each call.
#pragma once

#include <optional>

#include "kernels/operator.h"

namespace cairn::kernels {

inline constexpr size_t kWeight = 1;         // operand of a product
inline constexpr int64_t kByPanels = 2;      // what a transposed weight's attribute says, in place of 1, to the host body that finds it packed

// The attributes with which `op` runs over the packed weight: same shapes, same bits. Nothing where it takes none, or has no use of it.
std::optional<std::vector<int64_t>> with_packed_weight(const Operator& op, const CallShape& call);

// A weight of type `type`, (n, k) f32, packed in place for products at this instruction set.
void pack_weight(void* weight, const TensorType& type, const Exec& exec);

}  // namespace cairn::kernels
