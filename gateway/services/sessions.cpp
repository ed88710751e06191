#include "gateway/services/sessions.hpp"

#include "gateway/base/lane.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/services/durably.hpp"

#include <gatehouse/plugin/border.hpp>

#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestKey = 255;
constexpr std::size_t kShortestSecret = 32;
constexpr std::size_t kLargestBlob = 4096;
constexpr std::size_t kLongestResource = 255;

std::shared_ptr<const db::ByteString> blob_of(gh_bytes blob) {
  if (blob.data == nullptr) return nullptr;
  return std::make_shared<const db::ByteString>(blob.data, blob.data + blob.size);
}

/// What a session is found by: the client's key, or of an anonymous client's its SHA-256.
class SessionKey {
 public:
  explicit SessionKey(const gh_session& session)
      : given_(from_border(session.key)), is_secret_(session.identity.size == 0) {
    if (is_secret_ && !given_.empty()) digest_ = sha256(given_);
  }
  [[nodiscard]] bool is_valid() const noexcept {
    return given_.size() <= kLongestKey && (!is_secret_ || given_.empty() || given_.size() >= kShortestSecret);
  }
  [[nodiscard]] std::string_view kept() const noexcept {
    if (!is_secret_ || given_.empty()) return given_;
    return {reinterpret_cast<const char*>(digest_.data()), digest_.size()};
  }

 private:
  std::string_view given_;
  bool is_secret_;
  Sha256 digest_{};
};

/// Writes what the host sets. The blob is lent until the next call of this lane.
void fill(SessionTable::Opened opened, gh_lane* lane, gh_session& session) {
  session.id = opened.id;
  session.cells = opened.cells;
  session.opening = opened.opening;
  session.resumed = opened.resumed ? 1 : 0;
  session.last_seen_unix = static_cast<std::uint64_t>(opened.last_seen_at);
  session.lane = opened.lane;
  session.expires_unix = opened.expires_at == 0 ? GH_EXPIRY_NEVER : static_cast<std::uint64_t>(opened.expires_at);
  if (!opened.resumed) return;
  std::shared_ptr<const db::ByteString>& lent = HostLane::of(lane).session_blob;
  lent = std::move(opened.blob);
  session.blob = lent ? gh_bytes{lent->data(), lent->size()} : gh_bytes{nullptr, 0};
  session.blob_version = opened.blob_version;
}

}  // namespace

PluginSessions::PluginSessions(std::shared_ptr<SessionTable> all, std::string plugin, UnixClock clock)
    : all_(std::move(all)), plugin_(std::move(plugin)), clock_(clock) {
  table_ = {
      .struct_size = sizeof(gh_sessions),
      .reserved = 0,
      .context = this,
      .open =
          [](void* context, gh_lane* lane, gh_session* session, const gh_completion* durable) noexcept {
            return guarded([&] { return of(context).open(lane, *session, durable); });
          },
      .touch =
          [](void* context, gh_lane*, const gh_session* session, const gh_completion* durable) noexcept {
            return guarded([&] { return of(context).touch(*session, durable); });
          },
      .end =
          [](void* context, gh_lane*, std::uint64_t id) noexcept {
            return guarded([&] { return of(context).all_->end(of(context).plugin_, id, of(context).clock_()); });
          },
      .lease =
          [](void* context, gh_lane*, const gh_lease* lease, const gh_completion* durable) noexcept {
            return guarded([&] { return of(context).lease(*lease, durable); });
          },
      .release =
          [](void* context, gh_lane*, std::uint64_t session, gh_bytes resource) noexcept {
            return guarded(
                [&] { return of(context).all_->release(of(context).plugin_, from_border(resource), session); });
          },
      .for_each =
          [](void* context, Visit visit, VisitLease visit_lease, void* visitor) noexcept {
            return guarded([&]() -> gh_status {
              of(context).for_each(visit, visit_lease, visitor);
              return GH_OK;
            });
          },
      .find = [](void* context, gh_lane* lane, gh_session* session,
                 const gh_completion*) noexcept { return guarded([&] { return of(context).find(lane, *session); }); },
      .adopt = [](void* context, gh_lane* lane,
                  gh_session* session) noexcept { return guarded([&] { return of(context).adopt(lane, *session); }); },
      .counts =
          [](void* context, gh_lane*, std::uint64_t id, std::uint64_t** out) noexcept {
            return guarded([&] { return of(context).all_->counts_of(of(context).plugin_, id, out); });
          }};
}

PluginSessions::~PluginSessions() {
  requester_->close();
  all_->end_all_of(this, clock_());
}

