// gh.certificates/1: what listeners' TLS shows and accepts, as PEM texts by the listener's number.
#pragma once

#include "gateway/services/listener_names.hpp"

#include <gatehouse/abi.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace gatehouse {

/// The PEM texts of one listener.
struct ListenerPem {
  std::string chain;  ///< the leaf first
  std::string key;
  std::string client_ca;  ///< whose certificates clients may show; "" = none are asked for
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
