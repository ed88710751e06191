// One lane as the host sees it: the public gh_lane, followed by what the host's services keep for this lane.
// Written by the lane's own thread, or by the control thread before the lane runs.
#pragma once

#include <gatehouse/abi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace gatehouse {

class PolicyLane;

struct HostLane {
  gh_lane head{sizeof(gh_lane), 0, 1, -1, 0};
  std::shared_ptr<PolicyLane> policy;  ///< the policy service's: its snapshot and its clients
  std::shared_ptr<const std::vector<std::uint8_t>> session_blob;  ///< lent by gh_sessions until the next call
  std::string session_key, session_identity;                      ///< the same, by adopt()
  std::shared_ptr<const void> certificate;                        ///< lent by gh_certificates.get until the next call

  /// The lane behind the pointer that a plugin passes.
  [[nodiscard]] static HostLane& of(gh_lane* lane) noexcept {
    static_assert(std::is_standard_layout_v<HostLane>, "`head` must stand at the same address as the whole");
    return *reinterpret_cast<HostLane*>(lane);
  }
};

}  // namespace gatehouse
