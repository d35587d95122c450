#include "base/key_file.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "base/blake3.h"
#include "base/file.h"

namespace cairn {
namespace {

constexpr size_t kMaxFileBytes = 4096;
constexpr uint32_t kMaxMemoryKib = 1u << 21, kMaxPasses = 64;  // more would be somebody's wish to stop us

Error key_error(const std::filesystem::path& path, const std::string& why, const std::string& next) {
  return {Code::key_file, path.string() + " " + why, next};
}

struct Sealed {
  SealCost cost;
  std::array<uint8_t, crypto_pwhash_SALTBYTES> salt{};
  std::array<uint8_t, crypto_secretbox_NONCEBYTES> nonce{};
  std::array<uint8_t, crypto_secretbox_MACBYTES + 32> box{};
};

// A parsed file: one of `seed` and `sealed` is there.
struct KeyText {
  KeyFileFacts facts;
  std::optional<std::array<uint8_t, 32>> seed;
  std::optional<Sealed> sealed;
};

std::string check_of(std::string_view lines) { return blake3(as_bytes(lines)).hex().substr(0, 8); }

std::string text_of(const KeyText& key) {
  std::string out = "cairn-key-2\naccount " + key.facts.account.hex() + "\npublic " + key.facts.public_key.hex() + "\n";
  if (key.seed) out += "seed " + to_hex(*key.seed) + "\n";
  if (key.sealed)
    out += "sealed argon2id " + std::to_string(key.sealed->cost.memory_kib) + " " + std::to_string(key.sealed->cost.passes) + " " +
           to_hex(key.sealed->salt) + " " + to_hex(key.sealed->nonce) + " " + to_hex(key.sealed->box) + "\n";
  return out + "check " + check_of(out) + "\n";
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(' ', at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

template <size_t N>
bool read_hex(std::string_view hex, std::array<uint8_t, N>& out) {
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != N) return false;
  std::memcpy(out.data(), bytes->data(), N);
  return true;
}
bool read_number(std::string_view text, uint32_t most, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out >= 1 && out <= most;
}

// Whatever is read is written back the same, so nothing but the grammar passes.
std::optional<KeyText> parse(const std::string& text) {
  KeyText out;
  std::vector<std::vector<std::string_view>> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(words_of(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  if (lines.size() != 5 || lines[1].size() != 2 || lines[2].size() != 2) return std::nullopt;
  if (!read_hex(lines[1][1], out.facts.account.v) || !read_hex(lines[2][1], out.facts.public_key.v)) return std::nullopt;
  const auto& secret = lines[3];
  if (secret.size() == 2) {
    if (!read_hex(secret[1], out.seed.emplace())) return std::nullopt;
  } else if (secret.size() == 7) {
    Sealed& sealed = out.sealed.emplace();
    if (!read_number(secret[2], kMaxMemoryKib, sealed.cost.memory_kib) || !read_number(secret[3], kMaxPasses, sealed.cost.passes) ||
        !read_hex(secret[4], sealed.salt) || !read_hex(secret[5], sealed.nonce) || !read_hex(secret[6], sealed.box))
      return std::nullopt;
    out.facts.sealed = true;
  } else {
    return std::nullopt;
  }
  return text_of(out) == text ? std::optional(out) : std::nullopt;
}

// The whole of a file that is its owner's alone.
Result<std::string> read_private(const std::filesystem::path& path, const std::string& if_missing) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return key_error(path, std::string("cannot be read: ") + std::strerror(errno), if_missing);
  struct stat info {};
  std::string text(kMaxFileBytes + 1, '\0');
  const bool known = ::fstat(fd, &info) == 0;
  const ssize_t got = known && S_ISREG(info.st_mode) ? ::read(fd, text.data(), text.size()) : -1;
  ::close(fd);
  if (got < 0) return key_error(path, "is no file that can be read", if_missing);
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const bool credential = credentials && *credentials && path.parent_path() == credentials && (info.st_mode & 07) == 0;
  if (!credential) {
    const unsigned mode = info.st_mode & 07777;
    if (mode != 0600 && mode != 0400) return key_error(path, "can be read by others than its owner", "chmod 600 " + path.string());
    if (info.st_uid != ::geteuid()) return key_error(path, "belongs to another user", "run as its owner");
  }
  text.resize(static_cast<size_t>(got));
  return text;
}

Result<KeyText> read_key(const std::filesystem::path& path) {
  TRY_LET(text, read_private(path, "make one with `cairn wallet new --key " + path.string() + "`"));
  auto key = parse(text);
  sodium_memzero(text.data(), text.size());
  if (!key) return key_error(path, "is damaged", "restore it from your copy");
  return *key;
}

Result<std::array<uint8_t, 32>> box_key(const std::filesystem::path& path, const std::string& passphrase, const Sealed& sealed) {
  std::array<uint8_t, 32> out{};
  if (crypto_pwhash(out.data(), out.size(), passphrase.data(), passphrase.size(), sealed.salt.data(), sealed.cost.passes,
                    size_t{sealed.cost.memory_kib} << 10, crypto_pwhash_ALG_ARGON2ID13) != 0)
    return key_error(path, "needs " + std::to_string(sealed.cost.memory_kib >> 10) + " MiB of memory to be opened", "free some memory");
  return out;
}

Result<std::string> written(const std::filesystem::path& path, const StoredKey& stored, const std::optional<std::string>& passphrase,
                            SealCost cost) {
  CHECK(sodium_init() >= 0);
  KeyText key{{stored.account, stored.key.public_key(), passphrase.has_value()}, {}, {}};
  if (!passphrase) {
    key.seed = stored.key.seed();
    return text_of(key);
  }
  if (passphrase->empty()) return Error{Code::invalid, "an empty passphrase seals nothing", "choose one, or leave the key open"};
  Sealed& sealed = key.sealed.emplace();
  sealed.cost = cost;
  randombytes_buf(sealed.salt.data(), sealed.salt.size());
  randombytes_buf(sealed.nonce.data(), sealed.nonce.size());
  TRY_LET(secret, box_key(path, *passphrase, sealed));
  crypto_secretbox_easy(sealed.box.data(), stored.key.seed().data(), 32, sealed.nonce.data(), secret.data());
  sodium_memzero(secret.data(), secret.size());
  return text_of(key);
}

}  // namespace

Result<std::string> passphrase_of_service(const std::filesystem::path& key_file) {
  const char* named = std::getenv("CAIRN_PASSPHRASE_FILE");
  if (!named || !*named)
    return key_error(key_file, "is sealed, and there is no passphrase", "name a file with it in CAIRN_PASSPHRASE_FILE");
  TRY_LET(text, read_private(named, "name a file with the passphrase in CAIRN_PASSPHRASE_FILE"));
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

Result<> save_key(const std::filesystem::path& path, const StoredKey& stored, const std::optional<std::string>& passphrase, SealCost cost) {
  TRY_LET(text, written(path, stored, passphrase, cost));
  const auto done = create_file(path, as_bytes(text), 0600);
  sodium_memzero(text.data(), text.size());
  if (done) return {};
  if (done.error().code == Code::exists)
    return Error{Code::exists, path.string() + " exists already", "choose another file, or use the key that is there"};
  return key_error(path, "could not be written: " + done.error().text, done.error().next);
}

Result<> replace_key(const std::filesystem::path& path, const StoredKey& stored, const std::optional<std::string>& passphrase,
                     SealCost cost) {
  TRY(key_file_facts(path));
  TRY_LET(text, written(path, stored, passphrase, cost));
  const auto done = write_file(path, as_bytes(text), 0600);
  sodium_memzero(text.data(), text.size());
  return done;
}

Result<StoredKey> load_stored_key(const std::filesystem::path& path, const AskPassphrase& ask) {
  CHECK(sodium_init() >= 0);
  TRY_LET(key, read_key(path));
  std::array<uint8_t, 32> seed{};
  if (key.sealed) {
    TRY_LET(passphrase, ask(path));
    auto secret = box_key(path, passphrase, *key.sealed);
    sodium_memzero(passphrase.data(), passphrase.size());
    if (!secret) return secret.error();
    const int opened = crypto_secretbox_open_easy(seed.data(), key.sealed->box.data(), key.sealed->box.size(), key.sealed->nonce.data(), secret->data());
    sodium_memzero(secret->data(), secret->size());
    if (opened != 0) return Error{Code::unauthorised, "the passphrase does not open " + path.string(), "try again, with the one it was sealed with"};
  } else {
    seed = *key.seed;
  }
  StoredKey out{SecretKey::from_seed(seed), key.facts.account};
  sodium_memzero(seed.data(), seed.size());
  if (out.key.public_key() != key.facts.public_key) return key_error(path, "is damaged: its public key is another one's", "restore it from your copy");
  return out;
}

Result<SecretKey> load_key(const std::filesystem::path& path, const AskPassphrase& ask) {
  TRY_LET(stored, load_stored_key(path, ask));
  return stored.key;
}

Result<KeyFileFacts> key_file_facts(const std::filesystem::path& path) {
  TRY_LET(key, read_key(path));
  return key.facts;
}

}  // namespace cairn
