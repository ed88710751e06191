// gh.metrics/1: cells that lanes count in, added up by whoever exports them.
#pragma once

#include <gatehouse/abi.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

class OpenMetrics;

/// The series of one instance. A lane writes its own cells, in memory of its own; write_to() reads them from any
/// thread. Making a series locks, counting does not.
class PluginMetrics {
 public:
  static constexpr std::size_t kMostSeries = 1024;

  PluginMetrics(std::string_view plugin, unsigned lanes);
  ~PluginMetrics();
  PluginMetrics(const PluginMetrics&) = delete;
  PluginMetrics& operator=(const PluginMetrics&) = delete;

  [[nodiscard]] const gh_metrics* table() const noexcept { return &table_; }

  /// Adds each series as gatehouse_plugin_<plugin>_<name>, its lanes summed.
  void write_to(OpenMetrics& out) const;

 private:
  struct Series;
  struct LaneCells;

  /// Without memory for a series it is the shared cell, too.
  std::uint64_t* cells(unsigned lane, const gh_metric& metric) noexcept;
  std::uint64_t* make_cells(unsigned lane, const gh_metric& metric);

  const std::string prefix_;
  gh_metrics table_;
  mutable std::mutex mutex_;              // guards what follows, but not the cells
  std::map<std::string, Series> series_;  // by name and labels
  std::vector<std::unique_ptr<LaneCells>> lanes_;
};

}  // namespace gatehouse
