// Sessions that move from an old instance to a new one, and back when that does not go well.
#include "gateway/plugin/instance.hpp"

#include "tests/unit/gateway/plugin/test_folder.hpp"
#include "tests/unit/gateway/plugin/test_offer.hpp"

#include <gmock/gmock.h>

#include <unistd.h>

#include <thread>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using Records = std::vector<ExportRecord>;

class ReplacementTest : public testing::Test {
 protected:
  std::unique_ptr<Instance> make(const std::string& options, const std::string& plugin = "moves") {
    const LoadedPlugin loaded = load_plugin(test_plugin(plugin), folder_.path() / "copies", {GH_LOG_ID});
    auto out = std::make_unique<Instance>(loaded, InstanceSpec{"one", 1, false}, std::make_unique<TestOffer>(events_),
                                          nullptr);
    static_cast<void>(out->configure(options, false));
    EXPECT_EQ(refusal(out->start({})), "");
    return out;
  }
  /// Waits up to two seconds. What the call was refused with, or "".
  static std::string refusal(const Instance::Call& call) {
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end; std::this_thread::sleep_for(1ms)) {
      if (call->is_over()) return call->refusal().value_or("");
    }
    return "it is not over";
  }
  static void stop(Instance& instance) {
    instance.request_stop(steady_now());
    for (const SteadyTime end = steady_now() + 2s; steady_now() < end && !instance.lanes_returned();)
      std::this_thread::sleep_for(1ms);
    ASSERT_TRUE(instance.lanes_returned());
  }
  static std::shared_ptr<Records> take(Instance& from, std::string* why = nullptr) {
    auto out = std::make_shared<Records>();
    const std::string refused = refusal(from.take_sessions(out));
    if (why != nullptr) {
      *why = refused;
    } else {
      EXPECT_EQ(refused, "");
    }
    return out;
  }
  static std::string put(Instance& to, ExportRecord& record) {
    auto moved = std::make_shared<ExportRecord>(std::move(record));
    const std::string out = refusal(to.put_session(moved));
    record = std::move(*moved);
    return out;
  }

  TestFolder folder_;
  std::shared_ptr<Events> events_ = std::make_shared<Events>();
};

TEST_F(ReplacementTest, MovesSessionsWhileTheLanesOfTheNewOneAreHeldBack) {
  const auto old = make("begins");
  old->run_lanes();
  ASSERT_TRUE(events_->wait_for("sessions 2"));
  const auto next = make("{}");
  EXPECT_EQ(events_->count("lane runs 0"), 1);  // the old one's serves meanwhile
  stop(*old);

  const auto records = take(*old);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[1].session, 101u);
  EXPECT_EQ((*records)[1].blob_version, 7u);
  EXPECT_EQ((*records)[1].fds.size(), 2u);
  for (ExportRecord& record : *records) {
    EXPECT_EQ(put(*next, record), "");
    EXPECT_TRUE(record.fds.empty());  // they are the instance's now
  }
  EXPECT_EQ(events_->count("sessions 2"), 1);
  next->run_lanes();
  EXPECT_TRUE(events_->wait_for("sessions 2", 2));
}

TEST_F(ReplacementTest, TheOldInstanceRunsAgainWhenTheNewOneTakesNothing) {
  const auto old = make("begins");
  old->run_lanes();
  ASSERT_TRUE(events_->wait_for("sessions 2"));
  const auto next = make("refuses");
  stop(*old);
  const auto records = take(*old);
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ(put(*next, (*records)[0]), "the plugin one does not take a session over: its blob is of another version");
  EXPECT_EQ((*records)[0].fds.size(), 2u);

  EXPECT_EQ(refusal(old->start({})), "");
  for (ExportRecord& record : *records) EXPECT_EQ(put(*old, record), "");
  old->run_lanes();
  EXPECT_TRUE(events_->wait_for("sessions 2", 2));
  EXPECT_TRUE(events_->wait_for("lane runs 0", 2));
  EXPECT_FALSE(old->failure());
}

TEST_F(ReplacementTest, WhatWasGivenBeforeAFailureIsThere) {
  const auto old = make("begins spills");
  std::string why;
  const auto records = take(*old, &why);
  EXPECT_EQ(why, "the sessions of the plugin one could not be taken: the tray tipped over");
  EXPECT_EQ(records->size(), 1u);
}

TEST_F(ReplacementTest, APluginWithoutTheInterfaceSaysSo) {
  const auto old = make("{}", "good");
  std::string why;
  EXPECT_TRUE(take(*old, &why)->empty());
  EXPECT_EQ(why, "the sessions of the plugin one could not be taken: it does not offer gh.sessions.export/1");
}

}  // namespace
}  // namespace gatehouse
