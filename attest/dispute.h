// A dispute: two parties narrow a segment to one block of one element's fold, and the ledger recomputes that block.
//
// A pure state machine over the accused provider's claims. The provider always *shows* (children of what it claimed), the
// challenger always *picks* the first thing that it holds to be false and says what it holds instead; everything left of a
// pick is agreed. A party that is silent loses by its clock (the ledger's business), a move that does not prove what it
// must is refused (`proof`) and leaves the clock running.
//
//   phase    provider shows                                    challenger picks
//   steps    ShowSteps: root of the tree over the segment's    Pick: a child, down to the first disputed step; or
//            state roots, with the path of the last; ShowNode  NoneDiffers (only when a call id was claimed)
//   calls    ShowCalls: state root before the step, top of     Pick: a child, down to the first disputed call; or
//            the tree over the step's call ids; ShowNode       NoneDiffers: no call, so the end state is not what `next` says
//   slots    ShowNode down the step's end root                 Pick: a child, down to the first disputed slot
//   link     OpenLink: slot, the value its `next` names        (decided)
//   outputs  ShowOutputs: plan leaf, the call's output ids     Pick: the first disputed output
//   tile     ShowNode down BLAKE3's own tree, 4 levels a move; PickElement: the first element that differs
//            ShowChunks: the bytes of the last 1..4 chunks
//   blocks   ShowCarries: the fold's carry at 31 boundaries    PickCarry: the first part whose carry differs
//   opening  OpenBlock: slices of what the block reads         (decided by the referee)
//
// A phase with nothing to narrow (one step, one block) is skipped. A game of 10^5 steps, 10^5 calls, 10^4 chunks and 512
// blocks takes 18 moves of the provider and 17 of the challenger.
//
// Source: refereed delegation, Canetti, Riva & Rothblum 2011.
#pragma once

#include <optional>
#include <variant>

#include "attest/plan.h"
#include "attest/records.h"
#include "attest/tree.h"

