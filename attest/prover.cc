#include "attest/prover.h"

#include <algorithm>
#include <map>
#include <set>

namespace cairn::attest {
namespace {

Error no_case() {
  return {Code::not_found, "nothing that was shown differs from one's own replay", "check that both sides ran the same job"};
}

// The operands of the disputed call in a party's own replay, and which of their chunks are read.
class ReplaySource final : public kernels::Source {
 public:
  ReplaySource(const Game& game, Replay& replay) : game_(game), replay_(replay) {}

  uint64_t bits(size_t operand, int64_t element) override {
    operand = first_of(operand);
    const TensorType& type = type_of_operand(operand);
    const Bytes& bytes = value(operand);
    const auto size = static_cast<size_t>(kernels::size_of(type.dtype));
    const auto at = static_cast<size_t>(element) * size;
    if (element < 0 || at + size > bytes.size()) throw kernels::SourceMissing{operand, element};
    reads_[operand].insert(at / kChunkBytes);
    uint64_t out = 0;
    for (size_t b = 0; b < size; b++) out |= static_cast<uint64_t>(bytes[at + b]) << (8 * b);
    return out;
  }

  const Bytes& value(size_t operand) {
    const auto known = values_.find(operand);
    if (known != values_.end()) return known->second;
    return values_.emplace(operand, replay_.value(game_.step, reference(operand))).first->second;
  }
  const std::map<size_t, std::set<uint64_t>>& reads() const { return reads_; }

 private:
  size_t inputs() const { return game_.leaf.inputs.size(); }
  const TensorType& type_of_operand(size_t operand) const {
    return operand < inputs() ? game_.leaf.input_types[operand] : game_.leaf.output_types[operand - inputs()];
  }
  ValueRef reference(size_t operand) const {
    if (operand < inputs()) return game_.leaf.inputs[operand];
    return {From::call, game_.call, static_cast<uint8_t>(operand - inputs())};
  }
  size_t first_of(size_t operand) const {
    if (operand >= inputs()) return operand;
    const auto& refs = game_.leaf.inputs;
    return static_cast<size_t>(std::find(refs.begin(), refs.end(), refs[operand]) - refs.begin());
  }

