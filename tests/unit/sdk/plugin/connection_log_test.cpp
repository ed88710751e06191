// Whoever connects again and again makes a few log lines, not one each time.
#include <gatehouse/plugin/connection_log.hpp>

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ConnectionLines : public testing::Test {
 protected:
  void close(const std::string& source, const std::string& port = "1") {
    log->info(IpAddress::parse(source).value(), "stream closed", {{"client", source + ":" + port}});
  }
  /// The interval is over, or the lane is.
  std::vector<std::string> rest() {
    lines.clear();
    log.reset();
    log.emplace(loop, border);
    return lines;
  }

  std::vector<std::string> lines;
  std::int32_t level = GH_LOG_INFO, last_level = 0;
  const gh_log table{
      sizeof table, 0, this, &level,
      [](void* self, std::int32_t of, gh_bytes event, const gh_log_field* fields, std::size_t count) {
        std::string line(from_border(event));
        for (std::size_t i = 0; i < count; ++i)
          (line += ' ').append(from_border(fields[i].key)).append("=").append(from_border(fields[i].value));
        static_cast<ConnectionLines*>(self)->lines.push_back(line);
        static_cast<ConnectionLines*>(self)->last_level = of;
      }};
  const Log border{&table};
  LaneLoop loop;
  std::optional<ConnectionLog> log{std::in_place, loop, border};
};

TEST_F(ConnectionLines, AreWrittenWhileTheyAreFew) {
  close("192.0.2.1", "7");
  EXPECT_THAT(lines, ElementsAre("stream closed client=192.0.2.1:7"));
  EXPECT_THAT(rest(), IsEmpty());
}

TEST_F(ConnectionLines, OfOneSourceAreMerged) {
  for (int i = 0; i < 20'000; ++i) close("2001:db8:0:1::" + std::to_string(i % 9999));
  EXPECT_THAT(lines, SizeIs(ConnectionLog::kLines));
  lines.clear();
  close("192.0.2.1");
  log->info(IpAddress::parse("2001:db8:0:1::1").value(), "stream opened", {});
  EXPECT_THAT(lines, ElementsAre("stream closed client=192.0.2.1:1", "stream opened")) << "others have their own";
  EXPECT_THAT(rest(), ElementsAre("stream closed source=2001:db8:0:1::/64 more=19990 seconds=10"));
  close("2001:db8:0:1::1");
  EXPECT_THAT(lines, Contains("stream closed client=2001:db8:0:1::1:1")) << "the next interval";
}

TEST_F(ConnectionLines, ThatWarnAreMergedToo) {
  level = GH_LOG_WARN;
  for (int i = 0; i < 100; ++i) log->warn({}, "stream refused", {});
  EXPECT_THAT(lines, SizeIs(ConnectionLog::kLines));
  EXPECT_EQ(last_level, GH_LOG_WARN);
  last_level = 0;
  EXPECT_THAT(rest(), ElementsAre("stream refused source=unix more=90 seconds=10"));
  EXPECT_EQ(last_level, GH_LOG_WARN);
}

TEST_F(ConnectionLines, OfAllSourcesTogetherAreBounded) {
  for (int i = 0; i < 100'000; ++i)
    close("10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255));
  EXPECT_LE(lines.size(), ConnectionLog::kLinesOfAll);
  std::uint64_t told = lines.size();
  for (const std::string& line : rest()) told += std::stoull(line.substr(line.find("more=") + 5));
  EXPECT_EQ(told, 100'000u) << "every one is counted";
  EXPECT_LE(lines.size(), ConnectionLog::kSources + 1);
  EXPECT_THAT(lines.back(), testing::StartsWith("connections merged source=others more="));
}

TEST_F(ConnectionLines, AreAllThereAtTheLevelDebug) {
  level = GH_LOG_DEBUG;
  for (int i = 0; i < 50; ++i) close("192.0.2.1");
  EXPECT_THAT(lines, SizeIs(50));
  level = GH_LOG_WARN;
  close("192.0.2.1");
  EXPECT_THAT(lines, SizeIs(50));
}

TEST_F(ConnectionLines, AreToldWhenTheIntervalEnds) {
  log.emplace(loop, border, std::chrono::seconds(1));
  for (int i = 0; i < 30; ++i) log->info({}, "stream opened", {});
  LaneTimer end([&] { loop.stop(); });
  loop.schedule(end, std::chrono::milliseconds(1200));
  lines.clear();
  loop.run();
  EXPECT_THAT(lines, ElementsAre("stream opened source=unix more=20 seconds=1"));
}

}  // namespace
}  // namespace gatehouse
