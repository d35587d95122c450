// The listener against raw sockets: whole answers, late answers, streams, garbage, too much, and clients that hang up.
#include "base/http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <thread>

namespace cairn {
namespace {

int dial(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval timeout{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

std::string talk(uint16_t port, const std::string& text) {
  const int fd = dial(port);
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t put = ::send(fd, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (put <= 0) break;
    at += static_cast<size_t>(put);
  }
  std::string out;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) out.append(buffer, static_cast<size_t>(got));
  ::close(fd);
  return out;
}

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"; }

class HttpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpConfig config;
    config.body_max_bytes = 1000;
    auto started = HttpServer::start(config, [this](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
      if (request.path == "/echo") {
        reply->send({200, "text/plain", request.query.contains("q") ? request.query.at("q") : std::string(request.body.begin(), request.body.end())});
      } else if (request.path == "/late") {
        later_.emplace_back([reply] {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          reply->send({200, "text/plain", "late but whole"});
        });
      } else if (request.path == "/stream") {
        later_.emplace_back([reply] {
          reply->stream("text/event-stream");
          for (int i = 0; i < 3; i++) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            reply->push("id: " + std::to_string(i) + "\n\n");
          }
          reply->close();
        });
      } else if (request.path == "/never") {
        std::lock_guard lock(mutex_);
        waiting_.push_back(reply);
      } else {
        reply->send(error_response({Code::not_found, "no such page: " + request.path, "see the list"}));
      }
    });
    ASSERT_TRUE(started);
    server_ = *std::move(started);
  }
  void TearDown() override {
    for (auto& thread : later_) thread.join();
  }
  std::unique_ptr<HttpServer> server_;
  std::vector<std::thread> later_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<HttpReply>> waiting_;
};

