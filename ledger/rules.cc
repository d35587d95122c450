#include "ledger/rules.h"

#include "ledger/transaction.h"

namespace cairn::ledger {

Result<> check(const attest::ChainParams& params) {
  const auto invalid = [](std::string text, std::string next) { return Error{Code::invalid, "the parameters " + std::move(text), std::move(next)}; };
  if (params.interval_ms == 0) return invalid("have no block interval", "set interval_ms, 100 on a devnet");
  if (params.max_block_bytes < kMaxTransactionBytes)
    return invalid("have blocks that are too small for a transaction", "set max_block_bytes to " + std::to_string(kMaxTransactionBytes) + " or more");
  if (params.max_deadlines_per_block == 0 || params.max_looks_per_block == 0)
    return invalid("let a block do nothing by itself", "set max_deadlines_per_block and max_looks_per_block to 1 or more");
  if (params.validator_stake < Amount::kPerCrn) return invalid("let validators in without a vote", "set validator_stake to 1 CRN or more");
  if (params.max_validators > kMaxValidators)
    return invalid("let in more validators than a seal may name", "set max_validators to " + std::to_string(kMaxValidators) + " or less");
  if (params.unbonding_ms / 10 < params.interval_ms)
    return invalid("free stake before it could be slashed", "set unbonding_ms to ten block intervals or more");
  if (params.game_fee > UINT64_MAX - params.verifier_silence)
    return invalid("ask for a bond that cannot be counted", "set game_fee and verifier_silence lower");
  if (params.upgrade_notice_blocks == 0) return invalid("let the rules change at once", "set upgrade_notice_blocks to 1 or more");
  if (uint64_t{params.slash_burn_permille} + params.slash_requester_permille > 1000 || params.late_permille > 1000 || params.equivocation_permille > 1000)
    return invalid("take more than the whole of a stake", "keep each share and split within 1000 thousandths");
  return {};
}

Result<> announce(State& state, const TxContext& context, Height from, uint32_t protocol, const attest::ChainParams& params) {
  if (context.sender != context.block.genesis.governor || context.sender.is_zero())
    return Error{Code::not_party, "only the chain's governor announces an upgrade", "sign with the keys of the account that the genesis names"};
  const auto& last = context.block.all_rules.back();
  const bool announced = number(last.from) > number(context.block.height);
  if (number(from) == 0) {
    if (!announced) return Error{Code::wrong_state, "no upgrade is announced", "look at the chain's status"};
    state.erase(last);
    context.block.emit("chain.upgrade", context.id, {{"from", "null"}});
    return {};
  }
  if (announced || state.find<attest::Rules>(key_of(attest::Rules{last.number + 1, {}, {}, {}})))
    return Error{Code::wrong_state, "an upgrade is announced already", "take it back first"};
  const uint64_t soonest = number(context.block.height) + context.params().upgrade_notice_blocks;
  if (number(from) < soonest)
    return Error{Code::too_late, "block " + std::to_string(number(from)) + " is too near; the notice allows " + std::to_string(soonest) + " and later",
                 "choose a later block"};
  if (protocol < last.protocol)
    return Error{Code::invalid, "the chain is under protocol " + std::to_string(last.protocol) + " already", "name that one, or a later one"};
  TRY(check(params));
  if (encode(params.work) != encode(last.params.work))
    return Error{Code::invalid, "the table of work would change, by which plans are quoted and proven", "leave it as it is"};
  state.put(attest::Rules{last.number + 1, from, protocol, params});
  context.block.emit("chain.upgrade", context.id,
                     {{"rules", to_json(last.number + 1)}, {"from", to_json(from)}, {"protocol", to_json(protocol)}});
  return {};
}

}  // namespace cairn::ledger
