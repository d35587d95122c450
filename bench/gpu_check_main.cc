// cairn-gpu-check: is what this GPU computes what the definitions say, bit for bit; and how fast?
//
//   cairn-gpu-check [--host-only] [--only PART]... [OUT.json]
//
//   known_answers   every operator against the digests of golden.inc
//   cases           every row of the tests' list, tame and wild operands: GPU = processor = definition
//   products        large products of ragged shapes, of every class, in every transposition: GPU = processor
//   hashes          BLAKE3 of memory on the GPU
//   sweeps          every operator that makes one float of one float: all 2^32 inputs, GPU against processor
//   gemm_speed      products beside cuBLAS
//   speed           the others by the bytes that they must move, beside a copy
//
// Where speed is measured, some elements of the result are checked against the definition.
//
// Lines for people go to stderr, the report goes to OUT.json, after every part, or to stdout. Status 0 only when all bits agree.
// --host-only does what needs no GPU, --only names the parts to do. It is built by CMake like everything else, and by
// scripts/gpu-check where there is only nvcc and g++.
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <thread>

#include "base/blake3.h"
#include "base/file.h"
#include "base/json.h"
#include "kernels/gpu.h"
#include "tests/kernels/cases.h"

namespace cairn::kernels {
namespace {

// ---- the report ----------------------------------------------------------------------------------------------------------

// Members of a JSON object, values as JSON.
using Row = std::vector<std::pair<std::string, std::string>>;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}
std::string object(const Row& row) {
  std::string out = "{";
  for (const auto& [key, value] : row) out += (out.size() > 1 ? ", " : "") + json_quote(key) + ": " + value;
  return out + "}";
}
std::string list(const std::vector<std::string>& rows) {
  std::string out = "[";
  for (const std::string& row : rows) out += (out.size() > 1 ? ",\n    " : "\n    ") + row;
  return out + (rows.empty() ? "]" : "\n  ]");
}

template <class... Values>
void say(const char* format, Values... values) {
  std::fprintf(stderr, format, values...);
  std::fputc('\n', stderr);
}

struct Timer {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); }
};

// The whole check, and what it has found so far.
struct Check {
  GpuStream* stream;  // null: host only
  Pool pool{std::max(1, static_cast<int>(std::thread::hardware_concurrency()))};
  uint64_t differences = 0;  // anything that is not as it must be

  // each(i) for i < count, on all threads, whoever is free.
  template <class Each>
  void each_of(size_t count, Each each) {
    struct Job {
      std::atomic<size_t> next{0};
      size_t count;
      Each* each;
    } job{.count = count, .each = &each};
    pool.run(pool.threads(), [](void* data, int) {
      Job& j = *static_cast<Job*>(data);
      for (size_t i = j.next++; i < j.count; i = j.next++) (*j.each)(i);
    }, &job);
  }
};

// ---- known answers and cases -----------------------------------------------------------------------------------------------

// A call on the GPU, operands and results in memory of the host.
void run_on_gpu(GpuStream& stream, const Operator& op, const CallShape& call, const StepContext& step,
                std::span<const void* const> in, std::span<void* const> out) {
  std::vector<GpuMemory> memory;
  std::vector<const void*> gpu_in;
  std::vector<void*> gpu_out;
  const GpuMemory gpu_step(sizeof step);
  stream.copy(gpu_step.as(), &step, sizeof step);
  for (size_t k = 0; k < in.size(); k++) {
    gpu_in.push_back(memory.emplace_back(static_cast<size_t>(bytes(call.in[k]))).as());
    stream.copy(memory.back().as(), in[k], memory.back().size());
  }
  for (const TensorType& type : call.out) {
    gpu_out.push_back(memory.emplace_back(static_cast<size_t>(bytes(type))).as());
    stream.fill(memory.back().as(), 0xA5, memory.back().size());
  }
  try {
    op.device(call, gpu_step.as<StepContext>(), gpu_in, gpu_out, stream.handle());
    for (size_t o = 0; o < out.size(); o++) stream.copy(out[o], gpu_out[o], static_cast<size_t>(bytes(call.out[o])));
    stream.wait();
  } catch (const Fault& fault) {
    throw Fault({fault.error().code, std::string(op.name) + ": " + fault.error().text, fault.error().next});
  }
}

