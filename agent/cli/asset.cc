// cairn asset: programs, datasets and models that are paid for when a job uses them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "agent/artifacts.h"
#include "agent/cli/cli.h"
#include "base/file.h"
#include "runtime/program.h"
#include "runtime/safetensors.h"

namespace cairn::agent {

namespace {

constexpr size_t kFileMaxBytes = size_t{16} << 30;
constexpr uint32_t kWholeBasisPoints = 10'000;

struct Wish {
  std::string file;
  std::string id;
  std::string job;
  std::string tensor;
  std::string kind;
  std::string title;
  std::string price = "0 CRN";
  std::vector<std::string> holders;  // ACCOUNT=SHARES
  std::vector<std::string> parents;  // ASSET=BASIS POINTS
};

// What a file is known by on the chain: a program by its normalised form, data and models by the bytes of one tensor.
struct Content {
  Hash id;
  std::string tensor;
  std::vector<std::string> removed;
};

Result<Content> content_of(const Wish& wish, ledger::AssetKind kind) {
  if (!wish.id.empty()) {
    TRY_LET(id, hash_of_text(wish.id, "a content"));
    return Content{id, "", {}};
  }
  if (wish.file.empty())
    return Error{Code::usage, "nothing is named that could be published", "name a file, or --id, or --job"};
  TRY_LET(bytes, read_file(wish.file, kFileMaxBytes));
  if (kind == ledger::AssetKind::program) {
    TRY_LET(import, runtime::import_pt2(bytes));
    return Content{runtime::program_id(import.program), "", import.removed};
  }
  if (!wish.file.ends_with(".safetensors")) return Content{blake3(bytes), "", {}};
  TRY_LET(tensors, runtime::parse_tensors(bytes));
  if (tensors.tensors.empty()) return Error{Code::invalid, wish.file + " holds no tensors", "publish another file"};
  const auto* chosen = wish.tensor.empty() ? &tensors.tensors.front() : tensors.find(wish.tensor);
  if (!chosen)
    return Error{Code::usage, wish.file + " holds no tensor `" + wish.tensor + "`", "its first is `" + tensors.tensors.front().name + "`"};
  return Content{blake3(chosen->bytes), chosen->name, {}};
}

// "NAME=NUMBER"; the last `=` counts.
Result<std::pair<std::string, uint64_t>> pair_of(const std::string& text, const std::string& example) {
  const size_t equals = text.rfind('=');
  const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (number.empty() || number.size() > 18 || number.find_first_not_of("0123456789") != std::string::npos)
    return Error{Code::usage, "`" + text + "` is not understood", "write " + example};
  return std::pair(text.substr(0, equals), uint64_t{std::stoull(number)});
}

JsonObject asset_json(const ledger::Asset& asset) {
  JsonObject json;
  for_each_field(asset, [&](const char* key, const auto& value) {
    if (std::string_view(key) != "id") json.add(key, value);
  });
  return json.add("asset", asset.id).add("proven", !asset.origin.is_zero());
}

void asset_lines(const Output& out, const ledger::Asset& asset) {
  out.line(row("asset", asset.id.hex()));
  out.line(row("title", asset.title));
  out.line(row("kind", std::string(name(asset.kind)) + (asset.origin.is_zero() ? ", imported (unproven)" : ", from job " + asset.origin.hex())));
  out.line(row("content", asset.content.hex()));
  out.line(row("price", pretty(asset.price) + " a use; used " + std::to_string(asset.uses) + " times, earned " + pretty(asset.earned)));
  for (const auto& share : asset.split)
    out.line(row("  share", brief(share.account) + "  " + std::to_string(double(share.parts) / 1e7) + " %"));
  for (const auto& parent : asset.parents)
    out.line(row("  parent", brief(parent.asset) + "  " + std::to_string(parent.basis_points) + " of " + std::to_string(kWholeBasisPoints)));
}

Result<> publish(const Cli& cli, const Wish& wish) {
  ledger::Publish body;
  for (const auto kind : {ledger::AssetKind::program, ledger::AssetKind::dataset, ledger::AssetKind::model})
    if (name(kind) == wish.kind) body.kind = kind;
  body.title = wish.title;
  TRY_LET(price, amount_of(wish.price));
  body.price = price;
  for (const auto& text : wish.holders) {
    TRY_LET(share, pair_of(text, "ACCOUNT=SHARES: --holder 5e1f...=3"));
    TRY_LET(account, cli.account(share.first));
    body.holders.push_back({account, share.second});
  }
  for (const auto& text : wish.parents) {
    TRY_LET(share, pair_of(text, "ASSET=BASIS POINTS: --parent 9f2c...=1500"));
    TRY_LET(asset, id_of<AssetId>(share.first, "an asset"));
    body.parents.push_back({asset, static_cast<uint32_t>(std::min<uint64_t>(share.second, kWholeBasisPoints))});
  }
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  Content content;
  if (!wish.job.empty()) {
    TRY_LET(job_id, id_of<JobId>(wish.job, "a job"));
    TRY_LET(job, node.job(job_id));
    if (!job.commitment)
      return Error{Code::wrong_state, "job " + brief(job_id) + " has committed to nothing", "cairn job watch " + job_id.hex()};
    content.id = job.commitment->outputs_root;
    body.origin = job_id;
  } else {
    TRY_LET(found, content_of(wish, body.kind));
    content = found;
  }
  body.content = content.id;
  body.salt = random_hash();

  TRY_LET(wallet, cli.wallet());
  TRY_LET(sender, Sender::make(node, wallet));
  TRY_LET(reserved, sender.send(ledger::Reserve{ledger::reservation_hash(body.content, wallet.account, body.salt)}));
  TRY_LET(done, sender.send(body));
  const AssetId id = done.id.as<AssetIdTag>();
  TRY_LET(asset, node.asset(id));
  asset_lines(cli.out, asset);
  for (const auto& line : content.removed) cli.out.line(row("removed", line));
  cli.out.object(asset_json(asset).add("tensor", content.tensor).add("removed", content.removed).add("reserved_height", reserved.height)
                     .add("height", done.height));
  return {};
}

Result<> list(const Cli& cli) {
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(assets, node.assets());
  std::vector<JsonObject> all;
  for (const auto& asset : assets) {
    cli.out.line(padded(brief(asset.id), 18) + padded(std::string(name(asset.kind)), 9) + padded(pretty(asset.price), 14) +
                 padded(std::to_string(asset.uses) + " uses", 10) + asset.title);
    all.push_back(asset_json(asset));
  }
  if (assets.empty()) cli.out.line("no assets");
  cli.out.object(JsonObject().add("assets", all));
  return {};
}

Result<> show(const Cli& cli, const Wish& wish) {
  TRY_LET(id, id_of<AssetId>(wish.id, "an asset"));
  TRY_LET(config, cli.settings());
  NodeClient node(config.node, config.folder);
  TRY_LET(asset, node.asset(id));
  asset_lines(cli.out, asset);
  cli.out.object(asset_json(asset));
  return {};
}

}  // namespace

void add_asset_verbs(CLI::App& app, Cli& cli) {
  auto* asset = app.add_subcommand("asset", "Programs, datasets and models that earn when jobs use them")->require_subcommand(1);
  const auto wish = std::make_shared<Wish>();
  auto* made = asset->add_subcommand("publish", "Reserve a content, then name it as an asset");
  made->add_option("file", wish->file, "a program (.pt2), data or a model (.safetensors), or any file");
  made->add_option("--id", wish->id, "content id, instead of a file");
  made->add_option("--job", wish->job, "a settled job of yours: its output, with the job's assets as proven parents");
  made->add_option("--tensor", wish->tensor, "which tensor of a .safetensors is the asset; otherwise its first");
  made->add_option("--kind", wish->kind, "program, dataset or model")->required()->check(CLI::IsMember({"program", "dataset", "model"}));
  made->add_option("--title", wish->title, "for people")->required();
  made->add_option("--price", wish->price, "of one use in a job")->capture_default_str();
  made->add_option("--holder", wish->holders, "ACCOUNT=SHARES, one or more; otherwise the key's account alone");
  made->add_option("--parent", wish->parents, "ASSET=BASIS POINTS of every use that go to it");
  made->callback([&cli, wish] { cli.chosen = [&cli, wish] { return publish(cli, *wish); }; });
  asset->add_subcommand("list", "All assets")->callback([&cli] { cli.chosen = [&cli] { return list(cli); }; });
  auto* shown = asset->add_subcommand("show", "One asset, with who shares in it");
  shown->add_option("asset", wish->id, "64 hexadecimal digits")->required();
  shown->callback([&cli, wish] { cli.chosen = [&cli, wish] { return show(cli, *wish); }; });
}

}  // namespace cairn::agent
