#include "agent/findings.h"

namespace cairn::agent {

namespace {
void tell_one(const Output& out, const attest::Finding& finding) {
  std::string text = (finding.ok ? "  ok      " : "  FALSE   ") + finding.what;
  if (!finding.found.empty()) text += ": " + finding.found;
  if (!finding.expected.empty() && finding.expected != finding.found)
    text += (finding.ok ? "; expected " : ", but it must be ") + finding.expected;
  if (!finding.proof.empty()) text += "   [" + finding.proof + "]";
  out.line(text);
}
}  // namespace

bool tell(const Output& out, const std::vector<attest::Finding>& findings) {
  bool good = !findings.empty();
  for (const auto& finding : findings) {
    tell_one(out, finding);
    good = good && finding.ok;
  }
  return good;
}

std::vector<JsonObject> json_of(const std::vector<attest::Finding>& findings) {
  std::vector<JsonObject> out;
  for (const auto& f : findings)
    out.push_back(JsonObject().add("what", f.what).add("expected", f.expected).add("found", f.found).add("proof", f.proof).add("ok", f.ok));
  return out;
}

bool Steps::add(std::string what, std::string expected, std::string found, std::string proof, bool ok) {
  findings_.push_back({std::move(what), std::move(expected), std::move(found), std::move(proof), ok});
  tell_one(out_, findings_.back());
  good_ = good_ && ok;
  return ok;
}

bool Steps::add(std::string what, std::string expected, std::string found, std::string proof) {
  const bool ok = expected == found;
  return add(std::move(what), std::move(expected), std::move(found), std::move(proof), ok);
}

}  // namespace cairn::agent
