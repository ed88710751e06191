#include "gateway/store/lease_table.hpp"

#include <utility>

namespace gatehouse {

LeaseTable::LeaseTable(std::shared_ptr<Durability> durability) : durability_(std::move(durability)) {}

const LeaseTable::Shard& LeaseTable::shard_of(const db::LeaseKey& key) const noexcept {
  return shards_[(KeyHash()(key) >> 8U) % kShards];
}
LeaseTable::Shard& LeaseTable::shard_of(const db::LeaseKey& key) noexcept {
  return const_cast<Shard&>(std::as_const(*this).shard_of(key));
}

LeaseTable::Taken LeaseTable::take(const db::LeaseKey& key, std::uint64_t session, std::int64_t now,
                                   std::int64_t expires_at, Durability::Ticket ticket) {
  Shard& shard = shard_of(key);
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.leases.find(key);
  const bool known = found != shard.leases.end() && found->second.record.session != 0;
  if (known && found->second.record.session != session) {
    const std::int64_t until = found->second.record.expires_at;
    if (until == 0 || until > now) return {GH_E_EXISTS};
  }
  const bool renewed = known && found->second.record.session == session;
  if (!renewed) {
    if (durability_->refuses_new()) return {GH_E_IO};
    const bool unsure = !known && unsure_until_.load(std::memory_order_relaxed) > now;
    if (unsure && durability_->on_failure() != OnStoreFailure::serve) return {GH_E_EXISTS};
  }
  Lease& lease = found != shard.leases.end() ? found->second : shard.leases.try_emplace(key, key).first->second;
  if (!renewed) lease.record.granted_at = now;
  lease.record.session = session;
  lease.record.expires_at = expires_at;
  if (ticket != 0) lease.waiting.push_back(ticket);
  durability_->add(lease);
  return {GH_OK, renewed};
}

bool LeaseTable::is_held_by(const db::LeaseKey& key, std::uint64_t session) const {
  const Shard& shard = shard_of(key);
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.leases.find(key);
  return found != shard.leases.end() && found->second.record.session == session;
}

gh_status LeaseTable::release(const db::LeaseKey& key, std::uint64_t session) {
  Shard& shard = shard_of(key);
  const std::scoped_lock lock(shard.mutex);
  const auto found = shard.leases.find(key);
  if (session == 0 || found == shard.leases.end() || found->second.record.session != session) return GH_E_NOT_FOUND;
  found->second.record.session = 0;
  durability_->add(found->second);
  return GH_OK;
}

std::vector<db::LeaseRecord> LeaseTable::rows() const {
  std::vector<db::LeaseRecord> out;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (const auto& [key, lease] : shard.leases) {
      if (lease.record.session != 0) out.push_back(lease.record);
    }
  }
  return out;
}

void LeaseTable::load(const db::LeaseRecord& record) {
  Shard& shard = shard_of(record.key);
  const std::scoped_lock lock(shard.mutex);
  shard.leases.try_emplace(record.key, record.key).first->second.record = record;
}

LeaseTable::Change LeaseTable::take_change(ChangeLink& link) {
  auto& lease = static_cast<Lease&>(link);
  const db::LeaseKey& name = lease.record.key;  // never changes
  Shard& shard = shard_of(name);
  const std::scoped_lock lock(shard.mutex);
  Change out{lease.record, std::exchange(lease.waiting, {})};
  if (lease.record.session == 0 && !lease.is_listed()) shard.leases.erase(out.record.key);
  return out;
}

void LeaseTable::change_all() {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (auto& [key, lease] : shard.leases) durability_->add(lease);
  }
}

void LeaseTable::expire(std::int64_t time) {
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (auto& [key, lease] : shard.leases) {
      if (lease.record.session == 0 || lease.record.expires_at == 0 || lease.record.expires_at > time) continue;
      lease.record.session = 0;
      durability_->add(lease);
    }
  }
}

}  // namespace gatehouse
