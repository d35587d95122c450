#include "base/http_client.h"

#include <curl/curl.h>

namespace cairn {
namespace {

struct Answering {
  std::string text;
  size_t max_bytes;
};

size_t collect(char* data, size_t size, size_t count, void* into) {
  auto& out = *static_cast<Answering*>(into);
  if (out.text.size() + size * count > out.max_bytes) return 0;
  out.text.append(data, size * count);
  return size * count;
}

}  // namespace

HttpClient::HttpClient() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(ready == CURLE_OK);
  handle_ = curl_easy_init();
  CHECK(handle_ != nullptr);
}
HttpClient::~HttpClient() { curl_easy_cleanup(handle_); }

Result<HttpAnswer> HttpClient::ask(const HttpQuestion& question) {
  CURL* curl = handle_;
  const std::string socket = question.socket.string();
  Answering answering{{}, question.answer_max_bytes};
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, question.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  if (!socket.empty()) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(question.connect_ms));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(question.timeout_ms));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answering);
  curl_slist* headers = nullptr;
  if (question.body) {
    headers = curl_slist_append(headers, ("Content-Type: " + question.content_type).c_str());
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(question.body->size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, reinterpret_cast<const char*>(question.body->data()));
  }
  const CURLcode done = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  if (done != CURLE_OK)
    return Error{Code::unreachable, question.url + " does not answer: " + curl_easy_strerror(done), "see that it runs, and that the address is right"};
  HttpAnswer out;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out.status);
  out.body = std::move(answering.text);
  return out;
}

}  // namespace cairn
