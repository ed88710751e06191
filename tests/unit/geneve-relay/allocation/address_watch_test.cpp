// Addresses of the real kernel, in a network of the test's own.
#include "plugins/geneve-relay/allocation/address_watch.hpp"

#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <poll.h>

namespace gatehouse::geneve_relay {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> usable() {
  const auto found = usable_addresses();
  EXPECT_TRUE(found.has_value()) << found.error().message();
  std::vector<std::string> out;
  if (found)
    for (const IpAddress& one : *found) out.push_back(one.to_string());
  return out;
}

void make_link() { output_of("ip tuntap add mode tun name wan0 && ip link set up dev wan0"); }

TEST(AddressWatch, KnowsWhatOthersMayBeTold) {
  in_own_network([] {
    make_link();
    EXPECT_THAT(usable(), UnorderedElementsAre("127.0.0.1", "::1"));
    output_of("ip address add 192.0.2.1/24 dev wan0 && ip address add 192.0.2.2/24 dev wan0");
    output_of("ip address add 169.254.7.7/16 dev wan0 && ip address add 10.0.0.1 peer 10.0.0.2 dev wan0");
    output_of("ip address add 2001:db8::1/64 dev wan0 nodad");
    output_of("ip address add 2001:db8::2/64 dev wan0 nodad preferred_lft 0");  // deprecated
    EXPECT_THAT(usable(),
                UnorderedElementsAre("127.0.0.1", "::1", "192.0.2.1", "192.0.2.2", "10.0.0.1", "2001:db8::1"));
    output_of("ip address del 192.0.2.1/24 dev wan0 && ip address del 2001:db8::1/64 dev wan0");
    EXPECT_THAT(usable(), testing::Not(testing::Contains("192.0.2.1")));
    EXPECT_THAT(usable(), testing::Not(testing::Contains("2001:db8::1")));
  });
}

TEST(AddressWatch, TellsWhenTheyComeAndGo) {
  in_own_network([] {
    make_link();
    Poller poller;
    unsigned told = 0;
    AddressWatch watch(poller, [&] { ++told; });
    ASSERT_TRUE(watch.works());
    const auto is_told = [&] {
      pollfd ready{poller.fd(), POLLIN, 0};
      const unsigned before = told;
      if (poll(&ready, 1, 5000) == 1) poller.turn();
      return told > before;
    };
    while (poller.turn() > 0) {
    }
    output_of("ip address add 192.0.2.1/24 dev wan0");
    EXPECT_TRUE(is_told());
    output_of("ip address del 192.0.2.1/24 dev wan0");
    EXPECT_TRUE(is_told());
    output_of("for i in $(seq 250); do echo address add 192.0.2.$i/24 dev wan0; done | ip -batch -");
    EXPECT_TRUE(is_told());
    EXPECT_EQ(usable().size(), 252u);
  });
}

TEST(AddressWatch, ReadsNothingBroken) {
  std::vector<IpAddress> out;
  const std::vector<std::byte> broken(64, std::byte{0xff});
  for (std::size_t n = 0; n <= broken.size(); ++n) EXPECT_TRUE(read_addresses(Bytes(broken).first(n), out)) << n;
  EXPECT_THAT(out, IsEmpty());
}

}  // namespace
}  // namespace gatehouse::geneve_relay
