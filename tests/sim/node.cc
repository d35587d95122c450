#include "tests/sim/node.h"

namespace cairn::sim {
namespace {
constexpr uint64_t kClockMayLead_ms = 1'000;  // a proposal's clock, beyond one's own
}

Node::Node(World& world, Place place, const attest::Genesis& genesis, const Keys& keys, Audit& audit, uint64_t clock_skew_ms,
           const MempoolLimits& limits)
    : world_(world), place_(place), genesis_(genesis), keys_(keys), audit_(audit), skew_ms_(clock_skew_ms), limits_(limits),
      chance_(world.rng().fork("node")) {
  start();
}

void Node::start() {
  ChainSettings settings;
  settings.beside = false;
  auto opened = Chain::open("/node", genesis_, &disk_, settings);
  require(static_cast<bool>(opened), "a node does not start from its disk: " + (opened ? "" : opened.error().text));
  chain_ = *std::move(opened);
  mempool_ = std::make_unique<Mempool>(limits_);
  lanes_.clear();
  places_.clear();
  height_ = chain_->store().head();
  note_pending();
  world_.note("node " + std::to_string(place_) + " starts at " + std::to_string(number(height_)));
  require(number(height_) == 0 || static_cast<bool>(chain_->check()), "the stored state is not what its header says");
  require(height_ >= acknowledged_, "a block that was committed is gone after a power cut");
  // A block may have reached the disk although nobody was told.
  for (uint64_t h = number(acknowledged_) + 1; h <= number(height_); h++) audit_.committed(*chain_, *chain_->store().block(Height{h}));
  acknowledged_ = height_;
  for (uint64_t h = number(height_); h > 0 && h + 3 > number(height_); h--) {
    const Block& block = audit_.block(Height{h});
    require(encode(*chain_->store().block(Height{h})) == encode(block), "a stored block differs from the one that was committed");
    for (const auto& result : block.results) require(chain_->store().result(result.id).has_value(), "an acknowledged transaction is gone");
  }
}

void Node::crash() {
  world_.note("node " + std::to_string(place_) + " crashes");
  lost_power();
}

void Node::lost_power() {
  chain_.reset();
  mempool_.reset();
  waiting_.clear();
  using Loss = FaultyDisk::Loss;
  static const std::vector<Loss> kLosses = {Loss::none, Loss::whole, Loss::prefix, Loss::torn};
  const Loss loss = chance_.of(kLosses);
  disk_.restore(loss, chance_.next());
}

void Node::receive(const Bytes& bytes, const Answer& answer) {
  if (!up()) return;
  const TransactionId id = transaction_id(bytes);
  const auto admitted = [&]() -> Result<> {
    if (bytes.size() > kMaxTransactionBytes) return Error{Code::limit, "too large", ""};
    return chain_->read([&](const App& app) -> Result<> {
      TRY_LET(transaction, app.check(bytes));
      const Standing standing = standing_of(app.state(), signer_of(transaction), app.head().header.time);
      Waiting waiting = Waiting::of(transaction, id, bytes);
      if (const auto* move = std::get_if<PlayMove>(&transaction.body)) waiting.is_move = awaits_move(app.state(), move->game, transaction.sender);
      const Signer signer = waiting.signer;
      const uint64_t nonce = waiting.nonce;
      TRY_LET(left, mempool_->add(std::move(waiting), standing, app.head().header.time));
      for (const Waiting& gone : left) note_gone(gone.id);
      require(lanes_[signer].emplace(nonce, Held{id, bytes.size()}).second, "the mempool took a second transaction of one nonce");
      places_.emplace(id, std::pair(signer, nonce));
      for (const Waiting& gone : left)
        if (const auto waiter = waiting_.extract(gone.id)) waiter.mapped()(gone.id, {}, static_cast<uint16_t>(Code::mempool_full));
      return {};
    });
  }();
  if (admitted || admitted.error().code == Code::already) {
    if (answer) waiting_[id] = answer;
    return;
  }
  if (!answer) return;
  if (const auto before = chain_->store().result(id)) return answer(id, before->height, before->code);
  answer(id, {}, static_cast<uint16_t>(admitted.error().code));
}

attest::BeaconEntry Node::beacon_entry() const {
  return chain_->read([&](const App& app) { return app.make_beacon(keys_.producer.public_key(), keys_.vrf); });
}

Proposal Node::propose(uint32_t round) {
  Proposal out;
  out.height = Height{number(height_) + 1};
  out.round = round;
  out.wall_ms = wall_ms();
  out.beacon = beacon_entry();
  size_t bytes = 0;
  std::map<Signer, uint64_t> next;
  for (const Waiting* waiting : mempool_->take(genesis_.params.max_block_bytes)) {
    bytes += waiting->bytes.size();
    out.transactions.push_back(waiting->bytes);
    // A sender's transactions come in their order, each nonce once, from the account's next on.
    const auto [at, first] = next.try_emplace(waiting->signer, chain_->read([&](const App& app) { return app.state().nonce(waiting->signer); }));
    require(waiting->nonce == at->second++, "the mempool gives a nonce that is not the sender's next");
  }
  require(bytes <= genesis_.params.max_block_bytes, "the mempool gives more than a block takes");
  check_taken(out.transactions);
  return out;
}

void Node::note_gone(const TransactionId& id) {
  const auto at = places_.extract(id);
  if (at) lanes_[at.mapped().first].erase(at.mapped().second);
}

void Node::check_taken(const std::vector<Bytes>& transactions) const {
  size_t bytes = 0;
  std::set<TransactionId> taken;
  for (const Bytes& transaction : transactions) {
    bytes += transaction.size();
    taken.insert(transaction_id(transaction));
  }
  for (const auto& [signer, lane] : lanes_) {
    uint64_t next = chain_->read([&, &signer = signer](const App& app) { return app.state().nonce(signer); });
    for (auto at = lane.find(next); at != lane.end() && at->first == next; ++at, ++next) {
      if (taken.contains(at->second.id)) continue;
      require(bytes + at->second.bytes > genesis_.params.max_block_bytes, "the mempool keeps back a transaction whose turn it is");
      break;
    }
  }
}

Result<> Node::consider(const Proposal& proposal) const {
  const auto refuse = [](Code code, const char* why) { return Error{code, why, ""}; };
  if (number(proposal.height) != number(height_) + 1) return refuse(Code::proof, "another height");
  if (proposal.wall_ms > wall_ms() + kClockMayLead_ms) return refuse(Code::invalid, "its clock is ahead");
  size_t bytes = 0;
  std::set<TransactionId> seen;
  for (const Bytes& transaction : proposal.transactions) {
    bytes += transaction.size();
    if (!seen.insert(transaction_id(transaction)).second) return refuse(Code::already, "a transaction twice");
    TRY_LET(decoded, decode<Transaction>(transaction));
    TRY(check_signature(decoded, chain_->id()));
  }
  if (bytes > genesis_.params.max_block_bytes) return refuse(Code::limit, "too large");
  if (proposal.beacon.producer != keys_.producer.public_key()) return refuse(Code::proof, "another's beacon");
  return chain_->read([&](const App& app) { return attest::check_beacon(app.beacon(), proposal.height, proposal.beacon, keys_.vrf.public_key()); });
}

bool Node::commit(const Proposal& proposal) {
  Block block;
  try {
    block = chain_->extend(decided(proposal), [&](const attest::Header& header) { return attest::sign_header(keys_.producer, header); });
  } catch (const Fault& fault) {
    if (!disk_.failed()) throw Violation(std::string("a node halted: ") + fault.what());
    world_.note("node " + std::to_string(place_) + " loses power in block " + std::to_string(number(proposal.height)));
    lost_power();
    return false;
  }
  height_ = acknowledged_ = block.header.header.height;
  note_pending();
  audit_.committed(*chain_, block);

  std::map<Signer, Standing> senders;
  std::set<Signer> rekeyed;
  for (size_t i = 0; i < proposal.transactions.size(); i++) {
    const auto transaction = decode<Transaction>(proposal.transactions[i]);
    if (!transaction) continue;
    senders[signer_of(*transaction)] = {};
    if (const auto rekeys = Waiting::of(*transaction, {}, {}).rekeys; rekeys && block.results[i].code == 0) rekeyed.insert(*rekeys);
  }
  const ChainTime now = block.header.header.time;
  chain_->read([&](const App& app) {
    for (auto& [signer, standing] : senders) standing = standing_of(app.state(), signer, now);
    return 0;
  });
  for (const auto& result : block.results) {
    mempool_->drop(result.id);
    note_gone(result.id);
  }
  const auto left = mempool_->settle(senders, rekeyed, now);
  for (const auto& [gone, why] : left) note_gone(gone.id);
  for (const auto& result : block.results)
    if (const auto waiter = waiting_.extract(result.id)) waiter.mapped()(result.id, result.height, result.code);
  for (const auto& [gone, why] : left)
    if (const auto waiter = waiting_.extract(gone.id)) waiter.mapped()(gone.id, {}, static_cast<uint16_t>(why.code));
  return true;
}

}  // namespace cairn::sim
