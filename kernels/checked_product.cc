#include "kernels/checked_product.h"

#include "kernels/host.h"
#include "kernels/ops/matmul_int.h"

namespace cairn::kernels {

#define DECLARE_CHECKED(isa, ...) namespace isa { struct MatmulInt2; struct MatmulInt2Row; template <class Op> struct Checked; }
CAIRN_FAST_ISAS(DECLARE_CHECKED)

namespace {

template <class Op>
void scalar_body(const void* args, const HostCall& call) {
  Op::host(*static_cast<const typename Op::Args*>(args), call);
}
#define CHECKED_BODY(isa, Op) , isa::host_body<isa::Checked<isa::Op>>
#define CHECKED_BODIES(Op) {scalar_body<isa_scalar::Checked<isa_scalar::Op>> CAIRN_FAST_ISAS(CHECKED_BODY, Op)}
constexpr HostBody kBlocked[] = CHECKED_BODIES(MatmulInt2), kByRow[] = CHECKED_BODIES(MatmulInt2Row);

bool is_by_row(const Operator& op) { return op.id == isa_scalar::MatmulInt2Row::kText.id; }

PhiloxWords random(uint64_t seed, uint32_t what, int64_t at) {
  return philox(seed, {{what, 0, static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32)}});
}

}  // namespace

bool has_check(const Operator& op) { return op.id == isa_scalar::MatmulInt2::kText.id || is_by_row(op); }

// As measured on AVX-512 with VNNI, from 256^3 to 2048^3: what packed sides cost by the row and column, what tiles do by k.
double check_share(const Operator& op, const CallShape& call) {
  const isa_scalar::IntGemm product = isa_scalar::MatmulInt2Row::args(call);
  const auto m = static_cast<double>(product.m), n = static_cast<double>(product.n), k = static_cast<double>(product.k);
  const double depth = is_by_row(op) ? k : std::min(k, static_cast<double>(isa_scalar::kDigitBlock));
  return 6 * (1 / m + 1 / n) * depth / k + 20 / k;
}

Result<> run_checked(const Operator& op, const CallShape& call, std::span<const void* const> in, std::span<void* const> out, const Exec& exec,
                     uint64_t seed, const BreakTile& break_tile) {
  CHECK(has_check(op));
  const isa_scalar::IntGemm product = isa_scalar::MatmulInt2Row::args(call);
  std::vector<uint32_t> r(static_cast<size_t>(product.m));
  for (size_t i = 0; i < r.size(); i += 4) {
    const PhiloxWords words = random(seed, 0, static_cast<int64_t>(i / 4));
    for (size_t j = i; j < r.size() && j < i + 4; j++) r[j] = words.word[j - i] >> 1;
  }
  ProductCheck check;
  check.r = r.data();
  check.block = is_by_row(op) ? 0 : random(seed, 1, 0).word[0] % isa_scalar::blocks_of(product.k, isa_scalar::kDigitBlock);
  if (break_tile) {
    check.breaker = &break_tile;
    check.break_tile = [](const void* breaker, int64_t tile, int32_t* a, int64_t lanes_a, int32_t* b, int64_t lanes_b) {
      (*static_cast<const BreakTile*>(breaker))(tile, {a, static_cast<size_t>(lanes_a)}, {b, static_cast<size_t>(lanes_b)});
    };
  }
  const isa_scalar::Checked<isa_scalar::MatmulInt2Row>::Args args{product, &check};
  const size_t body = exec.isa == Isa::scalar ? 0 : exec.isa == Isa::avx2 || exec.isa == Isa::neon ? 1 : 2;
  (is_by_row(op) ? kByRow : kBlocked)[body](&args, {{}, in.data(), out.data(), exec.pool, exec.isa});
  if (check.column < 0) return {};
  return Error{Code::known_answer,
               std::string(op.name) + ": the sums of column " + std::to_string(check.column) + " are not what its operands give" +
                   (product.batch > 1 ? ", in matrix " + std::to_string(check.batch) : ""),
               "this machine computes wrong: do not commit to what it gave; if it happens again, take it off"};
}

}  // namespace cairn::kernels
