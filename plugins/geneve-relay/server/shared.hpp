// What the lanes of one relay have in common: its key, whose an endpoint is, what an earlier process left, and the ways
// from lane to lane.
#pragma once

#include "plugins/geneve-relay/allocation/advertised_addresses.hpp"
#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/server/kept_endpoints.hpp"
#include "plugins/geneve-relay/server/lane_message.hpp"
#include "plugins/geneve-relay/server/settings.hpp"
#include "plugins/geneve-relay/server/vni_set.hpp"
#include "plugins/geneve-relay/wire/disco_secret.hpp"

#include <gatehouse/plugin/lane_context.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::geneve_relay {

/// When something was last short. Thread-safe.
class Shortage {
 public:
  void begin(SteadyTime now) noexcept { last_.store(to_ns(now), std::memory_order_relaxed); }
  /// Has it been so within kHolds?
  [[nodiscard]] bool holds(SteadyTime now) const noexcept {
    const std::uint64_t last = last_.load(std::memory_order_relaxed);
    return last != 0 && to_ns(now) < last + static_cast<std::uint64_t>(kHolds.count());
  }

  static constexpr Nanoseconds kHolds = std::chrono::seconds(10);  ///< as long as people are told

 private:
  std::atomic<std::uint64_t> last_{0};  // steady ns; 0 = never
};

/// Where one lane's listeners of datagrams are bound; all lanes have the same.
[[nodiscard]] std::vector<Endpoint> sockets_of(const std::vector<Listener>& listeners, std::uint32_t lane);
[[nodiscard]] AdvertisedSettings advertised_of(const RelaySettings& settings);

/// Constant while lanes run, but for what says otherwise.
class RelayShared {
 public:
  /// Takes the relay's key from the host's secret values, or makes one and waits until it is on disk; and reads what is
  /// remembered. @throws std::runtime_error with a sentence
  RelayShared(const StartContext& context, const RelaySettings& settings);
  RelayShared(const RelayShared&) = delete;
  RelayShared& operator=(const RelayShared&) = delete;

  [[nodiscard]] const DiscoSecret& secret() const noexcept { return secrets_.key; }
  [[nodiscard]] const DiscoKey& server() const noexcept { return server_; }
  [[nodiscard]] const DiscoPairHash& pair_hash() const noexcept { return secrets_.hash; }

  /// The relay's way in the kernel; null: not wanted, or refused.
  [[nodiscard]] FastPath* kernel() noexcept { return kernel_.get(); }

  /// The lane that has the pair's endpoint, or will have it. The pair's hash says so, but for endpoints that are
  /// remembered from a time with another number of lanes: their VNI says so, by which the kernel steers, and their
  /// pairs stay with that lane.
  [[nodiscard]] std::uint32_t owner_of(const DiscoPair& pair) const noexcept;

  [[nodiscard]] LaneInbox& inbox(std::uint32_t lane) noexcept { return *inboxes_[lane]; }
  /// What is offered to clients. Thread-safe.
  [[nodiscard]] AdvertisedAddresses& addresses() noexcept { return addresses_; }

  /// How many endpoints all lanes have. Relaxed: lanes count theirs in and out, and look before they make one.
  [[nodiscard]] std::atomic<std::size_t>& endpoints() noexcept { return endpoints_; }

  /// How many endpoints that lane is to serve again, and has not tried to: the relay has room for them. Relaxed, as
  /// endpoints(); the lane writes it.
  [[nodiscard]] std::atomic<std::size_t>& awaited(std::uint32_t lane) noexcept { return awaited_[lane]; }
  /// Those that lanes have, and those that they are to serve again.
  [[nodiscard]] std::size_t places_taken() const noexcept {
    std::size_t out = endpoints_.load(std::memory_order_relaxed);
    for (const auto& of_lane : awaited_) out += of_lane.load(std::memory_order_relaxed);
    return out;
  }

  /// When an endpoint was last refused, or ended to make place, for want of room.
  [[nodiscard]] Shortage& no_room() noexcept { return no_room_; }
  /// When none had a VNI left.
  [[nodiscard]] Shortage& no_vni() noexcept { return no_vni_; }

  /// Those of endpoints that lanes have, or are to serve again.
  [[nodiscard]] VniSet& vnis() noexcept { return vnis_; }

  /// What that lane is to serve again. The lane's alone, while it runs.
  [[nodiscard]] KeptEndpoints& kept(std::uint32_t lane) noexcept { return kept_[lane]; }

 private:
  struct Secrets {
    DiscoSecret key;
    DiscoPairHash hash;
  };
  [[nodiscard]] static Secrets load_secrets(const StartContext& context);

  const Secrets secrets_;
  const DiscoKey server_;
  const std::uint32_t lanes_;
  AdvertisedAddresses addresses_;
  std::atomic<std::size_t> endpoints_{0};
  std::vector<std::atomic<std::size_t>> awaited_;  // by lane
  Shortage no_room_, no_vni_;
  VniSet vnis_;
  const std::unique_ptr<FastPath> kernel_;
  std::map<DiscoPair, std::uint32_t> exceptions_;  // pairs whose lane is not that of their hash
  std::vector<KeptEndpoints> kept_;
  std::vector<std::unique_ptr<LaneInbox>> inboxes_;
};

}  // namespace gatehouse::geneve_relay
