// Simulations by seed.
//
//   sim [--seeds N] [--from S] [--jobs J] [--first]     N seeds from S on, J at a time; the first failing seed's last events
//   sim --seed S                                        one seed: every line of its trace's end, its hash
//
// Exit status 1 when a seed has found something. The same seed is the same history everywhere: its hash says so.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "tests/sim/sim.h"

namespace cairn::sim {
namespace {

void show(const Outcome& out) {
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(out.seed), out.violation->c_str());
  for (const auto& line : out.last_lines) std::printf("    %s\n", line.c_str());
  std::printf("next: sim --seed %llu runs exactly this again\n", static_cast<unsigned long long>(out.seed));
}

int sweep(uint64_t from, uint64_t seeds, uint64_t part, uint64_t parts, bool summary) {
  uint64_t blocks = 0, transactions = 0, virtual_ms = 0, failed = 0;
  std::map<std::string, uint64_t> counts;
  Hash traces;
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t seed = from + part; seed < from + seeds; seed += parts) {
    const Outcome out = simulate(seed);
    blocks += out.blocks;
    transactions += out.transactions;
    virtual_ms += out.virtual_ms;
    for (const auto& [kind, count] : out.counts) counts[kind] += count;
    traces = tagged_hash("sim.sweep", {traces.span(), out.trace.span()});
    if (!out.violation) continue;
    failed++;
    show(out);
    break;
  }
  if (summary || parts > 1) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("part %llu of %llu: %llu blocks, %llu transactions, %.0f s of virtual time in %.1f s, traces %s\n",
                static_cast<unsigned long long>(part + 1), static_cast<unsigned long long>(parts), static_cast<unsigned long long>(blocks),
                static_cast<unsigned long long>(transactions), static_cast<double>(virtual_ms) / 1e3, seconds, traces.hex().substr(0, 16).c_str());
    if (part == 0)
      for (const auto& [kind, count] : counts) std::printf("  %-20s %llu\n", kind.c_str(), static_cast<unsigned long long>(count));
  }
  std::fflush(stdout);
  return failed ? 1 : 0;
}

int run(int argc, char** argv) {
  uint64_t from = 1, seeds = 100, jobs = std::max(1u, std::thread::hardware_concurrency());
  std::optional<uint64_t> one;
  for (int i = 1; i < argc; i++) {
    const std::string flag = argv[i];
    const auto value = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (flag == "--seed") one = value();
    else if (flag == "--seeds") seeds = value();
    else if (flag == "--from") from = value();
    else if (flag == "--jobs") jobs = std::max<uint64_t>(1, value());
    else {
      std::printf("usage: sim [--seeds N] [--from S] [--jobs J] | --seed S\n");
      return 2;
    }
  }
  if (one) {
    Outcome out = simulate(*one);
    const bool failed = out.violation.has_value();
    if (!failed) out.violation = "all invariants held";
    show(out);
    std::printf("trace %s, %llu blocks\n", out.trace.hex().c_str(), static_cast<unsigned long long>(out.blocks));
    return failed ? 1 : 0;
  }
  std::vector<pid_t> children;  // seeds share nothing
  for (uint64_t part = 0; part < jobs; part++) {
    const pid_t child = fork();
    if (child == 0) _exit(sweep(from, seeds, part, jobs, true));
    children.push_back(child);
  }
  int worst = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) worst = 1;
  }
  return worst;
}

}  // namespace
}  // namespace cairn::sim

int main(int argc, char** argv) { return cairn::sim::run(argc, argv); }
