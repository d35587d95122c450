#include "agent/cli/report.h"

#include <algorithm>

#include "agent/cli/zoom.h"
#include "base/file.h"

namespace cairn::agent {

namespace fs = std::filesystem;

namespace {

using attest::Purpose;

Amount sum_of(const attest::ReceiptBody& body, std::initializer_list<Purpose> purposes) {
  Amount sum;
  for (const auto& line : body.lines)
    for (const Purpose purpose : purposes)
      if (line.purpose == purpose) sum = add(sum, line.amount).value_or(sum);
  return sum;
}

// Whose money a line of the settlement moved: stake is the provider's, everything else came from the escrow.
JsonObject payment_json(const attest::ReceiptBody& body, const attest::SettlementLine& line) {
  const bool of_provider = line.purpose == Purpose::stake_back || line.purpose == Purpose::late || line.purpose == Purpose::slash_burn ||
                           line.purpose == Purpose::slash_requester || line.purpose == Purpose::slash_challenger;
  JsonObject json;
  json.add("attempt", body.attempt).add("from", of_provider ? body.provider : body.requester).add("to", line.to);
  json.raw("pebbles", to_json(line.amount)).add("text", pretty(line.amount)).add("what", attest::name(line.purpose));
  return json.add("asset", line.asset);
}

JsonObject attempt_json(const Attempt& attempt) {
  const attest::ReceiptBody& body = attempt.receipt.body;
  JsonObject json;
  json.add("attempt", body.attempt).add("provider", body.provider).add("payee", body.payee).add("offer", body.offer);
  json.add("outcome", attest::name(body.state)).add("tier", attest::name(body.spec.tier));
  json.raw("code", body.state == attest::Ended::settled ? "null" : json_quote(name(body.code)));
  json.add("fault", attest::name(body.fault)).add("sentence", body.sentence).add("audit", attest::name(body.audit));
  json.add("price", body.price).add("price_per_hour", per_hour(body.price)).add("reward", body.reward);
  json.add("opened_ms", body.opened).add("matched_ms", body.matched).add("committed_ms", body.committed).add("ended_ms", body.ended);
  json.add("receipt", attempt.file).add("receipt_ok", !attempt.refused);
  std::vector<JsonObject> checks, games, lines;
  for (const auto& check : body.checks)
    checks.push_back(JsonObject().add("segment", check.draw.segment).add("step", check.draw.step).add("verifier", check.draw.verifier)
                         .add("did", attest::name(check.did)));
  for (const auto& game : attempt.games) games.push_back(zoom_of(game, body.spec.segments()));
  for (const auto& line : body.lines)
    lines.push_back(JsonObject().add("to", line.to).add("amount", line.amount).add("purpose", attest::name(line.purpose))
                        .add("asset", line.asset));
  // The game that the provider lost, where it lost one.
  std::string lost = "null";
  for (const auto& game : attempt.games)
    if (game.game.winner == attest::Party::challenger) lost = zoom_of(game, body.spec.segments()).str();
  json.add("checks", checks).raw("game", lost).add("games", games).add("lines", lines);
  json.add("slash", JsonObject().add("total", sum_of(body, {Purpose::slash_burn, Purpose::slash_requester, Purpose::slash_challenger}))
                        .add("burned", sum_of(body, {Purpose::slash_burn}))
                        .add("requester", sum_of(body, {Purpose::slash_requester}))
                        .add("challenger", sum_of(body, {Purpose::slash_challenger})));
  return json;
}

}  // namespace

Result<std::vector<Attempt>> attempts_of(NodeClient& node, const JobId& job, const std::vector<ledger::Dispute>& games,
                                         const fs::path& out) {
  TRY_LET(genesis, node.genesis());
  std::vector<Attempt> attempts;
  while (true) {
    const auto bytes = node.raw("/v1/receipts/" + job.hex() + "?try=" + std::to_string(attempts.size()));
    if (!bytes && bytes.error().code == Code::not_found) return attempts;
    if (!bytes) return bytes.error();
    TRY_LET(receipt, decode<attest::Receipt>(*bytes));
    if (receipt.body.job != job || receipt.body.attempt != attempts.size())
      return Error{Code::proof, "asked for the receipt of attempt " + std::to_string(attempts.size()) + " at job " + brief(job) + ", the node gives that of attempt " +
                       std::to_string(receipt.body.attempt) + " at job " + brief(receipt.body.job), "ask another node, and report this one"};
    Attempt attempt;
    if (auto checked = attest::check_receipt(receipt, genesis); !checked) attempt.refused = checked.error();
    for (const auto& record : receipt.body.games)
      for (const auto& game : games)
        if (hash_of("cairn.game.v1", game.game) == record.game) attempt.games.push_back(game);
    if (!out.empty()) {
      std::error_code ignored;
      fs::create_directories(out, ignored);
      attempt.file = (out / ("receipt-" + std::to_string(attempts.size()) + ".cairn")).string();
      TRY(write_file(attempt.file, *bytes));
    }
    attempt.receipt = std::move(receipt);
    attempts.push_back(std::move(attempt));
    if (attempts.back().refused) return attempts;  // who makes up one can make up the next
  }
}

JsonObject job_json(const ledger::Job& job, const std::vector<Attempt>& attempts) {
  JsonObject json;
  json.add("job", job.id).add("title", job.spec.title).add("state", name(job.state)).add("phase", name(job.phase));
  json.add("outcome", ledger::is_terminal(job.state) ? name(job.state) : "");
  const bool failed = job.state == ledger::JobState::voided || job.state == ledger::JobState::cancelled;
  json.raw("code", failed ? json_quote(name(job.code)) : "null");
  json.add("fault", attest::name(job.fault)).add("sentence", job.sentence).add("audit", attest::name(job.audit));
  json.add("requester", job.requester).add("provider", job.provider);
  json.add("tier", attest::name(job.spec.tier)).add("policy", attest::name(job.spec.policy)).add("seed", job.spec.seed).add("steps", job.spec.steps);
  json.add("interval", job.spec.interval).add("segments", job.spec.segments());
  json.add("program", job.spec.program).add("plan", job.spec.plan).add("calls", job.spec.calls);
  json.add("step_work_ns", job.spec.step_work_ns).add("memory_bytes", job.spec.memory_bytes);
  json.add("price_ceiling", job.spec.price_ceiling).add("price_ceiling_per_hour", per_hour(job.spec.price_ceiling));
  json.add("price", job.price).add("price_per_hour", per_hour(job.price)).add("reward", job.reward).add("stake", job.stake);
  json.raw("outputs_root", job.commitment ? to_json(job.commitment->outputs_root) : "null");
  JsonObject paid;
  paid.add("provider", job.paid_provider).add("verifiers", job.paid_verifiers).add("royalties", job.paid_royalties);
  if (!attempts.empty()) {
    const auto& last = attempts.back().receipt.body;
    paid.add("change", sum_of(last, {Purpose::change, Purpose::refund}));
    Amount damages;
    for (const auto& attempt : attempts)
      damages = add(damages, sum_of(attempt.receipt.body, {Purpose::slash_requester, Purpose::late})).value_or(damages);
    paid.add("damages", damages);  // what liars and latecomers paid to the requester
  }
  json.add("paid", paid);
  std::vector<JsonObject> list, payments;
  for (const auto& attempt : attempts) {
    list.push_back(attempt_json(attempt));
    for (const auto& line : attempt.receipt.body.lines) payments.push_back(payment_json(attempt.receipt.body, line));
  }
  return json.add("payments", payments).add("attempts", list);
}

void job_lines(const Output& out, const ledger::Job& job, const std::vector<Attempt>& attempts) {
  out.line(row("job", job.id.hex()));
  out.line(row("title", job.spec.title));
  out.line(row("state", std::string(name(job.state)) + (job.sentence.empty() ? "" : ": " + job.sentence)));
  out.line(row("work", std::to_string(job.spec.steps) + " steps of " + std::to_string(job.spec.step_work_ns) + " reference ns, " +
                       std::to_string(job.spec.segments()) + " segments, tier " + std::string(attest::name(job.spec.tier)) + ", policy " +
                       std::string(attest::name(job.spec.policy)) + (job.spec.viewers ? ", private" : "")));
  if (!job.provider.is_zero())
    out.line(row("price", pretty(per_hour(job.price)) + " per hour at reference speed: reward " + pretty(job.reward)));
  if (job.state == ledger::JobState::settled) {
    out.line(row("paid", pretty(job.paid_provider) + " to the provider, " + pretty(job.paid_verifiers) + " to verifiers, " +
                         pretty(job.paid_royalties) + " in royalties"));
    out.line(row("audit", std::string(attest::name(job.audit))));
  }
  for (const auto& attempt : attempts) {
    const auto& body = attempt.receipt.body;
    out.line(row("attempt " + std::to_string(body.attempt), std::string(attest::name(body.state)) + (body.provider.is_zero() ? "" : ", provider " + brief(body.provider)) +
                 (body.sentence.empty() ? "" : ": " + body.sentence)));
    if (!attempt.file.empty())
      out.line(row("  receipt", attempt.file + (attempt.refused ? "  REFUSED: " + attempt.refused->text : "  checked")));
    std::vector<attest::SettlementLine> sums;  // one a purpose and receiver
    for (const auto& line : body.lines) {
      const auto same = std::find_if(sums.begin(), sums.end(), [&](const auto& s) { return s.purpose == line.purpose && s.to == line.to; });
      if (same == sums.end()) sums.push_back(line);
      else same->amount = add(same->amount, line.amount).value_or(same->amount);
    }
    for (const auto& line : sums)
      out.line(row("  " + std::string(attest::name(line.purpose)), padded(pretty(line.amount), 18) + (line.to.is_zero() ? "burned" : "to " + brief(line.to))));
  }
}

std::optional<Error> refusal_in(const std::vector<Attempt>& attempts) {
  for (const auto& attempt : attempts)
    if (attempt.refused)
      return Error{attempt.refused->code, "the receipt of attempt " + std::to_string(attempt.receipt.body.attempt) + " is refused: " + attempt.refused->text,
                   attempt.refused->next};
  return std::nullopt;
}

std::optional<Error> failure_of(const ledger::Job& job, const std::vector<Attempt>& attempts) {
  if (auto refused = refusal_in(attempts)) return refused;
  if (job.state == ledger::JobState::voided)
    return Error{Code::job_void, "job " + brief(job.id) + " is void: " + job.sentence, "the escrow is back; see cairn job show " + job.id.hex()};
  if (job.state == ledger::JobState::cancelled)
    return Error{Code::cancelled, "job " + brief(job.id) + " was cancelled", "the escrow is back"};
  return std::nullopt;
}

}  // namespace cairn::agent
