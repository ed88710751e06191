// One session: its addresses, its flows, and, while its client is connected, the stream of packets. Belongs to a
// TunnelLane, on whose thread everything happens.
//
// The way of a packet:
//   up    stream -> read() -> frames, checked one by one -> Coalescer -> forward_up() -> device        (upstream.cpp)
//   down  device -> forward_down() -> output, or PacketQueue -> stream at the end of the turn      (downstream.cpp)
#pragma once

#include "plugins/packet-tunnel/common/large_frame.hpp"
#include "plugins/packet-tunnel/common/packet_queue.hpp"
#include "plugins/packet-tunnel/server/client_resolvers.hpp"
#include "plugins/packet-tunnel/server/flow.hpp"
#include "plugins/packet-tunnel/server/fragments.hpp"
#include "plugins/packet-tunnel/server/metrics.hpp"

#include <gatehouse/net/stream.hpp>
#include <gatehouse/packet/coalescer.hpp>
#include <gatehouse/plugin/arrival.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/source_table.hpp>
#include <gatehouse/table/gcra.hpp>
#include <gatehouse/table/kept_input.hpp>
#include <gatehouse/table/memory_budget.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace gatehouse::packet_tunnel {

class TunnelLane;

/// What the host keeps of a session for this plugin.
struct SessionBlob {
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t index = 0;
  IpAddress leased;                ///< the IPv4 address, whose text is the lease
  IpAddress client_v4, client_v6;  ///< what the client's own device has; may be none

  [[nodiscard]] std::vector<std::byte> write() const;
  /// None: another version's, or damaged.
  [[nodiscard]] static std::optional<SessionBlob> read(std::uint32_t version, Bytes blob) noexcept;
};

/// A session's two state words (Session::set_state), for people.
[[nodiscard]] std::string describe_session(std::uint64_t first, std::uint64_t second);

class TunnelSession final : public Readiness, public SourceClient, public MemoryHolder {
 public:
  /// @param keeps_addresses  the client had them before
  TunnelSession(TunnelLane& lane, const SessionBlob& facts, Session session, bool keeps_addresses);
  ~TunnelSession();

  [[nodiscard]] std::uint32_t index() const noexcept { return facts_.index; }
  /// Is it the session's, of the family that its length says?
  [[nodiscard]] bool has_address(Bytes address) const noexcept {
    return std::ranges::equal(address, (address.size() == 4 ? assigned_v4_ : assigned_v6_).bytes());
  }

