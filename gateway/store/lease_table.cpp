#include "gateway/store/lease_table.hpp"

#include <string>
#include <utility>

namespace gatehouse {

LeaseTable::LeaseTable(std::shared_ptr<Durability> durability) : durability_(std::move(durability)) {}

LeaseTable::Taken LeaseTable::take(const Name& name, std::uint64_t session, std::int64_t now, std::int64_t expires_at,
                                   Durability::Ticket ticket) {
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* lease = shard.find(probe);
  const bool known = lease != nullptr && lease->record.session != 0;
  if (known && lease->record.session != session) {
    const std::int64_t until = lease->record.expires_at;
    if (until == 0 || until > now) return {GH_E_EXISTS};
  }
  const bool renewed = known && lease->record.session == session;
  if (!renewed) {
    if (durability_->refuses_new()) return {GH_E_IO};
    const bool unsure = !known && unsure_until_.load(std::memory_order_relaxed) > now;
    if (unsure && durability_->on_failure() != OnStoreFailure::serve) return {GH_E_EXISTS};
  }
  if (lease == nullptr) lease = &shard.add(probe.hash, {std::string(name.plugin), std::string(name.resource)});
  if (!renewed) lease->record.granted_at = now;
  lease->record.session = session;
  lease->record.expires_at = expires_at;
  if (ticket != 0) lease->waiting.push_back(ticket);
  durability_->add(*lease);
  return {GH_OK, renewed};
}

bool LeaseTable::is_held_by(const Name& name, std::uint64_t session) const {
  const Probe probe = probe_of(name);
  const Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  const Lease* const lease = shard.find(probe);
  return lease != nullptr && lease->record.session == session;
}

gh_status LeaseTable::release(const Name& name, std::uint64_t session) {
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const lease = shard.find(probe);
  if (session == 0 || lease == nullptr || lease->record.session != session) return GH_E_NOT_FOUND;
  lease->record.session = 0;
  durability_->add(*lease);
  return GH_OK;
}

std::vector<db::LeaseRecord> LeaseTable::rows() const {
  std::vector<db::LeaseRecord> out;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const Entry& entry : shard.leases) {
      if (entry.lease->record.session != 0) out.push_back(entry.lease->record);
    }
  }
  return out;
}

void LeaseTable::load(const db::LeaseRecord& record) {
  const Name name{record.key.plugin, record.key.resource};
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const known = shard.find(probe);
  (known != nullptr ? *known : shard.add(probe.hash, record.key)).record = record;
}

LeaseTable::Change LeaseTable::take_change(ChangeLink& link) {
  auto& lease = static_cast<Lease&>(link);
  const Name name{lease.record.key.plugin, lease.record.key.resource};  // they never change
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Change out{lease.record, std::exchange(lease.waiting, {})};
  if (lease.record.session == 0 && !lease.is_listed()) shard.leases.erase(shard.leases.find(probe));
  return out;
}

void LeaseTable::change_all() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const Entry& entry : shard.leases) durability_->add(*entry.lease);
  }
}

void LeaseTable::expire(std::int64_t time) {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const Entry& entry : shard.leases) {
      db::LeaseRecord& record = entry.lease->record;
      if (record.session == 0 || record.expires_at == 0 || record.expires_at > time) continue;
      record.session = 0;
      durability_->add(*entry.lease);
    }
  }
}

}  // namespace gatehouse
