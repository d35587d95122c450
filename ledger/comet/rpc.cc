#include "ledger/comet/rpc.h"

#include <time.h>

#include <cstring>

#include <nlohmann/json.hpp>

#include "ledger/comet/base64.h"
#include "ledger/rules.h"

namespace cairn::ledger::comet {
namespace {

using nlohmann::json;

Error not_understood() { return {Code::malformed, "CometBFT's answer is not understood", "use CometBFT v0.38.26"}; }

// Numbers of 64 bits stand as strings. (What get<uint64_t>() makes of 1e99 is not defined; a reference refuses it.)
uint64_t number_at(const json& object, const char* key) {
  const json& value = object.at(key);
  return value.is_string() ? std::stoull(value.get<std::string>()) : value.get_ref<const json::number_unsigned_t&>();
}
Hash hash_at(const json& object, const char* key) {
  const auto text = object.at(key).get<std::string>();
  return text.empty() ? Hash{} : Hash::from_hex(text).value();
}
attest::CometBlockId block_at(const json& object, const char* key) {
  const json& id = object.at(key);
  return {hash_at(id, "hash"), static_cast<uint32_t>(number_at(id.at("parts"), "total")), hash_at(id.at("parts"), "hash")};
}
// "2026-11-26T13:00:00.123456789Z"
attest::CometTime time_at(const json& object, const char* key) {
  const auto text = object.at(key).get<std::string>();
  tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!rest) throw std::invalid_argument("no time");
  const time_t seconds = ::timegm(&parts);
  if (seconds < 0) return {};  // before 1970 nobody has signed: such a vote does not hold
  std::string nanos = *rest == '.' ? std::string(rest + 1, std::strcspn(rest + 1, "Z")) : "";
  nanos.resize(9, '0');
  return {static_cast<uint64_t>(seconds), static_cast<uint32_t>(std::stoul(nanos))};
}

attest::CometHeader header_of(const json& j) {
  attest::CometHeader h;
  h.block_version = number_at(j.at("version"), "block");
  h.app_version = j.at("version").contains("app") ? number_at(j.at("version"), "app") : 0;
  h.chain_id = j.at("chain_id").get<std::string>();
  h.height = Height{number_at(j, "height")};
  h.time = time_at(j, "time");
  h.last_block = block_at(j, "last_block_id");
  h.last_commit = hash_at(j, "last_commit_hash");
  h.data = hash_at(j, "data_hash");
  h.validators = hash_at(j, "validators_hash");
  h.next_validators = hash_at(j, "next_validators_hash");
  h.consensus = hash_at(j, "consensus_hash");
  h.app = hash_at(j, "app_hash");
  h.last_results = hash_at(j, "last_results_hash");
  h.evidence = hash_at(j, "evidence_hash");
  const auto proposer = from_hex(j.at("proposer_address").get<std::string>()).value();
  std::copy_n(proposer.begin(), std::min(proposer.size(), h.proposer.size()), h.proposer.begin());
  return h;
}

attest::CometCommit commit_of(const json& j) {
  attest::CometCommit out;
  out.round = static_cast<uint32_t>(number_at(j, "round"));
  out.block = block_at(j, "block_id");
  for (const json& vote : j.at("signatures")) {
    attest::CometVote& one = out.votes.emplace_back();
    const auto flag = number_at(vote, "block_id_flag");
    if (flag < 1 || flag > 3) throw std::invalid_argument("no flag");
    one.flag = static_cast<attest::CometVoteFlag>(flag);
    if (one.flag == attest::CometVoteFlag::absent) continue;
    one.time = time_at(vote, "timestamp");
    const auto signature = from_base64(vote.at("signature").get<std::string>()).value();
    if (signature.size() != one.signature.v.size()) throw std::invalid_argument("no signature");
    std::copy(signature.begin(), signature.end(), one.signature.v.begin());
  }
  return out;
}

// What `read` makes of an answer; whatever it stumbles over is `malformed`.
template <class Read>
auto understood(const std::string& text, Read&& read) -> Result<decltype(read(json()))> {
  try {
    return read(json::parse(text));
  } catch (const std::exception&) {
    return not_understood();
  }
}

}  // namespace

// ---- what is said -------------------------------------------------------------------------------------------------