  /// Where the client is, or was when it was last here, and who.
  [[nodiscard]] const Endpoint& source() const noexcept { return source_; }
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }

  // ---- life
  /// The same session, opened again for a client that has come back; one that is still here goes.
  void resume_with(Session session);
  /// A client has come, and waits for let_in() or turn_away().
  void receive_client(Arrival arrival, PolicyClient policy, SessionResolvers resolvers);
  /// What was asked of the store is durable: answers the client that waits.
  void let_in();
  /// Another client has come in its place, or the store says no.
  void turn_away(const HttpRefusal& why);
  /// The store does not take the session's address: nor does the client that waits get it, or whoever comes next. The
  /// session is over if it was a new one.
  void refuse_address();
  /// The client is gone, the session stays.
  void disconnect(std::string_view why);
  /// Takes the limits of the lane's present policy.
  void policy_changed();
  /// Closes what was idle for too long. False: the host has ended the session, or somebody else has it.
  [[nodiscard]] bool look_at_clock(SteadyTime now);
  /// For good, with its addresses: they are free for others. It is alone.
  void end() noexcept { session_.end(); }
  /// Neither a client is connected nor one on its way in.
  [[nodiscard]] bool is_alone() const noexcept { return !stream_ && !arriving_; }

  // ---- upstream
  void on_ready(std::uint32_t events) override;
  /// Goes on with what was kept: the lane's next turn, or a rate, is ready for more.
  void resume();
  void forward_up(GatheredPacket& packet) noexcept;

  // ---- downstream
  /// Takes a packet of the device, or leaves it and the block with it.
  void forward_down(PacketBlockPtr& packet);
  /// Writes what waits. Called by the lane at the end of each turn in which something was put.
  void flush();

  // ---- flows
  void close_flow(TunnelFlow& flow);
  /// Closes the flow that was quiet for longest. False when there is none.
  bool recycle_flow();
  /// Judges the flow again under the lane's present policy, and closes it if that says no.
  void judge_again(const FlowKey& key, TunnelFlow& flow);

  /// For TurnBudget: nothing of this session is to be done any more.
  [[nodiscard]] bool ended() const noexcept { return !stream_; }
  bool listed_for_flush = false;  // the lane's

 private:
  // upstream.cpp
  void read();
  std::size_t take_frames(MutableBytes in);
  bool take_packet(MutableBytes packet, std::size_t segment_size);
  void gather_cut(MutableBytes packet, const IpPacket& facts, std::size_t segment_size, std::uint32_t packets) noexcept;
  [[nodiscard]] std::optional<Reject> refuse_shape(const IpPacket& facts, Direction direction) const noexcept;
  bool charge_up(std::uint64_t packets, std::uint64_t bytes);
  void forward_fragment_up(GatheredPacket& packet) noexcept;
  void forward_error_up(GatheredPacket& packet) noexcept;
  void send_up(GatheredPacket& packet, bool is_transparent, const IpAddress& resolver) noexcept;
  [[nodiscard]] bool is_waiting() const noexcept { return yields_ || waits_for_rate_; }

  // downstream.cpp
  [[nodiscard]] bool relay_error_down(PacketBlock& packet, FlowKey& key);
  void send_down(PacketBlockPtr& packet, const FlowKey& key);
  void deliver(Bytes packet, std::uint32_t hash) noexcept;
  void enqueue(PacketBlockPtr& packet, std::uint32_t hash);
  [[nodiscard]] bool emit(PacketBlock& packet);
  [[nodiscard]] bool make_room(std::size_t wanted);
  void write_output();
  void pump();
  void watch_stream();

  // flows.cpp
  [[nodiscard]] FlowKey key_of(const IpPacket& facts, Bytes packet, Direction direction) const noexcept;
  [[nodiscard]] FlowFacts flow_facts(const FlowKey& key, bool is_transparent) const noexcept;
  [[nodiscard]] Verdict judge(const FlowKey& key, const IpPacket& facts, Bytes packet, bool is_transparent,
                              Reject& as) const noexcept;
  [[nodiscard]] TunnelFlow* admit_up(const FlowKey& key, const GatheredPacket& packet, bool is_transparent) noexcept;
  void settle(TunnelFlow& flow, const FlowKey& key, bool is_transparent) noexcept;
  [[nodiscard]] TunnelFlow* admit_down(const FlowKey& key, const IpPacket& facts, Bytes packet);
  [[nodiscard]] bool fits_dns_stream(const FlowKey& key, const IpPacket& facts, Bytes packet) const noexcept;
  [[nodiscard]] TunnelFlow* open_flow(const FlowKey& key, bool is_transparent, Verdict& refused) noexcept;
  void see(TunnelFlow& flow, const IpPacket& facts, Direction direction) noexcept;
  void close_flows() noexcept;
  [[nodiscard]] LruLink& link(std::uint32_t slot) const noexcept;
  [[nodiscard]] Lru& list(FlowList of) noexcept { return lists_[static_cast<std::size_t>(of)]; }
  [[nodiscard]] std::size_t flows() const noexcept;

  // answers.cpp
  [[nodiscard]] bool may_answer() noexcept;
  void answer_denied(Bytes headers, const IpPacket& facts, Reject why) noexcept;
  void answer_too_big(PacketBlock& packet) noexcept;

  // dns_answers.cpp
  void answer_blocked_name(Bytes packet, const IpPacket& facts) noexcept;
  [[nodiscard]] bool allows_answers(PacketBlock& packet, const FlowKey& key, bool is_transparent);
  [[nodiscard]] bool allows_answer(PacketBlock& packet, const FlowKey& key, const FlowFacts& flow, Bytes answer);
  [[nodiscard]] bool allows_tcp_answers(const FlowFacts& flow, Bytes segment) noexcept;
  void send_datagram(PacketBlock& packet, const FlowKey& key, Bytes datagram, bool is_blocked);
  void reject(Direction direction, Reject why, std::uint64_t packets = 1) noexcept;
  void count(Direction direction, const IpPacket& facts, std::uint64_t packets, std::uint64_t bytes) noexcept;

  // session.cpp
  void account();
  void give_back() override;
  void leave_sources();
  void tell_state() noexcept;
  void shrink_output();
  void remember_client(const IpAddress& address) noexcept;
  void keep_facts() noexcept;
  [[nodiscard]] const IpAddress& client_address(std::uint8_t version) const noexcept {
    return version == 4 ? facts_.client_v4 : facts_.client_v6;
  }
  [[nodiscard]] const IpAddress& assigned_address(std::uint8_t version) const noexcept {
    return version == 4 ? assigned_v4_ : assigned_v6_;
  }
  [[nodiscard]] const IpAddress* resolver_for(std::uint8_t version, std::uint16_t client_port) const noexcept;
  /// When the session ends, if its client is not heard of for `more` and the time that it may be gone.
  [[nodiscard]] Expiry expiry(Nanoseconds more) const;

  TunnelLane& lane_;
  SessionBlob facts_;
  bool has_moved_ = false;  // the client, since facts_ were kept
  bool keeps_addresses_;    // the client is told so: what it had running goes on
  IpAddress assigned_v4_, assigned_v6_;
  Session session_;
  std::string name_;      // of the client, for the log
  std::string identity_;  // of the client; "" = anonymous
  SteadyTime next_touch_{};
  SessionMetrics metrics_;
  bool has_news_ = false;  // for tell_state()

  // while a client is on its way in or connected
  std::unique_ptr<Arrival> arriving_;
  std::optional<PolicyClient> policy_;
  Limits limits_;
  SessionResolvers resolvers_;
  std::optional<Stream> stream_;
  FrameForm form_ = FrameForm::plain;  // of what is on it
  Endpoint source_;

  // up
  KeptInput kept_;        // a cut frame, or all since a pause
  std::size_t work_ = 0;  // in the turn `worked_in_`
  std::uint32_t worked_in_ = 0;
  bool yields_ = false;          // until the next turn
  bool waits_for_rate_ = false;  // until rate_timer_
  LaneTimer rate_timer_;
  Gcra answers_;
  std::unique_ptr<Fragments> fragments_up_, fragments_down_;  // with the first one

  // down
  PacketQueue queue_;
  PacketBlockPtr output_;   // frames on their way to the stream
  bool blocked_ = false;    // the stream takes no more at the moment
  bool is_broken_ = false;  // it will never take anything again
  LaneTimer down_timer_;    // a rate lets the next packet go

  std::array<Lru, static_cast<std::size_t>(FlowList::count)> lists_;
};

}  // namespace gatehouse::packet_tunnel
