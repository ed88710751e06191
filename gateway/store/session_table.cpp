#include "gateway/store/session_table.hpp"

#include "gateway/base/sha256.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace gatehouse {
namespace {

constexpr std::uint64_t kNone = 0;

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

db::TrafficTotals difference(const db::TrafficTotals& now, const db::TrafficTotals& before) noexcept {
  return {now.bytes_up - before.bytes_up, now.bytes_down - before.bytes_down, now.packets_up - before.packets_up,
          now.packets_down - before.packets_down};
}

SessionTable::Opened refusal(gh_status status) {
  SessionTable::Opened out;
  out.status = status;
  return out;
}

}  // namespace

std::string public_id(const db::SessionRecord& session) {
  if (session.key.empty()) return std::to_string(session.id);
  Sha256 digest;
  if (session.identity.empty() && session.key.size() == digest.size()) {
    std::memcpy(digest.data(), session.key.data(), digest.size());  // it is one already
  } else {
    digest = sha256(session.key);
  }
  return to_hex(digest).substr(0, 8);
}

struct SessionTable::Session : ChangeLink {
  Session() : ChangeLink(Kind::session) {}

  gh_session_cells cells{};
  std::atomic<std::uint64_t> id{kNone};
  std::atomic<std::uint32_t> shard{0};  // set before `id`
  std::atomic<bool> moved{false};       // it has changed, and may wait for the next round
  std::uint32_t slot = 0;
  // guarded by the shard's lock
  db::SessionRecord record;  // but for its totals
  std::string payer;
  const void* owner = nullptr;
  std::vector<std::string> leases;  // each once; some may be another's by now: the table of leases knows
  bool is_known = false;            // the writer knows of it
  std::vector<Durability::Ticket> waiting;
  // the writer's thread
  db::TrafficTotals reported;
  bool was_taken = false;

  /// Is it still session `of`? Under the lock of the shard that it had: while it is, only that lock's holder frees it.
  [[nodiscard]] bool is_live(std::uint64_t of) const noexcept {
    return id.load(std::memory_order_relaxed) == of && !record.ended_at;
  }
  std::uint64_t next_opening() noexcept {
    return std::atomic_ref(cells.opening).fetch_add(1, std::memory_order_relaxed) + 1;
  }
};

bool SessionTable::Equal::operator()(const Probe& probe, const Entry& entry) const noexcept {
  if (probe.hash != entry.hash) return false;
  prefetch(*entry.session);
  const db::SessionRecord& record = entry.session->record;
  return record.key == probe.key && record.identity == probe.identity && record.plugin == probe.plugin;
}

struct SessionTable::Chunk {
  std::array<Session, kChunk> sessions;
};

SessionTable::SessionTable(std::shared_ptr<Durability> durability)
    : durability_(std::move(durability)), leases_(durability_) {}

