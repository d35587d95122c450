// What cheating pays, from the chain's parameters: the inequality that stakes and audits are chosen by.
//
// A provider falsifies m of n segments, k of n are drawn, and each drawn verifier is bought with probability b and then says
// what the provider wants. It is caught when a drawn false segment has a verifier that is not bought:
//
//   catch      P(m) = 1 - sum_j h(j; n, m, k) b^j            h: j of the k drawn are false (hypergeometric)
//              >= m/n for k >= 1 and b = 0
//   gain       (m/n) c R, the work that it saves; beside it a buyer's gain G when the poisoned result passes
//   loss       when caught: R is not paid, the stake S is gone; a part of S comes back if an accomplice takes the challenger's
//              part, `returned`
//   value      V(m) = (m/n) c R + (1 - P) G - P (R + S (1 - returned))       over being honest
//
// Honesty pays where V(m) < 0 for every m. A named harm H asks it of one poisoned segment with G = H:
//   stake >= H (1 - d) / d,  d = k/n     (no reward counted, so that it holds whatever the work is worth)
#pragma once

#include "attest/receipt.h"

namespace cairn::attest {

struct Wager {
  uint64_t segments = 0;    // n
  uint64_t drawn = 0;       // k
  double reward = 0;        // R
  double stake = 0;         // S
  double cost = 1;          // c: what computing costs, as a share of R
  double bought = 0;        // b
  double returned = 0;      // the share of a lost stake that an accomplice brings back: at most the challenger's part
  double outside = 0;       // G
};
// What a job's terms are for its provider. `bought` and the rest are the caller's assumptions.
Wager wager_of(const ChainParams& params, const JobSpec& spec, Amount reward, Amount stake);

double catch_probability(const Wager& wager, uint64_t false_segments);
double value_of_cheating(const Wager& wager, uint64_t false_segments);
// Steps between checkpoints: a hundredth of the job and ten reference minutes at most, but so long that hashing and writing the
// state, a file a buffer, stay below 0.3 % of the work, if that takes no more than 28 minutes.
uint64_t checkpoint_interval(const JobSpec& spec, uint64_t state_bytes);

// The number of false segments that pays best, 1..n.
uint64_t best_cheat(const Wager& wager);

}  // namespace cairn::attest
