// gh.sessions/1: clients' lasting relations and their leases. In memory for now: they do not survive the process, so
// a "durable" completion says no more than that the call has been made.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/address.hpp>

#include "gateway/base/sha256.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

/// One session as a person sees it; the key stays secret.
struct SessionRow {
  std::uint64_t id = 0;
  std::string public_id;  ///< 8 hex digits of the key's SHA-256, or the host's number
  std::string plugin, identity;
  Endpoint source;
  std::chrono::system_clock::time_point created_at, last_seen_at;
  gh_session_counters counters{};
  std::vector<std::string> leases;
};

class PluginSessions;

/// All plugins' sessions. Thread-safe. A secret key is never kept, only its SHA-256.
class SessionTable {
 public:
  [[nodiscard]] std::vector<SessionRow> rows() const;
  /// Of one plugin.
  [[nodiscard]] std::size_t count(std::string_view plugin) const;

 private:
  friend class PluginSessions;
  struct Record {
    SessionRow row;
    std::string key;  // as for_each tells it: the text for a known identity, else the SHA-256
    std::string index;
    std::uint32_t blob_version = 0;
    std::vector<std::uint8_t> blob;
    const PluginSessions* owner = nullptr;  // of a session without a key, which ends with its instance
  };
  struct Lease {
    std::uint64_t session = 0;
    std::uint64_t expires_unix = 0;
  };
  using LeaseKey = std::pair<std::string, std::string>;  // plugin, resource

  void erase(std::uint64_t id);

  mutable std::mutex mutex_;  // guards what follows
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, Record> sessions_;
  std::map<std::string, std::uint64_t> by_key_;  // Record::index
  std::map<LeaseKey, Lease> leases_;
};

/// One instance's view of the table. Sessions without a key end with it.
class PluginSessions {
 public:
  PluginSessions(std::shared_ptr<SessionTable> all, std::string plugin);
  ~PluginSessions();
  PluginSessions(const PluginSessions&) = delete;
  PluginSessions& operator=(const PluginSessions&) = delete;
  [[nodiscard]] const gh_sessions* table() const noexcept { return &table_; }

 private:
  using Visit = void (*)(void*, const gh_session*, const gh_session_counters*);
  using VisitLease = void (*)(void*, const gh_lease*);

  static PluginSessions& of(void* context) noexcept { return *static_cast<PluginSessions*>(context); }
  gh_status open(gh_lane* lane, gh_session& session);
  gh_status update(const gh_session& session, const gh_session_counters* counters);
  gh_status close(std::uint64_t id);
  gh_status lease(const gh_lease& lease);
  gh_status release(gh_bytes resource);
  void for_each(Visit visit, VisitLease visit_lease, void* visitor) const;

  /// The session of that id if it is this plugin's, or null. The table's mutex is held.
  SessionTable::Record* find(std::uint64_t id);

  std::shared_ptr<SessionTable> all_;
  std::string plugin_;
  gh_sessions table_;
};

}  // namespace gatehouse
