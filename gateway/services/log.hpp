// The gateway's log: lines of `component: event key=value ...`, or JSON, on stderr.
#pragma once

#include <gatehouse/abi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace gatehouse {

using LogField = std::pair<std::string_view, std::string_view>;

/// GH_LOG_* of "error", "warn", "info", "debug" or "trace".
[[nodiscard]] std::optional<std::int32_t> log_level_of(std::string_view name) noexcept;

enum class LogFormat { text, json };

/// Takes lines from any thread into a bounded queue; a thread of its own writes them, so that nobody waits for a slow
/// terminal or pipe. When the queue is full, lines are dropped and counted. Writes what is left when it goes.
class Journal {
 public:
  static constexpr std::size_t kCapacity = 8192;  ///< lines

  Journal(std::int32_t level, LogFormat format);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Thread-safe; costs a relaxed load when the level is not wanted.
  void write(std::int32_t level, std::string_view component, std::string_view event,
             std::initializer_list<LogField> fields = {}) {
    if (wants(level)) queue(level, component, event, fields.begin(), fields.size());
  }
  void write(std::int32_t level, std::string_view component, std::string_view event,
             const std::vector<LogField>& fields) {
    if (wants(level)) queue(level, component, event, fields.data(), fields.size());
  }

  [[nodiscard]] bool wants(std::int32_t level) const noexcept;
  void set_level(std::int32_t level) noexcept;
  /// A line that could not be made.
  void count_dropped() noexcept { dropped_.fetch_add(1, std::memory_order_relaxed); }
  /// For readers in C: read with a relaxed atomic load. Lives as long as *this.
  [[nodiscard]] const std::int32_t* level() const noexcept { return &level_; }
  /// Lines that found the queue full, or no memory.
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  /// Returns when all lines that were queued before have been written.
  void flush();

 private:
  struct Line {
    std::chrono::system_clock::time_point time;
    std::int32_t level;
    std::string body;  // without time and level
  };
  class Writer;

  void queue(std::int32_t level, std::string_view component, std::string_view event, const LogField* fields,
             std::size_t count) noexcept;
  void run();

  alignas(std::atomic_ref<std::int32_t>::required_alignment) mutable std::int32_t level_;
  const LogFormat format_;
  std::atomic<std::uint64_t> dropped_{0};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Line> lines_;
  bool writing_ = false;
  bool closed_ = false;

  std::thread thread_;
};

/// gh.log/1 for one instance: its lines carry the plugin's name as the component.
class PluginLog {
 public:
  PluginLog(std::shared_ptr<Journal> journal, std::string plugin);
  PluginLog(const PluginLog&) = delete;
  PluginLog& operator=(const PluginLog&) = delete;
  [[nodiscard]] const gh_log* table() const noexcept { return &table_; }

 private:
  std::shared_ptr<Journal> journal_;
  std::string plugin_;
  gh_log table_;
};

}  // namespace gatehouse
