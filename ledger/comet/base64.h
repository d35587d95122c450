// Base64 with padding, as CometBFT's JSON has it.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"

namespace cairn::ledger::comet {

std::string to_base64(ByteSpan bytes);
std::optional<Bytes> from_base64(std::string_view text);

}  // namespace cairn::ledger::comet
