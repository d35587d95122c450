#include "bench/attest.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <random>
#include <set>
#include <thread>

#include "attest/economics.h"
#include "attest/receipt.h"
#include "attest/referee.h"
#include "base/file.h"
#include "bench/digits.h"
#include "kernels/checked_product.h"
#include "ledger/genesis_file.h"
#include "runtime/trace.h"
#include "tests/attest/vast.h"
#include "tests/kernels/family.h"

namespace cairn::bench {
namespace {

double cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}
double wall_ms() { return 1e-6 * static_cast<double>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)); }

// At most `must`, and better `aim`.
Row at_most(std::string name, std::string peer, const std::vector<double>& values, double ours, double theirs, std::string unit, double must, double aim) {
  return {std::move(name), std::move(peer), ours, theirs, std::move(unit), median(values), quantile(values, 0.25), quantile(values, 0.75), must, aim, true};
}
Row figure(std::string name, double value, std::string unit, double must, double aim) {
  return at_most(std::move(name), "", {value}, value, 0, std::move(unit), must, aim);
}

// ---- a training job by a real worker ----

// The digits job: commitments at the interval that the requester's tool chooses, and one drawn segment of 200.
std::vector<Row> training(const std::string& program, bool quick) {
  constexpr uint64_t kSteps = 40'000;
  DigitsJob job(program, kSteps);
  attest::JobSpec spec;
  spec.step_work_ns = job.traced.step_work_ns;
  spec.steps = kSteps;
  spec.state_slots = static_cast<uint32_t>(job.traced.slots.size());
  const uint64_t interval = attest::checkpoint_interval(spec, job.traced.state_bytes);
  job.work.seed = 0;
  const auto next = [&] {  // another run each time: what is written is not there yet
    job.work.seed++;
    return must(job.worker->initial(job.work)).state;
  };
  const auto timed = [&](const auto& state, uint64_t steps, uint64_t every) {
    const double began = wall_ms();
    must(job.worker->run({job.work, state, steps, every, attest::Tier::exact}));
    return wall_ms() - began;
  };
  std::vector<double> shares, job_ms, check_ms;
  for (int i = 0; i < (quick ? 2 : 7); i++) {
    const auto state = next();
    job_ms.push_back(timed(state, kSteps, interval));
    for (int c = 0; c < 5; c++) {
      const double began = wall_ms();
      must(job.worker->check({job.work, state, kSteps / 200, 17, 5}));
      check_ms.push_back(wall_ms() - began);
      shares.push_back(check_ms.back() / job_ms.back());
    }
  }
  // A machine's pace drifts by more percent in a whole job than commitments cost: many short runs, side by side, part the two.
  std::vector<double> overheads, with_ms, without_ms;
  for (int i = 0; i < (quick ? 8 : 160); i++) {
    const auto state = next();
    const bool bare_first = i % 2;
    const double bare = bare_first ? timed(state, 8 * interval, 0) : 0;
    with_ms.push_back(timed(state, 8 * interval, interval));
    without_ms.push_back(bare_first ? bare : timed(state, 8 * interval, 0));
    overheads.push_back(with_ms.back() / without_ms.back() - 1);
  }
  return {at_most("commitments of a training job, a checkpoint in " + std::to_string(interval) + " steps: added time", "without", overheads, median(with_ms), median(without_ms), "ms", 0.01, 0.003),
          at_most("audit of a job at `standard`, one verifier, n = 200", "the job", shares, median(check_ms), median(job_ms), "ms", 0.015, 0.007)};
}

// ---- Freivalds ----

