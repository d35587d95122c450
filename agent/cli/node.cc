// cairn node, offer, verifier: the chain as a node shows it.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "agent/cli/cli.h"
#include "ledger/node.h"

namespace cairn::agent {

namespace {

Result<> node_status(const Cli& cli) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(status, node.status());
  cli.out.line(row("chain", status.name + "  " + brief(status.genesis)));
  cli.out.line(row("height", std::to_string(number(status.height))));
  cli.out.line(row("chain time", std::to_string(ms(status.time) / 1000) + " s"));
  cli.out.line(row("waiting", std::to_string(status.pending) + " transactions"));
  cli.out.line(row("node", node.address()));
  JsonObject json;
  for_each_field(status, [&](const char* key, const auto& value) { json.add(key, value); });
  cli.out.object(json.add("node", node.address()));
  return {};
}

Result<> node_supply(const Cli& cli) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(supply, node.record<ledger::Supply>("/v1/supply"));
  cli.out.line(row("genesis", pretty(supply.genesis)));
  cli.out.line(row("held", pretty(supply.held) + (supply.conserved ? ", the same" : ", which is NOT the same")));
  std::vector<JsonObject> kinds;
  for (const auto& kind : supply.kinds) {
    cli.out.line(row("  " + std::string(name(kind.kind)), padded(pretty(kind.amount), 26) + std::to_string(kind.holders) + " holders"));
    kinds.push_back(JsonObject().add("kind", name(kind.kind)).add("holders", kind.holders).add("amount", kind.amount));
  }
  cli.out.object(JsonObject().add("genesis", supply.genesis).add("held", supply.held).add("conserved", supply.conserved).add("kinds", kinds));
  return {};
}

std::string class_of(const attest::OfferClass& klass) {
  return std::string(name(klass.device)) + " " + std::string(name(klass.numeric));
}

std::string speed_of(const ledger::Offer& offer) {
  if (offer.speed == 0) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", static_cast<double>(offer.speed) / 1e6);  // reference ns in a ms of the chain
  return text;
}

Result<> offer_list(const Cli& cli) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(offers, node.offers());
  std::vector<JsonObject> list;
  if (!offers.empty())
    cli.out.line(padded("OFFER", 18) + padded("OWNER", 18) + padded("CLASS", 10) + padded("PER HOUR*", 20) +
                 padded("PEBBLES**", 20) + padded("MIB", 8) + padded("JOBS", 8) + "SPEED***");
  for (const auto& offer : offers) {
    cli.out.line(padded(brief(offer.id), 18) + padded(brief(offer.owner), 18) + padded(class_of(offer.klass), 10) +
                 padded(pretty(per_hour(offer.price)), 20) + padded(std::to_string(offer.price.pebbles), 20) +
                 padded(std::to_string(offer.memory_bytes >> 20), 8) +
                 padded(std::to_string(offer.jobs) + "/" + std::to_string(offer.jobs_max), 8) + speed_of(offer));
    JsonObject json;
    for_each_field(offer, [&](const char* key, const auto& value) { json.add(key, value); });
    list.push_back(json.add("price_per_hour", per_hour(offer.price)).add("price_unit", "pebbles per 10^9 reference seconds"));
  }
  cli.out.line(offers.empty() ? "no offers: nobody serves here yet"
                              : "*  CRN for an hour at the reference machine's speed   **  for 10^9 seconds at that speed\n"
                                "***  times the reference machine's, as its jobs showed; - none was long enough yet");
  cli.out.object(JsonObject().add("offers", list));
  return {};
}

Result<> verifier_list(const Cli& cli) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(verifiers, node.verifiers());
  std::vector<JsonObject> list;
  for (const auto& view : verifiers) {
    cli.out.line(padded(brief(view.verifier.account), 18) + padded(pretty(view.bond), 16) + view.verifier.endpoint);
    list.push_back(JsonObject().add("account", view.verifier.account).add("bond", view.bond).add("endpoint", view.verifier.endpoint));
  }
  if (verifiers.empty()) cli.out.line("no verifiers: jobs would settle unaudited");
  cli.out.object(JsonObject().add("verifiers", list));
  return {};
}

}  // namespace

void add_node_verbs(CLI::App& app, Cli& cli) {
  const auto verb = [&cli](CLI::App* noun, const char* name, const char* about, Result<> (*run)(const Cli&)) {
    noun->add_subcommand(name, about)->callback([&cli, run] { cli.chosen = [&cli, run] { return run(cli); }; });
  };
  auto* node = app.add_subcommand("node", "The chain as a node shows it")->require_subcommand(1);
  verb(node, "status", "Height, chain time, what waits", node_status);
  verb(node, "supply", "All CRN there is, and who holds it by kind", node_supply);
  auto* offer = app.add_subcommand("offer", "Machines on the book")->require_subcommand(1);
  verb(offer, "list", "All offers, with their prices", offer_list);
  auto* verifier = app.add_subcommand("verifier", "Who may be drawn for checks")->require_subcommand(1);
  verb(verifier, "list", "All verifiers and their bonds", verifier_list);
}

}  // namespace cairn::agent
