#include "runtime/executor.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>

#include "attest/tree.h"
#include "kernels/packed_weight.h"
#include "kernels/reference.h"

namespace cairn::runtime {

using attest::From;
using attest::Plan;
using attest::ValueRef;

namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t aligned(uint64_t size_bytes) { return (size_bytes + kAlignment - 1) / kAlignment * kAlignment; }
uint64_t size_of(const kernels::TensorType& type) { return static_cast<uint64_t>(kernels::bytes(type)); }

Error wrong_size(const std::string& what, const kernels::TensorType& type, size_t have) {
  return {Code::shape, what + " must hold " + kernels::to_string(type) + ", " + std::to_string(size_of(type)) + " bytes, not " +
                           std::to_string(have),
          "bring the tensor that the plan names"};
}

// Where values of a plan live: first and last call that need each buffer.
struct Lifetime {
  uint32_t buffer;
  uint32_t first, last;
  uint64_t size_bytes;
  uint64_t offset = 0;
};

// Greedy by size: the largest first, each at the lowest offset that is free for its whole life. Returns the arena's size.
// Source: Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference", greedy by size.
uint64_t lay_out_arena(std::vector<Lifetime>& all) {
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.size_bytes > b.size_bytes; });
  uint64_t end = 0;
  std::vector<const Lifetime*> placed;  // by offset
  for (Lifetime& one : all) {
    uint64_t offset = 0;
    for (const Lifetime* other : placed) {
      if (other->last < one.first || one.last < other->first) continue;
      if (offset + one.size_bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->size_bytes);
    }
    one.offset = offset;
    end = std::max(end, offset + one.size_bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &one,
                                   [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  &one);
  }
  return end;
}

}  // namespace

void Executor::Memory::operator()(uint8_t* bytes) const {
  if (accelerator != nullptr) accelerator->release(bytes);
  else std::free(bytes);
}

Executor::Executor(const Plan& plan, uint64_t seed, ExecutorOptions options)
    : plan_(plan), seed_(seed), options_(std::move(options)) {
  if (options_.accelerator) accelerator_ = options_.accelerator();
  else if (options_.threads > 1) pool_ = std::make_unique<kernels::Pool>(options_.threads);
}

Result<std::unique_ptr<Executor>> Executor::make(const Plan& plan, std::span<const ByteSpan> inputs, uint64_t seed,
                                                 ExecutorOptions options) {
  std::unique_ptr<Executor> executor(new Executor(plan, seed, std::move(options)));
  TRY(executor->lay_out(inputs));
  return executor;
}

Result<uint8_t*> Executor::allocate(uint64_t size_bytes) {
  const uint64_t size = std::max(aligned(size_bytes), kAlignment);
  auto* bytes = static_cast<uint8_t*>(accelerator_ ? accelerator_->allocate(size) : std::aligned_alloc(kAlignment, size));
  if (bytes == nullptr)
    return Error{Code::memory_limit, "no memory for " + std::to_string(size) + " bytes of the plan's values",
                 "use a smaller batch, or a machine with more memory"};
  blocks_.emplace_back(bytes, Memory{accelerator_.get()});
  memory_bytes_ += size;
  return bytes;
}

uint32_t Executor::buffer_of(const ValueRef& ref) const {
  const auto states = static_cast<uint32_t>(plan_.state.size()), inputs = static_cast<uint32_t>(plan_.inputs.size());
  switch (ref.from) {
    case From::state: return ref.index;
    case From::input: return states + ref.index;
    case From::constant: return states + inputs + ref.index;
    case From::call: return first_output_[ref.index] + ref.output;
  }
  return 0;
}

