// Simulations by seed: what scripts/sim runs.
//
//   simulate [--seeds N] [--from S] [--jobs J]     N seeds from S on, J at a time
//   simulate --seed S                              one seed: its last events and the hash of its trace
//
// Exit status 1 when a seed has found something, 2 for a wrong command line. The same seed is the same history everywhere.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/sim/sim.h"

int main(int argc, char** argv) {
  using namespace cairn::sim;
  uint64_t from = 1, seeds = 100, jobs = std::max(1u, std::thread::hardware_concurrency()), one = 0;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    uint64_t* const value = flag == "--seed" ? &one : flag == "--seeds" ? &seeds : flag == "--from" ? &from : flag == "--jobs" ? &jobs : nullptr;
    if (!value || i + 1 == argc || (*value = std::strtoull(argv[i + 1], nullptr, 10)) == 0) {
      std::fprintf(stderr, "usage: simulate [--seeds N] [--from S] [--jobs J] | --seed S\n");
      return 2;
    }
  }
  if (one == 0) return sweep(from, seeds, jobs) ? 0 : 1;
  const Outcome out = simulate(one);
  show(out);
  std::printf("trace %s, %llu blocks\n", out.trace.hex().c_str(), static_cast<unsigned long long>(out.blocks));
  return out.violation ? 1 : 0;
}
