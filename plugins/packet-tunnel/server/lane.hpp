// One lane of the packet tunnel at work: its queue of the device, its sessions, the table of all their flows, and what
// they share. On one thread. A session's index modulo the number of lanes is its lane's number, for its life.
#pragma once

#include "plugins/packet-tunnel/common/device_port.hpp"
#include "plugins/packet-tunnel/server/client_resolvers.hpp"
#include "plugins/packet-tunnel/server/conntrack.hpp"
#include "plugins/packet-tunnel/server/dns_ports.hpp"
#include "plugins/packet-tunnel/server/lane_indexes.hpp"
#include "plugins/packet-tunnel/server/session.hpp"
#include "plugins/packet-tunnel/server/shared.hpp"

#include <gatehouse/async/turn_budget.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/connection_log.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace gatehouse::packet_tunnel {

class TunnelLane final : public LaneWorker, private GatheredSink {
 public:
  TunnelLane(const LaneContext& context, std::shared_ptr<const TunnelSettings> settings, TunnelShared& shared);
  ~TunnelLane() override;

  void configure(std::shared_ptr<const TunnelSettings> settings) { settings_ = std::move(settings); }
  void listen(const std::vector<Listener>& listeners) override;
  void policy_changed(std::uint64_t generation) override;
  void woken(WakeReasons reasons) override;
  void drain(SteadyTime deadline) override;

  // ---- for sessions
  [[nodiscard]] const Host& host() const noexcept { return context_.host; }
  [[nodiscard]] LaneLoop& loop() const noexcept { return context_.loop; }
  [[nodiscard]] SteadyTime now() const noexcept { return context_.loop.now(); }
  [[nodiscard]] const TunnelSettings& settings() const noexcept { return *settings_; }
  [[nodiscard]] const TunnelPrefixes& prefixes() const noexcept { return shared_.prefixes(); }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] std::uint32_t turn() const noexcept { return turn_; }
  void flush_at_end_of_turn(TunnelSession& session);
  /// A packet of `session`, for forward_up(), now or when more of its flow has come, which flush_upstream() ends.
  void gather(TunnelSession& session, MutableBytes packet, const IpPacket& facts, bool is_alone) noexcept;
  /// The same for what came as a super-packet, `packets` of them in one; for forward_up() at once.
  void gather_super_packet(TunnelSession& session, MutableBytes packet, const IpPacket& facts, std::size_t segment_size,
                           std::uint32_t packets) noexcept;
  void flush_upstream() noexcept { coalescer_.flush(); }
  /// To the device, with a system call in which the kernel forwards it. False: it did not take it.
  [[nodiscard]] bool write(GatheredPacket& packet) noexcept { return device_.write(packet); }
  /// The same for one whole packet.
  [[nodiscard]] bool write(Bytes packet) noexcept { return device_.write(packet); }
  /// Super-packets of clients are welcome: the device takes them as they are.
  [[nodiscard]] bool takes_large_frames() const noexcept { return settings_->large_frames && device_.merges(); }
  /// How many writes there have been.
  [[nodiscard]] std::uint64_t writes() const noexcept { return device_.counters().writes; }
  void client_connected();
  void client_gone() noexcept;
  /// `session` waits for its client. There is a bound for how many do that in memory; the host has them all.
  void begin_waiting(TunnelSession& session);
  void end_waiting(TunnelSession& session) noexcept { waiting_.remove(session); }

  Counters counters;
  ConnectionLog connections;
  PacketPool pool;
  FlowTable flows;
  Budget budget;
  MemoryBudget memory;             // of all that waits for clients
  SourceTable sources;             // of clients
  TurnBudget<TunnelSession> work;  // in halves of a microsecond or so
  Gcra answers;                    // to denied packets, of all sessions
  DnsPorts dns_ports;
  std::vector<std::byte> input;  // the stream under work is read into this

 private:
  /// The device's queue, and arrivals of other lanes, when they have something.
  class Ready final : public Readiness {
   public:
    explicit Ready(std::function<void()> call) : call_(std::move(call)) {}
    void on_ready(std::uint32_t) override { call_(); }

   private:
    std::function<void()> call_;
  };

  // lane_clients.cpp
  void admit(Newcomer newcomer);
  void route(Newcomer newcomer, const std::optional<FoundSession>& found);
  void send_to(std::uint32_t lane, Newcomer newcomer);
  void open(Newcomer newcomer, const std::optional<FoundSession>& found);
  void open_new(Newcomer newcomer, Session session, PolicyClient policy);
  [[nodiscard]] std::optional<PolicyClient> ask_policy(Arrival& arrival, std::uint64_t session);
  [[nodiscard]] Error take_free_index(Session& session, SessionBlob& blob);
  [[nodiscard]] Error take_index(std::uint32_t index, Session& session, SessionBlob& blob);
  [[nodiscard]] std::optional<std::uint32_t> recycle_session(const Arrival& newcomer);
  void use_ranges();
  [[nodiscard]] std::size_t streams() const noexcept { return sources.size() + listeners_.openings(); }
  [[nodiscard]] bool make_place_for_stream();

  void read_device();
  [[nodiscard]] bool read_packet();
  void take(GatheredPacket& packet) noexcept override { gathering_->forward_up(packet); }
  void look_at_device();
  void share_memory();
  void begin_turn();
  void end_turn();
  void tick();

  LaneContext context_;
  std::shared_ptr<const TunnelSettings> settings_;
  TunnelShared& shared_;
  DevicePort device_;
  DevicePort::Counters device_before_;  // as they were told last
  bool merged_ = device_.merges();      // at that time
  StreamListeners listeners_;
  ClientResolvers resolvers_;
  std::optional<Conntrack> conntrack_;
  CompletionScope finds_;
  LaneIndexes indexes_;
  Coalescer coalescer_;
  TunnelSession* gathering_ = nullptr;  // whose packets the coalescer has
  PacketBlockPtr reading_;
  boost::unordered_flat_map<std::uint32_t, std::unique_ptr<TunnelSession>> sessions_;  // by index
  SourceTable waiting_;                                   // sessions without a client, but those that are about to go
  std::vector<std::uint32_t> ended_;                      // sessions to be destroyed at the end of the turn
  std::vector<std::unique_ptr<TunnelSession>> recycled_;  // likewise: others have their indexes
  std::vector<TunnelSession*> to_flush_;
  std::uint64_t generation_ = 0;
  std::uint32_t turn_ = 0;
  bool judging_again_ = false;
  bool draining_ = false;
  std::uint32_t judging_cursor_ = 0;
  Ready device_ready_, arrivals_ready_;
  LaneTimer ticker_;
};

}  // namespace gatehouse::packet_tunnel
