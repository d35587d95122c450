#include "runtime/checkpoint_writer.h"

#include "attest/tree.h"
#include "runtime/artefacts.h"

namespace cairn::runtime {
namespace {
constexpr size_t kBesideBytes = 64u << 20;
}  // namespace

CheckpointWriter::CheckpointWriter(std::string store, const ContentKey& key) : store_(std::move(store)), key_(key), thread_([this] { run(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::take(uint64_t step, std::span<const ByteSpan> slots) {
  size_t bytes = 0;
  for (const ByteSpan slot : slots) bytes += slot.size();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !taken_; });
    if (bytes <= kBesideBytes) {
      taken_ = State{step, {}};
      for (const ByteSpan slot : slots) taken_->slots.emplace_back(slot.begin(), slot.end());
    }
  }
  if (bytes > kBesideBytes) return write(step, slots);
  changed_.notify_all();
}

void CheckpointWriter::write(uint64_t step, std::span<const ByteSpan> slots) {
  CheckpointMade made{{step, {}}, {}};
  std::optional<Error> failed;
  for (const ByteSpan slot : slots) {
    const auto id = write_artefact(store_, slot, key_);
    if (id) made.state.ids.push_back(*id);
    else if (!failed) failed = id.error();
  }
  made.root = attest::state_root(step, made.state.ids);
  const std::lock_guard lock(mutex_);
  if (failed && !failed_) failed_ = failed;
  if (!failed_) made_.push_back(std::move(made));
}

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return taken_ || closing_; });
    if (!taken_) return;
    lock.unlock();
    const std::vector<ByteSpan> slots(taken_->slots.begin(), taken_->slots.end());  // nobody else touches it now
    write(taken_->step, slots);
    lock.lock();
    taken_.reset();
    changed_.notify_all();
  }
}

Result<std::vector<CheckpointMade>> CheckpointWriter::made() {
  const std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  return std::exchange(made_, {});
}

Result<std::vector<CheckpointMade>> CheckpointWriter::rest() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !taken_; });
  }
  return made();
}

}  // namespace cairn::runtime
