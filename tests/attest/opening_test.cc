// The move that ends a dispute, as it is sent: chunks, the hashes that show their places, where each operand comes from, all
// encoded. No call that the check accepts may need more than a move bears, or whoever is honest has no move.
//
// Nothing is allocated that an operand holds: which chunks a block reads and the operand's size give the proof's shape. The
// widest opening of each call is printed.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "attest/dispute.h"
#include "tests/kernels/family.h"

namespace cairn::attest {
namespace {

using namespace kernels;
using Chunks = std::vector<uint64_t>;  // ascending

// What a slice proof of these chunks holds besides them.
size_t siblings(const ChunkRange& range, std::span<const uint64_t> chunks) {
  if (chunks.empty()) return 1;
  if (range.count == 1) return 0;
  const ChunkRange left{range.first, left_chunks(range.count)}, right{range.first + left.count, range.count - left.count};
  const auto cut = static_cast<size_t>(std::ranges::lower_bound(chunks, right.first) - chunks.begin());
  return siblings(left, chunks.first(cut)) + siblings(right, chunks.subspan(cut));
}
SliceProof shape_of(uint64_t size_bytes, const Chunks& chunks) {
  SliceProof proof{size_bytes, chunks, {}, {}};
  for (const uint64_t chunk : chunks) proof.data.emplace_back(std::min<uint64_t>(kChunkBytes, size_bytes - chunk * kChunkBytes));
  proof.siblings.resize(siblings({0, chunk_count(size_bytes)}, chunks));
  return proof;
}

TreePath path_in(uint64_t count) { return {{tree_levels(count), std::vector<Hash>(kArity)}}; }
template <class T>
uint64_t most_in_plan(const T& least) {
  return kMaxPlanBytes / encode(least).size();
}
constexpr size_t kMostOutputs = 7;  // of an operator
const uint64_t kMostSlots = most_in_plan(StateSlot{"1234", {DType::u8, {}}, {}, {}});
const uint64_t kMostConstants = most_in_plan(Constant{{DType::u8, {}}, {0}});
const TensorType kMostRank{DType::f32, std::vector<int64_t>(kMaxRank, 1)};

// The longest proof of where an operand comes from.
const ValueProof& longest_proof() {
  static const ValueProof longest = [] {
    const ValueProof all[] = {{{}, std::vector<Hash>(kMostOutputs), path_in(kMaxCalls), {}},
                              {{}, {}, path_in(kMostSlots), {}},
                              {{}, {}, path_in(kMostConstants), ConstantProof{{}, {kMostRank, {}}}}};
    return *std::ranges::max_element(all, {}, [](const ValueProof& proof) { return encode(proof).size(); });
  }();
  return longest;
}

// Remembers which chunks are read. Every integer there is `named`, so that what is read by value is read as widely as it can be.
class ChunkSource final : public Source {
 public:
  ChunkSource(const Call& call, int64_t named) : inputs_(call.input_types.size()), named_(named), types_(call.input_types) {
    types_.insert(types_.end(), call.output_types.begin(), call.output_types.end());
    read_.resize(types_.size());
  }
  uint64_t bits(size_t operand, int64_t element) override {
    if (operand >= types_.size() || element < 0 || element >= elements(types_[operand])) throw SourceMissing{operand, element};
    const auto chunk = static_cast<uint64_t>(element * size_of(types_[operand].dtype)) / kChunkBytes;
    if (read_[operand].empty() || read_[operand].back() != chunk) read_[operand].push_back(chunk);
    if (types_[operand].dtype == DType::f32) return std::bit_cast<uint32_t>(0.5f);
    return static_cast<uint64_t>(named_);
  }
  OpenBlock opening() {
    OpenBlock move;
    for (size_t k = 0; k < types_.size(); k++) {
      Chunks& chunks = read_[k];
      if (chunks.empty()) continue;
      std::ranges::sort(chunks);
      chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
      move.operands.push_back({static_cast<uint32_t>(k), k < inputs_ ? longest_proof() : ValueProof{},
                               shape_of(static_cast<uint64_t>(kernels::bytes(types_[k])), chunks)});
    }
    return move;
  }

