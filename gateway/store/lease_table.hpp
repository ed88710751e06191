// Who holds which exclusive resource of which plugin, and until when.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/durability.hpp"
#include "gateway/store/key_hash.hpp"
#include "gateway/store/plugin_group.hpp"
#include "gateway/store/text_arena.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Thread-safe: shards with a lock each, held for some hundred ns and never while anything is read or written.
class LeaseTable {
 public:
  explicit LeaseTable(std::shared_ptr<Durability> durability);
  ~LeaseTable();
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;

  /// What is exclusive, as a caller names it.
  struct Name {
    std::string_view plugin, resource;
  };
  /// One that is or was held. Its place is as old as the table, and may be another lease's by now: ask is_held_by().
  struct Lease;
  struct Taken {
    /// GH_E_EXISTS: another session holds it; GH_E_IN_DOUBT: it may (set_unsure_until()); GH_E_IO: nothing new is taken
    /// just now
    gh_status status = GH_OK;
    bool renewed = false;    ///< this session held it already
    Lease* lease = nullptr;  ///< where it went well
  };
  /// @param expires_at  Unix seconds; 0 = until it is released
  [[nodiscard]] Taken take(const Name& name, std::uint64_t session, const db::ClockReading& time,
                           std::int64_t expires_at, Durability::Ticket ticket);
  [[nodiscard]] bool is_held_by(const Name& name, std::uint64_t session) const;
  [[nodiscard]] bool is_held_by(const Lease& lease, std::uint64_t session) const;
  /// Null: that session does not hold it.
  Lease* release(const Name& name, std::uint64_t session);
  /// Nothing happens where that session does not hold it.
  void release(Lease& lease, std::uint64_t session) noexcept;
  /// "" where that session does not hold it.
  [[nodiscard]] std::string resource_of(const Lease& lease, std::uint64_t session) const;

  [[nodiscard]] std::vector<db::LeaseRecord> rows() const;
  /// Calls visit(const db::LeaseRecord&, Lease&) for each that is held, under its lock: it must not call the table.
  template <class Visit>
  void for_each(Visit visit) const;

  // ---- the writer and the start
  /// What is remembered, before anybody else uses the table.
  void load(const db::LeaseRecord& record);
  /// Leases may have been forgotten: until then, nobody takes a resource that the table has not known since the start.
  /// 0 = nothing is in doubt.
  void set_unsure_until(std::int64_t time) noexcept { unsure_until_.store(time, std::memory_order_relaxed); }

  /// What there is to write of a changed lease: the row, with session 0 if it was released, and who waits. The lease
  /// may be gone afterwards.
  struct Change {
    db::LeaseRecord record;
    std::vector<Durability::Ticket> waiting;
  };
  [[nodiscard]] Change take_change(ChangeLink& link);
  /// Adds every lease to the list of changes, for a file that knows nothing.
  void change_all();
  /// Releases what has expired; ends the doubt when it is over.
  void expire(const db::ClockReading& time);

 private:
  struct Probe {
    std::uint64_t whole_hash;
    std::uint32_t hash;
    const Name& name;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Lease* a, const Lease* b) const noexcept { return a == b; }
    bool operator()(const Probe& probe, const Lease* lease) const noexcept;
    bool operator()(const Lease* lease, const Probe& probe) const noexcept { return (*this)(probe, lease); }
  };
  struct Shard;
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kMostKept = 65536;  // beyond that, a released resource is in doubt again

  [[nodiscard]] Lease& add(Shard& shard, const Probe& probe);
  void clear(Shard& shard, Lease& lease) noexcept;
  [[nodiscard]] bool keep(Shard& shard, Lease& lease) noexcept;
  void end_doubt();
  [[nodiscard]] Probe probe_of(const Name& name) const noexcept {
    const std::uint64_t hash = hash_(name.resource, name.plugin);
    return {hash, carried(hash), name};
  }
  [[nodiscard]] Shard& shard_of(const Probe& probe) const noexcept;
  [[nodiscard]] Shard& shard_of(const Lease& lease) const noexcept;

  const std::shared_ptr<Durability> durability_;
  const KeyHash hash_;
  PluginGroups plugins_;
  TextArena resources_;  // those that are long
  std::atomic<std::int64_t> unsure_until_{0};
  const std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace gatehouse
