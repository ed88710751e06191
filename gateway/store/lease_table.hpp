// Who holds which exclusive resource of which plugin, and until when.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/compact_text.hpp"
#include "gateway/store/durability.hpp"
#include "gateway/store/given_end.hpp"
#include "gateway/store/key_hash.hpp"
#include "gateway/store/tickets.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Thread-safe: shards with a lock each, held for some hundred ns and never while anything is read or written.
class LeaseTable {
 public:
  explicit LeaseTable(std::shared_ptr<Durability> durability);

  /// What is exclusive, as a caller names it.
  struct Name {
    std::string_view plugin, resource;
  };
  struct Taken {
    /// GH_E_EXISTS: another session holds it; GH_E_IN_DOUBT: it may (set_unsure_until()); GH_E_IO: nothing new is taken
    /// just now
    gh_status status = GH_OK;
    bool renewed = false;  ///< this session held it already
  };
  /// @param expires_at  Unix seconds; 0 = until it is released
  [[nodiscard]] Taken take(const Name& name, std::uint64_t session, const db::ClockReading& time,
                           std::int64_t expires_at, Durability::Ticket ticket);
  [[nodiscard]] bool is_held_by(const Name& name, std::uint64_t session) const;
  /// GH_E_NOT_FOUND: that session does not hold it.
  gh_status release(const Name& name, std::uint64_t session);

  [[nodiscard]] std::vector<db::LeaseRecord> rows() const;
  /// Calls visit(const db::LeaseRecord&) for each that is held, under its lock: it must not call the table.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Shard& shard : shards_) {
      const std::scoped_lock lock(shard.mutex);
      for (const Entry& entry : shard.leases) {
        if (entry.lease->session != 0) visit(entry.lease->whole());
      }
    }
  }

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
  /// A db::LeaseRecord in little room.
  struct Lease : ChangeLink {
    Lease(SharedName of, std::string_view name) : ChangeLink(Kind::lease), plugin(of), resource(name) {}

    bool kept = false;  // released and written, and still here: not in doubt
    const SharedName plugin;
    const std::string resource;
    std::uint64_t session = 0;  // 0: released, and to be written so
    std::int64_t granted_at = 0, expires_at = 0;
    GivenEnd end;
    Tickets waiting;

    [[nodiscard]] Name name() const noexcept { return {plugin, resource}; }
    [[nodiscard]] db::LeaseRecord whole() const {
      return {{std::string(plugin), resource}, session, granted_at, expires_at};
    }
    [[nodiscard]] bool is_over(const db::ClockReading& time) const noexcept { return end.is_over(expires_at, time); }
  };
  struct Entry {
    std::uint64_t hash;
    std::unique_ptr<Lease> lease;
  };
  struct Probe {
    std::uint64_t hash;
    const Name& name;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Entry& a, const Entry& b) const noexcept { return a.lease == b.lease; }
    bool operator()(const Probe& probe, const Entry& entry) const noexcept {
      if (probe.hash != entry.hash) return false;
      prefetch(*entry.lease);
      return entry.lease->resource == probe.name.resource && entry.lease->plugin == probe.name.plugin;
    }
    bool operator()(const Entry& entry, const Probe& probe) const noexcept { return (*this)(probe, entry); }
  };
  struct Shard {
    mutable std::mutex mutex;  // guards the leases, too
    boost::unordered_flat_set<Entry, CarriedHash, Equal> leases;
    std::size_t kept = 0;  // of them

    [[nodiscard]] Lease* find(const Probe& probe) const {
      const auto found = leases.find(probe);
      return found == leases.end() ? nullptr : found->lease.get();
    }
    Lease& add(std::uint64_t hash, SharedName plugin, std::string_view resource) {
      return *leases.insert({hash, std::make_unique<Lease>(plugin, resource)}).first->lease;
    }
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kMostKept = 65536;  // beyond that, a released resource is in doubt again

  [[nodiscard]] bool keep(Shard& shard, Lease& lease) noexcept;
  void end_doubt();
  [[nodiscard]] Probe probe_of(const Name& name) const noexcept { return {hash_(name.resource, name.plugin), name}; }
  [[nodiscard]] Shard& shard_of(const Probe& probe) noexcept { return shards_[KeyHash::part(probe.hash, kShards)]; }
  [[nodiscard]] const Shard& shard_of(const Probe& probe) const noexcept {
    return shards_[KeyHash::part(probe.hash, kShards)];
  }

  const std::shared_ptr<Durability> durability_;
  const KeyHash hash_;
  SharedNames plugins_;
  std::atomic<std::int64_t> unsure_until_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace gatehouse
