#include "base/keys.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

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

Error key_error(const std::filesystem::path& path, const std::string& why, const std::string& next) {
  return {Code::key_file, path.string() + " " + why, next};
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

Result<> save_key(const std::filesystem::path& path, const SecretKey& key) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno == EEXIST)
      return Error{Code::exists, path.string() + " exists already", "choose another file, or use the key that is there"};
    return key_error(path, std::string("cannot be created: ") + std::strerror(errno), "check the folder");
  }
  const std::string line =
      "cairn-key-1 " + to_hex(key.seed()) + " " + blake3(key.seed()).hex().substr(0, 8) + "\n";
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
  ::close(fd);
  if (!written) {
    ::unlink(path.c_str());
    return key_error(path, "could not be written", "check free space");
  }
  return {};
}

Result<SecretKey> load_key(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return key_error(path, std::string("cannot be read: ") + std::strerror(errno),
                     "make one with `cairn wallet new --key " + path.string() + "`");
  if ((info.st_mode & 0777) != 0600)
    return key_error(path, "can be read by others than its owner", "chmod 600 " + path.string());
  if (info.st_uid != ::geteuid()) return key_error(path, "belongs to another user", "run as its owner");
  std::ifstream file(path);
  std::string line, magic, hex, check, rest;
  std::getline(file, line);
  const Error damaged = key_error(path, "is damaged", "restore it from your copy");
  if (line.size() != 12 + 64 + 1 + 8 || std::getline(file, rest)) return damaged;
  magic = line.substr(0, 12), hex = line.substr(12, 64), check = line.substr(77);
  const auto seed = Hash::from_hex(hex);
  if (magic != "cairn-key-1 " || line[76] != ' ' || !seed || blake3(seed->span()).hex().substr(0, 8) != check)
    return damaged;
  return SecretKey::from_seed(seed->v);
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
