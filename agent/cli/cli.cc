#include "agent/cli/cli.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/devnet.h"

namespace cairn::agent {

namespace fs = std::filesystem;

fs::path Cli::devnet_folder() const {
  if (!dir.empty()) return fs::absolute(dir);
  if (const char* named = std::getenv("CAIRN_NET"); named && *named) return fs::absolute(named);
  std::error_code fault;
  if (fs::exists("net.json", fault) && fs::exists("genesis.json", fault)) return fs::current_path();
  return expand_home("~/.local/share/cairn/devnet");
}

bool Cli::in_devnet() const {
  std::error_code fault;
  return fs::exists(devnet_folder() / "net.json", fault);
}

Result<RequesterConfig> Cli::settings() const {
  const auto file = [&]() -> fs::path {
    if (!config_path.empty()) return config_path;
    if (const char* named = std::getenv("CAIRN_CONFIG"); named && *named) return named;
    for (const fs::path& usual : {devnet_folder() / "requester.yaml", expand_home("~/.config/cairn/requester.yaml")})
      if (fs::exists(usual)) return usual;
    return {};
  }();
  RequesterConfig config;
  if (!file.empty()) {
    TRY_LET(read, read_config<RequesterConfig>(file));
    config = read;
  }
  if (const char* named = std::getenv("CAIRN_NODE"); named && *named) config.node = named;
  if (const char* named = std::getenv("CAIRN_KEY"); named && *named) config.key = named;
  if (!node.empty()) config.node = node;
  if (!key.empty()) config.key = key;
  config.key = expand_home(config.key);
  config.folder = expand_home(config.folder);
  return config;
}

Result<Wallet> Cli::wallet() const {
  TRY_LET(config, settings());
  auto secret = load_stored_key(config.key, ask_passphrase);
  if (!secret) {
    Error error = secret.error();
    if (error.code == Code::not_found)
      error = {Code::key_file, "there is no key file " + config.key.string(), "cairn wallet new --key " + config.key.string() +
               ", or name another by --key or CAIRN_KEY"};
    return error;
  }
  return Wallet{*secret, config.key};
}

Result<AccountId> Cli::account(const std::string& text) const {
  if (const auto id = AccountId::from_hex(text)) return *id;
  if (const auto net = Devnet(devnet_folder()).state())
    if (const DevnetMember* member = net->find(text))
      if (const auto id = AccountId::from_hex(member->account)) return *id;
  return Error{Code::usage, "`" + text + "` is no account", "an account is 64 hexadecimal digits, or a name that `cairn net status` shows"};
}

Result<Amount> amount_of(const std::string& text) {
  if (const auto amount = parse_amount(text)) return *amount;
  return Error{Code::usage, "`" + text + "` is no amount", "write for example \"12.5 CRN\" or \"7 pebbles\""};
}

Result<Hash> hash_of_text(const std::string& text, const std::string& what) {
  if (const auto hash = Hash::from_hex(text)) return *hash;
  return Error{Code::usage, "`" + text + "` is no id of " + what, "an id is 64 hexadecimal digits"};
}

namespace {

// One line from the terminal, unseen.
Result<std::string> typed(const std::string& question) {
  const int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  termios usual{};
  if (fd < 0 || ::tcgetattr(fd, &usual) != 0) {
    if (fd >= 0) ::close(fd);
    return Error{Code::key_file, "there is no terminal to type a passphrase at", "name a file with it in CAIRN_PASSPHRASE_FILE"};
  }
  termios unseen = usual;
  unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(fd, TCSAFLUSH, &unseen);
  static_cast<void>(!::write(fd, question.data(), question.size()));
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line.push_back(c);
  static_cast<void>(!::write(fd, "\n", 1));
  ::tcsetattr(fd, TCSAFLUSH, &usual);
  ::close(fd);
  return line;
}

bool has_passphrase_file() {
  const char* named = std::getenv("CAIRN_PASSPHRASE_FILE");
  return named && *named;
}

}  // namespace

Result<std::string> ask_passphrase(const fs::path& key_file) {
  return has_passphrase_file() ? passphrase_of_service(key_file) : typed("passphrase of " + key_file.string() + ": ");
}

Result<std::string> ask_new_passphrase(const fs::path& key_file) {
  if (has_passphrase_file()) return passphrase_of_service(key_file);
  TRY_LET(once, typed("new passphrase for " + key_file.string() + ": "));
  TRY_LET(again, typed("the same again: "));
  if (once != again) return Error{Code::usage, "the two passphrases differ", "type the same one twice"};
  return once;
}

constexpr uint64_t kReferenceSeconds = 1'000'000'000;
constexpr uint64_t kHourSeconds = 3600;

Amount per_hour(Amount price) {  // to the nearest pebble: it is shown, never paid
  const u128 hour = (static_cast<u128>(price.pebbles) * kHourSeconds + kReferenceSeconds / 2) / kReferenceSeconds;
  return Amount::of_pebbles(static_cast<uint64_t>(hour));
}

Result<Amount> per_reference(Amount hourly) {
  if (const auto price = scale(hourly, kReferenceSeconds, kHourSeconds)) return *price;
  return Error{Code::limit, pretty(hourly) + " per hour is more than a price can be", "ask for less than 60,000,000 CRN per hour"};
}

std::string padded(std::string text, size_t width) {
  text.resize(std::max(text.size() + 1, width), ' ');
  return text;
}

std::string row(const std::string& label, const std::string& text) { return padded(label, 19) + text; }

}  // namespace cairn::agent
