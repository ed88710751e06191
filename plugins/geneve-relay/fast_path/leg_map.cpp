#include "plugins/geneve-relay/fast_path/leg_map.hpp"

#include "plugins/geneve-relay/fast_path/fast_path_error.hpp"
#include "plugins/geneve-relay/fast_path/refusal.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::geneve_relay {
namespace {

/// The error of the call that has just failed (errno).
Error map_error() noexcept {
  switch (errno) {
    case ENOENT: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case E2BIG:
    case ENOMEM: return Errc::limit;
    default: return last_system_error();
  }
}

}  // namespace

LegMap::LegMap(std::size_t most_endpoints)
    : most_endpoints_(std::clamp(most_endpoints, std::size_t{1}, std::size_t{kLargestVni})) {
  bpf_map_create_opts options{};
  options.sz = sizeof options;
  options.map_flags = BPF_F_NO_PREALLOC;
  fd_.reset(bpf_map_create(BPF_MAP_TYPE_HASH, "legs", sizeof(gh_fast_key), sizeof(gh_fast_entry),
                           static_cast<std::uint32_t>(2 * most_endpoints_), &options));
  if (!fd_) throw FastPathError(load_refusal(errno, {}));
}

Result<void> LegMap::put(const FastKey& key, const FastTarget& target, std::uint32_t lane,
                         SteadyTime now) const noexcept {
  const auto at = to_map_key(key);
  if (!at) return at.error();
  const auto entry = to_map_entry(key, target, lane, now);
  if (!entry) return entry.error();
  if (bpf_map_update_elem(fd_.get(), &*at, &*entry, BPF_NOEXIST) != 0) return map_error();
  return boost::system::in_place_value;
}

Result<FastUse> LegMap::erase(const FastKey& key) const noexcept {
  const auto at = to_map_key(key);
  if (!at) return Errc::not_found;
  gh_fast_entry entry;
  if (bpf_map_lookup_and_delete_elem(fd_.get(), &*at, &entry) != 0) return map_error();
  return use_of(entry);
}

Result<FastUse> LegMap::read(const FastKey& key) const noexcept {
  const auto at = to_map_key(key);
  if (!at) return Errc::not_found;
  gh_fast_entry entry;
  if (bpf_map_lookup_elem(fd_.get(), &*at, &entry) != 0) return map_error();
  return use_of(entry);
}

}  // namespace gatehouse::geneve_relay
