#include "gateway/store/store_writer.hpp"

#include "db/file/clock_trust.hpp"
#include "gateway/base/start_thread.hpp"
#include "gateway/store/pending_rows.hpp"
#include "gateway/store/usage_ledger.hpp"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace gatehouse {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongestBackOff{60};
constexpr seconds kLongestLastBackOff{1};  // when the end is near
constexpr milliseconds kBusyRetry{100};
constexpr seconds kUpkeepRetry{10};
constexpr milliseconds kRest{2};
constexpr std::chrono::minutes kAsideRetry{10};  // with rows that the store could not take: somebody may have mended it
constexpr seconds kRoomRetry{1};
constexpr std::size_t kManyRows = 8192;                         // some MB
constexpr int kTrims = 3;                                       // rounds
constexpr std::chrono::minutes kTrimsRest{5};                   // between some and some more
constexpr int kShare = 5;                                       // of the time, what lingering leaves to commits
constexpr std::size_t kUsageRows = StoreWriter::kMostRows / 4;  // that a full commit has room for
constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kDaysKept = 31;  // a month's quota needs them

/// That anybody used, since 1970; 0 = none.
std::int64_t last_day_of(const std::vector<db::UsageRecord>& usage) noexcept {
  std::int64_t out = 0;
  for (const db::UsageRecord& record : usage) out = std::max(out, record.key.day);
  return out;
}

/// It is over and carried nothing, and nobody can come back to it: a refused client, or somebody who tried the port.
bool has_left_nothing(const db::SessionRecord& session) noexcept {
  return session.ended_at && session.key.empty() && session.totals == db::TrafficTotals{};
}

}  // namespace

/// The thread's side. A turn collects what has changed and writes one batch at most, so that rounds, upkeep and the end
/// have theirs however much there is to write.
class StoreWriter::Loop {
 public:
  Loop(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events, UnixClock clock,
       milliseconds round);

  /// Until end(). The thread.
  void run() noexcept;

  // ---- any thread
  [[nodiscard]] db::StoreOpening opening() const {
    const std::scoped_lock lock(mutex_);
    return opening_;
  }
  [[nodiscard]] StoreStatus status() const;
  void set_retention(const db::Retention& retention);
  bool flush(Clock::time_point deadline);
  void expect_end();
  enum class Ending { none, at_once, orderly };
  /// Makes run() return. @return false: not by then
  bool end(Ending how, Clock::time_point deadline);
  [[nodiscard]] bool has_closed_well() const {
    const std::scoped_lock lock(mutex_);
    return closed_well_;
  }

  const UnixClock clock;
  const std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  const std::shared_ptr<SessionTable> sessions = std::make_shared<SessionTable>(durability);
  const std::shared_ptr<ValueTable> values = std::make_shared<ValueTable>(durability);
  StoreHealth health;
  std::vector<db::UsageRecord> remembered_usage;  // const once it is loaded

 private:
  /// Orders of other threads for this one.
  struct Orders {
    std::uint64_t flush = 0;  // the last one
    std::optional<db::Retention> retention;
    bool end_is_near = false;
    Ending ending = Ending::none;
  };

  void load();
  [[nodiscard]] Clock::time_point next_turn() const noexcept;
  void wait(Clock::time_point until);
  [[nodiscard]] Orders take_orders();
  void obey(const Orders& orders);
  void turn(bool at_once);
  void round();
  [[nodiscard]] std::int64_t today();
  [[nodiscard]] std::int64_t last_day_remembered() const noexcept;
  void mark();
  void collect();
  void take(ChangeLink& link);
  [[nodiscard]] bool take_session(ChangeLink& link);
  [[nodiscard]] bool has_marked() const noexcept { return pending_.marked() > 0 || usage_.marked() > 0; }
  [[nodiscard]] bool has_rows_to_write() const noexcept;
  void give_back();
  void linger();
  void write_batch();
  std::size_t set_aside(const std::vector<db::RefusedRow>& refused);
  void retry_aside();
  void make_room();
  void start_over();
  void succeeded(std::size_t rows, Clock::duration took);
  void failed(bool only_busy, const std::string& why);
  void upkeep();
  void log_findings();
  void publish();
  void close_store(bool in_order) noexcept;

