// Which transactions speak of an account, a job or another id: an index beside the store, made from its blocks.
//
//   x id height:be64 place:be32 -> transaction id       "m" -> height, and the header's id there
//
// A thread follows the store, a moment behind. The index is derived and not synced: after a crash it goes on from what of it was
// written, and where its folder is gone, or is another chain's, it reads the blocks again.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "ledger/store.h"
#include "ledger/transaction.h"

namespace cairn::ledger {

// Every typed id in a transaction: its sender, whom it pays, the job, game, asset or offer that it names or makes.
std::set<Hash> ids_in(const Transaction& transaction, const TransactionId& id);

// Where a transaction stands.
struct Place {
  Height height{};
  uint32_t index = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class Search {
 public:
  // Opens or makes the index in a thread of its own, and follows the store from then on.
  Search(std::filesystem::path folder, const Store& store);
  ~Search();
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  void announce();  // a block may have come; any thread

  struct Found {
    TransactionId id;
    Place place;
  };
  // At most `limit` of those that stand before `before`, the newest first. Error: unreachable (the index is not open yet), io.
  Result<std::vector<Found>> find(const Hash& id, Place before, size_t limit) const;
  Height indexed() const;  // up to this block the index is whole

 private:
  struct Disk;
  void follow();
  Result<> open();

  const std::filesystem::path folder_;
  const Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::shared_ptr<Disk> disk_;
  uint64_t indexed_ = 0;
  std::optional<Error> failed_;
  bool called_ = true, stopping_ = false;
  std::thread thread_;
};

}  // namespace cairn::ledger
