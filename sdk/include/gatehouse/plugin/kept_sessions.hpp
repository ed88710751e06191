// What the host remembers of an earlier process, to be read once before lanes run: so that no address is given away
// that a client holds who has not come back yet.
#pragma once

#include <gatehouse/plugin/host.hpp>

#include <chrono>
#include <functional>
#include <string_view>

namespace gatehouse {

/// Views that live during the call only.
struct KeptSession {
  std::uint64_t id = 0;            ///< the same as before
  std::string_view key;            ///< as the client gave it, or 32 bytes, the SHA-256 of an anonymous client's
  std::string_view identity;       ///< "token:bob", or ""
  Endpoint source;                 ///< where the client was last
  std::uint32_t blob_version = 0;  ///< of `blob`, the plugin's own number
  Bytes blob;                      ///< what was kept of it
};

/// Views that live during the call only.
struct KeptLease {
  std::string_view resource;         ///< as it was leased
  std::uint64_t session = 0;         ///< the holder's id
  std::chrono::sys_seconds until{};  ///< zero: until it is released or its session ends
};

/// [control], from start(): calls on_session for each of this plugin, then on_lease; neither may call the host. What
/// they throw goes through, after the rest was skipped. To serve one again, Session::open() it when its client comes:
/// the id will be the same.
void for_each_kept(const Host& host, const std::function<void(const KeptSession&)>& on_session,
                   const std::function<void(const KeptLease&)>& on_lease);

}  // namespace gatehouse