  const milliseconds round_;
  std::unique_ptr<db::Store> store_;
  PendingRows pending_;
  std::size_t moved_rows_ = 0;  // read or written since give_back()
  int trims_ = 0;               // that are to follow
  Clock::time_point next_trim_{};
  UsageLedger usage_;
  db::ClockTrust trust_{0};  // the clock of the start, and what follows from it
  const Clock::time_point started_ = Clock::now();
  std::int64_t last_day_ = 0;  // that anybody had used when it was loaded; 0 = none
  bool may_rest_ = false;      // it was woken for what nobody waits for
  Clock::time_point next_round_{}, next_upkeep_{}, retry_at_{}, next_aside_{}, next_room_{};
  Clock::duration last_commit_{};
  seconds back_off_{0};
  std::optional<Clock::time_point> failing_since_;
  std::uint64_t flush_begun_ = 0;  // whose rows, and maybe more, are marked
  std::uint64_t displaced_ = 0;    // sessions, see make_room()
  bool needs_write_ = false;       // db::Store::needs_write()
  bool end_is_near_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Orders orders_;
  std::uint64_t flush_done_ = 0;
  bool ended_ = false, closed_well_ = false;
  db::StoreOpening opening_;
};

StoreWriter::Loop::Loop(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events,
                        UnixClock clock_of, milliseconds round)
    : clock(clock_of), health(durability, std::move(events)), round_(round), store_(std::move(store)) {
  durability->set_on_failure(on_failure);
  load();
  next_round_ = Clock::now() + round_;
  next_upkeep_ = Clock::now() + seconds(1);
}

void StoreWriter::Loop::load() {
  db::StoredState state = store_->load(clock());
  sessions->believe(store_->believed(clock()));
  opening_ = store_->opening();  // only now: loading may find a broken file
  moved_rows_ = state.sessions.size() + state.leases.size();
  std::size_t strange = 0;
  for (db::SessionRecord& session : state.sessions) strange += sessions->load(std::move(session)) ? 0 : 1;
  for (const db::LeaseRecord& lease : state.leases) sessions->leases().load(lease);
  for (const db::ValueRecord& value : state.values) values->load(value);
  if (state.lacks_values) values->set_lacks_names();
  sessions->end_loading(state.last_session_id, opening_.unsure_until == 0);
  sessions->leases().set_unsure_until(opening_.unsure_until);
  usage_.load(state.usage);
  last_day_ = last_day_of(state.usage);
  remembered_usage = std::move(state.usage);
  if (strange == 0) return;
  health.warn(std::to_string(strange) + " sessions in the store have numbers that this gateway did not give: left out");
}

void StoreWriter::Loop::run() noexcept {
  for (;;) {
    wait(next_turn());
    const Orders orders = take_orders();
    if (orders.ending != Ending::none) return close_store(orders.ending == Ending::orderly);
    obey(orders);
    turn(std::exchange(flush_begun_, orders.flush) != orders.flush);
  }
}

/// While writes fail, only the round is due before the next attempt: upkeep would fail too.
StoreWriter::Clock::time_point StoreWriter::Loop::next_turn() const noexcept {
  Clock::time_point out = next_round_;
  if (has_rows_to_write()) out = std::min(out, retry_at_);
  if (!failing_since_) out = std::min(out, next_upkeep_);
  return out;
}

/// Until somebody has changed something, or it is time. Changes that were not worth a commit come in crowds, as when
/// clients leave: after such a one those that follow it are let come together, or each would cost its lane a wake-up.
void StoreWriter::Loop::wait(Clock::time_point until) {
  if (std::exchange(may_rest_, false)) std::this_thread::sleep_for(kRest);
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  pollfd waits{durability->wake().fd(), POLLIN, 0};
  if (left <= milliseconds(0) || poll(&waits, 1, static_cast<int>(left.count())) <= 0) return;
  durability->wake().clear();
  may_rest_ = true;
}

StoreWriter::Loop::Orders StoreWriter::Loop::take_orders() {
  const std::scoped_lock lock(mutex_);
  Orders out = orders_;
  orders_.retention.reset();
  return out;
}

void StoreWriter::Loop::obey(const Orders& orders) {
  if (orders.retention) {
    store_->set_retention(*orders.retention);
    next_upkeep_ = Clock::now();
  }
  if (orders.end_is_near && !std::exchange(end_is_near_, true)) {
    store_->use_reserve();
    retry_aside();
  }
}

