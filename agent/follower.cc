#include "agent/follower.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"

namespace cairn::agent {

namespace {

std::atomic<bool> stop_flag{false};
std::atomic<bool> reload_flag{false};
void on_signal(int) { stop_flag = true; }
void on_hangup(int) { reload_flag = true; }

void pause_ms(uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

const std::atomic<bool>& stop_on_signals() {
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::signal(SIGPIPE, SIG_IGN);
  return stop_flag;
}

std::atomic<bool>& reload_on_hangup() {
  std::signal(SIGHUP, on_hangup);
  return reload_flag;
}

void Outage::tell(const Error* error) {
  if (error ? told_ == error->code : !told_) return;
  told_ = error ? std::optional(error->code) : std::nullopt;
  if (!error) return log_info("chain.back", {{"node", node_.address()}});
  log(error->code == Code::unreachable ? LogLevel::warning : LogLevel::error, "chain.not_read",
      {{"node", node_.address()}, {"folder", node_.folder().string()}, {"code", name(error->code)}, {"text", error->text}, {"next", error->next}});
}

Follower::Follower(const std::string& node, const std::filesystem::path& folder, const StoredKey& key, const std::atomic<bool>& stop)
    : node_address_(node), stop_(stop), send_node_(node, folder) {
  for (Outage outage(send_node_); !sender_; pause_ms(100)) {
    if (stop_) throw Fault({Code::cancelled, "asked to stop before the node answered", ""});
    auto made = Sender::make(send_node_, key);
    if (outage.over(made)) {
      sender_ = *std::move(made);
      break;
    }
  }
  listener_ = std::thread([this] { listen(); });
}

Follower::~Follower() {
  if (listener_.joinable()) listener_.join();
}

void Follower::listen() {
  constexpr uint32_t kPollMs = 1000;
  NodeClient node(node_address_);  // events wake, and are believed of nothing
  Outage outage(node);
  uint64_t next = 0;
  while (!stop_) {
    if (next == 0)
      if (const auto status = node.status(); outage.over(status)) next = status->next_event;
    if (next == 0) {
      pause_ms(200);
      continue;
    }
    const auto events = node.events(next, kPollMs);
    if (!outage.over(events)) {
      pause_ms(200);
      continue;
    }
    if (events->empty()) continue;
    next = events->back().seq + 1;
    {
      const std::lock_guard lock(seen_mutex_);
      for (const auto& event : *events)
        if (event.kind.starts_with("account.")) other_keys_.insert(event.id.as<AccountIdTag>());
    }
    wake();
  }
  wake();
}

void Follower::wake() {
  {
    const std::lock_guard lock(seen_mutex_);
    happened_++;
  }
  changed_.notify_all();
}

void Follower::wait(uint64_t& seen, uint32_t timeout_ms) {
  std::unique_lock lock(seen_mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return happened_ != seen || stop_; });
  seen = happened_;
}

Result<ledger::TxResult> Follower::send(const ledger::Body& body) {
  const std::lock_guard lock(send_mutex_);
  return sender_->send(body);
}

bool Follower::try_send(const ledger::Body& body, const JobId& job) {
  const auto done = send(body);
  if (done) {
    log_info("chain.sent", {{"what", ledger::name(body)}, {"job", job}, {"height", number(done->height)}});
    return true;
  }
  log_warning("chain.refused", {{"what", ledger::name(body)},
                                {"job", job},
                                {"code", name(done.error().code)},
                                {"text", done.error().text}});
  return false;
}

void notify_ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void notify_alive() { sd_notify(0, "WATCHDOG=1"); }

bool Follower::try_send_all(const std::vector<ledger::Body>& bodies, const JobId& job) {
  if (bodies.empty()) return true;
  if (bodies.size() == 1) return try_send(bodies.front(), job);
  const auto done = [&] {
    const std::lock_guard lock(send_mutex_);
    return sender_->send_all(bodies);
  }();
  if (done) {
    log_info("chain.sent", {{"what", ledger::name(bodies.front())}, {"job", job}, {"count", bodies.size()}});
    return true;
  }
  log_warning("chain.refused", {{"job", job}, {"code", name(done.error().code)}, {"text", done.error().text}});
  return false;
}

Result<PublicKey> key_of(NodeClient& node, const AccountId& account, ledger::Scope role) {
  TRY_LET(view, node.account(account));
  for (const auto& hot : view.hot_keys)
    if (std::find(hot.scopes.begin(), hot.scopes.end(), role) != hot.scopes.end()) return hot.key;
  if (view.account.keys.keys.empty())
    return Error{Code::not_found, "account " + account.hex().substr(0, 16) + " has never signed, so it has no key", "wait until it has"};
  return view.account.keys.keys.front();
}

void Follower::refresh(NodeClient& node, Desk& desk) {
  std::set<AccountId> accounts;
  {
    const std::lock_guard lock(seen_mutex_);
    accounts.swap(other_keys_);
  }
  for (const auto& account : accounts)
    if (desk.knows(account) && !learn(node, desk, account)) {
      const std::lock_guard lock(seen_mutex_);
      other_keys_.insert(account);
    }
}

bool learn(NodeClient& node, Desk& desk, const AccountId& account) {
  const auto view = node.account(account);
  if (!view) return false;
  std::vector<PublicKey> keys = view->account.keys.keys;
  for (const auto& hot : view->hot_keys) keys.push_back(hot.key);
  if (!keys.empty()) desk.know(account, keys);
  return true;
}

void introduce(NodeClient& node, Desk& desk, const std::vector<AccountId>& accounts) {
  for (const auto& account : accounts)
    if (!account.is_zero() && !desk.knows(account)) learn(node, desk, account);
}

}  // namespace cairn::agent