std::string check_known_answers(Check& check) {
  std::vector<std::string> wrong;
  const auto expect = [&](const Operator& op, const std::string& where, const Hash& have) {
    if (have.hex() == golden_answer(op)) return;
    check.differences++;
    say("known answer: %s differs on %s", std::string(op.name).c_str(), where.c_str());
    wrong.push_back(object({{"operator", json_quote(op.name)}, {"on", json_quote(where)}}));
  };
  for (const Operator* op : operators()) {
    for (const Isa isa : isas()) expect(*op, std::string(name(isa)), known_answer(*op, isa));
    if (check.stream)
      expect(*op, "gpu", known_answer(*op, [&](const CallShape& call, const StepContext& step, std::span<const void* const> in,
                                               std::span<void* const> out) { run_on_gpu(*check.stream, *op, call, step, in, out); }));
  }
  say("known answers: %zu operators, %zu differ", operators().size(), wrong.size());
  return object({{"operators", std::to_string(operators().size())}, {"wrong", list(wrong)}});
}

std::string check_cases(Check& check) {
  struct Trying {
    const Case* row;
    Values values;
    StepContext step;
    std::vector<Buffer> want, host;
    std::string describe() const {
      return kernels::describe(*row) + (values == Values::wild ? ", wild" : ", tame") + ", step " + std::to_string(step.step);
    }
  };
  std::vector<Trying> all;
  for (const Case& row : cases())
    for (const Values values : {Values::tame, Values::wild})
      for (const uint64_t step : {0, 3}) all.push_back({&row, values, {0x1234567890ABCDEF, step}, {}, {}});
  check.each_of(all.size(), [&](size_t i) {
    Trying& t = all[i];
    const Trial trial(*t.row, t.values);
    t.want = trial.reference(t.step);
    t.host = trial.host(t.step, {});
  });
  std::vector<std::string> wrong;
  const auto expect = [&](const Trying& t, const char* where, const std::vector<Buffer>& have) {
    for (size_t o = 0; o < have.size(); o++) {
      if (have[o] == t.want[o]) continue;
      check.differences++;
      say("case: %s: output %zu differs on %s", t.describe().c_str(), o, where);
      wrong.push_back(object({{"call", json_quote(t.describe())}, {"output", std::to_string(o)}, {"on", json_quote(where)}}));
    }
  };
  for (const Trying& t : all) {
    expect(t, "processor", t.host);
    if (!check.stream) continue;
    const Trial trial(*t.row, t.values);
    const std::vector<Buffer> have = trial.outputs();
    run_on_gpu(*check.stream, trial.op, trial.call(), t.step, trial.in_data, Trial::pointers(have));
    expect(t, "gpu", have);
  }
  say("cases: %zu calls, %zu outputs differ", all.size(), wrong.size());
  return object({{"calls", std::to_string(all.size())}, {"wrong", list(wrong)}});
}

// Shapes that meet every edge of the GPU's tilings, which the small ones of the tests' list do not.
std::string check_products(Check& check) {
  const struct {
    int64_t m, n, k;
  } shapes[] = {{800, 800, 5}, {801, 803, 37}, {900, 1000, 64}, {1540, 1604, 130}, {1601, 1603, 77}, {1664, 1600, 8}, {130, 20000, 19}, {20001, 132, 23}, {300, 520, 1300}};
  std::vector<std::string> wrong;
  size_t calls = 0;
  const auto run = [&](const Case& row, Values values) {
    const Trial trial(row, values);
    const std::vector<Buffer> want = trial.host({}, {best_isa(), &check.pool}), have = trial.outputs();
    run_on_gpu(*check.stream, trial.op, trial.call(), {}, trial.in_data, Trial::pointers(have));
    calls++;
    if (have == want) return;
    check.differences++;
    say("product: %s differs", describe(row).c_str());
    wrong.push_back(json_quote(describe(row)));
  };
  for (const auto& [m, n, k] : shapes)
    for (const int64_t trans_a : {0, 1})
      for (const int64_t trans_b : {0, 1}) {
        const std::vector<int64_t> a = trans_a ? std::vector{k, m} : std::vector{m, k}, b = trans_b ? std::vector{n, k} : std::vector{k, n};
        const auto batch = [](std::vector<int64_t> shape) {
          shape.insert(shape.begin(), 2);
          return f32(shape);
        };
        for (const Values values : {Values::tame, Values::wild}) {
          run({"matmul.f32.v1", {f32(a), f32(b)}, {trans_a, trans_b}}, values);
          for (const char* op : {"matmul.int2.v1", "matmul.int2.row.v1", "matmul.int3.v1"}) run({op, {f32(a), f32(b)}, {trans_a, trans_b}}, values);
        }
        run({"bmm.f32.v1", {batch(a), batch(b)}, {trans_a, trans_b}}, Values::tame);
        run({"matmul.int2.v1", {batch(a), batch(b)}, {trans_a, trans_b}}, Values::tame);
        if (!trans_a) run({"linear.f32.v1", {f32(a), f32(b), f32({n})}, {trans_b}}, Values::tame);
      }
  say("products: %zu calls, %zu differ", calls, wrong.size());
  return object({{"calls", std::to_string(calls)}, {"wrong", list(wrong)}});
}

