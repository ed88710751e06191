// gh.values/1: named values of each plugin. In memory for now: they last as long as the process, across instances.
#pragma once

#include <gatehouse/abi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

/// All plugins' values. Thread-safe.
class ValueTable {
 private:
  friend class PluginValues;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::vector<std::uint8_t>> values_;  // by plugin and name
};

/// One instance's view of its plugin's values.
class PluginValues {
 public:
  PluginValues(std::shared_ptr<ValueTable> all, std::string plugin);
  PluginValues(const PluginValues&) = delete;
  PluginValues& operator=(const PluginValues&) = delete;
  [[nodiscard]] const gh_values* table() const noexcept { return &table_; }

 private:
  gh_status get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size);
  gh_status put(gh_bytes name, gh_bytes value);

  std::shared_ptr<ValueTable> all_;
  std::string plugin_;
  gh_values table_;
};

}  // namespace gatehouse
