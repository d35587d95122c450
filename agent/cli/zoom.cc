#include "agent/cli/zoom.h"

#include <array>
#include <bit>
#include <cstdio>

namespace cairn::agent {

namespace {

using attest::Contested;
using attest::Game;

std::string decimal_of(kernels::DType dtype, uint64_t bits) {
  std::array<char, 48> text{};
  switch (dtype) {
    case kernels::DType::f32:
    case kernels::DType::bf16: {
      const auto word = static_cast<uint32_t>(dtype == kernels::DType::bf16 ? bits << 16 : bits);
      std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(std::bit_cast<float>(word)));
      return text.data();
    }
    case kernels::DType::i64: return std::to_string(static_cast<int64_t>(bits));
    case kernels::DType::i32: return std::to_string(static_cast<int32_t>(bits));
    default: return std::to_string(bits);
  }
}

std::string hexadecimal(uint64_t bits) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%08llx", static_cast<unsigned long long>(bits));
  return text.data();
}

// A fold's carry: an accumulator, sometimes in two words.
std::string carry_text(const kernels::Carry& carry) {
  return hexadecimal(carry.lo) + (carry.hi ? ":" + hexadecimal(carry.hi) : "");
}

JsonObject level(std::string_view phase, uint64_t index, uint64_t count, const std::string& of) {
  JsonObject json;
  json.add("phase", phase).add("index", index).add("count", count).add("of", of);
  return json;
}
JsonObject level(std::string_view phase, uint64_t index, uint64_t count, const std::string& of, const Contested& ids) {
  return level(phase, index, count, of).add("provider", ids.provider).add("challenger", ids.challenger);
}

}  // namespace

JsonObject zoom_of(const ledger::Dispute& dispute, uint64_t segments) {
  const Game& game = dispute.game;
  const attest::GameTerms& terms = game.terms;
  std::vector<JsonObject> levels;
  levels.push_back(level("segment", terms.segment, segments, "state after its last step", {terms.end_root, terms.challenger_end_root}));
  if (game.about_call || !game.step_root.provider.is_zero())
    levels.push_back(level("step", game.step - terms.start_step, terms.end_step - terms.start_step,
                           "state after step " + std::to_string(game.step + 1), game.step_root));
  if (!game.slot_id.provider.is_zero())
    levels.push_back(level("slot", game.slot, terms.state_slots, "a state buffer after the step", game.slot_id));
  const kernels::Operator* op = game.leaf.output_types.empty() ? nullptr : kernels::find_operator(game.leaf.op);
  if (!game.call_id.provider.is_zero())
    levels.push_back(level("call", game.call, terms.calls, op ? std::string(op->name) : "an operator", game.call_id));
  std::string provider_value, challenger_value, found;
  if (op && game.output < game.leaf.output_types.size()) {
    const kernels::TensorType& type = game.leaf.output_types[game.output];
    if (!game.output_id.provider.is_zero())
      levels.push_back(level("output", game.output, game.leaf.output_types.size(), kernels::to_string(type), game.output_id));
    if (game.blocks > 0) {
      const auto elements = static_cast<uint64_t>(kernels::elements(type));
      provider_value = decimal_of(type.dtype, game.value.provider.lo);
      challenger_value = decimal_of(type.dtype, game.value.challenger.lo);
      levels.push_back(level("element", game.element, elements, "one number of " + kernels::to_string(type))
                           .add("provider", provider_value)
                           .add("challenger", challenger_value)
                           .add("provider_bits", hexadecimal(game.value.provider.lo))
                           .add("challenger_bits", hexadecimal(game.value.challenger.lo)));
      if (game.blocks > 1)
        levels.push_back(level("block", game.first_block, game.blocks, "a part of the sum behind that number")
                             .add("provider", carry_text(game.carry.provider))
                             .add("challenger", carry_text(game.carry.challenger)));
      if (game.found) found = game.last_block == game.blocks ? decimal_of(type.dtype, game.found->lo) : carry_text(*game.found);
    }
  }
  JsonObject json;
  json.add("game", dispute.id).add("segment", terms.segment).add("provider", dispute.provider).add("challenger", dispute.challenger);
  json.raw("winner", game.winner ? json_quote(attest::name(*game.winner)) : "null");
  json.add("phase", attest::name(game.phase)).add("reason", game.reason);
  const auto text_or_null = [](const std::string& text) { return text.empty() ? "null" : json_quote(text); };
  json.raw("provider_value", text_or_null(provider_value)).raw("challenger_value", text_or_null(challenger_value));
  json.raw("found", text_or_null(found));
  json.add("moves", game.provider_moves + game.challenger_moves).add("move_bytes", game.move_bytes);
  json.add("levels", levels).add("lines", attest::explain(game));
  return json;
}

}  // namespace cairn::agent
