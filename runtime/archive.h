// Reads the zip of a .pt2: stored members only, every length checked, every member's CRC-32 compared.
//
//   file := member* directory_entry* end        APPNOTE.TXT 4.3, without compression, encryption, several disks, zip64
//
// Bytes come from strangers: any damage is `malformed`, never a read outside the file.
#pragma once

#include <map>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace cairn::runtime {

class Archive {
 public:
  // Keeps views into `file`, which must outlive it. Errors: malformed, limit (more than 100,000 members).
  static Result<Archive> open(ByteSpan file);

  const std::map<std::string, ByteSpan>& members() const { return members_; }
  bool has(const std::string& name) const { return members_.contains(name); }
  // Error: malformed, naming the member that a .pt2 should have.
  Result<ByteSpan> member(const std::string& name) const;

 private:
  std::map<std::string, ByteSpan> members_;
};

}  // namespace cairn::runtime
