#include "ledger/node.h"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <fstream>

#include "base/clock.h"
#include "ledger/market.h"
#include "ledger/openapi.h"

namespace cairn::ledger {
namespace {

constexpr uint32_t kBlockWaitMs = 25'000;   // of ?wait=1; clients give up after 30 s
constexpr uint32_t kEventWaitMaxMs = 60'000;
constexpr uint64_t kEventsMax = 10'000;     // of one answer
constexpr size_t kProvenMax = 32;           // keys of one answer
constexpr uint64_t kPageRecords = 1'000;
constexpr size_t kPageBytes = 512u << 10;   // of records that one answer looks at, each with kLookBytes; the last one may pass it
constexpr size_t kLookBytes = 64;
constexpr uint64_t kFoundMax = 1'000;
constexpr uint64_t kStalledNs = 10'000'000'000;  // a block that does not come for so long does not come

bool wants_raw(const HttpRequest& request) {
  const auto raw = request.query.find("raw");
  return raw != request.query.end() && raw->second != "0";
}

HttpResponse raw_response(const Bytes& bytes) { return {200, "application/octet-stream", std::string(bytes.begin(), bytes.end())}; }

template <class Record>
HttpResponse response_with(const Record& record, bool raw) {
  return raw ? raw_response(encode(record)) : HttpResponse{200, "application/json", to_json(record)};
}
template <class Record>
Result<> send(const HttpRequest& request, const std::shared_ptr<HttpReply>& reply, const Record& record) {
  reply->send(response_with(record, wants_raw(request)));
  return {};
}

Result<uint64_t> number_of(std::string_view text, const std::string& what) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return Error{Code::invalid, what + " is no whole number: " + std::string(text.substr(0, 40)), "write it in decimal digits"};
  return number;
}
Result<uint64_t> number_in(const HttpRequest& request, const std::string& key, uint64_t otherwise) {
  const auto at = request.query.find(key);
  if (at == request.query.end()) return otherwise;
  return number_of(at->second, key);
}

template <class Id>
Result<Id> id_of(const std::string& hex) {
  const auto id = Id::from_hex(hex);
  if (!id) return Error{Code::invalid, "not an id: " + hex.substr(0, 70), "an id is 64 hexadecimal digits"};
  return *id;
}
template <class Id>
Result<std::optional<Id>> id_in(const HttpRequest& request, const std::string& key) {
  const auto at = request.query.find(key);
  if (at == request.query.end()) return std::optional<Id>();
  TRY_LET(id, id_of<Id>(at->second));
  return std::optional<Id>(id);
}

template <class Record>
Result<Record> found(std::optional<Record> record, const char* what, const std::string& id) {
  if (!record) return Error{Code::not_found, std::string("no ") + what + " " + id.substr(0, 16), "check its id; what has ended goes after a while"};
  return *std::move(record);
}

// For people the code is a word.
std::string word_of(uint16_t code) { return json_quote(code == 0 ? "ok" : name(static_cast<Code>(code))); }
std::string json_of(const TxResult& result) {
  return "{\"id\":" + to_json(result.id) + ",\"height\":" + to_json(result.height) + ",\"code\":" + word_of(result.code) +
         ",\"text\":" + json_quote(result.text) + "}";
}
std::string json_of(const TransactionPage& page) {
  std::string out = "{\"transactions\":[";
  for (const auto& result : page.transactions) out += (&result == page.transactions.data() ? "" : ",") + json_of(result);
  return out + "],\"next\":" + to_json(page.next) + ",\"indexed\":" + to_json(page.indexed) + "}";
}
std::string json_of(const Simulation& s) {
  std::string out = "{\"code\":" + word_of(s.code) + ",\"text\":" + json_quote(s.text) + ",\"next\":" + json_quote(s.next) +
                    ",\"fee\":" + to_json(s.fee) + ",\"least_fee\":" + to_json(s.least_fee) + ",\"nonce\":" + to_json(s.nonce) +
                    ",\"effects\":" + to_json(s.effects) + ",\"events\":[";
  for (const auto& event : s.events) out += (&event == s.events.data() ? "" : ",") + event_json(event);
  return out + "]}";
}
// Records of which people are shown another form than their fields.
template <class Record>
Result<> send_view(const HttpRequest& request, const std::shared_ptr<HttpReply>& reply, const Record& record) {
  reply->send(wants_raw(request) ? raw_response(encode(record)) : HttpResponse{200, "application/json", json_of(record)});
  return {};
}
HttpResponse response_of(const Result<TxResult>& result, bool raw) {
  if (!result) return error_response(result.error());
  return raw ? raw_response(encode(*result)) : HttpResponse{200, "application/json", json_of(*result)};
}

std::string block_json(const Block& block) {
  std::string out = "{\"id\":" + to_json(attest::header_id(block.header.header)) + ",\"header\":" + to_json(block.header) + ",\"transactions\":[";
  for (const auto& result : block.results) out += (&result == block.results.data() ? "" : ",") + json_of(result);
  return out + "]}";
}

}  // namespace