std::string check_hashes(Check& check) {
  GpuStream& stream = *check.stream;
  constexpr size_t kMost = size_t{256} << 20;
  const GpuMemory data(kMost), scratch(blake3_scratch_bytes(kMost)), digest(32);
  Bytes bytes(kMost);
  for (size_t i = 0; i < kMost; i += 8) {
    const uint64_t word = (i + 1) * 0x9E3779B97F4A7C15;
    std::memcpy(bytes.data() + i, &word, 8);
  }
  stream.copy(data.as(), bytes.data(), kMost);
  std::vector<std::string> wrong;
  const size_t sizes[] = {0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 5000, 127 << 10, 128 << 10, 129 << 10, (3 << 20) + 7, (128 << 20) + 1, kMost};
  for (const size_t size : sizes) {
    Hash have;
    stream.fill(digest.as(), 0xA5, 32);
    blake3_on_gpu(stream, data.as(), size, scratch.as(), digest.as());
    stream.copy(have.data(), digest.as(), 32);
    stream.wait();
    if (have == blake3(ByteSpan(bytes).first(size))) continue;
    check.differences++;
    say("hash of %zu bytes differs", size);
    wrong.push_back(std::to_string(size));
  }
  std::vector<float> times;
  for (int i = 0; i < 8; i++) times.push_back(stream.timed([&] { blake3_on_gpu(stream, data.as(), kMost, scratch.as(), digest.as()); }));
  std::sort(times.begin(), times.end());
  const double gbps = 1e-6 * static_cast<double>(kMost) / static_cast<double>(times[times.size() / 2]);
  say("hashes: %zu sizes, %zu differ, %.0f GB/s", std::size(sizes), wrong.size(), gbps);
  return object({{"sizes", std::to_string(std::size(sizes))}, {"wrong", list(wrong)}, {"gbps", number(gbps)}});
}

// ---- sweeps ----------------------------------------------------------------------------------------------------------------

// A call of one float an element: output element e is made of element e of the operand and of nothing else.
struct Sweep {
  const Operator* op;
  std::vector<int64_t> attrs;
  TensorType in, out;         // of kChunk
  std::atomic<uint64_t> different{0};
  std::atomic<uint64_t> first{UINT64_MAX};  // the lowest input that differs

  static constexpr int64_t kChunk = int64_t{1} << 24, kBlock = int64_t{1} << 13;
};

class ReadsOnly final : public Source {
 public:
  explicit ReadsOnly(int64_t element) : element_(element) {}
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand != 0 || element != element_) throw SourceMissing{operand, element};
    return 0x3F800000;
  }

 private:
  int64_t element_;
};

// The sweeps that the tests' list names: its rows of one float operand whose folds read one element.
std::vector<std::unique_ptr<Sweep>> find_sweeps() {
  std::vector<std::unique_ptr<Sweep>> all;
  std::set<std::pair<uint16_t, std::vector<int64_t>>> seen;
  for (const Case& row : cases()) {
    const Operator& op = *find_operator(std::string_view(row.op));
    const Types in{f32({Sweep::kChunk})};
    const auto out = op.infer(in, row.attrs);
    if (!out || out->size() != 1 || (*out)[0].shape != in[0].shape || row.in.size() != 1 || row.in[0].dtype != DType::f32) continue;
    const CallShape call{in, *out, row.attrs};
    try {
      for (const int64_t e : {int64_t{0}, int64_t{1}, Sweep::kChunk - 1}) {
        ReadsOnly source(e);
        for (int64_t b = 0; b < op.blocks(call, 0); b++) op.fold(call, {}, 0, e, b, {}, source);
      }
    } catch (const SourceMissing&) {
      continue;
    }
    if (!seen.insert({op.id, row.attrs}).second) continue;
    auto sweep = std::make_unique<Sweep>();
    sweep->op = &op;
    sweep->attrs = row.attrs;
    sweep->in = in[0];
    sweep->out = (*out)[0];
    all.push_back(std::move(sweep));
  }
  return all;
}

