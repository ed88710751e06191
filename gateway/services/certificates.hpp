// gh.certificates/1: what listeners' TLS shows and accepts, by the listener's number.
#pragma once

#include "gateway/services/listener_names.hpp"

#include <gatehouse/abi.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace gatehouse {

/// What one listener's TLS goes by; texts are PEM but where it says otherwise.
struct ListenerPem {
  std::string chain = {};  ///< the leaf first
  std::string key = {};
  std::string client_ca = {};          ///< whose certificates clients may show; "" = none are asked for
  std::string alpn = {};               ///< names, each behind its length in a byte, the preferred one first
  std::string ticket_key = {};         ///< 80 bytes, as gh_certificate has them, or ""
  std::string ticket_key_before = {};  ///< the same
  std::uint32_t least_version = 0x0304;
  bool ktls = false;

  /// Overwrites the secrets, which nobody needs any more.
  void wipe() noexcept;
  friend bool operator==(const ListenerPem&, const ListenerPem&) = default;
};

/// All listeners', by BoundListener::id. Thread-safe. Whoever changes it wakes the lanes: PluginSet does both.
class CertificateTable {
 public:
  /// @return false: it is what the listener had
  bool publish(std::uint32_t listener, ListenerPem pem);
  /// @return false: it had none
  bool remove(std::uint32_t listener);

 private:
  friend class PluginCertificates;
  struct Entry {
    Entry(ListenerPem of, std::uint64_t number) : pem(std::move(of)), generation(number) {}
    ~Entry() { pem.wipe(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ListenerPem pem;
    std::uint64_t generation;
  };
  [[nodiscard]] std::shared_ptr<const Entry> find(std::uint32_t listener) const;

  std::atomic<std::uint64_t> generation_{1};
  mutable std::mutex mutex_;  // guards entries_, and is held while generation_ moves
  std::map<std::uint32_t, std::shared_ptr<const Entry>> entries_;
};

/// One instance's face of the table: its own listeners' entries, no other's.
class PluginCertificates {
 public:
  PluginCertificates(std::shared_ptr<CertificateTable> all, std::shared_ptr<const ListenerNames> listeners,
                     std::string plugin);
  PluginCertificates(const PluginCertificates&) = delete;
  PluginCertificates& operator=(const PluginCertificates&) = delete;
  [[nodiscard]] const gh_certificates* table() const noexcept { return &table_; }

 private:
  gh_status get(gh_lane* lane, std::uint32_t listener, gh_certificate& out) const noexcept;

  std::shared_ptr<CertificateTable> all_;
  std::shared_ptr<const ListenerNames> listeners_;
  std::string plugin_;
  gh_certificates table_;
};

}  // namespace gatehouse
