#include <gatehouse/base/address.hpp>
#include <gatehouse/table/flow_table.hpp>
#include <gatehouse/table/lru.hpp>
#include <gatehouse/table/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <unordered_map>

namespace gatehouse {
namespace {

using Table = FlowTable<std::uint32_t, std::string>;

TEST(FlowTable, FindsByKeyAndByHandle) {
  Table table;
  const auto [found, is_new] = table.insert(7, "seven");
  EXPECT_TRUE(is_new);
  EXPECT_EQ(*table.find(7), "seven");
  EXPECT_EQ(table.find(7).handle, found.handle);
  EXPECT_EQ(*table.at(found.handle), "seven");
  EXPECT_EQ(table.key_at(found.handle.slot()), 7u);
  EXPECT_EQ(table[found.handle.slot()], "seven");
  EXPECT_FALSE(table.find(8));
}

TEST(FlowTable, KeepsTheFlowThatIsThere) {
  Table table;
  (void)table.insert(7, "first");
  const auto [found, is_new] = table.insert(7, "second");
  EXPECT_FALSE(is_new);
  EXPECT_EQ(*found, "first");
  EXPECT_EQ(table.size(), 1u);
}

TEST(FlowTable, KnowsStaleHandles) {
  Table table;
  const SlotHandle old = table.insert(7, "old").first.handle;
  EXPECT_TRUE(table.erase(old));
  EXPECT_FALSE(table.find(7));
  const SlotHandle fresh = table.insert(8, "fresh").first.handle;
  EXPECT_EQ(fresh.slot(), old.slot());
  EXPECT_EQ(table.at(old), nullptr);
  EXPECT_FALSE(table.erase(old));
  EXPECT_EQ(*table.find(8), "fresh");
}

TEST(FlowTable, AgreesWithAPlainMap) {
  Table table;
  std::unordered_map<std::uint32_t, std::string> model;
  std::mt19937 random(1);
  for (int i = 0; i < 50000; ++i) {
    const auto key = static_cast<std::uint32_t>(random() % 500);
    if (random() % 2 == 0) {
      EXPECT_EQ(table.insert(key, std::to_string(i)).second, model.emplace(key, std::to_string(i)).second);
    } else if (const auto found = table.find(key)) {
      ASSERT_EQ(model.at(key), *found);
      table.erase(found.handle);
      model.erase(key);
    } else {
      ASSERT_FALSE(model.contains(key));
    }
  }
  ASSERT_EQ(table.size(), model.size());
  table.for_each([&](SlotHandle, std::uint32_t key, const std::string& flow) { EXPECT_EQ(model.at(key), flow); });
  table.clear();
  EXPECT_TRUE(table.empty());
  EXPECT_FALSE(table.find(1));
}

TEST(FlowTable, MayLoseAndGainFlowsWhileItIsSwept) {
  Table table;
  for (std::uint32_t i = 0; i < 1000; ++i) (void)table.insert(i, "flow");
  std::uint32_t cursor = 0;
  std::uint32_t next_key = 5000;
  std::size_t visits = 0;
  while (!table.sweep(cursor, 10, [&](SlotHandle handle, std::uint32_t key, std::string&) {
    if (key >= 5000) return;
    ++visits;
    table.erase(handle);
    if (key % 2 == 0) (void)table.insert(next_key++, "new");
  })) {
  }
  EXPECT_EQ(visits, 1000u);
  EXPECT_EQ(table.size(), 500u);
  table.for_each([&](SlotHandle handle, std::uint32_t, std::string&) { table.erase(handle); });
  EXPECT_TRUE(table.empty());
}

TEST(FlowTable, HoldsFlowsThatStandInTimersAndLists) {
  struct Flow : TimerNode {
    explicit Flow(int n) : number(n) {}
    int number;
    LruLink lru;
  };
  FlowTable<Endpoint, Flow> table;
  TimerWheel<Flow> timers{SteadyTime{}};
  Lru lru;
  const auto links = [&](std::uint32_t slot) -> LruLink& { return table[slot].lru; };
  for (std::uint16_t port = 1; port <= 200; ++port) {
    const auto flow = table.insert(Endpoint{IpAddress::v4(0x7f000001), port}, port).first;
    lru.touch(flow.handle.slot(), links);
    timers.schedule(*flow, SteadyTime{} + std::chrono::seconds(port));
  }
  lru.touch(table.find(Endpoint{IpAddress::v4(0x7f000001), 1}).handle.slot(), links);
  EXPECT_EQ(table[lru.oldest()].number, 2);
  const SlotHandle oldest = table.handle_at(lru.oldest());
  lru.remove(oldest.slot(), links);
  table.erase(oldest);  // takes its timer along
  std::size_t expired =
      timers.advance(SteadyTime{} + std::chrono::seconds(10), [](Flow& flow) { EXPECT_NE(flow.number, 2); });
  EXPECT_EQ(expired, 9u);
}

}  // namespace
}  // namespace gatehouse
