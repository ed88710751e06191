// One lane of the relay at work: its sockets, and the endpoints whose VNI modulo the number of lanes is the lane's. On
// one thread, and alone with what it has: nothing is locked.
//
//   lane_packets.cpp     a datagram's way: to the other client, or into a handshake
//   lane_allocation.cpp  how an endpoint comes to be, on whatever lane it is asked for
//   lane.cpp             the rest of its life: policy, expiry, what is kept and served again
#pragma once

#include "plugins/geneve-relay/allocation/address_keeper.hpp"
#include "plugins/geneve-relay/allocation/allocation_api.hpp"
#include "plugins/geneve-relay/allocation/sealed_allocation.hpp"
#include "plugins/geneve-relay/relay/false_boxes.hpp"
#include "plugins/geneve-relay/server/counters.hpp"
#include "plugins/geneve-relay/server/endpoint_table.hpp"
#include "plugins/geneve-relay/server/kernel_attachment.hpp"
#include "plugins/geneve-relay/server/kernel_legs.hpp"
#include "plugins/geneve-relay/server/lane_vnis.hpp"
#include "plugins/geneve-relay/server/rejudging.hpp"
#include "plugins/geneve-relay/server/relay_notices.hpp"
#include "plugins/geneve-relay/server/relay_socket.hpp"
#include "plugins/geneve-relay/server/shared.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <gatehouse/plugin/connection_log.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/number_blocks.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/source_limits.hpp>
#include <gatehouse/plugin/source_table.hpp>
#include <gatehouse/table/gcra.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace gatehouse::geneve_relay {

class RelayLane final : public LaneWorker, public Allocator {
 public:
  RelayLane(const LaneContext& context, std::shared_ptr<const RelaySettings> settings, RelayShared& shared);
  ~RelayLane() override;

  void configure(std::shared_ptr<const RelaySettings> settings);
  void listen(const std::vector<Listener>& listeners) override;
  void policy_changed(std::uint64_t generation) override;
  void woken(WakeReasons reasons) override;
  void drain(SteadyTime deadline) override;

  void allocate(AllocationDemand demand, Then then) override;

 private:
  /// Something of the lane's own epoll set that is ready.
  class Ready final : public Readiness {
   public:
    explicit Ready(std::function<void()> call) : call_(std::move(call)) {}
    void on_ready(std::uint32_t) override { call_(); }

   private:
    std::function<void()> call_;
  };

  /// Datagrams of one client that begin with the same header, in one piece.
  struct Run {
    MutableBytes payload;
    std::size_t segment;  // bytes of each but the last
    std::uint64_t packets;
    LegAddress from;
    RelaySocket* socket;  // that they came by
    bool is_stray;        // another lane has them from its socket
  };

  /// Who waits until an endpoint is durable, and by which session that is told.
  struct Waiting {
    Session session;
    std::vector<Then> askers;
  };

  /// What another lane was asked for.
  struct Asked {
    DiscoPair clients;
    Then then;
  };

  // lane_packets.cpp
  void receive(RelaySocket& socket, std::span<Datagram> datagrams);
  void receive_stray(StrayRun&& run);
  void split(const Datagram& datagram, RelaySocket& socket, bool is_stray);
  void take(const Run& run);
  void take_stun(const Run& run);
  void take_sealed(const Run& run);
  void hand_over(const Run& run, std::uint32_t vni);
  void relay(RelayEntry& entry, const Run& run);
  [[nodiscard]] std::uint64_t charge(RelayEntry& entry, LegIndex sender, const Run& run) noexcept;
  void take_control(RelayEntry& entry, const GeneveHeader& header, Bytes packet, const Run& run);
  [[nodiscard]] FalseBoxes::Attempt attempt(const RelayEntry& entry, LegIndex leg, const IpAddress& source) noexcept;
  [[nodiscard]] bool may_cost(const RelayEntry& entry, LegIndex leg, const FalseBoxes::Attempt& attempt,
                              const IpAddress& source) noexcept;
  void charge_handshake(RelayEntry& entry, LegIndex leg, FalseBoxes::Attempt& attempt, bool has_opened) noexcept;
  [[nodiscard]] std::uint64_t false_boxes_of_leg() const noexcept;
  [[nodiscard]] MutableBytes next_reply() noexcept;
  void bind(RelayEntry& entry, LegIndex leg, const Run& run);
  void flush() noexcept;

