#include "ledger/comet/diagnosis.h"

#include <fstream>

namespace cairn::ledger::comet {
namespace {
constexpr std::streamoff kLogEndBytes = 256 << 10;
}

Error diagnose_log(std::string_view log_end, uint64_t still_ms) {
  const auto says = [&](std::string_view words) { return log_end.find(words) != std::string_view::npos; };
  const std::string since = "no block for " + std::to_string(still_ms / 1000) + " s: ";
  if (says("CONSENSUS FAILURE"))
    return {Code::halted, since + "CometBFT stopped, since this node came to another result than the other validators",
            "end the node, keep its folder for a report, and start anew from a copy of another validator's"};
  if (says("step regression") || says("failed signing vote"))
    return {Code::halted, since + "what this validator last signed is ahead of what its log can replay, after two crashes",
            "if it is the chain's only validator: end the node, and set round and step to 0 in the file .signed beside its key; with others, "
            "never: let them go on, and it follows"};
  return {Code::halted, since + "fewer than two thirds of the votes are there", "see that the other validators run and are reached"};
}

Error diagnose(const std::filesystem::path& home, uint64_t still_ms) {
  std::ifstream in(home / "comet.log", std::ios::binary | std::ios::ate);
  std::string text;
  if (in) {
    const std::streamoff size = in.tellg();
    in.seekg(std::max<std::streamoff>(0, size - kLogEndBytes));
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  return diagnose_log(text, still_ms);
}

}  // namespace cairn::ledger::comet
