// cairn-bench: ours beside the named peer, as ratios taken in one run on one machine.
//
//   cairn-bench [--json] [--quick] [--worker PATH]    products, steps, audits
//   cairn-bench kernels [--json] [--quick] [--only TEXT]   operator by operator, attention, convolution, whole steps
//   cairn-bench classes FOLDER                        accuracy of the numeric classes, written as a page
//   cairn-bench ledger [--json] [--quick] [--full]    the chain; it starts the cairnd that lies beside it
//   cairn-bench bounds [FILE]                         how far stock libtorch lies from the definitions here: what judges tolerate
//   cairn-bench attest [--json] [--quick]             what proofs cost: commitments, checks, disputes, receipts
//   cairn-bench leaves                                the last move of a dispute, for every operator: a table
//
// A ratio above 1 means that ours is faster than the peer; shares and overheads say so in their names.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "attest/tree.h"
#include "bench/attest.h"
#include "bench/bounds.h"
#include "bench/classes.h"
#include "bench/digits.h"
#include "bench/kernels.h"
#include "bench/ledger.h"
#include "bench/pairs.h"
#include "kernels/operator.h"
#include "ledger/bench_state.h"
#include "runtime/race.h"

namespace cairn::bench {
namespace {


struct Options {
  bool json = false;
  bool quick = false;
  bool full = false;
  std::string worker;
  std::string only;
  std::string folder;
  uint64_t accounts = 0;
  std::string file = "runtime/native_bounds.inc";
};

std::vector<Row> products(const Options& options, int threads) {
  struct Shape {
    int64_t m, n, k;
  };
  std::vector<Row> rows;
  for (const Shape s : {Shape{64, 128, 64}, Shape{64, 10, 128}, Shape{256, 1024, 1024}, Shape{512, 512, 512}, Shape{2048, 2048, 2048}}) {
    auto race = runtime::race_product("matmul.f32.v1", s.m, s.n, s.k, threads);
    Row row = compare("sgemm " + std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k), "libtorch (MKL)",
                      race.ours, race.theirs, options.quick);
    row.target = 0.9;
    rows.push_back(row);
  }
  return rows;
}

std::vector<Row> steps(const Options& options, int threads) {
  std::vector<Row> rows;
  const auto model = [](runtime::Program program, int64_t many, int64_t batch, int64_t classes) {
    runtime::ProgramRace race;
    race.program = std::move(program);
    race.rows = many;
    race.batch = batch;
    race.labels = classes;
    return race;
  };
  for (const auto& [name, program] : {std::pair{"training step, digits MLP, batch 64", model(runtime::perceptron(64, 64, {128}, 10, true), 1437, 64, 10)},
                                      {"training step, 4 x 1024 MLP, batch 256", model(runtime::perceptron(256, 1024, {1024, 1024, 1024}, 1024, false), 4096, 256, 1024)}}) {
    auto race = must(runtime::race_program(program, threads));
    Row row = compare(name, "eager libtorch, Adam", race.ours, race.theirs, options.quick);
    row.target = 0.8;
    rows.push_back(row);
  }
  return rows;
}

// The digits job by a real worker: what checkpoints cost beside the steps, and a drawn check beside the whole job.
std::vector<Row> audits(const Options& options) {
  constexpr uint64_t kSteps = 6000, kInterval = 300;
  const DigitsJob job(options.worker, kSteps);
  const auto first = must(job.worker->initial(job.work));
  std::vector<double> overheads, shares;
  double run_ms = 0, checkpoint_ms = 0, check_ms = 0;
  for (int i = 0; i < (options.quick ? 2 : 7); i++) {
    const auto ran = must(job.worker->run({job.work, first.state, kSteps, kInterval, attest::Tier::exact}));
    run_ms = double(ran.run_ns) / 1e6;
    checkpoint_ms = double(ran.checkpoint_ns) / 1e6;
    overheads.push_back(checkpoint_ms / run_ms * 100);
    const auto began = std::chrono::steady_clock::now();
    must(job.worker->check({job.work, first.state, kInterval, 17, 5}));
    check_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    shares.push_back(check_ms / (run_ms + checkpoint_ms) * 100);
  }
  const auto share = [](std::string what, std::string peer, std::vector<double> values, double ours, double theirs, double target) {
    Row row{std::move(what), std::move(peer), ours, theirs, "ms", median(values), quantile(values, 0.25), quantile(values, 0.75), target, 0, true};
    return row;
  };
  return {share("commitment overhead, %, digits, 20 checkpoints", "the job's steps", overheads, checkpoint_ms, run_ms, 2.0),
          share("audit, 1 of 20 segments, % of the job's cost", "the whole job", shares, check_ms, run_ms + checkpoint_ms, 0)};
}

void print(const std::vector<Row>& rows) {
  std::printf("| figure | peer | ours | peer's | ratio | quartiles | target |\n|---|---|---|---|---|---|---|\n");
  for (const Row& row : rows) {
    const std::string target = row.target == 0 ? "-" : (row.at_most ? "<= " : ">= ") + std::to_string(row.target).substr(0, 3);
    std::printf("| %s | %s | %.4g %s | %.4g %s | %.2f | %.2f to %.2f | %s%s |\n", row.name.c_str(), row.peer.c_str(), row.ours,
                row.unit.c_str(), row.theirs, row.unit.c_str(), row.ratio, row.q1, row.q3, target.c_str(), row.met() ? "" : " MISSED");
  }
}

int threads_here() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

int run(const Options& options) {
  const int threads = threads_here();
  std::vector<Row> rows = products(options, threads);
  for (auto&& more : {steps(options, threads), audits(options)}) rows.insert(rows.end(), more.begin(), more.end());
  if (!options.json) {
    std::printf("%d threads, %s\n\n", threads, std::string(kernels::name(kernels::best_isa())).c_str());
    print(rows);
    return 0;
  }
  nlohmann::ordered_json json = {{"threads", threads}, {"isa", kernels::name(kernels::best_isa())}};
  for (const Row& row : rows)
    json["rows"].push_back({{"name", row.name}, {"peer", row.peer}, {"ours", row.ours}, {"theirs", row.theirs}, {"unit", row.unit},
                            {"ratio", row.ratio}, {"q1", row.q1}, {"q3", row.q3}, {"target", row.target}, {"met", row.met()}});
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

void print_kernel(const Row& row) {
  const char *sign = row.at_most ? "<=" : ">=", *missed = row.met() ? "" : " MISSED";
  if (row.peer.empty()) std::printf("| %s | %.4g %s | | | | %s %.2f%s | |\n", row.name.c_str(), row.ratio, row.unit.c_str(), sign, row.target, missed);
  else
    std::printf("| %s | %.4g %s | %.4g %s | %.2f | %.2f to %.2f | %s %.2f%s | %.2f |\n", row.name.c_str(), row.ours, row.unit.c_str(), row.theirs,
                row.unit.c_str(), row.ratio, row.q1, row.q3, sign, row.target, missed, row.aim);
  std::fflush(stdout);
}

int run_kernels(const Options& options) {
  const int threads = threads_here();
  const std::string isa(kernels::name(kernels::best_isa()));
  if (!options.json) {
    std::printf("%d threads, %s\n\n| work | ours | libtorch's | ratio | quartiles | must | aim |\n|---|---|---|---|---|---|---|\n", threads, isa.c_str());
    measure_kernels(threads, options.quick, options.only, print_kernel);
    return 0;
  }
  nlohmann::ordered_json json = {{"threads", threads}, {"isa", isa}, {"rows", nlohmann::ordered_json::array()}};
  measure_kernels(threads, options.quick, options.only, [&](const Row& row) {
    nlohmann::ordered_json line = {{"name", row.name}, {"must", row.target}, {"at_most", row.at_most}};
    if (row.peer.empty()) line.update({{"value", row.ratio}, {"unit", row.unit}});
    else line.update({{"ratio", row.ratio}, {"q1", row.q1}, {"q3", row.q3}});
    line["met"] = row.met();
    json["rows"].push_back(std::move(line));
  });
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

int tell(const std::vector<Row>& rows, const Options& options) {
  if (!options.json) {
    std::printf("%d threads\n\n| figure | ours | beside | ratio or value | quartiles | must | aim |\n|---|---|---|---|---|---|---|\n", threads_here());
    for (const Row& row : rows) {
      const auto bound = [&](double value) {
        char text[32];
        std::snprintf(text, sizeof text, "%s %.4g", row.at_most ? "<=" : ">=", value);
        return value == 0 ? std::string("-") : std::string(text);
      };
      std::printf("| %s | %.4g %s | %s | %.4g | %.4g to %.4g | %s%s | %s |\n", row.name.c_str(), row.ours, row.unit.c_str(), row.peer.c_str(), row.ratio,
                  row.q1, row.q3, bound(row.target).c_str(), row.met() ? "" : " MISSED", bound(row.aim).c_str());
    }
    return 0;
  }
  nlohmann::ordered_json json = {{"threads", threads_here()}, {"rows", nlohmann::ordered_json::array()}};
  for (const Row& row : rows) {
    nlohmann::ordered_json one = {{"name", row.name}, {"must", row.target}, {"at_most", row.at_most}};
    if (row.peer.empty()) {
      one.update({{"value", row.ratio}, {"unit", row.unit}});
    } else {
      one.update({{"ratio", row.ratio}});
    }
    one.update({{"q1", row.q1}, {"q3", row.q3}, {"met", row.met()}});
    json["rows"].push_back(std::move(one));
  }
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace cairn::bench

int main(int argc, char** argv) {
  cairn::bench::Options options;
  options.worker = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cairn-worker").string();
  CLI::App app("Cairn beside its peers: ratios from one run on this machine. Run it from the root of the sources.", "cairn-bench");
  CLI::App* kernels = app.add_subcommand("kernels", "operator by operator, beside those of libtorch");
  CLI::App* attest = app.add_subcommand("attest", "what proofs cost: commitments, checks, disputes, receipts");
  CLI::App* ledger = app.add_subcommand("ledger", "the chain: rates, latencies, sizes");
  ledger->add_flag("--full", options.full, "how figures grow, too");
  ledger->add_option("--build", options.folder)->group("");  // the child that makes a state
  ledger->add_option("--accounts", options.accounts)->group("");
  for (CLI::App* command : {&app, kernels, ledger, attest}) {
    command->add_flag("--json", options.json, "one JSON object instead of a table");
    command->add_flag("--quick", options.quick, "fewer repetitions: a look, not a result");
  }
  kernels->add_option("--only", options.only, "rows whose name contains this text");
  CLI::App* classes = app.add_subcommand("classes", "accuracy of the numeric classes: a page and a picture");
  classes->add_option("FOLDER", options.folder, "where they are written")->required();
  CLI::App* leaves = app.add_subcommand("leaves", "the last move of a dispute, for every operator at its largest call: a table");
  CLI::App* bounds = app.add_subcommand("bounds", "how far stock libtorch lies from the definitions on this machine: what judges tolerate");
  bounds->add_option("FILE", options.file, "where the table is written")->capture_default_str();
  app.add_option("--worker", options.worker, "the worker to measure");
  CLI11_PARSE(app, argc, argv);
  try {
    if (classes->parsed()) {
      cairn::bench::measure_classes(options.folder, cairn::bench::threads_here());
      return 0;
    }
    if (leaves->parsed()) {
      cairn::bench::print_leaves();
      return 0;
    }
    if (bounds->parsed()) {
      cairn::bench::measure_bounds(options.file);
      return 0;
    }
    if (ledger->parsed() && options.accounts > 0) cairn::ledger::build_state(options.folder, options.accounts);
    if (ledger->parsed()) return cairn::bench::tell(cairn::bench::measure_ledger({options.quick, options.full}), options);
    if (attest->parsed()) return cairn::bench::tell(cairn::bench::measure_attest(options.worker, options.quick), options);
    return kernels->parsed() ? cairn::bench::run_kernels(options) : cairn::bench::run(options);
  } catch (const cairn::Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.error().message().c_str());
    return cairn::exit_status(fault.error().code);
  }
}
