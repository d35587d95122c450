// A game as lines for people.
#include <array>
#include <bit>
#include <cstdio>

#include "attest/dispute.h"

namespace cairn::attest {
namespace {

std::string brief(const Hash& hash) { return hash.hex().substr(0, 12); }

std::string both(const Contested& c) {
  return "provider " + brief(c.provider) + ", challenger " + brief(c.challenger);
}

std::string hexadecimal(uint64_t bits, int digits) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%0*llx", digits, static_cast<unsigned long long>(bits));
  return text.data();
}

// "1.25 (0x3fa00000)"
std::string value_text(kernels::DType dtype, uint64_t bits) {
  const std::string raw = hexadecimal(bits, 2 * static_cast<int>(kernels::size_of(dtype)));
  switch (dtype) {
    case kernels::DType::f32:
    case kernels::DType::bf16: {
      const auto word = static_cast<uint32_t>(dtype == kernels::DType::bf16 ? bits << 16 : bits);
      std::array<char, 48> text{};
      std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(std::bit_cast<float>(word)));
      return std::string(text.data()) + " (" + raw + ")";
    }
    case kernels::DType::i64: return std::to_string(static_cast<int64_t>(bits));
    case kernels::DType::i32: return std::to_string(static_cast<int32_t>(bits));
    case kernels::DType::u8: return std::to_string(bits);
  }
  return raw;
}

std::string carry_text(const kernels::Carry& carry) {
  return hexadecimal(carry.lo, 8) + (carry.hi ? ":" + hexadecimal(carry.hi, 8) : "");
}

// "[3, 17]" of a row-major element number.
std::string place(const TensorType& type, uint64_t element) {
  std::string text;
  for (size_t d = type.shape.size(); d-- > 0;) {
    const auto size = static_cast<uint64_t>(type.shape[d]);
    text = std::to_string(element % size) + (text.empty() ? "" : ", " + text);
    element /= size;
  }
  return "[" + text + "]";
}

// How far a game went, whatever its phase is now.
int depth(const Game& game) {
  if (game.blocks > 0) return 4;                   // an element was picked
  if (!game.output_id.provider.is_zero()) return 3;
  if (!game.call_id.provider.is_zero()) return 2;
  if (!game.slot_id.provider.is_zero()) return 2;
  return !game.step_root.provider.is_zero() || game.about_call ? 1 : 0;
}

}  // namespace

std::vector<std::string> explain(const Game& game) {
  const GameTerms& terms = game.terms;
  const int found = depth(game);
  std::vector<std::string> lines;
  lines.push_back("segment " + std::to_string(terms.segment) + " (steps " + std::to_string(terms.start_step) + " to " +
                  std::to_string(terms.end_step - 1) + "): " +
                  (terms.claim ? "the ends agree, call " + std::to_string(terms.claim->call) + " of step " + std::to_string(terms.claim->step) +
                                     " does not: " + both({terms.claim->provider, terms.claim->challenger})
                               : "its end: " + both({terms.end_root, terms.challenger_end_root})));
  if (found >= 1)
    lines.push_back("step " + std::to_string(game.step) + ": " +
                    (game.about_call ? "the state after it is agreed" : "the state after it: " + both(game.step_root)));
  if (!game.slot_id.provider.is_zero())
    lines.push_back("no call differs, but state " + std::to_string(game.slot) + " after the step: " + both(game.slot_id));
  if (!game.call_id.provider.is_zero()) {
    const kernels::Operator* op = game.leaf.output_types.empty() ? nullptr : kernels::find_operator(game.leaf.op);
    lines.push_back("call " + std::to_string(game.call) + " of " + std::to_string(terms.calls) + (op ? ", " + std::string(op->name) : "") +
                    ": what it gave: " + both(game.call_id));
  }
  if (found >= 3) {
    const TensorType& type = game.leaf.output_types[game.output];
    lines.push_back("output " + std::to_string(game.output) + ", " + kernels::to_string(type) + ": " + both(game.output_id));
    if (found >= 4)
      lines.push_back("element " + place(type, game.element) + ": provider " + value_text(type.dtype, game.value.provider.lo) +
                      ", challenger " + value_text(type.dtype, game.value.challenger.lo));
    else if (game.phase == Phase::tile)
      lines.push_back("chunks " + std::to_string(game.range.first) + " to " + std::to_string(game.range.first + game.range.count - 1) +
                      " of 1024 bytes are contested");
    if (found >= 4 && game.blocks > 1)
      lines.push_back("block " + std::to_string(game.first_block) +
                      (game.last_block - game.first_block > 1 ? " to " + std::to_string(game.last_block - 1) : "") + " of " +
                      std::to_string(game.blocks) + " of its reduction: provider " + carry_text(game.carry.provider) + ", challenger " +
                      carry_text(game.carry.challenger));
    if (game.found)
      lines.push_back("the ledger recomputed " + std::string(game.blocks > 1 ? "this block" : "this element") + ": " +
                      (game.last_block == game.blocks ? value_text(type.dtype, game.found->lo) : carry_text(*game.found)));
  }
  if (game.plan_false) lines.push_back("the plan is false: " + game.reason);
  else if (game.winner) lines.push_back("the " + std::string(name(*game.winner)) + " wins: " + game.reason);
  else
    lines.push_back("phase " + std::string(name(game.phase)) + ", the " + std::string(name(game.to_move)) + " is to move (" +
                    std::to_string(game.provider_moves + game.challenger_moves) + " moves so far)");
  return lines;
}

}  // namespace cairn::attest
