#include "bench/kernels.h"

#include "runtime/race.h"

namespace cairn::bench {
namespace {

// What is raced, and how many times as fast as the peer ours must be, and aims to be.
struct Contest {
  std::string name;
  double must;
  double aim;
  std::function<runtime::Race(int threads)> race;
};

Contest sgemm(int64_t m, int64_t n, int64_t k) {
  return {"sgemm " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k), 0.95, 1.05,
          [=](int threads) { return runtime::race_product(m, n, k, threads); }};
}

std::vector<Contest> contests() {
  return {
      sgemm(64, 64, 64),
      sgemm(128, 128, 128),
      sgemm(256, 256, 256),
      sgemm(512, 512, 512),
      sgemm(1024, 1024, 1024),
      sgemm(2048, 2048, 2048),
      sgemm(64, 10, 128),
      sgemm(64, 2048, 1024),
      sgemm(2048, 64, 1024),
      sgemm(2048, 2048, 64),
      sgemm(64, 64, 2048),
      sgemm(256, 1024, 1024),
  };
}

}  // namespace

std::vector<Row> measure_kernels(int threads, bool quick) {
  std::vector<Row> rows;
  for (const Contest& contest : contests()) {
    const auto race = contest.race(threads);
    Row row = compare(contest.name, "libtorch", race.ours, race.theirs, quick);
    row.target = contest.must;
    row.aim = contest.aim;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace cairn::bench
