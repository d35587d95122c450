// A check as steps that a person can follow: what was looked at, what it must be, what it is, and what binds it.
#pragma once

#include <vector>

#include "agent/output.h"
#include "attest/receipt.h"

namespace cairn::agent {

// A line a finding. False when one of them is not ok.
bool tell(const Output& out, const std::vector<attest::Finding>& findings);
std::vector<JsonObject> json_of(const std::vector<attest::Finding>& findings);

// Gathers the findings of one check and tells each as it comes, for checks that take their time.
class Steps {
 public:
  explicit Steps(const Output& out) : out_(out) {}
  // `expected` and `found` as texts; ok when they are equal, unless said otherwise.
  bool add(std::string what, std::string expected, std::string found, std::string proof);
  bool add(std::string what, std::string expected, std::string found, std::string proof, bool ok);
  bool good() const { return good_; }
  const std::vector<attest::Finding>& findings() const { return findings_; }

 private:
  const Output& out_;
  std::vector<attest::Finding> findings_;
  bool good_ = true;
};

}  // namespace cairn::agent
