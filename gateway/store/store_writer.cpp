#include "gateway/store/store_writer.hpp"

#include "gateway/base/block_signals.hpp"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongestBackOff{60};
constexpr milliseconds kBusyRetry{100};
constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kDaysKept = 31;  // a month's quota needs them

/// It is over and carried nothing, and nobody can come back to it: a refused client, or somebody who tried the port.
bool has_left_nothing(const db::SessionRecord& session) noexcept {
  return session.ended_at && session.key.empty() && session.totals == db::TrafficTotals{};
}

}  // namespace

StoreWriter::StoreWriter(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events,
                         UnixClock clock)
    : events_(std::move(events)), clock_(clock), store_(std::move(store)) {
  durability_->set_on_failure(on_failure);
  load();
  next_round_ = Clock::now() + kRound;
  next_upkeep_ = Clock::now() + seconds(1);
  const BlockSignals block;
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "gh-store");
}

StoreWriter::~StoreWriter() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  durability_->wake().signal();
  if (thread_.joinable()) thread_.join();
}

void StoreWriter::load() {
  db::StoredState state = store_->load(clock_());
  opening_ = store_->opening();  // only now: loading may find a broken file
  std::size_t strange = 0;
  for (const db::SessionRecord& session : state.sessions) strange += sessions_->load(session) ? 0 : 1;
  for (const db::LeaseRecord& lease : state.leases) sessions_->leases().load(lease);
  for (const db::ValueRecord& value : state.values) values_->load(value);
  sessions_->end_loading(state.last_session_id, opening_.unsure_until == 0);
  sessions_->leases().set_unsure_until(opening_.unsure_until);
  usage_.load(state.usage);
  remembered_usage_ = std::move(state.usage);
  status_.unsure_until = opening_.unsure_until;
  if (strange > 0) {
    say(true, std::to_string(strange) + " sessions in the store have numbers that this gateway did not give: left out");
  }
}

void StoreWriter::run() noexcept {
  for (;;) {
    wait(std::min({next_round_, next_upkeep_, wants_to_write() ? retry_at_ : Clock::time_point::max()}));
    std::uint64_t flush = 0;
    {
      const std::scoped_lock lock(mutex_);
      if (stopping_) return;
      flush = flush_wanted_;
      if (closing_) store_->use_reserve();
    }
    const Clock::time_point now = Clock::now();
    if (flush != flush_done_ || now >= next_round_) round(clock_());
    collect();
    if (wants_to_write() && (now >= retry_at_ || flush != flush_done_)) write_pending();
    if (!wants_to_write()) upkeep(Clock::now());
    publish();
    if (pending_.size() == 0 && usage_.changed() == 0) {
      all_is_due_ = false;
      const std::scoped_lock lock(mutex_);
      flush_done_ = flush;
      flushed_cv_.notify_all();
    }
  }
}

/// Until somebody has changed something, or it is time.
void StoreWriter::wait(Clock::time_point until) {
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  pollfd waits{durability_->wake().fd(), POLLIN, 0};
  if (left > milliseconds(0) && poll(&waits, 1, static_cast<int>(left.count())) <= 0) return;
  if (left > milliseconds(0)) durability_->wake().clear();
}

/// Lists what is not worth a commit of its own.
void StoreWriter::round(std::int64_t now) {
  sessions_->list_moved(now);
  sessions_->leases().expire(now);
  usage_.forget_before(now / kSecondsOfDay - kDaysKept);
  next_round_ = Clock::now() + kRound;
  all_is_due_ = true;
}

void StoreWriter::collect() {
  durability_->changes().take([this](ChangeLink& link) { take(link); });
}

void StoreWriter::take(ChangeLink& link) {
  switch (link.kind) {
    case ChangeLink::Kind::session: {
      SessionTable::Change change = sessions_->take_change(link);
      const db::SessionRecord& session = change.record;
      if (change.is_first && change.waiting.empty() && has_left_nothing(session)) return;
      usage_.add({clock_() / kSecondsOfDay, session.plugin, change.payer, session.group_name}, change.since);
      pending_.put(std::move(change.record), change.waiting);
      return;
    }
    case ChangeLink::Kind::lease: {
      LeaseTable::Change change = sessions_->leases().take_change(link);
      pending_.put(std::move(change.record), change.waiting);
      return;
    }
    case ChangeLink::Kind::value: {
      ValueTable::Change change = values_->take_change(link);
      pending_.put(std::move(change.record), change.waiting);
      return;
    }
  }
}

bool StoreWriter::wants_to_write() const noexcept {
  return pending_.is_urgent() || pending_.size() >= kMostRows || all_is_due_;
}

/// Four times as long as a commit takes is given to others to come along, so that commits take a fifth of the time at
/// most, and a slow disk gets larger ones.
void StoreWriter::write_pending() {
  if (pending_.size() == 0 && usage_.changed() == 0) return;
  if (const auto linger = std::min<Clock::duration>(kLongestLinger, last_commit_ * 4);
      pending_.size() < kMostRows && linger >= milliseconds(1)) {
    std::this_thread::sleep_for(linger);
    collect();
  }
  while (pending_.size() > 0 || usage_.changed() > 0) {
    publish();
    if (!write_batch()) return;
    collect();
  }
}

