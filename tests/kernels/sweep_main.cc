// kernels_sweep [NAME] [STRIDE] [THREADS] [PAGE]: the sweeps, which must keep to the operators' limits. With stride 1 (the default)
// all 2^32 inputs of each: about half a minute of a core an operator. Rows are added to PAGE as they come, and what it has is not
// swept again: docs/accuracy.md is one. Not a test of ctest.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "tests/kernels/sweep.h"

namespace cairn::kernels {
namespace {

constexpr const char* kHead =
    "| operator | inputs | instruction sets differ | worst error, ulp | at | limit | absolute error of the rest | at | rounded right |\n"
    "|---|---|---|---|---|---|---|---|---|\n";

std::string row_of(const Swept& one, const Found& found) {
  char text[400], rest[64] = " | ";
  if (one.absolute > 0)
    std::snprintf(rest, sizeof rest, "%.3g (<= %.3g) | %a", found.absolute, one.absolute, static_cast<double>(found.absolute_at));
  const bool by_ulp = one.from < INFINITY;
  char worst[64] = " |  | ";
  if (by_ulp) std::snprintf(worst, sizeof worst, "%.4f | %a | %g", found.worst, static_cast<double>(found.worst_at), one.ulp);
  std::snprintf(text, sizeof text, "| %s | %llu | %llu | %s | %s | %.2f %%%s |\n", one.name().c_str(), static_cast<unsigned long long>(found.count),
                static_cast<unsigned long long>(found.differ), worst, rest,
                100.0 * static_cast<double>(found.rounded) / static_cast<double>(found.count), found.good ? "" : ", OVER ITS LIMIT");
  return text;
}

std::set<std::string> rows_of(const std::string& path) {  // the operators that they name
  std::set<std::string> names;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("| ")) names.insert(line.substr(2, line.find(" |") - 2));
  return names;
}

}  // namespace
}  // namespace cairn::kernels

int main(int argc, char** argv) {
  using namespace cairn::kernels;
  const std::string wanted = argc > 1 ? argv[1] : "all", page = argc > 4 ? argv[4] : "/dev/null";
  const uint64_t stride = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : std::thread::hardware_concurrency();
  const std::set<std::string> have = rows_of(page);
  std::ofstream to(page, std::ios::app);
  std::printf("%s", kHead);
  if (have.empty()) to << kHead;
  bool good = true;
  for (const Swept& one : all_swept()) {
    if ((wanted != "all" && wanted != one.op) || have.contains(one.name())) continue;
    const Found found = sweep(one, stride, threads);
    const std::string row = row_of(one, found);
    std::printf("%s", row.c_str());
    std::fflush(stdout);
    to << row << std::flush;
    good = good && found.good;
  }
  return good ? 0 : 1;
}
