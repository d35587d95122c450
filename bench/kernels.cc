#include "bench/kernels.h"

#include "base/file.h"
#include "kernels/reference.h"
#include "runtime/race.h"
#include "tests/kernels/sweep.h"

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
          [=](int threads) { return runtime::race_product("matmul.f32.v1", m, n, k, threads); }};
}
Contest int2(int64_t size) {
  const std::string text = std::to_string(size);
  return {"int2 " + text + " x " + text + " x " + text + " over sgemm", 0.45, 0.6,
          [=](int threads) { return runtime::race_product("matmul.int2.v1", size, size, size, threads); }};
}
Contest attention(bool causal, bool backward) {
  return {std::string(causal ? "causal attention" : "attention") + (backward ? " backward" : "") + ", 8 heads, 512 x 64", 0.8, 1.0,
          [=](int threads) { return runtime::race_attention(8, 512, 64, causal, backward, threads); }};
}
Contest convolution(runtime::ImageShape s, bool backward) {
  return {"conv2d 3x3" + std::string(backward ? " backward, " : ", ") + std::to_string(s.n) + " x " + std::to_string(s.channels) + " x " +
              std::to_string(s.height) + " x " + std::to_string(s.width) + " to " + std::to_string(s.filters) + (s.groups > 1 ? ", depthwise" : ""),
          0.85, 1.0, [=](int threads) { return runtime::race_convolution(s, backward, threads); }};
}

// Whole programs: what torch.export wrote, from the tree.
runtime::ProgramRace program(const char* path, int64_t batch, int64_t labels, bool train) {
  runtime::ProgramRace race;
  race.program = must(runtime::import_pt2(must(read_file(path, 1 << 20)))).program;
  race.rows = train ? 8 * batch : batch;
  race.batch = batch;
  race.labels = labels;
  race.train = train;
  return race;
}
struct Step {
  const char* name;
  double must;
  const char* path;
  int64_t batch, labels;
};
constexpr Step kSteps[] = {
    {"step.mlp", 0.9, "examples/digits/train.pt2", 64, 10},
    {"step.gpt", 0.9, "examples/text/gpt10m.pt2", 4, 128},
    {"step.cnn", 0.8, "examples/images/train.pt2", 64, 10},
    {"step.lstm", 0.7, "examples/text/lstm.pt2", 16, 128},
};

constexpr int64_t kMany = 1 << 20;

// At 2^20 elements, or operands of the shapes given.
Contest lowering(std::string op, std::vector<kernels::TensorType> in, std::vector<int64_t> attrs = {}) {
  const std::string name = op.substr(0, op.find('.'));
  return {name, 0.9, 1.0, [=](int threads) { return runtime::race_lowering(op, in, attrs, threads); }};
}
kernels::TensorType f32(std::vector<int64_t> shape) { return {kernels::DType::f32, std::move(shape)}; }

// Every operator of one number of each operand, with the attributes of its known answer. exp aims higher.
void add_elementwise(std::vector<Contest>& all) {
  for (const kernels::Operator* op : kernels::operators()) {
    if (!kernels::is_elementwise(*op)) continue;
    const kernels::KnownCall known = kernels::known_call(*op);
    all.push_back(lowering(std::string(op->name), std::vector<kernels::TensorType>(known.in.size(), f32({kMany})), known.attrs));
    if (op->name == "exp.v1") all.back().aim = 1.2;
  }
}