// Compares a chunk of results of the GPU with those of the processor.
void compare_chunk(Check& check, Sweep& sweep, const uint32_t* in, const uint8_t* have) {
  const auto size = static_cast<size_t>(size_of(sweep.out.dtype));
  const Types in_types{f32({Sweep::kBlock})}, out_types{{sweep.out.dtype, {Sweep::kBlock}}};
  check.each_of(Sweep::kChunk / Sweep::kBlock, [&](size_t block) {
    const size_t first = block * Sweep::kBlock;
    const Buffer want(Sweep::kBlock * size);
    const std::vector<const void*> operands{in + first};
    const std::vector<void*> results{want.data.get()};
    sweep.op->host({in_types, out_types, sweep.attrs}, {}, operands, results, {});
    if (std::memcmp(want.as<uint8_t>(), have + first * size, want.size) == 0) return;
    for (size_t i = 0; i < Sweep::kBlock; i++) {
      if (std::memcmp(want.as<uint8_t>() + i * size, have + (first + i) * size, size) == 0) continue;
      sweep.different++;
      for (uint64_t lowest = sweep.first; in[first + i] < lowest && !sweep.first.compare_exchange_weak(lowest, in[first + i]);) {
      }
    }
  });
}

std::string check_sweeps(Check& check) {
  const Timer timer;
  std::vector<std::unique_ptr<Sweep>> sweeps = find_sweeps();
  constexpr auto kChunk = static_cast<size_t>(Sweep::kChunk);
  if (check.stream) {
    // The GPU computes and sends one sweep's results while the processor compares those of the sweep before.
    const GpuMemory in(kChunk * 4, Place::pinned), gpu_in(kChunk * 4);
    const GpuMemory have[2] = {GpuMemory(kChunk * 8, Place::pinned), GpuMemory(kChunk * 8, Place::pinned)};
    const GpuMemory gpu_out[2] = {GpuMemory(kChunk * 8), GpuMemory(kChunk * 8)};
    const GpuMemory step(sizeof(StepContext));
    check.stream->fill(step.as(), 0, step.size());
    GpuStream streams[2];
    for (uint64_t chunk = 0; chunk < (uint64_t{1} << 32) / kChunk; chunk++) {
      check.each_of(kChunk >> 16, [&](size_t part) {
        for (size_t i = part << 16; i < (part + 1) << 16; i++) in.as<uint32_t>()[i] = static_cast<uint32_t>(chunk * kChunk + i);
      });
      check.stream->copy(gpu_in.as(), in.as(), in.size());
      check.stream->wait();
      for (size_t s = 0; s <= sweeps.size(); s++) {
        if (s < sweeps.size()) {
          Sweep& sweep = *sweeps[s];
          const std::vector<const void*> operands{gpu_in.as()};
          const std::vector<void*> results{gpu_out[s % 2].as()};
          sweep.op->device({{&sweep.in, 1}, {&sweep.out, 1}, sweep.attrs}, step.as<StepContext>(), operands, results, streams[s % 2].handle());
          streams[s % 2].copy(have[s % 2].as(), gpu_out[s % 2].as(), static_cast<size_t>(bytes(sweep.out)));
        }
        if (s == 0) continue;
        streams[(s - 1) % 2].wait();
        compare_chunk(check, *sweeps[s - 1], in.as<uint32_t>(), have[(s - 1) % 2].as<uint8_t>());
      }
    }
  }
  std::vector<std::string> rows;
  for (const auto& sweep : sweeps) {
    Case row{sweep->op->name.data(), {}, sweep->attrs};
    Row fields{{"call", json_quote(describe(row))}, {"inputs", check.stream ? "4294967296" : "0"}, {"different", std::to_string(sweep->different)}};
    if (sweep->different) {
      check.differences++;
      fields.push_back({"first", std::to_string(sweep->first)});
      say("sweep: %s: %llu inputs differ, the first %08llx", describe(row).c_str(), static_cast<unsigned long long>(sweep->different),
          static_cast<unsigned long long>(sweep->first));
    }
    rows.push_back(object(fields));
  }
  if (check.stream) say("sweeps: %zu, all 2^32 inputs each, %.1f s", rows.size(), timer.seconds());
  else say("sweeps: %zu, no GPU: not run", rows.size());
  return list(rows);
}

