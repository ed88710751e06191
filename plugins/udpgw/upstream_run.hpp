// Consecutive datagrams to one socket, to be sent by one system call.
#pragma once

#include "plugins/udpgw/flow_socket.hpp"

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <array>
#include <span>

namespace gatehouse::udpgw {

/// Copies nothing: the payloads stand in the client's input, each behind a header of the same size. All but the last
/// have the size of the first, and together they fit into one IP packet (UDP_SEGMENT, Linux Documentation/networking/
/// segmentation-offloads.rst). Not thread-safe.
class UpstreamRun {
 public:
  /// Begins with one datagram, of any size.
  /// @param overhead  bytes of each frame before its payload
  void begin(FlowSocket& to, std::size_t overhead, Bytes payload) noexcept {
    to_ = &to;
    overhead_ = overhead;
    segment_ = payload.size();
    first_ = count_ = bytes_ = 0;
    add(payload);
  }
  /// May `payload` be the next one? Never in an empty run.
  [[nodiscard]] bool takes(const FlowSocket& to, Bytes payload) const noexcept {
    return !empty() && &to == to_ && count_ < kMostSegments && payload.size() <= segment_ && !payload.empty() &&
           payloads_[count_ - 1].size() == segment_ && bytes_ + payload.size() <= kMostBytes;
  }
  void add(Bytes payload) noexcept {
    payloads_[count_++] = payload;
    bytes_ += payload.size();
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == count_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_ - first_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t segment() const noexcept { return segment_; }
  [[nodiscard]] FlowSocket& to() const noexcept { return *to_; }
  /// What has not been taken off, in order. Valid until the run changes.
  [[nodiscard]] std::span<const Bytes> payloads() const noexcept {
    return std::span(payloads_).subspan(first_, count_ - first_);
  }
  /// Bytes of the first `datagrams` payloads.
  [[nodiscard]] std::size_t bytes_of(std::size_t datagrams) const noexcept {
    if (datagrams == size()) return bytes_;
    std::size_t out = 0;
    for (const Bytes payload : payloads().first(datagrams)) out += payload.size();
    return out;
  }
  /// Where the first frame begins that has not been taken off; not for an empty run.
  [[nodiscard]] const std::byte* front() const noexcept { return payloads_[first_].data() - overhead_; }

  /// Takes the first `datagrams` off.
  void pop_front(std::size_t datagrams) noexcept {
    bytes_ -= bytes_of(datagrams);
    first_ += datagrams;
  }
  /// Leaves the first `datagrams`.
  void cut(std::size_t datagrams) noexcept {
    bytes_ = bytes_of(datagrams);
    count_ = first_ + datagrams;
  }
  void clear() noexcept { cut(0); }

 private:
  static constexpr std::size_t kMostBytes = 65000;  // an IP packet less any header

  FlowSocket* to_ = nullptr;
  std::size_t overhead_ = 0, segment_ = 0, bytes_ = 0;
  std::size_t first_ = 0, count_ = 0;
  std::array<Bytes, kMostSegments> payloads_;
};

}  // namespace gatehouse::udpgw
