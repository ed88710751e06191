// One place of the table of sessions. For its sources only.
#pragma once

#include "gateway/policy/session_meters.hpp"
#include "gateway/store/given_end.hpp"
#include "gateway/store/lease_slot.hpp"
#include "gateway/store/plugin_group.hpp"
#include "gateway/store/pointer_list.hpp"
#include "gateway/store/session_table.hpp"
#include "gateway/store/session_texts.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

inline constexpr std::uint64_t kNoSession = 0;

/// A db::SessionRecord in a third of the room, without its number, its totals and its resource, which are elsewhere.
struct SessionTable::Record {
  static constexpr std::int64_t kLive = std::numeric_limits<std::int64_t>::min();

  PluginGroup of;
  SessionTexts texts;
  std::int64_t created_at = 0, last_seen_at = 0, expires_at = 0;
  std::int64_t ended_at = kLive;
  Endpoint source;
  std::uint32_t blob_version = 0;
  GivenEnd end;  // of expires_at

  [[nodiscard]] bool has_ended() const noexcept { return ended_at != kLive; }
  [[nodiscard]] bool has_key() const noexcept { return !texts.key().empty(); }
  [[nodiscard]] std::string_view payer() const noexcept {
    const SessionTexts::Parts parts = texts.read();
    return parts.payer.value_or(parts.identity);
  }
  [[nodiscard]] std::shared_ptr<const db::ByteString> blob() const {
    const auto bytes = texts.read().blob;
    return bytes ? std::make_shared<const db::ByteString>(bytes->begin(), bytes->end()) : nullptr;
  }
  /// Without the blob.
  [[nodiscard]] db::SessionRecord whole(std::uint64_t id) const {
    const SessionTexts::Parts parts = texts.read();
    return {.id = id,
            .plugin = std::string(of.plugin()),
            .key = std::string(parts.key),
            .identity = std::string(parts.identity),
            .group_name = std::string(of.group()),
            .source = source,
            .created_at = created_at,
            .last_seen_at = last_seen_at,
            .ended_at = has_ended() ? std::optional(ended_at) : std::nullopt,
            .totals = {},
            .blob_version = blob_version,
            .blob = {},
            .expires_at = expires_at,
            .resource = {}};
  }
};

/// A hundred thousand are 22 MB: what only few sessions have is behind a pointer.
struct SessionTable::Session : ChangeLink {
  Session() : ChangeLink(Kind::session) {}

  std::atomic<bool> moved{false};      // it has changed, and may wait for the next round
  std::atomic<std::uint8_t> shard{0};  // set before `id`
  // guarded by the shard's lock, but for the writer's
  bool is_known = false;   // the writer knows of it
  bool was_seen = false;   // it was in use since the start
  bool was_taken = false;  // the writer's
  std::atomic<std::uint64_t> id{kNoSession};
  gh_session_cells cells{};
  std::uint32_t lane = kNoLane;  // of the owner
  std::uint32_t hash = 0;        // carried() of its plugin, identity and key, if it has one
  const void* owner = nullptr;   // the instance that opened it last, while that lives
  Record record;
  PointerList<LeaseTable::Lease> leases;       // some may be another's by now: the table of leases knows
  Steady::time_point seen_at{};                // when it was last in use, or loaded
  boost::intrusive_ptr<SessionMeters> meters;  // null until a client asks
  std::unique_ptr<Counts> counts;  // null until the plugin asks; never freed, for it may still be written to
  std::unique_ptr<db::TrafficTotals> reported;  // the writer's; null: nothing yet

  [[nodiscard]] db::TrafficTotals reported_totals() const noexcept {
    return reported ? *reported : db::TrafficTotals();
  }
  void report(const db::TrafficTotals& totals) {
    if (!reported && totals != db::TrafficTotals()) reported = std::make_unique<db::TrafficTotals>();
    if (reported) *reported = totals;
  }
  [[nodiscard]] db::SessionRecord whole() const { return record.whole(id.load(std::memory_order_relaxed)); }
  /// Is it still session `of`? Under the lock of the shard that it had: while it is, only that lock's holder frees it.
  [[nodiscard]] bool is_live(std::uint64_t of) const noexcept {
    return id.load(std::memory_order_relaxed) == of && !record.has_ended();
  }
  /// Has its time come?
  [[nodiscard]] bool is_over(const db::ClockReading& time) const noexcept {
    return record.end.is_over(record.expires_at, time);
  }
  /// As gh_session.expires_unix asks for it.
  void set_expiry(std::uint64_t wanted, const db::ClockReading& time) noexcept {
    if (wanted == GH_EXPIRY_SAME) return;
    const bool is_time = wanted <= static_cast<std::uint64_t>(INT64_MAX);
    record.expires_at = is_time ? static_cast<std::int64_t>(wanted) : 0;
    record.end.give(record.expires_at, time);
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
  // 216 bytes, with the cells of this border; those of a later one may be larger.
  static_assert(sizeof(Session) <= 160 + sizeof(gh_session_cells), "mind what a hundred thousand sessions cost");
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
