#include "gateway/plugin/instance.hpp"

#include "gateway/base/refusal.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"
#include "tests/unit/gateway/plugin/test_offer.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

class InstanceTest : public testing::Test {
 protected:
  std::unique_ptr<Instance> make(const std::string& plugin, unsigned lanes, const std::string& name = "one") {
    const LoadedPlugin loaded = load_plugin(test_plugin(plugin), folder_.path() / "copies", {GH_LOG_ID});
    return std::make_unique<Instance>(loaded, InstanceSpec{name, lanes, false, timeout_},
                                      std::make_unique<TestOffer>(events_), [this] { ++moves_; });
  }
  /// Waits up to two seconds. What the call was refused with, or "".
  static std::string refusal(const Instance::Call& call) {
    if (!eventually([&] { return call->is_over(); })) return "it is not over";
    return call->refusal().value_or("");
  }
  static void run(Instance& instance, const Instance::Listeners& listeners = {}) {
    ASSERT_EQ(refusal(instance.start(listeners)), "");
    instance.run_lanes();
  }
  static void stop(Instance& instance) {
    instance.request_stop(steady_now());
    ASSERT_TRUE(eventually([&] { return instance.lanes_returned(); }));
  }
  /// Waits up to two seconds for `done`.
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      if (done()) return true;
    }
    return false;
  }
  static std::shared_ptr<BoundListener> listener(std::uint32_t id) {
    ListenAddress address;
    address.text = "127.0.0.1:0";
    address.endpoint = Endpoint::parse(address.text).value();
    return std::make_shared<BoundListener>(id, "good", "listen", address, 1);
  }

  TestFolder folder_;
  std::shared_ptr<Events> events_ = std::make_shared<Events>();
  std::shared_ptr<PluginTimeout> timeout_ = std::make_shared<PluginTimeout>(10s);
  std::atomic<int> moves_{0};  // lanes that ended, and calls that were over
};

/// Name and blocked signals of each thread of this process.
std::vector<std::pair<std::string, std::string>> threads() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(task.path() / "status");
    std::pair<std::string, std::string> thread;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:")) thread.first = line.substr(6);
      if (line.starts_with("SigBlk:")) thread.second = line.substr(8);
    }
    out.push_back(thread);
  }
  return out;
}

TEST_F(InstanceTest, RunsItsLanesUntilTheyAreStopped) {
  const auto instance = make("good", 2);
  EXPECT_EQ(refusal(instance->configure("{}", false)), "");
  run(*instance);
  EXPECT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_TRUE(events_->wait_for("lane runs 1"));
  EXPECT_EQ(instance->lanes().size(), 2u);
  EXPECT_TRUE(instance->lanes()[1].running);

  instance->request_stop(steady_now());
  EXPECT_TRUE(eventually([&] { return instance->ended(steady_now()); }));
  EXPECT_EQ(events_->count("destroyed 0"), 1);
  EXPECT_EQ(instance->abandoned_lanes() + instance->abandoned_calls(), 0u);
  EXPECT_GE(moves_, 2);
  EXPECT_FALSE(instance->failure());
}

TEST_F(InstanceTest, NamesItsThreadsAndBlocksTheirSignals) {
  const auto instance = make("good", 2, "a-name-that-is-long");
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  std::string blocked;
  for (const auto& [name, mask] : threads()) {
    if (name == "gh-a-name-tha-1") blocked = mask;
  }
  ASSERT_NE(blocked, "") << "no thread of that name";
  constexpr unsigned long long kTerm = 1ull << (15 - 1);
  EXPECT_NE(std::stoull(blocked, nullptr, 16) & kTerm, 0u);
}

TEST_F(InstanceTest, WakesEachLaneWithTheReason) {
  const auto instance = make("good", 2);
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  instance->wake(GH_WAKE_POLICY);
  EXPECT_TRUE(events_->wait_for("woken 1", 2));
}

TEST_F(InstanceTest, CountsTheTimeThatALaneWorks) {
  const auto instance = make("good", 1);
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_GT(instance->lanes()[0].cpu_time.count(), 0);
}

