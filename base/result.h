// Three kinds of failure: a rejection is expected and returned as `Result`; a fault (disk, device, socket) is thrown
// as `Fault` and caught in main() and at the job boundary; a bug is a failed CHECK, always compiled in.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace cairn {

// Stable error codes, listed in codes.def. The number is consensus, the text beside it is not.
enum class Code : uint16_t {
#define CODE(number, name, exit) name = number,
#include "base/codes.def"
#undef CODE
};

std::string_view name(Code code);
// Exit status of a program that ends with this code (1..9).
int exit_status(Code code);
bool is_valid(Code code);

struct Error {
  Code code;
  std::string text;  // one sentence: what happened, with the values that matter
  std::string next;  // what to do about it; may be empty inside the ledger

  // "code: text" and, when there is one, "  next: ..." on a second line.
  std::string message() const;
};

class Fault : public std::runtime_error {
 public:
  explicit Fault(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};

struct Ok {};

// A value or an Error; the subset of std::expected that g++ 12 lacks.
template <class T = Ok>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result() requires std::is_same_v<T, Ok> : state_(std::in_place_index<0>) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// The value, or the error thrown as a Fault: for places where a rejection cannot be expected.
template <class T>
T must(Result<T> result) {
  if (!result) throw Fault(result.error());
  return *std::move(result);
}

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace cairn

#include "base/check.h"

// Returns the error of `expression` from the enclosing function.
#define TRY(expression)                                                   \
  do {                                                                    \
    if (auto try_result_ = (expression); !try_result_) return try_result_.error(); \
  } while (false)

#define CAIRN_JOIN_(a, b) a##b
#define CAIRN_JOIN(a, b) CAIRN_JOIN_(a, b)
// Binds `name` to the value of `expression`, or returns its error.
#define TRY_LET(name, expression) TRY_LET_(CAIRN_JOIN(try_let_, __LINE__), name, expression)
#define TRY_LET_(temporary, name, expression)         \
  auto temporary = (expression);                      \
  if (!temporary) return temporary.error();           \
  auto name = *std::move(temporary)