  const Game& game_;
  Replay& replay_;
  std::map<size_t, Bytes> values_;
  std::map<size_t, std::set<uint64_t>> reads_;
};

kernels::Carry fold_block(const Game& game, uint64_t block, kernels::Carry carry, ReplaySource& source) {
  const Call& call = game.leaf;
  return kernels::find_operator(call.op)->fold({call.input_types, call.output_types, call.attrs}, {game.terms.seed, game.step},
                                               game.output, static_cast<int64_t>(game.element), static_cast<int64_t>(block), carry,
                                               source);
}

// The carries after each part of the contested blocks, from the agreed one.
std::vector<kernels::Carry> carries(const Game& game, Replay& replay) {
  ReplaySource source(game, replay);
  const std::vector<uint64_t> bounds = block_parts(game.first_block, game.last_block);
  std::vector<kernels::Carry> out;
  kernels::Carry carry = game.agreed;
  for (size_t part = 0; part + 1 < bounds.size(); part++) {
    for (uint64_t block = bounds[part]; block < bounds[part + 1]; block++) carry = fold_block(game, block, carry, source);
    out.push_back(carry);
  }
  return out;
}

ByteSpan range_of(const Bytes& content, const ChunkRange& range) {
  const size_t begin = static_cast<size_t>(range.first) * kChunkBytes;
  CHECK(begin <= content.size());
  return ByteSpan(content).subspan(begin, std::min(content.size() - begin, static_cast<size_t>(range.count) * kChunkBytes));
}

std::vector<Hash> range_values(const Bytes& content, const ChunkRange& range, const ContentKey& key) {
  std::vector<Hash> out;
  for (const ChunkRange& child : descendants(range)) out.push_back(range_cv(range_of(content, child), child, false, key));
  return out;
}

ValueRef disputed_output(const Game& game) { return {From::call, game.call, static_cast<uint8_t>(game.output)}; }

// The leaves of the tree that the game walks.
std::vector<Hash> walked_leaves(const Game& game, Replay& replay) {
  if (game.phase == Phase::steps) return replay.step_roots();
  if (game.phase == Phase::calls) return replay.call_ids(game.step);
  return replay.state_ids(game.step + 1);
}

ValueProof prove_value(const Game& game, const ValueRef& ref, const Plan& plan, Replay& replay) {
  ValueProof proof;
  switch (ref.from) {
    case From::input: {
      const std::vector<Hash> ids = replay.input_ids();
      proof.id = ids.at(ref.index);
      proof.path = tree_path(ids, ref.index);
      break;
    }
    case From::constant:
      proof.constant = ConstantProof{plan_head(plan), {plan.constants[ref.index].type, blake3(plan.constants[ref.index].bytes)}};
      proof.path = constant_path(plan, ref.index);
      break;
    case From::state: {
      const std::vector<Hash> ids = replay.state_ids(game.step);
      proof.id = ids[ref.index];
      proof.path = tree_path(ids, ref.index);
      break;
    }
    case From::call:
      proof.output_ids = replay.output_ids(game.step, ref.index);
      proof.path = tree_path(replay.call_ids(game.step), ref.index);
      break;
  }
  return proof;
}

// ---- provider ----

ShowSteps show_steps(Replay& replay) {
  const std::vector<Hash> roots = replay.step_roots();
  return {tree_root(roots), tree_path(roots, roots.size() - 1)};
}

ShowCalls show_calls(const Game& game, Replay& replay) {
  ShowCalls move;
  move.before = game.before_root;
  if (move.before.is_zero()) {
    const std::vector<Hash> roots = replay.step_roots();
    const uint64_t previous = game.step - game.terms.start_step - 1;
    move.before = roots[previous];
    move.before_path = tree_path(roots, previous);
  }
  const std::vector<Hash> ids = replay.call_ids(game.step);
  move.root = tree_root(ids);
  move.children = tree_group(ids, tree_levels(ids.size()), 0);
  if (game.about_call) move.claim_path = tree_path(ids, game.terms.claim->call);
  return move;
}

Move show_tile(const Game& game, Replay& replay) {
  const Bytes content = replay.value(game.step, disputed_output(game));
  if (game.range.count > kShownChunks) return ShowNode{range_values(content, game.range, game.terms.key)};
  const ByteSpan bytes = range_of(content, game.range);
  return ShowChunks{{bytes.begin(), bytes.end()}};
}

OpenBlock open_block(const Game& game, const Plan& plan, Replay& replay) {
  ReplaySource source(game, replay);
  fold_block(game, game.first_block, game.agreed, source);
  OpenBlock move;
  for (const auto& [operand, chunks] : source.reads()) {
    OpenedOperand opened;
    opened.operand = static_cast<uint32_t>(operand);
    ContentKey key = game.terms.key;
    if (operand < game.leaf.inputs.size()) {
      const ValueRef& ref = game.leaf.inputs[operand];
      opened.value = prove_value(game, ref, plan, replay);
      if (ref.from == From::constant) key.reset();
    }
    opened.slices = prove_slices(source.value(operand), std::vector<uint64_t>(chunks.begin(), chunks.end()), key);
    move.operands.push_back(std::move(opened));
  }
  return move;
}

Result<Move> show(const Game& game, const Plan& plan, Replay& replay) {
  switch (game.phase) {
    case Phase::steps:
      if (game.steps_root.is_zero()) return Move{show_steps(replay)};
      break;
    case Phase::calls:
      if (game.calls_root.is_zero()) return Move{show_calls(game, replay)};
      break;
    case Phase::slots: break;
    case Phase::link: {
      const StateSlot& slot = plan.state[game.slot];
      return Move{OpenLink{plan_head(plan), slot, slot_path(plan, game.slot), prove_value(game, slot.next, plan, replay)}};
    }
    case Phase::outputs:
      return Move{ShowOutputs{plan_head(plan), plan.calls[game.call], plan_path(plan, game.call), replay.output_ids(game.step, game.call)}};
    case Phase::tile: return show_tile(game, replay);
    case Phase::blocks: {
      std::vector<kernels::Carry> shown = carries(game, replay);
      shown.pop_back();
      return Move{ShowCarries{std::move(shown)}};
    }
    case Phase::opening: return Move{open_block(game, plan, replay)};
    case Phase::decided: CHECK(false);
  }
  return Move{ShowNode{tree_group(walked_leaves(game, replay), game.walk.level, game.walk.index)}};
}

// ---- challenger ----

Result<Move> pick_first(const std::vector<Hash>& shown, const std::vector<Hash>& mine) {
  for (size_t i = 0; i < std::min(shown.size(), mine.size()); i++)
    if (shown[i] != mine[i]) return Move{Pick{static_cast<uint8_t>(i), mine[i]}};
  return no_case();
}

Result<Move> pick_element(const Game& game, Replay& replay) {
  const Bytes content = replay.value(game.step, disputed_output(game));
  const ByteSpan mine = range_of(content, game.range);
  const auto size = static_cast<size_t>(kernels::size_of(game.leaf.output_types[game.output].dtype));
  for (size_t at = 0; at + size <= std::min(mine.size(), game.chunk_bytes.size()); at += size) {
    if (std::equal(mine.begin() + static_cast<std::ptrdiff_t>(at), mine.begin() + static_cast<std::ptrdiff_t>(at + size),
                   game.chunk_bytes.begin() + static_cast<std::ptrdiff_t>(at)))
      continue;
    uint64_t bits = 0;
    for (size_t b = 0; b < size; b++) bits |= static_cast<uint64_t>(mine[at + b]) << (8 * b);
    return Move{PickElement{(game.range.first * kChunkBytes + at) / size, bits}};
  }
  return no_case();
}

Result<Move> pick_carry(const Game& game, Replay& replay) {
  const std::vector<kernels::Carry> mine = carries(game, replay);
  for (size_t part = 0; part < game.carries_shown.size(); part++)
    if (!(mine[part] == game.carries_shown[part])) return Move{PickCarry{static_cast<uint8_t>(part), mine[part]}};
  // Then it is in the last part, at whose end the challenger has already said what it holds.
  return Move{PickCarry{static_cast<uint8_t>(mine.size() - 1), game.carry.challenger}};
}

Result<Move> pick(const Game& game, Replay& replay) {
  switch (game.phase) {
    case Phase::outputs: return pick_first(game.output_ids, replay.output_ids(game.step, game.call));
    case Phase::tile:
      if (!game.chunk_bytes.empty()) return pick_element(game, replay);
      return pick_first(game.range_shown, range_values(replay.value(game.step, disputed_output(game)), game.range, game.terms.key));
    case Phase::blocks: return pick_carry(game, replay);
    case Phase::steps:
    case Phase::calls:
    case Phase::slots: break;
    default: CHECK(false);
  }
  auto move = pick_first(game.walk.shown, tree_group(walked_leaves(game, replay), game.walk.level, game.walk.index));
  const bool top = game.walk.level == tree_levels(game.walk.count);
  const bool may_pass = (game.phase == Phase::steps && game.terms.claim) || (game.phase == Phase::calls && !game.about_call);
  if (!move && top && may_pass) return Move{NoneDiffers{}};
  return move;
}

}  // namespace

Result<Move> next_move(const Game& game, Party me, const Plan& plan, Replay& replay) {
  if (game.over() || me != game.to_move) return Error{Code::wrong_turn, "it is not this party's turn", "wait for the other's move"};
  return me == Party::provider ? show(game, plan, replay) : pick(game, replay);
}

}  // namespace cairn::attest
