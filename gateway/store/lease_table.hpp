// Who holds which exclusive resource of which plugin, and until when.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/durability.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gatehouse {

/// Thread-safe: shards with a lock each, held for some hundred ns and never while anything is read or written.
class LeaseTable {
 public:
  explicit LeaseTable(std::shared_ptr<Durability> durability);

  struct Taken {
    gh_status status = GH_OK;  ///< GH_E_EXISTS: another session holds it; GH_E_IO: nothing new is taken just now
    bool renewed = false;      ///< this session held it already
  };
  /// @param now, expires_at  Unix seconds; `expires_at` 0 = until it is released
  [[nodiscard]] Taken take(const db::LeaseKey& key, std::uint64_t session, std::int64_t now, std::int64_t expires_at,
                           Durability::Ticket ticket);
  [[nodiscard]] bool is_held_by(const db::LeaseKey& key, std::uint64_t session) const;
  /// GH_E_NOT_FOUND: that session does not hold it.
  gh_status release(const db::LeaseKey& key, std::uint64_t session);

  [[nodiscard]] std::vector<db::LeaseRecord> rows() const;

  // ---- the writer and the start
  /// What is remembered, before anybody else uses the table.
  void load(const db::LeaseRecord& record);
  /// Nobody whom the table does not know takes a resource until then: its lease may have been forgotten. 0 = anybody.
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
  /// Releases what expired before `time`.
  void expire(std::int64_t time);

 private:
  struct Lease : ChangeLink {
    explicit Lease(db::LeaseKey of) : ChangeLink(Kind::lease) { record.key = std::move(of); }
    db::LeaseRecord record;  // session 0: released, and to be written so
    std::vector<Durability::Ticket> waiting;
  };
  struct KeyHash {
    [[nodiscard]] std::size_t operator()(const db::LeaseKey& key) const noexcept {
      return std::hash<std::string_view>()(key.resource) ^ std::hash<std::string_view>()(key.plugin) << 1U;
    }
  };
  struct Shard {
    mutable std::mutex mutex;  // guards the leases, too
    std::unordered_map<db::LeaseKey, Lease, KeyHash> leases;
  };
  static constexpr std::size_t kShards = 64;

  [[nodiscard]] Shard& shard_of(const db::LeaseKey& key) noexcept;
  [[nodiscard]] const Shard& shard_of(const db::LeaseKey& key) const noexcept;

  const std::shared_ptr<Durability> durability_;
  std::atomic<std::int64_t> unsure_until_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace gatehouse
