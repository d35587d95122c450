// Records what reaches the `exact` device as a plan: single assignment, constants folded, state found by what was written.
//
// A value is known by its storage: `plan.calls[i]` gives output o, so that storage now holds {call, i, o}. An in-place write
// gives the storage a new value, never changes an old one. A storage that nobody told the recorder about holds what depends on
// no input: it becomes a constant when a recorded call reads it, or a call of fill.v1 where it is large and of one value. Every storage is kept alive while recording, so none is
// mistaken for another at the same address.
#pragma once

#include <map>
#include <set>

#include "attest/plan.h"
#include "attest/records.h"
#include "base/blake3.h"
#include "runtime/exact_device.h"

namespace cairn::runtime {

class Recorder {
 public:
  Recorder(attest::WorkTable work, attest::NumericClass numeric, kernels::StepContext context);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // The one at work in this process, or null.
  static Recorder* current();

  attest::Plan plan;
  const attest::NumericClass numeric;  // of products

  // From here on the storage of `tensor` holds `ref`.
  void track(const at::Tensor& tensor, attest::ValueRef ref);
  void forget(const at::Tensor& tensor);  // overwritten by a constant
  bool tracked(const at::Tensor& tensor) const;
  // The value that a whole tensor holds; makes a constant or a fill of what is not tracked.
  attest::ValueRef value_of(const at::Tensor& tensor);
  // The storage of `to` holds what that of `from` holds.
  void alias(const at::Tensor& to, const at::Tensor& from);

  void record(const kernels::Operator& op, const std::vector<int64_t>& attrs, const std::vector<Operand>& inputs,
              const std::vector<at::Tensor>& outputs);
  const kernels::StepContext& context() const { return context_; }
  uint32_t next_random_site() { return random_sites_++; }

  // Ids of each call's outputs as the dispatcher computed them, when `keep_ids` was set before.
  bool keep_ids = false;
  std::vector<std::vector<Hash>> output_ids;

  // In a survey an undefined operator is noted and stands in with zeros; the plan is then no plan.
  bool survey = false;
  std::set<std::string> undefined;

  // Where the program is: set by whoever drives it.
  void enter_node(const std::string& name, const std::string& target);
  void leave_node();
  std::string place() const;

 private:
  struct Key {
    uint8_t dtype;
    Hash id;
    auto operator<=>(const Key&) const = default;
  };
  struct Held {
    attest::ValueRef ref;
    bool constant;  // a fill: depends on no input
  };
  void append(const kernels::Operator& op, attest::Call call, const std::vector<at::Tensor>& outputs);

  const attest::WorkTable work_;
  const kernels::StepContext context_;
  uint32_t random_sites_ = 0;
  std::map<const c10::StorageImpl*, Held> values_;
  std::vector<c10::Storage> alive_;
  std::map<Key, uint32_t> constants_;
  std::string node_;
  std::vector<std::pair<uint64_t, std::string>> sequences_;  // autograd sequence number from which a node's own begin
};

}  // namespace cairn::runtime
