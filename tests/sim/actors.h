// Everybody on the market: some mean well, others try whatever the rules are there to stop.
#pragma once

#include "tests/sim/client.h"

namespace cairn::sim {

// Opens jobs, reveals its secrets, takes some back. Native ones name judges, itself among them now and then, who would rather not
// pay; private ones name who may see them, and are opened by some requesters alone, before or when a jury disagrees.
class Requester final : public Client {
 public:
  using Client::Client;

 protected:
  void act(const Records& view) override;

 private:
  void open(const Records& view);
  void name_judges(attest::JobSpec& spec, const Records& view);
  void name_viewers(attest::JobSpec& spec, const Records& view);
  void decide_about(const Job& job);
  size_t opened_ = 0;
  std::map<Hash, Hash> secrets_;  // by their hash
};

// Takes jobs. A liar lies in some of them; what else it does wrong is drawn for each job.
class Provider final : public Client {
 public:
  enum class Kind { honest, liar, withholder, late, mute, false_answer };
  Provider(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, Kind kind, AccountId payee = {});

 protected:
  void act(const Records& view) override;

 private:
  void serve(const Job& job);
  const Run& run_of(const Job& job);
  const Kind kind_;
  const AccountId payee_;
  std::map<std::pair<JobId, uint32_t>, std::shared_ptr<const Run>> runs_;
  uint64_t offers_ = 0, stakes_ = 0;
};

// Is drawn or named, re-runs its segments, says what it found. The others say something else, or nothing.
class VerifierActor final : public Client {
 public:
  enum class Kind { honest, lazy, silent, accomplice, framer, never_served };
  VerifierActor(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, Kind kind);

 protected:
  void act(const Records& view) override;

 private:
  void check(const Job& job, const Check& check);
  void judge(const Job& job);
  // Its own run of a segment, honest or not.
  attest::Trial& rerun(const Run& run, uint64_t segment);
  const Kind kind_;
  uint64_t bonds_ = 0;
};

// Re-runs every segment of what is committed; an honest one disputes what is false, the other what is true.
class Challenger final : public Client {
 public:
  Challenger(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, bool honest);

 protected:
  void act(const Records& view) override;

 private:
  const bool honest_;
  std::set<std::pair<JobId, uint32_t>> looked_at_;
};

// Pays others, changes its key, publishes assets that jobs use, trusts a hot key, and tries what it may not.
class Citizen final : public Client {
 public:
  Citizen(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, const PublicKey& trusted);

 protected:
  void act(const Records& view) override;
  void happened(const Hash& about, const TransactionId& id, uint16_t code) override;

 private:
  void publish(const Records& view);
  void grant(const Records& view);
  Body mischief(const Records& view);
  const PublicKey trusted_;  // zero: nobody
  bool granted_ = false;
  uint64_t sent_ = 0;
  std::optional<SecretKey> next_key_;
  Hash rotation_;
};

// Has got hold of a citizen's hot key, and takes what it can get with it.
class Thief final : public Client {
 public:
  Thief(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, const AccountId& victim);

 protected:
  void act(const Records& view) override;

 private:
  uint64_t sent_ = 0;
};

}  // namespace cairn::sim