Result<std::unique_ptr<Node>> Node::start(const HttpConfig& http, Chain& chain, Engine& engine, Feed& feed, Search& search) {
  std::unique_ptr<Node> node(new Node(chain, engine, feed, search));
  TRY_LET(server, HttpServer::start(http, [n = node.get()](const HttpRequest& request, Reply reply) { n->answer(request, reply); }));
  node->server_ = std::move(server);
  return node;
}

Node::Node(Chain& chain, Engine& engine, Feed& feed, Search& search)
    : chain_(chain), engine_(engine), feed_(feed), search_(search), adder_([this] { add_up(); }) {}

Node::~Node() {
  server_.reset();  // nobody asks any more
  {
    const std::lock_guard lock(adding_);
    stopping_ = true;
  }
  asked_wake_.notify_all();
  adder_.join();
}

template <class Ask>
auto Node::at_last(Ask&& ask) const {
  if (number(chain_.store().head()) == 0) return chain_.read([&](const App& app) { return ask(app.state()); });
  return ask(State(*must(chain_.last()).view));
}

template <class Item, class Record, class Show>
Result<Page<Item>> Node::page(char table, const HttpRequest& request, Show&& show) const {
  TRY_LET(limit, number_in(request, "limit", kPageRecords));
  TRY_LET(after, id_in<Hash>(request, "after"));
  if (limit == 0) return Error{Code::invalid, "limit is 0", "ask for at least one record"};
  limit = std::min(limit, kPageRecords);
  Bytes from = make_key(table);
  if (after) {
    from = make_key(table, *after);
    from.push_back(0);  // the first key behind it
  }
  return at_last([&](const State& state) {
    Page<Item> out;
    Hash last;
    size_t bytes = 0;
    state.each(make_key(table), from, [&](ByteSpan key, ByteSpan value) {
      if (out.items.size() == limit || bytes >= kPageBytes) {
        out.next = last;
        return false;
      }
      CHECK(key.size() == 1 + last.v.size());
      std::copy(key.begin() + 1, key.end(), last.v.begin());
      bytes += value.size() + kLookBytes;
      if (std::optional<Item> item = show(state, must(decode<Record>(value)))) out.items.push_back(*std::move(item));
      return true;
    });
    return out;
  });
}

template <class Record>
Result<Page<Record>> Node::page(char table, const HttpRequest& request) const {
  return page<Record, Record>(table, request, [](const State&, Record record) { return std::optional(std::move(record)); });
}

void Node::answer(const HttpRequest& request, const Reply& reply) {
  try {
    if (const auto done = route(request, reply); !done) reply->send(error_response(done.error()));
  } catch (const Fault& fault) {
    reply->send(error_response(fault.error()));
  } catch (const std::exception& error) {  // out of memory, at worst
    reply->send(error_response({Code::internal, error.what(), "report this with the node's log"}));
  }
}

