// The HTTP interface as docs/openapi.json describes it: the file is what the program prints, and what a node answers fits its schemas.
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "base/file.h"
#include "devnet.h"
#include "ledger/openapi.h"

namespace cairn::ledger {
namespace {

using Json = nlohmann::json;

// Where `value` departs from `schema`; empty: nowhere. The part of JSON Schema that the file uses.
std::string departs(const Json& value, const Json& schema, const Json& root, const std::string& at = "") {
  if (schema.contains("$ref")) return departs(value, root.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), root, at);
  for (const char* choice : {"anyOf", "oneOf"})
    if (schema.contains(choice)) {
      for (const auto& one : schema[choice])
        if (departs(value, one, root, at).empty()) return "";
      return at + ": fits none of the choices: " + value.dump().substr(0, 100);
    }
  const auto is = [&](const std::string& type) {
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) || (type == "string" && value.is_string()) ||
           (type == "integer" && value.is_number_integer()) || (type == "boolean" && value.is_boolean()) || (type == "null" && value.is_null());
  };
  if (schema.contains("type")) {
    const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(), [&](const Json& type) { return is(type); })) return at + ": is no " + types.dump() + ": " + value.dump().substr(0, 100);
  }
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) return at + ": is none of the names: " + value.dump();
  if (schema.contains("pattern") && value.is_string() && !std::regex_search(value.get<std::string>(), std::regex(schema["pattern"].get<std::string>())))
    return at + ": " + value.dump() + " is not as " + schema["pattern"].dump();
  if (schema.contains("minimum") && value < schema["minimum"]) return at + ": is too small";
  if (schema.contains("maximum") && value > schema["maximum"]) return at + ": is too large";
  if (value.is_array() && schema.contains("items"))
    for (size_t i = 0; i < value.size(); i++)
      if (auto why = departs(value[i], schema["items"], root, at + "/" + std::to_string(i)); !why.empty()) return why;
  if (value.is_object() && schema.contains("properties")) {
    for (const auto& key : schema["required"])
      if (!value.contains(key.get<std::string>())) return at + ": lacks " + key.dump();
    for (const auto& [key, member] : value.items()) {
      if (!schema["properties"].contains(key)) return at + ": has " + key + " besides";
      if (auto why = departs(member, schema["properties"][key], root, at + "/" + key); !why.empty()) return why;
    }
  }
  return "";
}

