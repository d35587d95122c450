// `exact`: a libtorch device on which every operator has one defined bit pattern. Stock autograd runs on it unchanged.
//
// An ATen operator that reaches the device is composed of calls of Cairn's operators (aten.h); each call runs at
// once, and is recorded when a Recorder is at work (recorder.h). What has no definition is a Refusal that names it; nothing is
// ever computed by somebody else's kernel.
//
// Storage is host memory on a CPU worker. One recording at a time in a process: backward runs on a thread of libtorch's.
#pragma once

#include <stdexcept>

#include "kernels/operator.h"
#include "runtime/torch.h"

namespace cairn::runtime {

// A rejection on its way through libtorch, which knows exceptions only.
struct Refusal : std::runtime_error {
  explicit Refusal(Error e) : std::runtime_error(e.message()), error(std::move(e)) {}
  Error error;
};

// Makes the device known to libtorch under its name, with its allocator. Once, before any tensor on it.
void register_exact_device();
c10::Device exact_device();

// An operand of a call: the tensor's bytes, read as row-major in `shape`.
struct Operand {
  at::Tensor tensor;  // whole: contiguous, and all of its storage
  std::vector<int64_t> shape;
};
kernels::TensorType type_of(const at::Tensor& tensor);  // throws Refusal for a dtype that Cairn has not

// Runs one operator of kernels/ on `exact` tensors and records it. Throws Refusal when its shape rule does. Operands that the
// operator takes as f32 alone are cast: bf16, and its results back unless an operand was f32; integers beside floats or alone.
std::vector<at::Tensor> call(std::string_view op, std::vector<int64_t> attrs, const std::vector<Operand>& inputs);

// Contiguous, whole and row-major: the tensor itself, or a permute and a broadcast of its storage, or what as_strided.v1 reads
// of a slice.
at::Tensor plain(const at::Tensor& tensor);
// `tensor` spread to `sizes` by the rules of broadcasting.
at::Tensor spread(const at::Tensor& tensor, at::IntArrayRef sizes);
// The same elements in another shape.
at::Tensor reshaped(const at::Tensor& plain_tensor, at::IntArrayRef sizes);
at::Tensor cast(const at::Tensor& tensor, at::ScalarType dtype);  // to bool: x != 0
at::Tensor truth(const at::Tensor& bytes);                       // the same bytes, 0 or 1, as bool
// out = result, in the layout of `out` and converted to its dtype. Of a slice, the rest of its storage stays. Refuses to make
// integers of floats: an operator that has no integer form would be rounded on its way.
void assign(const at::Tensor& out, const at::Tensor& result);
at::Tensor empty_exact(at::IntArrayRef sizes, at::ScalarType dtype);

// "node 'linear' (aten.linear.default)", or what the autograd engine works on.
std::string place_in_program();
[[noreturn]] void refuse_undefined(const std::string& what, const std::string& nearest);

}  // namespace cairn::runtime
