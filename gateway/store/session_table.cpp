#include "gateway/store/session_table.hpp"

#include "gateway/store/session_slot.hpp"

#include <algorithm>
#include <span>
#include <unordered_map>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestText =
    255;  // of keys and resources at the border: a longer one was written by somebody else

db::TrafficTotals totals_of(gh_session_cells& cells) noexcept {
  const auto read = [](std::uint64_t& cell) { return std::atomic_ref(cell).load(std::memory_order_relaxed); };
  return {read(cells.bytes_up), read(cells.bytes_down), read(cells.packets_up), read(cells.packets_down)};
}

void set_totals(gh_session_cells& cells, const db::TrafficTotals& totals) noexcept {
  const auto write = [](std::uint64_t& cell, std::uint64_t value) {
    std::atomic_ref(cell).store(value, std::memory_order_relaxed);
  };
  write(cells.bytes_up, totals.bytes_up);
  write(cells.bytes_down, totals.bytes_down);
  write(cells.packets_up, totals.packets_up);
  write(cells.packets_down, totals.packets_down);
}

void set_zero(std::span<std::uint64_t> words) noexcept {
  for (std::uint64_t& word : words) std::atomic_ref(word).store(0, std::memory_order_relaxed);
}

std::array<std::uint64_t, 2> state_of(gh_session_cells& cells) noexcept {
  const auto read = [](std::uint64_t& word) { return std::atomic_ref(word).load(std::memory_order_relaxed); };
  return {read(cells.state[0]), read(cells.state[1])};
}

/// As far as they are not 0.
std::vector<std::uint64_t> copy_of(std::span<std::uint64_t> counts) {
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t count = std::atomic_ref(counts[i]).load(std::memory_order_relaxed);
    if (count == 0) continue;
    out.resize(i + 1);
    out[i] = count;
  }
  return out;
}

db::TrafficTotals difference(const db::TrafficTotals& now, const db::TrafficTotals& before) noexcept {
  return {now.bytes_up - before.bytes_up, now.bytes_down - before.bytes_down, now.packets_up - before.packets_up,
          now.packets_down - before.packets_down};
}

std::optional<std::string_view> text_of(const std::shared_ptr<const db::ByteString>& blob) noexcept {
  if (!blob) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(blob->data()), blob->size());
}

SessionTable::Opened refusal(gh_status status) {
  SessionTable::Opened out;
  out.status = status;
  return out;
}

}  // namespace

bool SessionTable::Equal::operator()(const Probe& probe, const Session* session) const noexcept {
  prefetch(*session);
  if (probe.hash != session->hash) return false;
  const SessionTexts::Parts parts = session->record.texts.read();
  return parts.key == probe.key && parts.identity == probe.identity && session->record.of.plugin() == probe.plugin;
}

SessionTable::SessionTable(std::shared_ptr<Durability> durability, std::size_t most, SteadyNow steady_now)
    : durability_(std::move(durability)),
      most_(std::min(most, kMostSessions)),
      leases_(durability_),
      steady_now_(std::move(steady_now)) {}

SessionTable::~SessionTable() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

SessionTable::Session* SessionTable::in_slot(std::uint32_t slot) const noexcept {
  if (slot >= high_water()) return nullptr;
  return &chunks_[slot / kChunk].load(std::memory_order_relaxed)->sessions[slot % kChunk];
}

SessionTable::Session* SessionTable::slot_of(std::uint64_t id) const noexcept {
  return id == kNoSession ? nullptr : in_slot(static_cast<std::uint32_t>(id & ((1U << kSlotBits) - 1)));
}

/// slots_mutex_ is held, or nobody else is there.
SessionTable::Session& SessionTable::make_slot(std::uint32_t slot) {
  std::atomic<Chunk*>& chunk = chunks_[slot / kChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) chunk.store(new Chunk, std::memory_order_relaxed);
  Session& out = chunk.load(std::memory_order_relaxed)->sessions[slot % kChunk];
  if (slot >= used_slots_.load(std::memory_order_relaxed)) used_slots_.store(slot + 1, std::memory_order_release);
  return out;
}

std::optional<std::uint32_t> SessionTable::free_slot() {
  const std::scoped_lock lock(slots_mutex_);
  const std::uint32_t used = used_slots_.load(std::memory_order_relaxed);
  const bool rested = free_.size() >= kChunk;  // cells of an ended session may still be written to for a moment
  if (!free_.empty() && (rested || used == most_)) {
    const std::uint32_t out = free_.front();
    free_.pop_front();
    return out;
  }
  if (used == most_) return std::nullopt;
  make_slot(used);
  return used;
}

