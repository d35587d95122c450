// cairn program inspect | run | train
#include <CLI/CLI.hpp>
#include <bit>
#include <memory>

#include "agent/cli/cli.h"
#include "agent/program_verbs.h"

namespace cairn::agent {
namespace {

void add_inspect(CLI::App& noun, Cli& cli) {
  auto* verb = noun.add_subcommand("inspect", "inputs, outputs, state, operators, work and memory; what exact does not define");
  auto file = std::make_shared<std::string>();
  verb->add_option("program", *file, "a .pt2 of torch.export.save")->required();
  verb->callback([&cli, file] { cli.chosen = [&cli, file] { return program_inspect(cli.out, *file); }; });
}

void add_run(CLI::App& noun, Cli& cli) {
  auto* verb = noun.add_subcommand("run", "predict: a row out for each row in");
  auto request = std::make_shared<ProgramRun>();
  auto tier = std::make_shared<std::string>("exact");
  verb->add_option("program", request->program, "a .pt2 of torch.export.save")->required();
  verb->add_option("--weights", request->weights, "safetensors by parameter name; else the program's own, else from the seed");
  verb->add_option("--inputs", request->inputs, "safetensors by input name")->required();
  verb->add_option("--outputs", request->outputs, "safetensors to write: output_0, ...")->required();
  verb->add_option("--tier", *tier, "exact | native");
  verb->add_option("--batch", request->batch, "rows a step; 64 unless the program fixes it");
  verb->add_option("--seed", request->seed);
  verb->add_option("--threads", request->threads);
  verb->callback([&cli, request, tier] {
    cli.chosen = [&cli, request, tier]() -> Result<> {
      TRY_LET(chosen, parse_local_tier(*tier));
      request->tier = chosen;
      return program_run(cli.out, *request);
    };
  });
}

struct TrainingWords {
  ProgramTraining request;
  std::string tier = "exact", optimizer = "adam";
  float lr = 1e-3f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0, momentum = 0;
};

void add_train(CLI::App& noun, Cli& cli) {
  auto* verb = noun.add_subcommand("train", "train on this machine: same plan, same bits as a job");
  auto words = std::make_shared<TrainingWords>();
  ProgramTraining& request = words->request;
  verb->add_option("program", request.program, "a .pt2 whose first output is the loss")->required();
  verb->add_option("--data", request.data, "safetensors by input name")->required();
  verb->add_option("--steps", request.steps)->required();
  verb->add_option("--outputs", request.outputs, "safetensors to write, by parameter name");
  verb->add_option("--weights", request.weights, "safetensors to start from; else the program's own, else from the seed");
  verb->add_option("--folder", request.folder, "keeps plan and checkpoints there, and goes on from them");
  verb->add_option("--interval", request.interval, "steps between checkpoints");
  verb->add_option("--batch", request.batch, "rows a step; 64 unless the program fixes it");
  verb->add_option("--seed", request.seed);
  verb->add_option("--optimizer", words->optimizer, "sgd | adam | adamw");
  verb->add_option("--lr", words->lr);
  verb->add_option("--beta1", words->beta1);
  verb->add_option("--beta2", words->beta2);
  verb->add_option("--eps", words->eps);
  verb->add_option("--weight-decay", words->weight_decay);
  verb->add_option("--momentum", words->momentum);
  verb->add_flag("--nesterov", request.optimizer.nesterov);
  verb->add_option("--warmup", request.optimizer.warmup_steps, "steps over which the learning rate rises");
  verb->add_flag("--cosine", request.optimizer.cosine, "the learning rate falls to 0 along half a cosine");
  verb->add_option("--tier", words->tier, "exact | native | both");
  verb->add_option("--threads", request.threads);
  verb->callback([&cli, words] {
    cli.chosen = [&cli, words]() -> Result<> {
      runtime::Optimizer& optimizer = words->request.optimizer;
      TRY_LET(kind, runtime::parse_optimizer(words->optimizer));
      TRY_LET(tier, parse_local_tier(words->tier));
      optimizer.kind = kind;
      words->request.tier = tier;
      optimizer.lr_bits = std::bit_cast<uint32_t>(words->lr);
      optimizer.beta1_bits = std::bit_cast<uint32_t>(words->beta1);
      optimizer.beta2_bits = std::bit_cast<uint32_t>(words->beta2);
      optimizer.eps_bits = std::bit_cast<uint32_t>(words->eps);
      optimizer.weight_decay_bits = std::bit_cast<uint32_t>(words->weight_decay);
      optimizer.momentum_bits = std::bit_cast<uint32_t>(words->momentum);
      return program_train(cli.out, words->request);
    };
  });
}

}  // namespace

void add_program_verbs(CLI::App& app, Cli& cli) {
  auto* noun = app.add_subcommand("program", "look at, run and train programs on this machine");
  noun->require_subcommand(1);
  add_inspect(*noun, cli);
  add_run(*noun, cli);
  add_train(*noun, cli);
}

}  // namespace cairn::agent
