// gh.fds/1: descriptors that an instance leaves for the next one of its plugin.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/unique_fd.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// All plugins' kept descriptors. Thread-safe.
class FdTable {
 public:
  /// Of one plugin: more is GH_E_LIMIT. A tun device has a queue for each of 256 lanes at most, with some to spare.
  static constexpr std::size_t kMostNames = 64;
  static constexpr std::size_t kMostFds = 512;

  /// Threads of `plugin` never returned, and have what they had: what it has kept is for its next instance to take from
  /// them, however long it is until then.
  void hold(std::string_view plugin);
  /// An instance of it has run since and ended well: that is over.
  void release(std::string_view plugin) noexcept;
  /// Closes what `plugin` has kept, unless it is held: nobody will come for it.
  void drop(std::string_view plugin) noexcept;

 private:
  friend class PluginFds;
  struct Key {
    std::string plugin, name;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  struct Kept {
    std::vector<UniqueFd> fds;
    std::uint64_t keeper = 0;  // the number of the instance's face
  };
  [[nodiscard]] bool has_room(const Key& key, std::size_t count) const noexcept;

  std::mutex mutex_;  // guards what follows
  std::map<Key, Kept> kept_;
  std::set<std::string, std::less<>> held_;  // plugins
  std::uint64_t faces_ = 0;
};

/// One instance's view of its plugin's descriptors.
class PluginFds {
 public:
  PluginFds(std::shared_ptr<FdTable> all, std::string plugin);
  PluginFds(const PluginFds&) = delete;
  PluginFds& operator=(const PluginFds&) = delete;
  [[nodiscard]] const gh_fds* table() const noexcept { return &table_; }
  /// Closes what other instances of this plugin have kept and nobody has taken; it is held no longer.
  void close_untaken() noexcept;

 private:
  gh_status keep(gh_bytes name, const std::int32_t* fds, std::size_t count);
  gh_status take(gh_bytes name, std::int32_t* out, std::size_t capacity, std::size_t* count);

  std::shared_ptr<FdTable> all_;
  std::string plugin_;
  std::uint64_t number_;
  gh_fds table_;
};

}  // namespace gatehouse
