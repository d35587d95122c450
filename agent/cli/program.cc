// cairn program: a program on this machine alone, without chain, keys or pay. The same worker, the same plan and so the same
// bits as a job would give.
#include <CLI/CLI.hpp>
#include <bit>
#include <memory>

#include "agent/cli/cli.h"
#include "agent/cli/job_file.h"
#include "base/file.h"
#include "base/scratch.h"
#include "runtime/artefacts.h"
#include "runtime/program_files.h"

namespace cairn::agent {

namespace fs = std::filesystem;
using namespace runtime;

namespace {

constexpr size_t kMaxRecordBytes = size_t{1} << 30;
constexpr uint64_t kMaxSlotBytes = uint64_t{1} << 40;

// What stands on the command line of `run` and `train`.
struct Wish {
  fs::path program, data, weights, outputs;
  fs::path folder;         // keeps plan and checkpoints; a run that lies there is gone on with. Empty: none is kept
  uint64_t steps = 0;
  uint64_t interval = 0;   // between checkpoints; 0: a tenth of the steps with a folder, else only the end
  uint64_t batch = 0;
  uint64_t seed = 0;
  OptimizerSettings optimizer;
  std::string optimizer_name = "adam", schedule = "constant";
  std::string tier = "exact";
  attest::NumericClass numeric = attest::NumericClass::f32;
  uint32_t threads = 1;    // 0: as many as there are cores
};

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}
std::string bytes_text(uint64_t size_bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(size_bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); unit++) value /= 1024;
  return short_number(value) + " " + units[unit];
}
std::string time_text(uint64_t nanoseconds) { return short_number(static_cast<double>(nanoseconds) / 1e6) + " ms"; }

Result<std::unique_ptr<WorkerClient>> worker_of(const Cli& cli) {
  TRY_LET(settings, cli.settings());
  return WorkerClient::start(find_program(settings.worker));
}

// Traced and ready, and told about.
Result<Prepared> prepare(const Cli& cli, WorkerClient& worker, const Wish& wish, bool train, const fs::path& store) {
  TRY(wish.optimizer.check());
  TRY_LET(prepared, runtime::prepare(worker, {fs::absolute(wish.program), wish.data, wish.weights, store, train, wish.batch, wish.steps,
                                              wish.seed, wish.optimizer.optimizer(), wish.numeric, {}}));
  prepared.work.threads = wish.threads;
  const Traced& traced = prepared.traced;
  cli.out.line(row("program", traced.program.hex()));
  cli.out.line(row("plan", traced.plan.hex()));
  cli.out.line(row("a step is", std::to_string(traced.calls) + " calls, " + time_text(traced.step_work_ns) +
                                    " on the reference machine, " + bytes_text(traced.peak_bytes) + " of memory"));
  return prepared;
}

JsonObject facts(const Prepared& prepared) {
  const Traced& traced = prepared.traced;
  JsonObject object;
  object.add("program", traced.program).add("plan", traced.plan).add("plan_root", traced.plan_root);
  object.add("initial_state", prepared.initial.root).add("calls", traced.calls).add("step_work_ns", traced.step_work_ns);
  object.add("peak_bytes", traced.peak_bytes).add("batch", traced.batch).add("steps", traced.steps);
  std::vector<JsonObject> inputs;
  for (const PreparedInput& input : prepared.inputs) inputs.push_back(JsonObject().add("name", input.name).add("id", input.id));
  return object.add("inputs", inputs);
}

// What a folder remembers of an exact run: its plan and seed, and every checkpoint.
struct Record {
  Hash plan;
  uint64_t seed = 0;
  uint64_t interval = 0;
  std::vector<CheckpointMade> checkpoints;
  static constexpr auto fields() {
    return std::tuple{field("plan", &Record::plan), field("seed", &Record::seed), field("interval", &Record::interval),
                      field("checkpoints", &Record::checkpoints)};
  }
};

struct Outcome {
  StateReached reached;
  std::vector<CheckpointMade> checkpoints;  // with those gone on from
  std::vector<float> losses;
  uint64_t steps_run = 0;                   // by this call
};

