// `[log] flow_log`: every verdict as a JSON line in a file of its own. Off unless an operator sets it, since it
// records who went where.
#pragma once

#include "gateway/base/log_message.hpp"
#include "gateway/flow_log/append_file.hpp"
#include "gateway/flow_log/flow_lane.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace gatehouse {

/// Lanes write into rings of their own; a thread takes what is there every few milliseconds and writes it. Nobody waits
/// for the disk: a verdict that finds a ring full, or no place in the file, is lost, and
/// the loss is counted, logged and written to the file.
class FlowLog {
 public:
  static constexpr std::chrono::milliseconds kPause{20};
  static constexpr std::chrono::seconds kReportPause{10};  ///< between two messages to the log

  /// @param log  called on the flow log's thread
  explicit FlowLog(LogSink log = {});
  /// Writes what is left.
  ~FlowLog();
  FlowLog(const FlowLog&) = delete;
  FlowLog& operator=(const FlowLog&) = delete;

  /// Writes to this file from now on, or, without one, nothing. All verdicts before are in the former file when this
  /// returns. One thread.
  void switch_to(std::optional<AppendFile> file);

  /// For a new lane of `plugin`. Thread-safe, like what follows.
  [[nodiscard]] std::shared_ptr<FlowLane> open_lane(std::string_view plugin);

  struct Status {
    std::filesystem::path file;  ///< "" = off
    std::uint64_t lines = 0;     ///< in the file, of all the time that the process has run
    std::uint64_t lost = 0;
    std::string failure;  ///< why lines cannot be written right now, "" = they can
  };
  [[nodiscard]] Status status() const;

 private:
  void run();
  void stop_thread();
  void take_all();
  void put();
  void put_loss_line();
  void note_loss(std::uint64_t lost);
  void report(bool at_once);
  [[nodiscard]] std::vector<std::shared_ptr<FlowLane>> gather(std::uint64_t& lost_in_rings);

  const LogSink log_;
  std::atomic<std::uint64_t> lines_{0}, lost_{0};

  mutable std::mutex mutex_;  // guards what follows, up to stop_
  std::condition_variable changed_;
  std::vector<std::shared_ptr<FlowLane>> lanes_;
  std::uint64_t lost_in_ended_ = 0;
  std::filesystem::path path_;
  std::string failure_;
  bool on_ = false, stop_ = false;

  // Used by the thread alone while it runs.
  std::optional<AppendFile> file_;
  std::string buffer_;
  std::uint64_t buffered_ = 0;       // lines
  std::uint64_t seen_in_rings_ = 0;  // of the losses
  std::uint64_t missing_ = 0;        // losses that the file has no line for
  std::uint64_t unreported_ = 0;     // losses that the log has no message of
  std::string reported_;             // the failure that the log has a message of
  std::chrono::steady_clock::time_point next_report_{};

  std::thread thread_;
};

}  // namespace gatehouse