namespace cairn::attest {

enum class Party : uint8_t { provider = 1, challenger = 2 };
constexpr bool is_valid(Party p) { return p == Party::provider || p == Party::challenger; }
constexpr std::string_view name(Party p) { return p == Party::provider ? "provider" : "challenger"; }
constexpr Party other(Party p) { return p == Party::provider ? Party::challenger : Party::provider; }

// The drawn call's id, when both sides hold the same end root and yet differ in it.
struct CallClaim {
  uint64_t step = 0;
  uint32_t call = 0;
  Hash provider;
  Hash challenger;
  static constexpr auto fields() {
    return std::tuple{field("step", &CallClaim::step), field("call", &CallClaim::call),
                      field("provider", &CallClaim::provider), field("challenger", &CallClaim::challenger)};
  }
};

// What both sides agree on when a game opens.
struct GameTerms {
  JobId job;
  Hash plan_root;
  uint32_t calls = 0;
  uint32_t state_slots = 0;
  uint32_t inputs = 0;           // of the job: leaves of `input_root`, the plan's inputs first
  Hash input_root;
  uint64_t seed = 0;
  uint64_t segment = 0;
  uint64_t start_step = 0;
  uint64_t end_step = 0;
  Hash start_root;               // state root before the segment: agreed
  Hash end_root;                 // the provider's claim
  Hash challenger_end_root;      // what the challenger holds instead
  std::optional<CallClaim> claim;  // set when the end roots are equal: then the game is about this call's id
  ContentKey key;                // of a private job whose requester has consented; the plan's constants have plain ids
  static constexpr auto fields() {
    return std::tuple{field("job", &GameTerms::job),
                      field("plan_root", &GameTerms::plan_root),
                      field("calls", &GameTerms::calls),
                      field("state_slots", &GameTerms::state_slots),
                      field("inputs", &GameTerms::inputs),
                      field("input_root", &GameTerms::input_root),
                      field("seed", &GameTerms::seed),
                      field("segment", &GameTerms::segment),
                      field("start_step", &GameTerms::start_step),
                      field("end_step", &GameTerms::end_step),
                      field("start_root", &GameTerms::start_root),
                      field("end_root", &GameTerms::end_root),
                      field("challenger_end_root", &GameTerms::challenger_end_root),
                      field("claim", &GameTerms::claim),
                      field("key", &GameTerms::key)};
  }
};
// What open_game requires: at least one step, call and state slot, and something that differs. Error: invalid.
Result<> check(const GameTerms& terms);

// ---- moves ----

// Where a value's id comes from, checked against what is agreed. Which members are filled follows from the reference; the
// others are empty.
struct ConstantProof {
  PlanHead head;
  ConstantLeaf leaf;
  static constexpr auto fields() { return std::tuple{field("head", &ConstantProof::head), field("leaf", &ConstantProof::leaf)}; }
};
struct ValueProof {
  Hash id;                             // input, state: of the value
  std::vector<Hash> output_ids;        // from a call: all of its outputs
  TreePath path;                       // input: among the job's; call: in the step's call tree; state: in the state before; constant: in the plan
  std::optional<ConstantProof> constant;
  static constexpr auto fields() {
    return std::tuple{field("id", &ValueProof::id), field("output_ids", &ValueProof::output_ids),
                      field("path", &ValueProof::path), field("constant", &ValueProof::constant)};
  }
};

struct ShowSteps {
  static constexpr uint16_t kTag = 1;
  static constexpr std::string_view kName = "show_steps";
  Hash root;      // tree over the state roots after each step of the segment
  TreePath last;  // the last one is the committed end root
  static constexpr auto fields() { return std::tuple{field("root", &ShowSteps::root), field("last", &ShowSteps::last)}; }
};
struct ShowNode {
  static constexpr uint16_t kTag = 2;
  static constexpr std::string_view kName = "show_node";
  std::vector<Hash> children;
  static constexpr auto fields() { return std::tuple{field("children", &ShowNode::children)}; }
};
struct Pick {
  static constexpr uint16_t kTag = 3;
  static constexpr std::string_view kName = "pick";
  uint8_t child = 0;  // or the output, in phase outputs
  Hash mine;          // what the challenger holds instead; differs from what was shown
  static constexpr auto fields() { return std::tuple{field("child", &Pick::child), field("mine", &Pick::mine)}; }
};
struct NoneDiffers {
  static constexpr uint16_t kTag = 4;
  static constexpr std::string_view kName = "none_differs";
  static constexpr auto fields() { return std::tuple{}; }
};
struct ShowCalls {
  static constexpr uint16_t kTag = 5;
  static constexpr std::string_view kName = "show_calls";
  Hash before;                 // state root before the disputed step
  TreePath before_path;        // in the step tree; empty when it is known: of the first step, or shown beside the pick
  Hash root;                   // tree over the step's call ids
  std::vector<Hash> children;  // of its top node
  TreePath claim_path;         // when the game is about a claimed call id: that it stands in this tree; else empty
  static constexpr auto fields() {
    return std::tuple{field("before", &ShowCalls::before), field("before_path", &ShowCalls::before_path),
                      field("root", &ShowCalls::root), field("children", &ShowCalls::children),
                      field("claim_path", &ShowCalls::claim_path)};
  }
};
struct OpenLink {
  static constexpr uint16_t kTag = 6;
  static constexpr std::string_view kName = "open_link";
  PlanHead head;
  StateSlot slot;
  TreePath slot_path;
  ValueProof value;  // what slot.next names
  static constexpr auto fields() {
    return std::tuple{field("head", &OpenLink::head), field("slot", &OpenLink::slot),
                      field("slot_path", &OpenLink::slot_path), field("value", &OpenLink::value)};
  }
};
struct ShowOutputs {
  static constexpr uint16_t kTag = 7;
  static constexpr std::string_view kName = "show_outputs";
  PlanHead head;
  Call call;
  SumPath path;
  std::vector<Hash> output_ids;
  static constexpr auto fields() {
    return std::tuple{field("head", &ShowOutputs::head), field("call", &ShowOutputs::call),
                      field("path", &ShowOutputs::path), field("output_ids", &ShowOutputs::output_ids)};
  }
};
struct ShowChunks {
  static constexpr uint16_t kTag = 8;
  static constexpr std::string_view kName = "show_chunks";
  Bytes bytes;
  static constexpr auto fields() { return std::tuple{field("bytes", &ShowChunks::bytes)}; }
};
struct PickElement {
  static constexpr uint16_t kTag = 9;
  static constexpr std::string_view kName = "pick_element";
  uint64_t element = 0;  // row-major, of the whole output
  uint64_t mine = 0;     // its bits, zero-extended
  static constexpr auto fields() { return std::tuple{field("element", &PickElement::element), field("mine", &PickElement::mine)}; }
};
struct ShowCarries {
  static constexpr uint16_t kTag = 10;
  static constexpr std::string_view kName = "show_carries";
  std::vector<kernels::Carry> carries;  // after each part of the range but the last
  static constexpr auto fields() { return std::tuple{field("carries", &ShowCarries::carries)}; }
};
struct PickCarry {
  static constexpr uint16_t kTag = 11;
  static constexpr std::string_view kName = "pick_carry";
  uint8_t part = 0;
  kernels::Carry mine;  // after that part
  static constexpr auto fields() { return std::tuple{field("part", &PickCarry::part), field("mine", &PickCarry::mine)}; }
};
// One operand of the disputed call: where its id comes from, and the chunks that the block reads.
struct OpenedOperand {
  uint32_t operand = 0;  // inputs, then earlier outputs; of several inputs with one reference the first stands for all
  ValueProof value;      // empty for earlier outputs
  SliceProof slices;
  static constexpr auto fields() {
    return std::tuple{field("operand", &OpenedOperand::operand), field("value", &OpenedOperand::value),
                      field("slices", &OpenedOperand::slices)};
  }
};
struct OpenBlock {
  static constexpr uint16_t kTag = 12;
  static constexpr std::string_view kName = "open_block";
  std::vector<OpenedOperand> operands;  // ascending
  static constexpr auto fields() { return std::tuple{field("operands", &OpenBlock::operands)}; }
};

using Move = std::variant<ShowSteps, ShowNode, Pick, NoneDiffers, ShowCalls, OpenLink, ShowOutputs, ShowChunks, PickElement,
                          ShowCarries, PickCarry, OpenBlock>;
std::string_view name(const Move& move);
inline constexpr size_t kMaxMoveBytes = (1u << 20) + (64u << 10);  // one opening: 1 MiB of slices and their proofs

// ---- the game ----

enum class Phase : uint8_t { steps = 1, calls, slots, link, outputs, tile, blocks, opening, decided };
constexpr bool is_valid(Phase p) { return p >= Phase::steps && p <= Phase::decided; }
std::string_view name(Phase phase);

// One thing, as each side holds it.
struct Contested {
  Hash provider;
  Hash challenger;
  static constexpr auto fields() {
    return std::tuple{field("provider", &Contested::provider), field("challenger", &Contested::challenger)};
  }
};
struct ContestedCarry {
  kernels::Carry provider;
  kernels::Carry challenger;
  static constexpr auto fields() {
    return std::tuple{field("provider", &ContestedCarry::provider), field("challenger", &ContestedCarry::challenger)};
  }
};
// The node of a 16-ary tree that is contested now. `shown` are its children once the provider has shown them.
struct Walk {
  uint64_t count = 0;  // leaves of the tree
  uint32_t level = 0;  // above the leaves
  uint64_t index = 0;  // among the nodes of its level
  Hash node;           // as claimed; for a tree not yet entered, the root
  std::vector<Hash> shown;
  static constexpr auto fields() {
    return std::tuple{field("count", &Walk::count), field("level", &Walk::level), field("index", &Walk::index),
                      field("node", &Walk::node), field("shown", &Walk::shown)};
  }
};

// State of a game, a few KiB. What a phase found stays, for the next phases and for people: see explain().
struct Game {
  GameTerms terms;
  Phase phase = Phase::steps;
  Party to_move = Party::provider;
  uint32_t provider_moves = 0;
  uint32_t challenger_moves = 0;
  uint64_t move_bytes = 0;      // of all accepted moves