 private:
  size_t inputs_;
  int64_t named_;
  Types types_;
  std::vector<Chunks> read_;
};

struct Row {
  Case call;
  std::vector<int64_t> elements = {};              // besides the first, one in the middle, the last and some by chance
  int64_t (*named)(int64_t element) = [](int64_t) { return int64_t{0}; };
};

Result<Call> leaf_of(const Case& c) {
  Call call{find_operator(std::string_view(c.op))->id, c.attrs, std::vector<ValueRef>(c.in.size()), c.in, {}, 0};
  TRY_LET(out, find_operator(call.op)->infer(c.in, c.attrs));
  call.output_types = std::move(out);
  TRY(check_leaf(call));
  return call;
}

// The largest opening of some blocks of some elements.
size_t widest(const Row& row) {
  const auto call = leaf_of(row.call);
  if (!call) {
    ADD_FAILURE() << describe(row.call) << ": " << call.error().text;
    return 0;
  }
  const Operator& op = *find_operator(call->op);
  const CallShape shape{call->input_types, call->output_types, call->attrs};
  std::mt19937_64 rng(1);
  const auto by_chance = [&](int64_t n) { return static_cast<int64_t>(rng() % static_cast<uint64_t>(n)); };
  size_t most = 0;
  for (size_t o = 0; o < call->output_types.size(); o++) {
    const int64_t count = elements(call->output_types[o]), blocks = op.blocks(shape, o);
    std::vector<int64_t> picked{0, count / 2, count - 1, by_chance(count), by_chance(count)};
    for (const int64_t e : row.elements)
      if (e < count) picked.push_back(e);
    for (const int64_t e : picked)
      for (const int64_t block : std::set<int64_t>{0, blocks / 2, blocks - 1, by_chance(blocks)}) {
        ChunkSource source(*call, row.named(e));
        op.fold(shape, {1, 5}, o, e, block, {}, source);
        most = std::max(most, encode(Move{source.opening()}).size());
      }
  }
  std::printf("%-32s %7.1f KiB\n", row.call.op, static_cast<double>(most) / 1024);
  return most;
}

int64_t bits(float x) { return attr_of(x); }
constexpr int64_t ki = 1024, mi = ki * ki, gi = ki * mi;

// Reads as far apart, or as badly laid across the bounds of chunks, as the operators' checks let through.
const std::vector<Row> kRows = {
    // 256 positions of two operands, each position a chunk of its own
    {{"matmul.f32.v1", {f32({4 * mi, 4 * mi}), f32({4 * mi, 4 * mi})}, {1, 0}}},
    {{"linear.f32.v1", {f32({256, 256}), f32({256, 64 * gi}), f32({64 * gi})}, {0}}},
    {{"bmm.f32.v1", {f32({1, 256, 64 * gi}), f32({1, 256, 256})}, {1, 0}}},
    {{"matmul.int2.v1", {f32({4 * mi, 4 * mi}), f32({4 * mi, 4 * mi})}, {1, 0}}},
    {{"matmul.int2.row.v1", {f32({64 * ki, 256 * mi}), f32({64 * ki, 64 * ki})}, {1, 0}}},
    {{"matmul.i64.v1", {i64({1, mi, 4 * mi}), i64({1, 4 * mi, 2 * mi})}, {}}},
    {{"convolution.f32.v1", {f32({1, 256, 64 * gi}), f32({256, 256, 1}), f32({256})}, {1, 1, 0, 1}}},
    {{"convolution_transposed.f32.v1", {f32({1, 256, 4 * ki + 1, 4 * ki, 4 * ki - 1}), f32({256, 64 * gi, 1, 1, 1}), f32({64 * gi})},
      {1, 1, 1, 1, 2 * ki, 2 * ki - 1, 2 * ki - 1, 1, 1, 1, 1, 2, 1}}},
    {{"convolution_weight.f32.v1", {f32({256, 64 * gi, 1}), f32({256, 64 * gi, 1})}, {64 * gi, 1, 0, 1, 1}}},
    {{"layer_norm_backward_affine.v1", {f32({256, 64 * gi}), f32({256, 64 * gi}), f32({256}), f32({256})}, {}}},
    {{"rms_norm_backward_weight.v1", {f32({257, 63 * gi}), f32({257, 63 * gi}), f32({257})}, {}}},
    {{"scatter.v1", {i64({1, 256, 32 * gi}), i64({1, 256, 32 * gi}), i64({1, 256, 32 * gi})}, {1, 256, 32 * gi, 1, 1, -1}}},
    // 256 positions of one operand
    {{"sum_rows.v1", {f32({4 * mi, 4 * mi})}, {}}},
    {{"nll_loss.v1", {f32({16 * mi, mi}), i64({16 * mi})}, {1, -1}}},
    {{"sort.v1", {i64({1, 256, 32 * gi})}, {256, 1}}},
    {{"extremum.v1", {{DType::u8, {1, 256, 256 * gi}}}, {1}}},
    {{"cumulative_extremum.v1", {i64({1, 256, 32 * gi})}, {1}}},
    {{"cumsum.v1", {f32({1, 256, 64 * gi})}, {}}},
    {{"logcumsumexp.v1", {f32({1, 300, 54 * gi})}, {}}},
    {{"integer_sum.v1", {{DType::u8, {1, 256, 256 * gi}}}, {}}},
    {{"integer_argmax.v1", {{DType::i32, {1, 256, 64 * gi}}}, {}}},
    {{"col2im.v1", {f32({1, 256 * ki, mi})}, {256, ki, 1, 1, 0, 0, 1, 1, ki + 255, 2 * ki - 1}}},
    {{"group_norm_backward.v1", {f32({256, 64 * gi, 1}), f32({256, 64 * gi, 1}), f32({256, 1}), f32({256, 1}), f32({64 * gi})}, {}}},
    // whole rows and channels
    {{"sum_last.v1", {f32({1, 16 * ki * gi})}, {}}},
    {{"argmax_last.v1", {f32({256 * mi, 64 * ki - 1})}, {}}, {1, 255}},
    {{"softmax_backward.v1", {f32({256 * mi, 64 * ki - 1}), f32({256 * mi, 64 * ki - 1})}, {}}, {1, 255}},
    {{"layer_norm_backward_input.v1", {f32({256 * mi, 64 * ki - 1}), f32({256 * mi, 64 * ki - 1}), f32({256 * mi}), f32({256 * mi}), f32({64 * ki - 1})}, {}}, {1, 255}},
    {{"batch_norm.v1", {f32({256, 16 * gi, 3}), f32({16 * gi}), f32({16 * gi}), f32({16 * gi}), f32({16 * gi})}, {bits(1e-5f), bits(0.1f)}}, {170, (gi * 16 - 1) / 3}},
    {{"batch_norm.v1", {f32({4 * mi, 256 * ki, 15}), f32({256 * ki}), f32({256 * ki}), f32({256 * ki}), f32({256 * ki})}, {bits(1e-5f), bits(0.1f)}}, {17, 34, 128 * ki - 1}},
    {{"batch_norm_backward.v1", {f32({4 * mi, 256 * ki, 15}), f32({4 * mi, 256 * ki, 15}), f32({256 * ki}), f32({256 * ki}), f32({256 * ki})}, {1}}, {17, 34, 128 * ki - 1}},
    {{"batch_norm_backward.v1", {f32({256, 16 * gi, 3}), f32({256, 16 * gi, 3}), f32({16 * gi}), f32({16 * gi}), f32({16 * gi})}, {1}}, {170, (gi * 16 - 1) / 3}},
    {{"group_norm_backward.v1", {f32({256, 64, 8191}), f32({256, 64, 8191}), f32({256, 1}), f32({256, 1}), f32({64})}, {}}},
    {{"attention.f32.v1", {f32({1, 1, 16 * gi, 256}), f32({1, 1, ki, 256}), f32({1, 1, ki, 256}), f32({1, 1, 16 * gi, ki})}, {bits(1), 0, 3, bits(0.5f)}}},
    {{"attention_backward.f32.v1",
      {f32({1, 1, 256, 256}), f32({1, 1, 256, 256}), f32({1, 1, 64 * gi, 256}), f32({1, 1, 64 * gi, 256}), f32({1, 1, 256, 256}), f32({1, 1, 256}), f32({1, 1, 256}), f32({1, 1, 256, 64 * gi})},
      {bits(1), 0, 3, bits(0.5f)}}},
    // one element of each of several operands
    {{"huber_backward.v1", {f32({4 * mi, 4 * mi}), f32({4 * mi, 4 * mi}), f32({4 * mi, 4 * mi})}, {bits(1)}}},
    {{"adam.v1", {f32({16 * ki * gi}), f32({16 * ki * gi}), f32({16 * ki * gi}), f32({16 * ki * gi}), f32({5 * ki * gi, 3})}, {bits(0.9f), bits(0.9f), bits(1), bits(1), 1}}},
    {{"gather.v1", {i64({1, 8 * ki * gi, 1}), i64({8 * ki * gi})}, {}}, {}, [](int64_t e) { return 8 * ki * gi - 1 - e; }},
    {{"searchsorted.v1", {i64({1, 8 * ki * gi}), i64({1, 8 * ki * gi})}, {0}}},
    {{"ravel_index.v1", Types(8, i64({8 * ki * gi})), std::vector<int64_t>(8, 2)}},
    {{"gru_cell_backward.v1", {f32({ki, mi, 4 * ki}), f32({mi, 4 * ki}), f32({mi, 12 * ki}), f32({mi, 12 * ki}), f32({mi, 4 * ki})}, {1}}},
    {{"upsample_bilinear.v1", {f32({256, 16 * mi, 4 * ki})}, {ki, ki, bits(16 * ki), bits(4), 0}}},
    {{"cat.v1", Types(64, f32({256 * gi})), {0}}},
};

// Windows of n, or what n outputs read; tried at the largest n that the check accepts.
struct Windows {
  const char* shape;
  Row (*of)(int64_t n);
};
const Windows kWindows[] = {
    {"a line, far apart", [](int64_t n) { return Row{{"max_pool.v1", {f32({mi, 16 * mi})}, {n, 1, 0, 16 * mi / n, 1}}}; }},
    {"a line, a chunk apart", [](int64_t n) { return Row{{"max_pool.v1", {f32({mi, 16 * mi})}, {n, 1, 0, 257, 1}}}; }},
    {"a line", [](int64_t n) { return Row{{"avg_pool.v1", {f32({mi, 16 * mi})}, {0, n, 255, 0, 3}}, {1}}; }},
    {"a column", [](int64_t n) { return Row{{"max_pool.v1", {f32({1, 16 * mi, mi})}, {n, 1, 1, 1, 0, 0, 16 * mi / n, 1, 1, 1}}}; }},
    {"pairs across the middle of rows", [](int64_t n) { return Row{{"avg_pool.v1", {f32({ki, ki, 16 * mi})}, {0, n, 2, 1, 8 * mi - 1, 0, 0, 1, 2}}, {1}}; }},
    {"pairs across a great subtree",
     [](int64_t n) { return Row{{"max_pool.v1", {f32({1, 256 * ki, 16 * mi, 3})}, {n, 1, 2, 1, 5592405, 1, 0, 0, 0, 256 * ki / n, 1, 1, 1, 2, 1}}, {1}}; }},
    {"pairs far apart", [](int64_t n) { return Row{{"max_pool.v1", {f32({1, ki, 16 * mi})}, {n, 2, 1, 1, 0, 0, 1, 16 * mi - 1, 1, 1}}}; }},
    {"a square", [](int64_t n) { return Row{{"avg_pool.v1", {f32({256, 64 * ki, 1000 * ki})}, {0, n, n, 1, 1, 0, 0, 255, 255}}, {}}; }},
    {"a cube", [](int64_t n) { return Row{{"avg_pool.v1", {f32({256, 4 * ki, 4 * ki, 4 * ki})}, {0, n, n, n, 1, 1, 1, 0, 0, 0, 255, 255, 255}}, {}}; }},
    {"adaptive", [](int64_t n) { return Row{{"avg_pool.v1", {f32({256, 16 * n, 64 * ki})}, {0, 0, 0, 1, 1, 0, 0, 16, 64 * ki}}}; }},
    {"pairs of windows across the middle of rows",
     [](int64_t n) { return Row{{"max_pool_backward.v1", {f32({ki, 512, 16 * mi}), i64({ki, 512, 16 * mi})}, {n, 2, 1, 1, 0, 1, 1, 1, 512, 16 * mi}}, {511 * 16 * mi + 8 * mi - 1}, [](int64_t e) { return e % (512 * 16 * mi); }}; }},
    {"windows over a column",
     [](int64_t n) { return Row{{"max_pool_backward.v1", {f32({1, 512 * ki, 16 * mi}), i64({1, 512 * ki, 16 * mi})}, {n, 1, 1, 1, 0, 0, 1, 1, 512 * ki, 16 * mi}}, {}, [](int64_t e) { return e; }}; }},
    {"windows over a line", [](int64_t n) { return Row{{"avg_pool_backward.v1", {f32({mi, 16 * mi})}, {0, n, 1, 0, 16 * mi}}}; }},
    {"readers of pairs across the middle of rows",
     [](int64_t n) { return Row{{"upsample_bilinear_backward.v1", {f32({ki, ki, 16 * mi})}, {ki, 16 * mi, bits(1.0f / static_cast<float>(n)), bits(1), 1}}, {24 * mi}}; }},
    {"readers of the second position",
     [](int64_t n) { return Row{{"upsample_bilinear_backward.v1", {f32({256, 4 * ki, 16 * mi})}, {4 * ki, 16 * mi, bits(1.0f / static_cast<float>(n)), bits(1), 0}}, {24 * mi}}; }},
    {"readers of the second position, both ways",
     [](int64_t n) { return Row{{"upsample_bilinear_backward.v1", {f32({ki, 4 * ki, 4 * ki + 17})}, {4 * ki, 5 * ki, bits(1.0f / static_cast<float>(n)), bits(1.0f / static_cast<float>(n)), 0}}, {5 * ki + 1}}; }},
    {"readers in a column", [](int64_t n) { return Row{{"upsample_nearest_backward.v1", {f32({1, n, 16 * mi})}, {1, 16 * mi, bits(0), bits(1), 0}}}; }},
    {"readers in a line", [](int64_t n) { return Row{{"upsample_nearest_backward.v1", {f32({mi, 1, n})}, {1, 1, bits(1), bits(1), 0}}}; }},
};

TEST(Opening, is_what_a_proof_of_the_same_chunks_is) {
  std::mt19937_64 rng(1);
  for (const size_t size : {1u, 1024u, 1025u, 33'000u, 65'536u, 100'001u}) {
    const Bytes content(size);
    for (int i = 0; i < 20; i++) {
      std::set<uint64_t> some;
      for (int n = 0; n <= i; n++) some.insert(rng() % chunk_count(size));
      const Chunks chunks(some.begin(), some.end());
      EXPECT_EQ(encode(shape_of(size, chunks)).size(), encode(prove_slices(content, chunks)).size());
    }
  }
}

TEST(Opening, fits_a_move_at_the_largest_shapes) {
  for (const Family& family : families())
    for (const Case& c : family.largest) EXPECT_LE(widest({c}), kMaxMoveBytes) << describe(c);
}

TEST(Opening, fits_a_move_however_far_apart_the_reads) {
  for (const Row& row : kRows) EXPECT_LE(widest(row), kMaxMoveBytes) << describe(row.call);
}

TEST(Opening, fits_a_move_at_the_largest_windows) {
  for (const Windows& windows : kWindows) {
    int64_t n = 1, refused = 2 * mi;
    while (refused - n > 1) (leaf_of(windows.of((n + refused) / 2).call) ? n : refused) = (n + refused) / 2;
    std::printf("%7lld  ", static_cast<long long>(n));
    EXPECT_LE(widest(windows.of(n)), kMaxMoveBytes) << windows.shape << ": " << describe(windows.of(n).call);
  }
}

// The other moves, at the most that a plan's check accepts.
TEST(Opening, is_the_largest_of_a_providers_moves) {
  const Call call = *leaf_of({"cat.v1", Types(64, kMostRank), {15}});
  const std::vector<Hash> ids(kMostOutputs);
  const std::string name(kMaxNameBytes, 'x');
  const Move moves[] = {
      ShowSteps{{}, path_in(UINT64_MAX)},
      ShowNode{std::vector<Hash>(kArity)},
      ShowCalls{{}, path_in(UINT64_MAX), {}, std::vector<Hash>(kArity), path_in(kMaxCalls)},
      OpenLink{{}, {name, kMostRank, {}, {}}, path_in(kMostSlots), longest_proof()},
      ShowOutputs{{}, call, {{tree_levels(kMaxCalls), std::vector<SumLeaf>(kArity)}}, ids},
      ShowChunks{Bytes(kShownChunks * kChunkBytes)},
      ShowCarries{std::vector<Carry>(block_parts(0, UINT64_MAX).size() - 2)},
  };
  for (const Move& move : moves) EXPECT_LE(encode(move).size(), 24u << 10) << cairn::attest::name(move);
  // That call is the largest: no operator takes more operands, attributes or outputs, whatever they are.
  for (const Family& family : families())
    for (const Case& c : family.cases) {
      EXPECT_LE(must(find_operator(std::string_view(c.op))->infer(c.in, c.attrs)).size(), kMostOutputs) << c.op;
      Case more = c;
      if (!c.in.empty()) more.in.insert(more.in.end(), 64, c.in.back());
      EXPECT_TRUE(c.in.empty() || !leaf_of(more)) << c.op << " takes 65 operands";
      more = c;
      more.attrs.insert(more.attrs.end(), 64, c.attrs.empty() ? 1 : c.attrs.back());
      EXPECT_FALSE(leaf_of(more)) << c.op << " takes 64 attributes";
    }
}

}  // namespace
}  // namespace cairn::attest