gh_status PluginSessions::open(gh_lane* lane, gh_session& session, const gh_completion* durable) {
  if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
  const SessionKey key(session);
  if (!key.is_valid() || session.blob.size > kLargestBlob) return GH_E_INVALID;
  return durably(*all_->durability(), requester_, durable, [&](Durability::Ticket ticket) -> Asked {
    SessionTable::Opened opened = all_->open({.plugin = plugin_,
                                              .key = key.kept(),
                                              .identity = from_border(session.identity),
                                              .source = from_border(session.source),
                                              .blob_version = session.blob_version,
                                              .blob = blob_of(session.blob),
                                              .owner = this,
                                              .lane = lane->index,
                                              .now = clock_(),
                                              .expires_at = session.expires_unix},
                                             ticket);
    if (opened.status != GH_OK) return {opened.status, true};
    const bool is_new = !opened.resumed;
    fill(std::move(opened), lane, session);
    return {GH_OK, is_new};
  });
}

gh_status PluginSessions::find(gh_lane* lane, gh_session& session) const {
  if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
  const SessionKey key(session);
  if (!key.is_valid() || key.kept().empty()) return GH_E_INVALID;
  SessionTable::Opened found = all_->find({.plugin = plugin_,
                                           .key = key.kept(),
                                           .identity = from_border(session.identity),
                                           .owner = this,
                                           .now = clock_()});
  const gh_status status = found.status;
  if (status == GH_OK) fill(std::move(found), lane, session);
  return status;
}

/// The views of key and identity go with the blob: until the lane's next call.
gh_status PluginSessions::adopt(gh_lane* lane, gh_session& session) {
  if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
  SessionTable::Adopted adopted = all_->adopt(plugin_, session.id, this, lane->index, clock_());
  if (adopted.opened.status != GH_OK) return adopted.opened.status;
  HostLane& mine = HostLane::of(lane);
  mine.session_key = std::move(adopted.key);
  mine.session_identity = std::move(adopted.identity);
  session.key = to_border(mine.session_key);
  session.identity = to_border(mine.session_identity);
  session.source = to_border(adopted.source);
  fill(std::move(adopted.opened), lane, session);
  return GH_OK;
}

gh_status PluginSessions::touch(const gh_session& session, const gh_completion* durable) {
  if (session.struct_size < GH_SIZE_1_0(gh_session) || session.blob.size > kLargestBlob) return GH_E_INVALID;
  return durably(*all_->durability(), requester_, durable, [&](Durability::Ticket ticket) -> Asked {
    return {all_->touch(plugin_, session.id,
                        {.source = from_border(session.source),
                         .now = clock_(),
                         .blob = blob_of(session.blob),
                         .blob_version = session.blob_version,
                         .expires_at = session.expires_unix},
                        ticket),
            false};
  });
}

gh_status PluginSessions::lease(const gh_lease& lease, const gh_completion* durable) {
  if (lease.struct_size < GH_SIZE_1_0(gh_lease)) return GH_E_INVALID;
  if (lease.resource.size == 0 || lease.resource.size > kLongestResource) return GH_E_INVALID;
  if (lease.expires_unix > INT64_MAX) return GH_E_INVALID;
  return durably(*all_->durability(), requester_, durable, [&](Durability::Ticket ticket) -> Asked {
    const LeaseTable::Taken taken = all_->lease(plugin_, from_border(lease.resource), lease.session, clock_(),
                                                static_cast<std::int64_t>(lease.expires_unix), ticket);
    return {taken.status, !taken.renewed};
  });
}

void PluginSessions::for_each(Visit visit, VisitLease visit_lease, void* visitor) const {
  const std::int64_t now = all_->reading(clock_()).believed;
  all_->for_each(SessionTable::Blobs::with, [&](const SessionTable::Copy& copy) {
    const db::SessionRecord& record = copy.record;
    if (record.plugin != plugin_ || (record.expires_at != 0 && record.expires_at <= now)) return;
    gh_session session{};
    session.struct_size = sizeof session;
    session.blob_version = record.blob_version;
    session.key = to_border(record.key);
    session.identity = to_border(record.identity);
    session.source = to_border(record.source);
    if (record.blob) session.blob = {record.blob->data(), record.blob->size()};
    session.id = record.id;
    session.cells = copy.cells;
    session.opening = copy.opening;
    session.last_seen_unix = static_cast<std::uint64_t>(record.last_seen_at);
    session.expires_unix = record.expires_at == 0 ? GH_EXPIRY_NEVER : static_cast<std::uint64_t>(record.expires_at);
    session.resumed = 1;
    session.lane = UINT32_MAX;
    visit(visitor, &session);
  });
  for (const db::LeaseRecord& lease : all_->leases().rows()) {
    if (lease.key.plugin != plugin_) continue;
    const gh_lease out{sizeof(gh_lease), 0, to_border(lease.key.resource), lease.session,
                       static_cast<std::uint64_t>(lease.expires_at)};
    visit_lease(visitor, &out);
  }
}

}  // namespace gatehouse
