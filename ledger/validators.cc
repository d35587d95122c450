#include "ledger/validators.h"

#include <algorithm>

namespace cairn::ledger {
namespace {

std::vector<Validator> all(const State& state) { return state.all<Validator>(make_key('V')); }

template <class Wanted>
std::optional<Validator> first_where(const State& state, Wanted&& wanted) {
  std::optional<Validator> out;
  state.scan<Validator>(make_key('V'), [&](const Validator& validator) {
    if (wanted(validator)) out = validator;
    return !out;
  });
  return out;
}

uint64_t deserved_votes(const State& state, const Validator& validator) {
  if (validator.resigned || validator.equivocated || validator.jailed_until) return 0;
  return attest::votes_of(state.balance(Holder::validator(validator.account)));
}

}  // namespace

std::optional<Validator> validator_at(const State& state, const attest::ValidatorAddress& address) {
  return first_where(state, [&](const Validator& v) { return attest::address_of(v.key) == address; });
}

std::optional<Validator> validator_by_key(const State& state, const PublicKey& key) {
  return first_where(state, [&](const Validator& v) { return v.key == key; });
}

Result<> found_validators(State& state, const attest::Genesis& genesis) {
  for (const auto& entry : genesis.validators) {
    TRY(state.move(Holder::mint(), Holder::validator(entry.account), entry.stake));
    state.put(Validator{entry.account, entry.key, entry.vrf, attest::votes_of(entry.stake), 0, false, false, {}});
  }
  return {};
}

void note_absences(State& state, BlockContext& block, std::span<const attest::ValidatorAddress> absent) {
  if (block.genesis.engine == attest::Engine::solo) return;
  for (Validator validator : all(state)) {
    const bool missed = std::find(absent.begin(), absent.end(), attest::address_of(validator.key)) != absent.end();
    if (!missed && validator.absent == 0) continue;
    validator.absent = missed ? validator.absent + 1 : 0;
    if (validator.absent >= block.params().absent_blocks && !validator.jailed_until) {
      validator.absent = 0;
      validator.jailed_until = after(block.now, block.params().jail_ms);
      block.emit("validator.jailed", validator.account.as<HashTag>(), {{"until", to_json(*validator.jailed_until)}});
    }
    state.put(validator);
  }
}

void punish(State& state, BlockContext& block, const Equivocation& equivocation) {
  auto validator = validator_at(state, equivocation.validator);
  if (!validator || validator->equivocated) return;
  const Holder stake = Holder::validator(validator->account), unbonding = Holder::unbonding(validator->account);
  const Holder& from = validator->resigned ? unbonding : stake;
  const Amount burned = scale(state.balance(from), block.params().equivocation_permille, 1000).value_or(Amount{});
  must(state.move(from, Holder::burned(), burned));
  validator->equivocated = true;
  state.put(*validator);
  block.emit("validator.equivocated", validator->account.as<HashTag>(),
             {{"height", to_json(equivocation.height)}, {"burned", to_json(burned)}});
}

std::vector<attest::CometValidator> update_votes(State& state, BlockContext& block) {
  std::vector<attest::CometValidator> changes;
  if (block.genesis.engine == attest::Engine::solo) return changes;
  u128 sum = 0;
  std::vector<Validator> changed;
  for (Validator validator : all(state)) {
    const uint64_t deserved = deserved_votes(state, validator);
    sum += deserved;
    if (deserved == validator.votes) continue;
    validator.votes = deserved;
    changed.push_back(validator);
  }
  if (sum == 0) return changes;
  for (const Validator& validator : changed) {
    changes.push_back({validator.key, validator.votes});
    block.emit("validator.votes", validator.account.as<HashTag>(), {{"votes", to_json(validator.votes)}});
    state.put(validator);
  }
  if (!changes.empty()) state.put(VotesChange{block.height});
  return changes;
}

void retire(State& state, BlockContext& block, Validator validator) {
  const Holder stake = Holder::validator(validator.account);
  validator.resigned = true;
  state.put(validator);
  state.arm(Due::validator, validator.account.as<HashTag>(), after(block.now, block.params().unbonding_ms), block.next_seq());
  must(unbond(state, block, validator.account, stake, state.balance(stake)));
}

Result<> make_room(State& state, BlockContext& block, Amount stake) {
  size_t seats = 0;
  std::optional<Validator> least;
  Amount of_least;
  state.scan<Validator>(make_key('V'), [&](const Validator& validator) {
    if (validator.resigned) return true;
    seats++;
    const Amount counts = validator.equivocated ? Amount{} : state.balance(Holder::validator(validator.account));
    if (!least || counts < of_least) least = validator, of_least = counts;
    return true;
  });
  if (seats < block.params().max_validators) return {};
  if (!least || stake <= of_least)
    return Error{Code::limit, "there are " + std::to_string(block.params().max_validators) + " validators, each with " + pretty(of_least) + " or more",
                 "stake more than that"};
  block.emit("validator.displaced", least->account.as<HashTag>(), {{"stake", to_json(of_least)}});
  retire(state, block, *std::move(least));
  return {};
}

void forget_validator(State& state, const AccountId& account) {
  if (const auto validator = state.validator(account); validator && validator->resigned) state.erase(*validator);
}

}  // namespace cairn::ledger
