// A connection that stands: bytes both ways between a client's stream and its target. One lane's; not thread-safe.
//
// The way of a byte, in each direction:
//   1. pull()  as much as one read gives, into the lane's buffer, or into a pipe where the transfer is large and both
//              ends are bare sockets
//   2. pay()   rates and quotas, where there are any
//   3. push()  to the other end; what that does not take is kept, and nothing more is read before it is gone
#pragma once

#include "plugins/socks5/server/pipe_pool.hpp"

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/table/kept_input.hpp>

#include <string_view>

namespace gatehouse::socks5 {

class Socks5Lane;

/// Whoever holds the tunnel.
class TunnelOwner {
 public:
  /// Something came or went.
  virtual void tunnel_active() = 0;
  /// What waits in it may be another amount now. The last thing that it does in a call: it may be stopped.
  virtual void tunnel_settled() = 0;
  /// It is over: stop it. It may be destroyed when the call has returned, not within.
  virtual void tunnel_ended(std::string_view why) = 0;

 protected:
  ~TunnelOwner() = default;
};

/// A client's stream, and the descriptor within it where its bytes are the socket's: else -1.
struct ClientEnd {
  Stream& stream;
  int socket = -1;
};

class Tunnel {
 public:
  /// All references outlive it. The client's stream is watched by its owner, who tells client_ready().
  /// @param early  what the client has sent behind its request; copied
  Tunnel(TunnelOwner& owner, Socks5Lane& lane, const PolicyClient& policy, Session& session, ClientEnd client,
         UniqueFd target, Bytes early);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /// Begins; may end it at once. False: the system cannot watch the target, nothing has been told.
  [[nodiscard]] bool start();
  void client_ready(std::uint32_t events);
  /// Nothing happens any more.
  void stop() noexcept;
  /// Do rates or quotas bound this client? Limits::metered.
  void set_metered(bool metered) noexcept { metered_ = metered; }
  /// One side has ended, and the other may go on.
  [[nodiscard]] bool is_half_closed() const noexcept { return up_.has_ended || down_.has_ended; }
  /// Gives pipes back that nothing went through lately. Called now and then.
  void rest() noexcept;
  /// Both ends learn that it was cut off, in place of an end in order (a reset where they are bare sockets).
  void abort() noexcept;
  /// Bytes that wait here.
  [[nodiscard]] std::size_t memory() const noexcept { return up_.kept.memory() + down_.kept.memory(); }
  void limit_unsent(std::size_t bytes) noexcept { target_.limit_unsent(bytes); }

 private:
  struct Way {
    Way(Tunnel& tunnel, Stream& source, Stream& sink, int source_fd, int sink_fd, Direction where);
    [[nodiscard]] bool holds() const noexcept { return !kept.bytes().empty() || pipe.held != 0; }
    [[nodiscard]] bool wants_input() const noexcept { return !has_ended && !holds() && !pause.is_scheduled(); }
    [[nodiscard]] bool wants_room() const noexcept { return is_full && !pause.is_scheduled(); }

    Stream& from;
    Stream& to;
    const int from_fd, to_fd;  // -1: what is in between must be asked
    const Direction direction;
    KeptInput kept;            // read, and not taken by `to` yet
    std::uint64_t paid = 0;    // bytes of it that rates have let go
    Pipe pipe;                 // of a large transfer
    std::uint64_t moved = 0;   // bytes so far
    bool has_ended = false;    // nothing more comes
    bool is_finished = false;  // and all has gone, and the sink knows
    bool is_full = false;      // the sink takes no more at the moment
    bool may_splice;
    bool is_resting = false;  // nothing went through the pipe since rest() was called
    LaneTimer pause;          // until a rate lets more go
  };
  struct TargetEnd final : Readiness {
    explicit TargetEnd(Tunnel& owner) noexcept : tunnel(owner) {}
    void on_ready(std::uint32_t events) override { tunnel.target_ready(events); }
    Tunnel& tunnel;
  };

  void target_ready(std::uint32_t events);
  void ready(std::uint32_t events, Way& from_there, Way& to_there);
  void run(Way& way);
  void pull(Way& way);
  void pull_pipe(Way& way);
  void push(Way& way);
  void push_pipe(Way& way);
  [[nodiscard]] std::size_t send(Way& way, Bytes in);
  [[nodiscard]] std::size_t pay(Way& way, std::size_t size);
  void count(Way& way, std::size_t size) noexcept;
  /// Reading or writing has failed: that end is gone.
  void source_is_gone(Way& way);
  void sink_is_gone(Way& way);
  void drop(Way& way) noexcept;
  [[nodiscard]] Way& other(Way& way) noexcept { return &way == &up_ ? down_ : up_; }
  void give_back(Way& way) noexcept;
  /// Finishes, or says what is waited for.
  void settle();

  TunnelOwner& owner_;
  Socks5Lane& lane_;
  const PolicyClient& policy_;
  Session& session_;
  ClientEnd client_;
  const int target_fd_;
  Stream target_;
  TargetEnd target_end_{*this};
  bool metered_ = false;
  bool is_broken_ = false;
  bool is_over_quota_ = false;
  Way up_, down_;
};

}  // namespace gatehouse::socks5
