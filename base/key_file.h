// Key files: where a secret key rests, open to its owner's programs or sealed with a passphrase.
//
//   cairn-key-2
//   account HEX                                      that it signs for; a hot key's is not its own
//   public HEX
//   seed HEX                                         or: sealed argon2id MEMORY_KIB PASSES SALT NONCE BOX
//   check HEX                                        first 8 digits of the BLAKE3 of the lines above
//
// A sealed seed lies in a secretbox (XSalsa20-Poly1305) whose key Argon2id makes of the passphrase and the salt. The public parts
// can be read without the passphrase. A file is refused unless it is its owner's alone: mode 0600 or 0400, of the user that runs
// us; or, in the folder that systemd names in CREDENTIALS_DIRECTORY, with the modes that systemd gives.
//
// A service has no person who could type: its key is open, in a file of its own user or as a credential, and should be a hot
// key; or it is sealed and CAIRN_PASSPHRASE_FILE names a file, under the same rules, whose first line is the passphrase.
#pragma once

#include <filesystem>
#include <functional>

#include "base/keys.h"

namespace cairn {

struct StoredKey {
  SecretKey key;
  AccountId account;
};

// What a key file says without its passphrase.
struct KeyFileFacts {
  AccountId account;
  PublicKey public_key;
  bool sealed = false;
};

// Asked when a sealed file is opened.
using AskPassphrase = std::function<Result<std::string>(const std::filesystem::path& key_file)>;
// The first line of the file that CAIRN_PASSPHRASE_FILE names. Error: key_file.
Result<std::string> passphrase_of_service(const std::filesystem::path& key_file);

// Argon2id's cost: a second and 256 MiB on a usual machine.
struct SealCost {
  uint32_t memory_kib = 262'144;
  uint32_t passes = 3;
};

// Writes a new file, whole or not at all, sealed where there is a passphrase. Errors: exists (nothing is overwritten), key_file, invalid (an empty
// passphrase).
Result<> save_key(const std::filesystem::path& path, const StoredKey& stored, const std::optional<std::string>& passphrase = {},
                  SealCost cost = {});
inline Result<> save_key(const std::filesystem::path& path, const SecretKey& key) {
  return save_key(path, StoredKey{key, account_of(key.public_key())});
}
// The same over a file that is there: whole, or as it was after an error.
Result<> replace_key(const std::filesystem::path& path, const StoredKey& stored, const std::optional<std::string>& passphrase = {},
                     SealCost cost = {});

// Errors: key_file (missing, open to others, damaged), unauthorised (not the passphrase), and what asking gives.
Result<StoredKey> load_stored_key(const std::filesystem::path& path, const AskPassphrase& ask = passphrase_of_service);
Result<SecretKey> load_key(const std::filesystem::path& path, const AskPassphrase& ask = passphrase_of_service);
Result<KeyFileFacts> key_file_facts(const std::filesystem::path& path);

}  // namespace cairn