  bool about_call = false;      // no step differs: the game is about terms.claim
  Walk walk;                    // phases steps, calls, slots
  Hash steps_root;              // zero when the segment is one step
  uint64_t step = 0;            // the disputed step, absolute
  Contested step_root;          // state root after it
  Hash before_root;             // state root before it: agreed; zero until it has been shown
  Hash calls_root;
  uint32_t call = 0;            // the disputed call
  Contested call_id;
  uint32_t slot = 0;            // the disputed slot, when no call differs
  Contested slot_id;
  Call leaf;                    // the disputed call, from phase tile on
  std::vector<Hash> output_ids; // as claimed; those before `output` are agreed
  uint32_t output = 0;
  Contested output_id;
  ChunkRange range;             // phase tile: the contested node of BLAKE3's tree over the output
  Hash range_cv;                // its chaining value as claimed (the content id for the whole)
  std::vector<Hash> range_shown;
  Bytes chunk_bytes;            // the last chunks, once shown
  uint64_t element = 0;
  ContestedCarry value;         // the element's bits in `lo`
  uint64_t first_block = 0;     // phase blocks: blocks [first, last) are contested
  uint64_t last_block = 0;
  uint64_t blocks = 0;
  kernels::Carry agreed;        // before first_block
  ContestedCarry carry;         // after last_block - 1; of the last block only `lo` counts
  std::vector<kernels::Carry> carries_shown;
  std::optional<kernels::Carry> found;  // by the referee

