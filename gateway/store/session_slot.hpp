// One place of the table of sessions. For its sources only.
#pragma once

#include "gateway/store/compact_text.hpp"
#include "gateway/store/given_end.hpp"
#include "gateway/store/session_table.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

inline constexpr std::uint64_t kNoSession = 0;

/// A db::SessionRecord in half the room, without its totals and its resource, which are elsewhere.
struct SessionTable::Record {
  std::uint64_t id = 0;
  SharedName plugin, group_name;
  CompactText key;
  std::string identity;
  CompactText other_payer;  // unless it is the identity
  bool pays_itself = true;
  std::uint32_t blob_version = 0;
  std::shared_ptr<const db::ByteString> blob;
  Endpoint source;
  std::int64_t created_at = 0, last_seen_at = 0;
  std::optional<std::int64_t> ended_at;
  std::int64_t expires_at = 0;

  void set_payer(std::string_view payer) {
    pays_itself = payer == identity;
    other_payer = CompactText(pays_itself ? std::string_view() : payer);
  }
  [[nodiscard]] std::string payer() const { return pays_itself ? identity : std::string(other_payer); }
  [[nodiscard]] db::SessionRecord whole() const {
    return {.id = id,
            .plugin = std::string(plugin),
            .key = std::string(key),
            .identity = identity,
            .group_name = std::string(group_name),
            .source = source,
            .created_at = created_at,
            .last_seen_at = last_seen_at,
            .ended_at = ended_at,
            .totals = {},
            .blob_version = blob_version,
            .blob = blob,
            .expires_at = expires_at,
            .resource = {}};
  }
};

struct SessionTable::Session : ChangeLink {
  Session() : ChangeLink(Kind::session) {}

  gh_session_cells cells{};
  std::atomic<std::uint64_t> id{kNoSession};
  std::atomic<std::uint32_t> shard{0};  // set before `id`
  std::atomic<bool> moved{false};       // it has changed, and may wait for the next round
  std::uint32_t slot = 0;
  // guarded by the shard's lock
  Record record;
  GivenEnd end;
  const void* owner = nullptr;      // the instance that opened it last, while that lives
  std::uint32_t lane = kNoLane;     // of the owner
  std::vector<std::string> leases;  // each once; some may be another's by now: the table of leases knows
  bool is_known = false;            // the writer knows of it
  Steady::time_point seen_at{};     // when it was last in use, or loaded
  bool was_seen = false;            // it was in use since the start
  std::vector<Durability::Ticket> waiting;
  std::shared_ptr<SessionMeters> meters;  // null until a client asks
  std::unique_ptr<Counts> counts;         // null until the plugin asks; never freed, for it may still be written to
  // the writer's thread
  db::TrafficTotals reported;
  bool was_taken = false;

  /// Is it still session `of`? Under the lock of the shard that it had: while it is, only that lock's holder frees it.
  [[nodiscard]] bool is_live(std::uint64_t of) const noexcept {
    return id.load(std::memory_order_relaxed) == of && !record.ended_at;
  }
  /// Has its time come?
  [[nodiscard]] bool is_over(const db::ClockReading& time) const noexcept {
    return end.is_over(record.expires_at, time);
  }
  /// As gh_session.expires_unix asks for it.
  void set_expiry(std::uint64_t wanted, const db::ClockReading& time) noexcept {
    if (wanted == GH_EXPIRY_SAME) return;
    const bool is_time = wanted <= static_cast<std::uint64_t>(INT64_MAX);
    record.expires_at = is_time ? static_cast<std::int64_t>(wanted) : 0;
    end.give(record.expires_at, time);
  }
  /// It is in use. @param now  Unix seconds
  void see(std::int64_t now, Steady::time_point at) noexcept {
    record.last_seen_at = now;
    seen_at = at;
    was_seen = true;
  }
  /// By the steady clock, which nobody sets, but for one that was not in use since a start long ago: by what its row
  /// says, unless that lies ahead.
  [[nodiscard]] std::int64_t idle_seconds(const Now& now) const noexcept {
    const auto since = std::chrono::duration_cast<std::chrono::seconds>(now.steady - seen_at);
    const bool goes_by_row = !was_seen && since >= kGrace && record.last_seen_at <= now.unix;
    return goes_by_row ? now.unix - record.last_seen_at : since.count();
  }
  std::uint64_t next_opening() noexcept {
    return std::atomic_ref(cells.opening).fetch_add(1, std::memory_order_relaxed) + 1;
  }
};

struct SessionTable::Chunk {
  std::array<Session, kChunk> sessions;
};

template <class Work>
void SessionTable::with_each(Work work) {
  for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
    Session& session = *in_slot(slot);
    const std::uint64_t id = session.id.load(std::memory_order_acquire);
    if (id == kNoSession) continue;
    Shard& shard = shards_[session.shard.load(std::memory_order_relaxed)];
    const std::scoped_lock lock(shard.mutex);
    if (session.is_live(id)) work(shard, session);
  }
}

}  // namespace gatehouse
