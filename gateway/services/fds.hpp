// gh.fds/1: descriptors that an instance leaves for the next one of its plugin.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/unique_fd.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

/// All plugins' kept descriptors. Thread-safe.
class FdTable {
 private:
  friend class PluginFds;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::vector<UniqueFd>> kept_;  // by plugin and name
};

/// One instance's view of its plugin's descriptors.
class PluginFds {
 public:
  PluginFds(std::shared_ptr<FdTable> all, std::string plugin);
  PluginFds(const PluginFds&) = delete;
  PluginFds& operator=(const PluginFds&) = delete;
  [[nodiscard]] const gh_fds* table() const noexcept { return &table_; }

 private:
  gh_status keep(gh_bytes name, const std::int32_t* fds, std::size_t count);
  gh_status take(gh_bytes name, std::int32_t* out, std::size_t capacity, std::size_t* count);

  std::shared_ptr<FdTable> all_;
  std::string plugin_;
  gh_fds table_;
};

}  // namespace gatehouse
