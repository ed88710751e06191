// What a lane reports of single flows: a bounded ring of fixed-size notices from one lane to the publisher's thread.
#pragma once

#include "gateway/base/lane_ring.hpp"
#include "policy/flow.hpp"
#include "policy/verdict.hpp"

#include <gatehouse/base/address.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse {

/// A row that watched, or a list that blocked or allowed, and what it met.
struct Notice {
  static constexpr std::size_t kLongestName = 253;
  policy::RowRef row;
  bool monitor = false;  ///< else a list has decided about the name
  std::uint8_t name_size = 0;
  std::uint16_t port = 0;
  IpAddress destination;
  IpAddress source;  ///< of the client
  std::array<char, kLongestName> name_bytes;

  /// "" where the flow has no name.
  [[nodiscard]] std::string_view name() const noexcept { return {name_bytes.data(), name_size}; }
};

/// One writer, one reader. Neither waits: a notice that finds the ring full is dropped and counted.
class NoticeRing {
 public:
  static constexpr std::size_t kSize = 256;

  /// The writer only. Copies the name; no allocation.
  void push(policy::RowRef row, bool monitor, const policy::Flow& flow, const IpAddress& source) noexcept;
  /// The reader only. Calls `take(const Notice&)` for each notice that is there.
  template <class Take>
  void drain(Take take) {
    ring_.drain(take);
  }
  /// Notices that found the ring full. Any thread.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return ring_.dropped(); }

 private:
  LaneRing<Notice, kSize> ring_;
};

}  // namespace gatehouse
