// Files that came from strangers, from an owner's hand, or from a disk that has changed them.
#include <filesystem>
#include <fstream>

#include "agent/cli/job_file.h"
#include "agent/journal.h"
#include "agent/settings.h"
#include "base/file.h"
#include "base/key_file.h"
#include "base/signing_mark.h"
#include "ledger/export.h"
#include "ledger/genesis_file.h"
#include "ledger/node_config.h"
#include "ledger/state_tree.h"
#include "runtime/archive.h"
#include "runtime/program.h"
#include "runtime/safetensors.h"
#include "tests/fuzz/round_trip.h"
#include "tests/ledger/devnet.h"

namespace cairn::fuzz {
namespace {

using namespace ledger;
using namespace runtime;

Bytes source(const std::string& path) { return must(read_file(path, 1 << 20)); }

// A file with these bytes, for what reads by path.
std::filesystem::path written(ByteSpan bytes) {
  static const Scratch scratch;
  const auto path = scratch.path / "file";
  std::ofstream(path, std::ios::binary) << text_of(bytes);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  return path;
}

// ---- programs and tensors -----------------------------------------------------------------------------------------

void program_of(ByteSpan file) {
  const auto import = import_pt2(file);
  if (!import) return;
  const Bytes bytes = encode(import->program);
  CHECK(program_id(must(decode<Program>(bytes))) == program_id(import->program));
  for (const auto& weight : import->weights) CHECK(weight.bytes.size() == static_cast<size_t>(kernels::bytes(weight.type)));
}
std::vector<Bytes> pt2s() { return {source("tests/runtime/programs/static.pt2"), source("examples/digits/predict.pt2")}; }

// A .pt2 whose description is any text, under a right checksum: what a hostile writer brings.
struct Member {
  std::string name;
  Bytes bytes;
};
uint32_t crc32(ByteSpan bytes) {
  uint32_t c = ~0u;
  for (const uint8_t byte : bytes) {
    c ^= byte;
    for (int bit = 0; bit < 8; bit++) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}
Bytes zip_of(const std::vector<Member>& members) {
  Writer file, directory;
  const auto describe = [](Writer& out, const Member& member) {
    out.put(uint32_t{0});  // time and date
    out.put(crc32(member.bytes));
    out.put(static_cast<uint32_t>(member.bytes.size()));
    out.put(static_cast<uint32_t>(member.bytes.size()));
    out.put(static_cast<uint16_t>(member.name.size()));
    out.put(uint16_t{0});
  };
  uint32_t at = 0;
  for (const Member& member : members) {
    file.put(uint32_t{0x04034b50});
    file.raw(Bytes{20, 0, 0, 0, 0, 0});
    describe(file, member);
    file.raw(as_bytes(member.name));
    file.raw(member.bytes);
    directory.put(uint32_t{0x02014b50});
    directory.raw(Bytes{20, 0, 20, 0, 0, 0, 0, 0});
    describe(directory, member);
    directory.raw(Bytes(10, 0));
    directory.put(at);
    directory.raw(as_bytes(member.name));
    at += static_cast<uint32_t>(30 + member.name.size() + member.bytes.size());
  }
  const Bytes listed = directory.take();
  file.raw(listed);
  file.put(uint32_t{0x06054b50});
  file.raw(Bytes(4, 0));
  for (int twice = 0; twice < 2; twice++) file.put(static_cast<uint16_t>(members.size()));
  file.put(static_cast<uint32_t>(listed.size()));
  file.put(at);
  file.put(uint16_t{0});
  return file.take();
}
// The three descriptions of static.pt2, one after the other; zeros part them.
const std::vector<std::string> kDescriptions = {"models/model.json", "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"};
struct Parts {
  std::vector<Member> rest;  // weights, constants, byte order
  Bytes descriptions;
};
const Parts& parts() {
  static const Parts parts = [] {
    const Bytes whole = source("tests/runtime/programs/static.pt2");
    const Archive archive = must(Archive::open(whole));
    Parts out;
    std::map<std::string, Bytes> described;
    for (const auto& [name, bytes] : archive.members()) {
      const std::string within = name.substr(name.find('/') + 1);
      const Bytes copy(bytes.begin(), bytes.end());
      if (std::find(kDescriptions.begin(), kDescriptions.end(), within) != kDescriptions.end()) described[within] = copy;
      else out.rest.push_back({within, copy});
    }
    for (const auto& name : kDescriptions) {
      if (!out.descriptions.empty()) out.descriptions.push_back(0);
      out.descriptions.insert(out.descriptions.end(), described.at(name).begin(), described.at(name).end());
    }
    return out;
  }();
  return parts;
}
Bytes described_by(ByteSpan descriptions) {
  std::vector<Member> members = parts().rest;
  auto at = descriptions.begin();
  for (const auto& name : kDescriptions) {
    const auto end = std::find(at, descriptions.end(), uint8_t{0});
    members.push_back({name, Bytes(at, end)});
    at = end == descriptions.end() ? end : end + 1;
  }
  return zip_of(members);
}
void description(ByteSpan bytes) { program_of(described_by(bytes)); }
std::vector<Bytes> descriptions() {
  CHECK(import_pt2(described_by(parts().descriptions)));
  return {parts().descriptions};
}

void program(ByteSpan bytes) { round_trip<Program>(bytes); }
std::vector<Bytes> programs() {
  std::vector<Bytes> out;
  for (const Bytes& file : pt2s()) out.push_back(encode(must(import_pt2(file)).program));
  return out;
}

void safetensors(ByteSpan bytes) {
  const auto file = parse_tensors(bytes);
  if (!file) return;
  const Bytes again = write_tensors(*file);
  const auto same = must(parse_tensors(again));
  CHECK(same.metadata == file->metadata && same.tensors.size() == file->tensors.size());
  for (const auto& tensor : file->tensors) {
    const NamedTensor* other = same.find(tensor.name);
    CHECK(other && other->type == tensor.type && std::equal(other->bytes.begin(), other->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
}
std::vector<Bytes> tensor_files() {
  static const Bytes values(24, 7);
  TensorFile file;
  file.metadata = {{"step", "12"}};
  file.tensors = {{"a", {kernels::DType::f32, {2, 2}}, ByteSpan(values).first(16)}, {"b", {kernels::DType::i64, {1}}, ByteSpan(values).first(8)}, {"none", {kernels::DType::u8, {0}}, {}}};
  return {write_tensors(file)};
}

// ---- keys and marks -----------------------------------------------------------------------------------------------

void key_file(ByteSpan bytes) {
  const auto file = written(bytes);
  const auto facts = key_file_facts(file);
  if (!facts || facts->sealed) return;
  const auto key = load_stored_key(file);
  CHECK(!key || (key->account == facts->account && key->key.public_key() == facts->public_key));
}
std::vector<Bytes> key_files() {
  std::vector<Bytes> out;
  const Scratch scratch;
  for (const bool sealed : {false, true}) {
    const auto path = scratch.path / (sealed ? "sealed" : "open");
    must(save_key(path, StoredKey{key_named("A"), account_named("A")}, sealed ? std::optional<std::string>("words") : std::nullopt, {8, 1}));
    out.push_back(must(read_file(path, 4096)));
  }
  return out;
}

// What is damaged is refused, or is the older of two marks; never one that nobody made.
void signing_mark(ByteSpan bytes) {
  const auto file = written(bytes);
  uint64_t height = 0;
  {
    const auto mark = SigningMark::open(file);
    if (!mark) return;
    height = (*mark)->height();
    if (height > 0) CHECK(!(*mark)->advance(height - 1, {}));
  }
  CHECK(must(SigningMark::open(file))->height() == height);
}
std::vector<Bytes> signing_marks() {
  const Scratch scratch;
  {
    const auto mark = must(SigningMark::open(scratch.path / "mark"));
    for (const uint64_t height : {3, 4}) {
      must(mark->advance(height, tagged_hash("test", {as_bytes("block")})));
      mark->release();
    }
  }
  return {must(read_file(scratch.path / "mark", 4096))};
}

// ---- the chain's files --------------------------------------------------------------------------------------------

const attest::Genesis& chain_genesis() {
  static const attest::Genesis genesis = devnet_genesis({"A", "B"});
  return genesis;
}
void genesis_file(ByteSpan bytes) {
  const auto file = written(bytes);
  const auto genesis = load_genesis(file);
  if (genesis) CHECK(check_genesis(*genesis));
}
std::vector<Bytes> genesis_files() {
  const Scratch scratch;
  must(save_genesis(scratch.path / "genesis.json", chain_genesis()));
  return {must(read_file(scratch.path / "genesis.json", 1 << 20))};
}

// No other state than the one that was exported makes a chain.
std::vector<Bytes> exported() {
  const Scratch scratch;
  {
    const auto chain = must(Chain::open(scratch.path / "chain", chain_genesis()));
    extend(*chain, 10, {transfer(chain_genesis(), "A", "B", 0)});
    must(export_state(*chain, scratch.path / "state"));
  }
  return {must(read_file(scratch.path / "state", 1 << 20))};
}
void exported_state(ByteSpan bytes) {
  static const Bytes good = exported().front();
  const auto file = written(bytes), folder = file.parent_path() / "chain";
  if (!import_state(file, chain_genesis(), folder)) return;
  std::filesystem::remove_all(folder);
  const auto read = [](ByteSpan from) { return must(decode<ExportedState>(from.subspan(std::string_view("cairn-state-1\n").size()))); };
  const ExportedState taken = read(bytes), made = read(good);
  CHECK(encode(taken.header.header) == encode(made.header.header) && encode(taken.records) == encode(made.records));
}

// The top page of the state's tree: read, asked, changed and written again, or refused as damage.
void page(ByteSpan bytes) {
  MemoryView view;
  view.apply({}, {{0, Bytes(bytes.begin(), bytes.end())}});
  const Hash key = tagged_hash("test", {as_bytes("key")}), value = tagged_hash("test", {as_bytes("value")});
  try {
    StateTree tree(view);
    tree.set(key, value);
    const Hash root = tree.root();
    CHECK(attest::check_present(root, {key, value}, tree.prove(key)));
    view.apply({}, tree.changes());
    tree.saved(view);
    CHECK(tree.root() == root);
    (void)StateTree::check(view, root, [](const auto&) { return true; });
  } catch (const Fault&) {
  }
}
std::vector<Bytes> pages() {
  std::vector<Bytes> out;
  for (const int leaves : {1, 5, 30, 90}) {
    MemoryView view;
    StateTree tree(view);
    for (int i = 0; i < leaves; i++) tree.set(tagged_hash("test", {as_bytes(std::to_string(i))}), tagged_hash("test", {as_bytes("value")}));
    view.apply({}, tree.changes());
    out.push_back(*view.page(0));
  }
  return out;
}

// ---- the agent's files --------------------------------------------------------------------------------------------

// Opened, what is there stays there: damage is a Fault, or was never whole.
void journal(ByteSpan bytes) {
  const auto file = written(bytes);
  std::map<std::string, Bytes> first;
  try {
    const agent::Journal opened(file);
    first = opened.under("");
  } catch (const Fault&) {
    return;
  }
  {
    agent::Journal again(file);
    CHECK(again.under("") == first);
    again.put("one more", Bytes{1});
  }
  first["one more"] = {1};
  CHECK(agent::Journal(file).under("") == first);
}
std::vector<Bytes> journals() {
  const Scratch scratch;
  {
    agent::Journal journal(scratch.path / "journal");
    journal.put("job", Bytes(20, 1));
    journal.put("other", Bytes{});
    journal.put("job", Bytes(3, 2));
  }
  return {must(read_file(scratch.path / "journal", 4096))};
}

// Every YAML file that a person writes.
void settings(ByteSpan bytes) {
  const std::string_view text = text_of(bytes);
  const auto node = read_config_text<NodeConfig>(text, "node.yaml");
  if (node) {
    (void)node->http();
    (void)node->level();
  }
  (void)read_config_text<agent::ProviderConfig>(text, "provider.yaml");
  (void)read_config_text<agent::VerifierConfig>(text, "verifier.yaml");
  (void)read_config_text<agent::RequesterConfig>(text, "requester.yaml");
  const auto job = read_config_text<agent::JobFile>(text, "job.yaml");
  if (job && job->check() && job->optimizer.check()) (void)runtime::check(job->optimizer.optimizer());
}
std::vector<Bytes> settings_files() {
  std::vector<Bytes> out;
  for (const char* path : {"configs/node.yaml", "configs/provider.yaml", "configs/verifier.yaml", "configs/requester.yaml", "examples/digits/job.yaml"}) out.push_back(source(path));
  return out;
}

}  // namespace

std::vector<Target> targets_of_files() {
  return {
      {"description", description, descriptions},
      {"exported", exported_state, exported},
      {"genesis_file", genesis_file, genesis_files},
      {"journal", journal, journals},
      {"key_file", key_file, key_files},
      {"page", page, pages},
      {"program", program, programs},
      {"pt2", program_of, pt2s},
      {"safetensors", safetensors, tensor_files},
      {"settings", settings, settings_files},
      {"signing_mark", signing_mark, signing_marks},
  };
}

}  // namespace cairn::fuzz
