// The history that all nodes share, and everything that must hold after each of its blocks.
#pragma once

#include "ledger/chain.h"
#include "tests/sim/work.h"
#include "tests/sim/world.h"

namespace cairn::sim {

// What the simulation knows and the ledger does not: who means well, and what was really computed.
struct Truth {
  struct Attempt {
    std::shared_ptr<const Run> run;
    bool served = true;      // verifiers get what they need
    bool tolerable = false;  // of a native job: what differs from the definition is an honest machine's own rounding
  };
  std::map<AccountId, std::string> names;
  std::set<AccountId> honest;
  std::map<std::pair<JobId, uint32_t>, Attempt> attempts;  // by job and attempt, from Accept on

  const Attempt* attempt(const JobId& job, uint32_t attempt) const {
    const auto at = attempts.find({job, attempt});
    return at == attempts.end() ? nullptr : &at->second;
  }
  std::string name(const AccountId& id) const {
    const auto at = names.find(id);
    return at == names.end() ? id.hex().substr(0, 8) : at->second;
  }
};

class Audit {
 public:
  Audit(World& world, const attest::Genesis& genesis, const Truth& truth);

  // A node holds its next block durably. The first node to reach a height has its state audited; the others must agree.
  // Throws Violation.
  void committed(const Chain& chain, const Block& block);
  // After the last block: receipts check out offline, and a replay from genesis gives the same roots.
  void finish(const Chain& chain);

  Height height() const { return Height{blocks_.size()}; }
  const Block& block(Height height) const { return blocks_.at(number(height) - 1); }
  const Records& view(Height height) const { return *views_.at(number(height)); }
  std::optional<TxResult> result(const TransactionId& id) const;
  const std::vector<attest::ReceiptBody>& receipts() const { return receipts_; }
  std::map<std::string, uint64_t> counts;  // of events by kind, for a sweep's summary

 private:
  void check_block(const Block& block) const;
  // Gives the transactions that paid and did nothing else.
  std::set<Hash> check_fees(const Records& before, const Records& view, const Block& block);
  void check_holdings(const Records& before, const Records& view) const;
  void check_duties(const Records& before, const Records& view) const;
  void check_jobs(const Records& view) const;
  void check_named(const Job& job, const std::string& what) const;
  void check_consents(const Records& before, const Records& view, const Block& block) const;
  void check_games(const Records& before, const Records& view) const;
  void check_market(const Records& view) const;
  void check_queue(const Records& view, size_t fired) const;
  void check_proofs(const Chain& chain, const Records& view);
  void follow(const Event& event, const Records& before, const Records& view);
  void check_receipt(const attest::ReceiptBody& receipt, const Records& before);
  void check_judges(const attest::ReceiptBody& receipt, const std::string& what) const;
  void check_jury(const attest::ReceiptBody& receipt, const std::string& what) const;

  struct Life {  // of a job, as its events tell it
    std::string last;
    Height height{};
    uint32_t draws = 0;
    Height committed{};
    bool ended = false;
  };

  World& world_;
  const attest::Genesis& genesis_;
  const Truth& truth_;
  Rng rng_;
  std::vector<Block> blocks_;
  std::vector<std::shared_ptr<const Records>> views_;  // by height, from genesis on; old ones are dropped
  std::map<TransactionId, TxResult> results_;
  std::set<TransactionId> paid_;  // those that took their nonce and paid their fee
  std::map<JobId, Life> lives_;
  std::map<Hash, Amount> deposits_;  // of records that stand, as first seen
  std::map<std::pair<JobId, uint32_t>, Hash> receipts_by_;  // job and attempt
  std::vector<attest::ReceiptBody> receipts_;
  uint64_t last_event_ = 0;
};

}  // namespace cairn::sim
