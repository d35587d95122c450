// What CometBFT's mempool carries from one node to the others: transactions that the node has taken into its pool, as many as came
// while the parcel before was on its way. A parcel never stands in a block; what a block holds, every proposer takes from its pool.
//
//   parcel := {length:u32 transaction}*, after their count:u32
#pragma once

#include "ledger/transaction.h"

namespace cairn::ledger::comet {

inline constexpr size_t kParcelBytes = 256u << 10;  // of transactions; a larger one goes alone
inline constexpr size_t kParcelMaxBytes = 8 + kMaxTransactionBytes;

struct Parcel {
  std::vector<Bytes> transactions;
  static constexpr auto fields() { return std::tuple{field("transactions", &Parcel::transactions)}; }
};

}  // namespace cairn::ledger::comet
