// One client: a stream of frames, its forwards, and the replies that wait for it. Belongs to a UdpgwLane, on whose
// thread everything happens.
//
// The way of a packet:
//   up    stream -> read() -> decode -> judge -> UpstreamSender                                      (upstream.cpp)
//   down  forward readable -> receive() -> ReplyQueue -> flush() at the end of the turn              (downstream.cpp)
#pragma once

#include <gatehouse/table/kept_input.hpp>
#include "plugins/udpgw/counters.hpp"
#include "plugins/udpgw/forward.hpp"
#include "plugins/udpgw/upstream_sender.hpp"

#include <gatehouse/net/stream.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/source_table.hpp>
#include <gatehouse/table/memory_budget.hpp>

#include <string>
#include <string_view>

namespace gatehouse::udpgw {

class UdpgwLane;

class Client final : public Readiness, public SourceClient, public MemoryHolder {
 public:
  /// @param number  never used before in this lane
  Client(UdpgwLane& lane, std::uint64_t number, Stream stream, Session session, PolicyClient policy,
         std::string_view identity);
  ~Client();

  /// Starts to read. False: the stream cannot be watched; destroy the client.
  [[nodiscard]] bool start();

  void on_ready(std::uint32_t events) override;

  // ---- upstream
  /// A socket that was full takes datagrams again.
  void writable(Forward& forward) { sender_.writable(forward); }
  /// Goes on with what was kept. Called when the sender, or the lane's next turn, is ready for more.
  void resume();

  // ---- downstream
  void receive(Forward& forward);
  /// Writes what waits. Called by the lane at the end of each turn in which something was queued.
  void flush();

  // ---- forwards
  void close_forward(Forward& forward);
  /// Closes the forward that was quiet for longest. False when there is none.
  bool recycle();
  /// Judges the flow again under the lane's present policy. False: it is not allowed any more and has been closed.
  bool judge_again(Forward& forward);
  bool move_to_resolver(Forward& forward, std::uint16_t resolver);

  // ---- life
  /// Takes the limits of the lane's present policy.
  void policy_changed();
  /// Closes what was idle for too long; ends the stream if it was.
  void look_at_clock(SteadyTime now);
  /// Closes everything; the lane destroys the client at the end of the turn.
  void end(std::string_view why);
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool is_half_closed() const noexcept { return half_closed_at_ != SteadyTime::max(); }

  bool listed_for_flush = false;  // the lane's

 private:
  // upstream.cpp
  void read();
  std::size_t decode_frames(Bytes in);
  /// Others have their turn first.
  void yield();
  [[nodiscard]] bool is_waiting() const noexcept { return yields_ || sender_.is_waiting(); }
  bool take_frame(const Frame& frame);
  bool send_query(Forward& forward, Bytes query);
  bool judge_up(Forward& forward, const Frame& frame);
  Forward* forward_for(Forward* forward, const Frame& frame);
  void count_malformed();
  void count_lost(Bytes rest);

  // client.cpp
  /// Tells the lane's budget what waits here; called wherever that may have grown. May end this client.
  void account();
  void give_back() override;

  // forwards.cpp
  Forward* find(std::uint16_t conid) const noexcept;
  Forward* open_forward(const Frame& frame);
  bool admit_flow(const FlowFacts& flow, const Frame& frame);
  [[nodiscard]] std::optional<IpAddress> egress_for(const Endpoint& destination) const noexcept;
  Result<UniqueFd> connect(const Endpoint& destination);
  bool watch(Forward& forward);
  [[nodiscard]] FlowFacts flow_of(const Forward& forward) const noexcept;
  void settle(Forward& forward) noexcept;
  [[nodiscard]] LruLink& link(std::uint32_t slot) const noexcept;
  void touch(Forward& forward);
  void refuse(const Frame& frame, const Verdict& verdict);
  void log_refused(const Endpoint& to, const Verdict& verdict) const;

  // downstream.cpp
  class ReplySink;
  [[nodiscard]] std::optional<Drop> refuse_reply(std::size_t payload, const Forward& forward, bool has_room);
  QueueShare& share_of(std::uint16_t conid);
  void answer_blocked(const Frame& frame);
  void push_answer(MutableBytes room, std::uint16_t conid, Bytes wire_address, std::size_t payload);
  void watch_stream();

  UdpgwLane& lane_;
  const std::uint64_t number_;
  const std::string name_;  // for the log: "127.0.0.1:40000" or "unix:1000"
  Stream stream_;
  Session session_;  // ends after the policy client, which knows it
  PolicyClient policy_;
  Limits limits_;
  SteadyTime half_closed_at_ = SteadyTime::max();

  UpstreamSender sender_;
  KeptInput kept_;        // a cut frame, or all since a pause
  std::size_t work_ = 0;  // in the turn `worked_in_`
  std::uint32_t worked_in_ = 0;
  bool yields_ = false;  // until the next turn
  unsigned malformed_in_a_row_ = 0;
  bool first_bytes_ = true;

  Lru forwards_;
  ReplyQueue replies_;
  QueueShare answers_share_;  // of answers that are made here
  bool blocked_ = false;      // the stream takes no more at the moment
  bool ended_ = false;
};

}  // namespace gatehouse::udpgw
