// A leg as the kernel's map has it. Pure: no system call.
#pragma once

#include "plugins/geneve-relay/fast_path/map_layout.h"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>

namespace gatehouse::geneve_relay {

/// Which packets: those of one leg. They come from `remote`, to `local`, with that VNI.
struct FastKey {
  std::uint32_t vni = 0;  ///< 1..kLargestVni
  Endpoint remote, local;

  bool operator==(const FastKey&) const = default;
};

/// Where they go, and from where: the other leg, and the relay's own address and port there.
struct FastTarget {
  Endpoint remote, local;

  bool operator==(const FastTarget&) const = default;
};

/// What a leg has carried in the kernel.
struct FastUse {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;  ///< UDP payload, Geneve headers included
  SteadyTime last_seen{};   ///< up to 10 ms early, by the kernel's coarse clock; SteadyTime{}: nothing yet

  bool operator==(const FastUse&) const = default;
};

/// @return Errc::invalid      a port, an address or the VNI that is none
///         Errc::unsupported  a key of two families, or with a zone: user space's
[[nodiscard]] Result<gh_fast_key> to_map_key(const FastKey& key) noexcept;

/// Also computes what checksums change by.
/// @param lane  below GH_FAST_MOST_LANES
/// @return as to_map_key(); Errc::unsupported also for a target of the other family than the key: an IPv6 header is
///         longer, and not every driver can make room in front of a frame
[[nodiscard]] Result<gh_fast_entry> to_map_entry(const FastKey& key, const FastTarget& target, std::uint32_t lane,
                                                 SteadyTime now) noexcept;

[[nodiscard]] FastUse use_of(const gh_fast_entry& entry) noexcept;

}  // namespace gatehouse::geneve_relay
