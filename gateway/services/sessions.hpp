// gh.sessions/1: what the border's calls come to in the table of sessions.
#pragma once

#include "gateway/base/utc_time.hpp"
#include "gateway/store/session_table.hpp"

#include <gatehouse/abi.h>

#include <memory>
#include <string>

namespace gatehouse {

/// One instance's view of the table. Sessions without a key end with it.
class PluginSessions {
 public:
  PluginSessions(std::shared_ptr<SessionTable> all, std::string plugin, UnixClock clock = &unix_now);
  ~PluginSessions();
  PluginSessions(const PluginSessions&) = delete;
  PluginSessions& operator=(const PluginSessions&) = delete;
  [[nodiscard]] const gh_sessions* table() const noexcept { return &table_; }
  /// All lanes of the instance have returned.
  void free_lanes() { all_->free_lanes_of(this); }
  /// Ends its sessions without a key.
  void end_own() noexcept { all_->end_all_of(this, clock_()); }
  /// No completion comes any more when this returns.
  void let_go() noexcept { requester_->close(); }

 private:
  using Visit = void (*)(void*, const gh_session*);
  using VisitLease = void (*)(void*, const gh_lease*);

  static PluginSessions& of(void* context) noexcept { return *static_cast<PluginSessions*>(context); }
  gh_status open(gh_lane* lane, gh_session& session, const gh_completion* durable);
  gh_status touch(const gh_session& session, const gh_completion* durable);
  gh_status find(gh_lane* lane, gh_session& session) const;
  gh_status adopt(gh_lane* lane, gh_session& session);
  gh_status lease(const gh_lease& lease, const gh_completion* durable);
  void for_each(Visit visit, VisitLease visit_lease, void* visitor) const;

  const std::shared_ptr<SessionTable> all_;
  const std::shared_ptr<Requester> requester_ = std::make_shared<Requester>();
  const std::string plugin_;
  const UnixClock clock_;
  gh_sessions table_;
};

}  // namespace gatehouse
