// Becoming a validator.
#pragma once

#include "ledger/validators.h"

namespace cairn::ledger {

// Makes the sender a validator, or adds to its stake; its votes count two blocks later. `possession` is the validator key's
// own signature (SignKind::validator, for the sender's account, of the VRF key), so that nobody enters the key of another.
// Rejects: invalid        the chain has one producer; one key twice; other keys than those that the sender has entered
//          already        the key is another validator's, or the sender has resigned and its stake is not free yet
//          unauthorised   the sender has signed two blocks of one height
//          bad_signature  of `possession`
//          limit          the set is full, and nobody in it has less stake; else whoever has the least resigns by this
//          insufficient   the balance, or the stake altogether is below the least
// Keeps:   the sender's sum
struct JoinValidators {
  static constexpr uint16_t kTag = 30;
  static constexpr std::string_view kName = "join_validators";
  PublicKey key;
  PublicKey vrf;
  Signature possession;
  Amount amount;
  static constexpr auto fields() {
    using J = JoinValidators;
    return std::tuple{field("key", &J::key), field("vrf", &J::vrf), field("possession", &J::possession), field("amount", &J::amount)};
  }

  Result<> apply(State& state, const TxContext& context) const {
    const attest::ChainParams& params = context.params();
    if (context.block.genesis.engine == attest::Engine::solo)
      return Error{Code::invalid, "this chain has one producer", "join a chain of several validators"};
    const auto mine = state.validator(context.sender);
    if (key == vrf || (mine && (mine->key != key || mine->vrf != vrf)))
      return Error{Code::invalid, "the keys are one and the same, or not those that this account has entered", "name the same two keys"};
    const auto holder = validator_by_key(state, key);
    if ((holder && holder->account != context.sender) || (mine && mine->resigned))
      return Error{Code::already, "the key is in the set, or its stake is not free yet", "use another key, or wait"};
    if (mine && mine->equivocated)
      return Error{Code::unauthorised, "this validator signed two blocks of one height", "resign to get the rest of the stake"};
    if (!verify(key, context.block.genesis_hash, SignKind::validator, context.sender, vrf.span(), possession))
      return Error{Code::bad_signature, "the validator's key does not say that it is this account's", "sign with the validator's key"};
    if (!mine) TRY(make_room(state, context.block, amount));
    TRY(state.move(Holder::account(context.sender), Holder::validator(context.sender), amount));
    if (state.balance(Holder::validator(context.sender)) < Amount{params.validator_stake})
      return Error{Code::insufficient, "a validator's stake must be at least " + pretty(Amount{params.validator_stake}), "stake more"};
    if (!mine) state.put(Validator{context.sender, key, vrf, 0, 0, false, false, {}});
    return {};
  }
};

}  // namespace cairn::ledger
