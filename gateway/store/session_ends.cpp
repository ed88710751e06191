// How sessions end: by their plugin, with it, in time, for want of traffic, or to make room.
#include "db/store/share.hpp"
#include "gateway/store/longest_idle.hpp"
#include "gateway/store/session_slot.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

void SessionTable::end_locked(Shard& shard, Session& session, std::int64_t now) {
  if (session.record.has_key()) shard.by_key.erase(&session);
  const std::uint64_t id = session.id.load(std::memory_order_relaxed);
  session.leases.for_each([&](LeaseTable::Lease& lease) { leases_.release(lease, id); });
  session.leases.clear();
  session.record.last_seen_at = now;
  session.record.ended_at = now;
  session.next_opening();
  durability_->add(session);
}

void SessionTable::end_all_of(const void* owner, std::int64_t now) {
  with_each([&](Shard& shard, Session& session) {
    if (session.owner != owner) return;
    session.owner = nullptr;
    if (!session.record.has_key()) end_locked(shard, session, now);
  });
}

std::size_t SessionTable::end_identity(std::string_view identity, std::int64_t now) {
  std::size_t count = 0;
  with_each([&](Shard& shard, Session& session) {
    if (session.record.texts.identity() != identity) return;
    end_locked(shard, session, now);
    ++count;
  });
  return count;
}

void SessionTable::free_lanes_of(const void* owner) {
  with_each([&](Shard&, Session& session) {
    if (session.owner == owner) session.lane = kNoLane;
  });
}

void SessionTable::expire(std::int64_t now) {
  const db::ClockReading time = reading(now);
  with_each([&](Shard& shard, Session& session) {
    if (session.record.end.settle(session.record.expires_at, time)) durability_->add(session);
    if (session.is_over(time)) end_locked(shard, session, now);
  });
}

void SessionTable::set_idle_ends(IdleEnds ends) {
  const std::scoped_lock lock(idle_mutex_);
  idle_ends_ = std::move(ends);
}

void SessionTable::end_idle(std::int64_t now) {
  const std::scoped_lock lock(idle_mutex_);
  if (!idle_ends_) return;
  const Now both{now, steady_now_()};
  with_each([&](Shard& shard, Session& session) {
    if (!session.record.has_key()) return;
    correct_locked(session, both);
    const std::int64_t limit = idle_ends_->of(session.record.of.group());
    if (limit != 0 && session.idle_seconds(both) >= limit) end_idle_locked(shard, session, now);
  });
}

/// Of a session that was in use since the start, the row follows the steady clock when the other one is set. Of another
/// one it may lie ahead since the clock was ahead once, or since the clock is behind now, which it is not for a day.
void SessionTable::correct_locked(Session& session, const Now& now) {
  std::int64_t& last_seen_at = session.record.last_seen_at;
  if (last_seen_at > now.unix && now.steady - session.seen_at >= kStanding) session.was_seen = true;
  const std::int64_t seen_at = now.unix - session.idle_seconds(now);
  if (!session.was_seen || std::abs(last_seen_at - seen_at) < kLeastCorrection) return;
  last_seen_at = seen_at;
  session.moved.store(true, std::memory_order_relaxed);
}

void SessionTable::end_idle_locked(Shard& shard, Session& session, std::int64_t now) {
  const std::int64_t seen = session.record.last_seen_at;
  end_locked(shard, session, now);
  session.record.last_seen_at = seen;
}

std::size_t SessionTable::missing_spare() {
  const std::scoped_lock lock(slots_mutex_);
  const std::size_t spare = most_ - used_slots_.load(std::memory_order_relaxed) + free_.size();
  return most_ / kSpare - std::min(most_ / kSpare, spare);
}

/// From half of the spare on, so that a flood does not have the table looked through for every few that it brings.
bool SessionTable::is_nearly_full() { return missing_spare() > most_ / kSpare / 2; }

std::size_t SessionTable::make_room(std::int64_t now) {
  const Now both{now, steady_now_()};
  std::vector<IdleSession> idle;
  with_each([&](Shard&, Session& session) {
    if (!session.record.has_key()) return;
    const db::SessionRecord record = session.whole();
    idle.push_back({record.id, session.idle_seconds(both), hash_(db::share_of(record)), hash_(db::network_of(record))});
  });
  idle.resize(bring_forward(idle, missing_spare(), kLeastIdle));
  std::size_t ended = 0;
  for (const IdleSession& one : idle) {
    Session& session = *slot_of(one.id);
    Shard& shard = shards_[session.shard.load(std::memory_order_relaxed)];
    const std::scoped_lock lock(shard.mutex);
    if (!session.is_live(one.id) || session.idle_seconds(both) < one.idle_seconds) continue;
    end_idle_locked(shard, session, now);
    ++ended;
  }
  return ended;
}

}  // namespace gatehouse
