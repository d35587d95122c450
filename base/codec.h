// The canonical codec: one value has one encoding.
//
//   integer   := little-endian, fixed width        bool := 0 | 1
//   bytes     := length:u32 byte*                   (also strings)
//   vector    := count:u32 element*                 array := element*
//   optional  := 0 | 1 element                      variant := tag:u16 alternative   (tag = Alternative::kTag)
//   struct    := its fields in the order of fields()
//
// A struct lists its fields once:
//
//   static constexpr auto fields() { return std::tuple{field("to", &Transfer::to), field("amount", &Transfer::amount)}; }
//
// `decode` answers `malformed` for truncated, trailing, unknown or oversized input and never allocates more than a small
// multiple of the input's size. An enum is accepted when `is_valid(E)`, found by argument-dependent lookup, says so.
#pragma once

#include <array>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn {

__extension__ using u128 = unsigned __int128;

template <class Struct, class Member>
struct Field {
  const char* name;
  Member Struct::*member;
};

template <class Struct, class Member>
constexpr Field<Struct, Member> field(const char* name, Member Struct::*member) {
  return {name, member};
}

template <class T>
concept HasFields = requires { T::fields(); };

// Calls visit(name, member) for each field in order.
template <HasFields T, class Visit>
void for_each_field(T& value, Visit&& visit) {
  std::apply([&](auto... f) { (visit(f.name, value.*(f.member)), ...); }, std::remove_const_t<T>::fields());
}

class Writer {
 public:
  template <class T>
  void put(const T& value);
  void raw(ByteSpan bytes);
  Bytes take() { return std::move(out_); }

 private:
  template <class U>
  void integer(U value, size_t width) {
    for (size_t i = 0; i < width; i++) out_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  Bytes out_;
};

class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}
  template <class T>
  Result<> get(T& value);
  Result<ByteSpan> raw(size_t size) {
    if (size > bytes_.size()) return truncated();
    ByteSpan out = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return out;
  }
  size_t remaining() const { return bytes_.size(); }

 private:
  static Error truncated() { return {Code::malformed, "the encoding ends too early", "fetch it again"}; }
  template <class U>
  Result<> integer(U& value) {
    if (bytes_.size() < sizeof(U)) return truncated();
    value = 0;
    for (size_t i = 0; i < sizeof(U); i++) value = static_cast<U>(value | (static_cast<U>(bytes_[i]) << (8 * i)));
    bytes_ = bytes_.subspan(sizeof(U));
    return {};
  }
  ByteSpan bytes_;
};

template <class T>
Bytes encode(const T& value) {
  Writer writer;
  writer.put(value);
  return writer.take();
}

template <class T>
Result<T> decode(ByteSpan bytes) {
  Reader reader(bytes);
  T value{};
  TRY(reader.get(value));
  if (reader.remaining() != 0)
    return Error{Code::malformed, std::to_string(reader.remaining()) + " bytes follow the encoding", "fetch it again"};
  return value;
}

// ---- below: one case per kind of value, the two directions side by side ----

template <class T>
inline constexpr bool is_vector_v = false;
template <class T>
inline constexpr bool is_vector_v<std::vector<T>> = true;
template <class T>
inline constexpr bool is_array_v = false;
template <class T, size_t N>
inline constexpr bool is_array_v<std::array<T, N>> = true;
template <class T>
inline constexpr bool is_optional_v = false;
template <class T>
inline constexpr bool is_optional_v<std::optional<T>> = true;
template <class T>
inline constexpr bool is_variant_v = false;
template <class... T>
inline constexpr bool is_variant_v<std::variant<T...>> = true;
template <class T>
inline constexpr bool is_bytes32_v = false;
template <class T>
inline constexpr bool is_bytes32_v<Bytes32<T>> = true;

