// cairn-verify: the verifier daemon, and the offline checker of receipts and plans.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/output.h"
#include "agent/verifier.h"
#include "attest/plan.h"
#include "attest/receipt.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "kernels/operator.h"
#include "ledger/genesis_file.h"

namespace cairn::agent {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kReceiptMaxBytes = 64u << 20;

// What every receipt check must say, whatever it finds: proof needs a beginning that somebody takes on trust.
constexpr std::string_view kTrust[] = {
    "The genesis file is trusted because you named it: compare its hash with one from a source of your own.",
    "The chain has one producer, named in that genesis: its signature is checked, its honesty towards draws is not.",
    "No age is checked: a receipt of a chain that was later abandoned looks the same.",
};

// Bytes that are no receipt and a receipt that is false are refused alike, with exit status 9.
Result<> check_receipt_file(const Output& out, const std::string& file, const std::string& genesis_file) {
  const auto genesis = ledger::load_genesis(genesis_file);
  if (!genesis) return genesis.error();
  TRY_LET(bytes, read_file(file, kReceiptMaxBytes));
  out.line("genesis   " + attest::genesis_hash(*genesis).hex() + "  (" + genesis->name + ")");
  for (const auto& sentence : kTrust) out.line("          " + std::string(sentence));
  const auto receipt = decode<attest::Receipt>(bytes);
  if (!receipt) {
    out.line("refused   these bytes are no receipt: " + receipt.error().text);
    return Error{Code::proof, file + " is no receipt: " + receipt.error().text, "fetch it again: cairn job fetch JOB"};
  }
  const auto findings = attest::examine(*receipt, *genesis);
  bool good = !findings.empty();
  Json list = Json::array();
  for (const auto& finding : findings) {
    good = good && finding.ok;
    std::string text = (finding.ok ? "  ok      " : "  FALSE   ") + finding.what;
    if (!finding.found.empty()) text += ": " + finding.found;
    if (!finding.ok && !finding.expected.empty()) text += ", but it must be " + finding.expected;
    if (!finding.proof.empty()) text += "   [" + finding.proof + "]";
    out.line(text);
    list.push_back({{"what", finding.what}, {"expected", finding.expected}, {"found", finding.found},
                    {"proof", finding.proof}, {"ok", finding.ok}});
  }
  const auto& body = receipt->body;
  if (!good) {
    const std::string what = findings.empty() ? "nothing could be checked" : findings.back().what;
    return Error{Code::proof, file + " proves nothing: " + what, "ask the node for the receipt again; if it is the same, the node lies"};
  }
  out.line("accepted  job " + body.job.hex().substr(0, 16) + " " + std::string(name(body.state)) + ", audit " +
           std::string(name(body.audit)) + ": " + body.sentence);
  Json trusts = Json::array();
  for (const auto& sentence : kTrust) trusts.push_back(std::string(sentence));
  Json json = {{"accepted", true}, {"file", file}, {"genesis", attest::genesis_hash(*genesis).hex()},
               {"trusts", trusts}, {"findings", list}, {"receipt", Json::parse(to_json(body))}};
  out.object(json.dump());
  return {};
}

Result<> check_plan_file(const Output& out, const std::string& file, const std::string& genesis_file) {
  TRY_LET(bytes, read_file(file, attest::kMaxPlanBytes));
  auto plan = decode<attest::Plan>(bytes);
  if (!plan) return Error{Code::proof, file + " is no plan: " + plan.error().text, "trace it again: cairn program trace"};
  attest::WorkTable table;
  if (!genesis_file.empty()) {
    TRY_LET(genesis, ledger::load_genesis(genesis_file));
    table = genesis.params.work;
  }
  TRY_LET(facts, attest::validate(*plan, table));
  out.line("plan        " + facts.id.hex());
  out.line("root        " + facts.root.hex());
  out.line("calls       " + std::to_string(plan->calls.size()) + ", state slots " + std::to_string(plan->state.size()) +
           ", inputs " + std::to_string(plan->inputs.size()));
  out.line("work        " + decimal(facts.work_ns) + " reference ns a step");
  out.line("memory      " + std::to_string(facts.peak_bytes) + " bytes at most, " + std::to_string(facts.state_bytes) + " of state");
  Json slots = Json::array();
  for (const auto& slot : plan->state) slots.push_back({{"name", slot.name}, {"shape", slot.type.shape}});
  out.object(Json{{"plan", facts.id.hex()},          {"root", facts.root.hex()},      {"calls", plan->calls.size()},
                  {"step_work_ns", decimal(facts.work_ns)}, {"peak_bytes", facts.peak_bytes},
                  {"state_bytes", facts.state_bytes}, {"state", slots}}.dump());
  return {};
}

}  // namespace
}  // namespace cairn::agent

int main(int argc, char** argv) {
  using namespace cairn;
  CLI::App app("cairn-verify: re-runs drawn segments for pay; checks receipts and plans offline.\n"
               "Exit status 9: the receipt or plan is refused, malformed or false alike.", "cairn-verify");
  agent::Output out;
  bool json = false;
  app.add_flag("--json", json, "print one JSON object as the last line of standard output");
  app.require_subcommand(1);
  app.fallthrough();
  std::string config, file, genesis;
  auto* run = app.add_subcommand("run", "the verifier daemon");
  run->add_option("--config", config, "settings, as configs/verifier.yaml")->required();
  auto* receipt = app.add_subcommand("receipt", "check a receipt against a genesis that you trust; needs no network");
  receipt->add_option("file", file, "receipt, as `cairn job fetch` writes it")->required();
  receipt->add_option("--genesis", genesis, "genesis file of the chain")->required();
  auto* plan = app.add_subcommand("plan", "check a plan: operators, shapes, work, memory");
  plan->add_option("file", file, "plan")->required();
  plan->add_option("--genesis", genesis, "take the chain's work table from here");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    for (int i = 1; i < argc; i++) json = json || std::string_view(argv[i]) == "--json";
    out.set_json(json);
    out.error({Code::usage, error.what(), "cairn-verify --help"});
    return exit_status(Code::usage);
  }
  out.set_json(json);
  try {
    Result<> done;
    if (*run) {
      done = agent::run_verifier(must(read_config<agent::VerifierConfig>(config)));
    } else if (*receipt) {
      done = agent::check_receipt_file(out, file, genesis);
    } else {
      done = agent::check_plan_file(out, file, genesis);
    }
    if (done) return 0;
    out.error(done.error());
    return exit_status(done.error().code);
  } catch (const Fault& fault) {
    out.error(fault.error());
    return exit_status(fault.error().code);
  } catch (const std::exception& fault) {
    out.error({Code::internal, fault.what(), "report this with the command line"});
    return exit_status(Code::internal);
  }
}
