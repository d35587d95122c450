// kernels_doc: prints docs/operators.md, from the operators themselves and from the tables of their tests.
//
//   build/release/bin/kernels_doc > docs/operators.md
//
// ctest refuses a page that is not what this prints.
#include <algorithm>
#include <cstdio>

#include "tests/kernels/family.h"
#include "tests/kernels/opening.h"

namespace cairn::kernels {
namespace {

std::string text_of(const Types& types) {
  std::string text;
  for (const TensorType& type : types) text += (text.empty() ? "" : ", ") + to_string(type);
  return text.empty() ? "nothing" : text;
}

std::string attributes_of(const Operator& op) {
  std::string text;
  for (const AttrSpec& attr : op.attrs)
    text += std::string(text.empty() ? "" : ", ") + "`" + std::string(attr.name) + "`" + (attr.kind == AttrKind::f32 ? " (f32)" : "");
  return text.empty() ? "none" : text;
}

void print(const Operator& op, const Case& example, const Case& largest, const std::vector<std::string>& refusals) {
  const Types out = must(op.infer(example.in, example.attrs)), most = must(op.infer(largest.in, largest.attrs));
  const Cost cost = op.cost({example.in, out, example.attrs});
  std::printf("### %.*s\n\n", static_cast<int>(op.name.size()), op.name.data());
  std::printf("    %.*s\n\n", static_cast<int>(op.formula.size()), op.formula.data());
  std::printf("- order: %.*s\n", static_cast<int>(op.order.size()), op.order.data());
  std::printf("- attributes: %s\n", attributes_of(op).c_str());
  std::printf("- for example: %s -> %s; %llu multiply-adds, %llu bytes\n", text_of(example.in).c_str(), text_of(out).c_str(),
              static_cast<unsigned long long>(cost.multiply_adds), static_cast<unsigned long long>(cost.bytes));
  std::printf("- largest: %s", text_of(largest.in).c_str());
  for (size_t o = 0; o < most.size(); o++) {
    const Opening opening = widest_opening(op, {largest.in, most, largest.attrs}, o);
    std::printf("%s %s in %lld block%s, of which one opens at most %.1f KiB", o == 0 ? " ->" : ";", to_string(most[o]).c_str(),
                static_cast<long long>(opening.blocks), opening.blocks == 1 ? "" : "s", static_cast<double>(opening.bytes) / 1024);
  }
  std::printf("\n");
  if (!refusals.empty()) {
    std::printf("- refuses:");
    for (size_t i = 0; i < refusals.size(); i++) std::printf("%s %s", i ? ";" : "", refusals[i].c_str());
    std::printf("\n");
  }
  std::printf("- source: %.*s; id %d\n\n", static_cast<int>(op.source.size()), op.source.data(), op.id);
}

const Case& first_of(const std::vector<Case>& cases, const Operator& op) {
  for (const Case& c : cases)
    if (c.op == op.name) return c;
  CHECK(false);
  return cases.front();
}

void print_page() {
  std::printf(
      "# Operators\n\n"
      "Made by `build/release/bin/kernels_doc`; do not edit. Every operator that a plan may call: its formula, the one order in which\n"
      "roundings happen, an example with its cost (work is the chain table's price of it: `attest/plan.h`), and the largest call that\n"
      "the tests try.\n\n"
      "A tile of an output is one chunk of BLAKE3's tree: 1024 bytes. A dispute goes on to one element and one block of its fold; what\n"
      "that block reads is opened by chunks and recomputed by the ledger. All refusals have the code `shape`; an operand of zero\n"
      "elements, a negative dimension or more than 2^46 bytes is refused by every operator. A NaN is stored as 0x7FC00000 wherever an\n"
      "operator computes; what only moves bytes keeps them.\n\n");
  for (const Family& family : families()) {
    std::printf("## %s\n\n", family.title);
    for (const Operator* op : operators()) {
      if (!family.formulas.contains(op->name)) continue;
      std::vector<std::string> refusals;
      for (const Refused& row : family.refused) {
        if (row.call.op != op->name) continue;
        const std::string text = op->infer(row.call.in, row.call.attrs).error().text.substr(op->name.size() + 2);
        if (std::find(refusals.begin(), refusals.end(), text) == refusals.end()) refusals.push_back(text);
      }
      print(*op, first_of(family.cases, *op), first_of(family.largest, *op), refusals);
    }
  }
}

}  // namespace
}  // namespace cairn::kernels

int main() { cairn::kernels::print_page(); }
