#include <gatehouse/plugin/session_handle.hpp>

#include "kept_bytes.hpp"

namespace gatehouse {

gh_session SessionHandle::at(const Endpoint& source) const noexcept {
  gh_session out{};
  out.struct_size = sizeof out;
  out.id = id_;
  out.source = to_border(source);
  return out;
}

gh_status SessionHandle::touch(const Host& host, gh_lane* lane, const Endpoint& source, Expiry expires) const {
  if (!is_mine()) return GH_E_STATE;
  gh_session session = at(source);
  session.expires_unix = expires.to_border();
  return host.sessions().touch(host.sessions().context, lane, &session, nullptr);
}

gh_status SessionHandle::keep(const Host& host, gh_lane* lane, const Endpoint& source, std::uint32_t version,
                              Bytes blob, const gh_completion* durable) const {
  if (!is_mine()) return GH_E_STATE;
  gh_session session = at(source);
  session.blob_version = version;
  session.blob = kept_bytes(blob);
  return host.sessions().touch(host.sessions().context, lane, &session, durable);
}

void SessionHandle::end(const Host& host, gh_lane* lane) const noexcept {
  if (is_mine()) host.sessions().end(host.sessions().context, lane, id_);
}

Error SessionHandle::touch(const LaneContext& context, const Endpoint& source, Expiry expires) const {
  return to_error(touch(context.host, context.lane, source, expires));
}

Error SessionHandle::keep(const LaneContext& context, const Endpoint& source, std::uint32_t version, Bytes blob) const {
  return to_error(keep(context.host, context.lane, source, version, blob, nullptr));
}

void SessionHandle::end(const LaneContext& context) const noexcept { end(context.host, context.lane); }

}  // namespace gatehouse