Result<> Node::route(const HttpRequest& request, const Reply& reply) {
  const Error nothing{Code::not_found, "nothing is at " + request.path.substr(0, 80), "ledger/node.h lists what is, /v1/status for one"};
  if (request.path == "/metrics" && request.method == "GET") return reply->send({200, kMetricsType, metrics()}), Result<>();
  if (!request.path.starts_with("/v1/")) return nothing;
  const std::string rest = request.path.substr(4);
  const size_t slash = rest.find('/');
  const std::string noun = rest.substr(0, slash);
  const std::string id = slash == std::string::npos ? "" : rest.substr(slash + 1);
  if (request.method == "POST" && id.empty() && (noun == "transactions" || noun == "quote" || noun == "simulate" || noun == "comet"))
    return post(noun, request, reply);
  if (request.method != "GET") {
    HttpResponse response = error_response({Code::usage, request.method.substr(0, 16) + " is not for " + request.path.substr(0, 80),
                                            "GET reads; POST is for /v1/transactions, /v1/quote, /v1/simulate and /v1/comet"});
    response.status = 405;
    reply->send(std::move(response));
    return {};
  }
  const auto done = get(noun, id, request, reply);
  return !done && done.error().code == Code::usage ? nothing : done;
}

Result<> Node::post(const std::string& noun, const HttpRequest& request, const Reply& reply) {
  if (noun == "transactions") return submit(request, reply);
  if (noun == "comet") {
    engine_.relay(request.body, [reply](const Result<std::string>& told) {
      reply->send(told ? HttpResponse{200, "application/json", *told} : error_response(told.error()));
    });
    return {};
  }
  if (noun == "simulate") {
    if (request.body.size() > kMaxTransactionBytes)
      return Error{Code::limit, "a transaction may have " + std::to_string(kMaxTransactionBytes) + " bytes", "make it smaller"};
    TRY_LET(transaction, decode<Transaction>(request.body));
    TRY_LET(simulated, simulate(transaction));
    return send_view(request, reply, simulated);
  }
  TRY_LET(spec, decode<attest::JobSpec>(request.body));
  TRY_LET(quoted, chain_.read([&](const App& app) { return quote(app.state(), app.rules().params, spec); }));
  return send(request, reply, quoted);
}

Result<> Node::submit(const HttpRequest& request, const Reply& reply) {
  const bool raw = wants_raw(request);
  const auto wait = request.query.find("wait");
  const bool waits = wait != request.query.end() && wait->second != "0";
  if (waits)
    feed_.answer_by(kBlockWaitMs, reply,
                    error_response({Code::timed_out, "no block has taken the transaction yet; it still waits",
                                    "check its nonce and fee; ask for /v1/transactions/" + transaction_id(request.body).hex()}));
  engine_.submit(request.body, waits ? Engine::Until::committed : Engine::Until::admitted,
               [reply, raw](const Result<TxResult>& result) { reply->send(response_of(result, raw)); });
  return {};
}

