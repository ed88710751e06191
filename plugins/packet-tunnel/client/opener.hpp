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

  /// How to go out.
  struct Way {
    std::uint32_t mark = 0;             ///< on our packets to servers; 0 = none
    std::vector<Endpoint> nameservers;  ///< to be asked by ourselves; empty = the system's resolver is as good
    FrameForm form = FrameForm::plain;  ///< that servers are asked for
  };
  /// Tries each server once, beginning with the one that was had last: where its name has led before, then where it
  /// leads now.
  void start(const std::string& session_id, Way way);
  /// Is an attempt under way?
  [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }
  /// What names have led to; for the time in which nobody can be asked.
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
