// Whose limits of scope identity a client shares: those of its identity, or of the address that it comes from. One
// bounded table of meters for all lanes and plugins.
#pragma once

#include "policy/limiter.hpp"
#include "policy/match/name_suffixes.hpp"
#include "policy/meter_reading.hpp"

#include <gatehouse/base/address.hpp>

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse {

/// Thread-safe. Locks, but only when a client opens or closes, or an operator asks; and never for long. Identities and
/// addresses have a part each, so that nobody without an identity can push out what is remembered of those who have
/// one.
class KeyMeters : public std::enable_shared_from_this<KeyMeters> {
 public:
  static constexpr std::size_t kMostKeys = 65536;  ///< in each part; of as many more the used quota is remembered

  enum class Kind : std::uint8_t { identity, source };
  struct Counts {
    std::size_t keys = 0;
    std::uint64_t evictions = 0;  ///< keys whose meters, but for the quota, were forgotten for others, longest without
                                  ///< a client first
    std::uint64_t refused = 0;    ///< clients that share no limits, for every key had a client
  };

  /// @param most_keys  in each part
  explicit KeyMeters(std::size_t most_keys = kMostKeys);
  KeyMeters(const KeyMeters&) = delete;
  KeyMeters& operator=(const KeyMeters&) = delete;

  /// The meters that a client shares, until it drops them: by `identity`, or without one by the /32 or /64 of
  /// `source`. Null for a loopback or unknown source, behind which anybody may be, and when every key has a client.
  /// Throws std::bad_alloc.
  [[nodiscard]] std::shared_ptr<policy::Meters> open(std::string_view identity, const IpAddress& source);
  [[nodiscard]] Counts counts(Kind kind) const;

  /// Whose meters such a client shares, for people: "token:bob", "192.0.2.7/32", "2001:db8:0:1::/64"; "" where open()
  /// returns null for its source.
  [[nodiscard]] static std::string key_text(std::string_view identity, const IpAddress& source);
  /// What those meters hold; nothing where none are remembered. Makes no entry and keeps none from being forgotten.
  /// @param limits  of scope identity, as the client's group has them
  [[nodiscard]] std::optional<policy::MeterReading> read(std::string_view identity, const IpAddress& source,
                                                         const policy::MeterLimits& limits,
                                                         const policy::Moment& now) const;
  /// What the clients of a key_text() used before this process began; their quota goes on from there. Before clients
  /// open.
  void remember(std::string_view text, const policy::QuotaMeter::Earlier& earlier);

  /// The hash of an address for DistinctWindow; seeded, so that nobody can find addresses that collide.
  [[nodiscard]] std::uint64_t hash_of(const IpAddress& address) const noexcept;

 private:
  struct Entry {
    std::string key;
    std::size_t clients = 0;
    policy::Meters meters;
  };
  using Entries = std::list<Entry>;
  /// The quotas of keys that have no entry: coming from many addresses must not renew anybody's quota.
  class Pasts {
   public:
    explicit Pasts(std::size_t most) : most_(most) {}
    void add(std::string_view key, const policy::QuotaMeter::Past& past);
    /// Forgets it. A meter that has used nothing where there is none.
    [[nodiscard]] policy::QuotaMeter::Past take(std::string_view key);
    void make_room_for_one_more() noexcept { ++most_; }

   private:
    using Items = std::list<std::pair<std::string, policy::QuotaMeter::Past>>;
    Items items_;  // the oldest first
    std::map<std::string_view, Items::iterator> index_;
    std::size_t most_;
  };
  struct Part {
    explicit Part(std::size_t most_keys) : pasts(most_keys) {}
    Entries busy, idle;  // with and without clients; the longest idle first
    std::map<std::string_view, Entries::iterator> index;
    Pasts pasts;
    std::uint64_t evictions = 0, refused = 0;
  };
  [[nodiscard]] std::shared_ptr<policy::Meters> open_in(Part& part, std::string_view key);
  [[nodiscard]] bool make_place(Part& part);
  void close(Part& part, Entries::iterator entry) noexcept;

  const std::size_t most_keys_;
  const policy::HashSeed seed_;
  mutable std::mutex mutex_;   // guards parts_, but not what meters hold
  std::array<Part, 2> parts_;  // by Kind
};

}  // namespace gatehouse