class InterfaceTest : public ::testing::Test {
 protected:
  uint16_t port() { return node_.port(); }
  Transaction signed_by(const std::string& name, uint64_t nonce, Body body) {
    Transaction tx;
    tx.genesis = attest::genesis_hash(genesis_);
    tx.sender = account_named(name);
    tx.nonce = nonce;
    tx.expiry = ChainTime{1'000'000'000};
    tx.body = std::move(body);
    sign(tx, key_named(name), genesis_.params.fee_per_byte);
    return tx;
  }
  Transaction offer(uint64_t nonce) {
    PostOffer body;
    body.payee = account_named("A");
    body.price = Amount{5};
    body.endpoint = "tcp://127.0.0.1:1";
    body.memory_bytes = 1;
    body.jobs_max = 1;
    body.policies = {attest::Policy::standard};
    body.expiry = ChainTime{100'000'000};
    return signed_by("A", nonce, body);
  }
  // Asks until the index has come as far as the chain.
  Json search(const std::string& query) {
    for (int i = 0; i < 500; i++) {
      const auto head = record<Status>(port(), "/v1/status").height;
      const Answer answer = get(port(), "/v1/transactions?" + query);
      if (answer.status == 200 && Json::parse(answer.body)["indexed"] == number(head)) return Json::parse(answer.body);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "the index does not follow";
    return {};
  }

  const attest::Genesis genesis_ = devnet_genesis({"A", "B"});
  Scratch scratch_;
  RunningNode node_{scratch_.path / "chain", genesis_};
};

TEST(OpenApi, TheFileIsWhatTheProgramPrints) {
  const Bytes file = must(read_file("docs/openapi.json", 1u << 22));
  EXPECT_EQ(std::string(file.begin(), file.end()), openapi()) << "run: build/release/bin/cairnd openapi > docs/openapi.json";
}

TEST_F(InterfaceTest, EveryRouteAnswersAsDescribed) {
  ASSERT_EQ(post(port(), "/v1/transactions?wait=1", encode(offer(0))).at("code"), "ok");
  ASSERT_EQ(post(port(), "/v1/transactions?wait=1", transfer(genesis_, "A", "B", 1)).at("code"), "ok");
  const auto offers = record<Page<Offer>>(port(), "/v1/offers").items;
  ASSERT_EQ(offers.size(), 1u);
  search("account=" + account_named("A").hex());
  const Json root = Json::parse(openapi());
  const std::map<std::string, std::string> filled = {
      {"/v1/accounts/{id}", "/v1/accounts/" + account_named("A").hex()},
      {"/v1/offers/{id}", "/v1/offers/" + offers[0].id.hex()},
      {"/v1/transactions/{id}", "/v1/transactions/" + offers[0].id.hex()},
      {"/v1/transactions", "/v1/transactions?account=" + account_named("A").hex()},
      {"/v1/blocks/{height}", "/v1/blocks/head"},
      {"/v1/state/{keys}", "/v1/state/" + to_hex(make_key('a', account_named("A"))) + "," + to_hex(make_key('a', account_named("Z")))},
  };
  const std::map<std::string, Bytes> bodies = {
      {"/v1/transactions", transfer(genesis_, "A", "B", 2)}, {"/v1/simulate", transfer(genesis_, "A", "B", 3)}, {"/v1/quote", Bytes{0}}, {"/v1/comet", Bytes{0}}};
  const std::string nobody(64, '0');
  for (const auto& route : routes()) {
    std::string path = route.path;
    const bool posts = std::string(route.method) == "POST";
    if (const auto known = filled.find(path); known != filled.end() && !posts) {
      path = known->second;
    } else if (const size_t brace = path.find('{'); brace != std::string::npos) {
      path.replace(brace, std::string::npos, nobody);  // then it is not found, and says so
    }
    const Answer answer = posts ? post(port(), path, bodies.at(route.path)) : get(port(), path);
    const auto& responses = root["paths"][route.path][posts ? "post" : "get"]["responses"];
    const auto& contents = responses[answer.status == 200 ? "200" : "default"]["content"];
    EXPECT_EQ(answer.body.find("nothing is at"), std::string::npos) << route.path;
    if (!contents.contains("application/json")) continue;
    const Json body = Json::parse(answer.body, nullptr, false);
    ASSERT_FALSE(body.is_discarded()) << route.path << " " << answer.body;
    EXPECT_EQ(departs(body, contents["application/json"]["schema"], root), "") << route.path << " " << answer.body.substr(0, 300);
    EXPECT_TRUE(answer.status == 200 || path.find(nobody) != std::string::npos || path == "/v1/quote" || path == "/v1/comet") << path << " " << answer.body;
  }
}

TEST_F(InterfaceTest, ASimulationSaysWhatABlockWouldAndChangesNothing) {
  const auto before = record<Status>(port(), "/v1/status");
  const auto tried = [&](const Transaction& tx) {
    const Bytes bytes = encode(tx);
    return must(decode<Simulation>(as_bytes(post(port(), "/v1/simulate?raw=1", bytes).body)));
  };
  struct Row {
    const char* what;
    Transaction tx;
    const char* code;
    size_t effects, events;
  };
  Transaction poor = signed_by("Z", 0, Transfer{account_named("B"), Amount{5}});
  Transaction unsigned_one = signed_by("A", 0, Transfer{account_named("B"), Amount{5}});
  unsigned_one.signatures[0].signature = {};
  Transaction cheap = unsigned_one;
  cheap.fee = Amount{1};
  const std::vector<Row> rows = {
      {"a transfer: sender, receiver, fees", signed_by("A", 0, Transfer{account_named("B"), Amount{5}}), "ok", 3, 0},
      {"the same, unsigned", unsigned_one, "ok", 3, 0},
      {"for less than the least fee", cheap, "fee_too_low", 0, 0},
      {"more than it holds: the fee is taken", signed_by("A", 0, Transfer{account_named("B"), Amount{2'000'000'000}}), "insufficient", 2, 0},
      {"by somebody who has nothing", poor, "insufficient", 0, 0},
      {"an offer: its event", offer(0), "ok", 3, 1},
  };
  for (int round = 0; round < 2; round++) {
    for (const auto& row : rows) {
      const Simulation s = tried(row.tx);
      EXPECT_EQ(s.code == 0 ? "ok" : name(static_cast<Code>(s.code)), row.code) << row.what << ": " << s.text;
      EXPECT_EQ(s.effects.size(), row.effects) << row.what;
      EXPECT_EQ(s.events.size(), row.events) << row.what;
      EXPECT_EQ(s.nonce, static_cast<uint64_t>(round && row.tx.sender == account_named("A"))) << row.what;
    }
    if (round == 0) {
      const auto now = record<Status>(port(), "/v1/status");
      EXPECT_EQ(now.state_root, before.state_root);
      ASSERT_EQ(post(port(), "/v1/transactions?wait=1", transfer(genesis_, "A", "B", 0, 5)).at("code"), "ok");
      for (auto& row : rows) const_cast<Row&>(row).tx.nonce += row.tx.sender == account_named("A");
    }
  }
  EXPECT_EQ(post(port(), "/v1/simulate", Bytes{1, 2, 3}).at("code"), "malformed");
  EXPECT_EQ(post(port(), "/v1/simulate", Bytes(kMaxTransactionBytes)).at("code"), "malformed");
  EXPECT_EQ(post(port(), "/v1/simulate", Bytes(kMaxTransactionBytes + 1)).at("code"), "limit");
}

TEST_F(InterfaceTest, SearchGoesBackPageByPage) {
  for (uint64_t nonce = 0; nonce < 5; nonce++) ASSERT_EQ(post(port(), "/v1/transactions?wait=1", transfer(genesis_, "A", "B", nonce)).at("code"), "ok");
  ASSERT_EQ(post(port(), "/v1/transactions?wait=1", encode(offer(5))).at("code"), "ok");
  struct Row {
    const char* query;
    size_t found;
  };
  const std::string a = "account=" + account_named("A").hex(), b = "account=" + account_named("B").hex(), z = "account=" + account_named("Z").hex();
  const std::string job = "job=" + record<Page<Offer>>(port(), "/v1/offers").items.at(0).id.hex();
  for (const auto& [query, found] : {std::pair(a, 6u), std::pair(b, 5u), std::pair(z, 0u), std::pair(job, 1u)})
    EXPECT_EQ(search(query)["transactions"].size(), found) << query;
  std::vector<uint64_t> heights;
  std::string before;
  for (int page = 0; page < 3; page++) {
    const Json found = search(a + "&limit=2" + before);
    for (const auto& one : found["transactions"]) heights.push_back(one["height"]);
    EXPECT_EQ(found["next"].is_null(), page == 2);
    if (!found["next"].is_null()) before = "&before=" + found["next"].get<std::string>();
  }
  EXPECT_EQ(heights, (std::vector<uint64_t>{6, 5, 4, 3, 2, 1}));
  for (const char* wrong : {"", "limit=2", "account=xyz", "before=1"}) EXPECT_EQ(get(port(), std::string("/v1/transactions?") + wrong).at("code"), "invalid") << wrong;
  for (const char* wrong : {"&limit=0", "&before=7", "&before=.", "&before=1.99999999999"}) EXPECT_EQ(get(port(), "/v1/transactions?" + a + wrong).at("code"), "invalid") << wrong;
}

// An order of about 400 KB; two of them are more than one answer looks at.
OpenJob large_order(const std::string& title) {
  attest::JobSpec spec;
  spec.title = title;
  spec.program = spec.plan = spec.plan_root = blake3(as_bytes("plan"));
  spec.calls = spec.state_slots = 1;
  spec.step_work_ns = spec.steps = spec.interval = 1;
  for (int i = 0; i < 1'500; i++) spec.inputs.push_back({std::to_string(i) + std::string(200, 'x'), blake3(as_bytes("x")), {}});
  spec.price_ceiling = Amount{1};
  spec.accept_ms = spec.run_ms = 1'000'000;
  return {spec};
}

TEST_F(InterfaceTest, ListsComeInParts) {
  const auto said = [&](uint64_t nonce, const Body& body) { return post(port(), "/v1/transactions?wait=1", encode(signed_by("faucet", nonce, body))).at("code"); };
  for (uint64_t nonce = 0; nonce < 5; nonce++) ASSERT_EQ(post(port(), "/v1/transactions?wait=1", encode(offer(nonce))).at("code"), "ok");
  for (const char* title : {"one", "two", "three"}) ASSERT_EQ(said(static_cast<uint64_t>(title[1] == 'n' ? 0 : title[1] == 'w' ? 1 : 2), large_order(title)), "ok");
  const auto parts_of = [&]<class T>(const T*, const std::string& path) {
    std::vector<size_t> sizes;
    std::vector<Hash> ids;
    std::string after;
    for (int i = 0; i < 10; i++) {
      const auto page = record<Page<T>>(port(), path + after);
      sizes.push_back(page.items.size());
      for (const T& item : page.items) ids.push_back(item.id.template as<HashTag>());
      if (!page.next) break;
      EXPECT_TRUE(page.items.empty() || ids.back() == *page.next) << path;
      after = (path.find('?') == std::string::npos ? "?after=" : "&after=") + page.next->hex();
    }
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()) && std::adjacent_find(ids.begin(), ids.end()) == ids.end()) << path;
    return sizes;
  };
  using Sizes = std::vector<size_t>;
  const Offer* offers = nullptr;
  const Job* jobs = nullptr;
  EXPECT_EQ(parts_of(offers, "/v1/offers"), (Sizes{5}));
  EXPECT_EQ(parts_of(offers, "/v1/offers?limit=5"), (Sizes{5}));
  EXPECT_EQ(parts_of(offers, "/v1/offers?limit=2"), (Sizes{2, 2, 1}));
  EXPECT_EQ(parts_of(offers, "/v1/offers?limit=99999999999"), (Sizes{5}));
  EXPECT_EQ(parts_of(jobs, "/v1/jobs"), (Sizes{2, 1})) << "by bytes";
  EXPECT_EQ(parts_of(jobs, "/v1/jobs?requester=" + account_named("A").hex()), (Sizes{0, 0})) << "what is passed over counts as well";
  EXPECT_EQ(parts_of(jobs, "/v1/jobs?limit=1&requester=" + account_named("faucet").hex()), (Sizes{1, 1, 1}));
  for (const char* list : {"jobs", "offers", "assets", "verifiers"}) {
    EXPECT_EQ(get(port(), "/v1/" + std::string(list) + "?after=" + std::string(64, 'f')).body, "{\"items\":[],\"next\":null}");
    for (const char* wrong : {"?limit=0", "?limit=-1", "?after=xyz"}) EXPECT_EQ(get(port(), "/v1/" + std::string(list) + wrong).at("code"), "invalid") << list << wrong;
  }
}

// Events are as large as their facts; a stream is closed when too much of it lies unread, so one look must never write that much.
TEST_F(InterfaceTest, EventsComeInPartsByBytesToo) {
  for (uint64_t nonce = 0; nonce < 5; nonce++) ASSERT_EQ(post(port(), "/v1/transactions?wait=1", encode(offer(nonce))).at("code"), "ok");
  const Store& store = node_.chain().store();
  const auto all = store.events(1, 100);
  ASSERT_GE(all.size(), 5u);
  const size_t one = encode(all[0]).size(), two = one + encode(all[1]).size();
  struct Row {
    size_t limit, bytes, given;
  };
  for (const auto& [limit, bytes, given] : {Row{100, SIZE_MAX, all.size()}, Row{3, SIZE_MAX, 3}, Row{100, two, 2}, Row{100, two - 1, 1}, Row{100, 0, 1}, Row{0, 100, 0}})
    EXPECT_EQ(store.events(1, limit, bytes).size(), given) << limit << " " << bytes;
}

TEST_F(InterfaceTest, HealthFeesAndMetrics) {
  ASSERT_EQ(post(port(), "/v1/transactions?wait=1", transfer(genesis_, "A", "B", 0)).at("code"), "ok");
  EXPECT_EQ(get(port(), "/v1/health").status, 200);
  EXPECT_EQ(get(port(), "/v1/fees").at("next_block"), "1");
  const std::string text = get(port(), "/metrics").body;
  for (const char* line : {"cairn_chain_height 1\n", "cairn_transactions_total 1\n", "# TYPE cairn_block_seconds histogram\n", "cairn_block_seconds_count 1\n",
                           "cairn_http_answers_total{status=\"200\"} "})
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
}

// A reader beside a producer sees one state or the next, never a part of each: what A and B and the fees hold adds up in every answer.
TEST_F(InterfaceTest, AQueryDuringACommitSeesOneState) {
  constexpr uint64_t kTransfers = 300;
  std::atomic<uint64_t> answered{0};
  const std::vector<Holder> holders{Holder::account(account_named("A")), Holder::account(account_named("B")), Holder::fees()};
  const auto sum = [&](auto&& amount_of) {
    uint64_t total = 0;
    for (const auto& holder : holders) total += amount_of(holder).pebbles;
    return total;
  };
  ASSERT_EQ(post(port(), "/v1/transactions?wait=1", transfer(genesis_, "A", "B", 0)).at("code"), "ok");
  std::vector<std::thread> readers;
  std::atomic<uint64_t> reads{0};
  for (int kind = 0; kind < 3; kind++)
    readers.emplace_back([&, kind] {
      do {
        uint64_t total = 0;
        if (kind == 0) {
          total = node_.chain().read([&](const App& app) { return sum([&](const Holder& h) { return app.state().balance(h); }); });
        } else if (kind == 1) {
          const auto committed = must(node_.chain().last());
          const State state(*committed.view);
          total = sum([&](const Holder& h) { return state.balance(h); });
        } else {
          std::string keys;
          for (const auto& holder : holders) keys += (keys.empty() ? "" : ",") + to_hex(key_of(holder, Currency{}));
          const auto proven = record<attest::ProvenState>(port(), "/v1/state/" + keys);
          for (size_t i = 0; i < holders.size(); i++) {
            const Bytes& value = proven.records.at(i).value.value();
            total += must(decode<Holding>(value)).amount.pebbles;
            EXPECT_TRUE(attest::check_present(proven.header.header.state_root, map_entry(key_of(holders[i], Currency{}), value), proven.records[i].path));
          }
        }
        EXPECT_EQ(total, 2'000'000'000u) << "reader " << kind;
        reads++;
      } while (answered < kTransfers - 1);
    });
  for (uint64_t nonce = 1; nonce < kTransfers; nonce++)
    node_.solo().submit(transfer(genesis_, "A", "B", nonce, 7), Solo::Until::committed, [&](const Result<TxResult>& result) {
      EXPECT_TRUE(result && result->code == 0);
      answered++;
    });
  for (auto& reader : readers) reader.join();
  EXPECT_GT(reads, 3u);
}

}  // namespace
}  // namespace cairn::ledger