// ---- speed -----------------------------------------------------------------------------------------------------------------

// cuBLAS, where the machine has it; declared here, as only its library may be there.
class Cublas {
 public:
  explicit Cublas(const GpuStream& stream) {
    for (const char* file : {"libcublas.so", "libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so"})
      if (library_ == nullptr) library_ = dlopen(file, RTLD_NOW);
    if (library_ == nullptr) return;
    const auto create = reinterpret_cast<int (*)(void**)>(dlsym(library_, "cublasCreate_v2"));
    const auto set_stream = reinterpret_cast<int (*)(void*, void*)>(dlsym(library_, "cublasSetStream_v2"));
    gemm_ = reinterpret_cast<Gemm>(dlsym(library_, "cublasSgemm_v2"));
    ready_ = create && set_stream && gemm_ && create(&handle_) == 0 && set_stream(handle_, stream.handle()) == 0;
  }
  bool ready() const { return ready_; }
  // Row-major c = A B is column-major c' = B' A'.
  void product(bool trans_a, bool trans_b, int m, int n, int k, const float* a, const float* b, float* c) const {
    const float one = 1, zero = 0;
    CHECK(gemm_(handle_, trans_b, trans_a, n, m, k, &one, b, trans_b ? k : n, a, trans_a ? m : k, &zero, c, n) == 0);
  }

 private:
  using Gemm = int (*)(void*, int, int, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int);
  void *library_ = nullptr, *handle_ = nullptr;
  Gemm gemm_ = nullptr;
  bool ready_ = false;
};

// Operands of any size, random with a period that no shape divides: the processor then knows every element.
constexpr size_t kPeriod = 1'048'573;
class Pattern {
 public:
  Pattern(const KnownCall& known, size_t operand, DType dtype) : size_(static_cast<size_t>(size_of(dtype))) {
    KnownCall call = known;
    call.in.assign(operand + 1, {dtype, {1}});
    call.in[operand].shape = {static_cast<int64_t>(kPeriod)};
    data_ = std::move(known_operands(call)[operand]);
  }
  uint64_t bits(int64_t element) const {
    uint64_t bits = 0;
    std::memcpy(&bits, data_.data() + static_cast<size_t>(element) % kPeriod * size_, size_);
    return bits;
  }
  void write(GpuStream& stream, uint8_t* to, size_t size) const {
    size_t done = std::min(size, data_.size());
    stream.copy(to, data_.data(), done);
    while (done < size) {
      const size_t more = std::min(done, size - done);
      stream.copy(to + done, to, more);
      done += more;
    }
    stream.wait();
  }

 private:
  size_t size_;
  Bytes data_;
};

