#include "base/config.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <set>
#include <sstream>

#include "base/file.h"

namespace cairn {

const ConfigValue* ConfigValue::find(std::string_view key) const {
  for (const auto& entry : entries)
    if (entry.key.text == key) return &entry.value;
  return nullptr;
}

Error ConfigValue::error(std::string message, std::string next) const {
  return {Code::config,
          (file ? *file : std::string("?")) + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message,
          std::move(next)};
}

namespace {

using Kind = ConfigValue::Kind;

// Whether there is anything in a document, and where that or the document begins.
class Beginning final : public YAML::EventHandler {
 public:
  YAML::Mark mark;
  bool any = false;

  void OnDocumentStart(const YAML::Mark& at) override { mark = at; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& at, YAML::anchor_t) override { note(at); }
  void OnScalar(const YAML::Mark& at, const std::string&, YAML::anchor_t, const std::string&) override { note(at); }
  void OnSequenceStart(const YAML::Mark& at, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override { note(at); }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& at, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override { note(at); }
  void OnMapEnd() override {}

 private:
  void note(const YAML::Mark& at) {
    if (!any) mark = at;
    any = true;
  }
};

struct Parser {
  std::shared_ptr<const std::string> file;
  size_t nodes_left = 100'000;  // an alias repeats what it names: a small file could be a huge tree

  ConfigValue at(const YAML::Mark& mark) const {
    ConfigValue value;
    value.file = file;
    value.line = mark.line + 1;
    value.column = mark.column + 1;
    return value;
  }

  Result<ConfigValue> convert(const YAML::Node& node, int depth) {
    ConfigValue value = at(node.Mark());
    if (nodes_left-- == 0) return value.error("the file is too large with its aliases written out", "write less");
    if (depth > 16) return value.error("values are nested deeper than 16", "flatten them");
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: return value;
      case YAML::NodeType::Scalar:
        value.kind = Kind::scalar;
        value.text = node.Scalar();
        return value;
      case YAML::NodeType::Sequence:
        value.kind = Kind::list;
        for (const auto& item : node) {
          TRY_LET(converted, convert(item, depth + 1));
          value.items.push_back(std::move(converted));
        }
        return value;
      case YAML::NodeType::Map: {
        value.kind = Kind::map;
        std::set<std::string> seen;
        for (const auto& pair : node) {
          TRY_LET(key, convert(pair.first, depth + 1));
          if (key.kind != Kind::scalar) return key.error("a key is no plain word", "write `name: value`");
          if (!seen.insert(key.text).second) return key.error("`" + key.text + "` stands here twice", "remove one");
          TRY_LET(converted, convert(pair.second, depth + 1));
          value.entries.push_back({std::move(key), std::move(converted)});
        }
        return value;
      }
    }
    return value;
  }
};

std::string kind_of(const ConfigValue& value) {
  switch (value.kind) {
    case Kind::null: return "nothing";
    case Kind::scalar: return "`" + value.text + "`";
    case Kind::list: return "a list";
    case Kind::map: return "a map";
  }
  return "?";
}

Error expected(const ConfigValue& value, const std::string& what) {
  return value.error("expected " + what + ", found " + kind_of(value), "write " + what);
}

}  // namespace

Result<ConfigValue> parse_config(std::string_view text, std::string_view file) {
  Parser parser{std::make_shared<const std::string>(file)};
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser documents(stream);  // one after the other, since YAML::LoadAll goes on for ever where one begins amiss
    Beginning first, second, third;  // an empty second one is no document
    if (documents.HandleNextDocument(first) && documents.HandleNextDocument(second) && (second.any || documents.HandleNextDocument(third)))
      return parser.at(second.mark).error("a second document begins here", "keep one document a file");
    return parser.convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& error) {
    return parser.at(error.mark).error(error.msg, "mend the YAML there");
  }
}

Result<std::string> read_config_file(const std::filesystem::path& path) { return read_text(path, 1 << 20); }

namespace config_detail {

Result<> read(const ConfigValue& from, bool& to) {
  if (from.kind != Kind::scalar || (from.text != "true" && from.text != "false")) return expected(from, "true or false");
  to = from.text == "true";
  return {};
}

Result<> read(const ConfigValue& from, std::string& to) {
  if (from.kind != Kind::scalar) return expected(from, "a text");
  to = from.text;
  return {};
}

Result<> read(const ConfigValue& from, std::filesystem::path& to) {
  if (from.kind != Kind::scalar) return expected(from, "a path");
  if (from.text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (!home) return from.error("`~` stands for HOME, which is not set", "write the whole path");
    to = std::filesystem::path(home) / from.text.substr(2);
  } else {
    to = from.text;
  }
  return {};
}

Result<> read(const ConfigValue& from, Amount& to) {
  const auto amount = from.kind == Kind::scalar ? parse_amount(from.text) : std::nullopt;
  if (!amount) return expected(from, "an amount such as \"0.5 CRN\" or \"7 pebbles\"");
  to = *amount;
  return {};
}

Result<> read(const ConfigValue& from, double& to) {
  const char* end = from.text.data() + from.text.size();
  const auto [stop, fault] = std::from_chars(from.text.data(), end, to);
  if (from.kind != Kind::scalar || fault != std::errc{} || stop != end) return expected(from, "a number");
  return {};
}

Result<> read_integer(const ConfigValue& from, int64_t low, uint64_t high, uint64_t& bits) {
  std::string digits;
  for (const char c : from.text)
    if (c != '_' && c != '\'') digits += c;
  const char* end = digits.data() + digits.size();
  const auto out_of_range = [&] {
    return from.error(from.text + " is not between " + std::to_string(low) + " and " + std::to_string(high),
                      "write a value of that range");
  };
  if (from.kind != Kind::scalar || digits.empty()) return expected(from, "a whole number");
  if (digits[0] == '-') {
    int64_t value = 0;
    const auto [stop, fault] = std::from_chars(digits.data(), end, value);
    if (stop != end || fault == std::errc::invalid_argument) return expected(from, "a whole number");
    if (fault != std::errc{} || value < low) return out_of_range();
    bits = static_cast<uint64_t>(value);
    return {};
  }
  const auto [stop, fault] = std::from_chars(digits.data(), end, bits);
  if (stop != end || fault == std::errc::invalid_argument) return expected(from, "a whole number");
  if (fault != std::errc{} || bits > high || (low > 0 && bits < static_cast<uint64_t>(low))) return out_of_range();
  return {};
}

Result<> unknown_key(const ConfigValue& key, const std::vector<std::string_view>& known) {
  std::string all;
  for (const auto word : known) all += (all.empty() ? "" : ", ") + std::string(word);
  return key.error("`" + key.text + "` is no setting here", "settings here: " + all);
}

Result<> not_a_map(const ConfigValue& value) { return expected(value, "settings, one `name: value` a line"); }
Result<> not_a_list(const ConfigValue& value) { return expected(value, "a list"); }
Result<> no_such_name(const ConfigValue& value, const std::string& known) { return expected(value, "one of " + known); }

}  // namespace config_detail
}  // namespace cairn
