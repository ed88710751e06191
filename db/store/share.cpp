#include "db/store/share.hpp"

#include <gatehouse/base/prefix.hpp>

namespace gatehouse::db {

namespace {

std::string counted_by(const SessionRecord& session, unsigned bits) {
  if (!session.identity.empty()) return session.identity;
  const IpAddress address = session.source.address.unmapped();
  if (address.family() == Family::none) return {};
  return Prefix(address, address.is_v4() ? 32 : bits).to_string();
}

}  // namespace

std::string share_of(const SessionRecord& session) { return counted_by(session, 64); }
std::string network_of(const SessionRecord& session) { return counted_by(session, 48); }

}  // namespace gatehouse::db
