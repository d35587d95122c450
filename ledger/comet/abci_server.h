// ABCI 2.0 over a unix or TCP socket: the listener that CometBFT connects to, four times.
//
// One thread a connection; requests of a connection are handled and answered in order, those of different connections beside
// each other. A connection that sends what is no message is closed, alone. What the engine asks is known by the request's type,
// never by which connection came first.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"

namespace tendermint::abci {
class Request;
class Response;
}  // namespace tendermint::abci

namespace cairn::ledger::comet {

class AbciServer {
 public:
  // Fills the response to every request but Echo and Flush. It may throw: then the engine gets the exception's text, and stops.
  using Handler = std::function<void(const tendermint::abci::Request&, tendermint::abci::Response&)>;

  // Listens at once on "unix:///PATH" or "tcp://127.0.0.1:PORT" (0: any). Errors: io, invalid (a path above 107 bytes).
  static Result<std::unique_ptr<AbciServer>> start(const std::string& address, Handler handler);
  ~AbciServer();
  AbciServer(const AbciServer&) = delete;
  AbciServer& operator=(const AbciServer&) = delete;

  const std::string& address() const { return address_; }  // as CometBFT's proxy_app

 private:
  struct Connection {
    int fd = -1;
    std::thread thread;
    std::atomic<bool> over{false};
  };
  AbciServer(int fd, std::string address, Handler handler);
  void accept();
  void serve(int fd);
  void reap(bool all);

  const int listener_;
  const std::string address_;
  const Handler handler_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cairn::ledger::comet
