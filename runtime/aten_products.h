// Products of matrices in the job's numeric class, for the families that have some. What is no such product by nature (attention,
// convolution, a recurrent layer) is fused in class f32 where there is an operator for it, and made of products in the others.
#pragma once

#include "runtime/aten.h"

namespace cairn::runtime {

// A B of matrices or of stacks of them, each as it lies or transposed, with a bias for each column where one is given.
Tensor product(const Operand& a, bool turn_a, const Operand& b, bool turn_b, const Tensor& bias = {});

}  // namespace cairn::runtime
