#include "tests/kernels/family.h"

namespace cairn::kernels {

const std::vector<Family>& families() {
  static const std::vector<Family> all{indexing_family(), integers_family(), moves_family(), pointwise_family(), products_family(),
                                       reductions_family(), sequence_family(), training_family(), vision_family()};
  return all;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    for (const Family& family : families()) list.insert(list.end(), family.cases.begin(), family.cases.end());
    return list;
  }();
  return all;
}

}  // namespace cairn::kernels
