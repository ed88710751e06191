// What becomes of a plugin that does what the border forbids: throws across it, ends a thread of ours, gives nothing.
#include "gateway/plugin/instance.hpp"

#include "gateway/base/refusal.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"
#include "tests/unit/gateway/plugin/test_offer.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <thread>
#include <tuple>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class StrayingTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  std::unique_ptr<Instance> make(const std::string& name, const std::string& options = "{}") {
    const LoadedPlugin loaded = load_plugin(test_plugin("strays"), folder_.path() / "copies", {GH_LOG_ID});
    auto out = std::make_unique<Instance>(loaded, InstanceSpec{name, 2, false, std::make_shared<PluginTimeout>(5s)},
                                          std::make_unique<TestOffer>(events_), nullptr);
    configured_ = out->configure(options, false);
    return out;
  }
  static std::string options(const std::string& at, const std::string& how) {
    return R"({"at":")" + at + R"(","how":")" + how + "\"}";
  }
  template <class Done>
  static bool eventually(Done done) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      if (done()) return true;
    }
    return false;
  }
  static std::string refusal(const Instance::Call& call) {
    if (!eventually([&] { return call->is_over(); })) return "it is not over";
    return call->refusal().value_or("");
  }
  bool fails(Instance& instance) {
    return eventually([&] {
      instance.tick(steady_now());
      return instance.failure().has_value();
    });
  }
  /// Everything of it returns and is destroyed.
  static bool ends(Instance& instance) {
    instance.request_stop(steady_now());
    return eventually([&] { return instance.ended(steady_now()); }) &&
           instance.abandoned_lanes() + instance.abandoned_calls() == 0;
  }
  /// What the sentence says that it did.
  static std::string deed(const std::string& at, const std::string& how) {
    if (how == "throws") return "threw an exception across the border: strayed at " + at;
    return how == "exits" ? "ended the thread that it was called on" : "threw something across the border";
  }

  TestFolder folder_;
  std::shared_ptr<Events> events_ = std::make_shared<Events>();
  Instance::Call configured_;
};

TEST_P(StrayingTest, InAFunctionOfARunningInstance) {
  const std::string at = std::get<0>(GetParam());
  const std::string how = std::get<1>(GetParam());
  const std::string why = "`" + at + "` of the plugin one " + deed(at, how);
  const bool late = at == "reconfigure" || at == "drain";  // once it runs
  const auto instance = make("one", late ? "{}" : options(at, how));
  if (at == "configure") {
    EXPECT_EQ(refusal(configured_), why);
    EXPECT_TRUE(fails(*instance));
    EXPECT_TRUE(ends(*instance));
    return;
  }
  const auto started = instance->start({});
  EXPECT_EQ(refusal(started), at == "start" ? why : "");
  if (at != "start") instance->run_lanes();
  Instance::Call call;
  if (late) call = instance->change({options(at, how), "{}", {}});
  if (at == "listeners_changed") call = instance->change({{}, {}, Instance::Listeners()});
  if (call != nullptr) {
    EXPECT_EQ(refusal(call), at == "drain" ? "" : why);
  }
  if (at == "drain") instance->drain(steady_now() + 5s);
  if (at == "wake") instance->wake(GH_WAKE_POLICY);
  ASSERT_TRUE(fails(*instance));
  EXPECT_EQ(instance->failure(), why);
  EXPECT_TRUE(ends(*instance));
}
INSTANTIATE_TEST_SUITE_P(Functions, StrayingTest,
                         testing::Combine(testing::Values("configure", "start", "reconfigure", "listeners_changed",
                                                          "wake", "drain", "pending"),
                                          testing::Values("throws", "throws-int", "exits")),
                         [](const auto& test) {
                           std::string name = std::string(std::get<0>(test.param)) + '_' + std::get<1>(test.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

using StrayingLane = StrayingTest;

TEST_P(StrayingLane, FailsAloneAndTheOthersRunUntilTheyAreStopped) {
  const std::string how = std::get<1>(GetParam());
  const auto instance = make("one", options("lane", how));
  ASSERT_EQ(refusal(instance->start({})), "");
  instance->run_lanes();
  ASSERT_TRUE(fails(*instance));
  EXPECT_EQ(instance->failure(), "lane 0 " + (how == "exits" ? "ended its thread" : deed("lane", how)));
  EXPECT_FALSE(instance->lanes()[0].running);
  EXPECT_TRUE(instance->lanes()[1].running);
  EXPECT_TRUE(ends(*instance));
}
INSTANTIATE_TEST_SUITE_P(Lanes, StrayingLane,
                         testing::Combine(testing::Values("lane"), testing::Values("throws", "throws-int", "exits")),
                         [](const auto& test) {
                           const std::string how = std::get<1>(test.param);
                           return how == "throws-int" ? std::string("throws_int") : how;
                         });

TEST_F(StrayingTest, CreateRefusesWhatComesAfterIt) {
  for (const auto& [name, why] :
       {std::pair("create-throws",
                  "`create` of the plugin create-throws threw an exception across the border: strayed "
                  "at create"),
        std::pair("create-exits", "`create` of the plugin create-exits ended the thread that it was called on"),
        std::pair("create-nothing", "the plugin create-nothing says that it was created, and gives no instance")}) {
    const auto instance = make(name);
    EXPECT_THAT(refusal(configured_), testing::AnyOf(why, HasSubstr("could not be created"))) << name;
    EXPECT_NE(refusal(instance->start({})), "") << name;
    EXPECT_TRUE(ends(*instance)) << name;
  }
}

TEST_F(StrayingTest, OneThatNeverSaysItIsDrainedIsNotWaitedFor) {
  const auto instance = make("one", options("", "nothing"));
  ASSERT_EQ(refusal(instance->start({})), "");
  instance->run_lanes();
  instance->drain(steady_now() + 1s);
  EXPECT_FALSE(eventually([&] { return instance->is_drained(); }));  // its owner has a deadline
  EXPECT_TRUE(ends(*instance));
}

}  // namespace
}  // namespace gatehouse
