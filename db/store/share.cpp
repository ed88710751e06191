#include "db/store/share.hpp"

#include <gatehouse/base/prefix.hpp>

namespace gatehouse::db {

std::string share_of(const SessionRecord& session) {
  if (!session.identity.empty()) return session.identity;
  const IpAddress address = session.source.address.unmapped();
  if (address.family() == Family::none) return {};
  return Prefix(address, address.is_v4() ? 32 : 64).to_string();
}

}  // namespace gatehouse::db
