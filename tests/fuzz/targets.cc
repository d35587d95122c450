#include "tests/fuzz/targets.h"

#include "attest/light_client.h"
#include "base/config.h"
#include "base/file.h"
#include "base/vrf.h"
#include "ledger/disputes.h"
#include "ledger/genesis_file.h"
#include "ledger/node.h"
#include "ledger/snapshot.h"
#include "tests/attest/trial.h"
#include "tests/fuzz/round_trip.h"
#include "tests/ledger/scene.h"

namespace cairn::fuzz {
namespace {

using namespace attest;
using namespace ledger;

template <class T>
void only_codec(ByteSpan bytes) {
  if (const auto value = round_trip<T>(bytes)) (void)to_json(*value);
}

// ---- base ----

void amount(ByteSpan bytes) {
  const auto parsed = parse_amount(text_of(bytes));
  if (parsed) CHECK(parse_amount(pretty(*parsed)) == parsed);
}
void hex(ByteSpan bytes) {
  const auto parsed = from_hex(text_of(bytes));
  if (parsed) CHECK(from_hex(to_hex(*parsed)) == parsed);
}
void config(ByteSpan bytes) { (void)parse_config(text_of(bytes), "fuzz.yaml"); }
void vrf(ByteSpan bytes) {
  if (bytes.size() < 112) return;
  VrfProof proof;
  std::copy_n(bytes.begin() + 32, 80, proof.begin());
  (void)vrf_verify(*PublicKey::from(bytes.first(32)), bytes.subspan(112), proof);
}
std::vector<Bytes> vrf_examples() {
  const SecretKey key = SecretKey::from_seed(seed_named("vrf"));
  const VrfProof proof = vrf_prove(key, as_bytes("input"));
  const PublicKey public_key = key.public_key();
  Bytes out(public_key.v.begin(), public_key.v.end());
  out.insert(out.end(), proof.begin(), proof.end());
  for (const char c : std::string("input")) out.push_back(static_cast<uint8_t>(c));
  return {out};
}

// ---- attest ----

const Example& small_example() {
  static const Example example = example_of(*kernels::find_operator("matmul.f32.v1"));
  return example;
}
void plan(ByteSpan bytes) {
  const auto value = round_trip<Plan>(bytes);
  if (value) (void)validate(*value, WorkTable{});
}
void job_spec(ByteSpan bytes) {
  const auto value = round_trip<JobSpec>(bytes);
  if (value && attest::check(*value)) (void)pay_for(*value, value->price_ceiling);
}

// A chain in which a job was settled, another is disputed, and the records of every kind stand.
struct World {
  Scene scene;
  JobId job;
  std::vector<Bytes> transactions;
  Receipt receipt;
  World() {
    const auto sent = [&](const std::string& who, Body body) {
      transactions.push_back(scene.signed_tx(who, std::move(body)));
      return scene.block({transactions.back()}).front().id;
    };
    sent("P", Stake{crn(10)});
    sent("P", scene.offer());
    sent("V", Bond{crn(1), "tcp://v"});
    sent("A", Transfer{scene.id("B"), crn(1)});
    sent("A", Reserve{reservation_hash(hash_named("x"), scene.id("A"), hash_named("salt"))});
    sent("A", Publish{AssetKind::dataset, "x", hash_named("x"), hash_named("salt"), Amount{5}, {{scene.id("B"), 1}}, {}, {}});
    for (const bool honest : {true, false}) {
      JobSpec spec = scene.spec();
      spec.policy = Policy::all;
      job = sent("A", OpenJob{spec}).as<JobIdTag>();
      sent("P", Accept{job});
      const Claim claim(spec);
      sent("P", Commit{claim.commitment(job)});
      for (int i = 0; i < 10 && scene.state().job(job)->phase != JobPhase::verdicts; i++) scene.block();
      const auto checks = scene.state().job(job)->checks;
      for (const auto& check : checks)
        sent("V", CommitVerdict{job, check.record.draw.segment, verdict_hash({}, scene.id("V"), job, check.record.draw.segment, claim.knowledge(check.record.draw))});
      for (const auto& check : checks)
        sent("P", AnswerCheck{job, check.record.draw.segment, claim.call_id(check.record.draw), claim.segment(check.record.draw.segment)});
      if (!honest) {
        sent("W", Challenge{job, 3, hash_named("another end"), claim.segment(3)});
        sent("V", Unbond{Amount{1'000}});
        break;
      }
      for (const auto& check : checks) sent("V", RevealVerdict{job, check.record.draw.segment, {}, claim.knowledge(check.record.draw), {}});
      scene.pass(scene.params().window_ms + 500);
    }
    CHECK(!scene.receipts().empty());
    receipt.body = scene.receipts().front();
    receipt.header = scene.app().head();
    receipt.path = scene.app().prove(receipt_place(receipt.body.job, receipt.body.attempt));
    for (const auto& draw : receipt.body.draws) receipt.draw_headers.push_back(scene.blocks().at(number(draw.height) - 1).header);
    CHECK(attest::check_receipt(receipt, scene.app().genesis()));
  }
};
World& world() {
  static World world;
  return world;
}

void header(ByteSpan bytes) {
  const auto value = round_trip<SignedHeader>(bytes);
  if (!value || !check_header(world().scene.app().genesis(), *value)) return;
  const auto& blocks = world().scene.blocks();
  CHECK(std::any_of(blocks.begin(), blocks.end(), [&](const Block& b) { return encode(b.header.header) == encode(value->header); }));  // none is forged
}
// A header that four validators of CometBFT sealed: no other is ever believed.
struct Sealed {
  Genesis genesis;
  SignedHeader header;
};
const Sealed& sealed() {
  static const Sealed golden = [] {
    const std::string text = must(read_text("tests/attest/comet_seal.golden", 1 << 20));
    const size_t end = text.find('\n');
    return Sealed{must(decode<Genesis>(*from_hex(text.substr(0, end)))), must(decode<SignedHeader>(*from_hex(text.substr(end + 1, text.find('\n', end + 1) - end - 1))))};
  }();
  return golden;
}
void seal(ByteSpan bytes) {
  const auto value = round_trip<SignedHeader>(bytes);
  if (value && check_header(sealed().genesis, *value)) CHECK(encode(value->header) == encode(sealed().header.header));
}
void genesis(ByteSpan bytes) {
  const auto value = round_trip<Genesis>(bytes);
  if (value && check_genesis(*value)) (void)genesis_hash(*value);
}
void map_proof(ByteSpan bytes) {
  const auto value = round_trip<MapProof>(bytes);
  if (!value) return;
  const Hash root = hash_named("nobody knows what hashes to this");
  CHECK(!check_present(root, {hash_named("key"), hash_named("value")}, *value));
  CHECK(!check_absent(root, hash_named("key"), *value));
  // Of a real state: what is there is not proven absent, what is not is not proven present.
  auto& scene = world().scene;
  const Hash& real = scene.app().head().header.state_root;
  const Hash key = receipt_place(world().receipt.body.job, world().receipt.body.attempt);
  CHECK(!check_absent(real, key, *value));
  CHECK(!check_present(real, {key, hash_named("value")}, *value));
}
std::vector<Bytes> map_proofs() { return {encode(world().receipt.path), encode(world().scene.app().prove(hash_named("absent")))}; }
// A node's answer about two keys, one of which is absent: whatever it says, the truth or nothing is believed.
std::vector<Bytes> asked_keys() { return {make_key('a', world().scene.id("A")), make_key('a', world().scene.id("V")), Bytes{'z'}}; }
ProvenState true_answer() {
  auto& scene = world().scene;
  ProvenState out{scene.app().head(), {}};
  for (const char* who : {"A", "V"}) out.records.push_back({encode(*scene.state().account(scene.id(who))), {}});
  out.records.emplace_back();
  const auto keys = asked_keys();
  for (size_t i = 0; i < keys.size(); i++) out.records[i].path = scene.app().prove(blake3(keys[i]));
  return out;
}
std::vector<Bytes> provens() {
  const ProvenState answer = true_answer();
  CHECK(LightClient(world().scene.app().genesis()).read(asked_keys(), answer, 0));
  return {encode(answer)};
}
void proven(ByteSpan bytes) {
  static const ProvenState truth = true_answer();
  const auto value = round_trip<ProvenState>(bytes);
  if (!value) return;
  const auto read = LightClient(world().scene.app().genesis()).read(asked_keys(), *value, 0);
  if (!read) return;
  for (size_t i = 0; i < truth.records.size(); i++) CHECK((*read)[i] == truth.records[i].value);
}
// The whole state in one chunk: no other bytes are ever taken for it, or for a part of it.
std::vector<Bytes> chunks() {
  StateChunk chunk;
  world().scene.state().each({}, {}, [&](ByteSpan key, ByteSpan value) {
    chunk.records.push_back({Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end())});
    return true;
  });
  std::sort(chunk.records.begin(), chunk.records.end(), [](const auto& a, const auto& b) { return blake3(a.key) < blake3(b.key); });
  return {encode(chunk)};
}
void chunk(ByteSpan bytes) {
  static const Bytes good = chunks().front();
  const auto value = round_trip<StateChunk>(bytes);
  if (!value || value->records.empty()) return;
  std::vector<MapEntry> entries;
  for (const auto& [key, data] : value->records) entries.push_back(map_entry(key, data));
  const bool taken = static_cast<bool>(check_branch(world().scene.app().head().header.state_root, entries, {entries.front().key, value->steps}));
  CHECK(taken == std::equal(bytes.begin(), bytes.end(), good.begin(), good.end()));
}
void tree_path(ByteSpan bytes) {
  if (const auto value = round_trip<TreePath>(bytes))
    for (const uint64_t count : {uint64_t{1}, uint64_t{16}, uint64_t{100'000}}) CHECK(!check_path(hash_named("root"), count, count / 2, hash_named("leaf"), *value));
}
void drawn_call(ByteSpan bytes) {
  const auto value = round_trip<DrawnCall>(bytes);
  if (!value) return;
  attest::JobSpec spec;
  spec.plan_root = hash_named("plan root");
  spec.calls = value->head.calls;
  CHECK(!ledger::check(*value, spec, 0));
}
std::vector<Bytes> drawn_calls() {
  const Plan& p = small_example().plan;
  return {encode(DrawnCall{0, plan_head(p), p.calls[0], plan_path(p, 0)})};
}

// A game between a liar and somebody honest, at each of its moves.
struct Stage {
  Game game;
  Move next;
};
const std::vector<Stage>& stages() {
  static const std::vector<Stage> all = [] {
    std::vector<Stage> out;
    const Example& example = small_example();
    Trial honest(example, 1, 0, 40, example.start), liar(example, 1, 0, 40, example.start, {Lie::value, 39, 0, 0, 0, 7, 1});
    Game game = open_game(terms_of(example, 1, 0, 40, liar, honest));
    while (!game.over()) {
      const Move move = must(next_move(game, game.to_move, example.plan, game.to_move == Party::provider ? liar : honest));
      out.push_back({game, move});
      must(play(game, game.to_move, move));
    }
    out.push_back({game, out.back().next});
    return out;
  }();
  return all;
}
void move(ByteSpan bytes) {
  const auto value = round_trip<Move>(bytes);
  if (!value) return;
  for (const Stage& stage : stages())
    for (const Party party : {Party::provider, Party::challenger}) {
      Game game = stage.game;
      if (!play(game, party, *value)) CHECK(encode(game) == encode(stage.game));  // a refused move leaves no trace
    }
}
std::vector<Bytes> moves() {
  std::vector<Bytes> out;
  for (const Stage& stage : stages()) out.push_back(encode(stage.next));
  return out;
}
void game(ByteSpan bytes) { only_codec<Game>(bytes); }
std::vector<Bytes> games() {
  std::vector<Bytes> out;
  for (const Stage& stage : stages()) out.push_back(encode(stage.game));
  return out;
}
void receipt(ByteSpan bytes) {
  const auto checked = check_receipt(bytes, world().scene.app().genesis());
  if (!checked) return;
  const auto value = round_trip<Receipt>(bytes);
  CHECK(value && encode(value->body) == encode(world().receipt.body));  // no other was ever written
}

// ---- ledger ----

void transaction(ByteSpan bytes) {
  only_codec<Transaction>(bytes);
  (void)world().scene.app().check(bytes);
}
std::vector<Bytes> transactions() { return world().transactions; }

// A body from anybody, as if its signature were right, on a state with jobs, games and assets: nothing is made or lost, and
// the state can be dropped again.
void apply(ByteSpan bytes) {
  if (bytes.empty()) return;
  static constexpr const char* kWho[] = {"A", "B", "C", "P", "Q", "R", "V", "W"};
  auto body = decode<Body>(bytes.subspan(1));
  if (!body) return;
  auto& scene = world().scene;
  App& app = scene.app();
  const std::string who = kWho[bytes.front() % 8];
  Transaction tx = scene.draft(who, *std::move(body));
  tx.signatures = {{scene.actor(who).key.public_key(), {}}};
  tx.fee = Amount{static_cast<uint64_t>(encode(tx).size()) * scene.params().fee_per_byte};
  static const Bytes beacon = encode(app.make_beacon(app.genesis().validators.front().key, SecretKey::from_seed(seed_named("vrf"))));
  const Proposal proposal{app.next_height(), app.head().header.wall_ms + 100, address_of(app.genesis().validators.front().key), {}, {}, {beacon, encode(tx)}};
  const Hash before = app.state_root();
  (void)must(app.finalize(proposal, 1, [](const TransactionId&) { return true; }));
  app.dropped();
  CHECK(app.state_root() == before);
}
std::vector<Bytes> bodies() {
  std::vector<Bytes> out;
  for (const Bytes& bytes : transactions()) {
    Bytes body = encode(must(decode<Transaction>(bytes)).body);
    body.insert(body.begin(), uint8_t{3});
    out.push_back(std::move(body));
  }
  return out;
}

void block(ByteSpan bytes) { only_codec<Block>(bytes); }
std::vector<Bytes> blocks() {
  std::vector<Bytes> out;
  for (size_t i = 0; i < world().scene.blocks().size(); i += 9) out.push_back(encode(world().scene.blocks()[i]));
  return out;
}

// Every record of the state; the first byte says which.
template <class... Record>
void one_of(uint8_t which, ByteSpan bytes) {
  size_t index = 0;
  ((index++ == which % sizeof...(Record) ? only_codec<Record>(bytes) : void()), ...);
}
void record(ByteSpan bytes) {
  if (bytes.empty()) return;
  one_of<Account, Holding, Unbonding, Verifier, Deadline, Offer, BookEntry, WaitingJob, DueDraw, ledger::Job, ledger::Dispute, Asset, ContentAsset,
         Reservation, Fork, ReceiptRoot, TxResult, Event, Quote, Commitment, ReceiptBody, HotKey, ledger::Validator, Rules, BeaconEntry, SnapshotHead, Status,
         AccountView, VerifierView, TransactionPage, Simulation, Duty>(bytes.front(), bytes.subspan(1));
}
std::vector<Bytes> records() {
  std::vector<Bytes> out;
  const auto take = [&](uint8_t which, const auto& value) {
    Bytes bytes = encode(value);
    bytes.insert(bytes.begin(), which);
    out.push_back(std::move(bytes));
  };
  auto& scene = world().scene;
  take(9, *scene.state().job(world().job));
  take(10, scene.state().all<ledger::Dispute>(make_key('g')).front());
  take(11, scene.state().all<Asset>(make_key('s')).front());
  take(17, scene.events().front());
  take(20, world().receipt.body);
  return out;
}

}  // namespace

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    std::vector<Target> out = {
        {"amount", amount, [] { return std::vector<Bytes>{bytes_of("12.5 CRN"), bytes_of("7 pebbles"), bytes_of("0.000001")}; }},
        {"apply", apply, bodies},
        {"block", block, blocks},
        {"chunk", chunk, chunks},
        {"config", config, [] { return std::vector<Bytes>{bytes_of("listen: 127.0.0.1:0\nlimits: {count: 3}\nlist: [1, 2]\n")}; }},
        {"drawn_call", drawn_call, drawn_calls},
        {"game", game, games},
        {"genesis", genesis, [] { return std::vector<Bytes>{encode(world().scene.app().genesis())}; }},
        {"header", header, [] { return std::vector<Bytes>{encode(world().scene.app().head())}; }},
        {"hex", hex, [] { return std::vector<Bytes>{bytes_of("00ffAa")}; }},
        {"job_spec", job_spec, [] { return std::vector<Bytes>{encode(world().scene.spec())}; }},
        {"map_proof", map_proof, map_proofs},
        {"move", move, moves},
        {"plan", plan, [] { return std::vector<Bytes>{encode(small_example().plan)}; }},
        {"proven", proven, provens},
        {"receipt", receipt, [] { return std::vector<Bytes>{encode(world().receipt)}; }},
        {"record", record, records},
        {"seal", seal, [] { return std::vector<Bytes>{encode(sealed().header)}; }},
        {"transaction", transaction, transactions},
        {"tree_path", tree_path, [] { return std::vector<Bytes>{encode(attest::tree_path(std::vector<Hash>(100, hash_named("leaf")), 50))}; }},
        {"vrf", vrf, vrf_examples},
    };
    for (const auto& part : {targets_of_files(), targets_of_wires()}) out.insert(out.end(), part.begin(), part.end());
    return out;
  }();
  return all;
}

}  // namespace cairn::fuzz
