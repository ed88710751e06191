// One client of one plugin as policy sees it. The lane's thread only, but for reserve() and end_session().
#pragma once

#include "gateway/policy/alike_clients.hpp"
#include "gateway/policy/session_meters.hpp"
#include "gateway/policy/snapshot_board.hpp"
#include "policy/limiter.hpp"
#include "policy/snapshot.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace gatehouse {

/// Small, for there are as many as sessions: what it has in common with others is theirs.
class JudgedClient {
 public:
  /// Enters itself on the board of `alike`. Locks and allocates.
  /// @param session  the meters of its session, which other clients of that session share
  JudgedClient(std::shared_ptr<AlikeClients> alike, boost::intrusive_ptr<SessionMeters> session);
  ~JudgedClient();
  JudgedClient(const JudgedClient&) = delete;
  JudgedClient& operator=(const JudgedClient&) = delete;

  /// Gets the meters the memory that they need under `policy`: those of the session are made when a limit first needs
  /// them. Any thread; called by the board before a lane can meet that policy.
  /// @return false: for want of memory the session has no meters, and has to be seen to again
  [[nodiscard]] bool reserve(const PublishedPolicy& policy) noexcept;
  /// Finds the group and the limits anew when `policy` is of another generation. Meters keep their state. Does not
  /// allocate. Until the next one, limits are those of `policy`, which its lane's view keeps.
  void resolve(const PublishedPolicy& policy) noexcept {
    alike_->resolve(policy);
    if (lacks_meters()) [[unlikely]]
      enter_session();
  }
  /// Its session has limits, but no memory for its meters yet: nothing may begin that they would count.
  [[nodiscard]] bool lacks_meters() const noexcept { return alike_->limits_sessions() && !is_in_session_; }
  [[nodiscard]] policy::GroupIndex group() const noexcept { return standing().group; }
  [[nodiscard]] const policy::Standing& standing() const noexcept { return alike_->standing(); }
  /// The row of `admissions` that keeps it from its frontend, if there is one.
  [[nodiscard]] const std::optional<std::int64_t>& refused_by() const noexcept { return alike_->refused_by(); }
  /// Counts the session among those of its identity or source, once, after resolve(). Locks and allocates.
  /// @return the limit that refuses it, or null
  [[nodiscard]] const policy::Limit* begin_session(const policy::Limits& limits);
  /// Undoes that, once. Any thread: for an instance that was abandoned.
  void end_session() noexcept;
  [[nodiscard]] const void* instance() const noexcept { return alike_->facts().instance; }
  /// Counts a flow that begins, as policy::open_flow() does; close_flow() is its end, and *this ends what is open.
  /// `link` of what it returns is 0 for the session's limits, 1 for those that it shares.
  [[nodiscard]] policy::FlowOpening open_flow(std::uint64_t destination, const policy::Moment& now) noexcept {
    policy::FlowOpening out = policy::open_flow(chain(), destination, now);
    if (out.refusal == policy::FlowRefusal::none) ++open_flows_;
    if (!is_in_session_) ++out.link;
    return out;
  }
  /// Nothing happens where none is open.
  void close_flow() noexcept {
    if (open_flows_ == 0) return;
    --open_flows_;
    policy::close_flow(chain());
  }
  /// The session where that has had limits since it is there, then what it shares where there is that.
  class Chain {
   public:
    operator std::span<const policy::MeterLink>() const noexcept { return {links_.data(), size_}; }

   private:
    friend class JudgedClient;
    void add(policy::Meters* meters, const policy::MeterLimits& limits) noexcept {
      links_[size_++] = {meters, &limits};
    }

    std::array<policy::MeterLink, 2> links_;
    std::size_t size_ = 0;
  };
  [[nodiscard]] Chain chain() const noexcept {
    Chain out;
    if (is_in_session_) out.add(session_->meters(), alike_->limits().session);
    if (alike_->shared() != nullptr) out.add(alike_->shared(), alike_->limits().identity);
    return out;
  }
  [[nodiscard]] const IpAddress& source() const noexcept { return alike_->facts().source; }
  [[nodiscard]] const std::string& identity() const noexcept { return alike_->facts().identity; }
  [[nodiscard]] bool is_metered() const noexcept { return alike_->is_metered(); }
  [[nodiscard]] bool counts_destinations() const noexcept { return alike_->counts_destinations(); }

 private:
  void enter_session() noexcept;

  const std::shared_ptr<AlikeClients> alike_;
  const boost::intrusive_ptr<SessionMeters> session_;
  std::uint32_t entry_ = 0;              // on the board
  std::uint32_t open_flows_ = 0;         // of this client; the meters have those of the session's other clients too
  bool is_in_session_ = false;           // the session's meters have them
  std::atomic<bool> is_counted_{false};  // among the sessions of its identity or source
};

}  // namespace gatehouse
