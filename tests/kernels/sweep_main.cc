// kernels_sweep [NAME] [STRIDE] [THREADS]: the sweeps, which must keep to the operators' limits. With stride 1 (the default) all
// 2^32 inputs of each: a minute or more an operator. Not a test of ctest.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/kernels/sweep.h"

int main(int argc, char** argv) {
  using namespace cairn::kernels;
  const std::string wanted = argc > 1 ? argv[1] : "all";
  const uint64_t stride = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : std::thread::hardware_concurrency();
  bool good = true;
  std::printf("| operator               |     inputs | differ | worst ulp                | limit  | worst absolute error, rest | nearest  |\n");
  for (const Swept& one : all_swept()) {
    if (wanted != "all" && wanted != one.op) continue;
    const Found found = sweep(one, stride, threads);
    std::printf("| %-22s | %10llu | %6llu | %7.4f at %-13a | <= %-3g | %8.2g at %-13a | %6.2f %% | %s\n", one.op,
                static_cast<unsigned long long>(found.count), static_cast<unsigned long long>(found.differ), found.worst,
                static_cast<double>(found.worst_at), one.ulp, found.absolute, static_cast<double>(found.absolute_at),
                100.0 * static_cast<double>(found.rounded) / static_cast<double>(found.count), found.good ? "" : "OVER ITS LIMIT");
    std::fflush(stdout);
    good = good && found.good;
  }
  return good ? 0 : 1;
}