// Error `usage`: there is no such noun.
Result<> Node::get(const std::string& noun, const std::string& id, const HttpRequest& request, const Reply& reply) {
  const auto of_state = [&](auto&& ask) { return chain_.read([&](const App& app) { return ask(app.state()); }); };
  if (id.empty()) {
    if (noun == "status") return send(request, reply, status());
    if (noun == "supply") {
      const std::lock_guard lock(adding_);
      asked_.emplace_back(reply, wants_raw(request));
      asked_wake_.notify_one();
      return {};
    }
    if (noun == "fees") return send(request, reply, fees());
    if (noun == "openapi.json") {
      static const std::string document = openapi();
      return reply->send({200, "application/json", document}), Result<>();
    }
    if (noun == "events") return events(request, reply);
    if (noun == "health") {
      TRY_LET(healthy, health());
      return send(request, reply, healthy);
    }
    if (noun == "transactions") {
      TRY_LET(page, search(request));
      return send_view(request, reply, page);
    }
    if (noun == "genesis") return reply->send(raw_response(encode(chain_.genesis()))), Result<>();
    if (noun == "rules") return send(request, reply, chain_.read([](const App& app) { return app.all_rules(); }));
    const auto send_page = [&](const auto& page) -> Result<> { return page ? send(request, reply, *page) : page.error(); };
    if (noun == "offers") return send_page(page<Offer>('o', request));
    if (noun == "assets") return send_page(page<Asset>('s', request));
    if (noun == "jobs") return send_page(jobs(request));
    if (noun == "verifiers")
      return send_page(page<VerifierView, Verifier>('v', request, [](const State& state, const Verifier& verifier) {
        return std::optional(VerifierView{verifier, state.balance(Holder::bond(verifier.account))});
      }));
    return Error{Code::usage, "", ""};
  }
  if (noun == "accounts") {
    TRY_LET(account_id, id_of<AccountId>(id));
    TRY_LET(view, account(account_id));
    return send(request, reply, view);
  }
  if (noun == "jobs") {
    TRY_LET(job_id, id_of<JobId>(id));
    TRY_LET(job, found(of_state([&](const State& s) { return s.job(job_id); }), "job", id));
    return send(request, reply, job);
  }
  if (noun == "games") {
    TRY_LET(game_id, id_of<GameId>(id));
    TRY_LET(game, found(of_state([&](const State& s) { return s.dispute(game_id); }), "game", id));
    return send(request, reply, game);
  }
  if (noun == "assets") {
    TRY_LET(asset_id, id_of<AssetId>(id));
    TRY_LET(asset, found(of_state([&](const State& s) { return s.asset(asset_id); }), "asset", id));
    return send(request, reply, asset);
  }
  if (noun == "offers") {
    TRY_LET(offer_id, id_of<OfferId>(id));
    TRY_LET(offer, found(of_state([&](const State& s) { return s.offer(offer_id); }), "offer", id));
    return send(request, reply, offer);
  }
  if (noun == "receipts") {
    TRY_LET(job_id, id_of<JobId>(id));
    return receipt(job_id, request, reply);
  }
  if (noun == "state") {
    TRY_LET(answer, proven(id, request));
    engine_.seal({answer.header}, [answer, request, reply](Result<std::vector<attest::SignedHeader>> sealed) mutable {
      if (!sealed) return reply->send(error_response(sealed.error()));
      answer.header = sealed->front();
      static_cast<void>(send(request, reply, answer));
    });
    return {};
  }
  if (noun == "transactions") {
    TRY_LET(transaction, id_of<TransactionId>(id));
    TRY_LET(result, found(chain_.store().result(transaction), "block has transaction", id));
    reply->send(response_of(result, wants_raw(request)));
    return {};
  }
  if (noun == "blocks") {
    uint64_t height = number(chain_.store().head());
    if (id != "head") {
      TRY_LET(asked, number_of(id, "the height"));
      height = asked;
    }
    TRY_LET(block, found(chain_.store().block(Height{height}), "block", std::to_string(height)));
    reply->send(wants_raw(request) ? raw_response(encode(block)) : HttpResponse{200, "application/json", block_json(block)});
    return {};
  }
  return Error{Code::usage, "", ""};
}

