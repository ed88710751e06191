// What permits cost in memory: in proportion to the rows, whatever groups, networks and networks inside them there are.
#include "policy/compile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <string>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kMostOfRow = 600;  // bytes, with a port range and a prefix

/// So many groups with ten permits each, for networks of their own and one that all name.
Model with_groups(std::int64_t groups) {
  Model model;
  model.groups = {{0, "everyone", 1'000'000, true}};
  for (std::int64_t group = 1; group <= groups; ++group) {
    model.groups.push_back({group, "g" + std::to_string(group), group, true});
    for (std::int64_t i = 0; i < 10; ++i) {
      const auto network = static_cast<std::uint32_t>(0x0800'0000 + group * 1024 + i * 64);
      const std::string destination = i == 0 ? "8.0.0.0/8" : Prefix(IpAddress::v4(network), 26).to_string();
      model.port_permits.push_back({group * 10 + i, group, "udp", "1000-2000", destination, "allow", 50, {}});
    }
  }
  return model;
}

void add_networks_for_all(Model& model, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i)
    model.port_permits.push_back(
        {1'000'000 + i, {}, "udp", "53", Prefix(IpAddress::v4(0x0800'0000 + i * 256), 24).to_string(), "deny", 10, {}});
}

std::size_t bytes_of(const Model& model) {
  const auto snapshot = compile(model, {}, 1, 0).snapshot;
  return snapshot->parts().permits.bytes() + snapshot->parts().ranges.bytes() +
         snapshot->parts().facts.size() * sizeof(RangeFacts);
}

TEST(PermitTable, GrowsWithItsRowsAndNotWithGroupsTimesRanges) {
  const std::size_t nothing = bytes_of(with_groups(0)), few = bytes_of(with_groups(100)),
                    many = bytes_of(with_groups(1000));
  EXPECT_LT(many - nothing, 10'000 * kMostOfRow);
  EXPECT_LT(many - nothing, 12 * (few - nothing)) << "ten times the rows";
  Model both = with_groups(1000);
  add_networks_for_all(both, 5000);
  EXPECT_LT(bytes_of(both) - many, 5000 * kMostOfRow) << "no group has them a second time";
}

TEST(PermitTable, HasAnIndexAtMostForAGroupWithoutRows) {
  constexpr std::int64_t kOthers = 1000;
  const auto with_others = [](Model model) {
    for (std::int64_t id = 10'000; id < 10'000 + kOthers; ++id)
      model.groups.push_back({id, "other" + std::to_string(id), id, true});
    return model;
  };
  Model none = with_groups(0);
  add_networks_for_all(none, 1);
  EXPECT_EQ(bytes_of(with_others(none)), bytes_of(none)) << "no group has rows";
  const Model one = with_groups(1);
  EXPECT_LE(bytes_of(with_others(one)) - bytes_of(one), kOthers * sizeof(std::uint32_t));
}

TEST(PermitTable, GrowsWithItsRowsWhereNetworksLieInsideOthers) {
  Model model = with_groups(0);
  std::int64_t id = 1;
  for (int length = 1; length <= 24; ++length)
    for (int port = 1; port <= 40; ++port)
      model.port_permits.push_back({id++,
                                    {},
                                    "udp",
                                    std::to_string(port * 10),
                                    "8.0.0.0/" + std::to_string(length < 5 ? 5 : length),
                                    "deny",
                                    10,
                                    {}});
  const std::size_t without = bytes_of(model);
  add_networks_for_all(model, 5000);
  EXPECT_LT(bytes_of(model) - without, 5000 * 8 * kMostOfRow) << "each has some rows around it, at most 32";
}

TEST(PermitTable, FindsTheFirstRowThroughManyNetworksAroundIt) {
  Model model = with_groups(1);
  for (int length = 5; length <= 32; ++length) {
    for (int i = 0; i < 9; ++i)  // more than are merged into one
      model.port_permits.push_back({length * 100 + i,
                                    {},
                                    "tcp",
                                    std::to_string(length * 100 + i),
                                    "8.0.0.0/" + std::to_string(length),
                                    length % 2 == 0 ? "deny" : "allow",
                                    10,
                                    {}});
  }
  const auto snapshot = compile(model, {}, 1, 0).snapshot;
  for (int length = 5; length <= 32; ++length) {
    Flow flow;
    flow.destination = IpAddress::v4(0x0800'0000);
    flow.transport = kTcp;
    flow.port = static_cast<std::uint16_t>(length * 100 + length % 9);
    const Verdict inside = snapshot->judge({GroupIndex{0}, false}, flow);
    EXPECT_EQ(inside.row, flow.port);
    EXPECT_EQ(inside.action, length % 2 == 0 ? Action::deny : Action::allow);
    flow.destination = IpAddress::v4(length == 5 ? 0x1000'0000U : 0x0800'0000U + (1U << (32 - length)));
    EXPECT_NE(snapshot->judge({GroupIndex{0}, false}, flow).row, flow.port) << "just outside of /" << length;
  }
}

/// Rows for every address, each with a range of ports that lies inside that of the row before.
Model with_nested_ports(std::int64_t rows, const char* action) {
  Model model = with_groups(0);
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t first = 1 + i % 30'000;
    model.port_permits.push_back({i + 1,
                                  {},
                                  "udp",
                                  std::to_string(first) + '-' + std::to_string(65'534 - first),
                                  {},
                                  action,
                                  i % 2 == 0 ? i : 1'000'000 - i,
                                  {}});
  }
  return model;
}

/// Rows for every address and port, each before those that came first.
Model with_equal_ports(std::int64_t rows) {
  Model model = with_groups(0);
  for (std::int64_t i = 1; i <= rows; ++i)
    model.port_permits.push_back({i, {}, "any", "1-65534", {}, "allow", rows - i, {}});
  return model;
}

std::clock_t time_of_compiling(const Model& model) {
  const std::clock_t begin = std::clock();  // of the processor: others may keep it busy
  static_cast<void>(compile(model, {}, 1, 0));
  return std::clock() - begin;
}

TEST(PermitTable, TakesTimeInProportionToRowsWhosePortsNest) {
  using Make = Model (*)(std::int64_t);
  for (const Make make :
       {Make([](std::int64_t rows) { return with_nested_ports(rows, "deny"); }),
        Make([](std::int64_t rows) { return with_nested_ports(rows, "monitor"); }), Make(with_equal_ports)}) {
    const std::clock_t few = std::max(time_of_compiling(make(10'000)), CLOCKS_PER_SEC / 1000);
    EXPECT_LT(time_of_compiling(make(100'000)), 40 * few) << "not a hundred times as long for ten times the rows";
  }
}

TEST(PermitTable, GrowsWithMonitorRowsWhosePortsNestAndNamesOneThatIsNotCounted) {
  const std::size_t nothing = bytes_of(with_groups(0));
  EXPECT_LT(bytes_of(with_nested_ports(20'000, "monitor")) - nothing, 20'000 * 2 * kMostOfRow);
  const std::vector<Problem> few = compile(with_nested_ports(50, "monitor"), {}, 1, 0).problems;
  EXPECT_TRUE(few.empty());
  const std::vector<Problem> many = compile(with_nested_ports(20'000, "monitor"), {}, 1, 0).problems;
  ASSERT_EQ(many.size(), 1u);
  EXPECT_EQ(many[0].table, "port_permits");
  EXPECT_TRUE(many[0].in_force);
  EXPECT_FALSE(many[0].is_deny);
}

TEST(PermitTable, CountsAllMonitorRowsThatMeetAtOnePort) {
  Model model = with_groups(0);
  for (std::int64_t i = 1; i <= 5000; ++i) model.port_permits.push_back({i, {}, "any", "all", {}, "monitor", 10, {}});
  for (std::int64_t i = 1; i <= 5000; ++i)
    model.port_permits.push_back({10'000 + i, {}, "udp", std::to_string(i * 10), {}, "deny", i % 2 == 0 ? 5 : 20, {}});
  const Compiled compiled = compile(model, {}, 1, 0);
  EXPECT_TRUE(compiled.problems.empty());
  for (const bool denied_first : {true, false}) {
    Flow flow;
    flow.destination = IpAddress::v4(0x0808'0808);
    flow.transport = kUdp;
    flow.port = denied_first ? 20 : 30;
    SideHits monitors;
    EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow, monitors).action, Action::deny);
    EXPECT_EQ(monitors.count + monitors.more, denied_first ? 0u : 5000u);
  }
}

TEST(PermitTable, GrowsWithItsPortsWhereNetworksLieInsideOthers) {
  std::string ports;
  for (int port = 1; port < 4000; port += 2) ports += (ports.empty() ? "" : ",") + std::to_string(port);
  Model model = with_groups(0);
  for (int length = 5; length <= 12; ++length)
    model.port_permits.push_back({length, {}, "udp", ports, "8.0.0.0/" + std::to_string(length), "deny", 10, {}});
  const std::size_t without = bytes_of(model);
  add_networks_for_all(model, 4000);
  EXPECT_LT(bytes_of(model) - without, 4000 * 8 * kMostOfRow) << "none has the ports of those around it";
}

}  // namespace
}  // namespace gatehouse::policy