Result<std::string> question_of(ByteSpan request) {
  const Error another{Code::invalid, "no question of a light client", "ask for commit, validators or consensus_params, one at a time"};
  if (request.size() > kQuestionMaxBytes) return another;
  const auto asked = json::parse(request.begin(), request.end(), nullptr, false);
  if (!asked.is_object() || !asked.contains("method") || !asked["method"].is_string()) return another;
  const auto& method = asked["method"].get_ref<const std::string&>();
  if (method != "commit" && method != "validators" && method != "consensus_params") return another;
  return json{{"jsonrpc", "2.0"}, {"id", asked.value("id", json(0))}, {"method", method}, {"params", asked.value("params", json::object())}}.dump();
}

Result<std::string> result_of(const std::string& answer) {
  TRY_LET(outcome, understood(answer, [](const json& j) -> std::pair<bool, std::string> {
            if (!j.contains("error")) return {true, j.at("result").dump()};
            const json& error = j.at("error");
            return {false, error.value("data", error.value("message", std::string("an error without a text")))};
          }));
  if (!outcome.first) return Error{Code::internal, outcome.second, "see comet.log in the node's folder"};
  return outcome.second;
}

Result<std::pair<attest::CometHeader, attest::CometCommit>> commit_in(const std::string& result) {
  return understood(result, [](const json& j) {
    const json& signed_header = j.at("signed_header");
    return std::pair(header_of(signed_header.at("header")), commit_of(signed_header.at("commit")));
  });
}

Result<std::vector<attest::CometValidator>> validators_in(const std::string& result) {
  return understood(result, [](const json& j) {
    std::vector<attest::CometValidator> out;
    for (const json& validator : j.at("validators"))
      out.push_back({PublicKey::from(from_base64(validator.at("pub_key").at("value").get<std::string>()).value()).value(),
                     number_at(validator, "voting_power")});
    return out;
  });
}

// ---- to whom ------------------------------------------------------------------------------------------------------

Rpc::Rpc(std::filesystem::path socket) : socket_(std::move(socket)) {}

Result<std::string> Rpc::post(const std::string& request) {
  HttpQuestion question{"http" "://localhost/", socket_, as_bytes(request)};
  question.content_type = "application/json";
  const auto answered = http_.ask(question);
  if (!answered) return Error{Code::unreachable, "CometBFT: " + answered.error().text, "see comet.log in the node's folder"};
  return answered->body;
}

Result<std::string> Rpc::relay(ByteSpan request) {
  TRY_LET(question, question_of(request));
  return post(question);
}

Result<std::string> Rpc::call(const std::string& method, const std::string& params) {
  TRY_LET(answer, post(R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}"));
  return result_of(answer);
}

Result<> Rpc::broadcast(ByteSpan transaction) {
  const auto answer = call("broadcast_tx_sync", R"({"tx":")" + to_base64(transaction) + R"("})");
  if (!answer) {
    const Error& error = answer.error();
    if (error.code != Code::internal) return error;
    if (error.text.find("already exists in cache") != std::string::npos)
      return Error{Code::already, "it waits for a block already, or stands in one", "ask what became of it"};
    if (error.text.find("mempool is full") != std::string::npos)
      return Error{Code::mempool_full, "too many transactions wait", "try again after a block"};
    return error;
  }
  TRY_LET(outcome, understood(*answer, [](const json& j) {
            return std::pair(number_at(j, "code"), j.value("log", std::string()));
          }));
  if (outcome.first == 0) return {};
  const auto code = static_cast<Code>(outcome.first);
  if (!is_valid(code)) return not_understood();
  return Error{code, outcome.second, "see what the account holds and which nonce is next"};
}

Result<std::pair<attest::CometHeader, attest::CometCommit>> Rpc::commit(Height height) {
  const auto answer = call("commit", R"({"height":")" + std::to_string(number(height)) + R"("})");
  if (!answer) {
    if (answer.error().code != Code::internal) return answer.error();
    return Error{Code::not_found, "there is no block " + std::to_string(number(height)) + " yet", "ask again after a block"};
  }
  return commit_in(*answer);
}

Result<std::vector<attest::CometValidator>> Rpc::validators(Height height) {
  TRY_LET(answer, call("validators", R"({"height":")" + std::to_string(number(height)) + R"(","per_page":")" + std::to_string(kMaxValidators) + R"("})"));
  return validators_in(answer);
}

Result<Height> Rpc::height() {
  TRY_LET(answer, call("status", "{}"));
  return understood(answer, [](const json& j) { return Height{number_at(j.at("sync_info"), "latest_block_height")}; });
}

Result<uint64_t> Rpc::peers() {
  TRY_LET(answer, call("net_info", "{}"));
  return understood(answer, [](const json& j) { return number_at(j, "n_peers"); });
}

}  // namespace cairn::ledger::comet
