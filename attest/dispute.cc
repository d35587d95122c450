#include "attest/dispute.h"

#include <algorithm>

#include "attest/referee.h"

namespace cairn::attest {
namespace {

Error no_proof(std::string text) { return {Code::proof, std::move(text), "show what was claimed"}; }
Error not_now(const Game& game) {
  return {Code::malformed, "not a move of phase " + std::string(name(game.phase)) + " for the " + std::string(name(game.to_move)),
          "ask for the state of the game"};
}
Error out_of_range(std::string text) { return {Code::malformed, std::move(text), "ask for the state of the game"}; }
Error same_thing() {
  return {Code::invalid, "a pick must hold something else than what was shown", "pick the first thing that differs"};
}

uint64_t steps_of(const Game& game) { return game.terms.end_step - game.terms.start_step; }

void provider_next(Game& game, Phase phase) {
  game.phase = phase;
  game.to_move = Party::provider;
}

void enter_tree(Game& game, Phase phase, uint64_t leaves, const Hash& root) {
  game.walk = {leaves, tree_levels(leaves), 0, root, {}};
  provider_next(game, phase);
}

void decide(Game& game, Party winner, std::string reason) {
  game.phase = Phase::decided;
  game.winner = winner;
  game.reason = std::move(reason);
}

const TensorType& output_type(const Game& game) { return game.leaf.output_types[game.output]; }
uint64_t output_bytes(const Game& game) { return static_cast<uint64_t>(kernels::bytes(output_type(game))); }
bool is_whole(const Game& game) { return game.range.count == chunk_count(output_bytes(game)); }
uint64_t range_bytes(const Game& game) {
  return std::min(output_bytes(game) - game.range.first * kChunkBytes, game.range.count * kChunkBytes);
}
// The carry after the last block is the element's bits alone.
bool same_carry(const Game& game, uint64_t block_end, const kernels::Carry& a, const kernels::Carry& b) {
  return block_end == game.blocks ? a.lo == b.lo : a == b;
}

// ---- provider: shows ----

Result<> apply(Game& game, const ShowSteps& move) {
  if (game.phase != Phase::steps || !game.steps_root.is_zero()) return not_now(game);
  const uint64_t steps = steps_of(game);
  TRY(check_path(move.root, steps, steps - 1, game.terms.end_root, move.last));
  game.steps_root = move.root;
  game.walk.shown = move.last.groups.back();
  return {};
}

Result<> apply(Game& game, const ShowCalls& move) {
  if (game.phase != Phase::calls || !game.calls_root.is_zero()) return not_now(game);
  if (!game.before_root.is_zero()) {
    if (move.before != game.before_root || !move.before_path.groups.empty()) return no_proof("the state before the step is another one");
  } else {
    TRY(check_path(game.steps_root, steps_of(game), game.step - game.terms.start_step - 1, move.before, move.before_path));
  }
  const uint32_t calls = game.terms.calls;
  if (move.children.size() != node_children(calls, tree_levels(calls), 0) || tree_top(calls, tree_node(move.children)) != move.root)
    return no_proof("the top of the call tree does not give its root");
  if (game.about_call) TRY(check_path(move.root, calls, game.terms.claim->call, game.terms.claim->provider, move.claim_path));
  game.before_root = move.before;
  game.calls_root = move.root;
  game.walk.shown = move.children;
  return {};
}

Result<> show_tile(Game& game, const ShowNode& move) {
  if (game.range.count <= kShownChunks) return not_now(game);
  if (move.children.size() != descendants(game.range).size() ||
      fold_descendants(game.range, move.children, is_whole(game), game.terms.key) != game.range_cv)
    return no_proof("what is shown does not hash to the claimed chunks");
  game.range_shown = move.children;
  return {};
}

Result<> apply(Game& game, const ShowNode& move) {
  if (game.phase == Phase::tile) return show_tile(game, move);
  const bool first = game.walk.level == tree_levels(game.walk.count);
  const bool in_tree = (game.phase == Phase::steps && !game.steps_root.is_zero()) ||
                       (game.phase == Phase::calls && !game.calls_root.is_zero()) || game.phase == Phase::slots;
  if (!in_tree) return not_now(game);
  if (move.children.size() != node_children(game.walk.count, game.walk.level, game.walk.index))
    return no_proof("a node with the wrong number of children");
  Hash node = tree_node(move.children);
  if (game.phase == Phase::slots && first) node = state_top(game.step + 1, tree_top(game.walk.count, node));
  if (node != game.walk.node) return no_proof("what is shown does not hash to the claimed node");
  game.walk.shown = move.children;
  return {};
}

Result<> apply(Game& game, const OpenLink& move) {
  if (game.phase != Phase::link) return not_now(game);
  TRY(check_slot(game.terms.plan_root, move.head, game.slot, move.slot, move.slot_path));
  TRY_LET(id, open_value(game, move.slot.next, game.terms.calls, move.value));
  const bool honest = id == game.slot_id.provider;
  decide(game, honest ? Party::provider : Party::challenger,
         "state " + move.slot.name + (honest ? " is" : " is not") + " what the step gave for it");
  return {};
}

Result<> apply(Game& game, const ShowOutputs& move) {
  if (game.phase != Phase::outputs) return not_now(game);
  TRY(check_call(game.terms.plan_root, move.head, game.call, move.call, move.path));
  if (move.head.calls != game.terms.calls) return no_proof("the plan has another number of calls than the job says");
  if (auto leaf = check_leaf(move.call); !leaf) {
    game.phase = Phase::decided;
    game.plan_false = true;
    game.reason = "call " + std::to_string(game.call) + " of the plan breaks its operator's rules: " + leaf.error().text;
    return {};
  }
  if (move.output_ids.size() != move.call.output_types.size() || call_id(move.output_ids) != game.call_id.provider)
    return no_proof("the outputs' ids do not give the claimed call id");
  game.leaf = move.call;
  game.output_ids = move.output_ids;
  return {};
}

Result<> apply(Game& game, const ShowChunks& move) {
  if (game.phase != Phase::tile || game.range.count > kShownChunks) return not_now(game);
  if (move.bytes.size() != range_bytes(game) || range_cv(move.bytes, game.range, is_whole(game), game.terms.key) != game.range_cv)
    return no_proof("the bytes do not hash to the claimed chunks");
  game.chunk_bytes = move.bytes;
  return {};
}

Result<> apply(Game& game, const ShowCarries& move) {
  if (game.phase != Phase::blocks) return not_now(game);
  if (move.carries.size() + 2 != block_parts(game.first_block, game.last_block).size())
    return out_of_range("a carry is shown after each part but the last");
  game.carries_shown = move.carries;
  return {};
}

Result<> apply(Game& game, const OpenBlock& move) {
  if (game.phase != Phase::opening) return not_now(game);
  TRY_LET(found, referee(game, move));
  game.found = found;
  const bool honest = same_carry(game, game.last_block, found, game.carry.provider);
  decide(game, honest ? Party::provider : Party::challenger,
         std::string("the recomputed block ") + (honest ? "gives" : "does not give") + " what the provider claimed");
  return {};
}

// ---- challenger: picks ----

void enter_calls(Game& game, uint64_t step) {
  game.step = step;
  if (step == game.terms.start_step) game.before_root = game.terms.start_root;
  enter_tree(game, Phase::calls, game.terms.calls, Hash{});
}

// A leaf of one of the 16-ary trees was picked.
void descend_from(Game& game, uint64_t leaf, const Contested& contested) {
  switch (game.phase) {
    case Phase::steps:
      game.step_root = contested;
      enter_calls(game, game.terms.start_step + leaf);
      return;
    case Phase::calls:
      game.call = static_cast<uint32_t>(leaf);
      game.call_id = contested;
      provider_next(game, Phase::outputs);
      return;
    default:
      game.slot = static_cast<uint32_t>(leaf);
      game.slot_id = contested;
      provider_next(game, Phase::link);
  }
}

Result<> apply(Game& game, const Pick& move) {
  const size_t child = move.child;
  const bool in_tree = game.phase == Phase::steps || game.phase == Phase::calls || game.phase == Phase::slots;
  const std::vector<Hash>* shown = in_tree                         ? &game.walk.shown
                                   : game.phase == Phase::outputs ? &game.output_ids
                                   : game.phase == Phase::tile    ? &game.range_shown
                                                                  : nullptr;
  if (!shown || shown->empty()) return not_now(game);
  if (child >= shown->size()) return out_of_range("child " + std::to_string(child) + " of " + std::to_string(shown->size()));
  const Contested contested{(*shown)[child], move.mine};
  if (contested.provider == contested.challenger) return same_thing();

  if (game.phase == Phase::outputs) {
    game.output = move.child;
    game.output_id = contested;
    game.range = {0, chunk_count(output_bytes(game))};
    game.range_cv = contested.provider;
    provider_next(game, Phase::tile);
  } else if (game.phase == Phase::tile) {
    game.range = descendants(game.range)[child];
    game.range_cv = contested.provider;
    game.range_shown.clear();
    provider_next(game, Phase::tile);
  } else {
    const uint64_t index = game.walk.index * kArity + child;
    if (game.walk.level == 1) {
      if (game.phase == Phase::steps && child > 0) game.before_root = (*shown)[child - 1];
      descend_from(game, index, contested);
    } else {
      game.walk = {game.walk.count, game.walk.level - 1, index, contested.provider, {}};
      game.to_move = Party::provider;
    }
  }
  return {};
}

Result<> apply(Game& game, const NoneDiffers&) {
  const bool top = game.walk.level == tree_levels(game.walk.count);
  if (game.phase == Phase::steps && top && game.terms.claim) {
    game.about_call = true;
    enter_calls(game, game.terms.claim->step);
  } else if (game.phase == Phase::calls && top && !game.about_call) {
    enter_tree(game, Phase::slots, game.terms.state_slots, game.step_root.provider);
  } else {
    return not_now(game);
  }
  return {};
}

Result<> apply(Game& game, const PickElement& move) {
  if (game.phase != Phase::tile || game.chunk_bytes.empty()) return not_now(game);
  const auto size = static_cast<uint64_t>(kernels::size_of(output_type(game).dtype));
  const uint64_t first = game.range.first * kChunkBytes / size;
  const uint64_t count = game.chunk_bytes.size() / size;
  if (move.element < first || move.element - first >= count)
    return out_of_range("element " + std::to_string(move.element) + " is not among those shown");
  if (size < 8 && move.mine >> (8 * size) != 0) return out_of_range("a value wider than its type");
  uint64_t bits = 0;
  for (size_t b = 0; b < size; b++) bits |= static_cast<uint64_t>(game.chunk_bytes[(move.element - first) * size + b]) << (8 * b);
  if (bits == move.mine) return same_thing();

  const kernels::CallShape shape{game.leaf.input_types, game.leaf.output_types, game.leaf.attrs};
  game.element = move.element;
  game.value = {{bits, 0}, {move.mine, 0}};
  game.carry = game.value;
  game.first_block = 0;
  game.blocks = static_cast<uint64_t>(std::max<int64_t>(1, kernels::find_operator(game.leaf.op)->blocks(shape, game.output)));
  game.last_block = game.blocks;
  provider_next(game, game.blocks == 1 ? Phase::opening : Phase::blocks);
  return {};
}

Result<> apply(Game& game, const PickCarry& move) {
  if (game.phase != Phase::blocks || game.carries_shown.empty()) return not_now(game);
  const std::vector<uint64_t> bounds = block_parts(game.first_block, game.last_block);
  const size_t part = move.part, last = bounds.size() - 2;
  if (part > last) return out_of_range("part " + std::to_string(part) + " of " + std::to_string(last + 1));
  const kernels::Carry claimed = part == last ? game.carry.provider : game.carries_shown[part];
  if (same_carry(game, bounds[part + 1], claimed, move.mine)) return same_thing();
  if (part > 0) game.agreed = game.carries_shown[part - 1];
  game.carry = {claimed, move.mine};
  game.first_block = bounds[part];
  game.last_block = bounds[part + 1];
  game.carries_shown.clear();
  provider_next(game, game.last_block - game.first_block == 1 ? Phase::opening : Phase::blocks);
  return {};
}

template <class M>
inline constexpr bool is_pick = std::is_same_v<M, Pick> || std::is_same_v<M, NoneDiffers> || std::is_same_v<M, PickElement> ||
                                std::is_same_v<M, PickCarry>;

}  // namespace

std::string_view name(const Move& move) {
  return std::visit([](const auto& m) { return std::remove_cvref_t<decltype(m)>::kName; }, move);
}

std::string_view name(Phase phase) {
  constexpr std::string_view kNames[] = {"?", "steps", "calls", "slots", "link", "outputs", "tile", "blocks", "opening", "decided"};
  return kNames[static_cast<uint8_t>(phase)];
}

Result<> check(const GameTerms& terms) {
  const auto invalid = [](std::string text) { return Error{Code::invalid, std::move(text), "correct the terms of the dispute"}; };
  if (terms.start_step >= terms.end_step) return invalid("a segment has at least one step");
  if (terms.calls == 0 || terms.calls > kMaxCalls) return invalid("calls: 1 to 2^24");
  if (terms.state_slots == 0) return invalid("state_slots: at least 1");
  if (!terms.claim) {
    if (terms.end_root == terms.challenger_end_root) return invalid("both sides hold the same end of the segment");
    return {};
  }
  if (terms.end_root != terms.challenger_end_root) return invalid("a claimed call is for segments whose end is agreed");
  if (terms.claim->step < terms.start_step || terms.claim->step >= terms.end_step) return invalid("the claimed call's step is not in the segment");
  if (terms.claim->call >= terms.calls) return invalid("the plan has no such call");
  if (terms.claim->provider == terms.claim->challenger) return invalid("both sides hold the same call id");
  return {};
}

Game open_game(const GameTerms& terms) {
  CHECK(check(terms));
  Game game;
  game.terms = terms;
  if (steps_of(game) > 1) {
    enter_tree(game, Phase::steps, steps_of(game), Hash{});
  } else {
    game.about_call = terms.claim.has_value();
    game.step_root = {terms.end_root, terms.challenger_end_root};
    enter_calls(game, terms.start_step);
  }
  return game;
}

Result<> play(Game& game, Party mover, const Move& move) {
  if (game.over()) return Error{Code::wrong_turn, "the game is over", "look at the game again"};
  if (mover != game.to_move)
    return Error{Code::wrong_turn, "it is the " + std::string(name(game.to_move)) + "'s turn", "wait for its move"};
  const size_t size = encode(move).size();
  if (size > kMaxMoveBytes)
    return Error{Code::limit, "a move of " + std::to_string(size) + " bytes; at most " + std::to_string(kMaxMoveBytes), "open what the move must show and no more"};

  Game next = game;  // a few KiB: a refused move leaves no trace
  TRY(std::visit(
      [&](const auto& m) -> Result<> {
        if (is_pick<std::remove_cvref_t<decltype(m)>> != (mover == Party::challenger)) return not_now(game);
        return apply(next, m);
      },
      move));
  if (mover == Party::provider) next.to_move = Party::challenger;  // a pick has itself said whose turn it is
  (mover == Party::provider ? next.provider_moves : next.challenger_moves)++;
  next.move_bytes += size;
  game = std::move(next);
  return {};
}

void forfeit(Game& game) {
  CHECK(!game.over());
  const Party silent = game.to_move;
  decide(game, other(silent), "the " + std::string(name(silent)) + " made no move in time in phase " + std::string(name(game.phase)));
}

std::vector<uint64_t> block_parts(uint64_t first, uint64_t last) {
  CHECK(first < last);
  const uint64_t blocks = last - first, parts = std::min<uint64_t>(blocks, 32);
  std::vector<uint64_t> bounds;
  for (uint64_t i = 0; i <= parts; i++) bounds.push_back(first + static_cast<uint64_t>(static_cast<u128>(blocks) * i / parts));
  return bounds;
}

}  // namespace cairn::attest

CODEC_HERE(attest::GameTerms)
CODEC_HERE(attest::Move)
CODEC_HERE(attest::Game)
