// Sends one client's datagrams to the network: gathers runs, asks the rates and quotas, segments or sends singly, and
// knows what the client's stream waits for when a socket or a rate does not take everything.
#pragma once

#include "plugins/udpgw/counters.hpp"
#include "plugins/udpgw/upstream_run.hpp"

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>

#include <functional>
#include <utility>

namespace gatehouse::udpgw {

enum class SendResult {
  sent,     ///< the run is gone, at least one datagram of it to the network
  lost,     ///< the run is gone: dropped and counted, or there was none
  waiting,  ///< the stream has to go on later, from take_unsent()
};

/// One client's. Nothing is lost upstream but by a quota or a kernel that refuses: what a rate or a full socket does
/// not take now is told by `waiting`, and `resume` is called when it is time to try again. What was charged and not
/// sent is not charged again. On the lane's thread only; never allocates.
class UpstreamSender {
 public:
  /// All references outlive the sender.
  /// @param segmentation  the lane's: does UDP_SEGMENT work on this host? Cleared here where it does not
  /// @param resume        called by the loop, never from within a call of the sender but writable()
  UpstreamSender(LaneLoop& loop, Counters& counters, const PolicyClient& policy, Session& session, bool& segmentation,
                 std::function<void()> resume);

  /// Do rates or quotas bound this client? Limits::metered, after each policy change.
  void set_metered(bool metered) noexcept { metered_ = metered; }

  /// Takes a datagram into the run; sends the run before, if it does not belong to it.
  /// @param payload   in memory that lives until the next flush() or take_unsent(), `overhead` bytes behind the begin
  /// of
  ///                  its frame
  /// @return false: waiting, and `payload` was not taken
  [[nodiscard]] bool add(FlowSocket& to, std::size_t overhead, Bytes payload);
  /// Sends the run: one system call as a rule.
  SendResult flush();
  /// Is there no run?
  [[nodiscard]] bool empty() const noexcept { return run_.empty(); }
  /// Where the first frame begins that has not been sent; null if all have. Forgets it: the stream comes with it again.
  [[nodiscard]] const std::byte* take_unsent() noexcept;
  /// System calls that sent something, or tried to, since this was asked last.
  [[nodiscard]] std::size_t take_calls() noexcept { return std::exchange(calls_, 0); }

  // ---- waiting
  [[nodiscard]] bool is_waiting() const noexcept { return full_ != nullptr || timer_.is_scheduled(); }
  /// The poller says that a full socket takes datagrams again.
  void writable(FlowSocket& socket);
  /// The socket is about to be closed or replaced; who waits for it goes on soon.
  void forget(const FlowSocket& socket);
  /// Waits for nothing any more.
  void stop() noexcept;

 private:
  enum class Sent { done, full, short_of_memory, refused };
  /// How much of the run may go now, and what stands against the rest.
  struct Granted {
    std::size_t datagrams;
    std::uint64_t wait;  // ns; 0: nothing; kNever: a quota
  };
  static constexpr std::uint64_t kNever = UINT64_MAX;  // PolicyClient::charge()

  Granted charge();
  /// What the first `datagrams` of the run are charged as.
  [[nodiscard]] std::uint64_t cost_of(std::size_t datagrams) const noexcept {
    return run_.bytes_of(datagrams) + datagrams * run_.to().headers;
  }
  SendResult send(std::size_t granted);
  Sent send_together(std::size_t datagrams);
  Sent send_one(Bytes payload);
  void wait(Nanoseconds time) { loop_.schedule(timer_, time); }
  void wait_for_socket(Sent why, std::size_t paid);
  void count_sent(std::size_t datagrams, std::size_t bytes) noexcept;

  LaneLoop& loop_;
  Counters& counters_;
  const PolicyClient& policy_;
  Session& session_;
  bool& segmentation_;
  std::function<void()> resume_;
  bool metered_ = false;

  UpstreamRun run_;
  std::size_t calls_ = 0;
  FlowSocket* full_ = nullptr;      // the socket that the stream waits for
  LaneTimer timer_;                 // or the time
  std::uint64_t paid_packets_ = 0;  // charged to the rates, and then the socket was full
  std::uint64_t paid_bytes_ = 0;
};

}  // namespace gatehouse::udpgw
