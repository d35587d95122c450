// What the tests know of a family of operators: a file each, in tables. Who adds an operator adds its rows to its family.
#pragma once

#include <functional>
#include <map>

#include "tests/kernels/cases.h"

namespace cairn::kernels {

// The largest call that a plan may hold.
inline constexpr int64_t kMostTokens = 131072, kMostFeatures = 16384;

using Numbers = std::vector<double>;

struct Naive {
  const Trial& run;
  StepContext step;
  std::vector<Numbers> in;

  size_t dim(size_t operand, size_t d) const { return static_cast<size_t>(run.in_types[operand].shape[d]); }
  int64_t attr(size_t k) const { return run.attrs[k]; }
  double real(size_t k) const { return static_cast<double>(attr_f32(run.attrs[k])); }
};

inline Numbers numbers(const Buffer& buffer, DType dtype, int64_t count) {
  Numbers out;
  for (size_t i = 0; i < static_cast<size_t>(count); i++)
    out.push_back(dtype == DType::f32   ? static_cast<double>(buffer.as<float>()[i])
                  : dtype == DType::i64 ? static_cast<double>(buffer.as<int64_t>()[i])
                  : dtype == DType::i32 ? static_cast<double>(buffer.as<int32_t>()[i])
                  : dtype == DType::bf16 ? static_cast<double>(std::bit_cast<float>(uint32_t{buffer.as<uint16_t>()[i]} << 16))
                                        : static_cast<double>(buffer.as<uint8_t>()[i]));
  return out;
}

inline Numbers map(const Numbers& x, const std::function<double(double)>& f) {
  Numbers y;
  for (const double v : x) y.push_back(f(v));
  return y;
}
inline Numbers map(const Numbers& x, const Numbers& z, const std::function<double(double, double)>& f) {
  Numbers y;
  for (size_t i = 0; i < x.size(); i++) y.push_back(f(x[i], z[i]));
  return y;
}

// A second implementation, naive and in double (integers where the operator is exact), written from the formula and not from
// the definition: an error in a definition would be an error of consensus.
struct Formula {
  double tolerance;  // |have - want| <= tolerance * (1 + |want|); 0: equal
  std::function<std::vector<Numbers>(const Naive&)> outputs;
};

struct Refused {
  Case call;
  const char* text;  // part of the refusal
};

struct Family {
  const char* title;
  std::vector<Case> cases;    // odd shapes; one or more of every operator
  std::vector<Case> largest;  // the largest call that a plan may hold; one of every operator
  std::map<std::string_view, Formula> formulas;
  std::vector<Refused> refused;
};
Family indexing_family();
Family integers_family();
Family moves_family();
Family pointwise_family();
Family products_family();
Family reductions_family();
Family sequence_family();
Family training_family();
Family vision_family();
const std::vector<Family>& families();  // all of them

}  // namespace cairn::kernels
