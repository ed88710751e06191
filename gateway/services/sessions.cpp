#include "gateway/services/sessions.hpp"

#include "gateway/base/border.hpp"
#include "gateway/plugin/lane.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestKey = 255;
constexpr std::size_t kLargestBlob = 65536;
constexpr std::size_t kLongestResource = 255;

using SystemClock = std::chrono::system_clock;

std::uint64_t unix_now() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(SystemClock::now().time_since_epoch()).count());
}

gh_status complete(const gh_completion* durable, gh_status status) {
  if (status == GH_OK && durable != nullptr && durable->done != nullptr) {
    durable->done(durable->context, durable->token, GH_OK);
  }
  return status;
}

void set_blob(std::vector<std::uint8_t>& to, gh_bytes blob) {
  if (blob.data != nullptr) to.assign(blob.data, blob.data + blob.size);
}

}  // namespace

std::vector<SessionRow> SessionTable::rows() const {
  const std::scoped_lock lock(mutex_);
  std::vector<SessionRow> out;
  std::map<std::uint64_t, std::vector<std::string>> leases;
  for (const auto& [key, lease] : leases_) leases[lease.session].push_back(key.second);
  for (const auto& [id, record] : sessions_) {
    out.push_back(record.row);
    out.back().leases = leases[id];
  }
  return out;
}

std::size_t SessionTable::count(std::string_view plugin) const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      sessions_.begin(), sessions_.end(), [plugin](const auto& entry) { return entry.second.row.plugin == plugin; }));
}

void SessionTable::erase(std::uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  if (!found->second.index.empty()) by_key_.erase(found->second.index);
  sessions_.erase(found);
  std::erase_if(leases_, [id](const auto& entry) { return entry.second.session == id; });
}

PluginSessions::PluginSessions(std::shared_ptr<SessionTable> all, std::string plugin)
    : all_(std::move(all)), plugin_(std::move(plugin)) {
  table_ = {sizeof(gh_sessions),
            0,
            this,
            [](void* context, gh_lane* lane, gh_session* session, const gh_completion* durable) {
              return complete(durable, of(context).open(lane, *session));
            },
            [](void* context, gh_lane*, const gh_session* session, const gh_session_counters* counters) {
              return of(context).update(*session, counters);
            },
            [](void* context, gh_lane*, std::uint64_t id) { return of(context).close(id); },
            [](void* context, gh_lane*, const gh_lease* lease, const gh_completion* durable) {
              return complete(durable, of(context).lease(*lease));
            },
            [](void* context, gh_lane*, gh_bytes resource) { return of(context).release(resource); },
            [](void* context, Visit visit, VisitLease visit_lease, void* visitor) -> gh_status {
              of(context).for_each(visit, visit_lease, visitor);
              return GH_OK;
            }};
}

PluginSessions::~PluginSessions() {
  const std::scoped_lock lock(all_->mutex_);
  std::vector<std::uint64_t> mine;
  for (const auto& [id, record] : all_->sessions_) {
    if (record.owner == this) mine.push_back(id);
  }
  for (const std::uint64_t id : mine) all_->erase(id);
}

SessionTable::Record* PluginSessions::find(std::uint64_t id) {
  const auto found = all_->sessions_.find(id);
  return found != all_->sessions_.end() && found->second.row.plugin == plugin_ ? &found->second : nullptr;
}

