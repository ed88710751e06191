#include "gateway/policy/key_meters.hpp"

#include "gateway/base/hash_seed.hpp"
#include "policy/match/multiply.hpp"
#include "policy/match/special_ranges.hpp"

#include <gatehouse/base/prefix.hpp>

#include <iterator>

namespace gatehouse {
namespace {

/// The network whose clients share limits: none for loopback and an unknown source.
std::optional<Prefix> network_of(const IpAddress& source) {
  const IpAddress address = policy::canonical_address(source).address;
  if (address.family() == Family::none || address.is_loopback()) return {};
  return Prefix(address, address.is_v4() ? 32 : 64);
}

/// An IPv4 address in 4 bytes, the upper half of an IPv6 one in 8; empty where no limit is shared.
std::string source_key(const IpAddress& source) {
  const auto network = network_of(source);
  if (!network) return {};
  const Bytes bytes = network->address().bytes().first(network->length() / 8);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void KeyMeters::Pasts::add(std::string_view key, const policy::QuotaMeter::Past& past) {
  if (!past.used_any()) return;
  static_cast<void>(take(key));
  items_.emplace_back(key, past);
  index_.emplace(items_.back().first, std::prev(items_.end()));
  if (items_.size() <= most_) return;
  index_.erase(items_.front().first);
  items_.pop_front();
}

policy::QuotaMeter::Past KeyMeters::Pasts::take(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return {};
  const Items::iterator item = found->second;
  const policy::QuotaMeter::Past out = item->second;
  index_.erase(found);
  items_.erase(item);
  return out;
}

KeyMeters::KeyMeters(std::size_t most_keys)
    : most_keys_(most_keys), seed_(draw_hash_seed()), parts_{Part(most_keys), Part(most_keys)} {}

std::shared_ptr<policy::Meters> KeyMeters::open(std::string_view identity, const IpAddress& source) {
  if (!identity.empty()) return open_in(parts_[static_cast<std::size_t>(Kind::identity)], identity);
  const std::string key = source_key(source);
  return key.empty() ? nullptr : open_in(parts_[static_cast<std::size_t>(Kind::source)], key);
}

std::shared_ptr<policy::Meters> KeyMeters::open_in(Part& part, std::string_view key) {
  Entries::iterator entry;
  {
    const std::scoped_lock lock(mutex_);
    if (const auto known = part.index.find(key); known != part.index.end()) {
      entry = known->second;
      if (entry->clients == 0) part.busy.splice(part.busy.end(), part.idle, entry);
    } else {
      if (!make_place(part)) return nullptr;
      Entries made;
      made.emplace_back().key = key;
      entry = made.begin();
      entry->meters.quota.resume(part.pasts.take(key));
      part.index.emplace(entry->key, entry);
      part.busy.splice(part.busy.end(), made);
    }
    ++entry->clients;
  }
  return {&entry->meters, [self = shared_from_this(), &part, entry](policy::Meters*) { self->close(part, entry); }};
}

/// False: every key has a client.
bool KeyMeters::make_place(Part& part) {
  if (part.index.size() < most_keys_) return true;
  if (part.idle.empty()) {
    ++part.refused;
    return false;
  }
  part.pasts.add(part.idle.front().key, part.idle.front().meters.quota.past());
  part.index.erase(part.idle.front().key);
  part.idle.pop_front();
  ++part.evictions;
  return true;
}

void KeyMeters::close(Part& part, Entries::iterator entry) noexcept {
  const std::scoped_lock lock(mutex_);
  if (--entry->clients == 0) part.idle.splice(part.idle.end(), part.busy, entry);
}

KeyMeters::Counts KeyMeters::counts(Kind kind) const {
  const std::scoped_lock lock(mutex_);
  const Part& part = parts_[static_cast<std::size_t>(kind)];
  return {part.index.size(), part.evictions, part.refused};
}

std::string KeyMeters::key_text(std::string_view identity, const IpAddress& source) {
  if (!identity.empty()) return std::string(identity);
  const auto network = network_of(source);
  return network ? network->to_string() : "";
}

std::optional<policy::MeterReading> KeyMeters::read(std::string_view identity, const IpAddress& source,
                                                    const policy::MeterLimits& limits,
                                                    const policy::Moment& now) const {
  const Kind kind = identity.empty() ? Kind::source : Kind::identity;
  const std::string key = identity.empty() ? source_key(source) : std::string(identity);
  const std::scoped_lock lock(mutex_);
  const auto& index = parts_[static_cast<std::size_t>(kind)].index;
  const auto known = index.find(key);
  if (known == index.end()) return {};
  return policy::read_meters(known->second->meters, limits, now);
}

void KeyMeters::remember(std::string_view text, const policy::QuotaMeter::Earlier& earlier) {
  const std::scoped_lock lock(mutex_);
  const auto prefix = Prefix::parse(text);
  const Kind kind = prefix ? Kind::source : Kind::identity;
  Pasts& pasts = parts_[static_cast<std::size_t>(kind)].pasts;
  pasts.make_room_for_one_more();
  pasts.add(prefix ? source_key(prefix.value().address()) : std::string(text), {earlier, 0});
}

std::uint64_t KeyMeters::hash_of(const IpAddress& address) const noexcept {
  const IpAddress canonical = policy::canonical_address(address).address;
  const std::uint64_t high = canonical.is_v4() ? 0 : canonical.upper64();
  const std::uint64_t low = canonical.is_v4() ? canonical.to_v4() : canonical.lower64();
  return policy::fold(policy::fold(high ^ seed_.first, low ^ seed_.second), seed_.first | 1);
}

}  // namespace gatehouse
