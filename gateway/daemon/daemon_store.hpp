// The daemon's store over its life: opened before plugins, asked by the control API, closed after the plugins.
#pragma once

#include "gateway/base/utc_time.hpp"
#include "gateway/daemon/store_report.hpp"
#include "gateway/daemon/store_tables.hpp"
#include "gateway/policy/key_meters.hpp"
#include "gateway/store/store_writer.hpp"

#include <memory>
#include <string>

namespace gatehouse {

/// Control thread only.
class DaemonStore {
 public:
  using Clock = StoreWriter::Clock;

  /// Opens what `config` names, and loads it. Reports everything that was not ordinary by `events.log`.
  /// @throws std::runtime_error  a sentence: for example, another gateway has it open
  DaemonStore(const StoreConfig& config, StoreEvents events,
              db::SyncState is_synchronised = &db::clock_is_synchronised);
  ~DaemonStore();

  [[nodiscard]] const std::shared_ptr<SessionTable>& sessions() const noexcept { return writer_->sessions(); }
  [[nodiscard]] const std::shared_ptr<ValueTable>& values() const noexcept { return writer_->values(); }
  /// Lets quotas go on from what the store remembers of this day and month.
  void restore_quotas(KeyMeters& meters) const;

  /// What may change while it is open: all but the url.
  void take_over(const StoreConfig& next);
  /// What the policy in force says about sessions without traffic.
  void take_over(const policy::Snapshot& policy) {
    if (policy.has_policy()) sessions()->set_idle_ends(idle_ends_of(policy));
  }
  /// To be called every second or so.
  void watch() {
    sessions()->expire(unix_now());
    writer_->watch();
  }
  /// The end of an orderly life, when plugins have returned. @return false: something could not be written by then
  [[nodiscard]] bool close(Clock::time_point deadline);

  [[nodiscard]] std::int64_t believed_now() const { return writer_->sessions()->reading(unix_now()).believed; }
  [[nodiscard]] StoreFacts facts() const { return {config_, writer_->status(), writer_->opening()}; }

  /// What the control API answers; `question` as JSON. What is only in state.db is read after everything was written,
  /// as far as that is possible within a second. @throws std::runtime_error  a sentence
  [[nodiscard]] ShownSessions sessions_shown(const std::string& question);
  /// Ends those of {"identity": ...}, and says how many.
  [[nodiscard]] std::string end_sessions_body(const std::string& question);
  [[nodiscard]] std::string leases_body(const std::string& question);
  [[nodiscard]] std::string usage_body(const std::string& question);

 private:
  [[nodiscard]] bool write_all();

  StoreConfig config_;
  std::unique_ptr<StoreWriter> writer_;
  bool closed_ = false;
};

}  // namespace gatehouse
