#include "bench/classes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

#include "base/file.h"
#include "kernels/ops/op.h"
#include "runtime/executor.h"
#include "runtime/native.h"
#include "runtime/trace.h"

namespace cairn::bench {
namespace {

using attest::NumericClass;
using Numbers = std::vector<float>;

// ---- products ------------------------------------------------------------------------------------------------------------

struct Distribution {
  const char* name;
  Numbers (*draw)(int64_t rows, int64_t k, std::mt19937_64& random);
};
Numbers drawn(int64_t rows, int64_t k, std::mt19937_64& random, float of_64th) {  // normal; every 64th position of k times `of_64th`
  std::normal_distribution<float> normal;
  Numbers out;
  for (int64_t i = 0; i < rows * k; i++) out.push_back(normal(random) * (i % k % 64 == 5 ? of_64th : 1.0f));
  return out;
}
constexpr Distribution kDistributions[] = {
    {"uniform in (-1, 1)",
     [](int64_t rows, int64_t k, std::mt19937_64& random) {
       std::uniform_real_distribution<float> uniform(-1, 1);
       Numbers out;
       for (int64_t i = 0; i < rows * k; i++) out.push_back(uniform(random));
       return out;
     }},
    {"normal", [](int64_t rows, int64_t k, std::mt19937_64& random) { return drawn(rows, k, random, 1); }},
    {"normal, one channel in 64 of 30 times the size", [](int64_t rows, int64_t k, std::mt19937_64& random) { return drawn(rows, k, random, 30); }},
};

// A (n, k) B (n, k)^T by an operator.
constexpr int64_t kSize = 64;
Numbers product(const std::string& op_name, const Numbers& a, const Numbers& b, int64_t k) {
  const kernels::Operator& op = *kernels::find_operator(op_name);
  const std::vector<kernels::TensorType> in(2, {kernels::DType::f32, {kSize, k}});
  const std::vector<int64_t> attrs{0, 1};
  const auto out_types = must(op.infer(in, attrs));
  std::vector<Numbers> out;
  std::vector<void*> to;
  for (const auto& type : out_types) out.emplace_back(static_cast<size_t>(kernels::bytes(type)) / sizeof(float));
  for (Numbers& one : out) to.push_back(one.data());
  const std::vector<const void*> from{a.data(), b.data()};
  op.host({in, out_types, attrs}, {}, from, to, {});
  return out.back();
}
Numbers rounded_to_bf16(Numbers x) {
  for (float& value : x) value = kernels::isa_scalar::from_bf16(kernels::isa_scalar::to_bf16(value));
  return x;
}
// Frobenius norm of the difference over that of the exact product.
double error_of(const Numbers& have, const std::vector<double>& exact) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < exact.size(); i++) {
    difference += (have[i] - exact[i]) * (have[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  return std::sqrt(difference / size);
}

std::string accuracy_table() {
  std::string text = "| operands | k | `f32` | `int3` | `int2` | `int2.row` | `f32`, rounded to bf16 | of operands in bf16 |\n|---|---|---|---|---|---|---|---|\n";
  for (const Distribution& distribution : kDistributions)
    for (const int64_t k : {128, 1024, 8192}) {
      std::mt19937_64 random(1);
      const Numbers a = distribution.draw(kSize, k, random), b = distribution.draw(kSize, k, random);
      std::vector<double> exact;
      for (int64_t i = 0; i < kSize; i++)
        for (int64_t j = 0; j < kSize; j++) {
          double sum = 0;
          for (int64_t l = 0; l < k; l++) sum += static_cast<double>(a[static_cast<size_t>(i * k + l)]) * static_cast<double>(b[static_cast<size_t>(j * k + l)]);
          exact.push_back(sum);
        }
      const Numbers f32 = product("matmul.f32.v1", a, b, k);
      char row[256];
      std::snprintf(row, sizeof row, "| %s | %lld | %.1e | %.1e | %.1e | %.1e | %.1e | %.1e |\n", distribution.name, static_cast<long long>(k),
                    error_of(f32, exact), error_of(product("matmul.int3.v1", a, b, k), exact), error_of(product("matmul.int2.v1", a, b, k), exact),
                    error_of(product("matmul.int2.row.v1", a, b, k), exact), error_of(rounded_to_bf16(f32), exact),
                    error_of(product("matmul.f32.v1", rounded_to_bf16(a), rounded_to_bf16(b), k), exact));
      text += row;
    }
  return text;
}

// ---- training ------------------------------------------------------------------------------------------------------------

constexpr uint64_t kSteps = 300, kBatch = 16, kSeed = 1;

struct Curve {
  std::string name;
  const char* colour;
  std::vector<float> losses;
};

std::vector<float> train(NumericClass numeric, bool native, int threads) {
  const runtime::Import import = must(runtime::import_pt2(must(read_file("examples/text/gpt.pt2", 1 << 20))));
  const Bytes file = must(read_file("examples/text/text.safetensors", 1 << 24));
  const runtime::TensorFile text = must(runtime::parse_tensors(file));
  runtime::TraceRequest request;
  request.data = {{"text", text.tensors[0].type}};
  request.batch = kBatch;
  request.steps = kSteps;
  request.numeric = numeric;
  request.optimizer.lr_bits = std::bit_cast<uint32_t>(3e-3f);
  const runtime::Trace traced = must(runtime::trace(import.program, request));
  const Bytes rates = runtime::schedule(request.optimizer, kSteps);
  std::vector<ByteSpan> inputs;
  for (const attest::InputSlot& slot : traced.plan.inputs) inputs.push_back(slot.name == runtime::kSchedule ? ByteSpan(rates) : text.tensors[0].bytes);
  runtime::State state = must(runtime::initial_state(traced.plan, kSeed, std::vector<ByteSpan>(traced.plan.state.size())));
  if (native) {
    auto run = must(runtime::NativeRun::make(traced.plan, inputs, kSeed, std::move(state), threads));
    for (uint64_t step = 0; step < kSteps; step++) run->run_step();
    state = run->state();
  } else {
    auto run = must(runtime::Executor::make(traced.plan, inputs, kSeed, {kernels::best_isa(), threads, {}}));
    must(run->load(state));
    for (uint64_t step = 0; step < kSteps; step++) run->run_step();
    state = run->save();
  }
  std::vector<float> losses(kSteps);
  for (size_t s = 0; s < traced.plan.state.size(); s++)
    if (traced.plan.state[s].name == runtime::kLosses) std::memcpy(losses.data(), state.slots[s].data(), kSteps * sizeof(float));
  return losses;
}

float mean_of_last(const std::vector<float>& losses, size_t count) {
  float sum = 0;
  for (size_t i = losses.size() - count; i < losses.size(); i++) sum += losses[i];
  return sum / static_cast<float>(count);
}

std::string picture(const std::vector<Curve>& curves) {
  constexpr double kWidth = 860, kHeight = 340, kLeft = 40, kRight = 12, kTop = 12, kBottom = 28;
  const auto x = [](double step) { return kLeft + (kWidth - kLeft - kRight) * step / static_cast<double>(kSteps - 1); };
  const auto y = [](double loss) { return kTop + (kHeight - kTop - kBottom) * (1 - std::min(loss, 5.0) / 5.0); };
  char line[256];
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 340\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"860\" height=\"340\" fill=\"#fff\"/>\n";
  for (int loss = 0; loss <= 5; loss++) {
    std::snprintf(line, sizeof line, "<path d=\"M%.0f %.1fH%.0f\" stroke=\"#ddd\"/><text x=\"30\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", kLeft, y(loss), kWidth - kRight, y(loss) + 4, loss);
    svg += line;
  }
  for (uint64_t step = 0; step <= kSteps; step += 50) {
    std::snprintf(line, sizeof line, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%d</text>\n", x(static_cast<double>(step)), kHeight - 8, static_cast<int>(step));
    svg += line;
  }
  double at = kTop + 16;
  for (const Curve& curve : curves) {
    svg += "<polyline fill=\"none\" stroke-width=\"1.2\" stroke=\"" + std::string(curve.colour) + "\" points=\"";
    for (size_t step = 0; step < curve.losses.size(); step++) {
      std::snprintf(line, sizeof line, "%.1f,%.1f ", x(static_cast<double>(step)), y(static_cast<double>(curve.losses[step])));
      svg += line;
    }
    std::snprintf(line, sizeof line, "\"/>\n<path d=\"M650 %.0fh24\" stroke=\"%s\" stroke-width=\"2\"/><text x=\"682\" y=\"%.0f\">%s</text>\n", at - 4, curve.colour, at, curve.name.c_str());
    svg += line;
    at += 18;
  }
  return svg + "</svg>\n";
}

}  // namespace

void measure_classes(const std::string& folder, int threads) {
  std::vector<Curve> curves{{"f32", "#2f6f73", train(NumericClass::f32, false, threads)},
                            {"int3", "#a8791c", train(NumericClass::int3, false, threads)},
                            {"int2", "#b3402f", train(NumericClass::int2, false, threads)},
                            {"int2.row", "#6b4fa0", train(NumericClass::int2_row, false, threads)},
                            {"native (libtorch)", "#7a8a8f", train(NumericClass::f32, true, threads)}};
  std::string text = "# Numeric classes\n\nMade by `cairn-bench classes docs`.\n\n## Products\n\nFrobenius norm of the error over that of the product, against float64; "
                     "64 rows by 64 columns.\n\n" + accuracy_table() +
                     "\n## Training\n\n`examples/text/gpt.pt2` on its text, " + std::to_string(kSteps) + " steps of " + std::to_string(kBatch) +
                     " rows, Adam at 3e-3, seed 1: every product, forward and backward, in the class.\n\n![losses](numeric-classes.svg)\n\n"
                     "| class | mean loss of the last 20 steps | furthest from `f32` in any of the first 50 steps |\n|---|---|---|\n";
  for (const Curve& curve : curves) {
    float furthest = 0;
    for (size_t step = 0; step < 50; step++) furthest = std::max(furthest, std::fabs(curve.losses[step] - curves[0].losses[step]));
    char row[160];
    std::snprintf(row, sizeof row, "| %s | %.4f | %.1e |\n", curve.name.c_str(), static_cast<double>(mean_of_last(curve.losses, 20)), static_cast<double>(furthest));
    text += row;
  }
  const auto write = [&](const char* name, const std::string& content) {
    must(write_file(folder + "/" + name, as_bytes(content)));
  };
  write("numeric-classes.md", text);
  write("numeric-classes.svg", picture(curves));
}

}  // namespace cairn::bench