Result<> Node::events(const HttpRequest& request, const Reply& reply) {
  TRY_LET(from, number_in(request, "from", 1));
  TRY_LET(wait_ms, number_in(request, "wait_ms", 0));
  TRY_LET(limit, number_in(request, "limit", 1'000));
  from = std::max<uint64_t>(from, 1);
  if (limit == 0) return Error{Code::invalid, "limit is 0", "ask for at least one event"};
  if (request.accept.find("text/event-stream") != std::string::npos) {
    if (!request.last_event_id.empty()) {
      TRY_LET(last, number_of(request.last_event_id, "Last-Event-ID"));
      from = last == UINT64_MAX ? last : last + 1;
    }
    feed_.stream(from, reply);
    return {};
  }
  feed_.poll(from, std::min(limit, kEventsMax), static_cast<uint32_t>(std::min<uint64_t>(wait_ms, kEventWaitMaxMs)), wants_raw(request), reply);
  return {};
}

Result<Page<Job>> Node::jobs(const HttpRequest& request) const {
  TRY_LET(requester, id_in<AccountId>(request, "requester"));
  TRY_LET(provider, id_in<AccountId>(request, "provider"));
  const auto wanted = request.query.find("state");
  if (wanted != request.query.end()) {
    std::string known;
    bool is_state = false;
    for (uint8_t n = 1; is_valid(static_cast<JobState>(n)); n++) {
      is_state |= name(static_cast<JobState>(n)) == wanted->second;
      known += (known.empty() ? "" : ", ") + std::string(name(static_cast<JobState>(n)));
    }
    if (!is_state) return Error{Code::invalid, "no state of a job: " + wanted->second.substr(0, 40), "one of " + known};
  }
  return page<Job, Job>('j', request, [&](const State&, Job job) {
    const bool asked = (!requester || job.requester == *requester) && (!provider || job.provider == *provider) &&
                       (wanted == request.query.end() || name(job.state) == wanted->second);
    return asked ? std::optional(std::move(job)) : std::nullopt;
  });
}

Result<> Node::receipt(const JobId& job, const HttpRequest& request, const Reply& reply) {
  std::optional<attest::ReceiptBody> body;
  if (request.query.contains("try")) {
    TRY_LET(attempt, number_in(request, "try", 0));
    if (attempt <= UINT32_MAX) body = chain_.store().receipt(job, static_cast<uint32_t>(attempt));
  } else {
    body = chain_.store().last_receipt(job);
  }
  if (!body)
    return Error{Code::not_found, "no receipt of job " + job.hex().substr(0, 16), "a receipt is written when an attempt ends; see /v1/jobs/" + job.hex()};
  attest::Receipt out;
  TRY_LET(committed, chain_.last());
  out.header = committed.header;
  out.path = committed.prove(attest::receipt_place(job, body->attempt));
  if (body->rules > 1) {
    const auto rules = committed.record<attest::Rules>(key_of(attest::Rules{body->rules, {}, {}, {}}));
    CHECK(rules.has_value());
    out.rules = {*rules, committed.prove(blake3(attest::rules_key(body->rules)))};
  }
  std::vector<attest::SignedHeader> headers{out.header};
  for (const auto& draw : body->draws) {
    const auto header = chain_.store().header(draw.height);
    if (!header)
      return Error{Code::not_found, "this node began after block " + std::to_string(number(draw.height)) + ", which drew for the job",
                   "ask a node that has been there longer"};
    headers.push_back(*header);
  }
  out.body = *std::move(body);
  engine_.seal(std::move(headers), [out = std::move(out), reply](Result<std::vector<attest::SignedHeader>> sealed) mutable {
    if (!sealed) return reply->send(error_response(sealed.error()));
    out.header = sealed->front();
    out.draw_headers.assign(sealed->begin() + 1, sealed->end());
    reply->send(raw_response(encode(out)));
  });
  return {};
}

Result<attest::ProvenState> Node::proven(const std::string& keys, const HttpRequest& request) const {
  TRY_LET(height, number_in(request, "height", number(chain_.store().head())));
  TRY_LET(committed, chain_.at(Height{height}));
  StateTree tree(*committed.view);
  attest::ProvenState out{committed.header, {}};
  for (size_t from = 0; from <= keys.size();) {
    const size_t end = std::min(keys.find(',', from), keys.size());
    const auto key = from_hex(std::string_view(keys).substr(from, end - from));
    if (!key || key->empty()) return Error{Code::invalid, "no state key: " + keys.substr(from, std::min<size_t>(end - from, 70)), "write it in hexadecimal digits"};
    if (out.records.size() == kProvenMax) return Error{Code::limit, "at most " + std::to_string(kProvenMax) + " keys are answered at once", "ask in several requests"};
    out.records.push_back({committed.view->record(*key), tree.prove(blake3(*key))});
    from = end + 1;
  }
  return out;
}

Result<AccountView> Node::account(const AccountId& id) const {
  return chain_.read([&](const App& app) -> Result<AccountView> {
    const State& state = app.state();
    const auto account = state.account(id);
    const AccountView view{account.value_or(Account{id, {1, {}}, 0}), state.all<HotKey>(make_key('k', id)), state.balance(Holder::account(id)), state.balance(Holder::stake(id)),
                           state.balance(Holder::bond(id)), state.balance(Holder::unbonding(id))};
    const Amount none;
    if (!account && view.balance == none && view.stake == none && view.bond == none && view.unbonding == none)
      return Error{Code::unknown_account, "account " + id.hex().substr(0, 16) + " has never held anything", "send it CRN first"};
    return view;
  });
}

Status Node::status() const {
  Status out;
  out.genesis = chain_.id();
  out.name = chain_.genesis().name;
  chain_.read([&](const App& app) {
    const attest::Header& head = app.head().header;
    out.height = head.height;
    out.time = head.time;
    out.beacon = app.beacon();
    out.state_root = head.state_root;
    if (number(head.height) > 0) out.header = attest::header_id(head);
    out.rules = app.rules().number;
    out.protocol = app.rules().protocol;
    if (const attest::Rules& last = app.all_rules().back(); last.number != out.rules) {
      out.upgrade = last.from;
      out.upgrade_protocol = last.protocol;
    }
  });
  out.pending = engine_.waiting();
  out.next_event = chain_.store().last_event() + 1;
  if (const auto halted = engine_.halted()) out.halted = halted->text;
  return out;
}

Result<Health> Node::health() const {
  if (const auto halted = engine_.halted()) return *halted;
  const EngineFigures figures = engine_.figures();
  if (figures.due_since_ns != 0 && SystemClock().steady_ns() > figures.due_since_ns + kStalledNs)
    return Error{Code::timed_out, "transactions wait, and no block has come for more than 10 s", "see the node's log; is its disk slow or full?"};
  return Health{chain_.store().head(), search_.indexed(), figures.waiting};
}

FeeEstimate Node::fees() const {
  const EngineFigures figures = engine_.figures();
  const attest::ChainParams params = chain_.read([](const App& app) { return app.rules().params; });
  FeeEstimate out{params.fee_per_byte, params.fee_per_byte, figures.waiting, figures.waiting_bytes, params.max_block_bytes};
  if (figures.full_block_fee != 0 && figures.waiting_bytes >= params.max_block_bytes) out.next_block = std::max(out.least, figures.full_block_fee + 1);
  return out;
}

Result<TransactionPage> Node::search(const HttpRequest& request) const {
  TRY_LET(account, id_in<Hash>(request, "account"));
  TRY_LET(job, id_in<Hash>(request, "job"));
  TRY_LET(limit, number_in(request, "limit", 100));
  if (account.has_value() == job.has_value()) return Error{Code::invalid, "name one id to search for", "as ?account=ID or ?job=ID"};
  if (limit == 0) return Error{Code::invalid, "limit is 0", "ask for at least one transaction"};
  Place before{Height{UINT64_MAX}, UINT32_MAX};
  if (const auto at = request.query.find("before"); at != request.query.end()) {
    const size_t dot = at->second.find('.');
    TRY_LET(height, number_of(std::string_view(at->second).substr(0, dot), "before"));
    TRY_LET(index, number_of(dot == std::string::npos ? "" : std::string_view(at->second).substr(dot + 1), "before"));
    if (index > UINT32_MAX) return Error{Code::invalid, "before names no place", "take it from the page before"};
    before = {Height{height}, static_cast<uint32_t>(index)};
  }
  TransactionPage page;
  page.indexed = search_.indexed();
  limit = std::min(limit, kFoundMax);
  TRY_LET(found, search_.find(account ? *account : *job, before, limit + 1));
  if (found.size() > limit) {
    found.pop_back();
    page.next = std::to_string(number(found.back().place.height)) + "." + std::to_string(found.back().place.index);
  }
  for (const auto& one : found)
    if (auto result = chain_.store().result(one.id)) page.transactions.push_back(*std::move(result));
  return page;
}

// On a copy of the last block's state: no block waits for it, and it waits for none.
Result<Simulation> Node::simulate(const Transaction& transaction) const {
  App trial(chain_.genesis());
  if (number(chain_.store().head()) == 0) {
    TRY(trial.init());
  } else {
    TRY_LET(committed, chain_.last());
    TRY(trial.resume(committed.header, committed.view));
  }
  return trial.simulate(transaction);
}

std::string Node::metrics() const {
  using F = MetricFamily;
  const EngineFigures engine = engine_.figures();
  const HttpServer::Counts http = server_->counts();
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  F answers{"cairn_http_answers_total", "Answers by status.", F::Kind::counter, {}};
  for (const auto& [status, count] : http.answers) answers.samples.push_back({{{"status", std::to_string(status)}}, static_cast<double>(count), {}});
  F cpu{"process_cpu_seconds_total", "Processor time.", F::Kind::counter, {{{}, seconds(used.ru_utime) + seconds(used.ru_stime), {}}}};
  return metrics_text({
      F::gauge("cairn_chain_height", "Height of the last block.", static_cast<double>(number(chain_.store().head()))),
      F::gauge("cairn_chain_halted", "1 when the node makes no more blocks.", engine_.halted() ? 1 : 0),
      F::gauge("cairn_search_height", "Up to this block transactions can be searched for.", static_cast<double>(number(search_.indexed()))),
      F::counter("cairn_events_total", "Events of the chain.", chain_.store().last_event()),
      F::counter("cairn_blocks_total", "Blocks made since the start.", engine.blocks),
      F::counter("cairn_transactions_total", "Transactions in blocks since the start.", engine.transactions),
      F::counter("cairn_transactions_failed_total", "Of these, those that failed and paid.", engine.failed),
      F::counter("cairn_transactions_refused_total", "Transactions that no block took.", engine.refused),
      F::histogram("cairn_block_seconds", "From the choice of a block's transactions to its sync.", engine.block_s),
      F::gauge("cairn_mempool_transactions", "Transactions that wait.", static_cast<double>(engine.waiting)),
      F::gauge("cairn_mempool_bytes", "Their bytes.", static_cast<double>(engine.waiting_bytes)),
      F::gauge("cairn_http_connections", "Open connections.", static_cast<double>(http.connections)),
      F::counter("cairn_http_connections_total", "Connections taken.", http.connections_taken),
      F::counter("cairn_http_connections_displaced_total", "Slow connections that gave way to new ones.", http.connections_displaced),
      F::counter("cairn_http_requests_total", "Requests.", http.requests),
      F::counter("cairn_http_requests_refused_total", "Requests beyond a client's bounds.", http.requests_refused),
      answers,
      F::histogram("cairn_http_answer_seconds", "From a request's headers to its answer.", http.answer_s),
      F::gauge("cairn_http_held_bytes", "Bytes of bodies, and of answers that have not been read.", static_cast<double>(http.bytes_held)),
      F::counter("cairn_http_received_bytes_total", "Bytes of requests' bodies.", http.bytes_in),
      F::counter("cairn_http_sent_bytes_total", "Bytes of answers' bodies.", http.bytes_out),
      cpu,
      F::gauge("process_resident_memory_bytes", "Memory in use.", static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))),
  });
}

