// Other programs that the client starts, what the kernel takes of its rules, and how it speaks.
#include "plugins/packet-tunnel/client/console.hpp"
#include "plugins/packet-tunnel/client/kill_switch.hpp"
#include "plugins/packet-tunnel/client/run_program.hpp"
#include "plugins/packet-tunnel/client/transport_command.hpp"

#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <csignal>

namespace gatehouse::packet_tunnel {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RunProgram, GivesItsOutputAndCode) {
  const ProgramEnd got = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_TRUE(got.was_found);
  EXPECT_EQ(got.code, 3);
  EXPECT_EQ(got.output, "out\nerr\n");
}

TEST(RunProgram, SaysThatThereIsNone) { EXPECT_FALSE(run_program({"gatehouse-no-such-program"}).was_found); }

TEST(TransportCommand, IsAStream) {
  TransportCommand command("read line; echo \"got $line\"");
  const UniqueFd socket = command.take_socket();
  ASSERT_EQ(::send(socket.get(), "this\n", 5, 0), 5);
  std::array<char, 100> got;
  const ssize_t size = ::recv(socket.get(), got.data(), got.size(), 0);
  EXPECT_EQ(std::string(got.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))), "got this\n");
}

TEST(TransportCommand, EndsWithAllThatItHasStarted) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, 0), 0);  // inherited: its last writer's end is our end of file
  const UniqueFd ours(ends[0]);
  {
    const TransportCommand command("trap '' TERM; sleep 1000 & wait; sleep 1000");
    ::close(ends[1]);
  }
  char none = 0;
  EXPECT_EQ(::read(ours.get(), &none, 1), 0);
}

ClientSettings blocking() {
  ClientSettings out;
  out.device = "vpn.x-1";
  out.exclude = {*Prefix::parse("192.0.2.0/24"), *Prefix::parse("2001:db8::/32")};
  out.exclude_mark = 5;
  out.blocks_when_down = true;
  return out;
}

TEST(KillSwitch, IsOneTableThatTheKernelTakes) {
  in_own_network([] {
    Nft nft;
    put_kill_switch(nft, blocking(), 99);
    put_kill_switch(nft, blocking(), 98);  // in place of the first
    const std::string rules = output_of("nft list ruleset");
    EXPECT_THAT(rules, HasSubstr("table inet gatehouse_tunnel_vpn.x-1"));
    EXPECT_THAT(rules, HasSubstr("policy drop"));
    EXPECT_THAT(rules, HasSubstr("0x00000062"));
    EXPECT_THAT(rules, Not(HasSubstr("0x00000063")));
    EXPECT_THAT(rules, HasSubstr("ip6 daddr 2001:db8::/32 accept"));
    remove_kill_switch(nft, "vpn.x-1");
    remove_kill_switch(nft, "vpn.x-1");  // none is there any more
    EXPECT_EQ(output_of("nft list ruleset"), "");
  });
}

TEST(KillSwitch, LeavesOtherTablesAlone) {
  in_own_network([] {
    output_of("nft add table inet gatehouse_tunnel_vpn.x-2");
    Nft nft;
    put_connection_marks(nft, "vpn.x-1", 7);
    put_kill_switch(nft, blocking(), 7);
    remove_connection_marks(nft, "vpn.x-1");
    remove_kill_switch(nft, "vpn.x-1");
    EXPECT_EQ(output_of("nft list tables"), "table inet gatehouse_tunnel_vpn.x-2\n");
  });
}

TEST(Console, WritesRatesAsPeopleReadThem) {
  EXPECT_EQ(rate_text(0), "0 bit/s");
  EXPECT_EQ(rate_text(125), "1.00 kbit/s");
  EXPECT_EQ(rate_text(1'540'000), "12.3 Mbit/s");
  EXPECT_EQ(rate_text(1'000'000'000), "8.00 Gbit/s");
}

TEST(Console, LetsNobodyDrawOnTheTerminal) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ours(ends[0]), theirs(ends[1]);
  Console console(theirs.get(), false);
  console.detail("not said");
  console.status("not shown: it is no terminal");
  console.say("a\x1b[2Jb\n");
  std::array<char, 200> got;
  const ssize_t size = ::read(ours.get(), got.data(), got.size());
  EXPECT_EQ(std::string(got.data(), static_cast<std::size_t>(size)), "gatehouse-tunnel: a [2Jb \n");
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