  std::optional<Party> winner;  // set when decided
  bool plan_false = false;      // decided without a winner: the plan's leaf breaks its operator's rules
  std::string reason;           // one sentence
  static constexpr auto fields() {
    return std::tuple{field("terms", &Game::terms),
                      field("phase", &Game::phase),
                      field("to_move", &Game::to_move),
                      field("provider_moves", &Game::provider_moves),
                      field("challenger_moves", &Game::challenger_moves),
                      field("move_bytes", &Game::move_bytes),
                      field("about_call", &Game::about_call),
                      field("walk", &Game::walk),
                      field("steps_root", &Game::steps_root),
                      field("step", &Game::step),
                      field("step_root", &Game::step_root),
                      field("before_root", &Game::before_root),
                      field("calls_root", &Game::calls_root),
                      field("call", &Game::call),
                      field("call_id", &Game::call_id),
                      field("slot", &Game::slot),
                      field("slot_id", &Game::slot_id),
                      field("leaf", &Game::leaf),
                      field("output_ids", &Game::output_ids),
                      field("output", &Game::output),
                      field("output_id", &Game::output_id),
                      field("range", &Game::range),
                      field("range_cv", &Game::range_cv),
                      field("range_shown", &Game::range_shown),
                      field("chunk_bytes", &Game::chunk_bytes),
                      field("element", &Game::element),
                      field("value", &Game::value),
                      field("first_block", &Game::first_block),
                      field("last_block", &Game::last_block),
                      field("blocks", &Game::blocks),
                      field("agreed", &Game::agreed),
                      field("carry", &Game::carry),
                      field("carries_shown", &Game::carries_shown),
                      field("found", &Game::found),
                      field("winner", &Game::winner),
                      field("plan_false", &Game::plan_false),
                      field("reason", &Game::reason)};
  }
  bool over() const { return phase == Phase::decided; }
};

// `terms` must have passed check(). The provider moves first.
Game open_game(const GameTerms& terms);

// Plays one move. Errors leave the game as it was: wrong_turn (not this party's, or the game is over), malformed (not a move
// of this phase, or an index out of range), invalid (a pick that holds the same as was shown), proof (what is shown does not
// hash to what was claimed, or does not open what it must), limit (larger than kMaxMoveBytes).
// Pure and single-threaded: same result on every node. Cost: hashing of the move; at most 10 ms for an opening.
Result<> play(Game& game, Party mover, const Move& move);

// The clock of the party to move ran out: the other wins.
void forfeit(Game& game);

// The zoom as lines, outermost first: "step 41 of 100: provider 3f2a..., challenger 90bc...". Names the operator and, at the
// end, the one number that each side claims and what the referee found.
std::vector<std::string> explain(const Game& game);

// Boundaries of the parts into which the blocks [first, last) are split: part i is [b[i], b[i+1]); at most 32 parts.
std::vector<uint64_t> block_parts(uint64_t first, uint64_t last);
inline constexpr uint64_t kShownChunks = 4;  // phase tile ends in bytes when so few chunks are left

}  // namespace cairn::attest

CODEC_ELSEWHERE(attest::GameTerms)
CODEC_ELSEWHERE(attest::Move)
CODEC_ELSEWHERE(attest::Game)
