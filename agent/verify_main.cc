// cairn-verify: the verifier daemon, the auditor of jobs, and the offline checker of receipts and plans.
#include <CLI/CLI.hpp>
#include <map>

#include "agent/audit.h"
#include "agent/findings.h"
#include "agent/node_client.h"
#include "agent/verifier.h"
#include "attest/plan.h"
#include "attest/receipt.h"
#include "base/file.h"
#include "kernels/operator.h"
#include "ledger/genesis_file.h"

namespace cairn::agent {
namespace {

constexpr size_t kReceiptMaxBytes = 64u << 20;

// What every receipt check must say, whatever it finds: proof needs a beginning that somebody takes on trust.
std::vector<std::string> trusts_of(const attest::Genesis& genesis) {
  return {"The genesis file is trusted because you named it: compare its hash with one from a source of your own.",
          genesis.engine == attest::Engine::solo
              ? "The chain has one producer, named in that genesis: its signature is checked, its honesty towards draws is not."
              : "The chain has validators, the first named in that genesis: more than two thirds of their votes are checked, and those who "
                "followed them; that so many do not lie together is not.",
          "No age is checked: a receipt of a chain that was later abandoned looks the same."};
}

// Bytes that are no receipt and a receipt that is false are refused alike, with exit status 9.
Result<> check_receipt_file(const Output& out, const std::string& file, const std::string& genesis_file) {
  const auto genesis = ledger::load_genesis(genesis_file);
  if (!genesis) return genesis.error();
  TRY_LET(bytes, read_file(file, kReceiptMaxBytes));
  out.line("genesis   " + attest::genesis_hash(*genesis).hex() + "  (" + genesis->name + ")");
  const auto trusts = trusts_of(*genesis);
  for (const auto& sentence : trusts) out.line("          " + sentence);
  const auto receipt = decode<attest::Receipt>(bytes);
  if (!receipt) {
    out.line("refused   these bytes are no receipt: " + receipt.error().text);
    return Error{Code::proof, file + " is no receipt: " + receipt.error().text, "fetch it again: cairn job fetch JOB"};
  }
  const auto findings = attest::examine(*receipt, *genesis);
  const bool good = tell(out, findings);
  const auto& body = receipt->body;
  if (!good) {
    const std::string what = findings.empty() ? "nothing could be checked" : findings.back().what;
    return Error{Code::proof, file + " proves nothing: " + what, "ask the node for the receipt again; if it is the same, the node lies"};
  }
  out.line("accepted  job " + body.job.hex().substr(0, 16) + " " + std::string(name(body.state)) + ", tier " +
           std::string(name(body.spec.tier)) + ", audit " + std::string(name(body.audit)) + ": " + body.sentence);
  out.object(JsonObject()
                 .add("accepted", true)
                 .add("file", file)
                 .add("genesis", attest::genesis_hash(*genesis))
                 .add("tier", name(body.spec.tier))
                 .add("trusts", trusts)
                 .add("findings", json_of(findings))
                 .add("receipt", body));
  return {};
}

// What every provider checks before it accepts, one rule a line, and which operators the plan's work is made of.
Result<> check_plan_file(const Output& out, const std::string& file, const std::string& genesis_file) {
  TRY_LET(bytes, read_file(file, attest::kMaxPlanBytes));
  auto plan = decode<attest::Plan>(bytes);
  if (!plan) return Error{Code::proof, file + " is no plan: " + plan.error().text, "trace it again: cairn program trace"};
  attest::WorkTable table;
  if (!genesis_file.empty()) {
    TRY_LET(genesis, ledger::load_genesis(genesis_file));
    table = genesis.params.work;
  }
  Steps steps(out);
  steps.add("bytes", "", std::to_string(bytes.size()) + " bytes, one encoding of one plan", "id " + blake3(bytes).hex(), true);
  const auto facts = attest::validate(*plan, table);
  steps.add("calls", "each by its operator's rules, its work by the table", facts ? std::to_string(plan->calls.size()) + " calls" : facts.error().text,
            genesis_file.empty() ? "the table of a devnet" : "the table of the genesis", static_cast<bool>(facts));
  if (!facts) {
    out.object(JsonObject().add("accepted", false).add("file", file).add("findings", json_of(steps.findings())));
    return facts.error();
  }
  steps.add("root", "", facts->root.hex(), "16-ary sum tree over the calls", true);
  steps.add("work", "", decimal(facts->work_ns) + " reference ns a step", "sum of the calls", true);
  steps.add("memory", "", std::to_string(facts->peak_bytes) + " bytes at most, " + std::to_string(facts->state_bytes) + " of state", "lifetimes of the values", true);

  struct Part {
    uint64_t calls = 0, work_ns = 0;
    int64_t blocks = 1;
  };
  std::map<std::string_view, Part> parts;
  for (const auto& call : plan->calls) {
    const auto* op = kernels::find_operator(call.op);
    Part& part = parts[op->name];
    part.calls++;
    part.work_ns += call.work_ns;
    for (size_t o = 0; o < call.output_types.size(); o++)
      part.blocks = std::max(part.blocks, op->blocks({call.input_types, call.output_types, call.attrs}, o));
  }
  std::vector<std::pair<std::string_view, Part>> ordered(parts.begin(), parts.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.second.work_ns > b.second.work_ns; });
  std::vector<JsonObject> operators, slots;
  for (const auto& [name, part] : ordered) {
    const double share = static_cast<double>(part.work_ns) / static_cast<double>(facts->work_ns);
    std::array<char, 96> text{};
    std::snprintf(text.data(), text.size(), "%-28s %6llu calls  %5.1f %% of the work, folds of at most %lld blocks", std::string(name).c_str(),
                  static_cast<unsigned long long>(part.calls), 100 * share, static_cast<long long>(part.blocks));
    out.line("          " + std::string(text.data()));
    operators.push_back(JsonObject().add("name", name).add("calls", part.calls).add("work_ns", part.work_ns).add("blocks", part.blocks));
  }
  for (const auto& slot : plan->state) slots.push_back(JsonObject().add("name", slot.name).add("shape", slot.type.shape));
  out.line("accepted  a provider may run this plan");
  out.object(JsonObject()
                 .add("accepted", true)
                 .add("plan", facts->id)
                 .add("root", facts->root)
                 .add("calls", plan->calls.size())
                 .add("inputs", plan->inputs.size())
                 .add("step_work_ns", decimal(facts->work_ns))
                 .add("peak_bytes", facts->peak_bytes)
                 .add("state_bytes", facts->state_bytes)
                 .add("operators", operators)
                 .add("state", slots)
                 .add("findings", json_of(steps.findings())));
  return {};
}

// Settings of a party: a requester's, or a verifier's.
Result<RequesterConfig> party_of(const std::string& file) {
  RequesterConfig party;
  const auto requester = read_config<RequesterConfig>(file);
  if (requester) {
    party = *requester;
  } else {
    const auto verifier = read_config<VerifierConfig>(file);
    if (!verifier) return requester.error();
    party = {verifier->node, verifier->key, verifier->folder, "tcp://127.0.0.1:0", verifier->worker};
  }
  party.key = expand_home(party.key);
  party.folder = expand_home(party.folder);
  return party;
}

Result<JobId> job_of(const std::string& text) {
  if (const auto id = JobId::from_hex(text)) return *id;
  return Error{Code::usage, "`" + text + "` is no job", "a job's id is 64 hexadecimal digits"};
}

}  // namespace
}  // namespace cairn::agent

