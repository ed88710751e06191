// A store whose disk is a map, for tests of what stands before it: it can fail, hang, lose its file, and it outlives
// the writer as a disk outlives a killed process.
#pragma once

#include "db/store/store.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

/// Thread-safe.
class FakeDisk {
 public:
  // ---- what has arrived
  [[nodiscard]] std::optional<db::SessionRecord> session(std::uint64_t id) const {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::optional<db::LeaseRecord> lease(const std::string& plugin, const std::string& resource) const {
    const std::scoped_lock lock(mutex_);
    const auto found = leases_.find({plugin, resource});
    return found == leases_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::map<db::UsageKey, db::TrafficTotals> usage() const {
    const std::scoped_lock lock(mutex_);
    return usage_;
  }
  [[nodiscard]] std::size_t sessions() const {
    const std::scoped_lock lock(mutex_);
    return sessions_.size();
  }
  [[nodiscard]] int commits() const {
    const std::scoped_lock lock(mutex_);
    return commits_;
  }
  /// Writes that were asked for.
  [[nodiscard]] int tries() const {
    const std::scoped_lock lock(mutex_);
    return tries_;
  }
  struct Times {
    std::chrono::steady_clock::time_point begin, end;
  };
  /// When each commit was asked for, and when it was done.
  [[nodiscard]] std::vector<Times> commit_times() const {
    const std::scoped_lock lock(mutex_);
    return times_;
  }
  [[nodiscard]] int upkeeps() const {
    const std::scoped_lock lock(mutex_);
    return upkeeps_;
  }
  [[nodiscard]] db::Retention retention() const {
    const std::scoped_lock lock(mutex_);
    return retention_;
  }

  /// Another disk with the same on it, and nothing wrong.
  [[nodiscard]] std::shared_ptr<FakeDisk> copy() const {
    const std::scoped_lock lock(mutex_);
    auto out = std::make_shared<FakeDisk>();
    out->sessions_ = sessions_;
    out->leases_ = leases_;
    out->usage_ = usage_;
    out->values_ = values_;
    return out;
  }

  /// Does the kernel vouch for the clock? It does at first.
  void set_synchronised(bool wanted) {
    const std::scoped_lock lock(mutex_);
    is_synchronised_ = wanted;
  }

  // ---- what goes wrong
  void fail_with(std::optional<db::StoreError::Kind> kind) {
    const std::scoped_lock lock(mutex_);
    failure_ = kind;
  }
  /// Rows of that session cannot be taken; 0: all can.
  void refuse_session(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    refused_ = id;
  }
  /// Nothing returns until hang(false).
  void hang(bool wanted) {
    const std::scoped_lock lock(mutex_);
    hangs_ = wanted;
    changed_.notify_all();
  }
  /// How long each write takes from now on.
  void slow_down(std::chrono::milliseconds time) {
    const std::scoped_lock lock(mutex_);
    takes_ = time;
  }
  void want_upkeep_every(std::chrono::milliseconds time) {
    const std::scoped_lock lock(mutex_);
    upkeep_every_ = time;
  }
  /// The next call finds that.
  void find(const std::string& moved, const std::string& remark) {
    const std::scoped_lock lock(mutex_);
    moved_ = moved;
    remark_ = remark;
  }
  /// The file is taken away: the next write finds another one, empty.
  void lose_file() {
    const std::scoped_lock lock(mutex_);
    sessions_.clear(), leases_.clear(), usage_.clear(), values_.clear();
    lost_ = true;
  }

 private:
  friend class FakeDiskStore;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<std::uint64_t, db::SessionRecord> sessions_;
  std::map<db::LeaseKey, db::LeaseRecord> leases_;
  std::map<db::UsageKey, db::TrafficTotals> usage_;
  std::map<db::ValueKey, db::ValueRecord> values_;
  std::optional<db::StoreError::Kind> failure_;
  std::uint64_t refused_ = 0;
  std::chrono::milliseconds takes_{0}, upkeep_every_{1000};
  db::Retention retention_;
  std::string moved_, remark_;
  bool hangs_ = false, lost_ = false, is_synchronised_ = true;
  std::int64_t seen_at_ = 0;
  int commits_ = 0, tries_ = 0, upkeeps_ = 0;
  std::vector<Times> times_;
};

class FakeDiskStore final : public db::Store {
 public:
  explicit FakeDiskStore(std::shared_ptr<FakeDisk> disk, db::StoreOpening opening = {})
      : disk_(std::move(disk)), opening_(std::move(opening)), trust_(disk_->seen_at_) {}

  [[nodiscard]] const db::StoreOpening& opening() const noexcept override { return opening_; }
  [[nodiscard]] db::StoredState load(std::int64_t time) override {
    const std::int64_t now = believed(time);
    const std::scoped_lock lock(disk_->mutex_);
    db::StoredState out;
    for (const auto& [id, session] : disk_->sessions_) {
      out.last_session_id = std::max(out.last_session_id, id);
      if (!session.ended_at && !session.key.empty()) out.sessions.push_back(session);
    }
    for (const auto& [key, lease] : disk_->leases_) {
      if (lease.expires_at == 0 || lease.expires_at > now) out.leases.push_back(lease);
    }
    for (const auto& [key, totals] : disk_->usage_) out.usage.push_back({key, totals});
    for (const auto& [key, value] : disk_->values_) out.values.push_back(value);
    out.lacks_values = opening_.unsure_until != 0;
    for (auto& value : out.values) value.is_doubtful = out.lacks_values;
    return out;
  }
  [[nodiscard]] Written write(const db::StoreBatch& batch) override {
    const auto begin = std::chrono::steady_clock::now();
    std::unique_lock lock = answered();
    ++disk_->tries_;
    if (disk_->failure_) throw db::StoreError(*disk_->failure_, "the disk is not well");
    if (std::exchange(disk_->lost_, false)) return Written::start_over;
    refused_.clear();
    for (const auto& row : batch.sessions) {
      if (row.id == disk_->refused_) {
        refused_.push_back({row.id, "no such client"});
      } else {
        disk_->sessions_.insert_or_assign(row.id, row);
      }
    }
    for (const auto& row : batch.leases) {
      if (disk_->sessions_.contains(row.session)) {
        disk_->leases_.insert_or_assign(row.key, row);
      } else {
        refused_.push_back({row.key, "no such session"});
      }
    }
    for (const auto& key : batch.released) disk_->leases_.erase(key);
    for (const auto& row : batch.usage) disk_->usage_.insert_or_assign(row.key, row.totals);
    for (const auto& row : batch.values) {
      if (row.value)
        disk_->values_.insert_or_assign(row.key, row);
      else
        disk_->values_.erase(row.key);
    }
    ++disk_->commits_;
    disk_->times_.push_back({begin, std::chrono::steady_clock::now()});
    return Written::done;
  }
  [[nodiscard]] std::vector<db::RefusedRow> take_refused() override { return std::exchange(refused_, {}); }
  std::chrono::milliseconds upkeep(std::int64_t) override {
    const std::unique_lock lock = answered();
    ++disk_->upkeeps_;
    return disk_->upkeep_every_;
  }
  [[nodiscard]] std::int64_t believed(std::int64_t now) override {
    const std::scoped_lock lock(disk_->mutex_);
    return disk_->seen_at_ = trust_.believed(now, disk_->is_synchronised_);
  }
  [[nodiscard]] bool needs_write() const noexcept override {
    const std::scoped_lock lock(disk_->mutex_);
    return disk_->lost_;
  }
  void set_retention(const db::Retention& retention) override {
    const std::scoped_lock lock(disk_->mutex_);
    disk_->retention_ = retention;
  }
  void use_reserve() noexcept override {}
  void close() override { answered(); }

 private:
  std::unique_lock<std::mutex> answered() {
    std::unique_lock lock(disk_->mutex_);
    disk_->changed_.wait_for(lock, disk_->takes_, [] { return false; });
    disk_->changed_.wait(lock, [&] { return !disk_->hangs_; });
    if (!disk_->moved_.empty()) opening_.moved.emplace_back(std::exchange(disk_->moved_, {}));
    if (!disk_->remark_.empty()) opening_.remarks.push_back(std::exchange(disk_->remark_, {}));
    return lock;
  }

  const std::shared_ptr<FakeDisk> disk_;
  db::StoreOpening opening_;
  db::ClockTrust trust_;
  std::vector<db::RefusedRow> refused_;
};

}  // namespace gatehouse