SessionTable::Opened SessionTable::facts_of(Session& session, const void* owner) {
  const Record& record = session.record;
  Opened out;
  out.id = session.id.load(std::memory_order_relaxed);
  out.opening = std::atomic_ref(session.cells.opening).load(std::memory_order_relaxed);
  out.cells = &session.cells;
  out.resumed = true;
  out.blob_version = record.blob_version;
  out.blob = record.blob();
  out.lane = session.owner == owner ? session.lane : kNoLane;
  out.last_seen_at = record.last_seen_at;
  out.expires_at = record.expires_at;
  return out;
}

SessionTable::Opened SessionTable::resume(Shard& shard, Session& session, const Opening& what,
                                          Durability::Ticket ticket) {
  Opened out = facts_of(session, what.owner);
  shard.waiting.add(session, ticket);
  // From here on nothing fails.
  out.opening = session.next_opening();
  session.owner = what.owner;
  session.lane = what.lane;
  session.record.source = what.source;
  session.see(what.now, steady_now_());
  session.set_expiry(what.expires_at, reading(what.now));
  out.expires_at = session.record.expires_at;
  session.moved.store(true, std::memory_order_relaxed);
  if (ticket != 0) durability_->add(session);
  return out;
}

SessionTable::Opened SessionTable::find(const Opening& what) const {
  const Probe probe = probe_of(what.plugin, what.identity, what.key);
  const Shard& shard = shards_[KeyHash::part(probe.whole_hash, kShards)];
  const std::scoped_lock lock(shard.mutex);
  const auto known = shard.by_key.find(probe);
  if (known == shard.by_key.end() || (*known)->is_over(reading(what.now))) return refusal(GH_E_NOT_FOUND);
  return facts_of(**known, what.owner);
}

SessionTable::Adopted SessionTable::adopt(std::string_view plugin, std::uint64_t id, const void* owner,
                                          std::uint32_t lane, std::int64_t now) {
  Adopted out;
  out.opened.status = with(plugin, id, [&](Shard&, Session& session) -> gh_status {
    if (session.owner == owner && session.lane != kNoLane) return GH_E_STATE;
    if (session.is_over(reading(now))) return GH_E_NOT_FOUND;
    out.key = session.record.texts.key();
    out.identity = session.record.texts.identity();
    out.source = session.record.source;
    out.opened = facts_of(session, owner);
    out.opened.opening = session.next_opening();
    session.owner = owner;
    session.lane = lane;
    return GH_OK;
  });
  return out;
}

/// What of a new session can fail. Without memory its slot is free again.
void SessionTable::fill(Shard& shard, std::uint32_t slot, const Opening& what, const Probe& probe,
                        Durability::Ticket ticket) {
  Session& session = *in_slot(slot);
  try {
    session.record.of = groups_.at(what.plugin);
    session.record.texts.write(texts_, {.key = what.key, .identity = what.identity, .blob = text_of(what.blob)});
    shard.waiting.add(session, ticket);
    session.hash = probe.hash;
    if (!what.key.empty()) shard.by_key.insert(&session);
  } catch (...) {
    shard.waiting.forget(session);
    session.record.texts.clear(texts_);
    const std::scoped_lock lock(slots_mutex_);
    free_.push_front(slot);
    throw;
  }
}

SessionTable::Opened SessionTable::open(const Opening& what, Durability::Ticket ticket) {
  const bool has_key = !what.key.empty();
  const std::uint64_t serial = last_serial_.fetch_add(1, std::memory_order_relaxed) + 1;
  const Probe probe = has_key ? probe_of(what.plugin, what.identity, what.key) : Probe{};
  const std::size_t number = has_key ? KeyHash::part(probe.whole_hash, kShards) : serial % kShards;
  Shard& shard = shards_[number];
  const std::scoped_lock lock(shard.mutex);
  if (has_key) {
    if (const auto known = shard.by_key.find(probe); known != shard.by_key.end()) {
      if (!(*known)->is_over(reading(what.now))) return resume(shard, **known, what, ticket);
      end_locked(shard, **known, what.now);
    }
    if (durability_->refuses_new()) return refusal(GH_E_IO);
  }
  const std::optional<std::uint32_t> slot = free_slot();
  if (!slot) return refusal(GH_E_LIMIT);
  fill(shard, *slot, what, probe, ticket);
  // From here on nothing fails.
  Session* const session = in_slot(*slot);
  const std::uint64_t id = serial << kSlotBits | *slot;
  Record& record = session->record;
  record.source = what.source;
  record.created_at = record.last_seen_at = what.now;
  record.blob_version = what.blob_version;
  session->set_expiry(what.expires_at, reading(what.now));
  session->owner = what.owner;
  session->lane = what.lane;
  session->is_known = false;
  session->see(what.now, steady_now_());
  session->shard.store(static_cast<std::uint8_t>(number), std::memory_order_relaxed);
  session->id.store(id, std::memory_order_release);
  session->moved.store(true, std::memory_order_relaxed);
  if (has_key || ticket != 0) durability_->add(*session);
  Opened out;
  out.id = id;
  out.opening = session->next_opening();
  out.cells = &session->cells;
  out.blob_version = what.blob_version;
  out.last_seen_at = what.now;
  out.expires_at = session->record.expires_at;
  return out;
}

