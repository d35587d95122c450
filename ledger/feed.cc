#include "ledger/feed.h"

#include "base/json.h"
#include "base/log.h"

namespace cairn::ledger {
namespace {

using std::chrono::milliseconds;
constexpr size_t kStreamAtOnce = 256;       // events that one stream gets before the others have their turn
constexpr size_t kBytesAtOnce = 256u << 10; // of these, and of one poll's: well below what a stream may leave unread
constexpr milliseconds kStreamPause{20};    // before a stream that has more to read is served again
constexpr milliseconds kKeepAlive{15'000};  // shows a stream's client, and us, that the other is there

}  // namespace

std::string event_json(const Event& event) {
  return "{\"seq\":" + to_json(event.seq) + ",\"height\":" + to_json(event.height) + ",\"time\":" + to_json(event.time) +
         ",\"kind\":" + json_quote(event.kind) + ",\"id\":" + to_json(event.id) + ",\"data\":" + (event.json.empty() ? "{}" : event.json) + "}";
}

Feed::Feed(const Store& store) : store_(store), thread_([this] { run(); }) {}

Feed::~Feed() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (auto& stream : streams_) stream.reply->close();
}

void Feed::announce() {
  {
    std::lock_guard lock(mutex_);
    called_ = true;
  }
  wake_.notify_one();
}

void Feed::poll(uint64_t from, size_t limit, uint32_t wait_ms, bool raw, std::shared_ptr<HttpReply> reply) {
  const Poll poll{from, limit, raw, std::chrono::steady_clock::now() + milliseconds(wait_ms), std::move(reply)};
  if (store_.last_event() >= from || wait_ms == 0) return answer(poll);
  {
    std::lock_guard lock(mutex_);
    polls_.push_back(poll);
    called_ = true;
  }
  wake_.notify_one();
}

void Feed::stream(uint64_t from, std::shared_ptr<HttpReply> reply) {
  reply->stream("text/event-stream");
  reply->push(": events of a Cairn node\n\n");
  {
    std::lock_guard lock(mutex_);
    streams_.push_back({from, std::chrono::steady_clock::now(), std::move(reply)});
    called_ = true;
  }
  wake_.notify_one();
}

void Feed::answer_by(uint32_t wait_ms, const std::shared_ptr<HttpReply>& reply, HttpResponse response) {
  {
    std::lock_guard lock(mutex_);
    late_.emplace(std::chrono::steady_clock::now() + milliseconds(wait_ms), Late{reply, std::move(response)});
  }
  wake_.notify_one();
}

void Feed::answer(const Poll& poll) const {
  const auto events = store_.events(poll.from, poll.limit, kBytesAtOnce);
  if (poll.raw) {
    const Bytes bytes = encode(events);
    poll.reply->send({200, "application/octet-stream", std::string(bytes.begin(), bytes.end())});
    return;
  }
  std::string json = "{\"events\":[";
  for (const auto& event : events) json += (&event == events.data() ? "" : ",") + event_json(event);
  poll.reply->send({200, "application/json", json + "],\"next\":" + to_json(events.empty() ? poll.from : events.back().seq + 1) + "}"});
}

bool Feed::feed(Stream& stream, Time now) const {
  std::string text;
  if (store_.last_event() >= stream.next) {
    for (const auto& event : store_.events(stream.next, kStreamAtOnce, kBytesAtOnce)) {
      text += "id: " + std::to_string(event.seq) + "\ndata: " + event_json(event) + "\n\n";
      stream.next = event.seq + 1;
    }
  } else if (now - stream.quiet_since >= kKeepAlive) {
    text = ": still here\n\n";
  }
  if (text.empty()) return false;
  stream.quiet_since = now;
  stream.reply->push(text);
  return store_.last_event() >= stream.next;
}

void Feed::run() {
  bool more = false;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    Time until = now + (more ? kStreamPause : kKeepAlive);
    for (const auto& poll : polls_) until = std::min(until, poll.until);
    if (!late_.empty()) until = std::min(until, late_.begin()->first);
    wake_.wait_until(lock, until, [&] { return stopping_ || (called_ && !more); });
    called_ = more = false;
    if (stopping_) return;

    const auto then = std::chrono::steady_clock::now();
    std::list<Poll> ready;
    const uint64_t last = store_.last_event();
    for (auto at = polls_.begin(); at != polls_.end();) {
      const auto poll = at++;
      if (poll->reply->gone()) {
        polls_.erase(poll);
      } else if (poll->from <= last || poll->until <= then) {
        ready.splice(ready.end(), polls_, poll);
      }
    }
    std::vector<Late> late;
    while (!late_.empty() && late_.begin()->first <= then) late.push_back(std::move(late_.extract(late_.begin()).mapped()));
    std::erase_if(streams_, [](const Stream& stream) { return stream.reply->gone(); });
    std::list<Stream> streams;
    streams.swap(streams_);
    lock.unlock();
    try {
      for (const auto& poll : ready) answer(poll);
      for (auto& stream : streams) more |= feed(stream, then);
    } catch (const Fault& fault) {  // the engine meets the same disk, and halts
      log_error("feed.fault", {{"text", fault.error().text}});
      for (const auto& poll : ready) poll.reply->send(error_response(fault.error()));
    }
    for (auto& one : late)
      if (const auto reply = one.reply.lock()) reply->send(std::move(one.response));
    lock.lock();
    streams_.splice(streams_.end(), streams);
  }
}

}  // namespace cairn::ledger
