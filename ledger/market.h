// Quotes, and the book that matches jobs with offers.
//
// Matching is event-driven: a new job looks once for the cheapest offer that fits; a new offer, new stake or a slot that
// became free looks once through the oldest waiting jobs, a bounded number of them.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

inline constexpr uint64_t kMaxChecks = 512;        // drawn segments of one job: its record stays below 512 KiB
inline constexpr size_t kMaxAssets = 64;            // distinct ones that a job uses
inline constexpr size_t kOffersTried = 1024;       // by one event, cheapest first
inline constexpr size_t kJobsTried = 256;          // by one event, oldest first
inline constexpr size_t kMaxTextBytes = 256;       // titles, endpoints

// What a job costs: the function that OpenJob charges by and that the node answers a quote with.
// Errors: invalid, limit, not_found (an asset).
Result<Quote> quote(const State& state, const attest::ChainParams& params, const attest::JobSpec& spec);

// k: how many segments the job's policy draws.
uint64_t checks_of(const attest::ChainParams& params, const attest::JobSpec& spec);
// Pay for one checked segment: R/n, at least 1 pebble.
Amount check_pay(const attest::JobSpec& spec, Amount reward);
// Stake that a policy asks of a reward; nullopt if it does not fit.
std::optional<Amount> stake_of(const attest::ChainParams& params, attest::Policy policy, Amount reward);
// Distinct assets among a job's inputs and its program, in order.
std::vector<AssetId> assets_of(const attest::JobSpec& spec);

// Puts an open job where offers will find it, and tries the book once. `job` is stored.
void list_job(State& state, BlockContext& block, Job& job);
// Takes an open job off the book.
void unlist_job(State& state, const Job& job);
// Tries the oldest waiting jobs of a class against the book.
void match_waiting(State& state, BlockContext& block, const attest::OfferClass& klass);

void list_offer(State& state, BlockContext& block, const Offer& offer);
// Takes an offer off the book for good; its deposit goes back.
void remove_offer(State& state, BlockContext& block, Offer offer, std::string_view why);
// A job is no longer with this offer, if the offer is still there.
void free_slot(State& state, const OfferId& offer);

}  // namespace cairn::ledger
