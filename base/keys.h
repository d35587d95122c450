// ed25519 keys and the one way to sign (rule R9 of ARCHITECTURE.md): every signature, on chain or off, covers
// (genesis hash, kind, account, bytes), so none can be replayed on another chain, as another thing, or for another account.
#pragma once

#include <array>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/result.h"

namespace cairn {

struct Signature {
  std::array<uint8_t, 64> v{};
  friend bool operator==(const Signature&, const Signature&) = default;
  static constexpr auto fields() { return std::tuple{field("v", &Signature::v)}; }
};

// What a signature is about. Numbers are on the wire: never reused.
enum class SignKind : uint16_t {
  transaction = 1,
  header = 2,
  reveal = 3,     // a requester's or verifier's statement carried by somebody else's transaction
  transport = 4,  // binds a transport key to an account
  validator = 8,  // a validator's key: it belongs to this account
};

class SecretKey {
 public:
  static SecretKey generate();
  static SecretKey from_seed(const std::array<uint8_t, 32>& seed);
  ~SecretKey();
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;

  PublicKey public_key() const;
  // The 32-byte seed: to be stored in a key file (key_file.h), or handed to the VRF and the transport, which derive their own.
  const std::array<uint8_t, 32>& seed() const { return seed_; }

 private:
  SecretKey() = default;
  std::array<uint8_t, 32> seed_{};
  std::array<uint8_t, 64> expanded_{};
  friend Signature sign(const SecretKey&, const Hash&, SignKind, const AccountId&, ByteSpan);
};

// Who signs for an account: `threshold` of `keys` together.
//
//   key_set := threshold:u8 keys:vector      1 to 16 keys in ascending order, a threshold of 1 to their number
struct KeySet {
  static constexpr size_t kMax = 16;
  uint8_t threshold = 1;
  std::vector<PublicKey> keys;
  friend bool operator==(const KeySet&, const KeySet&) = default;
  static constexpr auto fields() { return std::tuple{field("threshold", &KeySet::threshold), field("keys", &KeySet::keys)}; }

  static KeySet of(const PublicKey& key) { return {1, {key}}; }
  bool holds(const PublicKey& key) const;
};
// Error: invalid. A key that is no point of the curve is refused: nobody could ever sign with it.
Result<> check(const KeySet& keys);

// The account that its first key, or set of keys, names. One key alone names the same account either way.
AccountId account_of(const PublicKey& first_key);
AccountId account_of(const KeySet& first_keys);

Signature sign(const SecretKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes);
bool verify(const PublicKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes,
            const Signature& signature);
// A plain ed25519 signature by a program of others, of the bytes as they are. Nothing of ours is signed so.
bool verify_plain(const PublicKey& key, ByteSpan bytes, const Signature& signature);

// Curve25519 form of an ed25519 key, for the transport: peers are known by their account's key.
struct TransportKeys {
  std::array<uint8_t, 32> public_key{};
  std::array<uint8_t, 32> secret_key{};
};
TransportKeys transport_keys(const SecretKey& key);
Result<std::array<uint8_t, 32>> transport_key(const PublicKey& key);

// Random bytes from the system, for secrets and salts (never in the ledger).
Hash random_hash();

}  // namespace cairn
