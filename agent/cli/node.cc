#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/cli/cli.h"
#include "base/json.h"

namespace cairn::agent {

namespace {

using Json = nlohmann::ordered_json;

std::string short_id(const std::string& hex) { return hex.substr(0, 16); }

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

Result<> node_status(const Cli& cli) {
  TRY_LET(config, cli.config());
  NodeClient node(config.node);
  TRY_LET(status, node.status());
  cli.out.line("chain       " + status.name + "  " + short_id(status.genesis.hex()));
  cli.out.line("height      " + std::to_string(number(status.height)));
  cli.out.line("chain time  " + std::to_string(ms(status.time) / 1000) + " s");
  cli.out.line("waiting     " + std::to_string(status.pending) + " transactions, " + std::to_string(status.deadlines) + " deadlines");
  cli.out.line("node        " + node.address());
  Json json = Json::parse(to_json(status));
  json["node"] = node.address();
  cli.out.object(json.dump());
  return {};
}

Result<> offer_list(const Cli& cli) {
  TRY_LET(config, cli.config());
  NodeClient node(config.node);
  TRY_LET(offers, node.offers());
  Json list = Json::array();
  cli.out.line(padded("OFFER", 18) + padded("OWNER", 18) + padded("CLASS", 10) + padded("CRN PER 10^9 REF. SECONDS", 28) +
               padded("MIB", 8) + "JOBS");
  for (const auto& offer : offers) {
    const std::string klass = std::string(name(offer.klass.device)) + " " + std::string(name(offer.klass.numeric));
    cli.out.line(padded(short_id(offer.id.hex()), 18) + padded(short_id(offer.owner.hex()), 18) + padded(klass, 10) +
                 padded(pretty(offer.price), 28) + padded(std::to_string(offer.memory_bytes >> 20), 8) +
                 std::to_string(offer.jobs) + "/" + std::to_string(offer.jobs_max));
    list.push_back(Json::parse(to_json(offer)));
  }
  if (offers.empty()) cli.out.line("no offers: nobody serves here yet");
  cli.out.object(Json{{"offers", list}}.dump());
  return {};
}

Result<> verifier_list(const Cli& cli) {
  TRY_LET(config, cli.config());
  NodeClient node(config.node);
  TRY_LET(verifiers, node.verifiers());
  Json list = Json::array();
  for (const auto& view : verifiers) {
    cli.out.line(padded(short_id(view.verifier.account.hex()), 18) + padded(pretty(view.bond), 16) + view.verifier.endpoint);
    list.push_back({{"account", view.verifier.account.hex()},
                    {"bond", std::to_string(view.bond.pebbles)},
                    {"endpoint", view.verifier.endpoint}});
  }
  if (verifiers.empty()) cli.out.line("no verifiers: jobs would settle unaudited");
  cli.out.object(Json{{"verifiers", list}}.dump());
  return {};
}

}  // namespace

void add_node_verbs(CLI::App& app, Cli& cli) {
  auto* node = app.add_subcommand("node", "the chain as a node shows it")->require_subcommand(1)->fallthrough();
  node->add_subcommand("status", "height, chain time, what waits")->callback([&cli] {
    cli.chosen = [&cli] { return node_status(cli); };
  });
  auto* offer = app.add_subcommand("offer", "machines on the book")->require_subcommand(1)->fallthrough();
  offer->add_subcommand("list", "all offers")->callback([&cli] { cli.chosen = [&cli] { return offer_list(cli); }; });
  auto* verifier = app.add_subcommand("verifier", "who may be drawn for checks")->require_subcommand(1)->fallthrough();
  verifier->add_subcommand("list", "all verifiers and their bonds")->callback([&cli] {
    cli.chosen = [&cli] { return verifier_list(cli); };
  });
}

}  // namespace cairn::agent
