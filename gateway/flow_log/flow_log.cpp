#include "gateway/flow_log/flow_log.hpp"

#include "gateway/base/start_thread.hpp"
#include "gateway/flow_log/flow_line.hpp"

#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

}  // namespace

FlowLog::FlowLog(LogSink log) : log_(std::move(log)) {}

FlowLog::~FlowLog() { stop_thread(); }

void FlowLog::switch_to(std::optional<AppendFile> file) {
  {
    const std::scoped_lock lock(mutex_);
    on_ = file.has_value();
    path_ = file ? file->path() : "";
    failure_.clear();
    for (const auto& lane : lanes_) lane->switch_on(on_);
  }
  stop_thread();
  file_ = std::move(file);
  if (!file_) return;
  thread_ = start_thread("gh-flow-log", [this] { run(); });
}

std::shared_ptr<FlowLane> FlowLog::open_lane(std::string_view plugin) {
  auto lane = std::make_shared<FlowLane>(plugin);
  const std::scoped_lock lock(mutex_);
  lane->switch_on(on_);
  lanes_.push_back(lane);
  return lane;
}

FlowLog::Status FlowLog::status() const {
  const std::scoped_lock lock(mutex_);
  return {path_, lines_.load(std::memory_order_relaxed), lost_.load(std::memory_order_relaxed), failure_};
}

void FlowLog::stop_thread() {
  if (!thread_.joinable()) return;
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  stop_ = false;
}

void FlowLog::run() {
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      last = changed_.wait_for(lock, kPause, [this] { return stop_; });
    }
    take_all();
    report(last);
  }
}

/// The lanes to read. One that has ended is read for the last time.
std::vector<std::shared_ptr<FlowLane>> FlowLog::gather(std::uint64_t& lost_in_rings) {
  const std::scoped_lock lock(mutex_);
  auto out = lanes_;
  lost_in_rings = lost_in_ended_;
  std::erase_if(lanes_, [&](const auto& lane) {
    const bool over = lane->ended();  // before its losses are read
    const std::uint64_t lost = lane->written() ? lane->written()->dropped() : 0;
    lost_in_rings += lost;
    if (over) lost_in_ended_ += lost;
    return over;
  });
  return out;
}

void FlowLog::take_all() {
  std::uint64_t lost_in_rings = 0;
  for (const auto& lane : gather(lost_in_rings)) {
    if (lane->written() == nullptr) continue;
    lane->written()->drain([&](const FlowEntry& entry) {
      append_flow_line(buffer_, lane->plugin(), entry);
      ++buffered_;
      if (buffer_.size() >= kBuffer) put();
    });
  }
  put();
  note_loss(lost_in_rings - std::exchange(seen_in_rings_, lost_in_rings));
  if (missing_ != 0) put_loss_line();
}

void FlowLog::put() {
  const std::uint64_t lost = file_->write(buffer_);
  note_loss(lost);
  lines_.fetch_add(std::exchange(buffered_, 0) - lost, std::memory_order_relaxed);
  buffer_.clear();
}

void FlowLog::note_loss(std::uint64_t lost) {
  lost_.fetch_add(lost, std::memory_order_relaxed);
  missing_ += lost;
  unreported_ += lost;
}

void FlowLog::put_loss_line() {
  std::string line;
  append_loss_line(line, std::chrono::system_clock::now(), missing_);
  if (file_->write(line) == 0) missing_ = 0;
}

/// Losses and failures, for `status` and for the log.
void FlowLog::report(bool at_once) {
  const std::string& failure = file_->failure();
  {
    const std::scoped_lock lock(mutex_);
    failure_ = failure;
  }
  if (failure.empty()) reported_.clear();
  if (unreported_ == 0 && failure == reported_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_report_ && !at_once) return;
  next_report_ = now + kReportPause;
  reported_ = failure;
  std::string sentence = failure;
  if (const std::uint64_t lost = std::exchange(unreported_, 0)) {
    sentence = "verdicts missing in " + file_->path().string() + ": " + std::to_string(lost) + "; " +
               (failure.empty() ? "they came faster than they could be written" : failure);
  }
  if (log_) log_(LogMessage::warning(sentence));
}

}  // namespace gatehouse