/// Between two calls of believe(), the steady clock tells what to expect.
db::ClockReading SessionTable::reading(std::int64_t now) const {
  const std::int64_t ahead = believed_ahead_.load(std::memory_order_relaxed);
  if (ahead == kNothingBelieved) return {now, now};
  const std::int64_t expected = ahead + steady_seconds();
  return {now, now > expected + std::chrono::seconds(db::ClockTrust::kFar).count() ? expected : now};
}

void SessionTable::believe(std::int64_t believed) {
  believed_ahead_.store(believed - steady_seconds(), std::memory_order_relaxed);
}

std::int64_t SessionTable::steady_seconds() const {
  return std::chrono::duration_cast<std::chrono::seconds>(steady_now_().time_since_epoch()).count();
}

template <class Work>
gh_status SessionTable::with(std::string_view plugin, std::uint64_t id, Work work) {
  Session* const session = slot_of(id);
  if (session == nullptr) return GH_E_NOT_FOUND;
  prefetch(*session);
  if (session->id.load(std::memory_order_acquire) != id) return GH_E_NOT_FOUND;
  Shard& shard = shards_[session->shard.load(std::memory_order_relaxed)];
  const std::scoped_lock lock(shard.mutex);
  if (!session->is_live(id) || session->record.of.plugin() != plugin) return GH_E_NOT_FOUND;
  return work(shard, *session);
}

gh_status SessionTable::touch(std::string_view plugin, std::uint64_t id, const Touch& what, Durability::Ticket ticket) {
  return with(plugin, id, [&](Shard& shard, Session& session) {
    shard.waiting.add(session, ticket);  // what can fail comes before anything changes
    if (what.blob) {
      SessionTexts::Parts parts = session.record.texts.read();
      parts.blob = text_of(what.blob);
      session.record.texts.write(texts_, parts);
      session.record.blob_version = what.blob_version;
    }
    session.record.source = what.source;
    session.see(what.now, steady_now_());
    session.set_expiry(what.expires_at, reading(what.now));
    session.moved.store(true, std::memory_order_relaxed);
    if (what.blob || ticket != 0) durability_->add(session);
    return GH_OK;
  });
}

gh_status SessionTable::end(std::string_view plugin, std::uint64_t id, std::int64_t now) {
  return with(plugin, id, [&](Shard& shard, Session& session) {
    end_locked(shard, session, now);
    return GH_OK;
  });
}

LeaseTable::Taken SessionTable::lease(std::string_view plugin, std::string_view resource, std::uint64_t id,
                                      std::int64_t now, std::int64_t expires_at, Durability::Ticket ticket) {
  LeaseTable::Taken taken;
  taken.status = with(plugin, id, [&](Shard&, Session& session) -> gh_status {
    const LeaseTable::Name name{plugin, resource};
    PointerList<LeaseTable::Lease>& mine = session.leases;
    if (mine.size() >= kMostLeases && !leases_.is_held_by(name, id)) {
      mine.erase_if([&](const LeaseTable::Lease& one) { return !leases_.is_held_by(one, id); });
      if (mine.size() >= kMostLeases) return GH_E_LIMIT;
    }
    // A lease's row is never there before its session's.
    if (!session.record.has_key() && !std::exchange(session.is_known, true)) durability_->add(session);
    taken = leases_.take(name, id, reading(now), expires_at, ticket);
    if (taken.status != GH_OK || taken.renewed) return taken.status;
    if (mine.empty()) durability_->add(session);  // its slot goes by it
    try {
      mine.reserve_one_more();
    } catch (...) {
      leases_.release(*taken.lease, id);  // or it would outlive its session
      throw;
    }
    mine.add(*taken.lease);
    return GH_OK;
  });
  return taken;
}

