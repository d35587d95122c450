#include "agent/desk.h"

namespace cairn::agent {

void Desk::serve(const JobId& job, Served served) {
  Shelf shelf;
  shelf.guests.insert(served.guests.begin(), served.guests.end());
  shelf.artefacts.insert(served.artefacts.begin(), served.artefacts.end());
  shelf.leaves = std::move(served.leaves);
  shelf.key = served.key;
  for (auto& state : served.states) {
    shelf.artefacts.insert(state.ids.begin(), state.ids.end());
    shelf.states[state.step] = std::move(state.ids);
  }
  const std::lock_guard lock(mutex_);
  shelves_[job] = std::move(shelf);
}

void Desk::end(const JobId& job) {
  const std::lock_guard lock(mutex_);
  shelves_.erase(job);
}

void Desk::know(const AccountId& account, const std::vector<PublicKey>& keys) {
  const std::lock_guard lock(mutex_);
  std::erase_if(keys_, [&](const auto& entry) { return entry.second == account; });
  for (const PublicKey& key : keys)
    if (const auto curve = transport_key(key)) keys_[*curve] = account;
  known_.insert(account);
}

bool Desk::knows(const AccountId& account) const {
  const std::lock_guard lock(mutex_);
  return known_.contains(account);
}

std::optional<AccountId> Desk::allow(const CurveKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  for (const auto& [job, shelf] : shelves_)
    if (shelf.guests.contains(found->second)) return found->second;
  return std::nullopt;
}

const Desk::Shelf* Desk::shelf_for(const AccountId& client, const JobId& job) const {
  const auto found = shelves_.find(job);
  return found != shelves_.end() && found->second.guests.contains(client) ? &found->second : nullptr;
}

Answer Desk::answer(const AccountId& client, const Ask& ask) const {
  const Refused stranger{Code::unauthorised, "this account has no part in that job"};
  std::unique_lock lock(mutex_);
  if (const auto* chunk = std::get_if<AskChunk>(&ask)) {
    bool allowed = false;
    for (const auto& [job, shelf] : shelves_)
      allowed = allowed || (shelf.guests.contains(client) && shelf.artefacts.contains(chunk->id));
    if (!allowed) return stranger;
    lock.unlock();  // the disk is slow, the store needs no lock
    return serve_chunk(store_, *chunk);
  }
  if (const auto* leaves = std::get_if<AskLeaves>(&ask)) {
    const Shelf* shelf = shelf_for(client, leaves->job);
    if (!shelf) return stranger;
    if (shelf->leaves.empty()) return Refused{Code::not_found, "nothing is committed yet"};
    return Leaves{shelf->leaves};
  }
  if (const auto* state = std::get_if<AskState>(&ask)) {
    const Shelf* shelf = shelf_for(client, state->job);
    if (!shelf) return stranger;
    const auto found = shelf->states.find(state->step);
    if (found == shelf->states.end())
      return Refused{Code::not_found, "there is no checkpoint after " + std::to_string(state->step) + " steps"};
    return StateIds{state->step, found->second};
  }
  if (const auto* wanted = std::get_if<AskKey>(&ask)) {
    const Shelf* shelf = shelf_for(client, wanted->job);
    if (!shelf) return stranger;
    if (!shelf->key) return Refused{Code::not_found, "there is no key of that job here"};
    return JobKey{*shelf->key};
  }
  const auto& told = std::get<TellProgress>(ask);
  if (!shelf_for(client, told.job)) return stranger;
  lock.unlock();
  if (progress_) progress_(client, told);
  return Noted{};
}

}  // namespace cairn::agent