// Where its operands and panels lie changes what a product takes by more than the check adds: each of some threads has memory of
// its own, and a median over its pairs.
Row freivalds(bool quick) {
  constexpr int64_t kSide = 2048;
  constexpr int kPairs = 8;
  const kernels::Operator& op = *kernels::find_operator("matmul.int2.row.v1");
  const std::vector<kernels::TensorType> in(2, {kernels::DType::f32, {kSide, kSide}});
  const std::vector<int64_t> attrs{0, 0};
  const auto out = must(op.infer(in, attrs));
  std::vector<double> added, plain_ms, checked_ms;
  const auto place = [&](unsigned seed) {
    std::vector<kernels::Buffer> buffers;
    for (const auto& types : {in, out})
      for (const auto& type : types) buffers.emplace_back(static_cast<size_t>(kernels::bytes(type)));
    std::mt19937 rng(seed);
    for (size_t k = 0; k < 2; k++)
      for (int64_t i = 0; i < kSide * kSide; i++) buffers[k].as<float>()[i] = static_cast<float>(static_cast<int>(rng() % 2001) - 1000) / 997.0f;
    const std::array<const void*, 2> inputs{buffers[0].data.get(), buffers[1].data.get()};
    const std::array<void*, 3> outputs{buffers[2].data.get(), buffers[3].data.get(), buffers[4].data.get()};
    const kernels::CallShape call{in, out, attrs};
    const auto timed = [&](bool check) {
      const double began = wall_ms();
      if (check) must(kernels::run_checked(op, call, inputs, outputs, {}, seed));
      else op.host(call, {}, inputs, outputs, {});
      return wall_ms() - began;
    };
    timed(false), timed(true);
    std::vector<double> pairs;
    for (int i = 0; i < kPairs; i++) {
      double ms[2];
      for (int turn = 0; turn < 2; turn++) ms[(i + turn) % 2] = timed((i + turn) % 2);
      plain_ms.push_back(ms[0]);
      checked_ms.push_back(ms[1]);
      pairs.push_back(ms[1] / ms[0] - 1);
    }
    added.push_back(median(pairs));
  };
  for (unsigned i = 1; i <= (quick ? 5u : 32u); i++) std::thread(place, i).join();
  return at_most("Freivalds of an int2.row product 2048^3, one core: added time", "computing it", added, median(checked_ms), median(plain_ms), "ms", 1.0 / 80, 1.0 / 120);
}

// ---- disputes ----

std::vector<Row> dispute() {
  const auto played = attest::play_vast("matmul.int2.v1", 1600, 65'536, 1600);  // 10^4 tiles, 512 blocks
  CHECK(played.game.winner == attest::Party::challenger && played.game.found);
  const auto moves = std::max(played.game.provider_moves, played.game.challenger_moves);
  return {figure("dispute of 10^5 steps, 10^5 operators, 10^4 tiles, 512 blocks: moves a side", moves, "moves", 20, 18),
          figure("... bytes on the chain, before the opening", static_cast<double>(played.game.move_bytes - played.largest_move) / 1024, "KiB", 20, 14)};
}

// Which chunks a fold reads, of made-up operands.
class Reads final : public kernels::Source {
 public:
  explicit Reads(const kernels::CallShape& call) {
    for (const auto& types : {call.in, call.out})
      for (const auto& type : types) types_.push_back(type);
  }
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand >= types_.size() || element < 0 || element >= kernels::elements(types_[operand])) throw kernels::SourceMissing{operand, element};
    chunks[operand].insert(static_cast<uint64_t>(element * kernels::size_of(types_[operand].dtype)) / kChunkBytes);
    return types_[operand].dtype == kernels::DType::f32 ? std::bit_cast<uint32_t>(0.5f) : 0;
  }
  std::map<size_t, std::set<uint64_t>> chunks;

 private:
  std::vector<kernels::TensorType> types_;
};

