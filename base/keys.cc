#include "base/keys.h"

#include <sodium.h>

#include <algorithm>

#include "base/blake3.h"

namespace cairn {
namespace {

void ensure_sodium() {
  static const int status = sodium_init();
  CHECK(status >= 0);
}

Bytes message(const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes) {
  const Bytes kind_bytes = encode(static_cast<uint16_t>(kind));
  const Hash hash = tagged_hash("cairn.sign.v1", {genesis.span(), kind_bytes, account.span(), bytes});
  return Bytes(hash.v.begin(), hash.v.end());
}

}  // namespace

SecretKey SecretKey::from_seed(const std::array<uint8_t, 32>& seed) {
  ensure_sodium();
  SecretKey key;
  key.seed_ = seed;
  PublicKey ignored;
  crypto_sign_seed_keypair(ignored.data(), key.expanded_.data(), seed.data());
  return key;
}

SecretKey SecretKey::generate() {
  ensure_sodium();
  std::array<uint8_t, 32> seed;
  randombytes_buf(seed.data(), seed.size());
  return from_seed(seed);
}

SecretKey::~SecretKey() {
  sodium_memzero(seed_.data(), seed_.size());
  sodium_memzero(expanded_.data(), expanded_.size());
}

PublicKey SecretKey::public_key() const {
  PublicKey out;
  crypto_sign_ed25519_sk_to_pk(out.data(), expanded_.data());
  return out;
}

AccountId account_of(const PublicKey& first_key) {
  return tagged_hash("cairn.account.v1", {first_key.span()}).as<AccountIdTag>();
}

bool KeySet::holds(const PublicKey& key) const { return std::binary_search(keys.begin(), keys.end(), key); }

Result<> check(const KeySet& set) {
  ensure_sodium();
  if (set.keys.empty() || set.keys.size() > KeySet::kMax)
    return Error{Code::invalid, "an account has 1 to 16 keys, not " + std::to_string(set.keys.size()), "name fewer keys"};
  if (set.threshold < 1 || set.threshold > set.keys.size())
    return Error{Code::invalid, std::to_string(set.threshold) + " of " + std::to_string(set.keys.size()) + " keys cannot sign",
                 "set the threshold between 1 and the number of keys"};
  if (std::adjacent_find(set.keys.begin(), set.keys.end(), std::greater_equal<>()) != set.keys.end())
    return Error{Code::invalid, "the keys are out of order, or one is there twice", "list each key once, sorted"};
  for (const PublicKey& key : set.keys)
    if (crypto_core_ed25519_is_valid_point(key.data()) != 1)
      return Error{Code::invalid, key.hex() + " is no ed25519 key", "take it from `cairn wallet show` or a key file"};
  return {};
}

AccountId account_of(const KeySet& first_keys) {
  if (first_keys.threshold == 1 && first_keys.keys.size() == 1) return account_of(first_keys.keys.front());
  return tagged_hash("cairn.account.set.v1", {encode(first_keys)}).as<AccountIdTag>();
}

Signature sign(const SecretKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes) {
  const Bytes text = message(genesis, kind, account, bytes);
  Signature out;
  crypto_sign_detached(out.v.data(), nullptr, text.data(), text.size(), key.expanded_.data());
  return out;
}

bool verify(const PublicKey& key, const Hash& genesis, SignKind kind, const AccountId& account, ByteSpan bytes,
            const Signature& signature) {
  ensure_sodium();
  const Bytes text = message(genesis, kind, account, bytes);
  return crypto_sign_verify_detached(signature.v.data(), text.data(), text.size(), key.data()) == 0;
}

bool verify_plain(const PublicKey& key, ByteSpan bytes, const Signature& signature) {
  ensure_sodium();
  return crypto_sign_verify_detached(signature.v.data(), bytes.data(), bytes.size(), key.data()) == 0;
}

TransportKeys transport_keys(const SecretKey& key) {
  TransportKeys out;
  std::array<uint8_t, 64> expanded;
  PublicKey public_key;
  crypto_sign_seed_keypair(public_key.data(), expanded.data(), key.seed().data());
  CHECK(crypto_sign_ed25519_sk_to_curve25519(out.secret_key.data(), expanded.data()) == 0);
  CHECK(crypto_sign_ed25519_pk_to_curve25519(out.public_key.data(), public_key.data()) == 0);
  sodium_memzero(expanded.data(), expanded.size());
  return out;
}

Result<std::array<uint8_t, 32>> transport_key(const PublicKey& key) {
  ensure_sodium();
  std::array<uint8_t, 32> out;
  if (crypto_sign_ed25519_pk_to_curve25519(out.data(), key.data()) != 0)
    return Error{Code::invalid, "not an ed25519 public key: " + key.hex(), "check the account"};
  return out;
}

Hash random_hash() {
  ensure_sodium();
  Hash out;
  randombytes_buf(out.data(), 32);
  return out;
}

}  // namespace cairn
