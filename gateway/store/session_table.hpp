// All plugins' sessions, in memory: the truth that the store's writer copies to disk.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/durability.hpp"
#include "gateway/store/idle_ends.hpp"
#include "gateway/store/key_hash.hpp"
#include "gateway/store/lease_table.hpp"
#include "gateway/store/live_session.hpp"
#include "gateway/store/plugin_group.hpp"
#include "gateway/store/text_arena.hpp"
#include "gateway/store/tickets.hpp"

#include <gatehouse/abi.h>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

class SessionMeters;

/// Thread-safe. Each session stands in a slot that never moves, so that its number leads to it and its cells stay
/// where they are. Fields are guarded by one of 64 locks, held for some hundred ns and never while anything is read or
/// written; cells by none.
class SessionTable {
 public:
  static constexpr std::size_t kMostSessions = std::size_t{1} << 20U;
  static constexpr std::size_t kMostLeases = 4096;  ///< of a session

  using Steady = std::chrono::steady_clock;
  using SteadyNow = std::function<Steady::time_point()>;

  explicit SessionTable(std::shared_ptr<Durability> durability = std::make_shared<Durability>(),
                        std::size_t most = kMostSessions, SteadyNow steady_now = &Steady::now);
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  // ---- plugins, on a lane; the meaning is that of gh.sessions/1. `plugin` owns what it opens.
  struct Opening {
    std::string_view plugin{}, key{}, identity{};
    Endpoint source{};
    std::uint32_t blob_version = 0;
    std::shared_ptr<const db::ByteString> blob{};
    const void* owner = nullptr;  ///< whose it is then, until end_all_of()
    std::uint32_t lane = kNoLane;
    std::int64_t now = 0;                       ///< Unix seconds
    std::uint64_t expires_at = GH_EXPIRY_SAME;  ///< as in gh_session
  };
  static constexpr std::uint32_t kNoLane = UINT32_MAX;
  struct Opened {
    gh_status status = GH_OK;
    std::uint64_t id = 0, opening = 0;
    gh_session_cells* cells = nullptr;
    bool resumed = false;
    std::uint32_t blob_version = 0;
    std::shared_ptr<const db::ByteString> blob;
    std::uint32_t lane = kNoLane;  ///< of `owner` that held it before
    std::int64_t last_seen_at = 0, expires_at = 0;
  };
  [[nodiscard]] Opened open(const Opening& what, Durability::Ticket ticket);
  /// What open() would resume, left as it is. GH_E_NOT_FOUND: nothing.
  [[nodiscard]] Opened find(const Opening& what) const;
  /// Resumes a session by its number, unless `owner` has it already (GH_E_STATE). Its key and identity come with it.
  struct Adopted {
    Opened opened;
    std::string key, identity;
    Endpoint source;
  };
  [[nodiscard]] Adopted adopt(std::string_view plugin, std::uint64_t id, const void* owner, std::uint32_t lane,
                              std::int64_t now);
  struct Touch {
    Endpoint source;
    std::int64_t now = 0;
    std::shared_ptr<const db::ByteString> blob;  ///< null: as it was
    std::uint32_t blob_version = 0;
    std::uint64_t expires_at = GH_EXPIRY_SAME;
  };
  gh_status touch(std::string_view plugin, std::uint64_t id, const Touch& what, Durability::Ticket ticket);
  gh_status end(std::string_view plugin, std::uint64_t id, std::int64_t now);
  [[nodiscard]] LeaseTable::Taken lease(std::string_view plugin, std::string_view resource, std::uint64_t id,
                                        std::int64_t now, std::int64_t expires_at, Durability::Ticket ticket);
  gh_status release(std::string_view plugin, std::string_view resource, std::uint64_t id);
  /// Ends the sessions without a key that `owner` has, and holds it for gone.
  void end_all_of(const void* owner, std::int64_t now);
  /// Ends every session of that identity, whoever's it is: streams close as soon as their lanes look, within a second.
  /// @return how many
  std::size_t end_identity(std::string_view identity, std::int64_t now);
  /// The lanes of `owner` have returned: its sessions are to be adopted again by those that come, though they stay its
  /// own.
  void free_lanes_of(const void* owner);

