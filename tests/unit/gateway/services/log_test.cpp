#include "gateway/services/log.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace gatehouse {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

/// What `act` makes a journal write to stderr.
template <class Act>
std::string written(std::int32_t level, LogFormat format, Act act) {
  testing::internal::CaptureStderr();
  {
    const auto journal = std::make_shared<Journal>(level, format);
    act(journal);
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Journal, WritesComponentEventAndFields) {
  const std::string text = written(GH_LOG_INFO, LogFormat::text, [](const auto& journal) {
    journal->write(GH_LOG_WARN, "udpgw", "client opened", {{"source", "192.0.2.1:5"}, {"why", "two words"}});
  });
  EXPECT_THAT(text, MatchesRegex("[0-9-]+T[0-9:.]+Z warn udpgw: client opened source=192.0.2.1:5 "
                                 "why=\"two words\"\n"));
}

TEST(Journal, KeepsALineOneLine) {
  const std::string text = written(GH_LOG_INFO, LogFormat::text, [](const auto& journal) {
    journal->write(GH_LOG_INFO, "udpgw", "odd", {{"name", "a\nforged \"line\"\x1b"}});
  });
  EXPECT_THAT(text, EndsWith("name=\"a\\x0aforged \\\"line\\\"\\x1b\"\n"));
}

TEST(Journal, WritesNoControlCharacter) {
  for (const auto format : {LogFormat::text, LogFormat::json}) {
    const std::string text = written(GH_LOG_INFO, format, [](const auto& journal) {
      journal->write(GH_LOG_INFO, "udpgw", "odd \xc2\x9b", {{"a\xe2\x80\xae", "\xc2\x85 \xc3\xbc \xe2\x81\xa6"}});
    });
    EXPECT_THAT(text, HasSubstr("odd \\u009b"));
    EXPECT_THAT(text, HasSubstr("a\\u202e"));
    EXPECT_THAT(text, HasSubstr("\\u0085 \xc3\xbc \\u2066"));
  }
}

TEST(Journal, WritesJsonWithItsTime) {
  const std::string text = written(GH_LOG_INFO, LogFormat::json, [](const auto& journal) {
    journal->write(GH_LOG_INFO, "gateway", "ready", {{"name", "a\"\n\xff"}});
  });
  EXPECT_THAT(text, MatchesRegex("\\{\"time\":\"[^\"]+Z\",\"level\":\"info\",\"component\":\"gateway\",\"event\":"
                                 "\"ready\",\"name\":\"a.\"\\\\n.*\"\\}\n"));
}

TEST(Journal, LeavesOutWhatIsAboveItsLevel) {
  const std::string text = written(GH_LOG_INFO, LogFormat::text, [](const auto& journal) {
    journal->write(GH_LOG_DEBUG, "a", "hidden");
    journal->set_level(GH_LOG_DEBUG);
    journal->write(GH_LOG_DEBUG, "a", "shown");
  });
  EXPECT_THAT(text, HasSubstr("a: shown"));
  EXPECT_THAT(text, Not(HasSubstr("hidden")));
}

TEST(Journal, TakesLinesOfManyThreads) {
  const std::string text = written(GH_LOG_INFO, LogFormat::text, [](const auto& journal) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&journal] {
        for (int k = 0; k < 100; ++k) journal->write(GH_LOG_INFO, "a", "line");
      });
    }
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 400);
}

/// Stands in for stderr and reads nothing until it is told to.
class SlowReader {
 public:
  SlowReader() {
    EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0);
    dup2(ends_[1], STDERR_FILENO);
  }
  ~SlowReader() {
    static_cast<void>(end());
    close(ends_[0]);
  }
  SlowReader(const SlowReader&) = delete;
  SlowReader& operator=(const SlowReader&) = delete;

  void begin() {
    thread_ = std::thread([this] {
      std::array<char, 65536> block;
      for (ssize_t got; (got = read(ends_[0], block.data(), block.size())) > 0;)
        text_.append(block.data(), static_cast<std::size_t>(got));
    });
  }
  /// All that was written. Whoever writes has gone.
  std::string end() {
    if (stderr_before_ >= 0) {
      dup2(stderr_before_, STDERR_FILENO);
      close(std::exchange(stderr_before_, -1));
      close(ends_[1]);
    }
    if (thread_.joinable()) thread_.join();
    return text_;
  }

 private:
  std::array<int, 2> ends_{};
  int stderr_before_ = dup(STDERR_FILENO);
  std::string text_;
  std::thread thread_;
};

// A reader that does not read holds the writing thread up; those who log go on, and lines are counted instead.
TEST(Journal, DropsAndCountsWhenTheReaderIsSlow) {
  SlowReader reader;
  auto journal = std::make_unique<Journal>(GH_LOG_INFO, LogFormat::text);
  const std::string long_value(1000, 'x');
  for (std::size_t i = 0; i < 2 * Journal::kCapacity + 200; ++i)
    journal->write(GH_LOG_INFO, "a", "line", {{"value", long_value}});
  const std::uint64_t dropped = journal->dropped();
  reader.begin();
  journal.reset();
  EXPECT_GT(dropped, 0u);
  EXPECT_THAT(reader.end(), HasSubstr("log: lines were dropped lines=" + std::to_string(dropped)));
}

TEST(PluginLog, NamesThePluginAsTheComponent) {
  const std::string text = written(GH_LOG_INFO, LogFormat::text, [](const auto& journal) {
    const PluginLog log(journal, "udpgw");
    const gh_log_field field{to_border("n"), to_border("1")};
    log.table()->write(log.table()->context, GH_LOG_INFO, to_border("hello"), &field, 1);
    EXPECT_EQ(*log.table()->level, GH_LOG_INFO);
  });
  EXPECT_THAT(text, EndsWith("info udpgw: hello n=1\n"));
}

TEST(LogLevel, IsKnownByName) {
  EXPECT_EQ(log_level_of("warn"), GH_LOG_WARN);
  EXPECT_EQ(log_level_of("loud"), std::nullopt);
}

TEST(Journal, IsFlushedWhenTheReaderHasEverything) {
  SlowReader reader;
  auto journal = std::make_unique<Journal>(GH_LOG_INFO, LogFormat::text);
  journal->write(GH_LOG_INFO, "a", "line", {{"value", std::string(500'000, 'x')}});  // more than a pipe takes
  const auto flushed = std::async(std::launch::async, [&] { journal->flush(); });
  const std::future_status early = flushed.wait_for(std::chrono::milliseconds(50));
  reader.begin();
  flushed.wait();
  journal.reset();
  const std::string text = reader.end();
  EXPECT_EQ(early, std::future_status::timeout) << "the pipe was full";
  EXPECT_EQ(std::count(text.begin(), text.end(), 'x'), 500'000);
}

}  // namespace
}  // namespace gatehouse
