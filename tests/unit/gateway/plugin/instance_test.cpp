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
    return std::make_unique<Instance>(loaded, InstanceSpec{name, lanes, false}, std::make_unique<TestOffer>(events_),
                                      [this] { ++ended_lanes_; });
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
  std::atomic<int> ended_lanes_{0};
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
  instance->configure("{}", false);
  instance->start({});
  EXPECT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_TRUE(events_->wait_for("lane runs 1"));
  EXPECT_EQ(instance->lanes().size(), 2u);
  EXPECT_TRUE(instance->lanes()[1].running);

  instance->request_stop(steady_now());
  EXPECT_TRUE(eventually([&] { return instance->ended(steady_now()); }));
  EXPECT_EQ(events_->count("destroyed 0"), 1);
  EXPECT_EQ(instance->abandoned(), 0u);
  EXPECT_EQ(ended_lanes_, 2);
  EXPECT_FALSE(instance->failure());
}

TEST_F(InstanceTest, NamesItsThreadsAndBlocksTheirSignals) {
  const auto instance = make("good", 2, "a-name-that-is-long");
  instance->start({});
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
  instance->start({});
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  instance->wake(GH_WAKE_POLICY);
  EXPECT_TRUE(events_->wait_for("woken 1", 2));
}

TEST_F(InstanceTest, CountsTheTimeThatALaneWorks) {
  const auto instance = make("good", 1);
  instance->start({});
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_GT(instance->lanes()[0].cpu_time.count(), 0);
}

TEST_F(InstanceTest, RunsPinnedLanesOnTheirProcessor) {
  const LoadedPlugin loaded = load_plugin(test_plugin("good"), folder_.path() / "copies", {GH_LOG_ID});
  Instance instance(loaded, {"one", 1, true}, std::make_unique<TestOffer>(events_), nullptr);
  instance.start({});
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  EXPECT_GE(instance.lanes()[0].cpu, 0);
}

TEST_F(InstanceTest, SaysWhyItCannotBeCreated) {
  try {
    make("good", 1, "uncreatable");
    FAIL();
  } catch (const Refusal& why) {
    EXPECT_STREQ(why.what(), "the plugin uncreatable could not be created: no such day");
  }
}

TEST_F(InstanceTest, SaysWhyOptionsAreRefused) {
  const auto instance = make("good", 1);
  try {
    instance->configure("unacceptable", true);
    FAIL();
  } catch (const Refusal& why) {
    EXPECT_STREQ(why.what(), "the plugin one refuses its options: that is unacceptable");
  }
}

TEST_F(InstanceTest, ChecksOptionsWithoutUsingThem) {
  const auto instance = make("good", 1);
  instance->configure("busy", true);
  EXPECT_EQ(instance->pending(), 0u);
  instance->configure("busy", false);
  EXPECT_EQ(instance->pending(), 3u);
}

TEST_F(InstanceTest, DrainsUntilNothingIsPending) {
  const auto instance = make("good", 1);
  instance->configure("busy", false);
  instance->start({});
  instance->drain(steady_now() + 1s);
  EXPECT_EQ(instance->pending(), 0u);
}

TEST_F(InstanceTest, SaysWhichChangeNeedsARestart) {
  const auto instance = make("good", 1);
  instance->start({});
  instance->reconfigure("{}");
  try {
    instance->reconfigure("restart");
    FAIL();
  } catch (const Refusal& why) {
    EXPECT_STREQ(why.what(), "the plugin one cannot change its options now: `size` needs a restart");
  }
}

TEST_F(InstanceTest, ExchangesItsListenersWhileItRuns) {
  const auto instance = make("good", 1);
  const auto first = listener(1), second = listener(2);
  instance->start({first});
  EXPECT_TRUE(events_->wait_for("started 1"));
  instance->change_listeners({first, second});
  EXPECT_TRUE(events_->wait_for("listeners changed 2"));
  instance->change_listeners({second});
  EXPECT_TRUE(events_->wait_for("listeners changed 1"));
  EXPECT_EQ(first.use_count(), 2);  // its descriptors stay until the lanes have let go
  instance->tick(steady_now() + 3s);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_EQ(second.use_count(), 2);
}

TEST_F(InstanceTest, TellsWhyALaneFailed) {
  const auto instance = make("lane-fails", 2);
  instance->start({});
  EXPECT_TRUE(eventually([&] { return instance->failure().has_value(); }));
  EXPECT_EQ(instance->failure(), "lane 0 failed: the socket burst");
  EXPECT_TRUE(events_->wait_for("lane runs 1"));
  EXPECT_TRUE(instance->lanes()[1].running);
}

TEST_F(InstanceTest, AbandonsALaneThatNeverReturns) {
  const auto instance = make("lane-sticks", 2);
  instance->start({});
  ASSERT_TRUE(events_->wait_for("lane runs 0"));
  ASSERT_TRUE(events_->wait_for("lane runs 1"));
  const SteadyTime now = steady_now();
  instance->request_stop(now);
  EXPECT_TRUE(eventually([&] { return !instance->lanes()[1].running; }));
  EXPECT_FALSE(instance->ended(now + 999ms));
  EXPECT_TRUE(instance->ended(now + 1s));
  EXPECT_EQ(instance->abandoned(), 1u);
  EXPECT_EQ(events_->count("destroyed 0"), 0);
}

}  // namespace
}  // namespace gatehouse
