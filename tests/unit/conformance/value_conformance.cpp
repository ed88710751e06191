#include "tests/unit/conformance/value_conformance.hpp"

#include <set>
#include <thread>

namespace gatehouse::conformance {
namespace {

TEST_P(ValueConformance, AValueIsWhatWasPutLast) {
  EXPECT_EQ(get("key"), std::nullopt);
  EXPECT_EQ(put("key", "one"), GH_OK);
  EXPECT_EQ(put("key", std::string_view("t\0o", 3)), GH_OK);
  EXPECT_EQ(get("key"), std::string("t\0o", 3));
  EXPECT_EQ(put("key", ""), GH_OK);
  EXPECT_EQ(get("key"), "") << "nothing is a value, too";
  EXPECT_EQ(remove("key"), GH_OK);
  EXPECT_EQ(get("key"), std::nullopt);
}

TEST_P(ValueConformance, TellsTheSizeOfWhatDoesNotFit) {
  EXPECT_EQ(put("key", "four"), GH_OK);
  std::uint8_t out[3] = {9, 9, 9};
  std::size_t size = 0;
  EXPECT_EQ(plugin->values().get(plugin->values().context, to_border("key"), out, sizeof out, &size), GH_OK);
  EXPECT_EQ(size, 4u);
  EXPECT_THAT(out, testing::ElementsAre(9, 9, 9));
}

TEST_P(ValueConformance, NamesAndValuesHaveBounds) {
  const std::string name(255, 'n'), value(4096, 'v');
  EXPECT_EQ(put(name, value), GH_OK);
  EXPECT_EQ(get(name), value);
  const gh_completion durable = told.completion();
  EXPECT_EQ(put("", "v", GH_VALUE_PLAIN, &durable), GH_E_INVALID);
  EXPECT_EQ(put(name + 'n', "v", GH_VALUE_PLAIN, &durable), GH_E_INVALID);
  EXPECT_EQ(put("n", value + 'v', GH_VALUE_PLAIN, &durable), GH_E_INVALID);
  EXPECT_EQ(put("n", "v", 7, &durable), GH_E_INVALID);
  host->flush();
  EXPECT_TRUE(told.calls().empty());
}

TEST_P(ValueConformance, APluginHasItsOwn) {
  EXPECT_EQ(put("key", "mine"), GH_OK);
  EXPECT_EQ(get(*other_plugin, "key"), std::nullopt);
  EXPECT_EQ(put(*other_plugin, "key", "theirs"), GH_OK);
  EXPECT_EQ(get("key"), "mine");
  EXPECT_EQ(reserved("n", 10), 1u);
  std::uint64_t first = 0;
  EXPECT_EQ(reserve(*other_plugin, "n", 10, first), GH_OK);
  EXPECT_EQ(first, 1u);
}

TEST_P(ValueConformance, ASecretIsAValueUnderTheSameName) {
  EXPECT_EQ(put("key", "secret", GH_VALUE_SECRET), GH_OK);
  EXPECT_EQ(get("key"), "secret");
  EXPECT_EQ(put("key", "plain", GH_VALUE_PLAIN), GH_OK);
  EXPECT_EQ(get("key"), "plain");
  EXPECT_EQ(put("key", "again", GH_VALUE_SECRET), GH_OK);
  host->flush();
  crash();
  EXPECT_EQ(get("key"), "again");
  EXPECT_EQ(remove("key"), GH_OK);
  host->flush();
  crash();
  EXPECT_EQ(get("key"), std::nullopt);
}

TEST_P(ValueConformance, DurableComesOnceAndNotBeforeTheDisk) {
  host->stall(true);
  const gh_completion one = told.completion(1), two = told.completion(2), three = told.completion(3);
  EXPECT_EQ(put("plain", "v", GH_VALUE_PLAIN, &one), GH_OK);
  EXPECT_EQ(put("secret", "v", GH_VALUE_SECRET, &two), GH_OK);
  std::uint64_t first = 0;
  EXPECT_EQ(reserve(*plugin, "n", 10, first, &three), GH_OK);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // more than a group of commits takes
  EXPECT_TRUE(told.calls().empty());
  host->stall(false);
  host->flush();
  EXPECT_THAT(told.calls(),
              testing::UnorderedElementsAre(Told::Call{1, GH_OK}, Told::Call{2, GH_OK}, Told::Call{3, GH_OK}));
}

TEST_P(ValueConformance, NobodyIsToldAfterDestroy) {
  host->stall(true);
  const gh_completion durable = told.completion();
  EXPECT_EQ(put("key", "v", GH_VALUE_PLAIN, &durable), GH_OK);
  plugin.reset();
  host->stall(false);
  host->flush();
  EXPECT_TRUE(told.calls().empty());
}

TEST_P(ValueConformance, BlocksOfNumbersFollowEachOther) {
  EXPECT_EQ(reserved("n", 10), 1u);
  EXPECT_EQ(reserved("n", 1), 11u);
  EXPECT_EQ(reserved("n", 1'000'000'000'000), 12u);
  EXPECT_EQ(get("n"), "1000000000012");
  EXPECT_EQ(reserved("other", 1), 1u);
}

TEST_P(ValueConformance, BlocksBeginWhereTheValueSays) {
  EXPECT_EQ(put("n", "41"), GH_OK);
  EXPECT_EQ(reserved("n", 10), 41u);
  EXPECT_EQ(get("n"), "51");
  EXPECT_EQ(put("n", "18446744073709551000"), GH_OK);
  EXPECT_EQ(reserved("n", 600), 18446744073709551000u);
}

TEST_P(ValueConformance, WhatIsNoNumberOrUsedUpGivesNone) {
  const gh_completion durable = told.completion();
  std::uint64_t first = 0;
  for (const char* value : {"", "x", "1x", " 1", "-1", "1.0", "18446744073709551616"}) {
    EXPECT_EQ(put("n", value), GH_OK);
    EXPECT_EQ(reserve(*plugin, "n", 10, first, &durable), GH_E_INVALID) << value;
    EXPECT_EQ(get("n"), value);
  }
  EXPECT_EQ(put("n", "18446744073709551000"), GH_OK);
  EXPECT_EQ(reserve(*plugin, "n", 1000, first, &durable), GH_E_INVALID);
  EXPECT_EQ(remove("n"), GH_OK);
  EXPECT_EQ(reserve(*plugin, "n", 0, first, &durable), GH_E_INVALID);
  EXPECT_EQ(reserve(*plugin, "", 1, first, &durable), GH_E_INVALID);
  host->flush();
  EXPECT_TRUE(told.calls().empty());
}

TEST_P(ValueConformance, NumbersAreNotGivenOutAgainAfterACrash) {
  EXPECT_EQ(put("key", "v"), GH_OK);
  const gh_completion durable = told.completion();
  std::uint64_t first = 0;
  EXPECT_EQ(reserve(*plugin, "n", 100, first, &durable), GH_OK);
  ASSERT_EQ(told.wait_for(1).size(), 1u);
  host->stall(true);
  EXPECT_EQ(reserved("n", 100), 101u);  // by one who does not wait for `durable`
  crash();
  EXPECT_GE(reserved("n", 1), 101u);
  EXPECT_EQ(get("key"), "v");
}

TEST_P(ValueConformance, TwoThreadsGetDifferentNumbers) {
  std::vector<std::uint64_t> firsts[2];
  std::vector<std::thread> threads;
  for (auto& mine : firsts)
    threads.emplace_back([this, &mine] {
      for (int i = 0; i < 1000; ++i) mine.push_back(reserved("n", 7));
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint64_t> all;
  for (const auto& mine : firsts) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 2000u);
  EXPECT_EQ(*all.rbegin(), 1u + 1999 * 7);
}

}  // namespace
}  // namespace gatehouse::conformance
