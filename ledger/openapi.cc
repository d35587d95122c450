#include "ledger/openapi.h"

#include <nlohmann/json.hpp>

#include "ledger/node.h"

namespace cairn::ledger {
namespace {

using Json = nlohmann::ordered_json;
using In = RouteParameter::In;
using Kind = RouteParameter::Kind;

// ---- schemas: what base/json.h writes of each kind of value, case by case ----

template <class T>
constexpr std::string_view full_name() {
  const std::string_view text = __PRETTY_FUNCTION__;
  const size_t from = text.find("T = ") + 4;
  return text.substr(from, text.find_first_of(";]", from) - from);
}
template <class T>
std::string short_name() {
  const auto full = full_name<T>();
  return std::string(full.substr(full.rfind(':') + 1));
}

class Components {
 public:
  template <class T>
  Json schema() {
    if constexpr (std::is_same_v<T, bool>) {
      return {{"type", "boolean"}};
    } else if constexpr (std::is_same_v<T, Amount>) {
      return {{"type", "string"}, {"pattern", "^[0-9]+$"}, {"description", "pebbles; 10^9 make one CRN"}};
    } else if constexpr (std::is_same_v<T, u128>) {
      return {{"type", "string"}, {"pattern", "^[0-9]+$"}};
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (sizeof(T) < 8) return {{"type", "integer"}, {"minimum", std::numeric_limits<T>::min()}, {"maximum", std::numeric_limits<T>::max()}};
      else return {{"type", {"integer", "string"}}, {"pattern", "^-?[0-9]+$"}, {"description", "a string above 2^53"}};
    } else if constexpr (std::is_enum_v<T>) {
      if constexpr (requires { { name(T{}) } -> std::convertible_to<std::string_view>; }) {
        Json names = Json::array();
        for (unsigned n = 0; n < 1000 && n <= std::numeric_limits<std::underlying_type_t<T>>::max(); n++)
          if (is_valid(static_cast<T>(n))) names.push_back(name(static_cast<T>(n)));
        return {{"type", "string"}, {"enum", names}};
      } else {
        return schema<std::underlying_type_t<T>>();
      }
    } else if constexpr (is_bytes32_v<T>) {
      return {{"type", "string"}, {"pattern", "^[0-9a-f]{64}$"}};
    } else if constexpr (std::is_same_v<T, std::string>) {
      return {{"type", "string"}};
    } else if constexpr (std::is_same_v<T, Bytes>) {
      return {{"type", "string"}, {"pattern", "^([0-9a-f]{2})*$"}};
    } else if constexpr (is_byte_array_v<T>) {
      return {{"type", "string"}, {"pattern", "^[0-9a-f]{" + std::to_string(2 * std::tuple_size_v<T>) + "}$"}};
    } else if constexpr (is_vector_v<T> || is_array_v<T>) {
      return {{"type", "array"}, {"items", schema<typename T::value_type>()}};
    } else if constexpr (is_optional_v<T>) {
      return {{"anyOf", {schema<typename T::value_type>(), {{"type", "null"}}}}};
    } else if constexpr (is_variant_v<T>) {
      Json choices = Json::array();
      add_choices(choices, static_cast<const T*>(nullptr));
      return {{"oneOf", choices}};
    } else {
      static_assert(HasFields<T>);
      const std::string called = short_name<T>();
      if (const auto known = owners_.find(called); known == owners_.end()) {
        owners_[called] = full_name<T>();
        schemas_[called] = Json();
        Json object = {{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}, {"additionalProperties", false}};
        T value{};
        for_each_field(value, [&](const char* key, const auto& member) {
          object["properties"][key] = schema<std::remove_cvref_t<decltype(member)>>();
          object["required"].push_back(key);
        });
        schemas_[called] = std::move(object);
      } else {
        CHECK(known->second == full_name<T>());  // names of records are distinct among all that the node shows
      }
      return reference(called);
    }
  }
  static Json reference(const std::string& called) { return {{"$ref", "#/components/schemas/" + called}}; }
  Json& at(const std::string& called) { return schemas_[called]; }
  Json take() {
    std::map<std::string, Json> sorted;
    for (auto& [key, value] : schemas_.items()) sorted[key] = value;
    return sorted;
  }

