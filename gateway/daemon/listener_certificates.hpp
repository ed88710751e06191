// What the TLS of every listener shows and accepts: read with the configuration, again when the files change; with the
// keys of session tickets, and a word in time before a certificate expires.
#pragma once

#include <gatehouse/base/clock.hpp>

#include "gateway/base/openmetrics.hpp"
#include "gateway/daemon/certificate_files.hpp"
#include "gateway/plugin/configured_plugin.hpp"
#include "gateway/services/certificates.hpp"
#include "gateway/services/log.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {

/// Control thread only.
///
/// Files that change are taken once they fit together and are valid; until then, the ones before go on. One that has
/// expired is served, too, also from the start on: its clients decide for themselves, say more clearly what is wrong
/// than a refused connection would, and a restart takes nobody else down. Rotates each listener's ticket keys: a ticket
/// is good for one rotation to two.
class ListenerCertificates {
 public:
  static constexpr Nanoseconds kRotation = std::chrono::hours(1);
  static constexpr std::int64_t kWarning = 14 * 86'400;  ///< seconds before a certificate expires

  /// The files of a configuration that is not in force yet: what listeners with the same TlsConfig share.
  struct Reading {
    TlsConfig config;
    std::shared_ptr<const CertificateFiles> files;
    ConfigPlace place;  ///< of the first such listener
    std::string listener;
  };
  using Readings = std::vector<Reading>;

  ListenerCertificates(std::shared_ptr<CertificateTable> table, std::shared_ptr<Journal> journal)
      : table_(std::move(table)), journal_(std::move(journal)) {}

  /// Reads what the listeners of `plugin` need into `out`. What is wrong is a problem at the listener's place; so is a
  /// certificate that is not valid at `now` where it would take the place of one that is.
  void read(const PluginConfig& plugin, std::int64_t now, Readings& out, std::vector<ConfigProblem>& problems) const;
  /// What is to be said of them, and is no problem: which are not valid at `now`, or expire soon.
  [[nodiscard]] static std::vector<ConfigProblem> remarks(const Readings& readings, std::int64_t now);
  /// Publishes what `settings` asks for, from `readings`.
  /// @param only_new  not where a listener has something already: before a reload is sure
  /// @return something is new: wake the lanes
  bool serve(const PluginSettings& settings, const Readings& readings, SteadyTime now, bool only_new = false);
  /// Forgets every listener but these, by BoundListener::id. @return as serve()
  bool keep_only(const std::set<std::uint32_t>& listeners);

  /// Looks at the files, and at the clock; call it each second. Blocks where a file has changed, to read it.
  /// @param unix_now  the system's time @return as serve()
  bool watch(SteadyTime now, std::int64_t unix_now);

  /// Sentences of certificates that expire soon or have expired, and of files that cannot be taken.
  [[nodiscard]] std::vector<std::string> reasons(std::int64_t unix_now) const;
  void write_metrics(OpenMetrics& out) const;

 private:
  struct Served {
    Served() = default;
    ~Served();
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;
    std::string plugin, listener;
    TlsConfig config;
    std::shared_ptr<const CertificateFiles> files;
    std::optional<std::array<FileStamp, 3>> tried;  // that were read last, and would show any change
    std::string refused;                            // why they were not taken, or ""
    std::string ticket_key, ticket_key_before;      // 80 bytes, or ""; wiped when they go
    SteadyTime rotate_at{};
    std::int64_t tell_at = 0;  // Unix time, of when it is valid
  };

  [[nodiscard]] bool has_valid_one(const TlsConfig& config, const CertificateFiles& coming, std::int64_t now) const;
  bool publish(std::uint32_t id, const Served& served);
  bool rotate(Served& served, SteadyTime now);
  bool look(Served& served, std::int64_t unix_now);
  void tell_times(Served& served, std::int64_t unix_now);

  std::shared_ptr<CertificateTable> table_;
  std::shared_ptr<Journal> journal_;
  std::map<std::uint32_t, Served> served_;  // by BoundListener::id
};

}  // namespace gatehouse
