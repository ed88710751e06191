#include "db/store/rows/state_load.hpp"

#include "db/store/rows/retention.hpp"
#include "db/store/rows/state_rows.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace gatehouse::db {
namespace {

/// Whose session it is. Borrowed.
struct Client {
  std::string_view plugin, identity, key;
  explicit Client(const SessionRecord& session)
      : plugin(session.plugin), identity(session.identity), key(session.key) {}
  bool operator==(const Client&) const = default;
};

struct ClientHash {
  std::size_t operator()(const Client& client) const noexcept {
    constexpr std::hash<std::string_view> hash;
    return (hash(client.key) * 31 + hash(client.identity)) * 31 + hash(client.plugin);
  }
};

/// A client that came again after its session had ended has a new one; where the end of the old one was not written
/// any more, the new one tells. `live` is in the order of the numbers. @return which are over
std::vector<std::uint64_t> take_out_stale(std::vector<SessionRecord>& live) {
  std::vector<std::uint64_t> stale;
  std::unordered_set<Client, ClientHash> seen;
  seen.reserve(live.size());
  for (auto session = live.rbegin(); session != live.rend(); ++session) {
    if (!seen.insert(Client(*session)).second) stale.push_back(session->id);
  }
  if (stale.empty()) return stale;
  const std::unordered_set<std::uint64_t> over(stale.begin(), stale.end());
  std::erase_if(live, [&](const SessionRecord& session) { return over.contains(session.id); });
  return stale;
}

void load_sessions(Database& state, std::vector<SessionRecord>& out) {
  std::vector<std::uint64_t> over;  // those that end with their stream have no key
  {
    Statement row =
        state.prepare("SELECT " + std::string(kSessionColumns) + " FROM sessions WHERE ended_at IS NULL ORDER BY id");
    while (row.step()) {
      SessionRecord session = session_of(row);
      session.key.empty() ? over.push_back(session.id) : out.push_back(std::move(session));
    }
  }
  const std::vector<std::uint64_t> stale = take_out_stale(out);
  over.insert(over.end(), stale.begin(), stale.end());
  Statement end = state.prepare("UPDATE sessions SET ended_at = last_seen_at WHERE id = ?1");
  for (const std::uint64_t id : over) {
    end.bind(1, static_cast<std::int64_t>(id));
    end.run();
  }
}

/// Those of sessions that have not ended.
void load_leases(Database& state, std::int64_t believed, StoredState& out) {
  std::unordered_set<std::uint64_t> live;
  live.reserve(out.sessions.size());
  for (const SessionRecord& session : out.sessions) live.insert(session.id);
  std::vector<LeaseKey> over;
  {
    Statement row = state.prepare("SELECT " + std::string(kLeaseColumns) + " FROM leases");
    while (row.step()) {
      LeaseRecord lease = lease_of(row);
      const bool expired = lease.expires_at > 0 && lease.expires_at <= believed;
      expired || !live.contains(lease.session) ? over.push_back(std::move(lease.key))
                                               : out.leases.push_back(std::move(lease));
    }
  }
  if (over.empty()) return;
  StateRows rows(state);
  for (const LeaseKey& lease : over) rows.remove(lease);
}

}  // namespace

StoredState load_state(Database& state, std::int64_t believed) {
  StoredState out;
  load_sessions(state, out.sessions);
  load_leases(state, believed, out);
  Statement row = state.prepare("SELECT " + std::string(kUsageColumns) + " FROM usage WHERE day >= ?1");
  row.bind(1, first_of_month(believed));
  while (row.step()) out.usage.push_back(usage_of(row));
  out.last_session_id = read_epoch(state).last_session_id;
  return out;
}

}  // namespace gatehouse::db
