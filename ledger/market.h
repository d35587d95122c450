// Quotes, and the book that matches jobs with offers.
//
// Matching is event-driven. A new job seeks the cheapest offer that fits, once through the book; a new offer, and every offer of
// an account whose stake grew or whose slot became free, seeks the oldest waiting jobs that it fits, once through them. A search
// is a record: each block ends with at most `max_looks_per_block` looks at offers and jobs, the oldest search first, and a
// search that is not over goes on in the next block. So when no search is left, no waiting job has an offer that fits.
// An offer without a free slot is not on the book.
#pragma once

#include "ledger/state.h"

namespace cairn::ledger {

inline constexpr uint64_t kMaxChecks = 512;        // of one job: its record stays below 512 KiB
inline constexpr size_t kMaxSpecBytes = 512u << 10;  // an order's: every transaction about the job reads its record
inline constexpr size_t kMaxAssets = 64;            // distinct ones that a job uses
inline constexpr size_t kMaxShares = 512;           // of all their owners: what its settlement pays to
inline constexpr size_t kMaxTextBytes = 256;       // titles, endpoints

// What a job costs: the function that OpenJob charges by and that the node answers a quote with.
// Errors: invalid, limit, not_found (an asset).
Result<Quote> quote(const State& state, const attest::ChainParams& params, const attest::JobSpec& spec);

// How many checks the job's policy draws: k segments, each by as many as check it.
uint64_t checks_of(const attest::ChainParams& params, const attest::JobSpec& spec);
// Pay for one checked segment: R/n, at least 1 pebble.
Amount check_pay(const attest::JobSpec& spec, Amount reward);
// Stake that a job asks for a reward: the policy's multiple, or more when a harm is named; of a native job what a missed deadline
// costs, since its judges decide about pay alone. nullopt if it does not fit.
std::optional<Amount> stake_of(const attest::ChainParams& params, const attest::JobSpec& spec, Amount reward);
// Distinct assets among a job's inputs and its program, in order.
std::vector<AssetId> assets_of(const attest::JobSpec& spec);

struct MatchTerms {
  Amount reward;
  Amount stake;
};
// What a match of the two would be now; nullopt where the offer cannot take the job. The escrow holds what was quoted for audits
// under the rules of the job's opening: where the present ones draw more, nothing fits, and the requester may cancel.
std::optional<MatchTerms> fits(const State& state, const attest::ChainParams& params, ChainTime now, const Job& job, const Offer& offer);

// Puts an open job where offers will find it, and lets it seek one. `job` is stored.
void list_job(State& state, BlockContext& block, Job& job);
// Takes an open job off the book.
void unlist_job(State& state, const Job& job);
// Lets all offers of an account seek jobs: its stake grew, or a slot of one became free.
void look_for_jobs(State& state, BlockContext& block, const AccountId& owner);
// The end of a block: as much of the searches as it may do.
void run_searches(State& state, BlockContext& block);

void list_offer(State& state, BlockContext& block, const Offer& offer);
// Takes an offer off the book for good; its deposit goes back.
void remove_offer(State& state, BlockContext& block, Offer offer, std::string_view why);
// An exact job that settled checked as ordered is a benchmark of its offer's machine, run again at random by the draw: the speed is
// its work over the chain time from Accept to Commit. A run of less than 20 intervals says nothing: it is mostly waiting for blocks.
void note_speed(State& state, const attest::ChainParams& params, const Job& job);
// A missed deadline is one too: the machine is slower than the job asked.
void note_late(State& state, const Job& job);
// A job is no longer with this offer, if the offer is still there.
void free_slot(State& state, const OfferId& offer);

}  // namespace cairn::ledger
