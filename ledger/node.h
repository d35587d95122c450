// The node's HTTP interface, on loopback. Bodies and answers with ?raw=1 are canonical bytes; JSON otherwise.
//
//   POST /v1/transactions[?wait=1]   encoded transaction -> {"id","height","code","text"}; wait: when its block is on disk
//   GET  /v1/transactions/ID         what became of it, TxResult
//   GET  /v1/transactions?account=ID[&before=HEIGHT.INDEX][&limit=N]   TransactionPage: whatever names the id, newest first; job=ID too
//   POST /v1/simulate                encoded transaction, signed or not -> Simulation
//   POST /v1/quote                   encoded attest::JobSpec -> Quote
//   POST /v1/comet                   what a joining node's CometBFT asks of this one's: JSON-RPC of commit, validators, consensus_params
//   GET  /v1/status                  Status                     GET  /v1/supply            Supply, added up now
//   GET  /v1/genesis                 always raw                 GET  /v1/blocks/HEIGHT     Block; "head" is the last
//   GET  /v1/accounts/ID             AccountView                GET  /v1/games/ID          Dispute
//   GET  /v1/jobs/ID                 Job                        GET  /v1/assets/ID         Asset
//   GET  /v1/offers/ID               Offer
//   GET  /v1/jobs[?requester=ID][&provider=ID][&state=NAME], /v1/offers, /v1/assets, /v1/verifiers   Page<Job>, <Offer>, <Asset>,
//                                    <VerifierView>; each [&after=ID][&limit=N]: what is behind that id, a bounded part
//   GET  /v1/receipts/JOB[?try=N]    always raw: attest::Receipt of the last or Nth (from 0) ended attempt
//   GET  /v1/state/KEYS[?height=N]   attest::ProvenState: for each state key (state.h; hexadecimal, by commas, 32 at most) its
//                                    record or none, and the path to the root of the header of that height, the last if not given
//   GET  /v1/fees                    FeeEstimate                GET  /v1/health            Health, or 503
//   GET  /v1/openapi.json            docs/openapi.json          GET  /metrics              for Prometheus
//   GET  /v1/events?from=N[&wait_ms=M][&limit=L]   {"events","next"}; with Accept: text/event-stream (and Last-Event-ID to
//                                    resume) a stream
//
// An error is {"code","text","next"}. One thread answers, so none of its answers takes long: what grows with the state comes in parts, or
// from a thread of its own. Blocks wait while a few records are read, no longer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "attest/light_client.h"
#include "base/http.h"
#include "ledger/chain.h"
#include "ledger/engine.h"
#include "ledger/feed.h"
#include "ledger/search.h"

namespace cairn::ledger {

// All that is held, by kind of holder, against what the genesis handed out.
struct HeldByKind {
  HolderKind kind = HolderKind::account;
  uint64_t holders = 0;
  Amount amount;
  static constexpr auto fields() {
    return std::tuple{field("kind", &HeldByKind::kind), field("holders", &HeldByKind::holders), field("amount", &HeldByKind::amount)};
  }
};
struct Supply {
  Amount genesis;
  Amount held;
  bool conserved = false;
  std::vector<HeldByKind> kinds;
  static constexpr auto fields() {
    return std::tuple{field("genesis", &Supply::genesis), field("held", &Supply::held), field("conserved", &Supply::conserved),
                      field("kinds", &Supply::kinds)};
  }
};

struct Health {
  Height height{};
  Height indexed{};  // how far the search index has come
  uint64_t waiting = 0;
  static constexpr auto fields() {
    return std::tuple{field("height", &Health::height), field("indexed", &Health::indexed), field("waiting", &Health::waiting)};
  }
};

struct FeeEstimate {
  uint64_t least = 0;       // pebbles a byte, always
  uint64_t next_block = 0;  // pebbles a byte for a place in the next block
  uint64_t waiting = 0;     // transactions
  uint64_t waiting_bytes = 0;
  uint64_t block_bytes = 0; // that a block may have
  static constexpr auto fields() {
    using F = FeeEstimate;
    return std::tuple{field("least", &F::least), field("next_block", &F::next_block), field("waiting", &F::waiting),
                      field("waiting_bytes", &F::waiting_bytes), field("block_bytes", &F::block_bytes)};
  }
};

struct TransactionPage {
  std::vector<TxResult> transactions;
  std::optional<std::string> next;  // `before` of the next page; none: these are all
  Height indexed{};                 // what came later is not in it
  static constexpr auto fields() {
    return std::tuple{field("transactions", &TransactionPage::transactions), field("next", &TransactionPage::next),
                      field("indexed", &TransactionPage::indexed)};
  }
};

class Node {
 public:
  // Listens at once. Errors: io. What it is given must outlive it.
  static Result<std::unique_ptr<Node>> start(const HttpConfig& http, Chain& chain, Engine& engine, Feed& feed, Search& search);
  ~Node();
  uint16_t port() const { return server_->port(); }

 private:
  using Reply = std::shared_ptr<HttpReply>;
  Node(Chain& chain, Engine& engine, Feed& feed, Search& search);
  // `ask(const State&)` of the last block; blocks do not wait for it.
  template <class Ask>
  auto at_last(Ask&& ask) const;
  // The part of a table that the request names, as `show(const State&, const Record&)` gives them; what it does not give is left out.
  template <class Item, class Record, class Show>
  Result<Page<Item>> page(char table, const HttpRequest& request, Show&& show) const;
  template <class Record>
  Result<Page<Record>> page(char table, const HttpRequest& request) const;
  void answer(const HttpRequest& request, const Reply& reply);
  Result<> route(const HttpRequest& request, const Reply& reply);
  Result<> get(const std::string& noun, const std::string& id, const HttpRequest& request, const Reply& reply);
  Result<> post(const std::string& noun, const HttpRequest& request, const Reply& reply);
  Result<> events(const HttpRequest& request, const Reply& reply);
  Result<> submit(const HttpRequest& request, const Reply& reply);
  Result<Page<Job>> jobs(const HttpRequest& request) const;
  Result<> receipt(const JobId& job, const HttpRequest& request, const Reply& reply);
  Result<attest::ProvenState> proven(const std::string& keys, const HttpRequest& request) const;
  Result<AccountView> account(const AccountId& id) const;
  Status status() const;
  Supply supply() const;
  void add_up();  // the thread that answers who asks for the supply
  Result<Health> health() const;
  FeeEstimate fees() const;
  Result<TransactionPage> search(const HttpRequest& request) const;
  Result<Simulation> simulate(const Transaction& transaction) const;
  std::string metrics() const;

  Chain& chain_;
  Engine& engine_;
  Feed& feed_;
  Search& search_;
  std::mutex adding_;
  std::condition_variable asked_wake_;
  std::vector<std::pair<Reply, bool>> asked_;  // for the supply, and whether raw
  std::atomic<bool> stopping_{false};
  std::unique_ptr<HttpServer> server_;
  std::thread adder_;
};

}  // namespace cairn::ledger
