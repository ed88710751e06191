#include "gateway/services/token_failures.hpp"

#include <gatehouse/table/gcra.hpp>

#include <algorithm>
#include <string_view>

namespace gatehouse {
namespace {

constexpr std::uint64_t kMinute = 60;                    // seconds: a failure costs that many units of a rate a second
constexpr std::uint64_t kMost = 1'000'000'000;           // a limit above it is no limit to speak of
constexpr std::uint64_t kTellEvery = 60'000'000'000ULL;  // ns

GcraStep step(std::uint64_t full_at, std::uint64_t now, std::uint64_t most) noexcept {
  return gcra_step(full_at, now, kMinute, most, most * kMinute);
}

}  // namespace

TokenFailures::Networks TokenFailures::networks_of(const IpAddress& source) const noexcept {
  Networks out;
  if (source.family() == Family::none || source.is_loopback()) return out;
  const auto add = [&](std::size_t size, std::uint64_t share) {
    const Bytes bytes = source.bytes().first(size);
    out.all[out.count++] = {hash_({reinterpret_cast<const char*>(bytes.data()), bytes.size()}), share};
  };
  add(source.is_v4() ? 4 : 8, 1);
  if (!source.is_v4()) add(6, kShare);
  return out;
}

TokenFailures::Entry* TokenFailures::find(std::uint64_t hash) noexcept {
  for (Entry& entry : sets_[KeyHash::part(hash, kSets)])
    if (entry.hash == hash) return &entry;
  return nullptr;
}

/// In the place of what may be forgotten first, where it is new.
TokenFailures::Entry& TokenFailures::find_or_make(std::uint64_t hash) noexcept {
  if (Entry* const found = find(hash)) return *found;
  Set& set = sets_[KeyHash::part(hash, kSets)];
  Entry& place =
      *std::min_element(set.begin(), set.end(), [](const Entry& a, const Entry& b) { return a.full_at < b.full_at; });
  place = {hash, 0, 0};
  return place;
}

TokenFailures::Answer TokenFailures::ask(const IpAddress& source, std::uint64_t most, SteadyTime now) noexcept {
  Answer out;
  if (most == 0) return out;
  const Networks networks = networks_of(source);
  const std::uint64_t at = to_ns(now);
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < networks.count; ++i) {
    Entry* const entry = find(networks.all[i].hash);
    if (entry == nullptr) continue;
    const std::uint64_t wait = step(entry->full_at, at, std::min(most, kMost) * networks.all[i].share).wait;
    if (wait == 0) continue;
    out.wait = std::max(out.wait, Nanoseconds(static_cast<std::int64_t>(std::min<std::uint64_t>(wait, INT64_MAX))));
    if (entry->told_until > at) continue;
    out.is_news = true;
    entry->told_until = at + kTellEvery;
  }
  if (out.wait > Nanoseconds(0)) ++counts_.refused;
  return out;
}

void TokenFailures::add(const IpAddress& source, std::uint64_t most, SteadyTime now) noexcept {
  const Networks networks = networks_of(source);
  const std::scoped_lock lock(mutex_);
  ++counts_.failures;
  if (most == 0) return;
  for (std::size_t i = 0; i < networks.count; ++i) {
    Entry& entry = find_or_make(networks.all[i].hash);
    entry.full_at = step(entry.full_at, to_ns(now), std::min(most, kMost) * networks.all[i].share).full_at;
  }
}

TokenFailures::Counts TokenFailures::counts() const noexcept {
  const std::scoped_lock lock(mutex_);
  return counts_;
}

}  // namespace gatehouse