  /// What all clients of the session are metered by, made at the first call; null where there is no such session.
  [[nodiscard]] boost::intrusive_ptr<SessionMeters> meters_of(std::string_view plugin, std::uint64_t id);
  /// GH_SESSION_COUNTS words for what else the plugin counts, made at the first call.
  gh_status counts_of(std::string_view plugin, std::uint64_t id, std::uint64_t** out);
  /// By whom the session's traffic is accounted for: `payer` is what usage is kept under, see UsageKey::identity.
  void account(std::uint64_t id, std::string_view group_name, std::string_view payer);

  // ---- reports
  [[nodiscard]] std::vector<LiveSession> rows() const;
  [[nodiscard]] std::size_t count(std::string_view plugin) const;
  /// One as for_each() finds it.
  struct Copy {
    db::SessionRecord record;
    gh_session_cells* cells = nullptr;
    std::uint64_t opening = 0;
    std::array<std::uint64_t, 2> state{};
    std::vector<std::uint64_t> counts;
  };
  enum class Blobs { without, with };
  /// Calls visit(Copy&) for each session that has not ended, with no lock held.
  template <class Visit>
  void for_each(Blobs blobs, Visit visit) const {
    for (std::uint32_t slot = 0; slot < high_water(); ++slot) {
      if (auto found = copy_of(slot, blobs)) visit(*found);
    }
  }

  /// What the clock says and how much of that is believed, where it says `now`. Sessions and leases end in time by it.
  [[nodiscard]] db::ClockReading reading(std::int64_t now) const;
  [[nodiscard]] LeaseTable& leases() noexcept { return leases_; }
  [[nodiscard]] const LeaseTable& leases() const noexcept { return leases_; }
  [[nodiscard]] const std::shared_ptr<Durability>& durability() const noexcept { return durability_; }

  // ---- the writer and the start
  /// What is remembered, before anybody else uses the table. False: its number is none of ours, or stands in the way.
  [[nodiscard]] bool load(db::SessionRecord record);
  /// After the last load(): no number up to this one is given out again, and leases whose session has ended are free,
  /// unless they may be live after all.
  void end_loading(std::uint64_t last_id, bool drop_orphans);

  struct Change {
    db::SessionRecord record;
    std::string payer;
    db::TrafficTotals since;  ///< carried since the last change
    bool is_first = false;    ///< of this session
    std::vector<Durability::Ticket> waiting;
  };
  /// What there is to write of a session in the list of changes. The slot of one that ended is free afterwards.
  [[nodiscard]] Change take_change(ChangeLink& link);
  /// That session, where it is in the list of changes; else null. By take_change() it stays in it.
  [[nodiscard]] ChangeLink* listed(std::uint64_t id) const noexcept;
  /// The time by now, as db::Store believes it: a clock that is far ahead of it, and of the time since, is doubted.
  /// Before the first call, none is.
  void believe(std::int64_t believed);
  /// Ends every session whose time has come.
  void expire(std::int64_t now);
  /// From now on, for end_idle(). Any thread.
  void set_idle_ends(IdleEnds ends);
  /// Ends every session with a key that has been without traffic for too long; before set_idle_ends(), none. After
  /// list_moved(), which sees traffic. The steady clock tells how long, so that one who sets the other ends nobody, and
  /// `last_seen_at` is put right by it. A session that was loaded has some minutes to be resumed in, however long the
  /// gateway was away. @param now  believed, for what it ends nobody brings back
  void end_idle(std::int64_t now);
  /// Will open() soon find no place?
  [[nodiscard]] bool is_nearly_full();
  /// Then ends as many sessions with a key as are too many, by bring_forward() of longest_idle.hpp: of an identity or
  /// network that has many, else those that have been idle longest, for a minute or more. Their places are free once
  /// they are written. Some 0.5 s for a full table. @return how many
  std::size_t make_room(std::int64_t now);
  /// Adds every session whose traffic moved or that was touched since it was last written.
  void list_moved(std::int64_t now);
  /// Adds every session, for a file that knows nothing.
  void change_all();

