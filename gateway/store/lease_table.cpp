#include "gateway/store/lease_table.hpp"

#include <string>
#include <utility>

namespace gatehouse {

LeaseTable::LeaseTable(std::shared_ptr<Durability> durability) : durability_(std::move(durability)) {}

LeaseTable::Taken LeaseTable::take(const Name& name, std::uint64_t session, const db::ClockReading& time,
                                   std::int64_t expires_at, Durability::Ticket ticket) {
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* lease = shard.find(probe);
  const bool known = lease != nullptr && lease->session != 0;
  if (known && lease->session != session && !lease->is_over(time)) return {GH_E_EXISTS};
  const bool renewed = known && lease->session == session;
  if (!renewed) {
    if (durability_->refuses_new()) return {GH_E_IO};
    if (lease == nullptr && unsure_until_.load(std::memory_order_relaxed) > time.believed) return {GH_E_IN_DOUBT};
  }
  if (lease != nullptr && std::exchange(lease->kept, false)) --shard.kept;
  if (lease == nullptr) lease = &shard.add(probe.hash, plugins_.at(name.plugin), name.resource);
  lease->waiting.add(ticket);  // one that is nobody's is as good as none, if this fails
  if (!renewed) lease->granted_at = time.now;
  lease->session = session;
  lease->expires_at = expires_at;
  lease->end.give(expires_at, time);
  durability_->add(*lease);
  return {GH_OK, renewed};
}

bool LeaseTable::is_held_by(const Name& name, std::uint64_t session) const {
  const Probe probe = probe_of(name);
  const Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  const Lease* const lease = shard.find(probe);
  return lease != nullptr && lease->session == session;
}

gh_status LeaseTable::release(const Name& name, std::uint64_t session) {
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const lease = shard.find(probe);
  if (session == 0 || lease == nullptr || lease->session != session) return GH_E_NOT_FOUND;
  lease->session = 0;
  durability_->add(*lease);
  return GH_OK;
}

std::vector<db::LeaseRecord> LeaseTable::rows() const {
  std::vector<db::LeaseRecord> out;
  for_each([&out](const db::LeaseRecord& record) { out.push_back(record); });
  return out;
}

void LeaseTable::load(const db::LeaseRecord& record) {
  const Name name{record.key.plugin, record.key.resource};
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const known = shard.find(probe);
  Lease& lease = known != nullptr ? *known : shard.add(probe.hash, plugins_.at(name.plugin), name.resource);
  lease.session = record.session;
  lease.granted_at = record.granted_at;
  lease.expires_at = record.expires_at;
}

LeaseTable::Change LeaseTable::take_change(ChangeLink& link) {
  auto& lease = static_cast<Lease&>(link);
  const Name name = lease.name();  // it never changes
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Change out{lease.whole(), lease.waiting.take()};
  if (lease.session == 0 && !lease.is_listed() && !keep(shard, lease)) shard.leases.erase(shard.leases.find(probe));
  return out;
}

/// While it is not known what was forgotten, a released lease stays: that resource is free for certain.
bool LeaseTable::keep(Shard& shard, Lease& lease) noexcept {
  if (unsure_until_.load(std::memory_order_relaxed) == 0) return false;
  if (!lease.kept && shard.kept == kMostKept / kShards) return false;
  if (!std::exchange(lease.kept, true)) ++shard.kept;
  return true;
}

void LeaseTable::change_all() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const Entry& entry : shard.leases) durability_->add(*entry.lease);
  }
}

void LeaseTable::expire(const db::ClockReading& time) {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const Entry& entry : shard.leases) {
      Lease& lease = *entry.lease;
      if (lease.session == 0) continue;
      const bool has_moved = lease.end.settle(lease.expires_at, time), is_over = lease.is_over(time);
      if (is_over) lease.session = 0;
      if (is_over || has_moved) durability_->add(lease);
    }
  }
  if (const std::int64_t until = unsure_until_.load(std::memory_order_relaxed); until != 0 && until <= time.believed)
    end_doubt();
}

void LeaseTable::end_doubt() {
  unsure_until_.store(0, std::memory_order_relaxed);
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    erase_if(shard.leases, [](const Entry& entry) { return entry.lease->kept && !entry.lease->is_listed(); });
    shard.kept = 0;  // take_change() removes the rest
  }
}

}  // namespace gatehouse