gh_status SessionTable::release(std::string_view plugin, std::string_view resource, std::uint64_t id) {
  return with(plugin, id, [&](Shard&, Session& session) -> gh_status {
    const LeaseTable::Lease* const released = leases_.release({plugin, resource}, id);
    if (released == nullptr) return GH_E_NOT_FOUND;
    session.leases.erase_if([released](const LeaseTable::Lease& one) { return &one == released; });
    return GH_OK;
  });
}

boost::intrusive_ptr<SessionMeters> SessionTable::meters_of(std::string_view plugin, std::uint64_t id) {
  boost::intrusive_ptr<SessionMeters> out;
  with(plugin, id, [&](Shard&, Session& session) {
    if (!session.meters) session.meters = boost::intrusive_ptr<SessionMeters>(new SessionMeters);
    out = session.meters;
    return GH_OK;
  });
  return out;
}

gh_status SessionTable::counts_of(std::string_view plugin, std::uint64_t id, std::uint64_t** out) {
  return with(plugin, id, [out](Shard&, Session& session) -> gh_status {
    if (!session.counts) session.counts = std::make_unique<Counts>();
    *out = session.counts->data();
    return GH_OK;
  });
}

void SessionTable::account(std::uint64_t id, std::string_view group_name, std::string_view payer) {
  Session* const session = slot_of(id);
  if (session == nullptr || session->id.load(std::memory_order_acquire) != id) return;
  const std::scoped_lock lock(shards_[session->shard.load(std::memory_order_relaxed)].mutex);
  if (!session->is_live(id)) return;
  // After a restart that is so for every session that comes again: not all rows are to be written anew.
  if (session->record.of.group() == group_name && session->record.payer() == payer) return;
  const PluginGroup of = groups_.at(session->record.of.plugin(), group_name);
  SessionTexts::Parts parts = session->record.texts.read();
  parts.payer = payer == parts.identity ? std::nullopt : std::optional(payer);
  session->record.texts.write(texts_, parts);
  session->record.of = of;
  session->moved.store(true, std::memory_order_relaxed);
}

std::optional<SessionTable::Copy> SessionTable::copy_of(std::uint32_t slot, Blobs blobs) const {
  Session& session = *in_slot(slot);
  const std::uint64_t id = session.id.load(std::memory_order_acquire);
  if (id == kNoSession) return std::nullopt;
  const std::scoped_lock lock(shards_[session.shard.load(std::memory_order_relaxed)].mutex);
  if (!session.is_live(id)) return std::nullopt;
  Copy out{session.whole(), &session.cells, std::atomic_ref(session.cells.opening).load(std::memory_order_relaxed),
           state_of(session.cells),
           session.counts ? gatehouse::copy_of(*session.counts) : std::vector<std::uint64_t>()};
  out.record.totals = totals_of(session.cells);
  if (blobs == Blobs::with) out.record.blob = session.record.blob();
  return out;
}

std::vector<LiveSession> SessionTable::rows() const {
  std::unordered_map<std::uint64_t, std::vector<std::string>> held;
  for (db::LeaseRecord& lease : leases_.rows()) held[lease.session].push_back(std::move(lease.key.resource));
  std::vector<LiveSession> out;
  for_each(Blobs::without, [&](Copy& copy) {
    LiveSession& row = out.emplace_back();
    row.public_id = public_id(copy.record);
    row.record = std::move(copy.record);
    row.state = copy.state;
    row.counts = std::move(copy.counts);
    row.record.key.clear();
    if (const auto mine = held.find(row.record.id); mine != held.end()) row.leases = std::move(mine->second);
  });
  return out;
}

std::size_t SessionTable::count(std::string_view plugin) const {
  std::size_t out = 0;
  for_each(Blobs::without, [&](const Copy& copy) { out += copy.record.plugin == plugin ? 1 : 0; });
  return out;
}

