// How many tokens that are nobody's each source has shown lately: traffic_rules.token_failures_per_minute.
#pragma once

#include "gateway/store/key_hash.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

namespace gatehouse {

/// All sources of all lanes and plugins, in 768 KiB. Thread-safe: one lock, held for some 100 ns; for handshakes, not
/// for packets. A source is an IPv4 address or an IPv6 /64; the latter counts for its /48, too, which may fail kShare
/// times as often. Where the table is full, whoever may try again soonest is forgotten.
class TokenFailures {
 public:
  static constexpr std::uint64_t kShare = 8;

  struct Answer {
    Nanoseconds wait{0};   ///< until a token of that source will be looked at; 0: now
    bool is_news = false;  ///< that it has to wait: true once a minute, for a log
  };
  struct Counts {
    std::uint64_t failures = 0;  ///< tokens that were nobody's
    std::uint64_t refused = 0;   ///< that were not looked at
  };

  TokenFailures() : sets_(kSets) {}
  TokenFailures(const TokenFailures&) = delete;
  TokenFailures& operator=(const TokenFailures&) = delete;

  /// May `source` show a token? Asking costs it nothing.
  /// @param source  canonical (policy::Snapshot::canonical). Unknown or loopback, behind which anybody may be: it may
  /// @param most    failures a minute, which may come at once; 0 = no limit
  [[nodiscard]] Answer ask(const IpAddress& source, std::uint64_t most, SteadyTime now) noexcept;
  /// It was nobody's.
  void add(const IpAddress& source, std::uint64_t most, SteadyTime now) noexcept;
  [[nodiscard]] Counts counts() const noexcept;

 private:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 4096;

  struct Entry {
    std::uint64_t hash = 0;        // of its network
    std::uint64_t full_at = 0;     // as gcra_step() has it
    std::uint64_t told_until = 0;  // ns
  };
  using Set = std::array<Entry, kWays>;
  /// The networks that a source counts for, none to two.
  struct Networks {
    struct One {
      std::uint64_t hash, share;
    };
    std::array<One, 2> all{};
    std::size_t count = 0;
  };
  [[nodiscard]] Networks networks_of(const IpAddress& source) const noexcept;
  [[nodiscard]] Entry* find(std::uint64_t hash) noexcept;
  [[nodiscard]] Entry& find_or_make(std::uint64_t hash) noexcept;

  const KeyHash hash_;
  mutable std::mutex mutex_;  // guards what follows
  std::vector<Set> sets_;
  Counts counts_;
};

}  // namespace gatehouse
