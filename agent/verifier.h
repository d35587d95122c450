// cairn-verify run: a bonded machine that re-runs drawn segments, says what it found before anybody reveals, and plays the
// challenger's side when it found something else.
//
// As in the provider, the chain is the memory that counts. The journal holds what the chain must not know yet: a verdict's
// salt and knowledge, synced before the verdict is committed. Losing it would cost a silent verifier's part of the bond.
//
//   drawn      fetch plan, inputs and opening state (from the provider, then the requester), run the segment, commit
//   answered   reveal; a verdict that differs opens a game
//   game       play until it is decided
//   not served for a quarter of the time for verdicts: report it
#pragma once

#include "agent/settings.h"
#include "base/result.h"

namespace cairn::agent {

// Runs until SIGTERM. Throws Fault for what a restart would not mend at once: key file, folder, address in use.
Result<> run_verifier(const VerifierConfig& config);

}  // namespace cairn::agent
