#include <gatehouse/plugin/session.hpp>

#include <memory>

namespace gatehouse {
namespace {

/// A blob of no bytes is one, too; only no pointer is none.
gh_bytes border_blob(Bytes blob) noexcept {
  static constexpr std::uint8_t kNothing = 0;
  return {blob.empty() ? &kNothing : reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()};
}

}  // namespace

std::optional<Session> Session::open(const LaneContext& context, const SessionFacts& facts, gh_status& why,
                                     Completion durable) {
  gh_session session{};
  session.struct_size = sizeof session;
  session.blob_version = facts.blob_version;
  session.key = to_border(facts.key);
  session.identity = to_border(facts.identity);
  session.source = to_border(facts.source);
  session.blob = border_blob(facts.blob);
  const gh_sessions& sessions = context.host.sessions();
  CompletionScope scope(context.completions);
  why = scope.ask(std::move(durable), [&](const gh_completion* done) {
    return sessions.open(sessions.context, context.lane, &session, done);
  });
  if (why < 0) return {};
  return Session(context, session, facts, std::move(scope));
}

Session::Session(const LaneContext& context, const gh_session& opened, const SessionFacts& facts, CompletionScope scope)
    : host_(&context.host),
      lane_(context.lane),
      cells_(opened.cells),
      opening_(opened.opening),
      id_(opened.id),
      blob_version_(opened.blob_version),
      resumed_(opened.resumed != 0),
      ends_with_this_(facts.key.empty()),
      source_(facts.source),
      scope_(std::move(scope)) {
  if (!resumed_) return;
  const auto* const kept = reinterpret_cast<const std::byte*>(opened.blob.data);
  blob_.assign(kept, kept + opened.blob.size);
}

Session::Session(Session&& other) noexcept
    : host_(std::exchange(other.host_, nullptr)),
      lane_(other.lane_),
      cells_(other.cells_),
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

gh_status Session::touch(const Endpoint& source) {
  if (!is_mine()) return GH_E_STATE;
  source_ = source;
  gh_session session{};
  session.struct_size = sizeof session;
  session.id = id_;
  session.source = to_border(source);
  return host_->sessions().touch(host_->sessions().context, lane_, &session, nullptr);
}

gh_status Session::keep(std::uint32_t version, Bytes blob, Completion durable) {
  if (!is_mine()) return GH_E_STATE;
  gh_session session{};
  session.struct_size = sizeof session;
  session.id = id_;
  session.source = to_border(source_);
  session.blob_version = version;
  session.blob = border_blob(blob);
  const gh_sessions& sessions = host_->sessions();
  return scope_.ask(std::move(durable),
                    [&](const gh_completion* done) { return sessions.touch(sessions.context, lane_, &session, done); });
}

gh_status Session::lease(std::string_view resource, std::chrono::seconds time, Completion durable) {
  if (!is_mine()) return GH_E_STATE;
  gh_lease lease{};
  lease.struct_size = sizeof lease;
  lease.resource = to_border(resource);
  lease.session = id_;
  if (time != kWithSession)
    lease.expires_unix = static_cast<std::uint64_t>((host_->utc_now() + time).time_since_epoch().count());
  const gh_sessions& sessions = host_->sessions();
  return scope_.ask(std::move(durable),
                    [&](const gh_completion* done) { return sessions.lease(sessions.context, lane_, &lease, done); });
}

gh_status Session::release(std::string_view resource) {
  if (!is_mine()) return GH_E_STATE;
  return host_->sessions().release(host_->sessions().context, lane_, id_, to_border(resource));
}

void Session::end() noexcept {
  scope_.drop();
  if (is_mine()) host_->sessions().end(host_->sessions().context, lane_, id_);
}

}  // namespace gatehouse
