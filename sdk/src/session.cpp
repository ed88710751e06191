#include <gatehouse/plugin/session.hpp>

#include "kept_bytes.hpp"

#include <memory>

namespace gatehouse {
namespace {

gh_session border_session(const SessionFacts& facts) noexcept {
  gh_session out{};
  out.struct_size = sizeof out;
  out.blob_version = facts.blob_version;
  out.key = to_border(facts.key);
  out.identity = to_border(facts.identity);
  out.source = to_border(facts.source);
  out.blob = kept_bytes(facts.blob);
  out.expires_unix = facts.expires.to_border();
  return out;
}

std::vector<std::byte> copy_of(gh_bytes blob) {
  const auto* const begin = reinterpret_cast<const std::byte*>(blob.data);
  return {begin, begin + blob.size};
}

std::chrono::sys_seconds time_of(std::uint64_t unix) noexcept {
  return std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(unix)));
}

}  // namespace

Result<Session> Session::open(const LaneContext& context, const SessionFacts& facts, Completion durable) {
  gh_session session = border_session(facts);
  const gh_sessions& sessions = context.host.sessions();
  CompletionScope scope(context.completions);
  const gh_status status = scope.ask(std::move(durable), [&](const gh_completion* done) {
    return sessions.open(sessions.context, context.lane, &session, done);
  });
  if (status < 0) return to_error(status);
  return Session(context, session, facts.key.empty(), std::move(scope));
}

Result<FoundSession> Session::find(const LaneContext& context, const SessionFacts& facts, CompletionScope& scope,
                                   Completion later) {
  gh_session session = border_session(facts);
  const gh_sessions& sessions = context.host.sessions();
  const gh_status status = scope.ask_later(std::move(later), [&](const gh_completion* done) {
    return sessions.find(sessions.context, context.lane, &session, done);
  });
  if (const Error failure = to_error(status)) return failure;
  FoundSession out;
  out.id = session.id;
  if (session.lane != UINT32_MAX) out.lane = session.lane;
  out.last_seen = time_of(session.last_seen_unix);
  if (session.expires_unix != GH_EXPIRY_NEVER) out.expires = time_of(session.expires_unix);
  out.blob_version = session.blob_version;
  out.blob = copy_of(session.blob);
  return out;
}

Result<Session> Session::adopt(const LaneContext& context, std::uint64_t id) {
  gh_session session{};
  session.struct_size = sizeof session;
  session.id = id;
  const gh_sessions& sessions = context.host.sessions();
  if (const Error failure = to_error(sessions.adopt(sessions.context, context.lane, &session))) return failure;
  return Session(context, session, session.key.size == 0, CompletionScope(context.completions));
}

Session::Session(const LaneContext& context, const gh_session& opened, bool ends_with_this, CompletionScope scope)
    : host_(&context.host),
      lane_(context.lane),
      handle_(opened),
      blob_version_(opened.blob_version),
      resumed_(opened.resumed != 0),
      ends_with_this_(ends_with_this),
      source_(from_border(opened.source)),
      scope_(std::move(scope)) {
  if (resumed_) blob_ = std::make_unique<std::vector<std::byte>>(copy_of(opened.blob));
}

Session::Session(Session&& other) noexcept
    : host_(std::exchange(other.host_, nullptr)),
      lane_(other.lane_),
      handle_(other.handle_),
      counts_(other.counts_),
      blob_version_(other.blob_version_),
      resumed_(other.resumed_),
      ends_with_this_(other.ends_with_this_),
      source_(other.source_),
      blob_(std::move(other.blob_)),
      scope_(std::move(other.scope_)) {}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

Session::~Session() {
  if (host_ != nullptr && ends_with_this_) end();
}

Error Session::want_counts() noexcept {
  const gh_sessions& sessions = host_->sessions();
  return to_error(sessions.counts(sessions.context, lane_, id(), &counts_));
}

Error Session::touch(const Endpoint& source, Expiry expires) {
  source_ = source;
  return to_error(handle_.touch(*host_, lane_, source, expires));
}

Error Session::keep(std::uint32_t version, Bytes blob, Completion durable) {
  return to_error(scope_.ask(std::move(durable), [&](const gh_completion* done) {
    return handle_.keep(*host_, lane_, source_, version, blob, done);
  }));
}

Error Session::lease(std::string_view resource, std::chrono::seconds time, Completion durable) {
  if (!is_mine()) return Errc::wrong_state;
  gh_lease lease{};
  lease.struct_size = sizeof lease;
  lease.resource = to_border(resource);
  lease.session = id();
  if (time != kWithSession)
    lease.expires_unix = static_cast<std::uint64_t>((host_->utc_now() + time).time_since_epoch().count());
  const gh_sessions& sessions = host_->sessions();
  return to_error(scope_.ask(std::move(durable), [&](const gh_completion* done) {
    return sessions.lease(sessions.context, lane_, &lease, done);
  }));
}

Error Session::release(std::string_view resource) {
  if (!is_mine()) return Errc::wrong_state;
  return to_error(host_->sessions().release(host_->sessions().context, lane_, id(), to_border(resource)));
}

void Session::end() noexcept {
  scope_.drop();
  handle_.end(*host_, lane_);
}

}  // namespace gatehouse
