#include "attest/referee.h"

#include <algorithm>

namespace cairn::attest {
namespace {

using kernels::SourceMissing;

Error no_proof(std::string text) { return {Code::proof, std::move(text), "open what the block reads"}; }

// Reads operands from opened chunks. What is not there is SourceMissing.
class OpenedSource final : public kernels::Source {
 public:
  struct Operand {
    const TensorType* type = nullptr;
    const SliceProof* slices = nullptr;  // null: not opened
    size_t hint = 0;                     // where the last read was
  };
  explicit OpenedSource(std::vector<Operand> operands) : operands_(std::move(operands)) {}

  uint64_t bits(size_t operand, int64_t element) override {
    if (operand >= operands_.size() || !operands_[operand].slices) throw SourceMissing{operand, element};
    Operand& from = operands_[operand];
    if (element < 0 || element >= kernels::elements(*from.type)) throw SourceMissing{operand, element};
    const auto size = static_cast<uint64_t>(kernels::size_of(from.type->dtype));
    const uint64_t at = static_cast<uint64_t>(element) * size, chunk = at / kChunkBytes;
    const std::vector<uint64_t>& chunks = from.slices->chunks;
    if (from.hint >= chunks.size() || chunks[from.hint] != chunk) {
      const auto found = std::lower_bound(chunks.begin(), chunks.end(), chunk);
      if (found == chunks.end() || *found != chunk) throw SourceMissing{operand, element};
      from.hint = static_cast<size_t>(found - chunks.begin());
    }
    const uint8_t* bytes = from.slices->data[from.hint].data() + at % kChunkBytes;  // the size is checked: it is all there
    uint64_t out = 0;
    for (uint64_t b = 0; b < size; b++) out |= static_cast<uint64_t>(bytes[b]) << (8 * b);
    return out;
  }

 private:
  std::vector<Operand> operands_;
};

}  // namespace

Result<Hash> open_value(const Game& game, const ValueRef& ref, uint32_t before_call, const ValueProof& proof) {
  // One opening has one encoding: what a reference does not need is empty.
  const bool named = ref.from == From::input || ref.from == From::state;
  if ((!named && !proof.id.is_zero()) || (ref.from != From::call && !proof.output_ids.empty()) || (ref.from != From::constant && proof.constant))
    return no_proof("a value's proof holds what its reference does not need");
  switch (ref.from) {
    case From::input:
      TRY(check_path(game.terms.input_root, game.terms.inputs, ref.index, proof.id, proof.path));
      return proof.id;
    case From::constant:
      if (!proof.constant) return no_proof("a constant without its proof");
      TRY(check_constant(game.terms.plan_root, proof.constant->head, ref.index, proof.constant->leaf, proof.path));
      return proof.constant->leaf.id;
    case From::state:
      TRY(check_state_path(game.before_root, game.step, game.terms.state_slots, ref.index, proof.id, proof.path));
      return proof.id;
    case From::call:
      if (ref.index >= before_call) return no_proof("a value of a call that is not agreed");
      if (ref.output >= proof.output_ids.size()) return no_proof("a call has no such output");
      TRY(check_path(game.calls_root, game.terms.calls, ref.index, call_id(proof.output_ids), proof.path));
      return proof.output_ids[ref.output];
  }
  return no_proof("an unknown reference");
}

Result<kernels::Carry> referee(const Game& game, const OpenBlock& opening) {
  const Call& call = game.leaf;
  const kernels::Operator* op = kernels::find_operator(call.op);
  if (!op) return no_proof("no such operator");
  const size_t inputs = call.inputs.size();

  std::vector<OpenedSource::Operand> operands(inputs + game.output);
  for (size_t k = 0; k < inputs; k++) operands[k].type = &call.input_types[k];
  for (size_t o = 0; o < game.output; o++) operands[inputs + o].type = &call.output_types[o];

  for (size_t i = 0; i < opening.operands.size(); i++) {
    const OpenedOperand& opened = opening.operands[i];
    if (opened.operand >= operands.size() || (i > 0 && opened.operand <= opening.operands[i - 1].operand))
      return no_proof("the operands of an opening are not in order");
    OpenedSource::Operand& operand = operands[opened.operand];
    Hash id;
    ContentKey key = game.terms.key;
    if (opened.operand < inputs) {
      if (call.inputs[opened.operand].from == From::constant) key.reset();
      TRY_LET(found, open_value(game, call.inputs[opened.operand], game.call, opened.value));
      id = found;
    } else {
      if (encode(opened.value) != encode(ValueProof{})) return no_proof("an earlier output needs no proof of its id");
      id = game.output_ids[opened.operand - inputs];  // before the disputed output: agreed
    }
    if (opened.slices.size_bytes != static_cast<uint64_t>(kernels::bytes(*operand.type)))
      return no_proof("operand " + std::to_string(opened.operand) + " has another size than the plan says");
    TRY(check_slices(id, opened.slices, key));
    operand.slices = &opened.slices;
  }
  // One value that is several operands is opened once, under the first of them.
  for (size_t k = 0; k < inputs; k++)
    for (size_t j = 0; j < k && !operands[k].slices; j++)
      if (call.inputs[j] == call.inputs[k] && kernels::bytes(call.input_types[j]) == kernels::bytes(call.input_types[k]))
        operands[k].slices = operands[j].slices;

  OpenedSource source(std::move(operands));
  try {
    return op->fold({call.input_types, call.output_types, call.attrs}, {game.terms.seed, game.step}, game.output,
                    static_cast<int64_t>(game.element), static_cast<int64_t>(game.first_block), game.agreed, source);
  } catch (const SourceMissing& missing) {
    return no_proof("the opening lacks element " + std::to_string(missing.element) + " of operand " + std::to_string(missing.operand));
  }
}

}  // namespace cairn::attest
