#include "agent/cli/cli.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"

namespace cairn::agent {

namespace fs = std::filesystem;

Output::Output(bool json) : json_(json), terminal_(::isatty(STDERR_FILENO) == 1) {}

void Output::clear() const {
  if (!bar_shown_) return;
  std::fputs("\r\x1b[2K", stderr);
  bar_shown_ = false;
}

void Output::line(const std::string& text) const {
  if (json_) return;
  clear();
  std::fprintf(stdout, "%s\n", text.c_str());
  std::fflush(stdout);
}

void Output::remark(const std::string& text) const {
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Output::object(const std::string& json_object) const {
  clear();
  if (!json_) return;
  std::fprintf(stdout, "%s\n", json_object.c_str());
  std::fflush(stdout);
}

void Output::error(const Error& error) const {
  clear();
  std::fprintf(stderr, "%s\n", error.message().c_str());
  if (json_)
    object("{\"error\":{\"code\":" + json_quote(name(error.code)) + ",\"text\":" + json_quote(error.text) +
           ",\"next\":" + json_quote(error.next) + "}}");
}

void Output::bar(const std::string& label, double share, const std::string& text) const {
  if (!terminal_) return;
  constexpr int kWidth = 32;
  const int full = static_cast<int>(kWidth * std::clamp(share, 0.0, 1.0));
  std::string drawn(static_cast<size_t>(full), '#');
  drawn.resize(kWidth, '.');
  std::fprintf(stderr, "\r\x1b[2K%s [%s] %s", label.c_str(), drawn.c_str(), text.c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

fs::path default_devnet() { return expand_home("~/.local/share/cairn/devnet"); }

fs::path Cli::config_file() const {
  if (!config_path.empty()) return config_path;
  if (const char* named = std::getenv("CAIRN_CONFIG")) return named;
  for (const fs::path& usual : {expand_home("~/.config/cairn/requester.yaml"), default_devnet() / "requester.yaml"})
    if (fs::exists(usual)) return usual;
  return {};
}

Result<RequesterConfig> Cli::config() const {
  RequesterConfig config;
  const fs::path file = config_file();
  if (!file.empty()) {
    TRY_LET(read, read_config<RequesterConfig>(file));
    config = read;
  }
  config.key = expand_home(config.key);
  config.folder = expand_home(config.folder);
  if (!node.empty()) config.node = node;
  return config;
}

}  // namespace cairn::agent