template <class T>
void Writer::put(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    out_.push_back(value ? 1 : 0);
  } else if constexpr (std::is_same_v<T, u128>) {
    integer(value, 16);
  } else if constexpr (std::is_integral_v<T>) {
    integer(static_cast<std::make_unsigned_t<T>>(value), sizeof(T));
  } else if constexpr (std::is_enum_v<T>) {
    put(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (is_bytes32_v<T>) {
    raw(value.span());
  } else if constexpr (std::is_same_v<T, std::string>) {
    put(static_cast<uint32_t>(value.size()));
    raw(as_bytes(value));
  } else if constexpr (std::is_same_v<T, Bytes>) {
    put(static_cast<uint32_t>(value.size()));
    raw(value);
  } else if constexpr (is_vector_v<T>) {
    put(static_cast<uint32_t>(value.size()));
    for (const auto& element : value) put(element);
  } else if constexpr (is_array_v<T>) {
    for (const auto& element : value) put(element);
  } else if constexpr (is_optional_v<T>) {
    put(value.has_value());
    if (value) put(*value);
  } else if constexpr (is_variant_v<T>) {
    std::visit(
        [&](const auto& alternative) {
          put(static_cast<uint16_t>(std::remove_cvref_t<decltype(alternative)>::kTag));
          put(alternative);
        },
        value);
  } else {
    static_assert(HasFields<T>, "a struct needs fields()");
    for_each_field(value, [&](const char*, const auto& member) { put(member); });
  }
}

namespace codec_detail {
template <class Variant, size_t I = 0>
Result<> get_alternative(Reader& reader, uint16_t tag, Variant& value) {
  if constexpr (I == std::variant_size_v<Variant>) {
    return Error{Code::malformed, "unknown tag " + std::to_string(tag), "update this program"};
  } else {
    using Alternative = std::variant_alternative_t<I, Variant>;
    if (tag != Alternative::kTag) return get_alternative<Variant, I + 1>(reader, tag, value);
    Alternative alternative{};
    TRY(reader.get(alternative));
    value = std::move(alternative);
    return {};
  }
}
}  // namespace codec_detail

template <class T>
Result<> Reader::get(T& value) {
  const auto count = [&]() -> Result<uint32_t> {
    uint32_t n = 0;
    TRY(integer(n));
    if (n > bytes_.size()) return truncated();  // every element takes at least one byte
    return n;
  };
  if constexpr (std::is_same_v<T, bool>) {
    uint8_t byte = 0;
    TRY(integer(byte));
    if (byte > 1) return Error{Code::malformed, "a boolean is neither 0 nor 1", "fetch it again"};
    value = byte == 1;
  } else if constexpr (std::is_same_v<T, u128>) {
    TRY(integer(value));
  } else if constexpr (std::is_integral_v<T>) {
    std::make_unsigned_t<T> bits = 0;
    TRY(integer(bits));
    value = static_cast<T>(bits);
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    TRY(get(number));
    value = static_cast<T>(number);
    if (!is_valid(value)) return Error{Code::malformed, "an enumeration has an unknown value", "update this program"};
  } else if constexpr (is_bytes32_v<T>) {
    TRY_LET(bytes, raw(32));
    value = *T::from(bytes);
  } else if constexpr (std::is_same_v<T, std::string>) {
    TRY_LET(n, count());
    TRY_LET(bytes, raw(n));
    value.assign(bytes.begin(), bytes.end());
  } else if constexpr (std::is_same_v<T, Bytes>) {
    TRY_LET(n, count());
    TRY_LET(bytes, raw(n));
    value.assign(bytes.begin(), bytes.end());
  } else if constexpr (is_vector_v<T>) {
    TRY_LET(n, count());
    value.clear();
    for (uint32_t i = 0; i < n; i++) {
      typename T::value_type element{};
      TRY(get(element));
      value.push_back(std::move(element));
    }
  } else if constexpr (is_array_v<T>) {
    for (auto& element : value) TRY(get(element));
  } else if constexpr (is_optional_v<T>) {
    bool present = false;
    TRY(get(present));
    value.reset();
    if (present) {
      typename T::value_type element{};
      TRY(get(element));
      value = std::move(element);
    }
  } else if constexpr (is_variant_v<T>) {
    uint16_t tag = 0;
    TRY(integer(tag));
    TRY(codec_detail::get_alternative(*this, tag, value));
  } else {
    static_assert(HasFields<T>, "a struct needs fields()");
    Result<> result;
    for_each_field(value, [&](const char*, auto& member) {
      if (result) result = get(member);
    });
    return result;
  }
  return {};
}

}  // namespace cairn

// The codec of a struct that many files read is compiled in one of them: the header says CODEC_ELSEWHERE(T) at its end, outside of
// namespaces, with T's name from `cairn` on; the file says CODEC_HERE(T).
#define CODEC_ELSEWHERE(T)                                \
  namespace cairn {                                       \
  extern template void Writer::put<T>(const T& value);    \
  extern template Result<> Reader::get<T>(T& value);      \
  }
#define CODEC_HERE(T)                              \
  namespace cairn {                                \
  template void Writer::put<T>(const T& value);    \
  template Result<> Reader::get<T>(T& value);      \
  }
