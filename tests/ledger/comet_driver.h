// A CometBFT of one thread for tests: it proposes, lets others vote, decides, and hands over snapshots.
#pragma once

#include "devnet.h"
#include "ledger/comet/application.h"
#include "ledger/comet/parcel.h"
#include "tendermint/abci/types.pb.h"

namespace cairn::ledger::comet {

namespace abci = tendermint::abci;

inline attest::Genesis comet_genesis(unsigned validators, const std::vector<std::string>& actors = {"A", "B", "C"}) {
  std::vector<attest::GenesisValidator> set;
  for (unsigned i = 0; i < validators; i++) {
    const std::string name = "validator " + std::to_string(i);
    set.push_back({account_named(name), key_named(name).public_key(), key_named(name + " vrf").public_key(), Amount::of_pebbles((10 + i) * Amount::kPerCrn)});
  }
  std::vector<attest::GenesisAccount> accounts;
  for (const auto& actor : actors) accounts.push_back({account_named(actor), Amount::of_pebbles(100'000'000'000)});
  for (unsigned i = 0; i < validators; i++) accounts.push_back({account_named("validator " + std::to_string(i)), Amount::of_pebbles(100'000'000)});
  return must(make_comet_genesis("comet-test", set, account_named("faucet"), Amount::of_pebbles(1'000'000), 1'700'000'000'000, accounts));
}

inline Bytes of_validator(const attest::Genesis& genesis, const std::string& who, uint64_t nonce, Body body) {
  Transaction tx;
  tx.genesis = attest::genesis_hash(genesis);
  tx.sender = account_named(who);
  tx.nonce = nonce;
  tx.expiry = ChainTime{UINT64_MAX};
  tx.body = std::move(body);
  sign(tx, key_named(who), genesis.params.fee_per_byte);
  return encode(tx);
}

class Driver {
 public:
  // From the genesis; or waiting for a snapshot. It offers its own state at every so many blocks.
  enum class Begins { genesis, snapshot };
  Driver(const attest::Genesis& genesis, unsigned who, Begins begins = Begins::genesis, uint64_t snapshot_blocks = 0)
      : chain_(must(Chain::open(scratch_.path / "chain", genesis))),
        snapshots_(scratch_.path / "snapshots", *chain_, snapshot_blocks),
        key_(key_named("validator " + std::to_string(who))),
        pool_(*chain_, {}),
        application_(*chain_, pool_, {key_.public_key(), key_named("validator " + std::to_string(who) + " vrf"),
                                      [this](const Block&) { snapshots_.announce(); }, {}, &snapshots_}) {
    if (begins == Begins::snapshot) return;
    abci::Request request;
    request.mutable_init_chain()->set_chain_id(attest::comet_chain_id(chain_->id()));
    EXPECT_EQ(ask(request).init_chain().app_hash().size(), 32u);
  }

  abci::Response ask(const abci::Request& request) {
    abci::Response response;
    application_.handle(request, response);
    return response;
  }
  uint64_t next() const { return number(chain_->store().head()) + 1; }
  const PublicKey key() const { return key_.public_key(); }
  Chain& chain() { return *chain_; }

  // Code of CheckTx, of a parcel; or of its recheck.
  std::string check(const Bytes& transaction) { return check_parcel({transaction}); }
  std::string check_parcel(const std::vector<Bytes>& transactions, bool again = false) { return check_bytes(encode(Parcel{transactions}), again); }
  std::string check_bytes(const Bytes& parcel, bool again = false) {
    abci::Request request;
    request.mutable_check_tx()->set_tx(std::string(parcel.begin(), parcel.end()));
    if (again) request.mutable_check_tx()->set_type(abci::RECHECK);
    const uint32_t code = ask(request).check_tx().code();
    return code == 0 ? "ok" : std::string(name(static_cast<Code>(code)));
  }
  std::vector<std::string> prepare(const std::vector<Bytes>& offered, int64_t max_bytes = 1 << 20) {
    for (const auto& tx : offered) check(tx);
    abci::Request request;
    auto* prepare = request.mutable_prepare_proposal();
    fill(*prepare, key());
    prepare->set_max_tx_bytes(max_bytes);
    const abci::Response response = ask(request);
    return {response.prepare_proposal().txs().begin(), response.prepare_proposal().txs().end()};
  }
  bool process(const std::vector<std::string>& entries, const PublicKey& proposer) {
    abci::Request request;
    auto* process = request.mutable_process_proposal();
    fill(*process, proposer);
    for (const auto& entry : entries) process->add_txs(entry);
    return ask(request).process_proposal().status() == abci::ResponseProcessProposal::ACCEPT;
  }
  using Adjust = std::function<void(abci::RequestFinalizeBlock&)>;
  abci::ResponseFinalizeBlock finalize(const std::vector<std::string>& entries, const PublicKey& proposer, const Adjust& adjust = {}) {
    abci::Request request;
    auto* finalize = request.mutable_finalize_block();
    fill(*finalize, proposer);
    for (const auto& entry : entries) finalize->add_txs(entry);
    if (adjust) adjust(*finalize);
    return ask(request).finalize_block();
  }
  // One block of these transactions: their codes, and "NAME=VOTES" for each change of the set.
  std::string block(const std::vector<Bytes>& transactions, const Adjust& adjust = {}) {
    const auto entries = prepare(transactions);
    EXPECT_EQ(entries.size(), transactions.size() + 1);
    const auto done = finalize(entries, key(), adjust);
    commit();
    std::string out;
    for (int i = 1; i < done.tx_results_size(); i++) {
      const uint32_t code = done.tx_results(i).code();
      out += (out.empty() ? "" : " ") + (code == 0 ? "ok" : std::string(name(static_cast<Code>(code))));
    }
    for (const auto& update : done.validator_updates())
      for (const char* who : {"validator 0", "validator 1", "validator 2"})
        if (PublicKey::from(as_bytes(update.pub_key().ed25519())) == key_named(who).public_key())
          out += std::string(out.empty() ? "" : " ") + who[10] + "=" + std::to_string(update.power());
    return out;
  }
  void commit() {
    abci::Request request;
    request.mutable_commit();
    EXPECT_TRUE(ask(request).has_commit());
  }

 private:
  template <class Part>
  void fill(Part& part, const PublicKey& proposer) const {
    part.set_height(static_cast<int64_t>(next()));
    part.mutable_time()->set_seconds(static_cast<int64_t>(1'700'000'000 + next()));
    const auto address = attest::address_of(proposer);
    part.set_proposer_address(std::string(address.begin(), address.end()));
  }
  Scratch scratch_;
  std::unique_ptr<Chain> chain_;
  Snapshots snapshots_;
  SecretKey key_;
  Pool pool_;
  Application application_;
};

}  // namespace cairn::ledger::comet
