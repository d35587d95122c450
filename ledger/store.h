// What a node keeps on disk, in one RocksDB: the only door to it.
//
//   s key            -> a state record          key as in state.h
//   n page:be64      -> a page of the state's tree, as in state_tree.h
//   b height:be64    -> Block                   header, transactions, results
//   t transaction id -> TxResult
//   r job attempt:be32 -> attest::ReceiptBody
//   e seq:be64       -> Event
//   m "format" | "genesis" | "head"
//
// A block is one batch, written and synced as a whole: after a crash or a power cut the store holds a prefix of the blocks
// that were committed, and every block whose commit() returned. Beside it the file `last` says how far commit() came, a mark of
// height:u64 check:8 a block. It is not synced and may lag after a power cut, but a log that lost its end to damage, which looks
// like one whose end was never acknowledged, is found to lie behind it and refused.
// Reads may come from any thread; commit() from one at a time.
// Whatever RocksDB complains of is thrown as a Fault (`io`): a node that cannot trust its disk must halt.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "attest/receipt.h"
#include "ledger/records.h"
#include "ledger/view.h"

namespace rocksdb {
class Env;  // files as RocksDB sees them
}

namespace cairn::ledger {

// All that one block leaves behind.
struct BlockWrites {
  const Block& block;
  std::span<const RecordChange> state;
  std::span<const PageChange> pages;
  std::span<const Event> events;
  std::span<const attest::ReceiptBody> receipts;
};

class Store {
 public:
  // Opens or makes the store of one chain. Errors: io (with what holds the folder or is damaged), wrong_chain (the folder holds
  // another genesis; nothing is changed), malformed (written by a program of another version).
  // All that is read and written goes through `files`, the machine's own unless a test stands there; it must outlive the store.
  // `window`: of how many heights view() is to be had, the last one among them.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder, const Hash& genesis, rocksdb::Env* files = nullptr,
                                             uint32_t window = 128);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Blocks follow each other: the height is the head's plus one. Nobody can read the block before `before_shown` has returned,
  // which is called when it is on disk. Cost: one write and one sync of a file.
  void commit(const BlockWrites& writes, const std::function<void()>& before_shown = {});

  // Into a store without a block: a part of a state, that begin() makes whole. Until then view(Height{0}) shows what there is, and
  // clear() or the next open() drops it.
  void add(std::span<const RecordChange> state, std::span<const PageChange> pages);
  void clear();
  // Into a store without a block: the rest of the state of a chain at `header`, and what of the past its jobs' receipts need. The
  // blocks before are not there. Synced when it returns.
  void begin(const attest::SignedHeader& header, std::span<const attest::SignedHeader> draw_headers,
             std::span<const attest::ReceiptBody> receipts, const std::optional<Event>& last_event,
             std::span<const RecordChange> state, std::span<const PageChange> pages);

  // Gives back the room of versions that no view shows any more, where they may take more than 8 MiB and an eighth of what the state
  // does. RocksDB drops them only when it rewrites their table for another reason: a state that was changed much and then rests
  // would keep them for good. Blocks go on meanwhile. Gives the bytes that came free; 0 when there was nothing to do, `stop` said
  // so, or the disk has no room to write the state anew.
  uint64_t reclaim(std::atomic<bool>& stop);

  Height head() const;  // 0 before the first block
  // The state after the block of `height`; null when that is no longer or not yet within the window. After a start the window
  // begins with the last block. Views keep the store's files open.
  std::shared_ptr<const View> view(Height height) const;

  std::optional<Block> block(Height height) const;
  std::optional<attest::SignedHeader> header(Height height) const;
  std::optional<TxResult> result(const TransactionId& id) const;
  std::optional<attest::ReceiptBody> receipt(const JobId& job, uint32_t attempt) const;
  std::optional<attest::ReceiptBody> last_receipt(const JobId& job) const;
  std::vector<attest::ReceiptBody> receipts(const JobId& job) const;  // every attempt, in order
  // At most `limit` events numbered `from` or higher, in order, of at most `bytes` but for the first.
  std::vector<Event> events(uint64_t from, size_t limit, size_t bytes = SIZE_MAX) const;
  uint64_t last_event() const;  // 0 before the first

 private:
  struct Disk;
  explicit Store(std::unique_ptr<Disk> disk);
  std::unique_ptr<Disk> disk_;
};

}  // namespace cairn::ledger
