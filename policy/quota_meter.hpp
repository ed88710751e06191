// How many bytes of a quota are used in this day or month (UTC). A value and its limit, apart as in limiter.hpp.
// Thread-safe and lock-free.
#pragma once

#include "policy/limits.hpp"
#include "policy/packet_run.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace gatehouse::policy {

/// Where the calendar stands, UTC: days and months since 1970.
struct Periods {
  std::uint32_t day = 0;
  std::uint32_t month = 0;
  bool operator==(const Periods&) const = default;
};

enum class QuotaPeriod : std::uint8_t { day, month };

/// Both directions together.
struct QuotaLimit {
  std::uint64_t bytes = 0;  ///< 0 = no limit
  QuotaPeriod period = QuotaPeriod::month;

  QuotaLimit() = default;
  /// @param period_text  day or month; "" = month
  QuotaLimit(const Limit& quota_bytes, std::string_view period_text) noexcept;
};

/// Counts only while a quota is in force. A new amount goes on with what is used; another kind of period starts anew.
class QuotaMeter {
 public:
  static constexpr std::uint64_t kMostBytes = (std::uint64_t{1} << 52) - 1;  ///< 4.5 PB: what can be counted

  /// What was used before this meter was made, as the store remembers it: in the day and the month of `periods`.
  struct Earlier {
    Periods periods;
    std::uint64_t in_day = 0, in_month = 0;
  };
  /// All that one meter knows, for another to go on with.
  struct Past {
    Earlier earlier;
    std::uint64_t state = 0;
    [[nodiscard]] bool used_any() const noexcept {
      return (state & kMostBytes) != 0 || earlier.in_day != 0 || earlier.in_month != 0;
    }
  };
  /// While nobody charges.
  [[nodiscard]] Past past() const noexcept { return {earlier_, state_.load(std::memory_order_relaxed)}; }
  /// Counting goes on from there. Before the meter is shared.
  void resume(const Past& past) noexcept {
    earlier_ = past.earlier;
    state_.store(past.state, std::memory_order_relaxed);
  }

  /// @return the bytes of the packets that fit into what the quota has left, which are charged
  [[nodiscard]] std::uint64_t charge(const QuotaLimit& limit, const PacketRun& run, Periods now) noexcept {
    return limit.bytes == 0 ? run.bytes : add(limit, run, now);
  }
  /// Undoes a charge of this period.
  void give_back(const QuotaLimit& limit, std::uint64_t bytes, Periods now) noexcept {
    if (limit.bytes != 0) subtract(limit, bytes, now);
  }
  [[nodiscard]] bool has_room(const QuotaLimit& limit, std::uint64_t bytes, Periods now) const noexcept {
    return limit.bytes == 0 || bytes <= limit.bytes - std::min(limit.bytes, used(limit, now));
  }
  [[nodiscard]] std::uint64_t used(const QuotaLimit& limit, Periods now) const noexcept;
  [[nodiscard]] bool is_used_up(const QuotaLimit& limit, Periods now) const noexcept {
    return limit.bytes != 0 && used(limit, now) >= limit.bytes;
  }

 private:
  [[nodiscard]] std::uint64_t add(const QuotaLimit& limit, const PacketRun& run, Periods now) noexcept;
  void subtract(const QuotaLimit& limit, std::uint64_t bytes, Periods now) noexcept;

  [[nodiscard]] std::uint64_t used_of(std::uint64_t state, const QuotaLimit& limit, Periods now) const noexcept;

  Earlier earlier_;
  std::atomic<std::uint64_t> state_{0};  // the period, 12 bits, and the bytes, 52 bits
};

}  // namespace gatehouse::policy