 private:
  using Counts = std::array<std::uint64_t, GH_SESSION_COUNTS>;
  struct Record;
  struct Session;
  struct Now {
    std::int64_t unix = 0;
    Steady::time_point steady{};
  };
  struct Probe {
    std::uint64_t whole_hash;
    std::uint32_t hash;
    std::string_view plugin, identity, key;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Session* a, const Session* b) const noexcept { return a == b; }
    bool operator()(const Probe& probe, const Session* session) const noexcept;
    bool operator()(const Session* session, const Probe& probe) const noexcept { return (*this)(probe, session); }
  };
  struct Shard {
    mutable std::mutex mutex;  // guards the sessions whose shard this is
    boost::unordered_flat_set<Session*, CarriedHash, Equal> by_key;
    Tickets waiting;
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kSpare = 64;  // one in so many places is kept free
  static constexpr std::int64_t kLeastIdle = 60;
  static constexpr std::chrono::minutes kGrace{5};    // after a start, to be resumed in
  static constexpr std::chrono::hours kStanding{24};  // of a clock, until what lies ahead of it is doubted
  static constexpr std::int64_t kLeastCorrection = 60;
  static constexpr std::uint32_t kSlotBits = 24;
  static constexpr std::size_t kChunk = 256;
  static constexpr std::int64_t kNothingBelieved = INT64_MIN;
  struct Chunk;

  [[nodiscard]] Probe probe_of(std::string_view plugin, std::string_view identity,
                               std::string_view key) const noexcept {
    const std::uint64_t hash = hash_(key, identity, plugin);
    return {hash, carried(hash), plugin, identity, key};
  }
  [[nodiscard]] std::int64_t steady_seconds() const;
  /// How many more places ought to be free.
  [[nodiscard]] std::size_t missing_spare();
  [[nodiscard]] std::uint32_t high_water() const noexcept { return used_slots_.load(std::memory_order_acquire); }
  [[nodiscard]] Session* in_slot(std::uint32_t slot) const noexcept;
  /// Where session `id` would stand; null: nowhere yet.
  [[nodiscard]] Session* slot_of(std::uint64_t id) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> free_slot();
  void fill(Shard& shard, std::uint32_t slot, const Opening& what, const Probe& probe, Durability::Ticket ticket);
  Session& make_slot(std::uint32_t slot);
  [[nodiscard]] std::optional<Copy> copy_of(std::uint32_t slot, Blobs blobs) const;
  /// Calls work(Session&) under its lock if there is such a session of that plugin; else GH_E_NOT_FOUND.
  template <class Work>
  gh_status with(std::string_view plugin, std::uint64_t id, Work work);
  /// Calls work(Shard&, Session&) for each that has not ended, under its lock.
  template <class Work>
  void with_each(Work work);
  void end_locked(Shard& shard, Session& session, std::int64_t now);
  static void correct_locked(Session& session, const Now& now);
  void end_idle_locked(Shard& shard, Session& session, std::int64_t now);
  [[nodiscard]] static Opened facts_of(Session& session, const void* owner);
  Opened resume(Shard& shard, Session& session, const Opening& what, Durability::Ticket ticket);

  const std::shared_ptr<Durability> durability_;
  const std::size_t most_;
  LeaseTable leases_;
  const KeyHash hash_;
  const SteadyNow steady_now_;
  mutable std::array<Shard, kShards> shards_;
  std::array<std::atomic<Chunk*>, kMostSessions / kChunk> chunks_{};
  std::atomic<std::uint32_t> used_slots_{0};
  std::atomic<std::uint64_t> last_serial_{0};
  std::atomic<std::int64_t> believed_ahead_{kNothingBelieved};  // of the steady clock, in seconds
  std::mutex slots_mutex_;                                      // guards what follows, and the making of chunks
  std::deque<std::uint32_t> free_;                              // the one that is free for longest first
  PluginGroups groups_;
  TextArena texts_;  // of sessions
  std::mutex idle_mutex_;
  std::optional<IdleEnds> idle_ends_;  // guarded by it
};

}  // namespace gatehouse
