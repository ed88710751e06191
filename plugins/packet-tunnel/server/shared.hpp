// What the lanes of one server have in common: the device, its addresses, and the way of a client from the lane that
// accepted it to the one that owns its session.
#pragma once

#include "plugins/packet-tunnel/server/host_network.hpp"
#include "plugins/packet-tunnel/server/settings.hpp"
#include "plugins/packet-tunnel/server/used_indexes.hpp"

#include <gatehouse/async/lane_channel.hpp>
#include <gatehouse/net/tun_device.hpp>
#include <gatehouse/plugin/arrival.hpp>
#include <gatehouse/plugin/lane_context.hpp>

#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

namespace gatehouse::packet_tunnel {

/// A client on its way to the lane that serves it.
struct Newcomer {
  Arrival arrival;
  std::uint32_t full_lanes = 0;  ///< that had no address for it
};

class TunnelShared {
 public:
  /// Opens the device, or goes on with the one that an earlier instance or process has left, and sets the host up.
  /// @throws std::runtime_error, std::invalid_argument  a sentence
  TunnelShared(const StartContext& context, const TunnelSettings& settings);
  /// The device goes, and the host's rules with it, unless another instance goes on with them.
  ~TunnelShared();
  TunnelShared(const TunnelShared&) = delete;
  TunnelShared& operator=(const TunnelShared&) = delete;

  [[nodiscard]] const TunDevice& device() const noexcept { return device_; }
  /// For the lanes: each has the queue of its number.
  [[nodiscard]] TunDevice& device() noexcept { return device_; }
  /// Constant while lanes run.
  [[nodiscard]] const TunnelPrefixes& prefixes() const noexcept { return network_.prefixes(); }
  /// Clients of whom the kernel may know connections.
  [[nodiscard]] UsedIndexes& used() noexcept { return used_; }
  /// Clients for that lane: any lane sends, the lane itself receives.
  [[nodiscard]] LaneChannel<Newcomer>& arrivals(std::uint32_t lane) noexcept { return *arrivals_[lane]; }

 private:
  [[nodiscard]] static TunDevice open_device(const StartContext& context, const TunnelSettings& settings);
  [[nodiscard]] bool is_still_ours() const;
  void forget_strangers();
  /// Puts the host's rules back when somebody has removed them, or has put drops before them.
  void look_after_rules(const std::stop_token& stopped);

  const Host& host_;
  TunDevice device_;
  HostNetwork network_;  // of look_after_rules() alone, once that runs
  UsedIndexes used_;
  std::vector<std::unique_ptr<LaneChannel<Newcomer>>> arrivals_;
  std::vector<std::byte> owner_;  // as it stands in the host's values while this instance is the last one
  std::jthread keeper_;           // last: it ends before what it uses
};

}  // namespace gatehouse::packet_tunnel
