#include "tests/attest/trial.h"

#include <ctime>

namespace cairn::attest {
namespace {

using kernels::CallShape;
using kernels::DType;
using kernels::Operator;

uint64_t roll(std::mt19937_64& rng, uint64_t n) { return rng() % n; }

void flip(Bytes& bytes, const TensorType& type, uint64_t at, uint64_t bits) {
  const auto size = static_cast<size_t>(kernels::size_of(type.dtype));
  const size_t element = static_cast<size_t>(at % static_cast<uint64_t>(kernels::elements(type)));
  bool changed = false;
  for (size_t b = 0; b < size; b++) {
    const auto mask = static_cast<uint8_t>(bits >> (8 * b));
    bytes[element * size + b] ^= mask;
    changed |= mask != 0;
  }
  if (!changed) bytes[element * size] ^= 1;
}

void append_call(Example& example, const Operator& op, std::vector<ValueRef> refs, std::vector<TensorType> in, std::vector<int64_t> attrs) {
  Call call;
  call.op = op.id;
  call.attrs = std::move(attrs);
  call.inputs = std::move(refs);
  call.input_types = std::move(in);
  call.output_types = must(op.infer(call.input_types, call.attrs));
  call.work_ns = work_of(op, {call.input_types, call.output_types, call.attrs}, WorkTable{});
  example.plan.calls.push_back(std::move(call));
}

ValueRef add_input(Example& example, const TensorType& type, Bytes bytes) {
  const auto index = static_cast<uint32_t>(example.inputs.size());
  example.plan.inputs.push_back({"input" + std::to_string(index), type});
  example.inputs.push_back(std::move(bytes));
  return {From::input, index, 0};
}
ValueRef add_constant(Example& example, const TensorType& type, Bytes bytes) {
  example.plan.constants.push_back({type, std::move(bytes)});
  return {From::constant, static_cast<uint32_t>(example.plan.constants.size() - 1), 0};
}
ValueRef add_state(Example& example, const TensorType& type, Bytes bytes) {
  const auto index = static_cast<uint32_t>(example.plan.state.size());
  example.plan.state.push_back({"state" + std::to_string(index), type, {InitKind::given, 0}, {From::state, index, 0}});
  example.start.push_back(std::move(bytes));
  return {From::state, index, 0};
}

bool same_bytes(const TensorType& a, const TensorType& b) { return a.dtype == b.dtype && kernels::elements(a) == kernels::elements(b); }

}  // namespace

Example random_example(std::mt19937_64& rng, size_t calls) {
  Example example;
  std::vector<std::pair<ValueRef, TensorType>> pool;  // f32 values that later calls may read
  const auto random_f32 = [&](const TensorType& type) {
    Bytes bytes(static_cast<size_t>(kernels::bytes(type)));
    std::uniform_real_distribution<float> values(-2.0f, 2.0f);
    for (size_t i = 0; i < bytes.size(); i += 4) {
      const float value = values(rng);
      std::memcpy(bytes.data() + i, &value, 4);
    }
    return bytes;
  };
  for (const TensorType& type : {TensorType{DType::f32, {5, 67}}, TensorType{DType::f32, {5, 70}}, TensorType{DType::f32, {7, 300}},
                                 TensorType{DType::f32, {300, 9}}, TensorType{DType::f32, {3, 5001}}})
    pool.emplace_back(add_state(example, type, random_f32(type)), type);

  while (example.plan.calls.size() < calls) {
    const Operator& op = *kernels::operators()[roll(rng, kernels::operators().size())];
    const kernels::KnownCall known = kernels::known_call(op);
    const std::vector<Bytes> operands = kernels::known_operands(known);
    std::vector<ValueRef> refs;
    for (size_t k = 0; k < known.in.size(); k++) {
      std::vector<ValueRef> fits;
      if (known.in[k].dtype == DType::f32)
        for (const auto& [ref, type] : pool)
          if (same_bytes(type, known.in[k])) fits.push_back(ref);
      if (!fits.empty() && roll(rng, 4) != 0) refs.push_back(fits[roll(rng, fits.size())]);
      else if (roll(rng, 2) == 0) refs.push_back(add_constant(example, known.in[k], operands[k]));
      else refs.push_back(add_input(example, known.in[k], operands[k]));
    }
    append_call(example, op, refs, known.in, known.attrs);
    const auto index = static_cast<uint32_t>(example.plan.calls.size() - 1);
    const auto& outputs = example.plan.calls.back().output_types;
    for (uint8_t o = 0; o < outputs.size(); o++) {
      if (outputs[o].dtype == DType::f32) pool.emplace_back(ValueRef{From::call, index, o}, outputs[o]);
      // Some outputs are state of their own, like losses and statistics.
      if (roll(rng, 2) == 0) {
        add_state(example, outputs[o], Bytes(static_cast<size_t>(kernels::bytes(outputs[o]))));
        example.plan.state.back().next = {From::call, index, o};
      }
    }
  }
  for (size_t i = 0; i < 5; i++) {  // the first slots feed back
    std::vector<ValueRef> fits;
    for (const auto& [ref, type] : pool)
      if (same_bytes(type, example.plan.state[i].type) && (ref.from == From::call || roll(rng, 8) == 0)) fits.push_back(ref);
    if (!fits.empty()) example.plan.state[i].next = fits[roll(rng, fits.size())];
  }
  return example;
}

Example example_of(const Operator& op) {
  Example example;
  const kernels::KnownCall known = kernels::known_call(op);
  const std::vector<Bytes> operands = kernels::known_operands(known);
  std::vector<ValueRef> refs;
  for (size_t k = 0; k < known.in.size(); k++) {
    if (k % 3 == 0) refs.push_back(add_input(example, known.in[k], operands[k]));
    else if (k % 3 == 1) refs.push_back(add_constant(example, known.in[k], operands[k]));
    else refs.push_back(add_state(example, known.in[k], operands[k]));
  }
  append_call(example, op, refs, known.in, known.attrs);
  const auto outputs = example.plan.calls[0].output_types;
  for (uint8_t o = 0; o < outputs.size(); o++) {
    add_state(example, outputs[o], Bytes(static_cast<size_t>(kernels::bytes(outputs[o]))));
    example.plan.state.back().next = {From::call, 0, o};
  }
  return example;
}

Trial::Trial(const Example& example, uint64_t seed, uint64_t start_step, uint64_t end_step, const std::vector<Bytes>& start, Lie lie,
             Meddling meddling)
    : example_(example), start_(start_step), lie_(lie), meddling_(std::move(meddling)) {
  steps_.push_back({start, {}, {}, {}});
  for (uint64_t step = start_step; step < end_step; step++)
    run_step(step, lie.kind == Lie::seed && step >= lie.step ? seed + 1 : seed);
}

void Trial::run_step(uint64_t step, uint64_t seed) {
  const Plan& plan = example_.plan;
  Step& record = steps_.back();
  for (size_t c = 0; c < plan.calls.size(); c++) {
    const Call& call = plan.calls[c];
    std::vector<const void*> in;
    std::vector<void*> out;
    for (const ValueRef& ref : call.inputs) in.push_back(find(record, ref).data());
    std::vector<Bytes> outputs;
    for (const TensorType& type : call.output_types) outputs.emplace_back(static_cast<size_t>(kernels::bytes(type)));
    for (Bytes& bytes : outputs) out.push_back(bytes.data());
    const CallShape shape{call.input_types, call.output_types, call.attrs};
    kernels::run_reference(*kernels::find_operator(call.op), shape, {seed, step}, in, out);

    const bool here = step == lie_.step && c == lie_.call;
    const size_t o = lie_.output % outputs.size();
    if (here && lie_.kind == Lie::value) flip(outputs[o], call.output_types[o], lie_.at, lie_.flip);
    if (meddling_.output)
      for (size_t out_number = 0; out_number < outputs.size(); out_number++)
        meddling_.output(step, static_cast<uint32_t>(c), static_cast<uint8_t>(out_number), outputs[out_number]);
    std::vector<Hash> ids;
    for (const Bytes& bytes : outputs) ids.push_back(blake3(bytes, example_.key));
    if (here && lie_.kind == Lie::id_only) ids[o] = blake3(as_bytes("no output has this id"));
    record.outputs.push_back(std::move(outputs));
    record.ids.push_back(std::move(ids));
  }
  Step next;
  for (const StateSlot& slot : plan.state) next.state.push_back(find(record, slot.next));
  if (step == lie_.step && lie_.kind == Lie::skip) next.state = record.state;
  if (step == lie_.step && lie_.kind == Lie::state) {
    const size_t s = lie_.slot % next.state.size();
    flip(next.state[s], plan.state[s].type, lie_.at, lie_.flip);
  }
  if (meddling_.state) meddling_.state(step + 1, next.state);
  steps_.push_back(std::move(next));
}

const Bytes& Trial::find(const Step& step, const ValueRef& ref) const {
  switch (ref.from) {
    case From::input: return example_.inputs[ref.index];
    case From::constant: return example_.plan.constants[ref.index].bytes;
    case From::state: return step.state[ref.index];
    case From::call: break;
  }
  return step.outputs[ref.index][ref.output];
}

std::vector<Hash> Trial::input_ids() {
  std::vector<Hash> ids;
  for (const Bytes& input : example_.inputs) ids.push_back(blake3(input, example_.key));
  for (size_t s = 0; s < example_.start.size(); s++)
    if (example_.plan.state[s].init.kind == InitKind::given) ids.push_back(blake3(example_.start[s], example_.key));
  return ids;
}
std::vector<Hash> Trial::step_roots() {
  std::vector<Hash> roots;
  for (uint64_t step = start_ + 1; step < start_ + steps_.size(); step++) roots.push_back(state_root(step, state_ids(step)));
  if (lie_.kind == Lie::end_root) roots.back() = blake3(as_bytes("no state has this root"));
  return roots;
}
std::vector<Hash> Trial::call_ids(uint64_t step) {
  std::vector<Hash> ids;
  for (const auto& outputs : at(step).ids) ids.push_back(call_id(outputs));
  return ids;
}
std::vector<Hash> Trial::output_ids(uint64_t step, uint32_t call) { return at(step).ids.at(call); }
std::vector<Hash> Trial::state_ids(uint64_t step) {
  Step& record = at(step);
  if (record.state_ids.empty())
    for (const Bytes& bytes : record.state) record.state_ids.push_back(blake3(bytes, example_.key));
  return record.state_ids;
}
Bytes Trial::value(uint64_t step, const ValueRef& ref) { return find(at(step), ref); }

GameTerms terms_of(const Example& example, uint64_t seed, uint64_t start_step, uint64_t end_step, Trial& provider, Trial& challenger) {
  GameTerms terms;
  terms.plan_root = plan_root(example.plan);
  terms.calls = static_cast<uint32_t>(example.plan.calls.size());
  terms.state_slots = static_cast<uint32_t>(example.plan.state.size());
  const std::vector<Hash> inputs = challenger.input_ids();
  terms.inputs = static_cast<uint32_t>(inputs.size());
  terms.input_root = tree_root(inputs);
  terms.seed = seed;
  terms.start_step = start_step;
  terms.end_step = end_step;
  terms.start_root = provider.start_root();
  terms.end_root = provider.step_roots().back();
  terms.challenger_end_root = challenger.step_roots().back();
  terms.key = example.key;
  return terms;
}

Played play_out(const GameTerms& terms, const Plan& plan, Replay& provider, Replay& challenger,
                const std::function<void(Game&, Party, Move&)>& meddle) {
  Played played;
  played.game = open_game(terms);
  Game& game = played.game;
  while (!game.over()) {
    const Party mover = game.to_move;
    auto move = next_move(game, mover, plan, mover == Party::provider ? provider : challenger);
    if (move && meddle) meddle(game, mover, *move);
    if (move) {
      const Bytes bytes = encode(*move);
      played.largest_move = std::max<uint64_t>(played.largest_move, bytes.size());
      const Move received = must(decode<Move>(bytes));
      const std::clock_t begin = std::clock();  // of this process: the machine may be busy
      if (play(game, mover, received)) {
        played.referee_ms = 1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        game = must(decode<Game>(encode(game)));  // what the ledger stores is all there is
        continue;
      }
    } else {
      played.no_case = move.error().code == Code::not_found;
    }
    played.by_clock = true;
    forfeit(game);
  }
  return played;
}

}  // namespace cairn::attest
