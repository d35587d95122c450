// What the verbs of `cairn` share: settings, wallet, and how they speak.
//
// One grammar, `cairn <noun> <verb>`. With --json the last line of standard output is one object, also for an error:
// {"error":{"code","text","next"}}. Progress and remarks go to standard error. The exit status follows base/codes.def.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agent/node_client.h"
#include "agent/settings.h"

namespace CLI {
class App;
}

namespace cairn::agent {

class Output {
 public:
  explicit Output(bool json = false);
  bool json() const { return json_; }
  void set_json(bool json) { json_ = json; }

  void line(const std::string& text) const;    // the answer, for people; silent with --json
  void remark(const std::string& text) const;  // on standard error
  void object(const std::string& json_object) const;  // the answer, for programs; silent without --json
  void error(const Error& error) const;
  // A bar that the next line replaces; nothing where standard error is no terminal.
  void bar(const std::string& label, double share, const std::string& text) const;

 private:
  void clear() const;
  bool json_;
  bool terminal_;
  mutable bool bar_shown_ = false;
};

struct Cli {
  Output out;
  std::filesystem::path config_path;  // --config
  std::string node;                   // --node: instead of the file's
  std::function<Result<>()> chosen;   // the verb of this command line

  // Errors: config, not_found when --config or CAIRN_CONFIG names no file.
  Result<RequesterConfig> config() const;
  // The file in force: --config, CAIRN_CONFIG, ~/.config/cairn/requester.yaml, the devnet's; empty when there is none.
  std::filesystem::path config_file() const;
};

// Where `cairn net up` puts a devnet unless told otherwise.
std::filesystem::path default_devnet();

void add_net_verbs(CLI::App& app, Cli& cli);
void add_wallet_verbs(CLI::App& app, Cli& cli);
void add_node_verbs(CLI::App& app, Cli& cli);  // node, offer, verifier
void add_job_verbs(CLI::App& app, Cli& cli);
void add_asset_verbs(CLI::App& app, Cli& cli);

}  // namespace cairn::agent