Result<> Executor::lay_out(std::span<const ByteSpan> inputs) {
  if (inputs.size() != plan_.inputs.size())
    return Error{Code::shape, "the plan has " + std::to_string(plan_.inputs.size()) + " inputs, not " + std::to_string(inputs.size()), "bring one for each"};
  const auto outside = static_cast<uint32_t>(plan_.state.size() + plan_.inputs.size() + plan_.constants.size());
  uint32_t count = outside;
  for (const attest::Call& call : plan_.calls) {
    first_output_.push_back(count);
    count += static_cast<uint32_t>(call.output_types.size());
  }
  const auto calls = static_cast<uint32_t>(plan_.calls.size());

  // Last call that reads a value; what a slot becomes lives to the end of the step.
  std::vector<uint32_t> last_read(count, 0);
  std::vector<bool> read_at_end(count, false);
  for (uint32_t c = 0; c < calls; c++) {
    for (const ValueRef& ref : plan_.calls[c].inputs) last_read[buffer_of(ref)] = c;
    for (size_t o = 0; o < plan_.calls[c].output_types.size(); o++) last_read[first_output_[c] + o] = c;
  }
  std::vector<int64_t> becomes(count, -1);  // call output -> the first slot whose next it is
  for (uint32_t s = 0; s < plan_.state.size(); s++) {
    const uint32_t next = buffer_of(plan_.state[s].next);
    if (next == s) continue;
    if (plan_.state[s].next.from == From::call && becomes[next] < 0) becomes[next] = s;
    else copies_.push_back({s, next, size_of(plan_.state[s].type)});
    read_at_end[next] = true;
  }

  // `home[b]`: the buffer whose memory b uses; b itself unless it is written in place.
  std::vector<uint32_t> home(count);
  std::vector<uint64_t> size(count, 0);
  for (uint32_t b = 0; b < count; b++) home[b] = b;
  std::vector<uint32_t> first(count, 0), last(count, 0);
  for (uint32_t c = 0; c < calls; c++) {
    const attest::Call& call = plan_.calls[c];
    const kernels::Operator* op = kernels::find_operator(call.op);
    if (op == nullptr) return Error{Code::undefined_operator, "the plan uses operator " + std::to_string(call.op), "update this program"};
    if (std::find(operators_.begin(), operators_.end(), op) == operators_.end()) operators_.push_back(op);
    Step step;
    step.op = op;
    step.call = c;
    if (!accelerator_ && kernels::has_check(*op))
      step.check_every = static_cast<uint64_t>(std::max(1.0, 80 * kernels::check_share(*op, {call.input_types, call.output_types, call.attrs})));
    for (const ValueRef& ref : call.inputs) step.in.push_back(buffer_of(ref));
    for (uint32_t o = 0; o < call.output_types.size(); o++) {
      const uint32_t b = first_output_[c] + o;
      size[b] = size_of(call.output_types[o]);
      first[b] = last[b] = c;
      last[b] = read_at_end[b] ? calls : std::max(last_read[b], c);
      step.out.push_back(b);
      for (const kernels::InPlace& pair : op->in_place) {
        if (accelerator_) break;  // its bodies write over nothing that they read
        if (pair.output != o || pair.input >= step.in.size()) continue;
        const uint32_t operand = step.in[pair.input];
        const bool dies = last_read[operand] == c && !read_at_end[operand] &&
                          std::count(step.in.begin(), step.in.end(), operand) == 1;
        const bool is_state = operand < plan_.state.size();
        if (!dies || size_of(call.input_types[pair.input]) != size[b]) continue;
        if (is_state ? becomes[b] != static_cast<int64_t>(operand) : operand < outside || becomes[b] >= 0) continue;
        home[b] = home[operand];
        last[home[b]] = std::max(last[home[b]], last[b]);
      }
    }
    steps_.push_back(std::move(step));
  }

  buffers_.assign(count, nullptr);
  for (uint32_t s = 0; s < plan_.state.size(); s++) {
    TRY_LET(bytes, allocate(size_of(plan_.state[s].type)));
    std::memset(bytes, 0, size_of(plan_.state[s].type));
    buffers_[s] = bytes;
  }
  const auto fill = [&](uint32_t buffer, ByteSpan from) -> Result<> {
    TRY_LET(bytes, allocate(from.size()));
    if (!from.empty()) std::memcpy(bytes, from.data(), from.size());
    buffers_[buffer] = bytes;
    return {};
  };
  for (uint32_t i = 0; i < inputs.size(); i++) {
    if (inputs[i].size() != size_of(plan_.inputs[i].type))
      return wrong_size("input '" + plan_.inputs[i].name + "'", plan_.inputs[i].type, inputs[i].size());
    TRY(fill(buffer_of({From::input, i, 0}), inputs[i]));
  }
  for (uint32_t i = 0; i < plan_.constants.size(); i++) TRY(fill(buffer_of({From::constant, i, 0}), plan_.constants[i].bytes));

  std::vector<Lifetime> arena;
  for (uint32_t b = outside; b < count; b++) {
    if (home[b] != b) continue;
    if (becomes[b] >= 0) {  // not in place: the slot's second buffer
      TRY_LET(bytes, allocate(size[b]));
      buffers_[b] = bytes;
      swaps_.push_back({static_cast<uint32_t>(becomes[b]), b, 0});
    } else {
      arena.push_back({b, first[b], last[b], std::max(aligned(size[b]), kAlignment)});
    }
  }
  for (Move& move : copies_) {  // into buffers of their own first: slots may take each other's values
    TRY_LET(bytes, allocate(move.size_bytes));
    buffers_.push_back(bytes);
    swaps_.push_back({move.to, static_cast<uint32_t>(buffers_.size() - 1), 0});
    move.to = swaps_.back().from;
  }
  const uint64_t arena_bytes = lay_out_arena(arena);
  TRY_LET(base, allocate(arena_bytes));
  for (const Lifetime& one : arena) buffers_[one.buffer] = base + one.offset;
  for (uint32_t b = outside; b < count; b++) buffers_[b] = buffers_[home[b]];
  size_t widest_in = 0, widest_out = 0;
  for (const Step& step : steps_) {
    widest_in = std::max(widest_in, step.in.size());
    widest_out = std::max(widest_out, step.out.size());
  }
  in_.resize(widest_in);
  out_.resize(widest_out);
  if (!accelerator_) pack_weights();
  return {};
}

