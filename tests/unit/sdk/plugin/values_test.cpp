#include "tests/unit/sdk/plugin/lane_fixture.hpp"

#include <gatehouse/plugin/number_blocks.hpp>
#include <gatehouse/plugin/values.hpp>

#include <set>
#include <thread>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

class ValuesTest : public LaneTest {
 protected:
  Completion note() {
    return [this](Error failure) { told.push_back(failure); };
  }
  std::optional<std::string> text(std::string_view name) {
    const auto value = values.get(name);
    if (!value) return {};
    return std::string(text_of(*value));
  }

  Values values{cpp};
  std::vector<Error> told;
};

TEST_F(ValuesTest, KeepBytesUnderAName) {
  EXPECT_EQ(text("key"), std::nullopt);
  EXPECT_EQ(values.put("key", bytes_of("v"), ValueKind::secret), Error());
  EXPECT_EQ(text("key"), "v");
  EXPECT_TRUE(host.store().is_secret("test", "key"));
  EXPECT_EQ(values.put("key", {}, ValueKind::plain), Error());
  EXPECT_EQ(text("key"), "");
  EXPECT_FALSE(host.store().is_secret("test", "key"));
  EXPECT_EQ(values.erase("key"), Error());
  EXPECT_EQ(text("key"), std::nullopt);
  const std::string longest(4096, 'v');
  EXPECT_EQ(values.put("key", bytes_of(longest), ValueKind::plain), Error());
  EXPECT_EQ(text("key"), longest);
  EXPECT_EQ(values.put("key", bytes_of(longest + 'v'), ValueKind::plain), Errc::invalid);
  EXPECT_THROW((void)values.get(""), std::invalid_argument);
}

TEST_F(ValuesTest, TellTheLaneWhenTheyAreOnDisk) {
  CompletionScope scope(completions);
  host.store().hold_durable(true);
  EXPECT_EQ(values.put("key", bytes_of("v"), ValueKind::plain, scope, note()), Error());
  completions.deliver();
  EXPECT_THAT(told, IsEmpty());
  host.store().release_durable();
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error()));
}

TEST_F(ValuesTest, MayBeWaitedForInStart) {
  EXPECT_EQ(values.put_and_wait("key", bytes_of("v"), ValueKind::secret, completions), Error());
  host.store().hold_durable(true);
  std::thread writer([this] {
    while (host.store().waiting() == 0) std::this_thread::yield();
    host.store().release_durable(GH_E_IO);
  });
  EXPECT_EQ(values.put_and_wait("key", bytes_of("v"), ValueKind::secret, completions), Errc::io);
  writer.join();
  EXPECT_EQ(values.put_and_wait("key", bytes_of("v"), ValueKind::secret, completions, 1ms), Errc::io);
  host.store().release_durable();  // who waited is gone
  completions.deliver();
  EXPECT_EQ(values.put_and_wait("", bytes_of("v"), ValueKind::secret, completions), Errc::invalid);
}

using NumberBlocksTest = ValuesTest;

TEST_F(NumberBlocksTest, GiveNumbersInOrderOnceTheyAreOnDisk) {
  host.store().hold_durable(true);
  NumberBlocks numbers(context, "serial", 10);
  EXPECT_EQ(numbers.next(), std::nullopt);
  EXPECT_EQ(numbers.when_ready(note()), Error());
  host.store().release_durable();
  EXPECT_THAT(told, IsEmpty());
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(Error()));
  for (std::uint64_t i = 1; i <= 10; ++i) EXPECT_EQ(numbers.next(), i);
  EXPECT_EQ(numbers.next(), std::nullopt) << "the next block is not on disk";
  host.store().release_durable();
  completions.deliver();
  EXPECT_EQ(numbers.next(), 11u);
}

TEST_F(NumberBlocksTest, AskForTheNextBlockEarly) {
  NumberBlocks numbers(context, "serial", 10);
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    completions.deliver();
    ASSERT_EQ(numbers.next(), i);
  }
  completions.deliver();
  EXPECT_EQ(host.store().value("test", "serial"), "1011") << "one block ahead, no more";
}

TEST_F(NumberBlocksTest, SkipWhatACrashLeft) {
  {
    NumberBlocks numbers(context, "serial", 10);
    completions.deliver();
    EXPECT_EQ(numbers.next(), 1u);
  }
  host.restart();
  const Host next(host.table(), "test");
  NumberBlocks numbers({next, &lane, loop, pending, completions}, "serial", 10);
  completions.deliver();
  EXPECT_EQ(numbers.next(), 11u);
}

TEST_F(NumberBlocksTest, AreDifferentForEachLane) {
  NumberBlocks one(context, "serial", 3), other(context, "serial", 3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    completions.deliver();
    EXPECT_TRUE(seen.insert(*one.next()).second);
    EXPECT_TRUE(seen.insert(*other.next()).second);
  }
}

TEST_F(NumberBlocksTest, TryAgainAfterAFailure) {
  host.store().hold_durable(true);
  NumberBlocks numbers(context, "serial", 10);
  EXPECT_EQ(numbers.when_ready(note()), Error());
  host.store().release_durable(GH_E_IO);
  completions.deliver();
  EXPECT_THAT(told, ElementsAre(make_error_code(Errc::io)));
  EXPECT_EQ(numbers.next(), std::nullopt);
  host.store().hold_durable(false);
  completions.deliver();
  EXPECT_EQ(numbers.next(), 11u) << "what was not on disk is not given out";
}

TEST_F(NumberBlocksTest, SayWhenThereCanBeNone) {
  EXPECT_EQ(values.put("serial", bytes_of("x"), ValueKind::plain), Error());
  NumberBlocks numbers(context, "serial", 10);
  EXPECT_EQ(numbers.next(), std::nullopt);
  EXPECT_EQ(numbers.when_ready(note()), Errc::invalid);
  EXPECT_EQ(values.put("serial", bytes_of("41"), ValueKind::plain), Error());
  EXPECT_EQ(numbers.when_ready(note()), Error());
  completions.deliver();
  EXPECT_EQ(numbers.next(), 41u);
  EXPECT_THAT(told, ElementsAre(Error()));
}

TEST_F(NumberBlocksTest, TellNobodyWhoHasGone) {
  host.store().hold_durable(true);
  {
    NumberBlocks numbers(context, "serial", 10);
    EXPECT_EQ(numbers.when_ready(note()), Error());
  }
  host.store().release_durable();
  completions.deliver();
  EXPECT_THAT(told, IsEmpty());
}

}  // namespace
}  // namespace gatehouse
