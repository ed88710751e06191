#include "plugins/packet-tunnel/client/command_line.hpp"

#include <gmock/gmock.h>

#include <sstream>

namespace gatehouse::packet_tunnel {
namespace {

using testing::HasSubstr;
using Asked = std::variant<ClientSettings, UnblockRequest, int>;

struct Read {
  Asked asked;
  std::string out, err;
};

Read read(std::vector<const char*> words) {
  words.insert(words.begin(), "gatehouse-tunnel");
  std::ostringstream out, err;
  Asked asked = read_command_line(static_cast<int>(words.size()), words.data(), out, err);
  return {std::move(asked), out.str(), err.str()};
}

ClientSettings settings_of(std::vector<const char*> words) {
  const Read got = read(std::move(words));
  EXPECT_EQ(got.err, "");
  const auto* const settings = std::get_if<ClientSettings>(&got.asked);
  return settings == nullptr ? ClientSettings() : *settings;
}

TEST(CommandLine, NeedsNoMoreThanAServer) {
  const ClientSettings got = settings_of({"gate.example:7301"});
  EXPECT_THAT(got.servers, testing::ElementsAre("gate.example:7301"));
  EXPECT_EQ(got.device, "gatehouse-tun0");
  EXPECT_EQ(got.addresses.size(), 2U);
  EXPECT_EQ(got.addresses[0].to_string(), "172.16.0.1/24");
  EXPECT_EQ(got.addresses[1].to_string(), "fd26:b6a6:4454:310a::1/64");
  EXPECT_THAT(got.dns, testing::ElementsAre(*IpAddress::parse("10.0.0.2")));
  EXPECT_TRUE(got.changes_dns && got.changes_routes && got.opening.http && got.large_frames);
  EXPECT_FALSE(got.blocks_when_down || got.mtu || got.device_fd);
}

TEST(CommandLine, TakesSeveralServers) {
  EXPECT_EQ(settings_of({"a:1", "[2001:db8::1]:2", "unix:/run/x"}).servers.size(), 3U);
}

TEST(CommandLine, UnderstandsWhatStaysOutside) {
  const ClientSettings got =
      settings_of({"a:1", "--exclude", "192.0.2.0/24", "--only", "10.0.0.0/8", "--exclude-mark", "0x10"});
  EXPECT_EQ(got.exclude_mark, 16U);
  EXPECT_EQ(got.exclude.front().to_string(), "192.0.2.0/24");
  EXPECT_EQ(got.only.front().to_string(), "10.0.0.0/8");
}

TEST(CommandLine, LeavesADeviceThatIsHandedOverAlone) {
  const ClientSettings got = settings_of({"a:1", "--device-fd", "5"});
  EXPECT_EQ(got.device_fd, 5);
  EXPECT_FALSE(got.changes_dns || got.changes_routes);
  EXPECT_TRUE(got.addresses.empty());
}

TEST(CommandLine, LeavesLargeFrames) { EXPECT_FALSE(settings_of({"a:1", "--no-large-frames"}).large_frames); }

TEST(CommandLine, UnblocksADevice) {
  const Read got = read({"--unblock", "--device", "vpn1"});
  ASSERT_TRUE(std::holds_alternative<UnblockRequest>(got.asked));
  EXPECT_EQ(std::get<UnblockRequest>(got.asked).device, "vpn1");
}

TEST(CommandLine, HelpIsNoMistake) {
  const Read got = read({"--help"});
  EXPECT_EQ(std::get<int>(got.asked), kExitYes);
  EXPECT_THAT(got.out, HasSubstr("--block-when-down"));
}

struct Wrong {
  std::vector<const char*> words;
  const char* said;
};

TEST(CommandLine, SaysWhatIsWrong) {
  const Wrong all[] = {
      {{}, "name a server"},
      {{"gate.example"}, "has no port"},
      {{"a:1", "--exec-transport", "ssh"}, "either servers or --exec-transport"},
      {{"--exec-transport", "ssh"}, "--exclude ADDRESS"},
      {{"--exec-transport", "ssh", "--no-routes", "--tls"}, "--server-name"},
      {{"a:1", "--device", "0123456789abcdef"}, "at most 15"},
      {{"a:1", "--device", "x y"}, "at most 15"},
      {{"a:1", "--address", "172.16.0.1/33"}, "--address takes"},
      {{"a:1", "--address", "10.0.0.1/8", "--address", "10.0.0.2/8"}, "once for IPv4"},
      {{"a:1", "--only", "10.0.0.1/8"}, "--only takes"},
      {{"a:1", "--exclude-mark", "0"}, "--exclude-mark takes"},
      {{"a:1", "--exclude-mark", "-1"}, "--exclude-mark takes"},
      {{"a:1", "--no-routes", "--only", "10.0.0.0/8"}, "--no-routes"},
      {{"a:1", "--mtu", "1000"}, "--mtu"},
      {{"a:1", "--dns", "example"}, "--dns takes"},
      {{"a:1", "--no-dns", "--dns", "10.0.0.9"}, "exclude each other"},
      {{"a:1", "--ca", "x"}, "--ca needs --tls"},
      {{"a:1", "--device-fd", "3", "--address", "10.9.0.1/24"}, "--device-fd"},
      {{"a:1", "--wrong"}, "--wrong"},
  };
  for (const Wrong& one : all) {
    const Read got = read(one.words);
    ASSERT_TRUE(std::holds_alternative<int>(got.asked)) << one.said;
    EXPECT_EQ(std::get<int>(got.asked), kExitWrong);
    EXPECT_THAT(got.err, HasSubstr(one.said));
    EXPECT_THAT(got.err, testing::StartsWith("gatehouse-tunnel: "));
  }
}

TEST(DeviceAddress, KeepsItsHostBits) {
  EXPECT_EQ(DeviceAddress::parse("10.1.2.3/8")->to_string(), "10.1.2.3/8");
  EXPECT_EQ(DeviceAddress::parse("10.1.2.3")->to_string(), "10.1.2.3/32");
  for (const char* text : {"", "/8", "10.1.2.3/", "10.1.2.3/0", "10.1.2.3/33", "10.1.2.3/1x", "10.1.2.3/1234", "::/64",
                           "127.0.0.1/8", "ff02::1/64", "fd00::1/129"})
    EXPECT_FALSE(DeviceAddress::parse(text)) << text;
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