// A slice of content that is zeros or halves where it is opened, under values that are made up elsewhere; and its content id.
std::pair<attest::SliceProof, Hash> made_up(const kernels::TensorType& type, const std::set<uint64_t>& chunks) {
  attest::SliceProof proof;
  proof.size_bytes = static_cast<uint64_t>(kernels::bytes(type));
  const uint32_t half = std::bit_cast<uint32_t>(0.5f);
  for (const uint64_t chunk : chunks) {
    Bytes data(std::min<uint64_t>(kChunkBytes, proof.size_bytes - chunk * kChunkBytes));
    if (type.dtype == kernels::DType::f32)
      for (size_t i = 0; i + 4 <= data.size(); i += 4) std::memcpy(data.data() + i, &half, 4);
    proof.chunks.push_back(chunk);
    proof.data.push_back(std::move(data));
  }
  size_t next = 0;
  const std::function<Hash(uint64_t, uint64_t, bool)> node = [&](uint64_t first, uint64_t count, bool root) -> Hash {
    if (next == proof.chunks.size() || proof.chunks[next] >= first + count) {
      proof.siblings.push_back(blake3(encode(first)));
      return proof.siblings.back();
    }
    if (count == 1) {
      const Bytes& chunk = proof.data[next++];
      return root ? root_of_chunk(chunk) : chunk_cv(chunk, first);
    }
    const uint64_t left = left_chunks(count);
    const Hash a = node(first, left, false), b = node(first + left, count - left, false);
    return root ? root_of_parent(a, b) : parent_cv(a, b);
  };
  const Hash id = node(0, attest::chunk_count(proof.size_bytes), true);
  return {std::move(proof), id};
}

// One block of one element of `output`, opened in full, as the ledger judges it.
struct Leaf {
  double ms = 0;
  double kib = 0;
};
Leaf leaf_of(const kernels::Operator& op, const kernels::Case& largest, const std::vector<kernels::TensorType>& out, size_t output, int64_t element, int64_t block) {
  const kernels::CallShape shape{largest.in, out, largest.attrs};
  Reads reads(shape);
  op.fold(shape, {1, 5}, output, element, block, {}, reads);
  attest::Game game;
  game.leaf.op = op.id;
  game.leaf.attrs = largest.attrs;
  game.leaf.input_types = largest.in;
  game.leaf.output_types = out;
  game.terms.seed = 1;
  game.step = 5;
  game.output = static_cast<uint32_t>(output);
  game.element = static_cast<uint64_t>(element);
  game.first_block = static_cast<uint64_t>(block);
  game.output_ids.resize(out.size());
  game.terms.inputs = static_cast<uint32_t>(largest.in.size());
  std::vector<Hash> inputs(largest.in.size());
  attest::OpenBlock opening;
  for (size_t k = 0; k < largest.in.size(); k++) game.leaf.inputs.push_back({attest::From::input, static_cast<uint32_t>(k), 0});
  for (const auto& [operand, chunks] : reads.chunks) {
    const bool earlier = operand >= largest.in.size();
    auto [proof, id] = made_up(earlier ? out[operand - largest.in.size()] : largest.in[operand], chunks);
    (earlier ? game.output_ids[operand - largest.in.size()] : inputs[operand]) = id;
    opening.operands.push_back({static_cast<uint32_t>(operand), {}, std::move(proof)});
  }
  game.terms.input_root = attest::tree_root(inputs);
  for (attest::OpenedOperand& opened : opening.operands)
    if (opened.operand < inputs.size()) opened.value = {inputs[opened.operand], {}, attest::tree_path(inputs, opened.operand), {}};
  Leaf leaf;
  leaf.kib = static_cast<double>(encode(opening).size()) / 1024;
  leaf.ms = 1e9;
  for (int i = 0; i < 3; i++) {  // the least of three: a busy machine only adds
    const double began = cpu_ms();
    must(attest::referee(game, opening));
    leaf.ms = std::min(leaf.ms, cpu_ms() - began);
  }
  return leaf;
}