// `record_path` may be empty: then nothing is remembered.
Result<Outcome> run_plan(const Output& out, WorkerClient& worker, const Prepared& prepared, uint64_t interval, attest::Tier tier,
                         const fs::path& record_path) {
  Record record{prepared.traced.plan, prepared.work.seed, interval, {}};
  if (!record_path.empty() && fs::exists(record_path)) {
    TRY_LET(bytes, read_file(record_path, kMaxRecordBytes));
    const auto earlier = decode<Record>(bytes);
    if (earlier && earlier->plan == record.plan && earlier->seed == record.seed && earlier->interval == interval) record = *earlier;
  }
  // A checkpoint that is damaged is made again, from the last that is whole.
  const auto whole = [&](const CheckpointMade& made) {
    return std::all_of(made.state.ids.begin(), made.state.ids.end(),
                       [&](const Hash& id) { return bool(read_artefact(prepared.work.store, id, kMaxSlotBytes)); });
  };
  while (!record.checkpoints.empty() && !whole(record.checkpoints.back())) record.checkpoints.pop_back();
  const StatePoint from = record.checkpoints.empty() ? prepared.initial.state : record.checkpoints.back().state;
  const uint64_t steps = prepared.traced.steps;
  std::string loss;
  const auto on_progress = [&](const Progress& progress) {
    if (progress.loss_bits) loss = "  loss " + short_number(std::bit_cast<float>(*progress.loss_bits));
    out.bar(std::string(attest::name(tier)), static_cast<double>(progress.step) / static_cast<double>(std::max<uint64_t>(steps, 1)),
            std::to_string(progress.step) + "/" + std::to_string(steps) + loss);
  };
  const auto on_checkpoint = [&](const CheckpointMade& made) {
    record.checkpoints.push_back(made);
    if (!record_path.empty()) static_cast<void>(must(write_file(record_path, encode(record))));
  };
  TRY_LET(reached, worker.run({prepared.work, from, steps, interval, tier}, on_progress, on_checkpoint));
  TRY_LET(losses, (FinalState{prepared.plan, reached.state.ids, prepared.work.store}.losses()));
  return Outcome{std::move(reached), std::move(record.checkpoints), std::move(losses), steps - from.step};
}

JsonObject json_of(const Outcome& outcome) {
  JsonObject object;
  object.add("root", outcome.reached.root).add("losses", outcome.losses);
  std::vector<JsonObject> checkpoints;
  for (const CheckpointMade& made : outcome.checkpoints)
    checkpoints.push_back(JsonObject().add("step", made.state.step).add("root", made.root));
  const double run_ms = static_cast<double>(outcome.reached.run_ns) / 1e6;
  object.add("checkpoints", checkpoints).add("steps_run", outcome.steps_run).add("run_ms", run_ms);
  object.add("checkpoint_ms", static_cast<double>(outcome.reached.checkpoint_ns) / 1e6);
  return object.add("ms_per_step", run_ms / static_cast<double>(std::max<uint64_t>(outcome.steps_run, 1)));
}

Result<> inspect(const Cli& cli, const fs::path& program) {
  TRY_LET(worker, worker_of(cli));
  TRY_LET(found, worker->inspect(fs::absolute(program).string()));
  const Output& out = cli.out;
  out.line(row("program", found.program.hex()));
  out.line(row("kind", found.trains ? "training: its first output is a loss" : "prediction: a row out for each row in"));
  for (const auto& input : found.inputs) out.line(row("input", input.name + "  " + input.type));
  for (const auto& output : found.outputs) out.line(row("output", output.name + "  " + output.type));
  for (const auto& parameter : found.parameters) out.line(row("parameter", parameter.name + "  " + parameter.type));
  for (const auto& op : found.operators) out.line(row("operator", op.name + "  x" + std::to_string(op.calls)));
  if (found.undefined.empty()) {
    out.line(row("work", time_text(found.step_work_ns) + " a step of the reference machine, batch " + std::to_string(found.batch)));
    out.line(row("memory", bytes_text(found.peak_bytes) + ", of which state " + bytes_text(found.state_bytes)));
  }
  for (const std::string& text : found.undefined) out.line(row("undefined", text));
  for (const std::string& text : found.removed) out.line(row("removed", text));
  out.object(to_json(found));
  if (found.undefined.empty()) return {};
  return Error{Code::undefined_operator, std::to_string(found.undefined.size()) + " operators of this program are not defined on exact",
               "write those parts with defined operators, or run it on the native tier of PyTorch"};
}