std::vector<Contest> contests() {
  const kernels::TensorType rows = f32({2048, 512}), long_rows = f32({16, 65536}), labels{kernels::DType::i64, {2048}};
  const kernels::TensorType images = f32({64, 64, 256}), channels = f32({64});
  std::vector<Contest> all{
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
  add_elementwise(all);
  const std::vector<Contest> rest{
      lowering("add.v1", {rows, f32({1, 512})}),
      lowering("mul.v1", {rows, f32({2048, 1})}),
      lowering("sum_rows.v1", {rows}),
      lowering("sum_last.v1", {rows}),
      lowering("sum_last.v1", {f32({1, kMany})}),
      lowering("sum_squares_last.v1", {f32({1, kMany})}),
      lowering("max_last.v1", {rows}),
      lowering("prod_last.v1", {rows}),
      lowering("softmax.v1", {rows}),
      lowering("softmax.v1", {long_rows}),
      lowering("softmax_backward.v1", {rows, rows}),
      lowering("log_softmax.v1", {rows}),
      lowering("log_softmax_backward.v1", {rows, rows}),
      lowering("layer_norm.v1", {rows, f32({512}), f32({512})}, {kernels::attr_of(1e-5f)}),
      lowering("layer_norm_backward_input.v1", {rows, rows, f32({2048}), f32({2048}), f32({512})}),
      lowering("layer_norm_backward_affine.v1", {rows, rows, f32({2048}), f32({2048})}),
      lowering("rms_norm.v1", {rows, f32({512})}, {kernels::attr_of(1e-5f)}),
      lowering("rms_norm_backward_input.v1", {rows, rows, f32({2048}), f32({512})}),
      lowering("rms_norm_backward_weight.v1", {rows, rows, f32({2048})}),
      lowering("batch_norm.v1", {images, channels, channels}, {kernels::attr_of(1e-5f), kernels::attr_of(0.1f)}),
      lowering("batch_norm_backward.v1", {images, images, channels, channels, channels}, {1}),
      lowering("batch_norm_inference.v1", {images, channels, channels, channels, channels}, {kernels::attr_of(1e-5f)}),
      lowering("group_norm.v1", {images, channels, channels}, {8, kernels::attr_of(1e-5f)}),
      lowering("group_norm_backward.v1", {images, images, f32({64, 8}), f32({64, 8}), channels}),
      lowering("nll_loss.v1", {rows, labels}, {1, -100}),
      lowering("nll_loss_backward.v1", {f32({}), labels, f32({})}, {512, 1, -100}),
      lowering("sgd.v1", {f32({kMany}), f32({kMany}), f32({kMany}), f32({1, 1})}, {kernels::attr_of(0.9f), 0, 0}),
      lowering("adam.v1", {f32({kMany}), f32({kMany}), f32({kMany}), f32({kMany}), f32({1, 3})},
               {kernels::attr_of(0.9f), kernels::attr_of(0.999f), kernels::attr_of(1e-8f), 0, 0}),
      attention(false, false),
      attention(false, true),
      attention(true, false),
      attention(true, true),
  };
  all.insert(all.end(), rest.begin(), rest.end());
  if (kernels::best_isa() == kernels::Isa::vnni)
    for (const int64_t size : {512, 1024, 2048}) all.push_back(int2(size));
  for (const runtime::ImageShape& shape : {runtime::ImageShape{64, 16, 8, 8, 32}, {8, 64, 56, 56, 64}, {8, 128, 28, 28, 128}, {8, 256, 14, 14, 256},
                                           {8, 64, 56, 56, 64, 64}})
    for (const bool backward : {false, true}) all.push_back(convolution(shape, backward));
  for (const Step& step : kSteps)
    all.push_back({step.name, step.must, 1.0, [=](int threads) { return must(runtime::race_program(program(step.path, step.batch, step.labels, true), threads)); }});
  for (const Step& step : {kSteps[0], kSteps[2]})
    all.push_back({std::string("executor over dispatcher, ") + step.name, 1.0, 1.0,
                   [=](int threads) { return must(runtime::race_dispatcher(program(step.path, step.batch, step.labels, true), threads)); }});
  for (const int64_t batch : {1, 32})
    all.push_back({"minilm, batch " + std::to_string(batch), 0.9, 1.0,
                   [=](int threads) { return must(runtime::race_program(program("examples/minilm/embed.pt2", batch, 2, false), threads)); }});
  return all;
}

Row peak(const Step& step) {
  const runtime::PeakBytes bytes = must(runtime::peak_bytes(program(step.path, step.batch, step.labels, true)));
  Row row;
  row.name = "peak bytes of " + std::string(step.name) + ", ours / libtorch's";
  row.peer = "libtorch";
  row.ours = static_cast<double>(bytes.ours) / 1048576;
  row.theirs = static_cast<double>(bytes.theirs) / 1048576;
  row.unit = "MiB";
  row.ratio = row.q1 = row.q3 = row.ours / row.theirs;
  row.target = 1.1;
  row.at_most = true;
  return row;
}

// The greatest error over a sample of all floats; the sweep over all of them is kernels_sweep.
constexpr uint64_t kSwept = 4099;  // one float in so many
Row accuracy(const kernels::Swept& swept, int threads) {
  const kernels::Found found = kernels::sweep(swept, kSwept, static_cast<unsigned>(threads));
  Row row;
  row.name = "accuracy " + std::string(swept.op) + (swept.absolute > 0 ? ", ulp where not nearly 0" : "");
  row.unit = "ulp";
  row.ratio = found.worst;
  row.target = swept.ulp;
  row.at_most = true;
  return row;
}

}  // namespace

void measure_kernels(int threads, bool quick, const std::string& only, const std::function<void(const Row&)>& tell) {
  const auto wanted = [&](const std::string& name) { return name.find(only) != std::string::npos; };
  for (const Contest& contest : contests()) {
    if (!wanted(contest.name)) continue;
    const auto race = contest.race(threads);
    Row row = compare(contest.name, "libtorch", race.ours, race.theirs, quick);
    row.target = contest.must;
    row.aim = contest.aim;
    tell(row);
  }
  for (const Step& step : kSteps)
    if (wanted("peak bytes of " + std::string(step.name))) tell(peak(step));
  for (const kernels::Swept& swept : kernels::all_swept())
    if (swept.ulp > 0 && wanted("accuracy " + std::string(swept.op))) tell(accuracy(swept, threads));
}

}  // namespace cairn::bench
