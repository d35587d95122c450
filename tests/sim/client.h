// Somebody with a key, its account's own or a hot one, a goal and a bad network: sends transactions again until they stand in a block.
#pragma once

#include "tests/sim/engine.h"

namespace cairn::sim {

struct Network {
  World& world;
  const attest::Genesis& genesis;
  Hash chain;
  std::vector<Node*>& nodes;
  Engine& engine;
  Audit& audit;
  Truth& truth;
  bool draining = false;  // towards the end nobody begins anything new
};

class Client {
 public:
  // `account`: whose hot key it is; otherwise the key's own.
  Client(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, std::optional<AccountId> account = {});
  virtual ~Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start();
  const AccountId& id() const { return id_; }
  size_t waiting() const { return pending_.size(); }

 protected:
  // Looks at the state as a node that is in reach has it, and does what follows from it.
  virtual void act(const Records& view) = 0;
  // A transaction of ours stands in a block.
  virtual void happened(const Hash&, const TransactionId&, uint16_t) {}

  // Sends `body`, once for each `about` unless it failed. At most a few at a time wait.
  void send(const Hash& about, Body body, uint64_t expires_ms = 15'000);
  bool busy() const { return pending_.size() >= (urgent_ ? 60u : 6u); }
  bool wants(const Hash& about) const;  // whether send() would send it
  // Signs something else under the nonce of what was sent last, for whatever node: one of the two comes to nothing.
  void contradict(Body body, uint64_t fee_factor);
  void play(const Dispute& dispute, attest::Party me, attest::Trial& replay);
  // Plays on in the open games that are ours as challenger; `rerun` is our own run of a segment of what the provider says it ran.
  void play_challenges(const Records& view, const std::function<attest::Trial&(const Run&, uint64_t segment)>& rerun);
  template <class... Parts>
  static Hash about(std::string_view what, const Parts&... parts) {
    return tagged_hash("about", {as_bytes(what), encode(parts)...});
  }

  Network& network_;
  Rng rng_;
  SecretKey key_;
  bool urgent_ = false;
  const Signer& signer() const { return signer_; }

 private:
  struct Pending {
    Bytes bytes;
    TransactionId id;
    uint64_t nonce;
    ChainTime expiry;
    Hash about;
    uint64_t sent_ms;  // last
  };
  void wake();
  void settle(const Records& view);
  void resend(Node& node);
  Bytes signed_bytes(Body body, uint64_t nonce, ChainTime expiry, uint64_t fee_factor);
  void hand_over(Node& node, const Bytes& bytes);
  void give_up_from(uint64_t nonce);

  const Place place_;
  const std::string name_;
  const AccountId id_;
  const Signer signer_;
  ChainTime now_{};          // as last seen
  uint64_t nonce_ = 0;       // the signer's next, as last seen
  Node* near_ = nullptr;     // the node of this turn
  std::map<uint64_t, Pending> pending_;
  std::set<Hash> done_;
  std::map<Hash, int> failures_;
};

}  // namespace cairn::sim