// A call whose operands are patterns, in memory of the GPU.
class BigCall final : public Source {
 public:
  BigCall(GpuStream& stream, const Case& row)
      : op(*find_operator(std::string_view(row.op))), in_types(row.in), attrs(row.attrs), out_types(must(op.infer(in_types, attrs))), stream_(stream) {
    const KnownCall known = known_call(op);
    for (size_t k = 0; k < in_types.size(); k++) {
      patterns_.emplace_back(known, k, in_types[k].dtype);
      in.push_back(memory_.emplace_back(static_cast<size_t>(bytes(in_types[k]))).as());
      patterns_[k].write(stream, memory_.back().as<uint8_t>(), memory_.back().size());
    }
    stream.copy(gpu_step_.as(), &step, sizeof step);
    for (const TensorType& type : out_types) {
      out.push_back(memory_.emplace_back(static_cast<size_t>(bytes(type))).as());
      stream.fill(out.back(), 0xA5, memory_.back().size());
    }
  }
  CallShape call() const { return {in_types, out_types, attrs}; }
  void run() { op.device(call(), gpu_step_.as<StepContext>(), in, out, stream_.handle()); }
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand < in.size()) return patterns_[operand].bits(element);
    uint64_t bits = 0;
    const auto size = static_cast<size_t>(size_of(out_types[operand - in.size()].dtype));
    stream_.copy(&bits, static_cast<const uint8_t*>(out[operand - in.size()]) + static_cast<size_t>(element) * size, size);
    stream_.wait();
    return bits;
  }
  // Elements, of `count` a result, that are not as the definition has them.
  uint64_t wrong_elements(int64_t count) {
    uint64_t wrong = 0;
    for (size_t o = 0; o < out.size(); o++) {
      const int64_t all = elements(out_types[o]), blocks = op.blocks(call(), o);
      for (int64_t i = 0; i < std::min(all, count); i++) {
        const uint64_t any = philox_quad(1, 0, static_cast<uint32_t>(o), i).word[0] | uint64_t{philox_quad(1, 1, static_cast<uint32_t>(o), i).word[0]} << 32;
        const int64_t e = i == 0 ? 0 : i == 1 ? all - 1 : static_cast<int64_t>(any % static_cast<uint64_t>(all));
        Carry carry;
        for (int64_t b = 0; b < blocks; b++) carry = op.fold(call(), step, o, e, b, carry, *this);
        wrong += carry.lo != bits(in.size() + o, e);
      }
    }
    return wrong;
  }

  static constexpr StepContext step{2026, 3};
  const Operator& op;
  Types in_types;
  std::vector<int64_t> attrs;
  Types out_types;
  std::vector<const void*> in;
  std::vector<void*> out;

 private:
  GpuStream& stream_;
  const GpuMemory gpu_step_{sizeof(StepContext)};
  std::vector<Pattern> patterns_;
  std::vector<GpuMemory> memory_;
};

double median(std::vector<float> times) {
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() / 2]);
}

std::string time_products(Check& check) {
  GpuStream& stream = *check.stream;
  const Cublas cublas(stream);
  if (!cublas.ready()) say("cuBLAS: not on this machine: not measured");
  const struct {
    const char* op;
    int64_t m, n, k;
    bool trans_a, trans_b;
  } shapes[] = {
      {"matmul.f32.v1", 512, 512, 512, false, false},     {"matmul.f32.v1", 1024, 1024, 1024, false, false},
      {"matmul.f32.v1", 4096, 4096, 4096, false, false},  {"matmul.f32.v1", 4096, 4096, 4096, true, false},
      {"matmul.f32.v1", 4096, 4096, 4096, false, true},   {"matmul.f32.v1", 4096, 4096, 4096, true, true},
      {"matmul.f32.v1", 8192, 8192, 8192, false, false},  {"matmul.f32.v1", 8192, 1024, 1024, false, true},
      {"matmul.f32.v1", 1024, 1024, 8192, true, false},   {"matmul.f32.v1", 64, 4096, 1024, false, true},
      {"matmul.f32.v1", 4095, 4093, 4091, false, false},  {"matmul.int2.v1", 4096, 4096, 4096, false, false},
      {"matmul.int2.v1", 8192, 8192, 8192, false, false}, {"matmul.int2.v1", 4096, 4096, 4096, true, true},
      {"matmul.int2.row.v1", 8192, 8192, 8192, false, false}, {"matmul.int3.v1", 8192, 8192, 8192, false, false},
  };
  std::vector<std::string> rows;
  for (const auto& shape : shapes) {
    const auto [op, m, n, k, trans_a, trans_b] = shape;
    BigCall ours(stream, {op, {trans_a ? f32({k, m}) : f32({m, k}), trans_b ? f32({n, k}) : f32({k, n})}, {trans_a, trans_b}});
    const GpuMemory theirs(static_cast<size_t>(4 * m * n));
    const auto run_theirs = [&] {
      cublas.product(trans_a, trans_b, static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), static_cast<const float*>(ours.in[0]),
                     static_cast<const float*>(ours.in[1]), theirs.as<float>());
    };
    std::vector<float> our_times, their_times;
    for (int i = 0; i < 12; i++) {
      const float our_time = stream.timed([&] { ours.run(); });
      const float their_time = cublas.ready() ? stream.timed(run_theirs) : 0;
      if (i < 3) continue;  // warms up
      our_times.push_back(our_time);
      their_times.push_back(their_time);
    }
    const uint64_t wrong = ours.wrong_elements(256);
    check.differences += wrong;
    const double ms = median(our_times), their_ms = median(their_times), tera = 2e-9 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    const std::string name = std::string(op) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " " + (trans_a ? "t" : "n") + (trans_b ? "t" : "n");
    say("%-40s %9.4f ms %7.2f TFLOP/s, cuBLAS %7.2f, ratio %.3f, %llu wrong", name.c_str(), ms, tera / ms, cublas.ready() ? tera / their_ms : 0.0,
        cublas.ready() ? their_ms / ms : 0.0, static_cast<unsigned long long>(wrong));
    rows.push_back(object({{"name", json_quote(name)}, {"ms", number(ms)}, {"tflops", number(tera / ms)},
                           {"cublas_tflops", cublas.ready() ? number(tera / their_ms) : "null"},
                           {"ratio", cublas.ready() ? number(their_ms / ms) : "null"}, {"wrong", std::to_string(wrong)}}));
  }
  return list(rows);
}

