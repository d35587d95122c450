// What arrives over sockets: CometBFT's frames, calls and JSON, a worker's frames, other agents' messages.
#include <sys/socket.h>
#include <unistd.h>

#include "agent/transport.h"
#include "runtime/worker_protocol.h"
#include "tests/fuzz/round_trip.h"

#ifdef CAIRN_FUZZ_COMET
#include "ledger/comet/base64.h"
#include "ledger/comet/framing.h"
#include "ledger/comet/rpc.h"
#include "tests/ledger/comet_driver.h"
#endif

namespace cairn::fuzz {
namespace {

// ---- workers and agents -------------------------------------------------------------------------------------------

void worker_frame(ByteSpan bytes) {
  int pair[2];
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const size_t most = std::min<size_t>(bytes.size(), 64u << 10);  // what the socket holds while nobody reads
  CHECK(::send(pair[0], bytes.data(), most, 0) == static_cast<ssize_t>(most));
  ::shutdown(pair[0], SHUT_WR);
  size_t taken = 0;
  for (auto frame = runtime::receive_frame(pair[1]); frame; frame = runtime::receive_frame(pair[1])) {
    taken += 4 + frame->size();
    (void)round_trip<runtime::Ask>(*frame);
    (void)round_trip<runtime::Answer>(*frame);
  }
  CHECK(taken <= most);
  ::close(pair[0]);
  ::close(pair[1]);
}
Bytes framed(const Bytes& message) {
  Bytes out = encode(static_cast<uint32_t>(message.size()));
  out.insert(out.end(), message.begin(), message.end());
  return out;
}
std::vector<Bytes> worker_frames() {
  using namespace runtime;
  Work work;
  work.store = "/store";
  work.inputs = {Hash{}};
  const StatePoint from{3, {Hash{}, Hash{}}};
  std::vector<Bytes> out;
  for (const Ask& ask : std::initializer_list<Ask>{AskInspect{"p.pt2"}, AskTrace{}, AskInitial{work}, AskRun{work, from, 9, 2}, AskCheck{work, from, 5, 4, 1},
                                                   AskMove{work, from, {}, attest::Party::challenger}, AskJudge{work, from, from}})
    out.push_back(framed(encode(ask)));
  for (const Answer& answer : std::initializer_list<Answer>{Inspected{}, Traced{}, Progress{7, 1u}, CheckpointMade{from, {}}, StateReached{from, {}, 1, 2}, Checked{},
                                                            Moved{attest::Pick{3, {}}}, Failed{Code::limit, "too much", "less"}, Judged{12, "w"}})
    out.push_back(framed(encode(answer)));
  return out;
}

void message(ByteSpan bytes) {
  (void)round_trip<agent::Request>(bytes);
  (void)round_trip<agent::Reply>(bytes);
}
std::vector<Bytes> messages() {
  using namespace agent;
  std::vector<Bytes> out;
  for (const Ask& ask : std::initializer_list<Ask>{AskChunk{{}, 5, 100}, AskLeaves{}, AskState{{}, 4}, TellProgress{{}, 4, 1u}, AskKey{}}) out.push_back(encode(Request{7, ask}));
  for (const Answer& answer : std::initializer_list<Answer>{Chunk{{}, 0, 3, {1, 2, 3}}, Leaves{{Hash{}}}, StateIds{4, {Hash{}}}, Noted{}, Refused{Code::not_found, "no"}, JobKey{}})
    out.push_back(encode(Reply{7, answer}));
  return out;
}

// ---- CometBFT -----------------------------------------------------------------------------------------------------

#ifdef CAIRN_FUZZ_COMET
using namespace ledger;
using namespace ledger::comet;

void base64(ByteSpan bytes) {
  const auto plain = from_base64(text_of(bytes));
  if (plain) CHECK(to_base64(*plain) == text_of(bytes));
}

// However the bytes are cut, the same messages come out of them.
void abci_frames(ByteSpan bytes) {
  const auto read = [&](size_t cut) {
    FrameReader reader(1u << 16);
    std::vector<Bytes> out;
    for (size_t at = 0; at < bytes.size(); at += cut) {
      reader.feed(bytes.subspan(at, std::min(cut, bytes.size() - at)));
      for (;;) {
        const auto next = reader.next();
        if (!next) return out;
        if (!*next) break;
        out.emplace_back((*next)->begin(), (*next)->end());
      }
      reader.compact();
    }
    return out;
  };
  const auto whole = read(std::max<size_t>(1, bytes.size()));
  CHECK(whole == read(1) && whole == read(7));
}

// Calls in any order of any content: what the application does not take it refuses by a Fault, and without Commit nothing stays.
void abci_calls(ByteSpan bytes) {
  static Driver& driver = []() -> Driver& {
    static Driver made(comet_genesis(1), 0);
    const auto& genesis = made.chain().genesis();
    made.block({transfer(genesis, "A", "B", 0)});
    made.block({of_validator(genesis, "validator 0", 0, Stake{Amount::of_pebbles(1'000'000)})});
    return made;
  }();
  const auto root = [] { return driver.chain().read([](const App& app) { return app.head().header.state_root; }); };
  const Hash before = root();
  abci::Request info;
  info.mutable_info();
  driver.ask(info);  // the order of calls begins anew
  FrameReader reader(1u << 20);
  reader.feed(bytes);
  abci::Request request;
  for (auto next = reader.next(); next && *next; next = reader.next()) {
    if (!request.ParseFromArray((*next)->data(), static_cast<int>((*next)->size())) || request.has_commit()) break;
    try {
      driver.ask(request);
    } catch (const Fault&) {
    }
  }
  CHECK(root() == before);
}
std::vector<Bytes> calls() {
  std::string frames;
  const auto add = [&](const abci::Request& request) { append_frame(frames, request.SerializeAsString()); };
  const auto genesis = comet_genesis(1);
  const auto address = attest::address_of(key_named("validator 0").public_key());
  const auto fill = [&](auto& part) {
    part.set_height(3);
    part.mutable_time()->set_seconds(1'700'000'003);
    part.set_proposer_address(std::string(address.begin(), address.end()));
    const Bytes tx = transfer(genesis, "A", "C", 1);
    part.add_txs(std::string(tx.begin(), tx.end()));
  };
  abci::Request request;
  fill(*request.mutable_prepare_proposal());
  request.mutable_prepare_proposal()->set_max_tx_bytes(10'000);
  add(request);
  fill(*request.mutable_process_proposal());
  add(request);
  fill(*request.mutable_finalize_block());
  add(request);
  std::vector<Bytes> out{bytes_of(frames)};
  frames.clear();
  const Bytes parcel = encode(Parcel{{transfer(genesis, "A", "C", 1), transfer(genesis, "C", "A", 0)}});
  request.mutable_check_tx()->set_tx(std::string(parcel.begin(), parcel.end()));
  add(request);
  request.mutable_query()->set_path("prove");
  request.mutable_query()->set_data(std::string(32, 'k'));
  add(request);
  request.mutable_list_snapshots();
  add(request);
  request.mutable_load_snapshot_chunk()->set_format(1);
  add(request);
  auto* snapshot = request.mutable_offer_snapshot()->mutable_snapshot();
  snapshot->set_format(1);
  const Bytes head = encode(SnapshotHead{{}, 1, {}});
  snapshot->set_metadata(std::string(head.begin(), head.end()));
  add(request);
  out.push_back(bytes_of(frames));
  return out;
}

void comet_json(ByteSpan bytes) {
  const std::string text(text_of(bytes));
  if (const auto question = question_of(bytes)) CHECK(question_of(as_bytes(*question)));
  (void)result_of(text);
  if (const auto commit = commit_in(text)) (void)attest::header_hash(commit->first);
  (void)validators_in(text);
}
std::vector<Bytes> comet_jsons() {
  const std::string hash(64, 'A'), id = R"({"hash":")" + hash + R"(","parts":{"total":1,"hash":")" + hash + R"("}})";
  std::string header = R"({"version":{"block":"11","app":"1"},"chain_id":"c","height":"5","time":"2026-11-26T13:00:00.123456789Z","last_block_id":)" + id;
  for (const char* name : {"last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash", "last_results_hash", "evidence_hash"})
    header += std::string(",\"") + name + "\":\"" + hash + "\"";
  header += R"(,"proposer_address":")" + std::string(40, 'B') + "\"}";
  const std::string vote = R"({"block_id_flag":2,"validator_address":")" + std::string(40, 'B') + R"(","timestamp":"2026-11-26T13:00:00Z","signature":")" + to_base64(Bytes(64, 1)) + "\"}";
  const std::string commit = R"({"signed_header":{"header":)" + header + R"(,"commit":{"height":"5","round":0,"block_id":)" + id + R"(,"signatures":[)" + vote + R"(,{"block_id_flag":1}]}}})";
  const std::string validators = R"({"validators":[{"pub_key":{"type":"tendermint/PubKeyEd25519","value":")" + to_base64(Bytes(32, 1)) + R"("},"voting_power":"10"}]})";
  CHECK(commit_in(commit) && validators_in(validators));
  return {bytes_of(commit), bytes_of(validators), bytes_of(R"({"jsonrpc":"2.0","id":1,"method":"commit","params":{"height":"5"}})"),
          bytes_of(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":"d"}})"), bytes_of(R"({"result":{}})")};
}
#endif

}  // namespace

std::vector<Target> targets_of_wires() {
  return {
#ifdef CAIRN_FUZZ_COMET
      {"abci_calls", abci_calls, calls},
      {"abci_frames", abci_frames, calls},
      {"base64", base64, [] { return std::vector<Bytes>{bytes_of("Zm9vYg=="), bytes_of("Zm9v")}; }},
      {"comet_json", comet_json, comet_jsons},
#endif
      {"message", message, messages},
      {"worker_frame", worker_frame, worker_frames},
  };
}

}  // namespace cairn::fuzz
