// Which plugins ask for clients that they do not have: counted by lane, summed up, and told of now and then.
#include "gateway/policy/strange_clients.hpp"
#include "gateway/base/openmetrics.hpp"
#include "gateway/policy/lane_records.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(StrangeClients, AreCountedByPluginAlsoWhenTheirLanesHaveEnded) {
  LaneRecords records;
  const auto first = records.open("one"), second = records.open("one"), third = records.open("two");
  EXPECT_THAT(records.strange_clients(), IsEmpty());
  first->count_strange_client();
  second->count_strange_client();
  EXPECT_THAT(records.strange_clients(), ElementsAre(Pair("one", 2)));
  first->end();
  records.drain([](const Notice&) {});
  third->count_strange_client();
  EXPECT_THAT(records.strange_clients(), ElementsAre(Pair("one", 2), Pair("two", 1)));
  OpenMetrics out;
  records.write_to(out);
  EXPECT_THAT(out.text(), HasSubstr("gatehouse_policy_strange_clients_total{plugin=\"one\"} 2"));
}

TEST(StrangeClientLog, HasALineAPluginNowAndThen) {
  StrangeClientLog log;
  StrangeClientLog::Clock::time_point now{};
  EXPECT_THAT(log.lines(now, {}), IsEmpty());
  EXPECT_THAT(log.lines(now, {{"one", 1}}), ElementsAre(HasSubstr("plugin one has asked once for a client")));
  EXPECT_THAT(log.lines(now, {{"one", 4}, {"two", 2}}), ElementsAre(HasSubstr("plugin two has asked 2 times")))
      << "of `one` there was a line just now";
  now += StrangeClientLog::kPause;
  EXPECT_THAT(log.lines(now, {{"one", 7}, {"two", 2}}), ElementsAre(HasSubstr("plugin one has asked 6 times")))
      << "`two` has not done it again";
  EXPECT_THAT(log.lines(now + StrangeClientLog::kPause, {{"one", 7}, {"two", 2}}), IsEmpty());
}

}  // namespace
}  // namespace gatehouse