bool SessionTable::load(db::SessionRecord record) {
  const std::uint64_t slot = record.id & ((1U << kSlotBits) - 1);
  if (record.id >> kSlotBits == 0 || record.id > db::kLastNumber) return false;
  if (slot >= most_ || record.key.empty() || record.key.size() > kLongestText) return false;
  Session& session = make_slot(static_cast<std::uint32_t>(slot));
  if (session.id.load(std::memory_order_relaxed) != kNoSession) return false;
  const Probe probe = probe_of(record.plugin, record.identity, record.key);
  const std::size_t number = KeyHash::part(probe.whole_hash, kShards);
  auto& by_key = shards_[number].by_key;
  if (by_key.contains(probe)) return false;
  session.record.texts.write(texts_, {.key = record.key, .identity = record.identity, .blob = text_of(record.blob)});
  session.hash = probe.hash;
  by_key.insert(&session);
  session.record = {.of = groups_.at(record.plugin, record.group_name),
                    .texts = session.record.texts,
                    .created_at = record.created_at,
                    .last_seen_at = record.last_seen_at,
                    .expires_at = record.expires_at,
                    .source = record.source,
                    .blob_version = record.blob_version,
                    .end = {}};
  session.report(record.totals);
  session.was_taken = true;
  session.seen_at = steady_now_();
  set_totals(session.cells, record.totals);
  session.shard.store(static_cast<std::uint8_t>(number), std::memory_order_relaxed);
  session.id.store(record.id, std::memory_order_release);
  return true;
}

void SessionTable::end_loading(std::uint64_t last_id, bool drop_orphans) {
  std::uint64_t last = last_id >> kSlotBits;
  const std::scoped_lock lock(slots_mutex_);
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = make_slot(slot);
    const std::uint64_t id = session.id.load(std::memory_order_relaxed);
    last = std::max(last, id >> kSlotBits);
    if (id == kNoSession) free_.push_back(slot);
  }
  std::vector<std::pair<LeaseTable::Lease*, std::uint64_t>> orphans;
  leases_.for_each([&](const db::LeaseRecord& record, LeaseTable::Lease& lease) {
    // Without the session's lock, which comes before a lease's elsewhere: nobody else is there yet.
    Session* const session = slot_of(record.session);
    const bool is_ours = record.key.resource.size() <= kLongestText && session != nullptr &&
                         session->is_live(record.session) && session->record.of.plugin() == record.key.plugin;
    if (is_ours) {
      session->leases.reserve_one_more();
      session->leases.add(lease);
    } else if (drop_orphans) {
      orphans.emplace_back(&lease, record.session);
    }
  });
  for (const auto& [lease, session] : orphans) leases_.release(*lease, session);
  last_serial_.store(std::max(last, last_serial_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

SessionTable::Change SessionTable::take_change(ChangeLink& link) {
  auto& session = static_cast<Session&>(link);
  Shard& shard = shards_[session.shard.load(std::memory_order_relaxed)];
  const std::scoped_lock lock(shard.mutex);
  session.moved.store(false, std::memory_order_relaxed);
  Change out{session.whole(), std::string(session.record.payer()), {}, !session.was_taken, {}};
  out.record.blob = session.record.blob();
  out.waiting = shard.waiting.take(session);
  session.was_taken = true;
  session.leases.for_each([&](const LeaseTable::Lease& lease) {
    if (out.record.resource.empty()) out.record.resource = leases_.resource_of(lease, out.record.id);
  });
  out.record.totals = totals_of(session.cells);
  out.since = difference(out.record.totals, session.reported_totals());
  session.report(out.record.totals);
  if (session.record.has_ended() && !session.is_listed()) {
    session.id.store(kNoSession, std::memory_order_relaxed);
    session.record.texts.clear(texts_);
    session.record = {};
    session.meters.reset();
    session.owner = nullptr;
    session.reported.reset();
    session.was_taken = false;
    session.was_seen = false;
    set_totals(session.cells, {});
    set_zero(session.cells.state);
    if (session.counts) set_zero(*session.counts);
    const std::scoped_lock slots(slots_mutex_);
    free_.push_back(static_cast<std::uint32_t>(out.record.id & ((1U << kSlotBits) - 1)));
  }
  return out;
}

ChangeLink* SessionTable::listed(std::uint64_t id) const noexcept {
  Session* const session = slot_of(id);
  const bool is_there = session != nullptr && session->id.load(std::memory_order_acquire) == id;
  return is_there && session->is_listed() ? session : nullptr;
}

void SessionTable::list_moved(std::int64_t now) {
  const Steady::time_point steady = steady_now_();
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    if (session.id.load(std::memory_order_acquire) == kNoSession) continue;
    const bool carried = totals_of(session.cells) != session.reported_totals();
    if (!carried && !session.moved.load(std::memory_order_relaxed)) continue;
    if (carried) {
      const std::scoped_lock lock(shards_[session.shard.load(std::memory_order_relaxed)].mutex);
      if (!session.record.has_ended()) session.see(now, steady);
    }
    durability_->changes().add(session);
  }
}

void SessionTable::change_all() {
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    if (session.id.load(std::memory_order_acquire) != kNoSession) durability_->changes().add(session);
  }
}

}  // namespace gatehouse
