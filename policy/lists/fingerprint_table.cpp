#include "policy/lists/fingerprint_table.hpp"

#include <algorithm>
#include <bit>

namespace gatehouse::policy {
namespace {

constexpr double kLoad = 0.75;

std::uint32_t low_part(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
std::uint16_t high_part(std::uint64_t hash) noexcept { return static_cast<std::uint16_t>(hash >> 32); }

}  // namespace

FingerprintTable::FingerprintTable(std::size_t hashes) {
  // One more, so that not all are full and every query ends.
  if (hashes > 0) buckets_.resize(static_cast<std::size_t>(static_cast<double>(hashes) / (kSlots * kLoad)) + 1);
}

void FingerprintTable::add(std::span<const std::uint64_t> hashes, unsigned code) {
  std::size_t full_before = 0;  // every bucket from the hash's own to before this one is full
  for (const std::uint64_t hash : hashes) {
    std::size_t at = std::max<std::size_t>(place_in(hash, buckets_.size()), full_before);
    for (; buckets_[at % buckets_.size()].used() == kSlots; ++at) {
    }
    full_before = at;
    Bucket& bucket = buckets_[at % buckets_.size()];
    const std::size_t slot = bucket.used();
    bucket.low[slot] = low_part(hash);
    bucket.high[slot] = high_part(hash);
    bucket.state |= code << (kCodeBits + 2 * slot);
    ++bucket.state;
  }
}

unsigned FingerprintTable::find(std::uint64_t hash) const noexcept {
  if (buckets_.empty()) return kAbsent;
  const std::uint32_t low = low_part(hash);
  const std::uint16_t high = high_part(hash);
  for (std::size_t at = place_in(hash, buckets_.size());; at = at + 1 == buckets_.size() ? 0 : at + 1) {
    const Bucket& bucket = buckets_[at];
    std::uint32_t same = 0;
    for (std::size_t i = 0; i < kSlots; ++i) same |= std::uint32_t{bucket.low[i] == low && bucket.high[i] == high} << i;
    same &= (std::uint32_t{1} << bucket.used()) - 1;
    if (same != 0)
      return bucket.state >> (kCodeBits + 2 * static_cast<unsigned>(std::countr_zero(same))) & (kCodes - 1);
    if (bucket.used() < kSlots) return kAbsent;
  }
}

}  // namespace gatehouse::policy
