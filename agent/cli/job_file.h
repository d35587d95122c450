// What a requester writes down about a job: one YAML file. examples/digits/job.yaml explains every key.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/settings.h"
#include "runtime/trace.h"

namespace cairn::agent {

enum class Graph : uint8_t { train = 1, predict = 2 };
constexpr bool is_valid(Graph g) { return g == Graph::train || g == Graph::predict; }
constexpr std::string_view name(Graph g) { return g == Graph::train ? "train" : "predict"; }

struct OptimizerSettings {
  runtime::OptimizerKind name = runtime::OptimizerKind::adam;
  double lr = 1e-3;
  std::vector<double> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool nesterov = false;
  uint64_t warmup_steps = 0;
  runtime::Curve schedule = runtime::Curve::constant;
  uint64_t decay_every = 0;
  double decay_factor = 0.1;
  double clip_norm = 0;
  uint32_t accumulate = 1;
  static constexpr auto fields() {
    using O = OptimizerSettings;
    return std::tuple{field("name", &O::name), field("lr", &O::lr), field("betas", &O::betas), field("eps", &O::eps),
                      field("weight_decay", &O::weight_decay), field("momentum", &O::momentum),
                      field("nesterov", &O::nesterov), field("warmup_steps", &O::warmup_steps), field("schedule", &O::schedule),
                      field("decay_every", &O::decay_every), field("decay_factor", &O::decay_factor),
                      field("clip_norm", &O::clip_norm), field("accumulate", &O::accumulate)};
  }
  Result<> check() const;
  runtime::Optimizer optimizer() const;
};

struct ViewerSettings {
  std::vector<std::string> providers;
  std::vector<std::string> verifiers;
  static constexpr auto fields() {
    return std::tuple{field("providers", &ViewerSettings::providers), field("verifiers", &ViewerSettings::verifiers)};
  }
};

struct JobFile {
  std::string title;
  std::filesystem::path program;
  Graph graph = Graph::train;
  std::filesystem::path data;
  std::filesystem::path weights;
  std::optional<std::string> program_asset;
  std::map<std::string, std::string> assets;
  OptimizerSettings optimizer;
  uint64_t steps = 0;
  uint64_t batch = 0;
  uint64_t seed = 0;
  uint64_t interval = 0;
  attest::Device device = attest::Device::cpu;
  attest::NumericClass numeric = attest::NumericClass::f32;  // of products
  attest::Tier tier = attest::Tier::exact;
  std::vector<std::string> judges;
  ViewerSettings viewers;
  attest::Policy policy = attest::Policy::standard;
  bool require_audit = false;
  Amount harm;
  Amount price_ceiling = Amount::of_pebbles(1'000'000'000);
  Within<uint32_t, 1, 86'400> accept_seconds{60};
  Within<uint32_t, 1, 864'000> run_seconds{3600};
  std::string listen;
  static constexpr auto fields() {
    using J = JobFile;
    return std::tuple{field("title", &J::title),
                      field("program", &J::program),
                      field("graph", &J::graph),
                      field("data", &J::data),
                      field("weights", &J::weights),
                      field("program_asset", &J::program_asset),
                      field("assets", &J::assets),
                      field("optimizer", &J::optimizer),
                      field("steps", &J::steps),
                      field("batch", &J::batch),
                      field("seed", &J::seed),
                      field("interval", &J::interval),
                      field("device", &J::device),
                      field("numeric", &J::numeric),
                      field("tier", &J::tier),
                      field("judges", &J::judges),
                      field("viewers", &J::viewers),
                      field("policy", &J::policy),
                      field("require_audit", &J::require_audit),
                      field("harm", &J::harm),
                      field("price_ceiling", &J::price_ceiling),
                      field("accept_seconds", &J::accept_seconds),
                      field("run_seconds", &J::run_seconds),
                      field("listen", &J::listen)};
  }
  Result<> check() const;
};

// Paths in the file are relative to its folder. Errors: not_found, io, config (with line and column).
Result<JobFile> read_job_file(const std::filesystem::path& path);

}  // namespace cairn::agent