int main(int argc, char** argv) {
  using namespace cairn;
  CLI::App app("cairn-verify: re-runs drawn segments for pay; audits jobs; checks receipts and plans offline.\n"
               "Exit status 9: the receipt, plan or job is refused, malformed or false alike.", "cairn-verify");
  agent::Output out;
  bool json = false;
  app.add_flag("--json", json, "print one JSON object as the last line of standard output");
  app.require_subcommand(1);
  app.fallthrough();
  std::string config, file, genesis, job, node = "http://127.0.0.1:7700";
  std::vector<uint64_t> segments;
  bool challenge = false;
  auto* run = app.add_subcommand("run", "the verifier daemon");
  run->add_option("--config", config, "settings, as configs/verifier.yaml")->required();
  auto* receipt = app.add_subcommand("receipt", "check a receipt against a genesis that you trust; needs no network");
  receipt->add_option("file", file, "receipt, as `cairn job fetch` writes it")->required();
  receipt->add_option("--genesis", genesis, "genesis file of the chain")->required();
  auto* plan = app.add_subcommand("plan", "check a plan: operators, shapes, work, memory");
  plan->add_option("file", file, "plan")->required();
  plan->add_option("--genesis", genesis, "take the chain's work table from here");
  auto* audit = app.add_subcommand("audit", "run segments of a job again, as a party of it, and compare with its commitment");
  audit->add_option("job", job, "id of the job")->required();
  audit->add_option("--config", config, "settings of a party, as configs/requester.yaml or configs/verifier.yaml")->required();
  audit->add_option("--segment", segments, "this segment, from 0; may be given again (default: all)");
  audit->add_flag("--challenge", challenge, "dispute the first segment that is false, and play the game to its end");
  auto* economics = app.add_subcommand("economics", "what a job's terms make of cheating");
  economics->add_option("job", job, "id of the job")->required();
  economics->add_option("--node", node, "HTTP address of a node")->capture_default_str();
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
    } else if (*audit) {
      done = [&]() -> Result<> {
        TRY_LET(party, agent::party_of(config));
        TRY_LET(id, agent::job_of(job));
        return agent::audit_job(out, {party, id, segments, challenge});
      }();
    } else if (*economics) {
      done = [&]() -> Result<> {
        TRY_LET(id, agent::job_of(job));
        agent::NodeClient client(node);
        return agent::job_economics(out, client, id);
      }();
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