Result<> run(const Cli& cli, const Wish& wish) {
  const Scratch scratch;
  TRY_LET(worker, worker_of(cli));
  TRY_LET(prepared, prepare(cli, *worker, wish, false, scratch.path));
  const attest::Tier tier = wish.tier == "native" ? attest::Tier::native : attest::Tier::exact;
  TRY_LET(outcome, run_plan(cli.out, *worker, prepared, 0, tier, {}));
  const std::string root = outcome.reached.root.hex();
  TRY((FinalState{prepared.plan, outcome.reached.state.ids, scratch.path}.write(
      wish.outputs, SlotRole::output,
      {{"program", prepared.traced.program.hex()}, {"plan", prepared.traced.plan.hex()}, {"root", root}})));
  cli.out.line(row("root", root));
  cli.out.line(row("wrote", wish.outputs.string()));
  cli.out.object(facts(prepared).add(attest::name(tier), json_of(outcome)));
  return {};
}

// With --tier both the native run stands beside the exact one, for comparison; the exact one is the result.
Result<> train(const Cli& cli, Wish wish) {
  if (wish.steps == 0) return Error{Code::usage, "a training needs a number of steps", "add --steps N"};
  TRY_LET(kind, parse_optimizer(wish.optimizer_name));
  wish.optimizer.name = kind;
  TRY_LET(curve, parse_curve(wish.schedule));
  wish.optimizer.schedule = curve;
  const Scratch scratch;
  TRY_LET(worker, worker_of(cli));
  const bool keep = !wish.folder.empty();
  const fs::path store = (keep ? wish.folder : scratch.path) / "store";
  std::error_code error;
  fs::create_directories(store, error);
  if (error) return Error{Code::io, "cannot make the folder " + store.string(), "name another by --folder"};
  TRY_LET(prepared, prepare(cli, *worker, wish, true, fs::absolute(store)));
  const Traced& traced = prepared.traced;
  cli.out.line(row("training", std::to_string(traced.steps) + " steps of " + std::to_string(traced.batch) + " rows, " +
                                   std::string(runtime::name(kind)) + ", seed " + std::to_string(wish.seed)));

  const uint64_t interval = wish.interval != 0 || !keep ? wish.interval : std::max<uint64_t>(wish.steps / 10, 1);
  JsonObject answer = facts(prepared);
  std::optional<StateReached> result;
  for (const attest::Tier tier : {attest::Tier::exact, attest::Tier::native}) {
    const std::string label(attest::name(tier));
    if (wish.tier != "both" && wish.tier != label) continue;
    const bool exact = tier == attest::Tier::exact;
    TRY_LET(outcome, run_plan(cli.out, *worker, prepared, interval, tier, exact && keep ? wish.folder / "record" : fs::path{}));
    const StateReached& reached = outcome.reached;
    if (!outcome.losses.empty()) cli.out.line(row("final loss", short_number(outcome.losses.back()) + "  (" + label + ")"));
    if (exact) cli.out.line(row("root", reached.root.hex()));
    cli.out.line(row("time", time_text(reached.run_ns) + ", " + time_text(reached.run_ns / std::max<uint64_t>(outcome.steps_run, 1)) + " a step"));
    answer.add(label, json_of(outcome));
    if (result) continue;
    result = reached;
    answer.add("losses", outcome.losses);  // of the first tier that ran
  }
  if (!wish.outputs.empty()) {
    std::map<std::string, std::vector<std::string>> aliases;
    for (const Parameter& parameter : prepared.program.parameters) aliases[parameter.name] = parameter.aliases;
    TRY((FinalState{prepared.plan, result->state.ids, store}.write(
        wish.outputs, SlotRole::weight,
        {{"program", traced.program.hex()}, {"plan", traced.plan.hex()}, {"root", result->root.hex()},
         {"seed", std::to_string(wish.seed)}, {"steps", std::to_string(wish.steps)}},
        aliases)));
    cli.out.line(row("wrote", wish.outputs.string()));
  }
  cli.out.object(answer);
  return {};
}

}  // namespace

