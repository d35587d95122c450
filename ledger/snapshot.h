// The state of a height in chunks that prove themselves: a new node takes them from nodes that nobody trusts, and goes on from there
// without the blocks before.
//
//   FOLDER/HEIGHT/head := SnapshotHead      FOLDER/HEIGHT/N := StateChunk number N, from 0
//
// A chunk holds all records below one node of the state's tree, and the way from the root to the node. So each is checked on its
// own against the state root of the head's header before anything of it is kept, and each must follow the one before it in the
// tree: whoever sends another record, leaves one out or repeats one is found out by that chunk. The same state is cut in the same
// way on every node.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>

#include "ledger/export.h"

namespace cairn::ledger {

struct SnapshotHead {
  attest::Header header;
  uint32_t chunks = 0;
  std::optional<Event> last_event;  // its number is gone on from; the one thing that is not proven
  static constexpr auto fields() {
    using S = SnapshotHead;
    return std::tuple{field("header", &S::header), field("chunks", &S::chunks), field("last_event", &S::last_event)};
  }
};

struct StateChunk {
  std::vector<attest::MapStep> steps;
  std::vector<ExportedRecord> records;  // in the order of their keys' hashes
  static constexpr auto fields() { return std::tuple{field("steps", &StateChunk::steps), field("records", &StateChunk::records)}; }
};

// Writes the state of `committed` into a folder that is not there yet: whole, or not at all. Memory is bounded, whatever the
// state's size. Throws Fault (io). Error: cancelled.
Result<SnapshotHead> write_snapshot(const Chain::Committed& committed, const std::optional<Event>& last_event, const std::filesystem::path& folder,
                                    const std::function<bool()>& go_on = [] { return true; });

// What a node offers to others: the last two heights that are multiples of `every_blocks`, and whichever else it took within
// `lasting`, so that who has been told of one can fetch it; taken beside the blocks by a thread of its own. Any thread.
class Snapshots {
 public:
  // 0: it takes none. CometBFT waits two minutes for a chunk of what it has chosen.
  Snapshots(std::filesystem::path folder, const Chain& chain, uint64_t every_blocks, std::chrono::milliseconds lasting = std::chrono::minutes(2));
  ~Snapshots();
  void announce();  // after every block, from the thread that commits: quick

  std::vector<SnapshotHead> list() const;
  std::optional<Bytes> chunk(Height height, uint32_t number) const;

 private:
  struct Turn {
    Chain::Committed committed;
    std::optional<Event> last_event;
  };
  void work();
  std::vector<Height> heights() const;

  const std::filesystem::path folder_;
  const Chain& chain_;
  const uint64_t every_blocks_;
  const std::chrono::milliseconds lasting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Turn> turn_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Fills a chain without a block, chunk by chunk. The head's header is believed already. Nothing counts until finish().
class Restore {
 public:
  Restore(Chain& chain, SnapshotHead head);  // drops what another one has left

  // The next chunk. Errors, with nothing of it kept: malformed, proof (it lies, or is another one). Throws Fault.
  Result<> add(ByteSpan chunk);
  uint32_t next() const { return next_; }
  bool whole() const { return last_ && attest::is_last(*last_); }
  const SnapshotHead& head() const { return head_; }
  // The chain goes on from here. Error: proof (these chunks are not the whole state).
  Result<> finish();

 private:
  Chain& chain_;
  const SnapshotHead head_;
  uint32_t next_ = 0;
  std::optional<attest::MapBranch> last_;
  std::shared_ptr<const View> view_;  // what the tree stands on
  StateTree tree_;
};

}  // namespace cairn::ledger
