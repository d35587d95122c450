// Verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381, over libsodium's group operations.
//
// The key is an ed25519 seed of its own, never one that also signs. The output is unique for (key, input): a prover can
// withhold it, not choose it.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/keys.h"
#include "base/result.h"

namespace cairn {

using VrfProof = std::array<uint8_t, 80>;
using VrfOutput = std::array<uint8_t, 64>;

VrfProof vrf_prove(const SecretKey& key, ByteSpan input);
// The output of a proof that vrf_prove() gave here: nothing of it is looked at.
VrfOutput vrf_output(const VrfProof& own);
// The output that the proof shows. Error: proof, also for keys and points of small order or not in canonical form.
Result<VrfOutput> vrf_verify(const PublicKey& key, ByteSpan input, const VrfProof& proof);

}  // namespace cairn