/// @param at_once  everything is to be written, now
void StoreWriter::Loop::turn(bool at_once) {
  const Clock::time_point now = Clock::now();
  if (at_once || now >= next_round_) round();
  collect();
  make_room();
  if (has_rows_to_write()) {
    may_rest_ = false;
    if (at_once || now >= retry_at_) write_batch();
  }
  if (!failing_since_ && Clock::now() >= next_upkeep_) upkeep();
  publish();
  if (has_marked()) return;
  const std::scoped_lock lock(mutex_);
  flush_done_ = flush_begun_;
  changed_.notify_all();
}

/// Lists the changes that are not worth a commit of their own, and marks all rows that wait.
void StoreWriter::Loop::round() {
  const std::int64_t now = clock(), believed = store_->believed(now);
  sessions->believe(believed);
  sessions->expire(now);
  sessions->list_moved(believed);
  sessions->end_idle(believed);
  sessions->leases().expire(sessions->reading(now));
  if (Clock::now() >= next_aside_) retry_aside();
  usage_.forget_before(std::min(today(), last_day_remembered()) - kDaysKept);
  next_round_ = Clock::now() + round_;
  mark();
  give_back();
}

/// Where usage belongs: a clock that leaps must not spread it over days that are yet to come.
std::int64_t StoreWriter::Loop::today() {
  return trust_.believed(clock(), db::clock_is_synchronised()) / kSecondsOfDay;
}

/// Where the last day that was loaded is by now: a clock that was ahead at the start must not make anybody forget rows
/// that are written again, whole, when it is corrected.
std::int64_t StoreWriter::Loop::last_day_remembered() const noexcept {
  const auto days = std::chrono::duration_cast<std::chrono::hours>(Clock::now() - started_).count() / 24;
  return last_day_ == 0 ? std::numeric_limits<std::int64_t>::max() : last_day_ + days;
}

/// Everything known by now is to be written, also changes that could have waited.
void StoreWriter::Loop::mark() {
  collect();
  pending_.mark();
  usage_.mark();
}

void StoreWriter::Loop::collect() {
  durability->changes().take([this](ChangeLink& link) { take(link); });
}

/// Many rows that were read at the start, or written since, leave a KB each that the allocator and the store keep, and
/// so does what plugins make of them: it is given back in rounds after that is over. Some ms each, but 0.1 s where a
/// thread's heap has 200 MB, for which that thread waits if it allocates: so not under steady load, and seldom.
void StoreWriter::Loop::give_back() {
  const bool is_over = std::exchange(moved_rows_, 0) < kManyRows;
  if (!is_over && trims_ == 0) trims_ = kTrims;
  if (!is_over || trims_ == 0 || Clock::now() < next_trim_) return;
  if (--trims_ == 0) next_trim_ = Clock::now() + kTrimsRest;
  store_->release_memory();
  malloc_trim(0);
}

void StoreWriter::Loop::take(ChangeLink& link) {
  switch (link.kind) {
    case ChangeLink::Kind::session: static_cast<void>(take_session(link)); return;
    case ChangeLink::Kind::lease: {
      LeaseTable::Change change = sessions->leases().take_change(link);
      // Its session's row comes first. One that has ended since without a row has let the lease go, which comes again.
      ChangeLink* const session = sessions->listed(change.record.session);
      if (session != nullptr && !take_session(*session)) change.record.session = 0;
      pending_.put(std::move(change.record), change.waiting);
      return;
    }
    case ChangeLink::Kind::value: {
      ValueTable::Change change = values->take_change(link);
      pending_.put(std::move(change.record), change.waiting);
      return;
    }
  }
}

/// @return false: it has left nothing, and has no row
bool StoreWriter::Loop::take_session(ChangeLink& link) {
  SessionTable::Change change = sessions->take_change(link);
  const db::SessionRecord& session = change.record;
  if (change.is_first && change.waiting.empty() && has_left_nothing(session)) return false;
  usage_.add({today(), session.plugin, change.payer, session.group_name}, change.since);
  durability->give_up(pending_.put(std::move(change.record), change.waiting, change.is_first));
  return true;
}

bool StoreWriter::Loop::has_rows_to_write() const noexcept {
  return pending_.is_urgent() || pending_.size() >= kMostRows || has_marked() || needs_write_;
}

