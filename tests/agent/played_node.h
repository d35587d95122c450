// A node that answers with records from a table, for what a real one does only in time. Its state is proven like any other.
#pragma once

#include <algorithm>
#include <map>
#include <sstream>

#include "attest/light_client.h"
#include "base/http.h"

namespace cairn::agent {

struct PlayedNode {
  std::map<std::string, Bytes> records;
  std::map<Bytes, Bytes> state;
  attest::Genesis genesis;
  std::unique_ptr<HttpServer> server;
  PlayedNode() {
    const SecretKey producer = SecretKey::from_seed({1});
    genesis.validators = {{{}, producer.public_key(), {}, {}}};
    const attest::Rules rules = attest::first_rules(genesis);
    records["/v1/rules"] = encode(std::vector{rules});
    state[attest::rules_key(1)] = encode(rules);
    server = must(HttpServer::start({}, [this, producer](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
      const auto send = [&](const Bytes& bytes) { reply->send({200, "application/octet-stream", std::string(bytes.begin(), bytes.end())}); };
      if (request.path == "/v1/genesis") return send(encode(genesis));
      if (request.path.starts_with("/v1/state/")) return send(encode(proven(request.path.substr(10), producer)));
      const auto after = request.query.find("after");
      const auto found = records.find(request.path + (after == request.query.end() ? "" : "?after=" + after->second));
      if (found == records.end()) return reply->send(error_response({Code::not_found, "nothing is at " + request.path, "ask for less"}));
      send(found->second);
    }));
  }
  attest::ProvenState proven(std::string keys, const SecretKey& producer) const {
    std::vector<attest::MapEntry> sorted;
    for (const auto& [key, value] : state) sorted.push_back({blake3(key), blake3(value)});
    std::sort(sorted.begin(), sorted.end());
    attest::Header header;
    header.genesis = attest::genesis_hash(genesis);
    header.height = Height{1};
    header.state_root = attest::map_root(sorted);
    attest::ProvenState out{attest::sign_header(producer, header), {}};
    for (std::stringstream split(keys); std::getline(split, keys, ',');) {
      const Bytes key = *from_hex(keys);
      const auto at = state.find(key);
      out.records.push_back({at == state.end() ? std::nullopt : std::optional(at->second), attest::map_prove(sorted, blake3(key))});
    }
    return out;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server->port()); }
  std::string option() const { return " --node " + address(); }
};

}  // namespace cairn::agent
