#include "gateway/services/metrics.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/openmetrics.hpp"

#include <gatehouse/plugin/border.hpp>

#include <algorithm>
#include <array>
#include <atomic>

namespace gatehouse {
namespace {

constexpr std::size_t kBlockCells = 512;
constexpr std::size_t kMostBounds = 64;

std::uint64_t read(const std::uint64_t* cell) noexcept {
  return std::atomic_ref(*const_cast<std::uint64_t*>(cell)).load(std::memory_order_relaxed);
}

std::string key_of(const gh_metric& metric) {
  std::string key(from_border(metric.name));
  for (std::size_t i = 0; i < metric.label_count; ++i) {
    for (const gh_bytes part : {metric.labels[i].name, metric.labels[i].value}) {
      key += '\0';
      key += from_border(part);
    }
  }
  return key;
}

}  // namespace

struct PluginMetrics::Series {
  Series(const gh_metric& metric, std::size_t lanes)
      : kind(metric.kind), name(from_border(metric.name)), help(from_border(metric.help)), by_lane(lanes, nullptr) {
    for (std::size_t i = 0; i < metric.label_count; ++i) {
      labels.emplace_back(from_border(metric.labels[i].name), from_border(metric.labels[i].value));
    }
    if (kind == GH_METRIC_HISTOGRAM) bounds.assign(metric.bounds, metric.bounds + metric.bound_count);
  }
  /// 1, or for a histogram its buckets and the sum.
  [[nodiscard]] std::size_t cell_count() const noexcept { return kind == GH_METRIC_HISTOGRAM ? bounds.size() + 2 : 1; }
  [[nodiscard]] bool has_shape_of(const gh_metric& metric) const noexcept {
    return metric.kind == kind &&
           (kind != GH_METRIC_HISTOGRAM ||
            std::equal(bounds.begin(), bounds.end(), metric.bounds, metric.bounds + metric.bound_count));
  }
  /// Each cell, summed over the lanes that have made the series.
  [[nodiscard]] std::vector<std::uint64_t> sums() const {
    std::vector<std::uint64_t> out(cell_count(), 0);
    for (const std::uint64_t* cells : by_lane) {
      for (std::size_t i = 0; cells != nullptr && i < out.size(); ++i) out[i] += read(cells + i);
    }
    return out;
  }

  std::uint32_t kind;
  std::string name, help;
  MetricLabels labels;
  std::vector<std::uint64_t> bounds;
  std::vector<std::uint64_t*> by_lane;  // null where the lane has not made it
};

/// One lane's cells: whole cache lines that no other lane writes.
struct PluginMetrics::LaneCells {
  struct alignas(64) Block {
    std::array<std::uint64_t, kBlockCells> cells{};
  };

  std::uint64_t* take(std::size_t count) {
    if (used + count > kBlockCells) {
      blocks.push_back(std::make_unique<Block>());
      used = 0;
    }
    std::uint64_t* const first = blocks.back()->cells.data() + used;
    used += count;
    return first;
  }

  std::vector<std::unique_ptr<Block>> blocks;
  std::size_t used = kBlockCells;
  std::array<std::uint64_t, kMostBounds + 2> overflow{};  // what every series beyond the bound shares
};

PluginMetrics::PluginMetrics(std::string_view plugin, unsigned lanes)
    : prefix_("gatehouse_plugin_" + metric_name(plugin) + "_") {
  table_ = {sizeof(gh_metrics), 0, this, [](void* context, gh_lane* lane, const gh_metric* metric) noexcept {
              return static_cast<PluginMetrics*>(context)->cells(lane->index, *metric);
            }};
  for (unsigned i = 0; i < lanes; ++i) lanes_.push_back(std::make_unique<LaneCells>());
}

PluginMetrics::~PluginMetrics() = default;

std::uint64_t* PluginMetrics::cells(unsigned lane, const gh_metric& metric) noexcept {
  return guarded([&] { return make_cells(lane, metric); }, lanes_[lane]->overflow.data());
}

std::uint64_t* PluginMetrics::make_cells(unsigned lane, const gh_metric& metric) {
  if (metric.struct_size < GH_SIZE_1_0(gh_metric) || metric.bound_count > kMostBounds) return nullptr;
  const std::scoped_lock lock(mutex_);
  LaneCells& mine = *lanes_[lane];
  if (metric.kind > GH_METRIC_HISTOGRAM) return mine.overflow.data();
  std::string key = key_of(metric);
  auto found = series_.find(key);
  if (found == series_.end()) {
    if (series_.size() >= kMostSeries) return mine.overflow.data();
    found = series_.try_emplace(std::move(key), metric, lanes_.size()).first;
  }
  Series& series = found->second;
  if (!series.has_shape_of(metric)) return mine.overflow.data();
  std::uint64_t*& cells = series.by_lane[lane];
  if (cells == nullptr) cells = mine.take(series.cell_count());
  return cells;
}

void PluginMetrics::write_to(OpenMetrics& out) const {
  const std::scoped_lock lock(mutex_);
  for (const auto& [key, series] : series_) {
    const std::vector<std::uint64_t> sums = series.sums();
    const std::string name = prefix_ + series.name;
    switch (series.kind) {
      case GH_METRIC_COUNTER: out.counter(name, series.help, series.labels, sums[0]); break;
      case GH_METRIC_GAUGE: out.gauge(name, series.help, series.labels, static_cast<std::int64_t>(sums[0])); break;
      default:
        out.histogram(name, series.help, series.labels, series.bounds, std::span(sums).first(sums.size() - 1),
                      sums.back());
    }
  }
  std::uint64_t overflow = 0;
  for (const auto& lane : lanes_) overflow += read(lane->overflow.data());
  out.counter(prefix_ + "series_overflow", "Counts of the series beyond the most that a plugin may have.", {},
              overflow);
}

}  // namespace gatehouse