/// Four times as long as a commit takes is given to others to come along, so that commits take a fifth of the time at
/// most, and a slow disk gets larger ones.
void StoreWriter::Loop::linger() {
  const auto time = std::min<Clock::duration>(kLongestLinger, last_commit_ * (kShare - 1));
  if (pending_.size() >= kMostRows || time < milliseconds(1)) return;
  std::this_thread::sleep_for(time);
  collect();
}

/// The first rows. One of nothing is written for the sake of the files.
void StoreWriter::Loop::write_batch() {
  linger();
  publish();
  db::StoreBatch batch = pending_.first(kMostRows - std::min(usage_.marked(), kUsageRows));
  const std::size_t rows = batch.rows();
  usage_.fill(batch, kMostRows - rows);
  const Clock::time_point begin = Clock::now();
  const std::size_t aside_before = pending_.aside();
  bool only_busy = false;
  std::string why;
  health.begin();
  try {
    const db::Store::Written written = store_->write(batch);
    needs_write_ = false;
    if (written == db::Store::Written::start_over) {
      start_over();
    } else {
      const std::size_t aside = set_aside(store_->take_refused());
      usage_.written(batch);
      succeeded(batch.rows() - aside, Clock::now() - begin);
      durability->complete(pending_.remove_first(rows - (pending_.aside() - aside_before)), GH_OK);
    }
  } catch (const db::StoreError& error) {
    only_busy = error.kind() == db::StoreError::Kind::busy;
    why = error.what();
  } catch (const std::exception& error) {
    why = error.what();
  }
  if (!why.empty()) {
    pending_.doubt_first(rows);
    failed(only_busy, why);
  }
  log_findings();
}

/// The rows that the store has left out of the first ones. Those behind them are written. @return how many
std::size_t StoreWriter::Loop::set_aside(const std::vector<db::RefusedRow>& refused) {
  for (const db::RefusedRow& row : refused) {
    health.set_aside(row);
    if (const auto* const usage = std::get_if<db::UsageKey>(&row.row)) {
      usage_.set_aside(*usage);
    } else {
      durability->give_up(pending_.set_aside(row));
    }
  }
  return refused.size();
}

void StoreWriter::Loop::retry_aside() {
  pending_.retry_aside();
  usage_.retry_aside();
  next_aside_ = Clock::now() + kAsideRetry;
}

/// A table that is full must not shut everybody out while there are sessions that nobody uses.
void StoreWriter::Loop::make_room() {
  const Clock::time_point now = Clock::now();
  if (now < next_room_ || !sessions->is_nearly_full()) return;
  next_room_ = now + kRoomRetry;
  const std::size_t ended = sessions->make_room(store_->believed(clock()));
  if (ended == 0) return;
  collect();
  if (std::exchange(displaced_, displaced_ + ended) == 0)
    health.warn(
        "the table of sessions is full: those that are idle longest are ended for others; `status` counts them");
}

/// The file is another one: everything that is live is written to it.
void StoreWriter::Loop::start_over() {
  health.returned("");
  health.warn("the store's file is another one than before; writing every live session and lease anew");
  values->change_all();
  sessions->change_all();
  sessions->leases().change_all();
  usage_.change_all();
  mark();
}

void StoreWriter::Loop::succeeded(std::size_t rows, Clock::duration took) {
  last_commit_ = took;
  back_off_ = seconds(0);
  failing_since_.reset();
  retry_at_ = {};
  moved_rows_ += rows;
  health.written(rows);
}

void StoreWriter::Loop::failed(bool only_busy, const std::string& why) {
  const Clock::time_point now = Clock::now();
  if (!failing_since_) failing_since_ = now;
  const bool for_good = !only_busy || now - *failing_since_ >= StoreHealth::kPatience;
  if (for_good) back_off_ = std::clamp(back_off_ * 2, seconds(1), end_is_near_ ? kLongestLastBackOff : kLongestBackOff);
  retry_at_ = now + (for_good ? Clock::duration(back_off_) : Clock::duration(kBusyRetry));
  health.failed(for_good, why);
}

/// While rows wait, upkeep too takes the smaller part of the time.
void StoreWriter::Loop::upkeep() {
  const Clock::time_point begin = Clock::now();
  Clock::duration pause = kUpkeepRetry;
  std::string why;
  health.begin();
  try {
    pause = std::max(store_->upkeep(clock()), milliseconds(1));
  } catch (const std::exception& error) {
    why = error.what();
  }
  health.returned(why);
  health.set_excess(store_->excess());
  needs_write_ = store_->needs_write();
  const Clock::time_point now = Clock::now();
  if (has_rows_to_write()) pause = std::max(pause, (now - begin) * (kShare - 1));
  next_upkeep_ = now + pause;
  log_findings();
}

