// The command line as people and scripts meet it: exit statuses, the one JSON object, and words that say what to do next.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "agent/cli/job_file.h"
#include "agent/cli/report.h"
#include "agent/devnet.h"
#include "base/file.h"
#include "base/scratch.h"
#include "ledger/genesis_file.h"
#include "ledger/state.h"
#include "tests/agent/played_node.h"

namespace cairn::agent {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
const fs::path kBin = fs::weakly_canonical(fs::read_symlink("/proc/self/exe").parent_path() / "../bin");
const std::string kId(64, 'a');

struct Said {
  int status = -1;
  std::string out, err;
  Json json;  // the last line of standard output
};

// `cairn WORDS --json` in a home of its own.
struct Terminal {
  Scratch scratch;
  std::string environment;

  explicit Terminal(const std::string& more = "") { environment = "HOME=" + scratch.path.string() + " CAIRN_NET=" + (scratch.path / "net").string() + " " + more; }
  ~Terminal() {
    if (fs::exists(scratch.path / "net")) static_cast<void>(Devnet(scratch.path / "net").stop());
  }
  fs::path path(const std::string& leaf) const { return scratch.path / leaf; }

  Said run(const std::string& words, bool json = true) const {
    Said said;
    const std::string err = path("err").string();
    FILE* pipe = ::popen(("env -u CAIRN_NODE -u CAIRN_KEY -u CAIRN_CONFIG " + environment + " timeout 90 " + (kBin / "cairn").string() + " " + words +
                          (json ? " --json" : "") + " 2>" + err).c_str(), "r");
    std::array<char, 4096> piece;
    while (const size_t n = std::fread(piece.data(), 1, piece.size(), pipe)) said.out.append(piece.data(), n);
    const int status = ::pclose(pipe);
    if (WIFEXITED(status)) said.status = WEXITSTATUS(status);
    said.err = must(read_text(err, 1 << 20));
    if (json) {
      EXPECT_FALSE(said.out.empty()) << words << "\n" << said.err;
      EXPECT_EQ(said.out.find('\n'), said.out.size() - 1) << "one line: " << said.out;
      said.json = Json::parse(said.out, nullptr, false);
      EXPECT_TRUE(said.json.is_object()) << said.out;
    }
    return said;
  }
  void write(const std::string& leaf, const std::string& text) const { ASSERT_TRUE(write_file(path(leaf), as_bytes(text))); }
};

void expect_error(const Said& said, int status, const std::string& code) {
  EXPECT_EQ(said.status, status) << said.out << said.err;
  EXPECT_EQ(said.json["error"]["code"], code) << said.out;
  EXPECT_TRUE(said.err.starts_with(code + ": ")) << said.err;
  EXPECT_NE(said.err.find("\n  next: "), std::string::npos) << said.err;
}

TEST(Cli, EveryVerbSaysThatTheNodeIsAway) {
  Terminal terminal("CAIRN_NODE=127.0.0.1:1");
  const std::string key = terminal.path("k").string();
  ASSERT_EQ(terminal.run("wallet new --key " + key).status, 0);
  for (const std::string words :
       {"node status", "node supply", "offer list", "verifier list", "stake withdraw --amount \"1 CRN\"", "validator resign",
        "asset list", "asset show ID", "wallet show ID", "wallet show",
        "wallet send --to ID --amount \"1 CRN\"", "asset publish --id ID --kind model --title t", "job show ID", "job list", "job list --all",
        "job watch ID", "job fetch ID", "job cancel ID", "job quote examples/digits/job.yaml", "job run examples/digits/job.yaml",
        "job submit examples/digits/job.yaml"}) {
    std::string line = words;
    for (size_t at = line.find("ID"); at != std::string::npos; at = line.find("ID")) line.replace(at, 2, kId);
    SCOPED_TRACE(line);
    expect_error(terminal.run(line + " --key " + key), 7, "unreachable");
  }
}

TEST(Cli, WordsThatAreNotUnderstoodAreUsage) {
  Terminal terminal;
  for (const char* words : {"", "frobnicate", "job", "job run", "wallet send --to me", "job show ID --frobnicate"})
    EXPECT_EQ(terminal.run(words).status, 2) << words;
  for (const char* words : {"job show 12", "asset show 12", "wallet show nobody", "net up --price cheap", "net up --provider-worker 3=/bin/true"})
    expect_error(terminal.run(words), 2, "usage");
  EXPECT_EQ(terminal.run("--help", false).status, 0);
  EXPECT_EQ(terminal.run("job run --help", false).status, 0);
}

TEST(Cli, KeysAreMadeOnceAndNeverShared) {
  Terminal terminal;
  const std::string key = terminal.path("deep/k").string();
  const Said made = terminal.run("wallet new --key " + key);
  EXPECT_EQ(made.status, 0);
  EXPECT_EQ(made.json["account"].get<std::string>().size(), 64u);
  EXPECT_EQ(made.json["key"], key);
  struct stat status {};
  ASSERT_EQ(::stat(key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  expect_error(terminal.run("wallet new --key " + key), 1, "exists");

  ::chmod(key.c_str(), 0644);
  expect_error(terminal.run("wallet show --key " + key), 4, "key_file");
  expect_error(terminal.run("wallet show --key " + terminal.path("absent").string()), 4, "key_file");
  terminal.write("broken", "cairn-key-1 0000");
  ::chmod(terminal.path("broken").c_str(), 0600);
  expect_error(terminal.run("job run examples/digits/job.yaml --key " + terminal.path("broken").string()), 4, "key_file");
  ::chmod(key.c_str(), 0600);
  expect_error(terminal.run("wallet faucet --key " + key), 6, "not_found");  // there is no devnet
}

TEST(Cli, KeysAreSealedByAPassphraseFile) {
  Terminal plain, sealed("CAIRN_PASSPHRASE_FILE=/tmp/cairn-no-such-file");
  const std::string key = plain.path("k").string();
  expect_error(sealed.run("wallet new --passphrase --key " + key), 4, "key_file");
  const auto passphrase = [&](const std::string& text) {
    plain.write("secret", text + "\n");
    ::chmod(plain.path("secret").c_str(), 0600);
  };
  passphrase("correct horse");
  Terminal knows("CAIRN_PASSPHRASE_FILE=" + plain.path("secret").string());
  const Said made = knows.run("wallet new --passphrase --key " + key);
  EXPECT_EQ(made.status, 0);
  EXPECT_EQ(made.json["sealed"], true);
  expect_error(knows.run("wallet send --to " + kId + " --amount \"1 CRN\" --node 127.0.0.1:1 --key " + key), 7, "unreachable");  // it was opened
  passphrase("wrong horse");
  expect_error(knows.run("wallet send --to " + kId + " --amount \"1 CRN\" --node 127.0.0.1:1 --key " + key), 4, "unauthorised");
  passphrase("correct horse");
  EXPECT_EQ(knows.run("wallet passphrase --remove --key " + key).status, 0);
  expect_error(plain.run("wallet send --to " + kId + " --amount \"1 CRN\" --node 127.0.0.1:1 --key " + key), 7, "unreachable");
}

// Several keys, hot keys and rotation from the command line, on a chain of its own; drafts are signed without a network.
TEST(Cli, KeysOfAnAccount) {
  Terminal terminal;
  const auto at = [&](const std::string& leaf) { return terminal.path(leaf).string(); };
  const auto ok = [&](const std::string& words) {
    const Said said = terminal.run(words);
    EXPECT_EQ(said.status, 0) << words << "\n" << said.err;
    return said.json;
  };
  const std::string away = " --node 127.0.0.1:1";
  ok("net up --providers 0 --verifiers 0");
  const std::string config = " --config " + at("net/requester.yaml");
  for (const char* name : {"x", "y", "z"}) ok("wallet new --key " + at(name));
  const std::string set = at("us.keys");
  const std::string us = ok("wallet multisig create --threshold 2 --keys " + at("x") + " " + at("y") + " " + at("z") + " --out " + set + away)["account"];
  expect_error(terminal.run("wallet multisig create --threshold 4 --keys " + at("x") + " " + at("y") + " --out " + at("w")), 2, "invalid");
  ok("wallet faucet --to " + us + " --amount \"10 CRN\"" + config);
  const std::string draft = at("draft");
  ok("wallet send --to requester --amount \"1 CRN\" --draft " + draft + " --keys " + set + config);
  expect_error(terminal.run("wallet multisig submit " + draft + config), 4, "bad_signature");
  ok("wallet multisig sign " + draft + " --key " + at("x") + " --out " + at("by-x") + away);
  expect_error(terminal.run("wallet multisig submit " + at("by-x") + config), 4, "bad_signature");
  ok("wallet multisig sign " + draft + " --key " + at("z") + " --out " + at("by-z") + away);
  EXPECT_EQ(ok("wallet multisig combine " + at("by-x") + " " + at("by-z") + " --out " + at("both") + away)["signers"].size(), 2u);
  ok("wallet multisig submit " + at("both") + config);
  expect_error(terminal.run("wallet multisig submit " + set + config), 1, "malformed");
  ok("wallet send --to requester --amount \"2 CRN\" --draft " + draft + " --account " + us + config);
  expect_error(terminal.run("wallet multisig combine " + draft + " " + at("by-x") + " --out " + at("none")), 2, "invalid");  // of another draft

  ok("wallet new --key " + at("own"));
  const std::string own = ok("wallet faucet --amount \"10 CRN\" --key " + at("own") + config)["to"];
  ok("wallet hot new --hot " + at("hot") + " --account " + own + away);
  const std::string pay = "wallet send --to requester --amount \"1 CRN\"" + config + " --key ";
  expect_error(terminal.run(pay + at("hot")), 4, "bad_signature");  // nothing is granted
  const Json granted = ok("wallet hot grant --hot " + at("hot") + " --for provide --for pay --limit \"1.5 CRN\" --key " + at("own") + config);
  EXPECT_GT(granted["expiry"], 365 * 24 * 3'600'000ull);
  ok(pay + at("hot"));
  expect_error(terminal.run(pay + at("hot")), 1, "limit");
  expect_error(terminal.run("wallet rotate --new-key " + at("thief") + " --key " + at("hot") + config), 4, "unauthorised");
  EXPECT_EQ(ok("wallet show --key " + at("own") + config)["hot_keys"].size(), 1u);
  ok("wallet rotate --new-key " + at("new") + " --key " + at("own") + config);
  expect_error(terminal.run(pay + at("own")), 4, "unauthorised");
  ok(pay + at("new"));
  ok("wallet hot revoke --hot " + at("hot") + " --key " + at("new") + config);
  expect_error(terminal.run(pay + at("hot")), 4, "unauthorised");
}

// What is put at risk comes back by the same program. On a chain of its own.
TEST(Cli, StakeAndBondComeBack) {
  Terminal terminal;
  ASSERT_EQ(terminal.run("net up --providers 0 --verifiers 0").status, 0);
  const std::string key = " --key " + terminal.path("own").string(), config = " --config " + terminal.path("net/requester.yaml").string();
  EXPECT_EQ(terminal.run("wallet new" + key).status, 0);
  EXPECT_EQ(terminal.run("wallet faucet --amount \"10 CRN\"" + key + config).status, 0);
  EXPECT_EQ(terminal.run("stake add --amount \"5 CRN\"" + key + config).status, 0);
  const Said said = terminal.run("stake withdraw --amount \"2 CRN\"" + key + config);
  EXPECT_EQ(said.status, 0) << said.err;
  EXPECT_EQ(said.json["unbonding_ms"], 600'000);  // a devnet's
  const auto holds = terminal.run("wallet show" + key + config).json;
  EXPECT_EQ(holds["stake"]["pebbles"], "3000000");
  EXPECT_EQ(holds["unbonding"]["pebbles"], "2000000");
  expect_error(terminal.run("stake withdraw --amount \"4 CRN\"" + key + config), 5, "insufficient");
  expect_error(terminal.run("verifier unbond --amount \"1 CRN\"" + key + config), 5, "insufficient");
  EXPECT_EQ(terminal.run("wallet new --key " + terminal.path("vrf").string()).status, 0);
  const std::string keys = " --producer-key " + terminal.path("own").string() + " --vrf-key " + terminal.path("vrf").string();
  expect_error(terminal.run("validator join --amount \"1 CRN\"" + keys + key + config), 2, "invalid");  // the chain has one producer
  expect_error(terminal.run("validator resign" + key + config), 6, "not_found");
  expect_error(terminal.run("validator leave-jail" + key + config), 6, "not_found");
}

// Who may announce other rules, when, and which; then they hold from their block on. On a chain of its own.
TEST(Cli, RulesOfTheChain) {
  Terminal terminal;
  const Said up = terminal.run("net up --providers 0 --verifiers 0");
  ASSERT_EQ(up.status, 0) << up.err;
  std::map<std::string, std::string> by;  // options that sign as somebody
  for (const auto& account : up.json["accounts"]) by[account["name"]] = " --key " + account["key"].get<std::string>();
  const auto rules = [&] { return terminal.run("chain rules").json; };
  const auto in = [&](uint64_t blocks) { return " --at " + std::to_string(rules()["height"].get<uint64_t>() + blocks); };
  const std::string soon = in(3), later = in(100);
  struct Row {
    const char* who;
    std::string words;
    int status;
    const char* code;
  };
  for (const auto& [who, words, status, code] : {
           Row{"faucet", " --set fee_per_byte=2", 2, "usage"},  // no block is named
           {"faucet", later + " --withdraw", 2, "usage"},
           {"faucet", later + " --set fees=2", 2, "usage"},
           {"faucet", later + " --set fee_per_byte=two", 2, "usage"},
           {"faucet", later + " --set standard=2", 2, "usage"},
           {"faucet", later + " --set late_permille=4294967296", 2, "usage"},  // more than it can hold
           {"faucet", later + " --set late_permille=1001", 2, "invalid"},
           {"faucet", later + " --set work.fixed_ns=1", 2, "invalid"},
           {"faucet", later + " --protocol 1", 2, "invalid"},
           {"faucet", soon + " --set fee_per_byte=2", 3, "too_late"},
           {"requester", later + " --set fee_per_byte=2", 4, "not_party"},
           {"faucet", " --withdraw", 1, "wrong_state"},  // nothing is announced
           {"faucet", later + " --set fee_per_byte=2", 0, ""},
           {"faucet", later + " --set fee_per_byte=3", 1, "wrong_state"},
           {"requester", " --withdraw", 4, "not_party"},
           {"faucet", " --withdraw", 0, ""},
       }) {
    SCOPED_TRACE(who + words);
    const Said said = terminal.run("chain upgrade" + words + by[who]);
    if (status == 0) EXPECT_EQ(said.status, 0) << said.err;
    else expect_error(said, status, code);
  }

  const Json before = rules();
  ASSERT_EQ(before["rules"].size(), 1u);
  EXPECT_EQ(before["governor"], up.json["accounts"][1]["account"]);
  const auto send = [&] { EXPECT_EQ(terminal.run("wallet send --to faucet --amount \"1 pebbles\"").status, 0); };
  const auto balance = [&] { return std::stoll(terminal.run("wallet show requester").json["balance"]["pebbles"].get<std::string>()); };
  const auto fee = [&] {
    const int64_t had = balance();
    send();
    return had - balance() - 1;
  };
  const int64_t old_fee = fee();
  const uint64_t from = rules()["height"].get<uint64_t>() + 14;
  const Said announced = terminal.run("chain upgrade --at " + std::to_string(from) + " --set fee_per_byte=2 --set standard.segments=3" + by["faucet"]);
  EXPECT_EQ(announced.json["from"], from) << announced.err;
  EXPECT_NE(terminal.run("chain rules", false).out.find("from block " + std::to_string(from) + ", announced"), std::string::npos);
  EXPECT_EQ(fee(), old_fee);
  while (rules()["height"] < from) send();
  EXPECT_EQ(fee(), 2 * old_fee);
  const Json after = rules();
  ASSERT_EQ(after["rules"].size(), 2u);
  EXPECT_EQ(after["rules"][0], before["rules"][0]);
  Json expected = before["rules"][0]["params"];
  expected["fee_per_byte"] = 2;
  expected["standard"]["segments"] = 3;
  EXPECT_EQ(after["rules"][1]["params"], expected);
  EXPECT_EQ(terminal.run("chain rules", false).out.find("announced"), std::string::npos);
}

// Somebody names a header, and what was seen before is forgotten for it; of another header nothing is.
TEST(Cli, ATrustedHeaderBeginsAnew) {
  Terminal terminal;
  const Said up = terminal.run("net up --providers 0 --verifiers 0");
  ASSERT_EQ(up.status, 0) << up.err;
  for (int i = 0; i < 2; i++) ASSERT_EQ(terminal.run("wallet send --to faucet --amount \"1 pebbles\"").status, 0);
  const auto trust = [&](const Json& block, const std::string& header) {
    return terminal.run("chain trust --block " + block.dump() + (header.empty() ? "" : " --header " + header));
  };
  const auto remembered = [&] {
    for (const auto& entry : fs::recursive_directory_iterator(terminal.scratch.path))
      if (entry.path().filename() == "chain.seen") return must(read_text(entry.path(), 1 << 20));
    return std::string();
  };
  ASSERT_EQ(terminal.run("chain rules").status, 0);
  const Said last = terminal.run("chain trust");
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(last.json["trusted"], false);
  const Said first = trust(1, "");
  ASSERT_EQ(first.status, 0) << first.err;
  const std::string name = first.json["header"], seen = remembered();
  ASSERT_FALSE(seen.empty());
  EXPECT_NE(name, last.json["header"]);
  expect_error(trust(1, "x"), 2, "usage");
  expect_error(trust(1, last.json["header"]), 9, "proof");
  expect_error(trust(1'000'000, name), 6, "not_found");
  EXPECT_EQ(remembered(), seen);
  const Said trusted = trust(1, name);
  ASSERT_EQ(trusted.status, 0) << trusted.err;
  EXPECT_EQ(trusted.json["trusted"], true);
  EXPECT_NE(remembered(), seen);  // block 1, from which later ones follow
  EXPECT_EQ(terminal.run("chain trust --block 1 --header " + name + " --folder " + terminal.path("daemon").string()).status, 0);
  EXPECT_EQ(must(read_text(terminal.path("daemon/chain.seen"), 1 << 20)), remembered());
  EXPECT_EQ(terminal.run("chain rules").status, 0);
}

TEST(Cli, AWrongFileNamesItsLineAndColumn) {
  Terminal terminal;
  const std::string file = terminal.path("job.yaml").string();
  const auto told = [&](const std::string& text) {
    terminal.write("job.yaml", text);
    const Said said = terminal.run("job quote " + file);
    expect_error(said, 2, "config");
    return said.json["error"]["text"].get<std::string>();
  };
  EXPECT_NE(told("program: a.pt2\nstepps: 3\n").find("job.yaml:2:1"), std::string::npos);
  EXPECT_NE(told("program: a.pt2\nsteps: many\n").find("job.yaml:2:8"), std::string::npos);
  EXPECT_NE(told("optimizer:\n  name: lion\n").find("job.yaml:2:9"), std::string::npos);
  EXPECT_NE(told("program: a.pt2\ndata: b.safetensors\n").find("job.yaml:1:1"), std::string::npos);  // train, without steps
  EXPECT_NE(told("program: a.pt2\ndata: b\ngraph: predict\n").find("weights"), std::string::npos);
  expect_error(terminal.run("job quote " + terminal.path("absent.yaml").string()), 6, "not_found");
  terminal.write("settings.yaml", "nodes: x\n");
  expect_error(terminal.run("node status --config " + terminal.path("settings.yaml").string()), 2, "config");
}

// Every key of a job file is explained in the sample, and the sample says nothing else.
TEST(JobFile, TheSampleIsTheManual) {
  const std::string text = must(read_text("examples/digits/job.yaml", 1 << 20));
  const auto tree = parse_config(text, "job.yaml");
  ASSERT_TRUE(tree) << tree.error().message();
  const auto explains = [&](const ConfigValue& map, const auto& settings) {
    for_each_field(settings, [&](const char* key, const auto&) { EXPECT_NE(map.find(key), nullptr) << key << " is not in the sample"; });
  };
  explains(*tree, JobFile{});
  ASSERT_NE(tree->find("optimizer"), nullptr);
  explains(*tree->find("optimizer"), OptimizerSettings{});
  for (const char* sample : {"examples/digits/job.yaml", "examples/digits/predict.yaml"}) {
    const auto job = read_job_file(sample);
    ASSERT_TRUE(job) << job.error().message();
    EXPECT_TRUE(fs::exists(job->program)) << job->program;
    EXPECT_TRUE(fs::exists(job->data)) << job->data;
  }
  const auto job = must(read_job_file("examples/digits/job.yaml"));
  EXPECT_GE(job.steps, 500u);
  EXPECT_GE(job.steps / job.interval, 20u);
}

// What pays or signs goes to the chain that was met first, whatever the node answers.
TEST(Cli, NothingIsSignedForAnotherChain) {
  Terminal terminal;
  PlayedNode ours, theirs;
  theirs.genesis.name = "theirs";
  const std::string key = terminal.path("k").string(), by = " --key " + key + theirs.option();
  ASSERT_EQ(terminal.run("wallet new --key " + key).status, 0);
  ASSERT_EQ(terminal.run("wallet show --key " + key + ours.option()).status, 0);
  for (const auto& words : std::vector<std::string>{"wallet show", "wallet send --to " + kId + " --amount \"1 CRN\"", "wallet hot grant --hot " + kId + " --for pay",
                                  "wallet hot revoke --hot " + kId, "wallet rotate --new-key " + terminal.path("new").string(), "job cancel " + kId}) {
    SCOPED_TRACE(words);
    expect_error(terminal.run(words + by), 1, "wrong_chain");
  }
}

// What the node says that the time is counts for nothing.
TEST(Cli, DraftsAndHotKeysExpireByTheProvenTime) {
  Terminal terminal;
  PlayedNode node;
  ledger::Status status;
  status.time = ChainTime{1'000'000'000'000'000};
  node.records["/v1/status"] = encode(status);
  const std::string draft = " --account " + kId + " --draft " + terminal.path("draft").string() + node.option();
  const Said sent = terminal.run("wallet send --to " + kId + " --amount \"1 CRN\"" + draft);
  ASSERT_EQ(sent.status, 0) << sent.err;
  EXPECT_EQ(sent.json["expiry"], 7 * 24 * 3'600'000) << sent.out;
  const Said granted = terminal.run("wallet hot grant --hot " + kId + " --for pay --hours 5" + draft);
  ASSERT_EQ(granted.status, 0) << granted.err;
  EXPECT_NE(granted.json["body"].dump().find("\"expiry\":18000000"), std::string::npos) << granted.out;
}

// A true receipt of another job, or of another attempt, is a lie; and who gives a false one is asked for no more.
TEST(Cli, AReceiptIsOfTheJobAndTheAttemptThatWereAsked) {
  PlayedNode node;
  node.genesis = must(ledger::load_genesis("examples/genesis.json"));
  const Bytes truth = must(read_file("examples/receipt.cairn", 1 << 26));
  auto receipt = must(decode<attest::Receipt>(truth));
  NodeClient client(node.address());
  const auto told = [&](const JobId& job, const Bytes& answer) {
    node.records["/v1/receipts/" + job.hex()] = answer;  // whichever attempt is asked
    return attempts_of(client, job, {}, "");
  };
  const JobId job = receipt.body.job, other = *JobId::from_hex(kId);
  for (const JobId& asked : {job, other}) {
    const auto refused = told(asked, truth);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::proof);
    EXPECT_NE(refused.error().text.find(asked == job ? "attempt 1 " : "attempt 0 "), std::string::npos) << refused.error().text;
  }
  receipt.body.sentence += "!";
  const auto forged = told(job, encode(receipt));
  ASSERT_TRUE(forged) << forged.error().message();
  ASSERT_EQ(forged->size(), 1u);
  EXPECT_TRUE(forged->front().refused);
}

TEST(Cli, AmountsAndPricesAreShownInBothForms) {
  Terminal terminal;
  PlayedNode node;
  const ledger::Holding holding{ledger::Holder::account(*AccountId::from_hex(kId)), {}, Amount::of_pebbles(12'500'000)};
  node.state[ledger::key_of(holding)] = encode(holding);
  ledger::Offer offer;
  offer.price = Amount::of_pebbles(1'000'000'000'000);  // 3.6 CRN an hour
  offer.policies = {attest::Policy::standard};
  node.records["/v1/offers"] = encode(ledger::Page<ledger::Offer>{{offer}, {}});
  node.state[ledger::key_of(offer)] = encode(offer);
  node.records["/v1/accounts/" + kId] = encode(ledger::AccountView{});  // which hot keys there are: none
  const Said shown = terminal.run("wallet show " + kId + node.option());
  EXPECT_EQ(shown.status, 0);
  EXPECT_EQ(shown.json["balance"], Json({{"pebbles", "12500000"}, {"text", "12.5 CRN"}}));
  const Said offers = terminal.run("offer list" + node.option());
  ASSERT_EQ(offers.json["offers"].size(), 1u);
  EXPECT_EQ(offers.json["offers"][0]["price"]["pebbles"], "1000000000000");
  EXPECT_EQ(offers.json["offers"][0]["price_per_hour"]["text"], "3.6 CRN");
  expect_error(terminal.run("verifier list" + node.option()), 6, "not_found");
  node.records["/v1/verifiers"] = {1, 2, 3};
  expect_error(terminal.run("verifier list" + node.option()), 1, "malformed");
}

TEST(Cli, AListIsReadToItsEnd) {
  Terminal terminal;
  PlayedNode node;
  ledger::Offer one, other;
  other.id = *OfferId::from_hex(kId);
  for (const auto& offer : {one, other}) node.state[ledger::key_of(offer)] = encode(offer);
  const std::string rest = "/v1/offers?after=" + Hash{}.hex();
  node.records["/v1/offers"] = encode(ledger::Page<ledger::Offer>{{one}, Hash{}});
  node.records[rest] = encode(ledger::Page<ledger::Offer>{{other}, {}});
  const Said both = terminal.run("offer list" + node.option());
  EXPECT_EQ(both.json["offers"].size(), 2u) << both.err;
  node.records[rest] = encode(ledger::Page<ledger::Offer>{{}, Hash{}});
  expect_error(terminal.run("offer list" + node.option()), 1, "limit");
}

TEST(Cli, ADevnetComesUpAndGoesDown) {
  Terminal terminal;
  expect_error(terminal.run("net status"), 6, "not_found");
  const Said up = terminal.run("net up --name village --providers 1 --verifiers 1 --price \"100 CRN\"");
  ASSERT_EQ(up.status, 0) << up.err;
  EXPECT_EQ(up.json["name"], "village");
  std::map<std::string, Json> accounts;
  for (const auto& account : up.json["accounts"]) {
    accounts[account["name"]] = account;
    EXPECT_EQ(account["account"].get<std::string>().size(), 64u);
    EXPECT_TRUE(fs::exists(account["key"].get<std::string>())) << account;
  }
  for (const char* name : {"node", "faucet", "requester", "provider-1", "verifier-1"}) EXPECT_TRUE(accounts.contains(name)) << name;
  EXPECT_TRUE(fs::exists(up.json["genesis"].get<std::string>()));
  expect_error(terminal.run("net up"), 1, "exists");

  // The requester pays with play money, by names.
  EXPECT_EQ(terminal.run("wallet faucet --amount \"5 CRN\"").json["balance"]["text"], "1005 CRN");
  const Said sent = terminal.run("wallet send --to provider-1 --amount \"7 pebbles\"");
  EXPECT_EQ(sent.json["amount"]["pebbles"], "7") << sent.err;
  expect_error(terminal.run("wallet send --to provider-1 --amount \"5000 CRN\""), 5, "insufficient");
  EXPECT_EQ(terminal.run("node supply").json["conserved"], true);

  const Said asset = terminal.run("asset publish examples/digits/train.safetensors --kind dataset --tensor x --title d --price \"0.1 CRN\" --holder requester=3 --holder faucet=1");
  ASSERT_EQ(asset.status, 0) << asset.err;
  EXPECT_EQ(asset.json["holders"].size(), 2u);
  EXPECT_EQ(terminal.run("asset show " + asset.json["asset"].get<std::string>()).json["price"]["text"], "0.1 CRN");
  expect_error(terminal.run("asset publish examples/digits/train.safetensors --kind dataset --tensor x --title d"), 1, "already");

  const std::string job = "job run examples/digits/job.yaml --steps 40 --interval 20 --out " + terminal.path("out").string();
  const Said quote = terminal.run("job quote examples/digits/job.yaml --asset data=" + asset.json["asset"].get<std::string>());
  ASSERT_EQ(quote.status, 0) << quote.err;
  EXPECT_EQ(quote.json["assets"]["text"], "0.1 CRN");
  EXPECT_EQ(quote.json["offers"].size(), 1u);
  expect_error(terminal.run(job + " --price-ceiling \"7 pebbles\""), 5, "price_ceiling");
  expect_error(terminal.run(job + " --policy starter"), 6, "no_offer");
  const std::string poor = terminal.path("poor").string();
  terminal.run("wallet new --key " + poor);
  terminal.run("wallet faucet --amount \"9 pebbles\" --key " + poor);
  expect_error(terminal.run(job + " --key " + poor), 5, "insufficient");

  const Said ran = terminal.run(job);
  ASSERT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(ran.json["state"], "settled");
  EXPECT_EQ(ran.json["losses"].size(), 40u);
  EXPECT_EQ(ran.json["attempts"].size(), 1u);
  EXPECT_EQ(ran.json["attempts"][0]["receipt_ok"], true);
  for (const char* file : {"model", "losses"}) EXPECT_TRUE(fs::exists(ran.json["files"][file].get<std::string>()));
  for (const auto& receipt : ran.json["files"]["receipts"]) EXPECT_TRUE(fs::exists(receipt.get<std::string>()));
  const std::string id = ran.json["job"];
  EXPECT_EQ(terminal.run("job list").json["jobs"].size(), 1u);
  EXPECT_EQ(terminal.run("job fetch " + id + " --out " + terminal.path("again").string()).json["losses"], ran.json["losses"]);
  expect_error(terminal.run("job cancel " + id), 1, "wrong_state");

  const int pid = accounts["provider-1"]["pid"];
  const Said down = terminal.run("net down");
  EXPECT_EQ(down.json["ended"].size(), 3u) << down.out;
  EXPECT_FALSE(fs::exists("/proc/" + std::to_string(pid) + "/exe"));
  EXPECT_EQ(terminal.run("net status").json["running"], false);
  EXPECT_EQ(terminal.run("net down").json["ended"].size(), 0u);
  EXPECT_EQ(terminal.run("net up").json["restarted"], true);
  EXPECT_EQ(terminal.run("wallet show provider-1").status, 0);
  EXPECT_EQ(terminal.run("net down").status, 0);
}

}  // namespace
}  // namespace cairn::agent
