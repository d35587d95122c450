// A whole state, decoded once a height: what actors look at and what the audit compares.
#pragma once

#include <map>
#include <memory>

#include "ledger/app.h"

namespace cairn::sim {

using namespace ledger;  // a simulation is about the ledger

struct Records {
  Height height{};
  ChainTime now{};
  std::map<AccountId, Account> accounts;
  std::map<Signer, HotKey> hot_keys;
  std::map<std::pair<Holder, Currency>, Amount> holdings;
  std::map<uint64_t, Unbonding> unbondings;  // by seq
  std::map<AccountId, Verifier> verifiers;
  std::vector<Duty> duties;
  std::map<std::pair<ChainTime, uint64_t>, Deadline> deadlines;
  std::map<OfferId, Offer> offers;
  std::vector<BookEntry> book;
  std::vector<WaitingJob> waiting;
  std::vector<DueDraw> draws;
  std::map<JobId, Job> jobs;
  std::map<GameId, Dispute> games;
  std::map<AssetId, Asset> assets;
  std::map<Hash, AssetId> contents;
  std::map<Hash, Reservation> reservations;
  bool forked = false;

  static std::shared_ptr<const Records> of(const App& app);

  Amount held(const Holder& holder) const {
    const auto at = holdings.find({holder, Currency{}});
    return at == holdings.end() ? Amount{} : at->second;
  }
  uint64_t nonce(const Signer& signer) const {
    if (const auto at = hot_keys.find(signer); at != hot_keys.end()) return at->second.nonce;
    const auto at = accounts.find(signer.account);
    return at == accounts.end() || !signer.hot_key.is_zero() ? 0 : at->second.nonce;
  }
};

}  // namespace cairn::sim
