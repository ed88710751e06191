// What one lane hands to the flow log of its verdicts. While the flow log is off, that is one atomic load.
#pragma once

#include "gateway/base/lane_ring.hpp"
#include "policy/flow.hpp"
#include "policy/verdict.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse {

/// One verdict, with copies of all that a line contains.
struct FlowEntry {
  static constexpr std::size_t kLongestText = 255;
  std::int64_t time_ns = 0;  ///< since 1970, UTC
  policy::Verdict verdict;
  IpAddress destination;
  IpAddress source;  ///< of the client; family none = unknown
  std::uint32_t transport = 0;
  std::uint16_t port = 0;
  std::uint8_t domain_size = 0, identity_size = 0;
  std::array<char, 2 * kLongestText> text;  ///< the domain, and after it the identity

  /// "" where the flow has no name.
  [[nodiscard]] std::string_view domain() const noexcept { return {text.data(), domain_size}; }
  /// "" of anonymous clients.
  [[nodiscard]] std::string_view identity() const noexcept { return {text.data() + domain_size, identity_size}; }
};

/// Written by the lane, read and switched by the flow log. The plugin's name lives as long as *this.
class FlowLane {
 public:
  static constexpr std::size_t kRing = 1024;
  using Ring = LaneRing<FlowEntry, kRing>;

  explicit FlowLane(std::string_view plugin) : plugin_(plugin) {}

  /// The lane only: where to write, or null while the flow log is off.
  [[nodiscard]] Ring* ring() const noexcept { return ring_.load(std::memory_order_acquire); }
  /// The lane only. Copies; about 60 ns, most of it the clock's.
  static void write(Ring& ring, const policy::Verdict& verdict, const policy::Flow& flow, const IpAddress& source,
                    std::string_view identity) noexcept;
  /// The lane writes no more.
  void end() noexcept { ended_.store(true, std::memory_order_release); }

  // The flow log only.
  void switch_on(bool on);
  [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  [[nodiscard]] Ring* written() const noexcept { return memory_.get(); }
  [[nodiscard]] const std::string& plugin() const noexcept { return plugin_; }

 private:
  const std::string plugin_;
  std::unique_ptr<Ring> memory_;  // made when first switched on: half a megabyte
  std::atomic<Ring*> ring_{nullptr};
  std::atomic<bool> ended_{false};
};

}  // namespace gatehouse