gh_status PluginSessions::open(gh_lane* lane, gh_session& session) {
  if (session.key.size > kLongestKey || session.blob.size > kLargestBlob) return GH_E_INVALID;
  const std::string_view key = text_of(session.key), identity = text_of(session.identity);
  const Sha256 digest = sha256(key);
  const std::string_view secret(reinterpret_cast<const char*>(digest.data()), digest.size());
  std::string index = key.empty() ? "" : plugin_ + '\0' + std::string(identity) + '\0' + std::string(secret);
  std::vector<std::uint8_t>& lent = HostLane::of(lane).session_blob;

  const std::scoped_lock lock(all_->mutex_);
  const auto known = index.empty() ? all_->by_key_.end() : all_->by_key_.find(index);
  const SystemClock::time_point now = SystemClock::now();
  if (known != all_->by_key_.end()) {
    SessionTable::Record& record = all_->sessions_.at(known->second);
    record.row.source = endpoint_of(session.source);
    record.row.last_seen_at = now;
    lent = record.blob;
    session.blob = {lent.data(), lent.size()};
    session.blob_version = record.blob_version;
    session.id = record.row.id;
    return GH_OK;
  }
  SessionTable::Record record;
  record.row.id = session.id = ++all_->last_id_;
  record.row.public_id = key.empty() ? std::to_string(session.id) : to_hex(digest).substr(0, 8);
  record.row.plugin = plugin_;
  record.row.identity = identity;
  record.row.source = endpoint_of(session.source);
  record.row.created_at = record.row.last_seen_at = now;
  record.key = identity.empty() && !key.empty() ? secret : key;
  record.index = index;
  record.blob_version = session.blob_version;
  set_blob(record.blob, session.blob);
  record.owner = key.empty() ? this : nullptr;
  if (!index.empty()) all_->by_key_.emplace(std::move(index), session.id);
  all_->sessions_.emplace(session.id, std::move(record));
  return GH_OK;
}

gh_status PluginSessions::update(const gh_session& session, const gh_session_counters* counters) {
  if (session.blob.size > kLargestBlob) return GH_E_INVALID;
  const std::scoped_lock lock(all_->mutex_);
  SessionTable::Record* const record = find(session.id);
  if (record == nullptr) return GH_E_NOT_FOUND;
  record->row.source = endpoint_of(session.source);
  record->row.last_seen_at = SystemClock::now();
  if (counters != nullptr) record->row.counters = *counters;
  if (session.blob.data != nullptr) record->blob_version = session.blob_version;
  set_blob(record->blob, session.blob);
  return GH_OK;
}

gh_status PluginSessions::close(std::uint64_t id) {
  const std::scoped_lock lock(all_->mutex_);
  if (find(id) == nullptr) return GH_E_NOT_FOUND;
  all_->erase(id);
  return GH_OK;
}

gh_status PluginSessions::lease(const gh_lease& lease) {
  if (lease.resource.size == 0 || lease.resource.size > kLongestResource) return GH_E_INVALID;
  const std::scoped_lock lock(all_->mutex_);
  if (find(lease.session) == nullptr) return GH_E_NOT_FOUND;
  SessionTable::Lease& held = all_->leases_[{plugin_, std::string(text_of(lease.resource))}];
  const bool expired = held.expires_unix != 0 && held.expires_unix <= unix_now();
  if (held.session != 0 && held.session != lease.session && !expired) return GH_E_EXISTS;
  held = {lease.session, lease.expires_unix};
  return GH_OK;
}

gh_status PluginSessions::release(gh_bytes resource) {
  const std::scoped_lock lock(all_->mutex_);
  return all_->leases_.erase({plugin_, std::string(text_of(resource))}) > 0 ? GH_OK : GH_E_NOT_FOUND;
}

void PluginSessions::for_each(Visit visit, VisitLease visit_lease, void* visitor) const {
  const std::scoped_lock lock(all_->mutex_);
  for (const auto& [id, record] : all_->sessions_) {
    if (record.row.plugin != plugin_) continue;
    gh_session session{};
    session.struct_size = sizeof session;
    session.blob_version = record.blob_version;
    session.key = border_bytes(record.key);
    session.identity = border_bytes(record.row.identity);
    session.source = border_endpoint(record.row.source);
    session.blob = {record.blob.data(), record.blob.size()};
    session.id = id;
    visit(visitor, &session, &record.row.counters);
  }
  for (const auto& [key, lease] : all_->leases_) {
    if (key.first != plugin_) continue;
    const gh_lease out{sizeof(gh_lease), 0, border_bytes(key.second), lease.session, lease.expires_unix};
    visit_lease(visitor, &out);
  }
}

}  // namespace gatehouse
