#include "kernels/packed_weight.h"

#include "kernels/host.h"
#include "kernels/ops/matmul.h"

namespace cairn::kernels {

#define DECLARE_PACK(isa, ...) namespace isa { struct PackWeight; }
CAIRN_FAST_ISAS(DECLARE_PACK)

namespace {

void scalar_body(const void* args, const HostCall& call) { isa_scalar::PackWeight::host(*static_cast<const isa_scalar::PackWeight::Args*>(args), call); }
#define PACK_BODY(isa, ...) , isa::host_body<isa::PackWeight>
constexpr HostBody kBodies[] = {scalar_body CAIRN_FAST_ISAS(PACK_BODY)};

// As measured on AVX-512, weights of 1024 x 1024: a weight packed in each call costs a third of a product of 32 rows, a twentieth of one
// of 192.
constexpr int64_t kFewRows = 192;

}  // namespace

std::optional<std::vector<int64_t>> with_packed_weight(const Operator& op, const CallShape& call) {
  if (op.id != isa_scalar::Linear::kText.id && op.id != isa_scalar::Matmul::kText.id) return std::nullopt;
  std::vector<int64_t> attrs(call.attrs.begin(), call.attrs.end());  // trans_w or trans_b is the last
  if (attrs.back() != 1 || call.out[0].shape[0] > kFewRows || elements(call.in[kWeight]) == 0) return std::nullopt;
  attrs.back() = kByPanels;
  return attrs;
}

void pack_weight(void* weight, const TensorType& type, const Exec& exec) {
  const isa_scalar::PackWeight::Args args{type.shape[0], type.shape[1]};
  const size_t body = exec.isa == Isa::scalar ? 0 : exec.isa == Isa::avx2 || exec.isa == Isa::neon ? 1 : 2;
  kBodies[body](&args, {{}, nullptr, &weight, exec.pool, exec.isa});
}

}  // namespace cairn::kernels