Supply Node::supply() const {
  Supply out;
  const u128 genesis = attest::genesis_supply(chain_.genesis());
  u128 held = 0;
  std::map<HolderKind, HeldByKind> kinds;
  at_last([&](const State& state) {
    state.scan<Holding>(make_key('h'), [&](const Holding& holding) {
      if (holding.currency != Currency{}) return true;
      HeldByKind& kind = kinds[holding.holder.kind];
      kind.kind = holding.holder.kind;
      kind.holders++;
      kind.amount = add(kind.amount, holding.amount).value_or(Amount{UINT64_MAX});
      held += holding.amount.pebbles;
      return !stopping_;
    });
  });
  const auto shown = [](u128 sum) { return Amount{sum > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(sum)}; };
  out.genesis = shown(genesis);
  out.held = shown(held);
  out.conserved = genesis == held;
  for (const auto& [kind, sum] : kinds) out.kinds.push_back(sum);
  return out;
}

void Node::add_up() {
  for (;;) {
    decltype(asked_) asked;
    {
      std::unique_lock lock(adding_);
      asked_wake_.wait(lock, [&] { return stopping_ || !asked_.empty(); });
      asked.swap(asked_);  // who asks meanwhile gets the next sum
    }
    if (stopping_) return;
    const auto sum = [&]() -> Result<Supply> {
      try {
        return supply();
      } catch (const Fault& fault) {
        return fault.error();
      }
    }();
    for (const auto& [reply, raw] : asked) reply->send(sum ? response_with(*sum, raw) : error_response(sum.error()));
  }
}

}  // namespace cairn::ledger
