#include "gateway/services/sessions.hpp"

#include "gateway/base/border.hpp"
#include "gateway/base/lane.hpp"
#include "gateway/base/sha256.hpp"

#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestKey = 255;
constexpr std::size_t kShortestSecret = 32;
constexpr std::size_t kLargestBlob = 4096;
constexpr std::size_t kLongestResource = 255;

/// What a call came to.
struct Asked {
  gh_status status;
  bool is_new;
};

std::shared_ptr<const db::ByteString> blob_of(gh_bytes blob) {
  if (blob.data == nullptr) return nullptr;
  return std::make_shared<const db::ByteString>(blob.data, blob.data + blob.size);
}

}  // namespace

PluginSessions::PluginSessions(std::shared_ptr<SessionTable> all, std::string plugin, UnixClock clock)
    : all_(std::move(all)), plugin_(std::move(plugin)), clock_(clock) {
  table_ = {
      .struct_size = sizeof(gh_sessions),
      .reserved = 0,
      .context = this,
      .open = [](void* context, gh_lane* lane, gh_session* session,
                 const gh_completion* durable) { return of(context).open(lane, *session, durable); },
      .touch = [](void* context, gh_lane*, const gh_session* session,
                  const gh_completion* durable) { return of(context).touch(*session, durable); },
      .end = [](void* context, gh_lane*,
                std::uint64_t id) { return of(context).all_->end(of(context).plugin_, id, of(context).clock_()); },
      .lease = [](void* context, gh_lane*, const gh_lease* lease,
                  const gh_completion* durable) { return of(context).lease(*lease, durable); },
      .release =
          [](void* context, gh_lane*, std::uint64_t session, gh_bytes resource) {
            return of(context).all_->release(of(context).plugin_, text_of(resource), session);
          },
      .for_each = [](void* context, Visit visit, VisitLease visit_lease, void* visitor) -> gh_status {
        of(context).for_each(visit, visit_lease, visitor);
        return GH_OK;
      },
      .find = [](void*, gh_lane*, gh_session*, const gh_completion*) -> gh_status { return GH_E_UNSUPPORTED; },
      .adopt = [](void*, gh_lane*, gh_session*) -> gh_status { return GH_E_UNSUPPORTED; }};
}

PluginSessions::~PluginSessions() {
  requester_->close();
  all_->end_all_of(this, clock_());
}

/// Calls work(ticket), which returns the status and whether something new is asked for.
template <class Work>
gh_status PluginSessions::durably(const gh_completion* durable, Work work) {
  Durability& durability = *all_->durability();
  Durability::Ticket ticket = 0;
  try {
    ticket = durability.await(requester_, durable);
    const auto [status, is_new] = work(ticket);
    if (status == GH_OK) {
      durability.arm(ticket, is_new);
    } else {
      durability.cancel(ticket);
    }
    return status;
  } catch (...) {  // out of memory
    durability.cancel(ticket);
    return GH_E_FAILED;
  }
}

gh_status PluginSessions::open(gh_lane* lane, gh_session& session, const gh_completion* durable) {
  const bool anonymous = session.identity.size == 0;
  if (session.key.size > kLongestKey || session.blob.size > kLargestBlob) return GH_E_INVALID;
  if (anonymous && session.key.size != 0 && session.key.size < kShortestSecret) return GH_E_INVALID;
  return durably(durable, [&](Durability::Ticket ticket) -> Asked {
    Sha256 digest;
    std::string_view key = text_of(session.key);
    if (anonymous && !key.empty()) {
      digest = sha256(key);
      key = {reinterpret_cast<const char*>(digest.data()), digest.size()};
    }
    SessionTable::Opened opened = all_->open({.plugin = plugin_,
                                              .key = key,
                                              .identity = text_of(session.identity),
                                              .source = endpoint_of(session.source),
                                              .blob_version = session.blob_version,
                                              .blob = blob_of(session.blob),
                                              .owner = this,
                                              .now = clock_()},
                                             ticket);
    if (opened.status != GH_OK) return {opened.status, true};
    session.id = opened.id;
    session.cells = opened.cells;
    session.opening = opened.opening;
    session.resumed = opened.resumed ? 1 : 0;
    if (opened.resumed) {
      std::shared_ptr<const db::ByteString>& lent = HostLane::of(lane).session_blob;
      lent = std::move(opened.blob);
      session.blob = lent ? gh_bytes{lent->data(), lent->size()} : gh_bytes{nullptr, 0};
      session.blob_version = opened.blob_version;
    }
    return {GH_OK, !opened.resumed};
  });
}

gh_status PluginSessions::touch(const gh_session& session, const gh_completion* durable) {
  if (session.blob.size > kLargestBlob) return GH_E_INVALID;
  return durably(durable, [&](Durability::Ticket ticket) -> Asked {
    return {all_->touch(plugin_, session.id, endpoint_of(session.source), clock_(), blob_of(session.blob),
                        session.blob_version, ticket),
            false};
  });
}

gh_status PluginSessions::lease(const gh_lease& lease, const gh_completion* durable) {
  if (lease.resource.size == 0 || lease.resource.size > kLongestResource) return GH_E_INVALID;
  if (lease.expires_unix > INT64_MAX) return GH_E_INVALID;
  return durably(durable, [&](Durability::Ticket ticket) -> Asked {
    const LeaseTable::Taken taken = all_->lease(plugin_, text_of(lease.resource), lease.session, clock_(),
                                                static_cast<std::int64_t>(lease.expires_unix), ticket);
    return {taken.status, !taken.renewed};
  });
}

void PluginSessions::for_each(Visit visit, VisitLease visit_lease, void* visitor) const {
  all_->for_each([&](const SessionTable::Copy& copy) {
    const db::SessionRecord& record = copy.record;
    if (record.plugin != plugin_) return;
    gh_session session{};
    session.struct_size = sizeof session;
    session.blob_version = record.blob_version;
    session.key = border_bytes(record.key);
    session.identity = border_bytes(record.identity);
    session.source = border_endpoint(record.source);
    if (record.blob) session.blob = {record.blob->data(), record.blob->size()};
    session.id = record.id;
    session.cells = copy.cells;
    session.opening = copy.opening;
    visit(visitor, &session);
  });
  for (const db::LeaseRecord& lease : all_->leases().rows()) {
    if (lease.key.plugin != plugin_) continue;
    const gh_lease out{sizeof(gh_lease), 0, border_bytes(lease.key.resource), lease.session,
                       static_cast<std::uint64_t>(lease.expires_at)};
    visit_lease(visitor, &out);
  }
}

}  // namespace gatehouse
