#include "gateway/store/live_session.hpp"

#include "gateway/base/sha256.hpp"

#include <cstring>

namespace gatehouse {

std::string public_id(const db::SessionRecord& session) {
  if (session.key.empty()) return std::to_string(session.id);
  Sha256 digest;
  if (session.identity.empty() && session.key.size() == digest.size()) {
    std::memcpy(digest.data(), session.key.data(), digest.size());  // it is one already
  } else {
    digest = sha256(session.key);
  }
  return to_hex(digest).substr(0, 8);
}

}  // namespace gatehouse
