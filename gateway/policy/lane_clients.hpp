// The clients of one lane, by the handles that its plugin has of them.
#pragma once

#include "gateway/policy/judged_client.hpp"

#include <gatehouse/table/slab.hpp>

#include <atomic>
#include <cstdint>
#include <new>
#include <utility>

namespace gatehouse {

/// Whatever a plugin passes, what is found is a client of this lane that is open, or nothing: a handle tells when it is
/// stale, and of which lane it is, as long as no 255 lanes were made between two. The lane's thread only.
class LaneClients {
 public:
  using Handle = std::uint64_t;  ///< never 0

  /// Makes JudgedClient(args...). @throws std::bad_alloc
  template <class... Args>
  Handle open(Args&&... args) {
    const SlotHandle made = clients_.emplace(std::forward<Args>(args)...);
    if (made.slot() < kMostClients) return made.value | lane_;
    clients_.erase(made);
    throw std::bad_alloc();
  }
  /// Null: there is none such. Two dependent loads.
  [[nodiscard]] JudgedClient* at(Handle handle) noexcept {
    return (handle & kLaneBits) == lane_ ? clients_.at({handle & ~kLaneBits}) : nullptr;
  }
  /// False, and nothing happens: there is none such.
  bool close(Handle handle) noexcept { return at(handle) != nullptr && clients_.erase({handle & ~kLaneBits}); }

 private:
  static constexpr std::uint64_t kMostClients = 1U << 24U;          // of a lane
  static constexpr std::uint64_t kLaneBits = 0xffU * kMostClients;  // of a handle: those that no slot's number needs
  /// Those bits of the next lane's handles.
  static std::uint64_t next_lane() noexcept {
    static std::atomic<std::uint32_t> lanes{0};
    return lanes.fetch_add(1, std::memory_order_relaxed) * kMostClients & kLaneBits;
  }

  const std::uint64_t lane_ = next_lane();
  Slab<JudgedClient> clients_;
};

}  // namespace gatehouse