// Inputs of which every reader is a product that takes its weight packed.
void Executor::pack_weights() {
  const size_t first = plan_.state.size(), end = first + plan_.inputs.size();
  std::vector<bool> read(end, false), otherwise(end, false);
  for (const attest::StateSlot& slot : plan_.state)
    if (const uint32_t next = buffer_of(slot.next); next < end) otherwise[next] = true;
  for (Step& step : steps_) {
    const attest::Call& call = plan_.calls[step.call];
    step.packed_attrs = kernels::with_packed_weight(*step.op, {call.input_types, call.output_types, call.attrs});
    for (size_t i = 0; i < step.in.size(); i++)
      if (step.in[i] < end) (step.packed_attrs && i == kernels::kWeight ? read : otherwise)[step.in[i]] = true;
  }
  for (size_t b = first; b < end; b++)
    if (read[b] && !otherwise[b]) kernels::pack_weight(buffers_[b], plan_.inputs[b - first].type, {options_.isa, pool_.get()});
  for (Step& step : steps_)
    if (step.packed_attrs && (step.in[kernels::kWeight] < first || step.in[kernels::kWeight] >= end || otherwise[step.in[kernels::kWeight]])) step.packed_attrs.reset();
}

void Executor::run_checked(const Step& step, const kernels::CallShape& shape, std::span<const void* const> in, std::span<void* const> out) {
  const uint64_t seed = seed_ ^ (step_ << 20 | step.call);
  const auto checked = kernels::run_checked(*step.op, shape, in, out, {options_.isa, pool_.get()}, seed, options_.break_tile);
  if (checked) return;
  Error error = checked.error();
  error.text = "step " + std::to_string(step_) + ", call " + std::to_string(step.call) + ": " + error.text;
  throw Fault(std::move(error));
}

Result<> Executor::canary(bool all) {
  for (size_t asked = all ? operators_.size() : std::min<size_t>(1, operators_.size()); asked > 0; asked--)
    TRY(kernels::check_known_answer(*operators_[canary_++ % operators_.size()], {options_.isa, pool_.get()}));
  return {};
}