bool StoreWriter::write_batch() {
  db::StoreBatch batch = pending_.first(kMostRows);
  const std::size_t rows = batch.rows();
  usage_.fill(batch, kMostRows - rows);
  const Clock::time_point begin = Clock::now();
  {
    const std::scoped_lock lock(mutex_);
    writing_ = begin;
  }
  bool only_busy = false;
  std::string why;
  try {
    if (store_->write(batch) == db::Store::Written::start_over) {
      start_over();
    } else {
      usage_.written(batch);
      succeeded(batch.rows(), Clock::now() - begin);
      durability_->complete(pending_.remove_first(rows), GH_OK);
    }
  } catch (const db::StoreError& error) {
    only_busy = error.kind() == db::StoreError::Kind::busy;
    why = error.what();
  } catch (const std::exception& error) {
    why = error.what();
  }
  if (!why.empty()) failed(only_busy, why);
  return why.empty();
}

/// The file is another one: it is told everything that is live.
void StoreWriter::start_over() {
  say(true, "the store's file is another one than before; writing every live session and lease anew");
  all_is_due_ = true;
  values_->change_all();
  sessions_->change_all();
  sessions_->leases().change_all();
  usage_.change_all();
}

void StoreWriter::succeeded(std::size_t rows, Clock::duration took) {
  last_commit_ = took;
  back_off_ = seconds(0);
  failing_since_.reset();
  retry_at_ = {};
  {
    const std::scoped_lock lock(mutex_);
    writing_.reset();
    status_.failing = false;
    ++status_.commits;
    status_.rows += rows;
    durability_->set_failing(false);
  }
  if (std::exchange(told_failure_, false)) say(false, "the store is written again");
}

void StoreWriter::failed(bool only_busy, const std::string& why) {
  const Clock::time_point now = Clock::now();
  if (!failing_since_) failing_since_ = now;
  all_is_due_ = true;
  const bool for_good = !only_busy || now - *failing_since_ >= kPatience;
  if (for_good) back_off_ = std::clamp(back_off_ * 2, seconds(1), kLongestBackOff);
  retry_at_ = now + (for_good ? Clock::duration(back_off_) : Clock::duration(kBusyRetry));
  {
    const std::scoped_lock lock(mutex_);
    writing_.reset();
    ++status_.failures;
    status_.last_error = why;
    status_.failing = for_good;
  }
  if (!for_good) return;
  durability_->set_failing(true);
  if (!std::exchange(told_failure_, true)) say(true, "cannot write the store; going on from memory: " + why);
  if (durability_->on_failure() == OnStoreFailure::stop && !std::exchange(told_stop_, true) && events_.stop) {
    events_.stop();
  }
}

void StoreWriter::upkeep(Clock::time_point now) {
  if (now < next_upkeep_) return;
  try {
    next_upkeep_ = now + std::max(store_->upkeep(clock_()), milliseconds(1));
  } catch (const std::exception& error) {
    next_upkeep_ = now + seconds(10);
    const std::scoped_lock lock(mutex_);
    status_.last_error = error.what();
  }
}

void StoreWriter::publish() {
  const std::scoped_lock lock(mutex_);
  status_.dirty_rows = pending_.size() + usage_.changed();
  status_.forgotten = pending_.forgotten();
  oldest_ = pending_.since();
}

StoreStatus StoreWriter::status() const {
  const std::scoped_lock lock(mutex_);
  StoreStatus out = status_;
  if (oldest_) out.lag = std::chrono::duration_cast<seconds>(Clock::now() - *oldest_);
  out.served_undurable = durability_->served_undurable();
  out.refused = durability_->refused();
  return out;
}

void StoreWriter::watch() {
  bool stalled = false;
  {
    const std::scoped_lock lock(mutex_);
    stalled = writing_ && Clock::now() - *writing_ >= kPatience;
    if (!stalled) return;
    if (!std::exchange(status_.failing, true)) {
      ++status_.failures;
      status_.last_error = "a write to the store does not return; the disk does not answer";
    }
  }
  durability_->set_failing(true);
  const std::scoped_lock lock(mutex_);
  if (!writing_) durability_->set_failing(status_.failing);  // it returned just now
}

bool StoreWriter::flush(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = ++flush_wanted_;
  durability_->wake().signal();
  return flushed_cv_.wait_until(lock, deadline, [&] { return flush_done_ >= wanted; });
}

bool StoreWriter::close(Clock::time_point deadline) {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  bool good = flush(deadline);
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  durability_->wake().signal();
  thread_.join();
  if (!good) return false;
  try {
    store_->close();
  } catch (const std::exception& error) {
    say(true, std::string("the store could not be closed in an orderly way: ") + error.what());
    good = false;
  }
  return good;
}

}  // namespace gatehouse
