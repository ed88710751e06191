// A session in 24 bytes, for lanes that have very many.
#pragma once

#include <gatehouse/plugin/expiry.hpp>
#include <gatehouse/plugin/lane_context.hpp>

#include <atomic>
#include <cstdint>

namespace gatehouse {

/// What is left of a Session (session.hpp) that has a key and waits for nothing, where the lane itself remembers the
/// context that it was opened with and where the client is. A value, and ends nothing by going. Not thread-safe: the
/// lane's.
class SessionHandle {
 public:
  /// As Session::id().
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// As Session::is_mine(): one relaxed load.
  [[nodiscard]] bool is_mine() const noexcept {
    return std::atomic_ref(cells_->opening).load(std::memory_order_relaxed) == opening_;
  }

  /// As Session::count_up().
  void count_up(std::uint64_t packets, std::uint64_t bytes) const noexcept {
    Counter(&cells_->packets_up).add(packets);
    Counter(&cells_->bytes_up).add(bytes);
  }
  /// As Session::count_down().
  void count_down(std::uint64_t packets, std::uint64_t bytes) const noexcept {
    Counter(&cells_->packets_down).add(packets);
    Counter(&cells_->bytes_down).add(bytes);
  }
  /// As Session::set_state().
  void set_state(std::uint64_t first, std::uint64_t second) const noexcept {
    std::atomic_ref(cells_->state[0]).store(first, std::memory_order_relaxed);
    std::atomic_ref(cells_->state[1]).store(second, std::memory_order_relaxed);
  }

  /// The client is still there, and where. A call of the host, which locks.
  Error touch(const LaneContext& context, const Endpoint& source, Expiry expires = {}) const;
  /// Replaces the blob; the client is at `source`. Errc::invalid: it is longer than 4096 bytes. As touch().
  Error keep(const LaneContext& context, const Endpoint& source, std::uint32_t version, Bytes blob) const;
  /// Ends it for good, with its leases. Not one that is in other hands.
  void end(const LaneContext& context) const noexcept;

 private:
  friend class Session;
  explicit SessionHandle(const gh_session& opened) noexcept
      : cells_(opened.cells), opening_(opened.opening), id_(opened.id) {}
  [[nodiscard]] gh_session at(const Endpoint& source) const noexcept;
  gh_status touch(const Host& host, gh_lane* lane, const Endpoint& source, Expiry expires) const;
  gh_status keep(const Host& host, gh_lane* lane, const Endpoint& source, std::uint32_t version, Bytes blob,
                 const gh_completion* durable) const;
  void end(const Host& host, gh_lane* lane) const noexcept;

  gh_session_cells* cells_;
  std::uint64_t opening_;
  std::uint64_t id_;
};

}  // namespace gatehouse
