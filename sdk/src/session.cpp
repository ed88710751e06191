#include <gatehouse/plugin/session.hpp>

#include <memory>

namespace gatehouse {
namespace {

/// A blob of no bytes is one, too; only no pointer is none.
gh_bytes border_blob(Bytes blob) noexcept {
  static constexpr std::uint8_t kNothing = 0;
  return {blob.empty() ? &kNothing : reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()};
}

gh_session border_session(const SessionFacts& facts) noexcept {
  gh_session out{};
  out.struct_size = sizeof out;
  out.blob_version = facts.blob_version;
  out.key = to_border(facts.key);
  out.identity = to_border(facts.identity);
  out.source = to_border(facts.source);
  out.blob = border_blob(facts.blob);
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
      cells_(opened.cells),
      opening_(opened.opening),
      id_(opened.id),
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
      cells_(other.cells_),
      counts_(other.counts_),
      opening_(other.opening_),
      id_(other.id_),
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
  return to_error(sessions.counts(sessions.context, lane_, id_, &counts_));
}

Error Session::touch(const Endpoint& source, Expiry expires) {
  if (!is_mine()) return Errc::wrong_state;
  source_ = source;
  gh_session session{};
  session.struct_size = sizeof session;
  session.id = id_;
  session.source = to_border(source);
  session.expires_unix = expires.to_border();
  return to_error(host_->sessions().touch(host_->sessions().context, lane_, &session, nullptr));
}

Error Session::keep(std::uint32_t version, Bytes blob, Completion durable) {
  if (!is_mine()) return Errc::wrong_state;
  gh_session session{};
  session.struct_size = sizeof session;
  session.id = id_;
  session.source = to_border(source_);
  session.blob_version = version;
  session.blob = border_blob(blob);
  const gh_sessions& sessions = host_->sessions();
  return to_error(scope_.ask(std::move(durable), [&](const gh_completion* done) {
    return sessions.touch(sessions.context, lane_, &session, done);
  }));
}

Error Session::lease(std::string_view resource, std::chrono::seconds time, Completion durable) {
  if (!is_mine()) return Errc::wrong_state;
  gh_lease lease{};
  lease.struct_size = sizeof lease;
  lease.resource = to_border(resource);
  lease.session = id_;
  if (time != kWithSession)
    lease.expires_unix = static_cast<std::uint64_t>((host_->utc_now() + time).time_since_epoch().count());
  const gh_sessions& sessions = host_->sessions();
  return to_error(scope_.ask(std::move(durable), [&](const gh_completion* done) {
    return sessions.lease(sessions.context, lane_, &lease, done);
  }));
}

Error Session::release(std::string_view resource) {
  if (!is_mine()) return Errc::wrong_state;
  return to_error(host_->sessions().release(host_->sessions().context, lane_, id_, to_border(resource)));
}

void Session::end() noexcept {
  scope_.drop();
  if (is_mine()) host_->sessions().end(host_->sessions().context, lane_, id_);
}

}  // namespace gatehouse
