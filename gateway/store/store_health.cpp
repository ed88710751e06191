#include "gateway/store/store_health.hpp"

#include <utility>

namespace gatehouse {
namespace {

constexpr std::chrono::minutes kAsideLogEvery{1};

}  // namespace

StoreHealth::StoreHealth(std::shared_ptr<Durability> durability, StoreEvents events)
    : durability_(std::move(durability)), events_(std::move(events)) {}

void StoreHealth::begin() {
  const std::scoped_lock lock(mutex_);
  calling_ = Clock::now();
}

void StoreHealth::written(std::size_t rows) {
  const std::scoped_lock reporting(reporting_);
  {
    const std::scoped_lock lock(mutex_);
    calling_.reset();
    refused_ = stalled_ = false;
    ++status_.commits;
    status_.rows += rows;
  }
  report_state();
}

void StoreHealth::failed(bool for_good, const std::string& why) {
  const std::scoped_lock reporting(reporting_);
  {
    const std::scoped_lock lock(mutex_);
    calling_.reset();
    refused_ = for_good;
    stalled_ = false;
    ++status_.failures;
    status_.last_error = why;
  }
  report_state();
}

void StoreHealth::returned(const std::string& why) {
  const std::scoped_lock reporting(reporting_);
  {
    const std::scoped_lock lock(mutex_);
    calling_.reset();
    stalled_ = false;
    if (!why.empty()) status_.last_error = why;
  }
  report_state();
}

void StoreHealth::watch(Clock::duration patience) {
  const std::scoped_lock reporting(reporting_);
  {
    const std::scoped_lock lock(mutex_);
    if (!calling_ || Clock::now() - *calling_ < patience) return;
    if (!std::exchange(stalled_, true)) {
      ++status_.failures;
      status_.last_error = "a write to the store does not return; the disk does not answer";
    }
  }
  report_state();
}

/// Passes the present state on, to the log only when it has changed. reporting_ is held.
void StoreHealth::report_state() {
  bool failing = false, is_news = false;
  std::string why;
  {
    const std::scoped_lock lock(mutex_);
    failing = refused_ || stalled_;
    is_news = std::exchange(status_.failing, failing) != failing;
    why = status_.last_error;
  }
  durability_->set_failing(failing);
  if (is_silent_) return;
  if (is_news && events_.log) {
    events_.log(failing ? LogMessage::warning("cannot write the store; going on from memory: " + why)
                        : LogMessage::info("the store is written again"));
  }
  const bool stops = failing && durability_->on_failure() == OnStoreFailure::stop;
  if (stops && !std::exchange(has_stopped_, true) && events_.stop) events_.stop();
}

void StoreHealth::set_aside(const db::RefusedRow& row) {
  std::string sentence = "set aside, for the store cannot take it: " + db::name_of(row) + ": " + row.why;
  {
    const std::scoped_lock lock(mutex_);
    status_.last_aside = sentence;
    ++aside_unlogged_;
    const Clock::time_point now = Clock::now();
    if (aside_logged_ && now - *aside_logged_ < kAsideLogEvery) return;
    aside_logged_ = now;
    if (const std::uint64_t others = std::exchange(aside_unlogged_, 0) - 1; others != 0)
      sentence += "; " + std::to_string(others) + " other times since the last such line";
  }
  warn(sentence);
}

void StoreHealth::set_excess(const std::string& sentence) {
  {
    const std::scoped_lock lock(mutex_);
    const bool is_news = status_.excess.empty() && !sentence.empty();
    status_.excess = sentence;
    if (!is_news) return;
  }
  warn(sentence);
}

void StoreHealth::publish(const Backlog& backlog) {
  const std::scoped_lock lock(mutex_);
  status_.dirty_rows = backlog.rows;
  status_.forgotten = backlog.forgotten;
  status_.aside = backlog.aside;
  status_.displaced = backlog.displaced;
  oldest_ = backlog.oldest;
}

void StoreHealth::warn(const std::string& sentence) const {
  const std::scoped_lock reporting(reporting_);
  if (!is_silent_ && events_.log) events_.log(LogMessage::warning(sentence));
}

StoreStatus StoreHealth::status() const {
  const std::scoped_lock lock(mutex_);
  StoreStatus out = status_;
  out.dirty_rows += durability_->changes().size();
  if (oldest_) out.lag = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - *oldest_);
  out.served_undurable = durability_->served_undurable();
  out.refused = durability_->refused();
  return out;
}

void StoreHealth::silence() {
  const std::scoped_lock reporting(reporting_);
  is_silent_ = true;
}

}  // namespace gatehouse