SessionTable::~SessionTable() {
  for (auto& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

SessionTable::Session* SessionTable::in_slot(std::uint32_t slot) const noexcept {
  if (slot >= high_water()) return nullptr;
  return &chunks_[slot / kChunk].load(std::memory_order_relaxed)->sessions[slot % kChunk];
}

/// slots_mutex_ is held, or nobody else is there.
SessionTable::Session& SessionTable::make_slot(std::uint32_t slot) {
  std::atomic<Chunk*>& chunk = chunks_[slot / kChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) chunk.store(new Chunk, std::memory_order_relaxed);
  Session& out = chunk.load(std::memory_order_relaxed)->sessions[slot % kChunk];
  out.slot = slot;
  if (slot >= used_slots_.load(std::memory_order_relaxed)) used_slots_.store(slot + 1, std::memory_order_release);
  return out;
}

SessionTable::Session* SessionTable::free_slot() {
  const std::scoped_lock lock(slots_mutex_);
  const std::uint32_t used = used_slots_.load(std::memory_order_relaxed);
  const bool rested = free_.size() >= kChunk;  // cells of an ended session may still be written to for a moment
  if (!free_.empty() && (rested || used == kMostSessions)) {
    Session* const out = in_slot(free_.front());
    free_.pop_front();
    return out;
  }
  return used < kMostSessions ? &make_slot(used) : nullptr;
}

SessionTable::Opened SessionTable::resume(Session& session, const Opening& what, Durability::Ticket ticket) {
  session.record.source = what.source;
  session.record.last_seen_at = what.now;
  session.moved.store(true, std::memory_order_relaxed);
  if (ticket != 0) {
    session.waiting.push_back(ticket);
    durability_->add(session);
  }
  return {GH_OK, session.record.id,           session.next_opening(), &session.cells,
          true,  session.record.blob_version, session.record.blob};
}

SessionTable::Opened SessionTable::open(const Opening& what, Durability::Ticket ticket) {
  const bool has_key = !what.key.empty();
  const std::uint64_t serial = last_serial_.fetch_add(1, std::memory_order_relaxed) + 1;
  const Probe probe = has_key ? probe_of(what.plugin, what.identity, what.key) : Probe{};
  const std::size_t number = has_key ? KeyHash::part(probe.hash, kShards) : serial % kShards;
  Shard& shard = shards_[number];
  const std::scoped_lock lock(shard.mutex);
  if (has_key) {
    if (const auto known = shard.by_key.find(probe); known != shard.by_key.end())
      return resume(*known->session, what, ticket);
    if (durability_->refuses_new()) return refusal(GH_E_IO);
  }
  Session* const session = free_slot();
  if (session == nullptr) return refusal(GH_E_LIMIT);
  const std::uint64_t id = serial << kSlotBits | session->slot;
  session->record = {.id = id,
                     .plugin = std::string(what.plugin),
                     .key = std::string(what.key),
                     .identity = std::string(what.identity),
                     .group_name = {},
                     .source = what.source,
                     .created_at = what.now,
                     .last_seen_at = what.now,
                     .ended_at = std::nullopt,
                     .totals = {},
                     .blob_version = what.blob_version,
                     .blob = what.blob};
  session->payer = what.identity;
  session->owner = has_key ? nullptr : what.owner;
  session->is_known = false;
  session->shard.store(static_cast<std::uint32_t>(number), std::memory_order_relaxed);
  session->id.store(id, std::memory_order_release);
  session->moved.store(true, std::memory_order_relaxed);
  if (ticket != 0) session->waiting.push_back(ticket);
  if (has_key) shard.by_key.insert({probe.hash, session});
  if (has_key || ticket != 0) durability_->add(*session);
  return {GH_OK, id, session->next_opening(), &session->cells, false, what.blob_version, nullptr};
}

template <class Work>
gh_status SessionTable::with(std::string_view plugin, std::uint64_t id, Work work) {
  Session* const session = in_slot(static_cast<std::uint32_t>(id & ((1U << kSlotBits) - 1)));
  if (id == kNone || session == nullptr) return GH_E_NOT_FOUND;
  prefetch(*session);
  if (session->id.load(std::memory_order_acquire) != id) return GH_E_NOT_FOUND;
  Shard& shard = shards_[session->shard.load(std::memory_order_relaxed)];
  const std::scoped_lock lock(shard.mutex);
  if (!session->is_live(id) || session->record.plugin != plugin) return GH_E_NOT_FOUND;
  return work(shard, *session);
}

gh_status SessionTable::touch(std::string_view plugin, std::uint64_t id, const Endpoint& source, std::int64_t now,
                              std::shared_ptr<const db::ByteString> blob, std::uint32_t blob_version,
                              Durability::Ticket ticket) {
  return with(plugin, id, [&](Shard&, Session& session) {
    session.record.source = source;
    session.record.last_seen_at = now;
    session.moved.store(true, std::memory_order_relaxed);
    if (blob) {
      session.record.blob.swap(blob);
      session.record.blob_version = blob_version;
    }
    if (ticket != 0) session.waiting.push_back(ticket);
    if (blob || ticket != 0) durability_->add(session);
    return GH_OK;
  });
}

gh_status SessionTable::end(std::string_view plugin, std::uint64_t id, std::int64_t now) {
  return with(plugin, id, [&](Shard& shard, Session& session) {
    end_locked(shard, session, now);
    return GH_OK;
  });
}

void SessionTable::end_locked(Shard& shard, Session& session, std::int64_t now) {
  const db::SessionRecord& record = session.record;
  if (!record.key.empty()) shard.by_key.erase(shard.by_key.find(probe_of(record.plugin, record.identity, record.key)));
  for (const std::string& resource : session.leases) leases_.release({record.plugin, resource}, record.id);
  session.leases.clear();
  session.record.last_seen_at = now;
  session.record.ended_at = now;
  session.next_opening();
  durability_->add(session);
}

void SessionTable::end_all_of(const void* owner, std::int64_t now) {
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    const std::uint64_t id = session.id.load(std::memory_order_acquire);
    if (id == kNone) continue;
    Shard& shard = shards_[session.shard.load(std::memory_order_relaxed)];
    const std::scoped_lock lock(shard.mutex);
    if (session.is_live(id) && session.owner == owner) end_locked(shard, session, now);
  }
}

LeaseTable::Taken SessionTable::lease(std::string_view plugin, std::string_view resource, std::uint64_t id,
                                      std::int64_t now, std::int64_t expires_at, Durability::Ticket ticket) {
  LeaseTable::Taken taken;
  taken.status = with(plugin, id, [&](Shard&, Session& session) -> gh_status {
    const LeaseTable::Name name{plugin, resource};
    std::vector<std::string>& mine = session.leases;
    if (mine.size() >= kMostLeases && !leases_.is_held_by(name, id)) {
      std::erase_if(mine, [&](const std::string& other) { return !leases_.is_held_by({plugin, other}, id); });
      if (mine.size() >= kMostLeases) return GH_E_LIMIT;
    }
    // A lease's row is never there before its session's.
    if (session.record.key.empty() && !std::exchange(session.is_known, true)) durability_->add(session);
    taken = leases_.take(name, id, now, expires_at, ticket);
    const bool is_new = taken.status == GH_OK && !taken.renewed;
    if (is_new && std::find(mine.begin(), mine.end(), resource) == mine.end()) mine.emplace_back(resource);
    return taken.status;
  });
  return taken;
}

gh_status SessionTable::release(std::string_view plugin, std::string_view resource, std::uint64_t id) {
  return with(plugin, id, [&](Shard&, Session& session) {
    std::erase(session.leases, resource);
    return leases_.release({plugin, resource}, id);
  });
}

void SessionTable::account(std::uint64_t id, std::string_view group_name, std::string_view payer) {
  Session* const session = in_slot(static_cast<std::uint32_t>(id & ((1U << kSlotBits) - 1)));
  if (id == kNone || session == nullptr || session->id.load(std::memory_order_acquire) != id) return;
  const std::scoped_lock lock(shards_[session->shard.load(std::memory_order_relaxed)].mutex);
  if (!session->is_live(id)) return;
  session->record.group_name = group_name;
  session->payer = payer;
  session->moved.store(true, std::memory_order_relaxed);
}

std::optional<SessionTable::Copy> SessionTable::copy_of(std::uint32_t slot) const {
  Session& session = *in_slot(slot);
  const std::uint64_t id = session.id.load(std::memory_order_acquire);
  if (id == kNone) return std::nullopt;
  const std::scoped_lock lock(shards_[session.shard.load(std::memory_order_relaxed)].mutex);
  if (!session.is_live(id)) return std::nullopt;
  Copy out{session.record, &session.cells, std::atomic_ref(session.cells.opening).load(std::memory_order_relaxed)};
  out.record.totals = totals_of(session.cells);
  return out;
}

std::vector<LiveSession> SessionTable::rows() const {
  std::unordered_map<std::uint64_t, std::vector<std::string>> held;
  for (db::LeaseRecord& lease : leases_.rows()) held[lease.session].push_back(std::move(lease.key.resource));
  std::vector<LiveSession> out;
  for_each([&](Copy copy) {
    LiveSession& row = out.emplace_back();
    row.public_id = public_id(copy.record);
    row.record = std::move(copy.record);
    row.record.key.clear();
    row.record.blob.reset();
    if (const auto mine = held.find(row.record.id); mine != held.end()) row.leases = std::move(mine->second);
  });
  return out;
}

std::size_t SessionTable::count(std::string_view plugin) const {
  std::size_t out = 0;
  for_each([&](const Copy& copy) { out += copy.record.plugin == plugin ? 1 : 0; });
  return out;
}

bool SessionTable::load(db::SessionRecord record) {
  const std::uint64_t slot = record.id & ((1U << kSlotBits) - 1);
  if (record.id >> kSlotBits == 0 || slot >= kMostSessions || record.key.empty()) return false;
  Session& session = make_slot(static_cast<std::uint32_t>(slot));
  if (session.id.load(std::memory_order_relaxed) != kNone) return false;
  const Probe probe = probe_of(record.plugin, record.identity, record.key);
  const std::size_t number = KeyHash::part(probe.hash, kShards);
  auto& by_key = shards_[number].by_key;
  if (by_key.contains(probe)) return false;
  by_key.insert({probe.hash, &session});
  session.record = std::move(record);
  session.payer = session.record.identity;
  session.reported = session.record.totals;
  session.was_taken = true;
  set_totals(session.cells, session.reported);
  session.shard.store(static_cast<std::uint32_t>(number), std::memory_order_relaxed);
  session.id.store(session.record.id, std::memory_order_release);
  return true;
}

void SessionTable::end_loading(std::uint64_t last_id, bool drop_orphans) {
  std::uint64_t last = last_id >> kSlotBits;
  const std::scoped_lock lock(slots_mutex_);
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = make_slot(slot);
    const std::uint64_t id = session.id.load(std::memory_order_relaxed);
    last = std::max(last, id >> kSlotBits);
    if (id == kNone) free_.push_back(slot);
  }
  std::vector<db::LeaseRecord> orphans;
  leases_.for_each([&](const db::LeaseRecord& lease) {
    // Without the session's lock, which comes before a lease's elsewhere: nobody else is there yet.
    Session* const session = in_slot(static_cast<std::uint32_t>(lease.session & ((1U << kSlotBits) - 1)));
    if (session != nullptr && session->is_live(lease.session) && session->record.plugin == lease.key.plugin) {
      session->leases.push_back(lease.key.resource);
    } else if (drop_orphans) {
      orphans.push_back(lease);
    }
  });
  for (const db::LeaseRecord& lease : orphans) leases_.release({lease.key.plugin, lease.key.resource}, lease.session);
  last_serial_.store(std::max(last, last_serial_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

SessionTable::Change SessionTable::take_change(ChangeLink& link) {
  auto& session = static_cast<Session&>(link);
  const std::scoped_lock lock(shards_[session.shard.load(std::memory_order_relaxed)].mutex);
  session.moved.store(false, std::memory_order_relaxed);
  Change out{session.record, session.payer, {}, !session.was_taken, std::exchange(session.waiting, {})};
  session.was_taken = true;
  out.record.totals = totals_of(session.cells);
  out.since = difference(out.record.totals, session.reported);
  session.reported = out.record.totals;
  if (session.record.ended_at && !session.is_listed()) {
    session.id.store(kNone, std::memory_order_relaxed);
    session.record = {};
    session.payer.clear();
    session.owner = nullptr;
    session.reported = {};
    session.was_taken = false;
    set_totals(session.cells, {});
    const std::scoped_lock slots(slots_mutex_);
    free_.push_back(session.slot);
  }
  return out;
}

void SessionTable::list_moved(std::int64_t now) {
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    if (session.id.load(std::memory_order_acquire) == kNone) continue;
    const bool carried = totals_of(session.cells) != session.reported;
    if (!carried && !session.moved.load(std::memory_order_relaxed)) continue;
    if (carried) {
      const std::scoped_lock lock(shards_[session.shard.load(std::memory_order_relaxed)].mutex);
      if (!session.record.ended_at) session.record.last_seen_at = now;
    }
    durability_->changes().add(session);
  }
}

void SessionTable::change_all() {
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    if (session.id.load(std::memory_order_acquire) != kNone) durability_->changes().add(session);
  }
}

}  // namespace gatehouse
