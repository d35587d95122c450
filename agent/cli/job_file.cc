#include "agent/cli/job_file.h"

#include <bit>

namespace cairn::agent {

namespace fs = std::filesystem;

Result<> OptimizerSettings::check() const {
  if (betas.size() != 2) return Error{Code::config, "`betas` must be two numbers", "write for example [0.9, 0.999]"};
  for (const double beta : betas)
    if (!(beta >= 0 && beta < 1)) return Error{Code::config, "each of `betas` must lie in [0, 1)", "write for example [0.9, 0.999]"};
  if (!(lr > 0)) return Error{Code::config, "`lr` must be above 0", "write for example 1e-3"};
  return {};
}

runtime::Optimizer OptimizerSettings::optimizer() const {
  const auto bits = [](double value) { return std::bit_cast<uint32_t>(static_cast<float>(value)); };
  runtime::Optimizer out;
  out.kind = name;
  out.lr_bits = bits(lr);
  out.beta1_bits = bits(betas[0]);
  out.beta2_bits = bits(betas[1]);
  out.eps_bits = bits(eps);
  out.weight_decay_bits = bits(weight_decay);
  out.momentum_bits = bits(momentum);
  out.nesterov = nesterov;
  out.warmup_steps = warmup_steps;
  out.curve = schedule;
  out.decay_every = decay_every;
  out.decay_factor_bits = bits(decay_factor);
  out.clip_norm_bits = bits(clip_norm);
  out.accumulate = accumulate;
  return out;
}

Result<> JobFile::check() const {
  if (program.empty()) return Error{Code::config, "`program` is missing", "name the .pt2 that torch.export.save wrote"};
  if (data.empty()) return Error{Code::config, "`data` is missing", "name a .safetensors with the program's inputs"};
  if (graph == Graph::train && steps == 0) return Error{Code::config, "a training job needs `steps`", "say how many steps to train"};
  if (graph == Graph::predict && weights.empty())
    return Error{Code::config, "a prediction job needs `weights`", "name the .safetensors that a training job gave"};
  return {};
}

Result<JobFile> read_job_file(const fs::path& path) {
  TRY_LET(job, read_config<JobFile>(path));
  for (fs::path* file : {&job.program, &job.data, &job.weights})
    if (!file->empty()) *file = path.parent_path() / expand_home(*file);  // an absolute one stays
  if (job.title.empty()) job.title = path.stem().string();
  return job;
}

}  // namespace cairn::agent
