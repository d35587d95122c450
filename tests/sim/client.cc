#include "tests/sim/client.h"

namespace cairn::sim {
namespace {
constexpr uint64_t kSendAgain_ms = 400;
constexpr int kTries = 10;
}  // namespace

Client::Client(Network& network, Place place, std::string name, const SecretKey& key, Rng rng, std::optional<AccountId> account)
    : network_(network), rng_(rng), key_(key), place_(place), name_(std::move(name)), id_(account.value_or(account_of(key.public_key()))),
      signer_{id_, account ? key.public_key() : PublicKey{}} {
  network.truth.names[account_of(key.public_key())] = name_;
}

void Client::start() {
  const uint64_t wait = rng_.between(100, 300);
  network_.world.after(wait, [this] {
    wake();
    start();
  });
}

void Client::wake() {
  near_ = nullptr;
  const size_t first = rng_.below(network_.nodes.size());
  for (size_t i = 0; i < network_.nodes.size() && !near_; i++) {
    Node* node = network_.nodes[(first + i) % network_.nodes.size()];
    if (node->up() && network_.world.reaches(place_, node->place())) near_ = node;
  }
  // A node that is far behind shows a state that nobody keeps any more.
  if (!near_ || number(network_.audit.height()) > number(near_->height()) + 40) return;
  const Records& view = network_.audit.view(near_->height());
  now_ = view.now;
  settle(view);
  resend(*near_);
  act(view);
}

void Client::settle(const Records& view) {
  nonce_ = std::max(nonce_, view.nonce(signer_));
  while (!pending_.empty() && pending_.begin()->first < nonce_) {
    const Pending sent = pending_.begin()->second;
    pending_.erase(pending_.begin());
    const auto result = network_.audit.result(sent.id);
    const bool applied = result && result->code != static_cast<uint16_t>(Code::wrong_nonce);
    if (applied && result->code == 0) {
      done_.insert(sent.about);
    } else {
      failures_[sent.about]++;
    }
    if (applied) happened(sent.about, sent.id, result->code);
  }
  if (!pending_.empty() && pending_.begin()->second.expiry <= now_) give_up_from(pending_.begin()->first);
}

void Client::give_up_from(uint64_t nonce) { pending_.erase(pending_.lower_bound(nonce), pending_.end()); }

void Client::resend(Node& node) {
  for (auto& [nonce, pending] : pending_) {
    if (pending.sent_ms + kSendAgain_ms > network_.world.now_ms()) continue;
    pending.sent_ms = network_.world.now_ms();
    hand_over(node, pending.bytes);
  }
}

void Client::hand_over(Node& node, const Bytes& bytes) {
  network_.engine.overhear(bytes);
  Node* to = &node;
  network_.world.send(place_, node.place(), [this, to, bytes] {
    to->receive(bytes, [this, to](const TransactionId& id, Height height, uint16_t code) {
      network_.world.send(to->place(), place_, [this, id, height, code] {
        if (number(height) > 0) return;  // seen in the state, sooner or later
        const auto at = std::find_if(pending_.begin(), pending_.end(), [&](const auto& entry) { return entry.second.id == id; });
        if (at == pending_.end()) return;
        const auto refused = static_cast<Code>(code);
        if (refused == Code::mempool_full || refused == Code::wrong_nonce) return;  // later, perhaps
        failures_[at->second.about]++;
        give_up_from(at->first);
      });
    });
  });
}

bool Client::wants(const Hash& about) const {
  const auto failed = failures_.find(about);
  return near_ && !busy() && !done_.contains(about) && (failed == failures_.end() || failed->second < kTries) &&
         std::none_of(pending_.begin(), pending_.end(), [&](const auto& entry) { return entry.second.about == about; });
}

void Client::send(const Hash& about, Body body, uint64_t expires_ms) {
  if (!wants(about)) return;
  const uint64_t nonce = pending_.empty() ? nonce_ : std::prev(pending_.end())->first + 1;
  const ChainTime expiry = after(now_, expires_ms);
  // Who plays for more than the fee does not wait behind those who do not.
  Pending pending{signed_bytes(std::move(body), nonce, expiry, urgent_ ? 4 : 1), {}, nonce, expiry, about, network_.world.now_ms()};
  pending.id = transaction_id(pending.bytes);
  hand_over(*near_, pending.bytes);
  pending_.emplace(nonce, std::move(pending));
}

void Client::contradict(Body body, uint64_t fee_factor) {
  if (!near_ || pending_.empty()) return;
  Node* const other = network_.nodes[rng_.below(network_.nodes.size())];
  const Pending& last = std::prev(pending_.end())->second;
  hand_over(other->up() ? *other : *near_, signed_bytes(std::move(body), last.nonce, last.expiry, fee_factor));
}

Bytes Client::signed_bytes(Body body, uint64_t nonce, ChainTime expiry, uint64_t fee_factor) {
  Transaction transaction;
  transaction.genesis = network_.chain;
  transaction.sender = id_;
  if (!signer_.hot_key.is_zero()) transaction.by = SignedBy::hot_key;
  transaction.nonce = nonce;
  transaction.expiry = expiry;
  transaction.body = std::move(body);
  sign(transaction, key_, network_.genesis.params.fee_per_byte);
  if (fee_factor > 1) {
    transaction.fee.pebbles *= fee_factor;
    sign(transaction, key_, network_.genesis.params.fee_per_byte);
  }
  return encode(transaction);
}

void Client::play(const Dispute& dispute, attest::Party me, attest::Trial& replay) {
  const auto& game = dispute.game;
  const Hash move_number = about("move", dispute.id, game.provider_moves, game.challenger_moves);
  if (game.over() || game.to_move != me || !wants(move_number)) return;
  auto move = attest::next_move(game, me, program_of(game.terms.plan_root, game.terms.key.has_value()).example.plan, replay);
  if (move) send(move_number, PlayMove{dispute.id, *std::move(move)}, 8'000);  // else no case: silence
}

void Client::play_challenges(const Records& view, const std::function<attest::Trial&(const Run&, uint64_t segment)>& rerun) {
  for (const auto& [id, dispute] : view.games) {
    if (dispute.challenger != id_ || dispute.game.over()) continue;
    const auto job = view.jobs.find(dispute.job);
    if (job == view.jobs.end()) continue;
    const auto* attempt = network_.truth.attempt(dispute.job, job->second.tries - 1);
    if (attempt && attempt->run) play(dispute, attest::Party::challenger, rerun(*attempt->run, dispute.game.terms.segment));
  }
}

}  // namespace cairn::sim
