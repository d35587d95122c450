// Keys, signatures and VRF by one hash each: linked in place of base/keys.cc and base/vrf.cc, so that most seeds spend
// their time on the ledger and not on the curve. Anybody could forge them; nobody in a simulation does.
#include <algorithm>
#include <cstdlib>

#include "base/blake3.h"
#include "base/keys.h"
#include "base/vrf.h"

namespace cairn {
namespace {

PublicKey public_of(const std::array<uint8_t, 32>& seed) { return tagged_hash("stub.public", {seed}).as<PublicKeyTag>(); }

Signature signature_of(const PublicKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes) {
  const Bytes about = encode(static_cast<uint16_t>(kind));
  const Hash half = tagged_hash("stub.sign", {key.span(), genesis.span(), about, account.span(), bytes});
  Signature out;
  std::copy(half.v.begin(), half.v.end(), out.v.begin());
  std::copy(half.v.begin(), half.v.end(), out.v.begin() + 32);
  return out;
}

}  // namespace

SecretKey SecretKey::from_seed(const std::array<uint8_t, 32>& seed) {
  SecretKey key;
  key.seed_ = seed;
  return key;
}
SecretKey::~SecretKey() = default;
PublicKey SecretKey::public_key() const { return public_of(seed_); }

AccountId account_of(const PublicKey& first_key) {
  return tagged_hash("cairn.account.v1", {first_key.span()}).as<AccountIdTag>();
}
AccountId account_of(const KeySet& first_keys) {
  if (first_keys.threshold == 1 && first_keys.keys.size() == 1) return account_of(first_keys.keys.front());
  return tagged_hash("cairn.account.set.v1", {encode(first_keys)}).as<AccountIdTag>();
}
bool KeySet::holds(const PublicKey& key) const { return std::binary_search(keys.begin(), keys.end(), key); }
Result<> check(const KeySet& set) {
  if (set.keys.empty() || set.threshold < 1 || set.threshold > set.keys.size()) return Error{Code::invalid, "no key set", "name keys"};
  for (const PublicKey& key : set.keys)
    if (key.is_zero()) return Error{Code::invalid, "a key of zero signs nothing", "name another"};
  return {};
}
Signature sign(const SecretKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes) {
  return signature_of(key.public_key(), genesis, kind, account, bytes);
}
bool verify(const PublicKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes,
            const Signature& signature) {
  return signature == signature_of(key, genesis, kind, account, bytes);
}

// What else keys.cc defines, so that nothing makes the linker take it: no simulation asks for these.
namespace {
[[noreturn]] void not_simulated() {
  CHECK(!"transports are not simulated");
  std::abort();
}
}  // namespace
bool verify_plain(const PublicKey&, ByteSpan, const Signature&) { not_simulated(); }
SecretKey SecretKey::generate() { not_simulated(); }
TransportKeys transport_keys(const SecretKey&) { not_simulated(); }
Result<std::array<uint8_t, 32>> transport_key(const PublicKey&) { not_simulated(); }
Hash random_hash() { return tagged_hash("stub.random", {}); }  // salts what nobody's order depends on

VrfProof vrf_prove(const SecretKey& key, ByteSpan input) {
  const Hash hash = tagged_hash("stub.vrf", {key.public_key().span(), input});
  VrfProof out{};
  std::copy(hash.v.begin(), hash.v.end(), out.begin());
  return out;
}
VrfOutput vrf_output(const VrfProof& own) {
  VrfOutput out{};
  std::copy_n(own.begin(), 32, out.begin());
  return out;
}
Result<VrfOutput> vrf_verify(const PublicKey& key, ByteSpan input, const VrfProof& proof) {
  const Hash hash = tagged_hash("stub.vrf", {key.span(), input});
  VrfProof right{};
  std::copy(hash.v.begin(), hash.v.end(), right.begin());
  if (proof != right) return Error{Code::proof, "not this key's output", "prove it again"};
  return vrf_output(proof);
}

}  // namespace cairn
