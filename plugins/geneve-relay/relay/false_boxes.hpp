// How much may be tried in somebody's name whose boxes do not open. A public key is no secret, so that is not charged
// to its owner; but it costs the lane, and what the lane has for all must not go to a flood in one name.
#pragma once

#include "plugins/geneve-relay/wire/disco_key.hpp"

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/table/gcra.hpp>

#include <array>
#include <cstdint>

namespace gatehouse::geneve_relay {

/// A rate for each name, and beside it one as large for the sources that are familiar in it: that its owner has sealed
/// at, so that a flood from elsewhere does not hold it up. One lane's; not thread-safe. 48 KB, whatever the number of
/// names: each has two places of a hash under a secret, and is held where both are spent. No call allocates.
class FalseBoxes {
 public:
  /// A box of some name that has come. Until the next call of the table.
  class Attempt {
   public:
    /// The owner has sealed there before, as far as the table goes back, or the caller has said so.
    [[nodiscard]] bool is_familiar() const noexcept { return is_familiar_; }
    /// Whether it may be opened. Takes nothing.
    /// @param rate  a second, of a name; 0 = no limit  @param cost  in boxes of the usual sort
    [[nodiscard]] bool may_cost(std::uint64_t rate, std::uint64_t cost, SteadyTime now) const noexcept;
    /// It has not opened.
    void charge(std::uint64_t rate, std::uint64_t cost, SteadyTime now) noexcept;
    /// It has: the source is familiar from now on.
    void remember() noexcept { *place_ = mark_; }

   private:
    friend class FalseBoxes;
    std::array<Gcra*, 2> limits_;
    std::uint64_t* place_;
    std::uint64_t mark_;
    bool is_familiar_;
  };

  /// With a secret of its own, so after prepare_cryptography().
  FalseBoxes() noexcept;

  /// Some 60 ns.
  /// @param sender    whose name
  /// @param vni       of the endpoint that it is for; 0: of none
  /// @param is_known  the caller knows that the source is the owner's
  [[nodiscard]] Attempt attempt(const DiscoKey& sender, std::uint32_t vni, const IpAddress& source,
                                bool is_known = false) noexcept;

  static constexpr std::uint64_t kSeconds = 2;  ///< of its rate: what a name has at once

 private:
  enum class What : std::uint8_t { strangers, familiar, source };
  [[nodiscard]] std::uint64_t hash(What what, const DiscoKey& sender, std::uint32_t vni,
                                   const IpAddress& source) const noexcept;

  static constexpr std::size_t kLimits = 1024, kSources = 4096;
  std::array<std::byte, 16> secret_;
  std::array<std::array<Gcra, kLimits>, 2> limits_;
  std::array<std::uint64_t, kSources> sources_{};  // the latest familiar ones, hashed with their names
};

}  // namespace gatehouse::geneve_relay
