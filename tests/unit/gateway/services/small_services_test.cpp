// Clock, random, values, descriptors and ranges.
#include "gateway/services/clock_random.hpp"
#include "gateway/services/fds.hpp"
#include "gateway/services/host_services.hpp"
#include "gateway/services/ranges.hpp"
#include "gateway/services/values.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace gatehouse {
namespace {

TEST(Clock, RunsForward) {
  const gh_clock& clock = *clock_table();
  const std::uint64_t first = clock.monotonic_ns(clock.context);
  EXPECT_GE(clock.monotonic_ns(clock.context), first);
  EXPECT_GT(clock.realtime_ns(clock.context), 1'600'000'000'000'000'000u);
}

TEST(Random, FillsEveryByte) {
  std::array<std::uint8_t, 600> bytes{};  // more than one getrandom() is sure to give at once
  const gh_random& random = *random_table();
  ASSERT_EQ(random.fill(random.context, bytes.data(), bytes.size()), GH_OK);
  EXPECT_TRUE(std::any_of(bytes.end() - 16, bytes.end(), [](std::uint8_t b) { return b != 0; }));
}

TEST(Values, OutliveTheInstanceAndBelongToOnePlugin) {
  const auto durability = std::make_shared<Durability>();
  const auto all = std::make_shared<ValueTable>(durability);
  {
    const PluginValues face(all, durability, "udpgw");
    EXPECT_EQ(face.table()->put(face.table()->context, to_border("key"), to_border("abc"), GH_VALUE_SECRET, nullptr),
              GH_OK);
  }
  const PluginValues face(all, durability, "udpgw"), other(all, durability, "echo");
  std::array<std::uint8_t, 2> small{};
  std::array<std::uint8_t, 3> large{};
  std::size_t size = 0;
  const auto get = [&size](const PluginValues& from, auto& out) {
    return from.table()->get(from.table()->context, to_border("key"), out.data(), out.size(), &size);
  };
  EXPECT_EQ(get(face, small), GH_OK);
  EXPECT_EQ(size, 3u);
  EXPECT_EQ(small[0], 0);
  EXPECT_EQ(get(face, large), GH_OK);
  EXPECT_EQ(large[2], 'c');
  EXPECT_EQ(get(other, large), GH_E_NOT_FOUND);
}

TEST(Values, AreAtMost4096Bytes) {
  const PluginValues face(std::make_shared<ValueTable>(), std::make_shared<Durability>(), "udpgw");
  const std::string large(4097, 'x');
  EXPECT_EQ(face.table()->put(face.table()->context, to_border("key"), to_border(large), GH_VALUE_PLAIN, nullptr),
            GH_E_INVALID);
}

TEST(Fds, AreClosedWhenTheirPluginIsGone) {
  const auto all = std::make_shared<FdTable>();
  const PluginFds face(all, "tunnel"), other(all, "relay");
  std::array<std::int32_t, 1> fd{STDERR_FILENO};
  for (const PluginFds* one : {&face, &other})
    ASSERT_EQ(one->table()->keep(one->table()->context, to_border("tun"), fd.data(), 1), GH_OK);
  all->drop("tunnel");
  std::size_t count = 0;
  EXPECT_EQ(face.table()->take(face.table()->context, to_border("tun"), fd.data(), 1, &count), GH_E_NOT_FOUND);
  ASSERT_EQ(other.table()->take(other.table()->context, to_border("tun"), fd.data(), 1, &count), GH_OK);
  close(fd[0]);
}

TEST(Fds, AreHandedToTheNextInstance) {
  const auto all = std::make_shared<FdTable>();
  std::array<std::int32_t, 2> pipe_ends{};
  ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  {
    const PluginFds face(all, "tunnel");
    EXPECT_EQ(face.table()->keep(face.table()->context, to_border("tun"), pipe_ends.data(), 2), GH_OK);
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);

  const PluginFds face(all, "tunnel");
  std::array<std::int32_t, 2> out{};
  std::size_t count = 0;
  EXPECT_EQ(face.table()->take(face.table()->context, to_border("tun"), out.data(), 1, &count), GH_E_LIMIT);
  EXPECT_EQ(count, 2u);
  ASSERT_EQ(face.table()->take(face.table()->context, to_border("tun"), out.data(), 2, &count), GH_OK);
  ASSERT_EQ(count, 2u);
  EXPECT_EQ(write(out[1], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(out[0], &byte, 1), 1);
  EXPECT_EQ(face.table()->take(face.table()->context, to_border("tun"), out.data(), 2, &count), GH_E_NOT_FOUND);
  close(out[0]);
  close(out[1]);
}

TEST(Fds, ThatNobodyTookAreClosedButForThoseOfTheInstanceItself) {
  const auto all = std::make_shared<FdTable>();
  std::array<std::int32_t, 2> pipe_ends{}, out{};
  ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  const PluginFds old(all, "tunnel");
  PluginFds face(all, "tunnel");
  const auto keep = [&](const PluginFds& by, std::string_view name) {
    return by.table()->keep(by.table()->context, to_border(name), &pipe_ends[1], 1);
  };
  std::size_t count = 0;
  const auto take = [&](std::string_view name) {
    return face.table()->take(face.table()->context, to_border(name), out.data(), 1, &count);
  };
  ASSERT_EQ(keep(old, "a"), GH_OK);
  ASSERT_EQ(keep(face, "b"), GH_OK);
  face.close_untaken();
  EXPECT_EQ(take("a"), GH_E_NOT_FOUND);
  EXPECT_EQ(take("b"), GH_OK);
  for (const std::int32_t fd : {pipe_ends[0], pipe_ends[1], out[0]}) close(fd);
}

TEST(Fds, AreBounded) {
  const auto all = std::make_shared<FdTable>();
  const std::vector<std::int32_t> many(FdTable::kMostFds + 1, STDERR_FILENO);
  const auto keep = [&many](const PluginFds& by, std::string_view name, std::size_t count) {
    return by.table()->keep(by.table()->context, to_border(name), many.data(), count);
  };
  const PluginFds earlier(all, "tunnel"), face(all, "tunnel"), other(all, "relay");
  EXPECT_EQ(keep(face, "0", many.size()), GH_E_LIMIT);
  EXPECT_EQ(keep(earlier, "0", FdTable::kMostFds), GH_OK);
  EXPECT_EQ(keep(face, "1", 1), GH_E_LIMIT) << "with those of an earlier instance";
  EXPECT_EQ(keep(face, "0", 1), GH_OK) << "in place of what the name holds";
  for (std::size_t i = 1; i < FdTable::kMostNames; ++i) EXPECT_EQ(keep(face, std::to_string(i), 1), GH_OK);
  EXPECT_EQ(keep(face, "one more", 1), GH_E_LIMIT);
  EXPECT_EQ(keep(face, "one more", 0), GH_E_LIMIT);
  EXPECT_EQ(keep(other, "one more", 1), GH_OK) << "each plugin has its own";
}

TEST(Fds, OfAPluginThatIsHeldOutliveItsGoing) {
  const auto all = std::make_shared<FdTable>();
  PluginFds face(all, "tunnel");
  std::array<std::int32_t, 1> fd{STDERR_FILENO};
  std::size_t count = 0;
  const auto is_kept = [&] {
    return face.table()->take(face.table()->context, to_border("tun"), fd.data(), 0, &count) == GH_E_LIMIT;
  };
  for (const bool settles : {false, true}) {
    ASSERT_EQ(face.table()->keep(face.table()->context, to_border("tun"), fd.data(), 1), GH_OK);
    all->hold("tunnel");
    all->drop("tunnel");
    EXPECT_TRUE(is_kept());
    settles ? face.close_untaken() : all->release("tunnel");
    EXPECT_TRUE(is_kept());
    all->drop("tunnel");
    EXPECT_FALSE(is_kept());
  }
}

TEST(Ranges, AreOneWithAllNumbersForAGatewayThatIsAlone) {
  const gh_ranges& ranges = *ranges_table();
  std::array<gh_range, 2> out{};
  std::size_t count = 0;
  ASSERT_EQ(ranges.get(ranges.context, to_border("vni"), out.data(), out.size(), &count), GH_OK);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(out[0].first, 0u);
  EXPECT_EQ(out[0].last, UINT64_MAX);
  EXPECT_EQ(ranges.get(ranges.context, to_border("vni"), nullptr, 0, &count), GH_OK);
  EXPECT_EQ(ranges.get(ranges.context, to_border(""), out.data(), out.size(), &count), GH_E_INVALID);
}

TEST(HostOffer, HasATableForEachInterfaceThatIsOffered) {
  HostServices services;
  services.journal = std::make_shared<Journal>(-1, LogFormat::text);
  PluginConfig config;
  config.name = "udpgw";
  const HostOffer offer(services, config, std::make_shared<PluginMetrics>("udpgw", 1), std::make_shared<PluginBudget>(),
                        std::make_shared<PluginNotices>());
  for (const std::string_view id : offered_interfaces()) {
    const auto* const table = static_cast<const std::uint32_t*>(offer.find(id));
    ASSERT_NE(table, nullptr) << id;
    EXPECT_GT(table[0], 0u) << id;  // its struct_size
    EXPECT_EQ(table[1], 0u) << id << ": reserved";
  }
  EXPECT_EQ(offer.find("gh.teleport/1"), nullptr);
}

}  // namespace
}  // namespace gatehouse
