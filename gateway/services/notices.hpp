// gh.notices/1: what one instance has people know, as long as it is so.
#pragma once

#include <gatehouse/abi.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

/// One instance's. Thread-safe.
class PluginNotices {
 public:
  static constexpr std::size_t kMost = 16, kLongestName = 32, kLongestSentence = 512;  ///< names; bytes

  struct Notice {
    bool degrades = false;  ///< the gateway, or it is just a note
    std::string sentence;
  };

  PluginNotices() noexcept;
  PluginNotices(const PluginNotices&) = delete;
  PluginNotices& operator=(const PluginNotices&) = delete;
  [[nodiscard]] const gh_notices* table() const noexcept { return &table_; }

  /// By name.
  [[nodiscard]] std::vector<Notice> all() const;

 private:
  gh_status set(gh_bytes name, std::uint32_t kind, gh_bytes sentence);

  mutable std::mutex mutex_;
  std::map<std::string, Notice, std::less<>> notices_;  // guarded by mutex_
  gh_notices table_;
};

}  // namespace gatehouse