std::string time_others(Check& check) {
  GpuStream& stream = *check.stream;
  constexpr int64_t kMany = int64_t{1} << 26, kRows = 1 << 16, kColumns = 1024;
  const TensorType many = f32({kMany}), matrix = f32({kRows, kColumns}), row = f32({kColumns}), column = f32({kRows}), one = f32({});
  const Case calls[] = {
      {"add.v1", {many, many}, {}},
      {"mul_scalar.v1", {many}, {attr_of(3.0f)}},
      {"div.v1", {many, many}, {}},
      {"relu.v1", {many}, {}},
      {"exp.v1", {many}, {}},
      {"log.v1", {many}, {}},
      {"tanh.v1", {many}, {}},
      {"sigmoid.v1", {many}, {}},
      {"cast.v1", {many}, {static_cast<int64_t>(DType::i64)}},
      {"permute.v1", {matrix}, {1, 0}},
      {"permute.v1", {f32({64, 16, 256, 256})}, {0, 2, 1, 3}},
      {"broadcast.v1", {row}, {kRows, kColumns}},
      {"sum_rows.v1", {matrix}, {}},
      {"sum_last.v1", {matrix}, {}},
      {"argmax_last.v1", {matrix}, {}},
      {"softmax.v1", {matrix}, {}},
      {"log_softmax.v1", {matrix}, {}},
      {"log_softmax_backward.v1", {matrix, matrix}, {}},
      {"layer_norm.v1", {matrix, row, row}, {attr_of(1e-5f)}},
      {"layer_norm_backward_input.v1", {matrix, matrix, column, column, row}, {}},
      {"layer_norm_backward_affine.v1", {matrix, matrix, column, column}, {}},
      {"rms_norm_backward_weight.v1", {matrix, matrix, column}, {}},
      {"nll_loss.v1", {matrix, i64({kRows})}, {1, -100}},
      {"nll_loss_backward.v1", {one, i64({kRows}), one}, {kColumns, 1, -100}},
      {"philox_mask.v1", {}, {3, attr_of(0.1f), kMany}},
      {"sgd.v1", {many, many, many, f32({9, 1})}, {attr_of(0.9f), attr_of(0.01f), 1}},
      {"adam.v1", {many, many, many, many, f32({9, 3})}, {attr_of(0.9f), attr_of(0.999f), attr_of(1e-8f), attr_of(0.01f), 1}},
  };
  const GpuMemory from(4 * kMany), to(4 * kMany);
  stream.fill(from.as(), 0x5A, from.size());
  std::vector<std::string> rows;
  for (const Case& c : calls) {
    BigCall call(stream, c);
    std::vector<float> times, copies;
    for (int i = 0; i < 8; i++) {
      const float time = stream.timed([&] { call.run(); });
      const float copy = stream.timed([&] { stream.copy(to.as(), from.as(), from.size()); });
      if (i < 3) continue;  // warms up
      times.push_back(time);
      copies.push_back(copy);
    }
    const uint64_t wrong = call.wrong_elements(64);
    check.differences += wrong;
    const double ms = median(times), gigabytes = static_cast<double>(call.op.cost(call.call()).bytes) * 1e-6 / ms;
    const double copied = 8e-6 * kMany / median(copies);
    say("%-60s %9.4f ms %7.0f GB/s, %.2f of a copy, %llu wrong", describe(c).c_str(), ms, gigabytes, gigabytes / copied, static_cast<unsigned long long>(wrong));
    rows.push_back(object({{"name", json_quote(describe(c))}, {"ms", number(ms)}, {"gbps", number(gigabytes)}, {"copy_gbps", number(copied)},
                           {"of_copy", number(gigabytes / copied)}, {"wrong", std::to_string(wrong)}}));
  }
  return list(rows);
}

