// What the conformance suites of gh.sessions/1 and gh.values/1 need of a host: they run against any that can be built
// into this shape. A test program compiles the two .cpp files here (CMakeLists.txt: conformance_tests) and says once
//
//   INSTANTIATE_TEST_SUITE_P(Mine, SessionConformance, testing::Values(&make_my_host));
//   INSTANTIATE_TEST_SUITE_P(Mine, ValueConformance, testing::Values(&make_my_host));
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/plugin/host.hpp>

#include <gmock/gmock.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace gatehouse::conformance {

/// One instance of a plugin, from create() to destroy(): its destructor is what the host does about the latter.
class PluginHost {
 public:
  virtual ~PluginHost() = default;
  [[nodiscard]] virtual const gh_sessions& sessions() = 0;
  [[nodiscard]] virtual const gh_values& values() = 0;
  /// One of two lanes, 0 or 1. Each is used by one thread at a time.
  [[nodiscard]] virtual gh_lane* lane(unsigned index) = 0;
};

/// A host's store with its disk.
class StoreHost {
 public:
  virtual ~StoreHost() = default;
  [[nodiscard]] virtual std::unique_ptr<PluginHost> plugin(const std::string& name) = 0;
  /// Returns when all that was asked is durable, counters too, and everybody who waited has been told.
  virtual void flush() = 0;
  /// The disk answers nobody, and reports no failure either; or it does again.
  virtual void stall(bool stalled) = 0;
  /// The disk refuses every write, under `on_store_failure = no_new`; or is well again. False: here it never does.
  [[nodiscard]] virtual bool fail(bool /*failing*/) { return false; }
  /// The process is killed, and another one begins with what was durable. Ends a stall. A PluginHost of before is
  /// only destroyed afterwards, and that has no effect.
  virtual void crash() = 0;
  /// Moves the time of day ahead.
  virtual void pass(std::chrono::seconds time) = 0;
  /// Seconds since 1970.
  [[nodiscard]] virtual std::uint64_t now() = 0;
};

using MakeStoreHost = std::function<std::unique_ptr<StoreHost>()>;

/// Remembers what completions say. Thread-safe.
class Told {
 public:
  /// A completion with that token. Lives as long as this object.
  [[nodiscard]] gh_completion completion(std::uint64_t token = 1) {
    return {[](void* context, std::uint64_t called, gh_status status) {
              Told& told = *static_cast<Told*>(context);
              const std::scoped_lock lock(told.mutex_);
              told.calls_.emplace_back(called, status);
              told.called_.notify_all();
            },
            this, token};
  }
  using Call = std::pair<std::uint64_t, gh_status>;
  /// All calls so far.
  [[nodiscard]] std::vector<Call> calls() const {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }
  /// Waits for so many, at most ten seconds.
  [[nodiscard]] std::vector<Call> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    called_.wait_for(lock, std::chrono::seconds(10), [&] { return calls_.size() >= count; });
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable called_;
  std::vector<Call> calls_;
};

/// What both suites do with a host.
class StoreTest : public testing::TestWithParam<MakeStoreHost> {
 protected:
  /// The process dies; `plugin` is an instance in the next one.
  void crash() {
    host->crash();
    plugin.reset();
    plugin = host->plugin("tunnel");
  }

  Told told;  // outlives whoever may tell it something
  std::unique_ptr<StoreHost> host = GetParam()();
  std::unique_ptr<PluginHost> plugin = host->plugin("tunnel");
  std::unique_ptr<PluginHost> other_plugin = host->plugin("relay");
};

}  // namespace gatehouse::conformance
