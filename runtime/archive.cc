#include "runtime/archive.h"

#include <array>

namespace cairn::runtime {
namespace {

constexpr size_t kEndBytes = 22, kEntryBytes = 46, kMemberBytes = 30;
constexpr size_t kMaxComment = 65'535, kMaxMembers = 100'000;

Error damaged(std::string what) {
  return {Code::malformed, "the program file is no stored zip: " + what, "export it again with torch.export.save"};
}

uint32_t number(ByteSpan at, size_t offset, size_t width) {  // the caller has checked the range
  uint32_t value = 0;
  for (size_t i = 0; i < width; i++) value |= static_cast<uint32_t>(at[offset + i]) << (8 * i);
  return value;
}

uint32_t crc32(ByteSpan bytes) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      table[i] = c;
    }
    return table;
  }();
  uint32_t crc = ~0u;
  for (const uint8_t byte : bytes) crc = kTable[(crc ^ byte) & 0xFF] ^ (crc >> 8);
  return ~crc;
}

// `length` bytes at `offset`, or nullopt when they are not all there.
std::optional<ByteSpan> slice(ByteSpan file, uint64_t offset, uint64_t length) {
  if (offset > file.size() || length > file.size() - offset) return std::nullopt;
  return file.subspan(offset, length);
}

std::optional<size_t> find_end(ByteSpan file) {
  if (file.size() < kEndBytes) return std::nullopt;
  const size_t last = file.size() - kEndBytes;
  for (size_t back = 0; back <= std::min(last, kMaxComment); back++)
    if (number(file, last - back, 4) == 0x06054b50 && number(file, last - back + 20, 2) == back) return last - back;
  return std::nullopt;
}

}  // namespace

Result<Archive> Archive::open(ByteSpan file) {
  const auto end = find_end(file);
  if (!end) return damaged("it has no end record");
  const uint32_t count = number(file, *end + 10, 2);
  uint64_t at = number(file, *end + 16, 4);
  if (count == 0xFFFF || at == 0xFFFFFFFF)
    return Error{Code::limit, "the program file is a zip64 of 4 GiB or more", "export on the meta device; bring weights as safetensors"};
  if (count > kMaxMembers) return Error{Code::limit, "the program file has too many members", "bring a file that torch.export.save wrote"};

  Archive archive;
  uint64_t room = file.size();
  for (uint32_t i = 0; i < count; i++) {
    const auto entry = slice(file, at, kEntryBytes);
    if (!entry || number(*entry, 0, 4) != 0x02014b50) return damaged("its directory is cut or damaged");
    const uint32_t flags = number(*entry, 8, 2), method = number(*entry, 10, 2), crc = number(*entry, 16, 4);
    const uint64_t packed = number(*entry, 20, 4), size = number(*entry, 24, 4);
    const uint64_t name_bytes = number(*entry, 28, 2), extra = number(*entry, 30, 2), comment = number(*entry, 32, 2);
    const uint64_t start = number(*entry, 42, 4);
    const auto name = slice(file, at + kEntryBytes, name_bytes);
    if (!name) return damaged("a member's name is cut");
    const std::string text(name->begin(), name->end());
    if (method != 0 || packed != size || (flags & 1)) return damaged("member " + text + " is compressed or encrypted");
    const auto header = slice(file, start, kMemberBytes);
    if (!header || number(*header, 0, 4) != 0x04034b50) return damaged("member " + text + " has no header");
    const auto data = slice(file, start + kMemberBytes + number(*header, 26, 2) + number(*header, 28, 2), size);
    if (!data) return damaged("member " + text + " is cut");
    if (size > room) return damaged("its members lie on each other");
    room -= size;
    if (crc32(*data) != crc) return damaged("the bytes of member " + text + " do not match their checksum");
    if (!archive.members_.emplace(text, *data).second) return damaged("member " + text + " is there twice");
    at += kEntryBytes + name_bytes + extra + comment;
  }
  return archive;
}

Result<ByteSpan> Archive::member(const std::string& name) const {
  const auto found = members_.find(name);
  if (found == members_.end()) return damaged("member " + name + " is missing");
  return found->second;
}

}  // namespace cairn::runtime
