// Assets and their royalties: who is paid when a job uses one.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

inline constexpr uint64_t kSplitParts = 1'000'000'000;   // of Asset::split
inline constexpr uint32_t kBasisPoints = 10'000;
inline constexpr uint32_t kMaxAncestorsBasisPoints = 5'000;  // above, parents are scaled down in proportion
inline constexpr uint32_t kLineageBasisPoints = 1'000;   // of each input asset, in what a job made from it
inline constexpr uint8_t kMaxDepth = 8;
inline constexpr size_t kMaxSplit = 256;
inline constexpr size_t kMaxHolders = 64;
inline constexpr size_t kMaxParents = 16;

// Splits `total` in proportion to `weights`: floors first, then one each to the largest remainders, earlier ones first
// among equals. The parts add up to `total`. Weights must not all be zero (unless total is); their sum must fit in 64 bits.
std::vector<uint64_t> split(uint64_t total, const std::vector<uint64_t>& weights);

// Fills `asset.depth` and `asset.split` from its holders and parents. Errors: not_found, limit.
Result<> settle_lineage(const State& state, Asset& asset);

struct Publish;  // tx/publish.h
Result<> publish(State& state, const TxContext& context, const Publish& body);

// Pays an asset's price out of a job's escrow to everybody in its split. Gives the lines of the settlement.
std::vector<attest::SettlementLine> pay_royalties(State& state, BlockContext& block, const JobId& job, const AssetId& asset);

}  // namespace cairn::ledger
