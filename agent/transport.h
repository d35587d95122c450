// Messages between the parties of a job: ZeroMQ over CURVE, where both sides are known by their account's key.
//
//   request := number:u64 ask:Ask          reply := number:u64 answer:Answer        (codec; one frame each)
//
// CURVE alone encrypts and proves the server; a client with any key of its own would be let in. So a ZAP handler, installed
// before the server binds, refuses every key that `allow` does not map to an account, and each request reaches the server
// with the account that its connection has proven. Sizes, queues, handshakes and silence are all bounded.
//
// A Server runs its own thread, in which `allow` and `answer` are called (`allow` from a second one); a Caller belongs to one
// thread at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <variant>

#include "attest/records.h"
#include "base/keys.h"

namespace cairn::agent {

inline constexpr uint32_t kChunkMaxBytes = 1 << 20;

// ---- what may be asked ----

// Bytes [offset, offset + size) of an artefact; size <= kChunkMaxBytes.
struct AskChunk {
  static constexpr uint16_t kTag = 1;
  Hash id;
  uint64_t offset = 0;
  uint32_t size = 0;
  static constexpr auto fields() {
    return std::tuple{field("id", &AskChunk::id), field("offset", &AskChunk::offset), field("size", &AskChunk::size)};
  }
};
// The leaves of the job's checkpoint tree.
struct AskLeaves {
  static constexpr uint16_t kTag = 2;
  JobId job;
  static constexpr auto fields() { return std::tuple{field("job", &AskLeaves::job)}; }
};
// Ids of the state buffers after `step` steps, where step is a checkpoint's (0: the initial state).
struct AskState {
  static constexpr uint16_t kTag = 3;
  JobId job;
  uint64_t step = 0;
  static constexpr auto fields() { return std::tuple{field("job", &AskState::job), field("step", &AskState::step)}; }
};
// From provider to requester, while it works. `loss_bits`: f32; absent for a job without losses.
struct TellProgress {
  static constexpr uint16_t kTag = 4;
  JobId job;
  uint64_t step = 0;
  std::optional<uint32_t> loss_bits;
  static constexpr auto fields() {
    return std::tuple{field("job", &TellProgress::job), field("step", &TellProgress::step),
                      field("loss_bits", &TellProgress::loss_bits)};
  }
};
// The key of a private job's ids: it goes to whoever may see the job.
struct AskKey {
  static constexpr uint16_t kTag = 5;
  JobId job;
  static constexpr auto fields() { return std::tuple{field("job", &AskKey::job)}; }
};
using Ask = std::variant<AskChunk, AskLeaves, AskState, TellProgress, AskKey>;

// ---- and answered ----

struct Chunk {
  static constexpr uint16_t kTag = 1;
  Hash id;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;  // of the whole artefact
  Bytes bytes;
  static constexpr auto fields() {
    return std::tuple{field("id", &Chunk::id), field("offset", &Chunk::offset), field("size_bytes", &Chunk::size_bytes),
                      field("bytes", &Chunk::bytes)};
  }
};
struct Leaves {
  static constexpr uint16_t kTag = 2;
  std::vector<Hash> roots;
  static constexpr auto fields() { return std::tuple{field("roots", &Leaves::roots)}; }
};
struct StateIds {
  static constexpr uint16_t kTag = 3;
  uint64_t step = 0;
  std::vector<Hash> ids;
  static constexpr auto fields() { return std::tuple{field("step", &StateIds::step), field("ids", &StateIds::ids)}; }
};
struct Noted {
  static constexpr uint16_t kTag = 4;
  static constexpr auto fields() { return std::tuple{}; }
};
struct Refused {
  static constexpr uint16_t kTag = 5;
  Code code = Code::internal;
  std::string text;
  static constexpr auto fields() { return std::tuple{field("code", &Refused::code), field("text", &Refused::text)}; }
};
struct JobKey {
  static constexpr uint16_t kTag = 6;
  Hash key;
  static constexpr auto fields() { return std::tuple{field("key", &JobKey::key)}; }
};
using Answer = std::variant<Chunk, Leaves, StateIds, Noted, Refused, JobKey>;

struct Request {
  uint64_t number = 0;
  Ask ask;
  static constexpr auto fields() { return std::tuple{field("number", &Request::number), field("ask", &Request::ask)}; }
};
struct Reply {
  uint64_t number = 0;
  Answer answer;
  static constexpr auto fields() { return std::tuple{field("number", &Reply::number), field("answer", &Reply::answer)}; }
};

using CurveKey = std::array<uint8_t, 32>;

class Server {
 public:
  using Allow = std::function<std::optional<AccountId>(const CurveKey& client)>;
  using Serve = std::function<Answer(const AccountId& client, const Ask& ask)>;

  // Listens on `endpoint` ("tcp://127.0.0.1:7710"; port 0 takes a free one). Throws Fault: io (address in use, not local).
  Server(const std::string& endpoint, const TransportKeys& keys, Allow allow, Serve serve);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& endpoint() const { return endpoint_; }  // with the port that was taken

 private:
  struct Sockets;
  void guard();
  void run();
  std::unique_ptr<Sockets> sockets_;
  Allow allow_;
  Serve serve_;
  std::string endpoint_;
  std::atomic<bool> stopping_{false};
  std::thread guard_thread_;
  std::thread run_thread_;
};

// One peer to ask. Connects when first asked, and anew after a timeout or a refusal.
class Caller {
 public:
  Caller(std::string endpoint, const PublicKey& peer, const TransportKeys& own);
  ~Caller();
  Caller(Caller&&) noexcept;
  Caller& operator=(Caller&&) = delete;

  // Errors: unreachable (nobody answered in time, or the peer does not know our key); malformed; and whatever code the peer
  // refused with.
  Result<Answer> ask(const Ask& ask, uint32_t timeout_ms);

  template <class T>
  Result<T> ask_for(const Ask& what, uint32_t timeout_ms) {
    TRY_LET(answer, ask(what, timeout_ms));
    if (auto* expected = std::get_if<T>(&answer)) return std::move(*expected);
    return Error{Code::malformed, "the peer " + endpoint_ + " answered something else than was asked", "try another peer"};
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  struct Socket;
  Result<> connect();
  std::string endpoint_;
  CurveKey peer_;
  TransportKeys own_;
  uint64_t next_number_ = 1;
  std::unique_ptr<Socket> socket_;
};

}  // namespace cairn::agent