/// Logs what the store has found wrong since it was opened, and what it did about that.
void StoreWriter::Loop::log_findings() {
  const db::StoreOpening& found = store_->opening();
  std::vector<std::string> news;
  {
    const std::scoped_lock lock(mutex_);
    for (std::size_t i = opening_.moved.size(); i < found.moved.size(); ++i)
      news.push_back("set aside, for it was broken or of another file than the one beside it: " +
                     found.moved[i].string());
    for (std::size_t i = opening_.remarks.size(); i < found.remarks.size(); ++i) news.push_back(found.remarks[i]);
    if (news.empty()) return;
    opening_.moved = found.moved;
    opening_.remarks = found.remarks;
  }
  for (const std::string& sentence : news) health.warn(sentence);
}

void StoreWriter::Loop::publish() {
  health.publish({pending_.size() + usage_.changed(), pending_.forgotten(), pending_.aside() + usage_.aside(),
                  displaced_, pending_.since()});
}

/// On the thread, too: it may take as long as a write.
void StoreWriter::Loop::close_store(bool in_order) noexcept {
  bool good = in_order;
  try {
    if (in_order) store_->close();
  } catch (const std::exception& error) {
    health.warn(std::string("the store could not be closed in an orderly way: ") + error.what());
    good = false;
  }
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  closed_well_ = good;
  changed_.notify_all();
}

StoreStatus StoreWriter::Loop::status() const {
  StoreStatus out = health.status();
  const std::scoped_lock lock(mutex_);
  out.unsure_until = opening_.unsure_until;
  return out;
}

void StoreWriter::Loop::set_retention(const db::Retention& retention) {
  const std::scoped_lock lock(mutex_);
  orders_.retention = retention;
  durability->wake().signal();
}

bool StoreWriter::Loop::flush(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = ++orders_.flush;
  durability->wake().signal();
  return changed_.wait_until(lock, deadline, [&] { return flush_done_ >= wanted; });
}

void StoreWriter::Loop::expect_end() {
  const std::scoped_lock lock(mutex_);
  orders_.end_is_near = true;
}

bool StoreWriter::Loop::end(Ending how, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  orders_.ending = how;
  durability->wake().signal();
  return changed_.wait_until(lock, deadline, [&] { return ended_; });
}

StoreWriter::StoreWriter(std::unique_ptr<db::Store> store, OnStoreFailure on_failure, StoreEvents events,
                         UnixClock clock, milliseconds round)
    : loop_(std::make_shared<Loop>(std::move(store), on_failure, std::move(events), clock, round)) {
  thread_ = start_thread("gh-store", [loop = loop_] { loop->run(); });
}

StoreWriter::~StoreWriter() {
  if (!thread_.joinable()) return;
  static_cast<void>(loop_->end(Loop::Ending::at_once, {}));
  thread_.join();
}

bool StoreWriter::close(Clock::time_point deadline) {
  loop_->expect_end();
  const bool written = flush(deadline);
  const bool ended =
      loop_->end(written ? Loop::Ending::orderly : Loop::Ending::at_once, std::max(deadline, Clock::now() + kLeastEnd));
  if (ended) {
    thread_.join();
    return loop_->has_closed_well();
  }
  loop_->health.watch(Clock::duration::zero());
  loop_->health.silence();
  thread_.detach();
  return false;
}

const std::shared_ptr<SessionTable>& StoreWriter::sessions() const noexcept { return loop_->sessions; }
const std::shared_ptr<ValueTable>& StoreWriter::values() const noexcept { return loop_->values; }
const std::vector<db::UsageRecord>& StoreWriter::remembered_usage() const noexcept { return loop_->remembered_usage; }
db::StoreOpening StoreWriter::opening() const { return loop_->opening(); }
StoreStatus StoreWriter::status() const { return loop_->status(); }
void StoreWriter::set_on_failure(OnStoreFailure what) noexcept { loop_->durability->set_on_failure(what); }
void StoreWriter::set_retention(const db::Retention& retention) { loop_->set_retention(retention); }
void StoreWriter::watch() { loop_->health.watch(); }
bool StoreWriter::flush(Clock::time_point deadline) { return loop_->flush(deadline); }

}  // namespace gatehouse
