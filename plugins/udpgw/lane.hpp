// One lane of udpgw at work: its clients, the table of all their forwards, and what they share. On one thread.
#pragma once

#include "plugins/udpgw/client.hpp"
#include "plugins/udpgw/dns_relay.hpp"
#include "plugins/udpgw/settings.hpp"

#include <gatehouse/async/turn_budget.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/connection_log.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace gatehouse::udpgw {

/// What the kernel may hold of one stream and has not sent: much where there are few, and less the more there are.
/// @param memory  of the lane, in bytes  @param streams  this one included
[[nodiscard]] std::size_t most_unsent(std::size_t memory, std::size_t streams) noexcept;

class UdpgwLane final : public LaneWorker {
 public:
  UdpgwLane(const LaneContext& context, std::shared_ptr<const UdpgwSettings> settings);
  ~UdpgwLane() override;

  void configure(std::shared_ptr<const UdpgwSettings> settings);
  void listen(const std::vector<Listener>& listeners) override;
  void policy_changed(std::uint64_t generation) override;
  void drain(SteadyTime deadline) override;

  // ---- for clients
  [[nodiscard]] const Host& host() const noexcept { return context_.host; }
  [[nodiscard]] LaneLoop& loop() const noexcept { return context_.loop; }
  [[nodiscard]] SteadyTime now() const noexcept { return context_.loop.now(); }
  [[nodiscard]] const UdpgwSettings& settings() const noexcept { return *settings_; }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] std::uint32_t turn() const noexcept { return turn_; }
  void flush_at_end_of_turn(Client& client);
  void destroy_at_end_of_turn(Client& client) { ended_.push_back(&client); }
  /// Closes forwards until there is a descriptor and a port for another one. Each is the least recently used one of
  /// the client that has most, of the source that has most.
  void make_place_for_forward();
  /// Closes one such forward. False when there is none in this lane.
  bool recycle();
  /// The same, only among clients that share limits with `sharer`.
  bool recycle_beside(Client& sharer);

  Counters counters;
  ConnectionLog connections;
  ForwardTable forwards;
  Budget budget;
  MemoryBudget memory;  // of all that waits for clients
  SourceTable sources;
  TurnBudget<Client> work;  // in halves of a microsecond or so
  BlockPool blocks;
  UdpConnector connector;
  BatchReceiver receiver;
  DnsRelay dns;
  std::vector<std::byte> input;  // the stream under work is read into this
  bool segmentation = true;      // UDP_SEGMENT works on this host

 private:
  /// Makes the client, unless policy refuses it.
  void admit(Arrival arrival);
  /// Descriptors in use for streams; for streams and forwards.
  [[nodiscard]] std::size_t streams() const noexcept { return sources.size() + listeners_.openings(); }
  [[nodiscard]] std::size_t sockets() const noexcept { return streams() + forwards.size(); }
  bool make_place_for_stream();
  void share_memory();
  void begin_turn();
  void end_turn();
  void tick();

  LaneContext context_;
  std::shared_ptr<const UdpgwSettings> settings_;
  std::size_t port_share_;
  StreamListeners listeners_;
  std::unordered_map<Client*, std::unique_ptr<Client>> clients_;
  std::vector<Client*> to_flush_, ended_;
  std::uint64_t clients_seen_ = 0;
  std::uint64_t generation_ = 0;
  std::uint32_t turn_ = 0;
  bool judging_again_ = false;
  bool draining_ = false;
  std::uint32_t judging_cursor_ = 0;
  LaneTimer ticker_;
};

}  // namespace gatehouse::udpgw
