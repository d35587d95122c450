// Transactions that wait for a block.
//
// A signer's transactions (an account's own, or those of one of its hot keys) stand in a lane, by nonce. A block takes lanes' heads by
// fee per byte, so that a sender is always served in its order and senders compete by fee. Dispute moves have room that others cannot
// fill; they, and the few that stand before one in its lane, go first into half of a block, and give way to nobody. How few is bounded,
// since a game with oneself is cheap. Bounded in count, bytes and length of a lane.
//
// Signatures are the caller's: what is added here has been verified, once. Nothing here reads the state; the caller says what
// it knows of the sender. One thread.
#pragma once

#include <map>
#include <set>
#include <unordered_map>

#include "ledger/accounts.h"
#include "ledger/transaction.h"

namespace cairn::ledger {

struct MempoolLimits {
  size_t count = 65'536;
  size_t bytes = 64u << 20;
  size_t moves_count = 4'096;  // on top of the above, for dispute moves alone
  size_t moves_bytes = 16u << 20;
  size_t lane = 4'096;         // waiting transactions of one sender
  size_t lane_moves = 16;      // of these, moves; what is more waits like anything else
  size_t escort = 16;          // others that may stand before a move and go with it
  size_t escort_bytes = 64u << 10;
};

// Of ids that are hashes; salted by the process, so that nobody can choose ids that collide.
struct IdHash {
  size_t operator()(const TransactionId& id) const;
};

struct Waiting {
  TransactionId id;
  Bytes bytes;
  Signer signer;
  uint64_t nonce = 0;
  Amount fee;
  ChainTime expiry{};
  bool is_move = false;  // in a dispute; the caller clears it where no game waits for it
  std::optional<Signer> rekeys;  // whose signatures may be good no more when it is in a block; no hot key: all of the account's
  uint64_t arrival = 0;

  static Waiting of(const Transaction& transaction, const TransactionId& id, Bytes bytes);
};

class Mempool {
 public:
  explicit Mempool(MempoolLimits limits = {}) : limits_(limits) {}

  bool holds(const TransactionId& id) const { return ids_.contains(id); }
  const Waiting* find(const TransactionId& id) const;  // lives until the next change

  // Gives the transactions that had to make room (replaced, or evicted for a better fee). Refuses, in this order:
  //   already       it waits here
  //   expired       of no use at `now`
  //   wrong_nonce   below the account's next, or further ahead than a lane is long
  //   fee_too_low   it would replace one of the same nonce, for less than a tenth more fee per byte
  //   insufficient  the fees of all that waits for the account come to more than the balance, or a hot key's to more than its limit
  //   mempool_full  no room, and nothing here pays less
  Result<std::vector<Waiting>> add(Waiting transaction, const Standing& sender, ChainTime now);

  // The next block: at most `max_bytes`, in order. They stay until settle().
  std::vector<const Waiting*> take(size_t max_bytes) const;

  // After a block: `senders` are all signers in it as they stand now, `rekeyed` what its transactions rekey. Gives what left: expired,
  // below its sender's nonce, no longer paid for, signed by keys that may have gone.
  std::vector<std::pair<Waiting, Error>> settle(const std::map<Signer, Standing>& senders, const std::set<Signer>& rekeyed, ChainTime now);
  // Takes one out, e.g. what a block could not use.
  void drop(const TransactionId& id);

  // Pebbles a byte that more than fill a block of `max_bytes` offer; 0 when less than that waits.
  uint64_t fee_of_full_block(size_t max_bytes) const;

  size_t size() const { return ids_.size(); }
  size_t bytes() const { return bytes_ + moves_bytes_; }
  // Transactions whose turn is now, so that a block would not be empty.
  bool ready() const { return !heads_.empty(); }

 private:
  // Worse first: less fee per byte, then later.
  struct Rank {
    uint64_t fee = 0;
    uint64_t size = 1;
    uint64_t arrival = 0;
    friend bool operator<(const Rank& a, const Rank& b) {
      const u128 left = static_cast<u128>(a.fee) * b.size, right = static_cast<u128>(b.fee) * a.size;
      return left != right ? left < right : a.arrival > b.arrival;
    }
  };
  struct Lane {
    uint64_t next = 0;                   // the account's
    std::map<uint64_t, Waiting> waiting;
    u128 fees = 0;
    size_t moves = 0;
  };
  using Lanes = std::map<Signer, Lane>;

  static Rank rank_of(const Waiting& w) { return {w.fee.pebbles, w.bytes.size(), w.arrival}; }
  Waiting remove(Lanes::iterator lane, std::map<uint64_t, Waiting>::iterator at);
  void note_head(Lanes::iterator lane);
  // How many at a lane's front go with a move.
  size_t escorted(const Lane& lane) const;

  MempoolLimits limits_;
  Lanes lanes_;
  std::map<AccountId, u128> fees_;                             // of all that waits for an account, whoever signs
  std::unordered_map<TransactionId, std::pair<Signer, uint64_t>, IdHash> ids_;
  std::map<Rank, Signer> ranks_;                               // every one that is no move
  std::map<std::pair<ChainTime, uint64_t>, std::pair<Signer, uint64_t>> expiries_;  // by expiry and arrival
  std::set<Signer> heads_;                                     // lanes whose head's turn is now
  size_t bytes_ = 0, moves_ = 0, moves_bytes_ = 0;
  uint64_t arrivals_ = 0;
};

}  // namespace cairn::ledger
