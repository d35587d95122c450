// How the programs for people speak. With --json the last line of standard output is one object, also for an error:
// {"error":{"code","text","next"}}. Remarks and progress go to standard error, bars only where that is a terminal.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace cairn::agent {

// One JSON object, member by member.
class JsonObject {
 public:
  JsonObject& raw(std::string_view key, const std::string& json) {
    text_ += (text_.empty() ? "" : ",") + json_quote(key) + ":" + json;
    return *this;
  }
  JsonObject& add(std::string_view key, std::string_view text) { return raw(key, json_quote(text)); }
  JsonObject& add(std::string_view key, const char* text) { return raw(key, json_quote(text)); }
  JsonObject& add(std::string_view key, const std::string& text) { return raw(key, json_quote(text)); }
  JsonObject& add(std::string_view key, const JsonObject& object) { return raw(key, object.str()); }
  JsonObject& add(std::string_view key, const std::vector<JsonObject>& objects) {
    std::string list;
    for (const auto& object : objects) list += (list.empty() ? "" : ",") + object.str();
    return raw(key, "[" + list + "]");
  }
  JsonObject& add(std::string_view key, double number);  // enough digits to give a float back; null unless finite
  JsonObject& add(std::string_view key, const std::vector<float>& numbers);
  // {"pebbles":"12500000","text":"12.5 CRN"}
  JsonObject& add(std::string_view key, Amount amount) {
    return add(key, JsonObject().raw("pebbles", to_json(amount)).add("text", pretty(amount)));
  }
  template <class T>
  JsonObject& add(std::string_view key, const T& value) {
    return raw(key, to_json(value));
  }
  std::string str() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

class Output {
 public:
  explicit Output(bool json = false);
  bool json() const { return json_; }
  void set_json(bool json) { json_ = json; }

  void line(const std::string& text) const;    // the answer, for people; silent with --json
  void remark(const std::string& text) const;  // on standard error
  void object(const std::string& json_object) const;  // the answer, for programs; silent without --json
  void object(const JsonObject& answer) const { object(answer.str()); }
  void error(const Error& error) const;        // as an object too, unless one was printed that says more
  // A bar that the next line replaces; nothing where standard error is no terminal.
  void bar(const std::string& label, double share, const std::string& text) const;

 private:
  void clear() const;
  bool json_;
  bool terminal_;
  bool colour_;  // a terminal, and NO_COLOR is not set
  mutable bool bar_shown_ = false;
  mutable bool answered_ = false;
};

}  // namespace cairn::agent
