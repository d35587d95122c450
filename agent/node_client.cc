#include "agent/node_client.h"

#include <mutex>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

namespace cairn::agent {

namespace {

constexpr uint32_t kAnswerMs = 10'000;
constexpr uint32_t kBlockMs = 35'000;          // a node answers after 30 s that no block has taken the transaction
constexpr uint64_t kExpiryMs = 60'000;         // chain time
constexpr int kNonceAttempts = 20;
constexpr size_t kAnswerMaxBytes = 256u << 20;
constexpr size_t kMemoryMaxBytes = 4u << 20;  // a header with the votes of many validators
constexpr size_t kKeysAtOnce = 32;             // what a node answers at once
constexpr uint64_t kMemoriesPerUnbonding = 20;  // so much younger than what is too old is what kill -9 and power cuts leave

Code code_named(const std::string& word) {
  for (unsigned n = 1; n < 1000; n++)
    if (is_valid(static_cast<Code>(n)) && name(static_cast<Code>(n)) == word) return static_cast<Code>(n);
  return Code::internal;
}

// Nothing where a node says more than a word: to write what is nested costs stack.
std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_primitive()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// What is remembered of a chain: grammar by fields().
struct Memory {
  Hash chain;
  std::optional<attest::SignedHeader> seen;
  static constexpr auto fields() { return std::tuple{field("chain", &Memory::chain), field("seen", &Memory::seen)}; }
};

std::mutex memory_mutex;  // a daemon's clients write one file

Result<std::optional<Memory>> recall(const std::filesystem::path& file) {
  std::error_code fault;
  if (file.empty() || !std::filesystem::exists(file, fault)) return std::optional<Memory>();
  TRY_LET(bytes, read_file(file, kMemoryMaxBytes));
  auto memory = decode<Memory>(bytes);
  if (!memory) return Error{Code::malformed, "the file " + file.string() + " is damaged", "remove it, if you trust this node to name your chain"};
  return std::optional(*std::move(memory));
}

uint64_t memory_ms(const attest::Genesis& genesis) { return genesis.params.unbonding_ms / kMemoriesPerUnbonding; }

}  // namespace

NodeClient::NodeClient(std::string address, const std::filesystem::path& folder)
    : address_(std::move(address)), memory_(folder.empty() ? folder : folder / "chain.seen") {
  if (address_.find("://") == std::string::npos) address_ = "http://" + address_;
  while (address_.ends_with('/')) address_.pop_back();
}
NodeClient::~NodeClient() {
  if (const auto kept = remember(false); !kept) log_warning("chain.forgotten", {{"file", memory_.string()}, {"text", kept.error().text}});
}

Result<> NodeClient::remember(bool anew) {
  if (memory_.empty() || !light_ || !light_->seen()) return {};
  const attest::Header& seen = light_->seen()->header;
  remembered_wall_ms_ = seen.wall_ms;
  const std::lock_guard lock(memory_mutex);
  if (const auto there = recall(memory_); there && *there && !anew) {
    const Memory& memory = **there;
    if (memory.chain != light_->chain() || (memory.seen && number(memory.seen->header.height) >= number(seen.height))) return {};
  }
  std::error_code ignored;
  std::filesystem::create_directories(memory_.parent_path(), ignored);
  return write_file(memory_, encode(Memory{light_->chain(), light_->seen()}));
}

Result<std::string> NodeClient::request(const std::string& path, const ByteSpan* body, uint32_t timeout_ms) {
  HttpQuestion question{address_ + path, {}, {}};
  if (body) question.body = *body;
  question.timeout_ms = timeout_ms;
  question.answer_max_bytes = kAnswerMaxBytes;
  const auto answered = http_.ask(question);
  if (!answered)
    return Error{Code::unreachable, "the node at " + answered.error().text, "start it (`cairn net up`, or systemctl start cairnd), or mend `node` in the configuration"};
  const auto& [status, answer] = *answered;
  if (status >= 200 && status < 300) return answer;
  const auto told = nlohmann::json::parse(answer, nullptr, false);
  if (told.is_object() && told.contains("code"))
    return Error{code_named(text_of(told, "code")), text_of(told, "text"), text_of(told, "next")};
  return Error{Code::malformed, "what answers at " + question.url + " is no node: HTTP status " + std::to_string(status),
               "mend `node` in the configuration"};
}

Result<std::string> NodeClient::json(const std::string& path) { return request(path, nullptr, kAnswerMs); }

Result<Bytes> NodeClient::raw(const std::string& path) {
  TRY_LET(text, request(path + (path.find('?') == std::string::npos ? "?raw=1" : "&raw=1"), nullptr, kAnswerMs));
  return Bytes(text.begin(), text.end());
}

// ---- state, with proof --------------------------------------------------------------------------------------------

// A client that has long asked nothing goes on from what the others have seen meanwhile, or from what somebody trusted has named.
Result<attest::LightClient*> NodeClient::light() {
  const auto is_fresh = [&](const attest::SignedHeader& seen) { return SystemClock().wall_ms() < seen.header.wall_ms + memory_ms(light_->genesis()); };
  if (light_ && (memory_.empty() || !light_->seen() || is_fresh(*light_->seen()))) return &*light_;
  TRY_LET(memory, recall(memory_));
  if (!light_) {
    TRY_LET(genesis, record<attest::Genesis>("/v1/genesis"));
    const Hash chain = attest::genesis_hash(genesis);
    if (memory && memory->chain != chain)
      return Error{Code::wrong_chain, "the node at " + address_ + " is of chain " + chain.hex().substr(0, 16) + "; here is remembered " + memory->chain.hex().substr(0, 16),
                   "name a node of your chain, or remove " + memory_.string() + " to follow the other one"};
    light_.emplace(std::move(genesis), memory ? memory->seen : std::nullopt);
  } else if (memory && memory->chain == light_->chain() && memory->seen && number(memory->seen->header.height) > number(light_->seen()->header.height)) {
    light_ = attest::LightClient(light_->genesis(), memory->seen);  // not emplace, which would let go of the genesis first
  } else {
    return &*light_;
  }
  if (light_->seen()) remembered_wall_ms_ = light_->seen()->header.wall_ms;
  return &*light_;
}

Result<attest::Genesis> NodeClient::genesis() {
  TRY_LET(client, light());
  return client->genesis();
}

Result<attest::SignedHeader> NodeClient::header(Height height) {
  const std::string at = number(height) == 0 ? "" : "?height=" + std::to_string(number(height));
  TRY_LET(state, record<attest::ProvenState>("/v1/state/" + to_hex(attest::rules_key(1)) + at));
  return state.header;
}

Result<> NodeClient::trust(const attest::SignedHeader& header, const Hash& name) {
  TRY_LET(client, light());
  TRY(client->begin(header, name));
  return remember(true);
}

Result<std::vector<std::optional<Bytes>>> NodeClient::state(const std::vector<Bytes>& keys) {
  TRY_LET(client, light());
  std::vector<std::optional<Bytes>> out;
  for (size_t from = 0; from < keys.size(); from += kKeysAtOnce) {
    const auto some = std::span(keys).subspan(from, std::min(kKeysAtOnce, keys.size() - from));
    std::string path = "/v1/state/";
    for (const Bytes& key : some) path += (path.back() == '/' ? "" : ",") + to_hex(key);
    TRY_LET(answer, record<attest::ProvenState>(path));
    TRY_LET(values, client->read(some, answer, SystemClock().wall_ms()));
    std::move(values.begin(), values.end(), std::back_inserter(out));
  }
  if (const auto& seen = client->seen(); seen && seen->header.wall_ms > remembered_wall_ms_ + memory_ms(client->genesis()))
    if (const auto kept = remember(false); !kept) log_warning("chain.forgotten", {{"file", memory_.string()}, {"text", kept.error().text}});
  return out;
}

Result<ledger::AccountView> NodeClient::account(const AccountId& id) {
  using ledger::Holder;
  std::vector<Bytes> keys = {ledger::make_key('a', id)};
  for (const Holder& holder : {Holder::account(id), Holder::stake(id), Holder::bond(id), Holder::unbonding(id)})
    keys.push_back(ledger::key_of(holder, {}));
  TRY_LET(values, state(keys));
  ledger::AccountView view{{id, {1, {}}, 0}, {}, {}, {}, {}, {}};
  bool known = false;
  for (const auto& value : values) known |= value.has_value();
  if (!known) return Error{Code::unknown_account, "account " + id.hex().substr(0, 16) + " has never held anything", "send it CRN first"};
  if (values[0]) {
    TRY_LET(account, decode<ledger::Account>(*values[0]));
    view.account = account;
  }
  Amount* const amounts[] = {&view.balance, &view.stake, &view.bond, &view.unbonding};
  for (size_t i = 0; i < 4; i++) {
    if (!values[i + 1]) continue;
    TRY_LET(holding, decode<ledger::Holding>(*values[i + 1]));
    *amounts[i] = holding.amount;
  }
  // Which hot keys there are, the node says; what they may do is proven.
  TRY_LET(told, record<ledger::AccountView>("/v1/accounts/" + id.hex()));
  keys.clear();
  for (const auto& hot : told.hot_keys) keys.push_back(ledger::key_of(ledger::Signer{id, hot.key}));
  TRY_LET(granted, state(keys));
  for (const auto& value : granted) {
    if (!value) continue;
    TRY_LET(hot, decode<ledger::HotKey>(*value));
    view.hot_keys.push_back(hot);
  }
  return view;
}

Result<std::vector<attest::Rules>> NodeClient::rules() {
  TRY_LET(told, record<std::vector<attest::Rules>>("/v1/rules"));
  std::vector<Bytes> keys;
  for (const auto& rules : told) keys.push_back(attest::rules_key(rules.number));
  TRY_LET(values, state(keys));
  std::vector<attest::Rules> out;
  for (const auto& value : values) {
    if (!value) return Error{Code::proof, "the node names rules that the state does not hold", "ask another node"};
    TRY_LET(rules, decode<attest::Rules>(*value));
    out.push_back(rules);
    if (rules.number != out.size()) return Error{Code::proof, "the node leaves out rules, or tells them in another order", "ask another node"};
  }
  if (out.empty()) return Error{Code::proof, "the node names no rules", "ask another node"};
  return out;
}

Result<attest::Header> NodeClient::head() {
  TRY(light());
  const auto read = state({attest::rules_key(1)});
  if (!read && (read.error().code != Code::not_found || light_->seen())) return read.error();
  return read ? light_->seen()->header : attest::Header{};
}

Result<attest::Rules> NodeClient::rules_in_force() {
  TRY_LET(last, head());
  if (number(last.height) == 0) return attest::first_rules(light_->genesis());
  TRY_LET(all, rules());
  return ledger::rules_at(all, Height{number(last.height) + 1});
}

Result<ChainTime> NodeClient::time() {
  TRY_LET(last, head());
  return last.time;
}

Result<std::vector<ledger::VerifierView>> NodeClient::verifiers() {
  TRY_LET(list, told<ledger::VerifierView>("/v1/verifiers"));
  std::vector<Bytes> keys;
  for (const auto& item : list) {
    keys.push_back(ledger::key_of(item.verifier));
    keys.push_back(ledger::key_of(ledger::Holder::bond(item.verifier.account), {}));
  }
  TRY_LET(values, state(keys));
  std::vector<ledger::VerifierView> out;
  for (size_t i = 0; i < values.size(); i += 2) {
    if (!values[i] || !values[i + 1]) continue;
    TRY_LET(verifier, decode<ledger::Verifier>(*values[i]));
    TRY_LET(bond, decode<ledger::Holding>(*values[i + 1]));
    out.push_back({verifier, bond.amount});
  }
  return out;
}

Result<ledger::Quote> NodeClient::quote(const attest::JobSpec& spec) {
  const Bytes bytes = encode(spec);
  const ByteSpan body = bytes;
  TRY_LET(text, request("/v1/quote?raw=1", &body, kAnswerMs));
  return decode<ledger::Quote>(as_bytes(text));
}

Result<std::vector<ledger::Event>> NodeClient::events(uint64_t from, uint32_t wait_ms) {
  TRY_LET(text, request("/v1/events?from=" + std::to_string(from) + "&wait_ms=" + std::to_string(wait_ms) + "&raw=1", nullptr,
                        wait_ms + kAnswerMs));
  return decode<std::vector<ledger::Event>>(as_bytes(text));
}

Result<ledger::TxResult> NodeClient::submit(ByteSpan transaction, bool wait) {
  TRY_LET(text, request(std::string("/v1/transactions?raw=1") + (wait ? "&wait=1" : ""), &transaction, wait ? kBlockMs : kAnswerMs));
  return decode<ledger::TxResult>(as_bytes(text));
}

Sender::Sender(NodeClient& node, const StoredKey& key, attest::Genesis genesis)
    : node_(&node),
      stored_(key),
      genesis_(std::move(genesis)),
      chain_(attest::genesis_hash(genesis_)) {}

namespace {
Result<std::optional<ledger::AccountView>> known(NodeClient& node, const AccountId& id) {
  auto view = node.account(id);
  if (view) return std::optional(*std::move(view));
  if (view.error().code != Code::not_found && view.error().code != Code::unknown_account) return view.error();
  return std::optional<ledger::AccountView>();
}
const ledger::HotKey* hot_key_in(const ledger::AccountView& view, const PublicKey& key) {
  for (const auto& hot : view.hot_keys)
    if (hot.key == key) return &hot;
  return nullptr;
}
}  // namespace

Result<Sender> Sender::make(NodeClient& node, const StoredKey& key) {
  TRY_LET(genesis, node.genesis());
  Sender out(node, key, std::move(genesis));
  TRY_LET(rules, node.rules_in_force());
  out.fee_per_byte_ = rules.params.fee_per_byte;
  TRY_LET(view, known(node, key.account));
  const PublicKey own = key.key.public_key();
  if (view && hot_key_in(*view, own)) {
    out.by_ = ledger::SignedBy::hot_key;
  } else if (view && !view->account.keys.keys.empty() && !view->account.keys.holds(own)) {
    return Error{Code::unauthorised, "key " + own.hex().substr(0, 16) + " is none of account " + key.account.hex().substr(0, 16) + "'s",
                 "use the key file that it was changed to, or have this key granted"};
  }
  return out;
}

Result<ledger::Transaction> Sender::prepared() const {
  TRY_LET(now, node_->time());
  ledger::Transaction transaction;
  transaction.genesis = chain_;
  transaction.sender = stored_.account;
  transaction.by = by_;
  transaction.expiry = after(now, kExpiryMs);
  TRY_LET(view, known(*node_, stored_.account));
  if (!view) return transaction;
  const ledger::HotKey* hot = hot_key_in(*view, stored_.key.public_key());
  transaction.nonce = hot ? hot->nonce : view->account.nonce;
  return transaction;
}

namespace {
Error refused(const ledger::Body& body, Code code, const std::string& text, const AccountId& account) {
  return {code, std::string(ledger::name(body)) + " was refused: " + text,
          code == Code::insufficient ? "add CRN to account " + account.hex()
                                     : "only the fee was taken; ask the node how things stand now, then decide"};
}
}  // namespace

Result<bool> Sender::fee_has_risen(Code refused) {
  if (refused != Code::fee_too_low) return false;
  TRY_LET(rules, node_->rules_in_force());
  const uint64_t before = std::exchange(fee_per_byte_, rules.params.fee_per_byte);
  return fee_per_byte_ > before;
}

namespace {
// Whether doing it twice is something else than doing it once.
bool adds_up(const ledger::Body& body) {
  using namespace ledger;
  return std::visit([]<class B>(const B&) {
    return std::is_same_v<B, Transfer> || std::is_same_v<B, OpenJob> || std::is_same_v<B, PostOffer> || std::is_same_v<B, Stake> || std::is_same_v<B, Unstake> ||
           std::is_same_v<B, Bond> || std::is_same_v<B, Unbond> || std::is_same_v<B, JoinValidators>;
  }, body);
}
}  // namespace

Result<ledger::TxResult> Sender::send(const ledger::Body& body) {
  uint64_t nonce = 0;
  for (int attempt = 0;; attempt++) {
    TRY_LET(transaction, prepared());
    if (attempt > 0 && adds_up(body) && transaction.nonce != nonce)  // the node may have kept what it refused
      return Error{Code::wrong_nonce, "another transaction took nonce " + std::to_string(nonce) + ", or this one did although the node refused it",
                   "see whether it was done before you do it again"};
    nonce = transaction.nonce;
    transaction.body = body;
    ledger::sign(transaction, stored_.key, fee_per_byte_);
    const auto result = node_->submit(encode(transaction), true);
    const Code code = result ? static_cast<Code>(result->code) : result.error().code;
    if (code == Code::wrong_nonce && attempt < kNonceAttempts) continue;
    TRY_LET(again, fee_has_risen(code));
    if (again) continue;
    if (!result) return result.error();
    if (result->code != 0) return refused(body, code, result->text, stored_.account);
    return result;
  }
}

Result<> Sender::send_all(const std::vector<ledger::Body>& bodies) {
  if (bodies.empty()) return {};
  TRY_LET(transaction, prepared());
  std::vector<ledger::TransactionId> ids;
  while (ids.size() < bodies.size()) {
    transaction.body = bodies[ids.size()];
    transaction.fee = {};
    ledger::sign(transaction, stored_.key, fee_per_byte_);
    const auto result = node_->submit(encode(transaction), ids.size() + 1 == bodies.size());
    TRY_LET(again, fee_has_risen(result ? Code{} : result.error().code));
    if (again) continue;
    if (!result) return result.error();
    ids.push_back(result->id);
    transaction.nonce++;
  }
  for (size_t i = 0; i < ids.size(); i++) {
    TRY_LET(result, node_->record<ledger::TxResult>("/v1/transactions/" + ids[i].hex()));
    if (result.code != 0) return refused(bodies[i], static_cast<Code>(result.code), result.text, stored_.account);
  }
  return {};
}

}  // namespace cairn::agent
