// Events over HTTP as blocks bring them: long polls and event streams, both resumed by an event's number.
//
// Events are read from the store, so whoever comes back after a day, or after a crash of the node, misses nothing and sees
// nothing twice. One thread writes to all clients; a client that does not read is dropped and resumes when it likes.
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/http.h"
#include "ledger/store.h"

namespace cairn::ledger {

// As the interface shows it: {"seq","height","time","kind","id","data"}.
std::string event_json(const Event& event);

class Feed {
 public:
  explicit Feed(const Store& store);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  void announce();  // a block may have brought events; any thread

  // {"events":[...],"next":N}, or raw std::vector<Event>: once there is an event numbered `from` or higher, or after
  // `wait_ms` with none.
  void poll(uint64_t from, size_t limit, uint32_t wait_ms, bool raw, std::shared_ptr<HttpReply> reply);
  // A text/event-stream from number `from` on; the id of each message is its event's number.
  void stream(uint64_t from, std::shared_ptr<HttpReply> reply);
  // Sends `response` after `wait_ms` if nobody has answered by then.
  void answer_by(uint32_t wait_ms, const std::shared_ptr<HttpReply>& reply, HttpResponse response);

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Poll {
    uint64_t from;
    size_t limit;
    bool raw;
    Time until;
    std::shared_ptr<HttpReply> reply;
  };
  struct Stream {
    uint64_t next;
    Time quiet_since;
    std::shared_ptr<HttpReply> reply;
  };
  struct Late {
    std::weak_ptr<HttpReply> reply;
    HttpResponse response;
  };
  void run();
  void answer(const Poll& poll) const;
  bool feed(Stream& stream, Time now) const;  // true: there is more

  const Store& store_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Poll> polls_;
  std::list<Stream> streams_;
  std::multimap<Time, Late> late_;
  bool called_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace cairn::ledger
