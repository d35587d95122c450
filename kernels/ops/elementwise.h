// Element by element: arithmetic, relu, exp, log, tanh, sigmoid. All f32, any shape, no broadcasting (broadcast.v1 does that).
#pragma once

#include "kernels/ops/op.h"

namespace cairn::kernels::CAIRN_ISA {

#define ELEMENTWISE(Struct, operands, attributes, operations, id, name, formula, order, source)  \
  struct Struct : Elementwise<Struct, operands, attributes> {                                    \
    static constexpr OperatorText kText{id, name, formula, order, source};                       \
    static constexpr uint64_t kOperations = operations;
#define END_ELEMENTWISE \
  }                     \
  ;

ELEMENTWISE(Add, 2, 0, 1, 20, "add.v1", "y = a + b", "one addition", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float, F a, F b) {
    return a + b;
  }
END_ELEMENTWISE

ELEMENTWISE(Sub, 2, 0, 1, 21, "sub.v1", "y = a - b", "one subtraction", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float, F a, F b) {
    return a - b;
  }
END_ELEMENTWISE

ELEMENTWISE(Mul, 2, 0, 1, 22, "mul.v1", "y = a * b", "one multiplication", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float, F a, F b) {
    return a * b;
  }
END_ELEMENTWISE

ELEMENTWISE(Div, 2, 0, 4, 23, "div.v1", "y = a / b", "one division", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float, F a, F b) {
    return a / b;
  }
END_ELEMENTWISE

ELEMENTWISE(AddScalar, 1, 1, 1, 24, "add_scalar.v1", "y = x + s", "one addition", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float s, F x) {
    return x + F(s);
  }
END_ELEMENTWISE

ELEMENTWISE(MulScalar, 1, 1, 1, 25, "mul_scalar.v1", "y = x * s", "one multiplication", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float s, F x) {
    return x * F(s);
  }
END_ELEMENTWISE

ELEMENTWISE(DivScalar, 1, 1, 4, 26, "div_scalar.v1", "y = x / s", "one division", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float s, F x) {
    return x / F(s);
  }
END_ELEMENTWISE

ELEMENTWISE(Neg, 1, 0, 1, 27, "neg.v1", "y = -x", "the sign bit is flipped", "IEEE 754-2019")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return as_float(as_bits(x) ^ 0x80000000u);
  }
END_ELEMENTWISE

ELEMENTWISE(Relu, 1, 0, 1, 30, "relu.v1", "y = x <= 0 ? +0 : x", "exact; a NaN stays", "Fukushima 1969")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return select(x <= F(0.0f), F(0.0f), x);
  }
END_ELEMENTWISE

ELEMENTWISE(ReluBackward, 2, 1, 1, 31, "relu_backward.v1", "dx = x > threshold ? grad : +0; operands grad, x", "exact",
            "derivative of relu.v1; threshold 0")
  template <class F>
  KERNEL_FN static F value(float threshold, F grad, F x) {
    return select(x > F(threshold), grad, F(0.0f));
  }
END_ELEMENTWISE

ELEMENTWISE(Exp, 1, 0, 12, 32, "exp.v1", "y = e^x", "the polynomial of math.h; <= 1 ulp", "Cody & Waite 1980")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return exp_of(x);
  }
END_ELEMENTWISE

ELEMENTWISE(Log, 1, 0, 16, 33, "log.v1", "y = ln x; -infinity at 0, NaN below", "the polynomial of math.h; <= 1 ulp",
            "Cody & Waite 1980")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return log_of(x);
  }
  static KnownCall known() { return {{f32({5, 67})}, {}, 0.0f, 9.0f}; }
END_ELEMENTWISE

ELEMENTWISE(Tanh, 1, 0, 24, 34, "tanh.v1", "y = tanh x", "the formulas of math.h; <= 1 ulp", "Cody & Waite 1980")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return tanh_of(x);
  }
END_ELEMENTWISE

ELEMENTWISE(Sigmoid, 1, 0, 24, 35, "sigmoid.v1", "y = 1 / (1 + e^-x)", "the formulas of math.h; <= 1 ulp", "Verhulst 1838")
  template <class F>
  KERNEL_FN static F value(float, F x) {
    return sigmoid_of(x);
  }
END_ELEMENTWISE

#undef ELEMENTWISE
#undef END_ELEMENTWISE

}  // namespace cairn::kernels::CAIRN_ISA
