// What instances of the test plugins are offered: a log that remembers, so that a test can wait for an event.
#pragma once

#include "gateway/base/offer.hpp"

#include <gatehouse/plugin/border.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse {

/// Events of test plugins as "event n". Thread-safe.
class Events {
 public:
  void add(std::string event) {
    const std::scoped_lock lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  /// Has the event been told `times` times, within two seconds?
  [[nodiscard]] bool wait_for(const std::string& event, std::ptrdiff_t times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(2),
                             [&] { return std::count(events_.begin(), events_.end(), event) >= times; });
  }
  [[nodiscard]] std::ptrdiff_t count(const std::string& event) {
    const std::scoped_lock lock(mutex_);
    return std::count(events_.begin(), events_.end(), event);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

class TestOffer final : public Offer {
 public:
  explicit TestOffer(std::shared_ptr<Events> events) : events_(std::move(events)) {
    log_ = {sizeof(gh_log), 0, this, &level_,
            [](void* context, std::int32_t, gh_bytes event, const gh_log_field* fields, std::size_t count) {
              std::string line(from_border(event));
              for (std::size_t i = 0; i < count; ++i) line += " " + std::string(from_border(fields[i].value));
              static_cast<TestOffer*>(context)->events_->add(line);
            }};
  }
  [[nodiscard]] const void* find(std::string_view id) const noexcept override {
    return id == GH_LOG_ID ? &log_ : nullptr;
  }
  void open_lane(HostLane&) override {}

 private:
  std::shared_ptr<Events> events_;
  std::int32_t level_ = GH_LOG_TRACE;
  gh_log log_;
};

}  // namespace gatehouse
