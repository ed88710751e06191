// What the kernel says of a machine's addresses, in a network namespace where nothing else changes them.
#include "gateway/policy/own_addresses.hpp"

#include "tests/unit/own_process.hpp"

#include <gmock/gmock.h>

#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace gatehouse {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;

class OwnNetwork : public testing::Test {
 protected:
  /// Runs `task` in a process that has a network of its own: a loopback interface that is down.
  template <class Task>
  void in_a_network(Task task) {
    in_own_process(
        "network namespace",
        [] { return ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0; }, task);
  }

  static sockaddr address(std::string_view text) {
    sockaddr_storage all{};
    const socklen_t size = Endpoint{IpAddress::parse(text).value(), 0, 0}.to_sockaddr(all);
    sockaddr out{};
    std::memcpy(&out, &all, std::min<std::size_t>(size, sizeof out));
    return out;
  }
  static ifreq interface(std::string_view name) {
    ifreq out{};
    name.copy(out.ifr_name, IFNAMSIZ - 1);
    return out;
  }
  static void ask(unsigned long what, void* with) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::ioctl(socket.get(), what, with), 0) << std::strerror(errno);
  }
  static void bring_up() {
    ifreq loopback = interface("lo");
    loopback.ifr_flags = IFF_UP;
    ask(SIOCSIFFLAGS, &loopback);
  }
  static void add_address(std::string_view label, std::string_view text) {
    ifreq with = interface(label);
    with.ifr_addr = address(text);
    ask(SIOCSIFADDR, &with);
  }
  /// SIOCADDRT or SIOCDELRT, of a network that is reached by loopback and not delivered there.
  static void route(unsigned long what) {
    char name[] = "lo";
    rtentry network{};
    network.rt_dst = address("198.51.100.0");
    network.rt_genmask = address("255.255.255.0");
    network.rt_flags = RTF_UP;
    network.rt_dev = name;
    ask(what, &network);
  }
};

Prefix prefix(std::string_view text) { return Prefix::parse(text).value(); }

TEST_F(OwnNetwork, TellsOfAddressesThatComeAndGo) {
  in_a_network([] {
    OwnAddressWatch watch;
    EXPECT_THAT(read_own_addresses().own, IsEmpty());
    EXPECT_FALSE(watch.drain(read_own_addresses()));
    bring_up();
    pollfd ready{watch.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 0), 1);
    EXPECT_TRUE(watch.drain(read_own_addresses()));
    EXPECT_THAT(read_own_addresses().own, Contains(prefix("127.0.0.1/32")));
    add_address("lo:1", "203.0.113.7");
    EXPECT_TRUE(watch.drain(read_own_addresses()));
    EXPECT_THAT(read_own_addresses().own, Contains(prefix("203.0.113.7/32")));
    add_address("lo:1", "0.0.0.0");
    EXPECT_TRUE(watch.drain(read_own_addresses()));
    EXPECT_THAT(read_own_addresses().own, Not(Contains(prefix("203.0.113.7/32"))));
  });
}

TEST_F(OwnNetwork, IsNotWokenByRoutesThatDeliverNothingHere) {
  in_a_network([] {
    OwnAddressWatch watch;
    bring_up();
    bool is_quiet = false;
    for (int i = 0; i < 5 && !is_quiet; ++i) {  // once nothing else happens
      static_cast<void>(watch.drain(read_own_addresses()));
      route(SIOCADDRT);
      route(SIOCDELRT);
      is_quiet = !watch.drain(read_own_addresses());
    }
    EXPECT_TRUE(is_quiet);
    EXPECT_THAT(read_own_addresses().own, Not(Contains(prefix("198.51.100.0/24"))));
  });
}

}  // namespace
}  // namespace gatehouse
