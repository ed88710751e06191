// Opens the next stream on a thread of its own, since names are looked up and handshakes made: the loop goes on.
#pragma once

#include "plugins/packet-tunnel/client/opened_tunnel.hpp"

#include <gatehouse/async/lane_loop.hpp>

#include <functional>
#include <map>
#include <thread>
#include <variant>

namespace gatehouse::packet_tunnel {

/// Why none of the servers could be had.
struct OpeningFailure {
  std::string sentence;                 ///< of each server, one after the other
  std::chrono::seconds retry_after{0};  ///< the shortest that one of them has asked for; 0 = none said
  bool is_final = false;                ///< every one has refused us, and will do so again
};

/// What names of servers stood for when they were looked up last.
using KnownServers = std::map<std::string, std::vector<IpAddress>>;

/// One attempt at a time. From the loop's thread only.
class Opener {
 public:
  using Outcome = std::variant<OpenedTunnel, OpeningFailure>;
  using OnDone = std::function<void(Outcome)>;

  /// @param settings  lives longer @param on_done  runs on the loop
  Opener(LaneLoop& loop, const ClientSettings& settings, OnDone on_done);
  /// Waits for an attempt that is under way, kAttempt and what the system's resolver takes at most.
  ~Opener();

  /// Tries each server once, beginning with the one that was had last, or is behind the one that has failed.
  /// @param mark  on our packets to servers; 0 = none
  void start(const std::string& session_id, std::uint32_t mark);
  /// Is an attempt under way?
  [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }
  /// The servers behind the first one in turn are tried first the next time.
  void move_on() noexcept { first_ = settings_.servers.empty() ? 0 : (first_ + 1) % settings_.servers.size(); }

  /// Where look-ups that fail are answered from: they do while everything but the tunnel is blocked.
  [[nodiscard]] const KnownServers& known() const noexcept { return known_; }
  void set_known(KnownServers known) { known_ = std::move(known); }

  static constexpr std::chrono::seconds kAttempt{10};  ///< that each address of a server has

 private:
  struct Attempt;
  void done(Outcome outcome, KnownServers known, std::size_t had);

  LaneLoop& loop_;
  const ClientSettings& settings_;
  OnDone on_done_;
  KnownServers known_;
  std::size_t first_ = 0;
  bool is_busy_ = false;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  // for what is posted; the loop's thread
  std::thread thread_;
};

}  // namespace gatehouse::packet_tunnel
