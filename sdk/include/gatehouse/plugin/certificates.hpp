// What the TLS of a lane's listeners shows and accepts, from the host. It may change at any time: compare generations
// when the lane is woken with GH_WAKE_CERTIFICATES.
#pragma once

#include <gatehouse/plugin/host.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse {

/// What one listener's TLS shows and accepts: PEM texts, but where it says otherwise.
struct Certificate {
  std::uint64_t generation = 0;        ///< of this one: another number means that it was read anew
  std::string chain = {};              ///< the leaf first
  std::string key = {};                ///< the leaf's
  std::string client_ca = {};          ///< whose certificates clients may show; "" = none are asked for
  std::string alpn = {};               ///< names, each behind its length in a byte, the preferred one first; "" = none
  std::string ticket_key = {};         ///< 80 bytes (gh_certificate), or ""
  std::string ticket_key_before = {};  ///< the one before, which still opens tickets; or ""
  std::uint32_t least_version = 0x0304;  ///< TLS 1.3; 0x0303 = 1.2
  bool ktls = false;                     ///< the kernel may make the records
};

/// For one lane, on its thread; copies are cheap and refer to the same host.
class Certificates {
 public:
  /// @param lane  whose thread calls it. A host that has no certificates is as one whose listeners show none
  Certificates(const Host& host, gh_lane* lane) noexcept
      : table_(host.find<gh_certificates>(GH_CERTIFICATES_ID)), lane_(lane) {}

  /// Moves when any listener's certificate changes. One acquire load.
  [[nodiscard]] std::uint64_t generation() const noexcept {
    if (table_ == nullptr) return 0;
    return std::atomic_ref(const_cast<std::uint64_t&>(*table_->generation)).load(std::memory_order_acquire);
  }
  /// Empty: the listener of that number (Listener::id) has none. Locks and copies: not per connection.
  /// @throws std::runtime_error for want of memory in the host
  [[nodiscard]] std::optional<Certificate> get(std::uint32_t listener) const;

 private:
  const gh_certificates* table_;  // null: a host that knows of no TLS
  gh_lane* lane_;
};

}  // namespace gatehouse