TEST_F(InstanceTest, RunsPinnedLanesOnTheirProcessor) {
  const LoadedPlugin loaded = load_plugin(test_plugin("good"), folder_.path() / "copies", {GH_LOG_ID});
  Instance instance(loaded, {"one", 1, true, timeout_}, std::make_unique<TestOffer>(events_), nullptr);
  run(instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_GE(instance.lanes()[0].cpu, 0);
}

TEST_F(InstanceTest, SaysWhyItCannotBeCreated) {
  const auto instance = make("good", 1, "uncreatable");
  const std::string why = "the plugin uncreatable could not be created: no such day";
  EXPECT_EQ(refusal(instance->configure("{}", true)), why);
  EXPECT_EQ(refusal(instance->configure("{}", false)), why);
  EXPECT_EQ(refusal(instance->start({})), why);
}

TEST_F(InstanceTest, SaysWhyOptionsAreRefused) {
  const auto instance = make("good", 1);
  const std::string why = "the plugin one refuses its options: that is unacceptable";
  EXPECT_EQ(refusal(instance->configure("unacceptable", true)), why);
  EXPECT_EQ(refusal(instance->start({})), "");
  EXPECT_EQ(refusal(instance->configure("unacceptable", false)), why);
  EXPECT_EQ(refusal(instance->start({})), why);
}

TEST_F(InstanceTest, ChecksOptionsWithoutUsingThem) {
  const auto instance = make("good", 1);
  EXPECT_EQ(refusal(instance->configure("busy", true)), "");
  for (int i = 0; i < 20; ++i, std::this_thread::sleep_for(1ms)) instance->tick(steady_now());
  EXPECT_EQ(instance->pending(), 0u);
  EXPECT_EQ(refusal(instance->configure("busy", false)), "");
  EXPECT_TRUE(eventually([&] {
    instance->tick(steady_now());
    return instance->pending() == 3;
  }));
}

TEST_F(InstanceTest, IsDrainedOnceNothingIsPending) {
  const auto instance = make("good", 1);
  EXPECT_EQ(refusal(instance->configure("busy", false)), "");
  run(*instance);
  EXPECT_FALSE(instance->is_drained());
  instance->drain(steady_now() + 1s);
  EXPECT_TRUE(eventually([&] { return instance->is_drained(); }));
}

TEST_F(InstanceTest, SaysWhichChangeNeedsARestart) {
  const auto instance = make("good", 1);
  run(*instance);
  EXPECT_EQ(refusal(instance->change({"{}", "{}", {}})), "");
  EXPECT_EQ(refusal(instance->change({"restart", "{}", {}})),
            "the plugin one cannot change its options now: `size` needs a restart");
}

TEST_F(InstanceTest, ExchangesItsListenersWhileItRuns) {
  const auto instance = make("good", 1);
  const auto first = listener(1), second = listener(2);
  run(*instance, {first});
  EXPECT_TRUE(events_->wait_for("started 1"));
  const auto change = [&](Instance::Listeners to) {
    EXPECT_EQ(refusal(instance->change({{}, {}, std::move(to)})), "");
    instance->tick(steady_now());
  };
  change({first, second});
  EXPECT_TRUE(events_->wait_for("listeners changed 2"));
  change({second});
  EXPECT_TRUE(events_->wait_for("listeners changed 1"));
  EXPECT_EQ(first.use_count(), 2);  // its descriptors stay until the lanes have let go
  instance->tick(steady_now() + 3s);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 2);
}

TEST_F(InstanceTest, HoldsItsLanesBackUntilTheyAreToRun) {
  const auto instance = make("good", 2);
  EXPECT_EQ(refusal(instance->start({})), "");
  EXPECT_TRUE(instance->lanes().empty());
  instance->wake(GH_WAKE_POLICY);  // nobody is there to be woken
  EXPECT_EQ(events_->count("lane runs 0"), 0);
  instance->run_lanes();
  EXPECT_TRUE(events_->wait_for("lane runs 1"));
  EXPECT_EQ(events_->count("woken 1"), 0);
}

TEST_F(InstanceTest, EndsAlthoughItsLanesNeverRan) {
  auto instance = make("good", 2);
  EXPECT_EQ(refusal(instance->start({})), "");
  instance.reset();
  EXPECT_EQ(events_->count("destroyed 0"), 1);
}

TEST_F(InstanceTest, RunsAgainAfterAStop) {
  const auto instance = make("good", 2);
  const auto one = listener(1);
  run(*instance, {one});
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  stop(*instance);
  EXPECT_EQ(events_->count("destroyed 0"), 0);

  run(*instance, {one});
  EXPECT_TRUE(events_->wait_for("lane runs 0", 2));
  EXPECT_TRUE(events_->wait_for("lane runs 1", 2));
  EXPECT_FALSE(instance->failure());
  instance->wake(GH_WAKE_POLICY);
  EXPECT_TRUE(events_->wait_for("woken 1", 2));
}

TEST_F(InstanceTest, TellsWhyALaneFailed) {
  const auto instance = make("lane-fails", 2);
  run(*instance);
  EXPECT_TRUE(eventually([&] { return instance->failure().has_value(); }));
  EXPECT_EQ(instance->failure(), "lane 0 failed: the socket burst");
  EXPECT_TRUE(events_->wait_for("lane runs 1"));
  EXPECT_TRUE(instance->lanes()[1].running);
}

TEST_F(InstanceTest, AbandonsALaneThatNeverReturns) {
  const auto instance = make("lane-sticks", 2);
  run(*instance);
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  const SteadyTime now = steady_now();
  instance->request_stop(now);
  EXPECT_TRUE(eventually([&] { return !instance->lanes()[1].running; }));
  EXPECT_FALSE(instance->ended(now + 999ms));
  EXPECT_TRUE(instance->ended(now + 1s));
  EXPECT_EQ(instance->abandoned_lanes(), 1u);
  const std::vector<Hung> hung = instance->take_hung();
  ASSERT_EQ(hung.size(), 1u);
  EXPECT_EQ(hung[0].what, "lane 0 did not return when it was stopped");
  EXPECT_EQ(events_->count("destroyed 0"), 0);
}

}  // namespace
}  // namespace gatehouse