struct Options {
  bool host_only = false;
  std::set<std::string_view> only;  // empty: all
  const char* file = nullptr;
};

void write_report(const Row& report, const char* file) {
  std::string text = "{\n";
  for (const auto& [key, value] : report) text += "  " + json_quote(key) + ": " + value + (key == report.back().first ? "\n" : ",\n");
  text += "}\n";
  if (file) must(write_file(file, as_bytes(text)));
  else std::fputs(text.c_str(), stdout);
}

int run(const Options& options) {
  const Timer timer;
  std::optional<GpuInfo> gpu;
  if (!options.host_only) gpu = find_gpu();
  std::optional<GpuStream> stream;
  if (gpu) stream.emplace();
  Check check{gpu ? &*stream : nullptr};
  Row report;
  if (gpu) {
    say("%s, compute %d, %d multiprocessors, driver %d, runtime %d", gpu->name.c_str(), gpu->compute, gpu->multiprocessors, gpu->driver, gpu->runtime);
    report.push_back({"gpu", object({{"name", json_quote(gpu->name)}, {"compute", std::to_string(gpu->compute)},
                                     {"multiprocessors", std::to_string(gpu->multiprocessors)}, {"memory_bytes", std::to_string(gpu->memory_bytes)},
                                     {"driver", std::to_string(gpu->driver)}, {"runtime", std::to_string(gpu->runtime)}})});
  } else {
    say("no GPU: not run");
    report.push_back({"gpu", "null"});
  }
  report.push_back({"host", object({{"isa", json_quote(name(best_isa()))}, {"threads", std::to_string(check.pool.threads())}})});
  const struct {
    const char* name;
    std::string (*make)(Check&);
    bool needs_gpu;
  } parts[] = {
      {"known_answers", check_known_answers, false}, {"cases", check_cases, false},       {"products", check_products, true}, {"hashes", check_hashes, true},
      {"gemm_speed", time_products, true},           {"speed", time_others, true},        {"sweeps", check_sweeps, false},
  };
  for (const auto& part : parts) {
    if ((part.needs_gpu && !gpu) || (!options.only.empty() && !options.only.contains(part.name))) continue;
    const Timer part_timer;
    report.push_back({part.name, part.make(check)});
    say("%s: %.1f s", part.name, part_timer.seconds());
    if (options.file) write_report(report, options.file);
  }
  report.push_back({"differences", std::to_string(check.differences)});
  report.push_back({"seconds", number(timer.seconds())});
  say("%llu differences, %.1f s", static_cast<unsigned long long>(check.differences), timer.seconds());
  write_report(report, options.file);
  return check.differences != 0 || (!gpu && !options.host_only) ? 1 : 0;
}

}  // namespace
}  // namespace cairn::kernels

int main(int argc, char** argv) {
  cairn::kernels::Options options;
  for (int i = 1; i < argc; i++) {
    if (std::string_view(argv[i]) == "--host-only") options.host_only = true;
    else if (std::string_view(argv[i]) == "--only" && i + 1 < argc) options.only.insert(argv[++i]);
    else if (argv[i][0] != '-') options.file = argv[i];
    else {
      const cairn::Error unknown{cairn::Code::usage, "cairn-gpu-check knows no such option: " + std::string(argv[i]),
                                 "cairn-gpu-check [--host-only] [--only PART]... [OUT.json]"};
      std::fprintf(stderr, "%s\n", unknown.message().c_str());
      return cairn::exit_status(unknown.code);
    }
  }
  try {
    return cairn::kernels::run(options);
  } catch (const cairn::Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return cairn::exit_status(fault.error().code);
  }
}