 private:
  template <class... A>
  void add_choices(Json& choices, const std::variant<A...>*) {
    (choices.push_back({{"type", "object"}, {"properties", {{std::string(A::kName), schema<A>()}}}, {"required", {std::string(A::kName)}},
                        {"additionalProperties", false}}),
     ...);
  }
  std::map<std::string, std::string_view> owners_;
  Json schemas_ = Json::object();
};

Json code_names(bool with_ok) {
  Json names = Json::array();
  if (with_ok) names.push_back("ok");
  for (unsigned n = 1; n < 1000; n++)
    if (is_valid(static_cast<Code>(n))) names.push_back(name(static_cast<Code>(n)));
  return {{"type", "string"}, {"enum", names}};
}

// ---- what each route answers with 200 ----

struct Answer {
  Json json;        // its schema; null: never JSON
  std::string raw;  // what the bytes of ?raw=1 are; empty: never raw
  std::string text; // a media type besides
};

Answer answer_of(const std::string& key, Components& all) {
  const auto record = [&]<class T>(const T*) { return Answer{all.schema<T>(), short_name<T>(), ""}; };
  const auto list = [&]<class T>(const T*) { return Answer{all.schema<std::vector<T>>(), "vector of " + short_name<T>(), ""}; };
  const auto page = [&]<class T>(const T*) {
    const Json properties = {{"items", all.schema<std::vector<T>>()}, {"next", all.schema<std::optional<Hash>>()}};
    return Answer{{{"type", "object"}, {"properties", properties}, {"required", {"items", "next"}}, {"additionalProperties", false}}, "Page of " + short_name<T>(), ""};
  };
  const auto only_raw = [](std::string what) { return Answer{nullptr, std::move(what), ""}; };
#define CAIRN_RECORD(T) record(static_cast<const T*>(nullptr))
#define CAIRN_LIST(T) list(static_cast<const T*>(nullptr))
#define CAIRN_PAGE(T) page(static_cast<const T*>(nullptr))
  if (key == "POST /v1/transactions" || key == "GET /v1/transactions/{id}") return CAIRN_RECORD(TxResult);
  if (key == "GET /v1/transactions") return CAIRN_RECORD(TransactionPage);
  if (key == "POST /v1/quote") return CAIRN_RECORD(Quote);
  if (key == "POST /v1/simulate") return CAIRN_RECORD(Simulation);
  if (key == "GET /v1/status") return CAIRN_RECORD(Status);
  if (key == "GET /v1/health") return CAIRN_RECORD(Health);
  if (key == "GET /v1/fees") return CAIRN_RECORD(FeeEstimate);
  if (key == "GET /v1/supply") return CAIRN_RECORD(Supply);
  if (key == "GET /v1/genesis") return only_raw("Genesis");
  if (key == "GET /v1/rules") return CAIRN_LIST(attest::Rules);
  if (key == "GET /v1/blocks/{height}") return {Components::reference("BlockView"), "Block", ""};
  if (key == "GET /v1/accounts/{id}") return CAIRN_RECORD(AccountView);
  if (key == "GET /v1/state/{keys}") return CAIRN_RECORD(attest::ProvenState);
  if (key == "GET /v1/games/{id}") return CAIRN_RECORD(Dispute);
  if (key == "GET /v1/jobs/{id}") return CAIRN_RECORD(Job);
  if (key == "GET /v1/jobs") return CAIRN_PAGE(Job);
  if (key == "GET /v1/assets/{id}") return CAIRN_RECORD(Asset);
  if (key == "GET /v1/assets") return CAIRN_PAGE(Asset);
  if (key == "GET /v1/offers/{id}") return CAIRN_RECORD(Offer);
  if (key == "GET /v1/offers") return CAIRN_PAGE(Offer);
  if (key == "GET /v1/receipts/{job}") return only_raw("Receipt");
  if (key == "GET /v1/verifiers") return CAIRN_PAGE(VerifierView);
  if (key == "GET /v1/events") return {Components::reference("EventPage"), "vector of Event", "text/event-stream"};
  if (key == "POST /v1/comet" || key == "GET /v1/openapi.json") return {{{"type", "object"}}, "", ""};
  CHECK(key == "GET /metrics");
  return {nullptr, "", "text/plain"};
#undef CAIRN_RECORD
#undef CAIRN_LIST
#undef CAIRN_PAGE
}

// Records that people are shown in other words than their fields.
void describe_views(Components& all) {
  all.schema<TransactionPage>();
  all.schema<Event>();
  all.schema<attest::SignedHeader>();
  all.at("TxResult")["properties"]["code"] = code_names(true);
  all.at("TxResult")["properties"]["code"]["description"] = "ok, or why not; a number in the raw form";
  all.schema<Simulation>();
  all.at("Simulation")["properties"]["code"] = code_names(true);
  Json event = all.at("Event");
  event["properties"].erase("json");
  event["properties"]["data"] = {{"type", "object"}, {"description", "what else matters"}};
  event["required"].back() = "data";
  all.at("Event") = event;
  const auto object = [](Json properties) {
    Json required = Json::array();
    for (const auto& [key, value] : properties.items()) required.push_back(key);
    return Json{{"type", "object"}, {"properties", properties}, {"required", required}, {"additionalProperties", false}};
  };
  all.at("EventPage") = object({{"events", {{"type", "array"}, {"items", Components::reference("Event")}}}, {"next", all.schema<uint64_t>()}});
  all.at("BlockView") = object({{"id", all.schema<Hash>()}, {"header", Components::reference("SignedHeader")},
                                {"transactions", {{"type", "array"}, {"items", Components::reference("TxResult")}}}});
  all.at("Error") = object({{"code", code_names(false)}, {"text", {{"type", "string"}}}, {"next", {{"type", "string"}}}});
}

Json schema_of(Kind kind) {
  Components plain;
  switch (kind) {
    case Kind::id: return plain.schema<Hash>();
    case Kind::number: return {{"type", "integer"}, {"minimum", 0}};
    case Kind::keys: return {{"type", "string"}, {"pattern", "^([0-9a-f]{2})+(,([0-9a-f]{2})+)*$"}};
    case Kind::height: return {{"type", "string"}, {"pattern", "^([0-9]+|head)$"}};
    case Kind::place: return {{"type", "string"}, {"pattern", "^[0-9]+\\.[0-9]+$"}};
    case Kind::flag: return {{"type", "string"}, {"enum", {"0", "1"}}};
    case Kind::state: return plain.schema<JobState>();
  }
  return nullptr;
}

}  // namespace

const std::vector<Route>& routes() {
  static const RouteParameter raw{In::query, Kind::flag, "raw", "1: canonical bytes instead of JSON"};
  static const RouteParameter id{In::path, Kind::id, "id", "64 hexadecimal digits"};
  static const RouteParameter limit{In::query, Kind::number, "limit", "at most so many"};
  static const RouteParameter after{In::query, Kind::id, "after", "`next` of the page before"};
  static const std::vector<Route> all = {
      {"POST", "/v1/transactions", "Hands over a signed transaction", {{In::query, Kind::flag, "wait", "1: answer when its block is on disk"}, raw}, "Transaction"},
      {"GET", "/v1/transactions/{id}", "What became of a transaction", {id, raw}},
      {"GET", "/v1/transactions", "Transactions that name an account, a job, a game, an asset or an offer, the newest first",
       {{In::query, Kind::id, "account", "an account's id; this or `job` must be given"}, {In::query, Kind::id, "job", "the id of a job, game, asset or offer"},
        {In::query, Kind::place, "before", "`next` of the page before"}, limit, raw}},
      {"POST", "/v1/quote", "What a job costs", {raw}, "JobSpec"},
      {"POST", "/v1/simulate", "What a transaction would do now; its signature is not looked at", {raw}, "Transaction"},
      {"POST", "/v1/comet", "What a joining node's CometBFT asks of this one's: JSON-RPC of commit, validators and consensus_params", {}},
      {"GET", "/v1/status", "Where the chain stands", {raw}},
      {"GET", "/v1/health", "503 with `halted` or `timed_out` where no block comes although one should", {raw}},
      {"GET", "/v1/fees", "What a place in the next block costs", {raw}},
      {"GET", "/v1/supply", "All that is held, added up now", {raw}},
      {"GET", "/v1/genesis", "The chain's first value; its hash names the chain", {}},
      {"GET", "/v1/rules", "The rules that the chain is and was under, by number; the last may be announced only", {raw}},
      {"GET", "/v1/blocks/{height}", "A block; `head` is the last", {{In::path, Kind::height, "height", "a number, or head"}, raw}},
      {"GET", "/v1/accounts/{id}", "An account and what it holds", {id, raw}},
      {"GET", "/v1/state/{keys}", "Records of the state, or their absence, each with its path to the root of a signed header",
       {{In::path, Kind::keys, "keys", "keys as in ledger/state.h, by commas, 32 at most"}, {In::query, Kind::number, "height", "of the header; the last unless said"}, raw}},
      {"GET", "/v1/games/{id}", "A dispute", {id, raw}},
      {"GET", "/v1/jobs/{id}", "A job", {id, raw}},
      {"GET", "/v1/jobs", "Jobs that have not been pruned",
       {{In::query, Kind::id, "requester", "of this account"}, {In::query, Kind::id, "provider", "of this account"}, {In::query, Kind::state, "state", "in this state"}, after, limit, raw}},
      {"GET", "/v1/assets/{id}", "An asset", {id, raw}},
      {"GET", "/v1/assets", "All assets", {after, limit, raw}},
      {"GET", "/v1/offers/{id}", "An offer", {id, raw}},
      {"GET", "/v1/offers", "The book", {after, limit, raw}},
      {"GET", "/v1/receipts/{job}", "The receipt of an ended attempt at a job",
       {{In::path, Kind::id, "job", "64 hexadecimal digits"}, {In::query, Kind::number, "try", "which attempt, from 0; the last unless said"}}},
      {"GET", "/v1/verifiers", "Who may be drawn for checks", {after, limit, raw}},
      {"GET", "/v1/events", "What happened, in order; with Accept: text/event-stream as it happens",
       {{In::query, Kind::number, "from", "the first number wanted"}, {In::query, Kind::number, "wait_ms", "wait so long for the first"}, limit, raw,
        {In::header, Kind::number, "Last-Event-ID", "of a stream: go on behind this one"}}},
      {"GET", "/v1/openapi.json", "This document", {}},
      {"GET", "/metrics", "For Prometheus", {}},
  };
  return all;
}

std::string openapi() {
  Components all;
  Json paths = Json::object();
  describe_views(all);
  for (const Route& route : routes()) {
    const Answer answer = answer_of(std::string(route.method) + " " + route.path, all);
    Json content = Json::object();
    if (!answer.json.is_null()) content["application/json"]["schema"] = answer.json;
    if (!answer.raw.empty()) content["application/octet-stream"]["schema"] = {{"description", "canonical encoding of " + answer.raw}};
    if (!answer.text.empty()) content[answer.text]["schema"] = {{"type", "string"}};
    Json operation = {{"summary", route.about}};
    for (const auto& parameter : route.parameters) {
      constexpr const char* kPlaces[] = {"path", "query", "header"};
      operation["parameters"].push_back({{"name", parameter.name}, {"in", kPlaces[static_cast<int>(parameter.in)]}, {"required", parameter.in == In::path},
                                         {"description", parameter.about}, {"schema", schema_of(parameter.kind)}});
    }
    if (*route.body)
      operation["requestBody"] = {{"required", true},
                                  {"content", {{"application/octet-stream", {{"schema", {{"description", std::string("canonical encoding of ") + route.body}}}}}}}};
    operation["responses"] = {{"200", {{"description", "done"}, {"content", content}}},
                              {"default", {{"description", "refused; 429 where a bound of one client is passed"},
                                           {"content", {{"application/json", {{"schema", Components::reference("Error")}}}}}}}};
    paths[route.path][route.method[0] == 'P' ? "post" : "get"] = std::move(operation);
  }
  const Json document = {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Cairn node"},
        {"version", "1"},
        {"description", "HTTP on loopback. Amounts are pebbles, as strings of digits; ids and bytes are hexadecimal. Made by `cairnd openapi`; do not edit."}}},
      {"paths", paths},
      {"components", {{"schemas", all.take()}}},
  };
  return document.dump(1, ' ') + "\n";
}

}  // namespace cairn::ledger