TEST_F(HttpTest, APortIsOneListeners) {
  HttpConfig config;
  config.port = server_->port();
  const auto second = HttpServer::start(config, [](const HttpRequest&, const std::shared_ptr<HttpReply>&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::io);
}

TEST_F(HttpTest, AnswersNowLaterAndPieceByPiece) {
  EXPECT_NE(talk(server_->port(), get("/echo?q=stone")).find("\r\n\r\nstone"), std::string::npos);
  EXPECT_NE(talk(server_->port(), "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello").find("\r\n\r\nhello"),
            std::string::npos);
  EXPECT_NE(talk(server_->port(), get("/late")).find("late but whole"), std::string::npos);
  const std::string stream = talk(server_->port(), get("/stream"));
  EXPECT_NE(stream.find("id: 0"), std::string::npos);
  EXPECT_NE(stream.find("id: 2"), std::string::npos);
}

TEST_F(HttpTest, RefusesGarbageAndTooMuch) {
  EXPECT_NE(talk(server_->port(), get("/nothing")).find("\"code\":\"not_found\""), std::string::npos);
  EXPECT_NE(talk(server_->port(), "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x'))
                .find("\"code\":\"limit\""),
            std::string::npos);
  EXPECT_EQ(talk(server_->port(), "\x01\x02 nonsense\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_NE(talk(server_->port(), get("/echo?q=alive")).find("alive"), std::string::npos);
}

TEST_F(HttpTest, ClientsThatHangUpAreForgotten) {
  for (int i = 0; i < 20; i++) {
    const int fd = dial(server_->port());
    const std::string text = get("/late");
    ASSERT_GT(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), 0);
    ::close(fd);
  }
  EXPECT_NE(talk(server_->port(), get("/echo?q=alive")).find("alive"), std::string::npos);
}

TEST_F(HttpTest, StoppingAnswersWhatWaits) {
  std::string answer;
  const uint16_t port = server_->port();
  std::thread client([&] { answer = talk(port, get("/never")); });
  for (int i = 0; i < 200; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::lock_guard lock(mutex_);
    if (!waiting_.empty()) break;
  }
  server_.reset();
  client.join();
  EXPECT_NE(answer.find("503"), std::string::npos);
}

// A server with small bounds: /now answers at once, /never keeps its reply, /much answers 200,000 bytes.
class HttpBoundsTest : public ::testing::Test {
 protected:
  void start(const HttpConfig& config) {
    auto started = HttpServer::start(config, [this](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
      if (request.path == "/never") {
        std::lock_guard lock(mutex_);
        waiting_.push_back(reply);
      } else {
        reply->send({200, "text/plain", request.path == "/much" ? std::string(200'000, 'm') : "now"});
      }
    });
    ASSERT_TRUE(started);
    server_ = *std::move(started);
  }
  int open(const std::string& text) {
    const int fd = dial(server_->port());
    EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    return fd;
  }
  void wait_for(const std::function<bool(const HttpServer::Counts&)>& holds) {
    for (int i = 0; i < 1000 && !holds(server_->counts()); i++) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(holds(server_->counts()));
  }
  void expect_refused(const std::string& answer) {
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 429 ")) << answer;
    EXPECT_NE(answer.find("\"code\":\"limit\""), std::string::npos) << answer;
    EXPECT_NE(answer.find("Retry-After: 1"), std::string::npos) << answer;
  }
  std::mutex mutex_;
  std::vector<std::shared_ptr<HttpReply>> waiting_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpBoundsTest, OneClientsConnectionsAndRequests) {
  HttpConfig config;
  config.client_connections = 4;
  config.client_requests = 2;
  start(config);
  const std::string never = "GET /never HTTP/1.1\r\nHost: x\r\n\r\n";
  const int one = open(never), two = open(never);
  wait_for([](const auto& counts) { return counts.requests == 2; });
  expect_refused(talk(server_->port(), get("/now")));  // a third that is being answered
  {
    std::lock_guard lock(mutex_);
    for (const auto& reply : waiting_) reply->send({200, "text/plain", "at last"});
  }
  ::close(two);
  wait_for([](const auto& counts) { return counts.connections == 1; });
  EXPECT_NE(talk(server_->port(), get("/now")).find("now"), std::string::npos);
  const int idle[] = {open(""), open(""), open("")};
  wait_for([](const auto& counts) { return counts.connections == 4; });
  expect_refused(talk(server_->port(), get("/now")));  // a fifth connection
  for (const int fd : idle) ::close(fd);
  ::close(one);
  wait_for([](const auto& counts) { return counts.connections == 0; });
  EXPECT_NE(talk(server_->port(), get("/now")).find("now"), std::string::npos);
  EXPECT_EQ(server_->counts().requests_refused, 2u);
}

TEST_F(HttpBoundsTest, OneClientsRateAndUnreadAnswers) {
  HttpConfig config;
  config.client_requests_per_s = 5;
  config.client_memory_bytes = 1u << 20;
  start(config);
  int answered = 0;
  for (int i = 0; i < 10; i++) answered += talk(server_->port(), get("/now")).starts_with("HTTP/1.1 200");
  EXPECT_GE(answered, 5);
  EXPECT_LT(answered, 10);
  expect_refused(talk(server_->port(), get("/now")));
  server_.reset();
  config.client_requests_per_s = 1000;
  config.client_memory_bytes = 100'000;
  start(config);
  const int small = 4096;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);  // it does not read
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::string asks;
  for (int i = 0; i < 200; i++) asks += "GET /much HTTP/1.1\r\nHost: x\r\n\r\n";
  ::send(fd, asks.data(), asks.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  std::string answer;
  for (int i = 0; i < 200 && !answer.starts_with("HTTP/1.1 429"); i++) {  // once the socket's buffers are full
    answer = talk(server_->port(), get("/now"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  expect_refused(answer);
  ::close(fd);
  for (int i = 0; i < 200 && !answer.starts_with("HTTP/1.1 200"); i++) answer = talk(server_->port(), get("/now"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
}

TEST_F(HttpBoundsTest, OneClientsBodies) {
  HttpConfig config;
  config.client_memory_bytes = 100'000;
  start(config);
  const auto post = [](size_t says, size_t sends) {
    return "POST /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(says) + "\r\n\r\n" + std::string(sends, 'b');
  };
  const auto answered = [&](size_t bytes) { return talk(server_->port(), post(bytes, bytes)); };
  EXPECT_NE(answered(100'000).find("now"), std::string::npos);
  wait_for([](const auto& counts) { return counts.bytes_held == 0; });
  expect_refused(answered(100'001));
  const int slow = open(post(90'000, 80'000));  // its rest does not come
  wait_for([](const auto& counts) { return counts.bytes_held == 80'000; });
  expect_refused(answered(50'000));
  EXPECT_NE(answered(10'000).find("now"), std::string::npos) << "as much as is left";
  ::close(slow);
  wait_for([](const auto& counts) { return counts.bytes_held == 0; });
  EXPECT_NE(answered(100'000).find("now"), std::string::npos);
}

TEST_F(HttpBoundsTest, TheSlowestGiveWayWhenAllConnectionsAreTaken) {
  HttpConfig config;
  config.connections_max = 16;
  start(config);
  std::vector<int> slow;
  for (int i = 0; i < 60; i++) {
    slow.push_back(open(i % 2 ? "" : "GET /now HTTP/1.1\r\nX: "));
    EXPECT_NE(talk(server_->port(), get("/now")).find("now"), std::string::npos) << i;
  }
  EXPECT_GE(server_->counts().connections_displaced, 44u);
  EXPECT_LE(server_->counts().connections, 17u);
  for (const int fd : slow) ::close(fd);
}

TEST(HttpServerTest, AWrongAddressIsAnError) {
  HttpConfig bad;
  bad.address = "not-an-address";
  auto second = HttpServer::start(bad, [](const HttpRequest&, std::shared_ptr<HttpReply>) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::invalid);
}

}  // namespace
}  // namespace cairn
