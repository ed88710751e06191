// One place of the table of leases, and one of its shards. For its sources only.
#pragma once

#include "gateway/store/given_end.hpp"
#include "gateway/store/lease_table.hpp"
#include "gateway/store/short_text.hpp"
#include "gateway/store/tickets.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

/// A db::LeaseRecord in little room.
struct LeaseTable::Lease : ChangeLink {
  Lease() noexcept : ChangeLink(Kind::lease) {}

  bool kept = false;       // released and written, and still here: not in doubt
  std::uint8_t shard = 0;  // for good
  std::uint32_t hash = 0;
  PluginGroup of;  // a plugin alone
  ShortText resource;
  std::uint64_t session = 0;  // 0: released, and to be written so, or nobody's place
  std::int64_t granted_at = 0, expires_at = 0;
  GivenEnd end;

  [[nodiscard]] Name name() const noexcept { return {of.plugin(), resource}; }
  [[nodiscard]] db::LeaseRecord whole() const {
    const auto [plugin, text] = name();
    return {{std::string(plugin), std::string(text)}, session, granted_at, expires_at};
  }
  [[nodiscard]] bool is_over(const db::ClockReading& time) const noexcept { return end.is_over(expires_at, time); }
};

static_assert(sizeof(LeaseTable::Lease) <= 72, "mind what a hundred thousand leases cost");

/// Leases stand in places that never move and are never given back.
struct LeaseTable::Shard {
  mutable std::mutex mutex;  // guards the leases, too
  boost::unordered_flat_set<Lease*, CarriedHash, Equal> leases;
  std::size_t kept = 0;  // of them
  Tickets waiting;

  [[nodiscard]] Lease* find(const Probe& probe) const {
    const auto found = leases.find(probe);
    return found == leases.end() ? nullptr : *found;
  }
  /// A free place, which stays free until pop_free(). @throws std::bad_alloc
  [[nodiscard]] Lease& top_free(std::uint8_t number) {
    if (free_ == nullptr) add_chunk(number);
    return *free_;
  }
  void pop_free() noexcept { free_ = static_cast<Lease*>(free_->next); }
  void push_free(Lease& lease) noexcept {
    lease.next = free_;
    free_ = &lease;
  }

 private:
  static constexpr std::size_t kChunk = 64;
  void add_chunk(std::uint8_t number) {
    Lease* const places = chunks_.emplace_back(std::make_unique<Lease[]>(kChunk)).get();
    for (std::size_t i = kChunk; i-- != 0;) {
      places[i].shard = number;
      push_free(places[i]);
    }
  }

  std::vector<std::unique_ptr<Lease[]>> chunks_;
  Lease* free_ = nullptr;  // chained by `next`, which no list of changes has then
};

template <class Visit>
void LeaseTable::for_each(Visit visit) const {
  for (const Shard& shard : *shards_) {
    const std::scoped_lock lock(shard.mutex);
    for (Lease* const lease : shard.leases) {
      if (lease->session != 0) visit(lease->whole(), *lease);
    }
  }
}

}  // namespace gatehouse
