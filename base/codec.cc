#include "base/codec.h"

namespace cairn {

// Not inline: g++ 12 warns of its own vector where it can see all of a short encoding.
void Writer::raw(ByteSpan bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

}  // namespace cairn