void add_program_verbs(CLI::App& app, Cli& cli) {
  auto* program = app.add_subcommand("program", "Look at, run and train programs on this machine")->require_subcommand(1);
  const auto wish = std::make_shared<Wish>();
  const auto verb = [&](const char* name, const char* about, auto run) {
    auto* sub = program->add_subcommand(name, about);
    sub->add_option("program", wish->program, "a .pt2 of torch.export.save")->required();
    sub->callback([&cli, wish, run] { cli.chosen = [&cli, wish, run] { return run(cli, *wish); }; });
    return sub;
  };
  const auto computed = [&](CLI::App* sub, const std::vector<std::string>& tiers) {
    sub->add_option("--weights", wish->weights, "safetensors by parameter name; else the program's own, else from the seed");
    sub->add_option("--batch", wish->batch, "rows a step; 64 unless the program fixes it");
    sub->add_option("--seed", wish->seed);
    sub->add_option("--tier", wish->tier)->check(CLI::IsMember(tiers));
    std::map<std::string, attest::NumericClass> classes;
    for (int c = 1; attest::is_valid(attest::NumericClass(c)); c++) classes[std::string(attest::name(attest::NumericClass(c)))] = attest::NumericClass(c);
    sub->add_option("--numeric", wish->numeric, "how products are computed: f32, int2, int2.row, int3")->transform(CLI::Transformer(classes));
    sub->add_option("--threads", wish->threads, "0: one a core");
  };
  verb("inspect", "Inputs, outputs, state, operators, work and memory; what exact does not define",
       [](const Cli& c, const Wish& w) { return inspect(c, w.program); });

  auto* predict = verb("run", "Predict: a row out for each row in", run);
  predict->add_option("--inputs", wish->data, "safetensors by input name")->required();
  predict->add_option("--outputs", wish->outputs, "safetensors to write: output_0, ...")->required();
  computed(predict, {"exact", "native"});

  auto* training = verb("train", "Train on this machine: same plan, same bits as a job", train);
  training->add_option("--data", wish->data, "safetensors by input name")->required();
  training->add_option("--steps", wish->steps)->required();
  training->add_option("--outputs", wish->outputs, "safetensors to write, by parameter name");
  training->add_option("--folder", wish->folder, "keeps plan and checkpoints there, and goes on from them");
  training->add_option("--interval", wish->interval, "steps between checkpoints");
  computed(training, {"exact", "native", "both"});
  OptimizerSettings& optimizer = wish->optimizer;
  training->add_option("--optimizer", wish->optimizer_name, "sgd | adam | adamw");
  training->add_option("--lr", optimizer.lr);
  training->add_option("--beta1", optimizer.betas[0]);
  training->add_option("--beta2", optimizer.betas[1]);
  training->add_option("--eps", optimizer.eps);
  training->add_option("--weight-decay", optimizer.weight_decay);
  training->add_option("--momentum", optimizer.momentum);
  training->add_flag("--nesterov", optimizer.nesterov);
  training->add_option("--warmup", optimizer.warmup_steps, "steps over which the learning rate rises");
  training->add_option("--schedule", wish->schedule, "of the learning rate after that: constant | linear | cosine | step");
  training->add_option("--decay-every", optimizer.decay_every, "step: after so many steps it falls ...");
  training->add_option("--decay-factor", optimizer.decay_factor, "... to this part");
  training->add_option("--clip-norm", optimizer.clip_norm, "limit of the norm of all gradients together");
  training->add_option("--accumulate", optimizer.accumulate, "batches a step, whose gradients are averaged");
}

}  // namespace cairn::agent
