#include "gateway/store/lease_table.hpp"

#include "gateway/store/lease_slot.hpp"

#include <string>
#include <utility>

namespace gatehouse {

bool LeaseTable::Equal::operator()(const Probe& probe, const Lease* lease) const noexcept {
  prefetch(*lease);
  if (probe.hash != lease->hash) return false;
  return lease->resource == probe.name.resource && lease->of.plugin() == probe.name.plugin;
}

LeaseTable::LeaseTable(std::shared_ptr<Durability> durability)
    : durability_(std::move(durability)), shards_(std::make_unique<std::array<Shard, kShards>>()) {}
LeaseTable::~LeaseTable() = default;

LeaseTable::Shard& LeaseTable::shard_of(const Probe& probe) const noexcept {
  return (*shards_)[KeyHash::part(probe.whole_hash, kShards)];
}
LeaseTable::Shard& LeaseTable::shard_of(const Lease& lease) const noexcept { return (*shards_)[lease.shard]; }

/// Under the shard's lock. Without memory nothing has changed.
LeaseTable::Lease& LeaseTable::add(Shard& shard, const Probe& probe) {
  const PluginGroup of = plugins_.at(probe.name.plugin);
  Lease& lease = shard.top_free(static_cast<std::uint8_t>(KeyHash::part(probe.whole_hash, kShards)));
  lease.hash = probe.hash;
  lease.resource.write(resources_, probe.name.resource);
  shard.leases.insert(&lease);
  shard.pop_free();
  lease.of = of;
  return lease;
}

/// Its place is free, once it is out of `shard.leases`.
void LeaseTable::clear(Shard& shard, Lease& lease) noexcept {
  lease.resource.clear(resources_);
  lease.session = 0;
  lease.granted_at = lease.expires_at = 0;
  lease.end = {};
  lease.kept = false;
  shard.push_free(lease);
}

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
  if (lease == nullptr) lease = &add(shard, probe);
  shard.waiting.add(*lease, ticket);  // one that is nobody's is as good as none, if this fails
  if (!renewed) lease->granted_at = time.now;
  lease->session = session;
  lease->expires_at = expires_at;
  lease->end.give(expires_at, time);
  durability_->add(*lease);
  return {GH_OK, renewed, lease};
}

bool LeaseTable::is_held_by(const Name& name, std::uint64_t session) const {
  const Probe probe = probe_of(name);
  const Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  const Lease* const lease = shard.find(probe);
  return lease != nullptr && lease->session == session;
}

bool LeaseTable::is_held_by(const Lease& lease, std::uint64_t session) const {
  const std::scoped_lock lock(shard_of(lease).mutex);
  return lease.session == session;
}

std::string LeaseTable::resource_of(const Lease& lease, std::uint64_t session) const {
  const std::scoped_lock lock(shard_of(lease).mutex);
  return lease.session == session ? std::string(lease.name().resource) : std::string();
}

LeaseTable::Lease* LeaseTable::release(const Name& name, std::uint64_t session) {
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const lease = shard.find(probe);
  if (session == 0 || lease == nullptr || lease->session != session) return nullptr;
  lease->session = 0;
  durability_->add(*lease);
  return lease;
}

void LeaseTable::release(Lease& lease, std::uint64_t session) noexcept {
  const std::scoped_lock lock(shard_of(lease).mutex);
  if (session == 0 || lease.session != session) return;
  lease.session = 0;
  durability_->add(lease);
}

std::vector<db::LeaseRecord> LeaseTable::rows() const {
  std::vector<db::LeaseRecord> out;
  for_each([&out](db::LeaseRecord&& record, Lease&) { out.push_back(std::move(record)); });
  return out;
}

void LeaseTable::load(const db::LeaseRecord& record) {
  const Name name{record.key.plugin, record.key.resource};
  const Probe probe = probe_of(name);
  Shard& shard = shard_of(probe);
  const std::scoped_lock lock(shard.mutex);
  Lease* const known = shard.find(probe);
  Lease& lease = known != nullptr ? *known : add(shard, probe);
  lease.session = record.session;
  lease.granted_at = record.granted_at;
  lease.expires_at = record.expires_at;
}

LeaseTable::Change LeaseTable::take_change(ChangeLink& link) {
  auto& lease = static_cast<Lease&>(link);
  Shard& shard = shard_of(lease);
  const std::scoped_lock lock(shard.mutex);
  Change out{lease.whole(), shard.waiting.take(lease)};
  if (lease.session == 0 && !lease.is_listed() && !keep(shard, lease)) {
    shard.leases.erase(&lease);
    clear(shard, lease);
  }
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
  for (Shard& shard : *shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (Lease* const lease : shard.leases) durability_->add(*lease);
  }
}

void LeaseTable::expire(const db::ClockReading& time) {
  for (Shard& shard : *shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (Lease* const one : shard.leases) {
      Lease& lease = *one;
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
  for (Shard& shard : *shards_) {
    const std::scoped_lock lock(shard.mutex);
    erase_if(shard.leases, [&](Lease* lease) {
      const bool was_kept = std::exchange(lease->kept, false);
      const bool goes = was_kept && !lease->is_listed();
      if (goes) clear(shard, *lease);
      return goes;
    });
    shard.kept = 0;  // take_change() removes the rest
  }
}

}  // namespace gatehouse