// Of each operator at its largest admitted call, over outputs, first, middle and last elements, first and last blocks.
struct WorstLeaf {
  std::string op;
  std::vector<kernels::TensorType> in, out;
  Leaf worst;
};
std::vector<WorstLeaf> worst_leaves() {
  std::vector<WorstLeaf> all;
  for (const kernels::Family& family : kernels::families())
    for (const kernels::Case& largest : family.largest) {
      const kernels::Operator& op = *kernels::find_operator(std::string_view(largest.op));
      const auto out = must(op.infer(largest.in, largest.attrs));
      Leaf worst;
      for (size_t o = 0; o < out.size(); o++) {
        const int64_t last = kernels::elements(out[o]) - 1, blocks = op.blocks({largest.in, out, largest.attrs}, o);
        for (const int64_t element : {int64_t{0}, last / 2, last})
          for (const int64_t block : {int64_t{0}, blocks - 1}) {
            const Leaf leaf = leaf_of(op, largest, out, o, element, block);
            worst.ms = std::max(worst.ms, leaf.ms);
            worst.kib = std::max(worst.kib, leaf.kib);
          }
      }
      all.push_back({std::string(largest.op), largest.in, out, worst});
    }
  return all;
}

std::vector<Row> leaves() {
  const std::vector<WorstLeaf> all = worst_leaves();
  const WorstLeaf slowest = std::ranges::max(all, {}, [](const WorstLeaf& one) { return one.worst.ms; });
  const WorstLeaf widest = std::ranges::max(all, {}, [](const WorstLeaf& one) { return one.worst.kib; });
  const std::string of = ", worst of " + std::to_string(all.size()) + " calls, every operator at its largest (";
  return {figure("leaf in the ledger: time" + of + slowest.op + ")", slowest.worst.ms, "ms", 10, 4),
          figure("leaf in the ledger: bytes" + of + widest.op + ")", widest.worst.kib / 1024, "MiB", 1, 0.6)};
}

// ---- receipts, hashes ----

std::vector<Row> receipts() {
  const auto genesis = must(ledger::load_genesis("examples/genesis.json"));
  const Bytes bytes = must(read_file("examples/receipt.cairn", 1 << 20));
  std::vector<double> times;
  for (int i = 0; i < 50; i++) {
    const double began = cpu_ms();
    must(attest::check_receipt(bytes, genesis));
    times.push_back(cpu_ms() - began);
  }
  return {figure("receipt: bytes", static_cast<double>(bytes.size()) / 1024, "KiB", 64, 16),
          at_most("receipt: offline check", "", times, median(times), 0, "ms", 50, 10)};
}

Row hashes(bool quick) {
  Bytes content(32 << 20);
  std::mt19937_64 rng(1);
  for (size_t i = 0; i < content.size(); i += 8) {
    const uint64_t word = rng();
    std::memcpy(content.data() + i, &word, 8);
  }
  const std::vector<uint64_t> chunks{3, 777, 20'000};
  Hash id;
  const auto proven = [&] { must(attest::check_slices(id, attest::prove_slices(content, chunks))); };
  const auto plain = [&] { id = blake3(content); };
  plain();
  Row row = compare("BLAKE3 of 32 MiB with slice proofs", "plain BLAKE3", proven, plain, quick);
  row.target = 0.8;
  row.aim = 0.95;
  return row;
}

}  // namespace

std::vector<Row> measure_attest(const std::string& worker, bool quick) {
  std::vector<Row> rows = training(worker, quick);
  rows.push_back(freivalds(quick));
  for (auto&& more : {dispute(), leaves(), receipts()}) rows.insert(rows.end(), more.begin(), more.end());
  rows.push_back(hashes(quick));
  return rows;
}

void print_leaves() {
  const auto text = [](const std::vector<kernels::TensorType>& types) {
    std::string all;
    for (const kernels::TensorType& type : types) all += (all.empty() ? "" : ", ") + kernels::to_string(type);
    return all;
  };
  std::printf("| operator | largest call | opening, KiB | the ledger's time, ms |\n|---|---|---|---|\n");
  for (const WorstLeaf& one : worst_leaves())
    std::printf("| %s | %s -> %s | %.1f | %.2f |\n", one.op.c_str(), text(one.in).c_str(), text(one.out).c_str(), one.worst.kib, one.worst.ms);
}

}  // namespace cairn::bench