  // lane_allocation.cpp
  void receive_message(std::unique_ptr<LaneMessage> message);
  bool send(std::uint32_t lane, LaneMessage message);
  void send_unsent();
  void give_up_asking();
  void give(AllocationDemand demand, Then then);
  void give_again(EndpointTable::Found found, const AllocationDemand& demand, Then then);
  void make(const AllocationDemand& demand, std::uint64_t lamport_id, Then then);
  [[nodiscard]] std::optional<Verdict> refuse_asker(const AllocationDemand& demand, std::uint64_t session) const;
  [[nodiscard]] std::optional<Verdict> refuse_remembered(const AllocationDemand& demand,
                                                         const SessionFacts& facts) const;
  [[nodiscard]] std::optional<AllocationRefusal> refuse_demand(const AllocationDemand& demand) const;
  [[nodiscard]] bool is_full() const noexcept;
  [[nodiscard]] RelayEntry* giving_way_to(const AllocationDemand& demand);
  void displace(RelayEntry& entry);
  [[nodiscard]] Result<std::uint32_t> lease_vni(Session& session, RelayBlob& blob);
  void became_durable(std::uint32_t vni, const Error& failure);
  [[nodiscard]] std::vector<Then> take_askers(SlotHandle endpoint);
  static void answer(const std::vector<Then>& askers, const AllocationOutcome& outcome);
  [[nodiscard]] ServerEndpoint describe(const RelayEntry& entry) const;

  // lane.cpp
  [[nodiscard]] SteadyTime now() const noexcept { return context_.loop.now(); }
  void listen_datagrams(const std::vector<Listener>& listeners);
  [[nodiscard]] RelaySocket* socket_of(const IpAddress& local, std::uint16_t port) noexcept;
  void find_sockets(RelayEntry& entry) noexcept;
  [[nodiscard]] bool send_now(Bytes datagram, const LegAddress& path,
                              std::optional<std::uint32_t> listener = {}) noexcept;
  void begin_serving_again();
  void tell_awaited() noexcept;
  void go_on_serving_again();
  bool serve_again(const KeptEndpoint& kept);
  [[nodiscard]] EndpointTable::Found find(std::uint32_t vni);
  void judge_all();
  void go_on_judging();
  void judge(RelayEntry& entry) noexcept;
  [[nodiscard]] RelayBlob blob_of(const RelayEntry& entry) const;
  [[nodiscard]] Expiry expiry() const;
  void schedule(RelayEntry& entry) noexcept;
  void look_at_clock(RelayEntry& entry);
  void count_in(RelayEntry& entry);
  void count_out(RelayEntry& entry) noexcept;
  void remove(EndpointTable::Found found, bool ends_session);
  void end_turn();
  void tick();
  void look_at_kernel();
  void end_those_in_kernel();

  LaneContext context_;
  std::shared_ptr<const RelaySettings> settings_;
  RelayShared& shared_;
  Counters counters_;
  ConnectionLog connections_;
  KernelLegs kernel_legs_;
  KernelAttachment kernel_attachment_;
  SteadyTime kernel_looked_at_{};
  std::uint32_t kernel_cursor_ = 0;  // of endpoints_
  std::size_t most_there_were_ = 0;  // endpoints at once
  EndpointAskers known_askers_;
  EndpointTable endpoints_;
  SourceTable askers_;  // whose they are
  TimerWheel<RelayEntry> expiry_;
  std::vector<std::unique_ptr<RelaySocket>> sockets_;
  std::map<std::uint32_t, std::string> listener_names_;  // by id, of all roles

  // handshakes
  RandomPool random_;
  ChallengeSecrets secrets_;
  SourceLimits of_sources_;
  FalseBoxes false_boxes_;
  Gcra of_all_;
  std::vector<std::array<std::byte, kLargestReply>> replies_;  // queued, until flush()
  std::size_t next_reply_ = 0;

  // allocations; whoever asks outlives what asks for it
  SealedAllocation sealed_;
  AllocationApi api_;
  LaneVnis vnis_;
  NumberBlocks lamport_ids_;
  Slab<Asked, 16> asked_;                                         // other lanes
  std::deque<std::pair<SteadyTime, SlotHandle>> asked_until_;     // of these, some answered, by time
  std::map<SlotHandle, Waiting> waiting_;                         // by endpoint
  std::vector<std::deque<std::unique_ptr<LaneMessage>>> unsent_;  // by lane: what its inbox had no place for

  bool draining_ = false;
  bool serving_again_ = false;                             // what is kept
  std::deque<std::pair<AllocationDemand, Then>> demands_;  // that wait until it is served: it may be what they want
  Rejudging rejudging_;
  std::optional<AddressKeeper> keeper_;  // the first lane's
  std::optional<RelayNotices> notices_;  // the first lane's, too
  Ready messages_ready_, strays_ready_;
  LaneTimer ticker_;
};

}  // namespace gatehouse::geneve_relay
