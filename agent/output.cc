#include "agent/output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace cairn::agent {

namespace {
std::string number_text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", number);
  return std::isfinite(number) ? text.data() : "null";
}
}  // namespace

JsonObject& JsonObject::add(std::string_view key, double number) { return raw(key, number_text(number)); }

JsonObject& JsonObject::add(std::string_view key, const std::vector<float>& numbers) {
  std::string list;
  for (const float number : numbers) list += (list.empty() ? "" : ",") + number_text(static_cast<double>(number));
  return raw(key, "[" + list + "]");
}

Output::Output(bool json)
    : json_(json), terminal_(::isatty(STDERR_FILENO) == 1), colour_(terminal_ && std::getenv("NO_COLOR") == nullptr) {}

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
  answered_ = true;
  std::fprintf(stdout, "%s\n", json_object.c_str());
  std::fflush(stdout);
}

void Output::error(const Error& error) const {
  clear();
  std::fprintf(stderr, colour_ ? "\x1b[31m%s\x1b[0m\n" : "%s\n", error.message().c_str());
  if (answered_) return;
  const JsonObject what = JsonObject().add("code", name(error.code)).add("text", error.text).add("next", error.next);
  object(JsonObject().add("error", what));
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

}  // namespace cairn::agent