void Executor::run_calls(const Observe& observe) {
  const kernels::StepContext context{seed_, step_};
  const kernels::Exec exec{options_.isa, pool_.get()};
  for (const Step& step : steps_) {
    const attest::Call& call = plan_.calls[step.call];
    for (size_t i = 0; i < step.in.size(); i++) in_[i] = buffers_[step.in[i]];
    for (size_t o = 0; o < step.out.size(); o++) out_[o] = buffers_[step.out[o]];
    const kernels::CallShape shape{call.input_types, call.output_types, step.packed_attrs ? *step.packed_attrs : call.attrs};
    const std::span<const void* const> in{in_.data(), step.in.size()};
    const std::span<void* const> out{out_.data(), step.out.size()};
    if (accelerator_) accelerator_->launch(*step.op, shape, in, out);
    else if (step.check_every != 0 && (step_ + step.call) % step.check_every == 0) run_checked(step, shape, in, out);
    else step.op->host(shape, context, in, out, exec);
    if (!options_.tamper && !observe) continue;
    if (accelerator_) accelerator_->wait();
    for (uint8_t o = 0; o < step.out.size(); o++) {
      const std::span<uint8_t> bytes{static_cast<uint8_t*>(out_[o]), size_of(call.output_types[o])};
      if (options_.tamper) options_.tamper(step_, step.call, o, bytes);
      if (observe) observe(step.call, o, bytes);
    }
  }
  for (const Move& move : copies_) {
    if (accelerator_) accelerator_->copy(buffers_[move.to], buffers_[move.from], move.size_bytes);
    else std::memcpy(buffers_[move.to], buffers_[move.from], move.size_bytes);
  }
}

void Executor::run_step(const Observe& observe) {
  if (accelerator_) {
    const bool watched = options_.tamper || observe;
    accelerator_->run({seed_, step_}, watched ? std::nullopt : std::optional(turn_), [&] { run_calls(observe); });
    accelerator_->wait();
  } else {
    run_calls(observe);
  }
  for (const Move& move : swaps_) std::swap(buffers_[move.to], buffers_[move.from]);
  turn_ ^= 1;
  step_++;
}

Result<> Executor::load(const State& state) {
  if (state.slots.size() != plan_.state.size())
    return Error{Code::shape, "the state has " + std::to_string(state.slots.size()) + " slots, the plan " + std::to_string(plan_.state.size()), "bring a state of this plan"};
  for (size_t s = 0; s < state.slots.size(); s++)
    if (state.slots[s].size() != size_of(plan_.state[s].type))
      return wrong_size("state '" + plan_.state[s].name + "'", plan_.state[s].type, state.slots[s].size());
  for (size_t s = 0; s < state.slots.size(); s++)
    if (!state.slots[s].empty()) std::memcpy(buffers_[s], state.slots[s].data(), state.slots[s].size());
  step_ = state.step;
  return {};
}

ByteSpan Executor::slot(size_t index) const { return {buffers_[index], size_of(plan_.state[index].type)}; }

State Executor::save() const {
  State state{step_, {}};
  for (size_t s = 0; s < plan_.state.size(); s++) state.slots.emplace_back(slot(s).begin(), slot(s).end());
  return state;
}

Hash Executor::root(const ContentKey& key) const {
  std::vector<Hash> ids;
  for (size_t s = 0; s < plan_.state.size(); s++) ids.push_back(blake3(slot(s), key));
  return attest::state_root(step_, ids);
}

namespace {

template <class Word>
bool all_finite(ByteSpan bytes, Word exponent) {
  bool finite = true;
  for (size_t at = 0; at < bytes.size(); at += sizeof(Word)) {
    Word bits = 0;
    std::memcpy(&bits, &bytes[at], sizeof(Word));
    finite &= (bits & exponent) != exponent;
  }
  return finite;
}

}  // namespace

Result<> Executor::check_finite() const {
  for (size_t s = 0; s < plan_.state.size(); s++) {
    const kernels::DType dtype = plan_.state[s].type.dtype;
    if ((dtype == kernels::DType::f32 && !all_finite<uint32_t>(slot(s), 0x7F800000u)) ||
        (dtype == kernels::DType::bf16 && !all_finite<uint16_t>(slot(s), 0x7F80u)))
      return Error{Code::not_finite, "state '" + plan_.state[s].name + "' holds a NaN or an infinity before step " + std::to_string(step_),
                   "lower the learning rate, or look for a division by zero in the model, or an index or a label out of range in the data"};
  }
  return {};
}

Hash root_of(const State& state, const ContentKey& key) {
  std::vector<Hash> ids;
  for (const Bytes& slot : state.slots) ids.push_back(blake3(slot, key));
  return attest::state_root(state.step, ids);
}

}  // namespace cairn::runtime
