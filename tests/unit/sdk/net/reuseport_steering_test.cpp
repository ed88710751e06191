#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/reuseport_steering.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include "tests/unit/sdk/net/bound_socket.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

constexpr PayloadNumber kVni{4, 3};

class Steering : public testing::TestWithParam<const char*> {
 protected:
  /// A group of `count` sockets, made as the gateway does: the first one binds before it shares.
  void make_group(std::size_t count) {
    const IpAddress address = *IpAddress::parse(GetParam());
    const int on = 1;
    group.push_back(bound(address));
    to = local_of(group[0]);
    ASSERT_EQ(setsockopt(group[0].get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    while (group.size() < count) group.push_back(bound(address, to.port, true));
    if (to.address.is_unspecified()) to.address = *IpAddress::parse(to.address.is_v4() ? "127.0.0.1" : "::1");
  }

  /// Where a datagram of a new client comes out.
  std::size_t arrives_at(Bytes payload) {
    UdpConnector connector(100'000);
    const auto client = connector.connect(to, {});
    if (!client || send(client->get(), payload.data(), payload.size(), 0) < 0) return group.size();
    return readable();
  }
  std::size_t readable() {
    std::vector<pollfd> ready;
    for (const UniqueFd& fd : group) ready.push_back({fd.get(), POLLIN, 0});
    if (poll(ready.data(), ready.size(), 2000) != 1) return group.size();
    for (std::size_t i = 0; i < ready.size(); ++i) {
      if (ready[i].revents == 0) continue;
      while (next_of(group[i], nullptr, 0)) {
      }
      return i;
    }
    return group.size();
  }
  static std::vector<std::byte> geneve(std::uint32_t vni, std::size_t size = 40) {
    std::vector<std::byte> out(size, std::byte{0xee});
    store_big(MutableBytes(out).subspan(4), vni << 8 | 0x5a);
    return out;
  }

  std::vector<UniqueFd> group;
  Endpoint to;
};

TEST_P(Steering, TheNumberNamesTheSocket) {
  make_group(3);
  ASSERT_TRUE(steer_by(group[1].get(), kVni, 3));
  for (const std::uint32_t vni : {0u, 1u, 2u, 3u, 255u, 256u, 257u, 65535u, 65536u, 65537u, 0xfffffeu, 0xffffffu}) {
    for (int client = 0; client < 4; ++client) EXPECT_EQ(arrives_at(geneve(vni)), vni % 3) << vni;
  }
}

TEST_P(Steering, NothingBehindTheNumberIsNeededAndTooShortIsSocketZero) {
  make_group(2);
  ASSERT_TRUE(steer_by(group[0].get(), kVni, 2));
  auto payload = geneve(7, 8);
  payload.pop_back();
  for (int client = 0; client < 8; ++client) EXPECT_EQ(arrives_at(payload), 1u);
  payload.pop_back();
  for (int client = 0; client < 8; ++client) EXPECT_EQ(arrives_at(payload), 0u);
  for (int client = 0; client < 8; ++client) EXPECT_EQ(arrives_at({}), 0u);
}

TEST_P(Steering, NumbersOfAnyWidthAreBigEndian) {
  make_group(5);
  const std::vector<std::byte> payload = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x79}};
  const std::uint32_t numbers[] = {0x12, 0x1234, 0x123456, 0x12345679};
  for (std::uint32_t width = 1; width <= 4; ++width) {
    ASSERT_TRUE(steer_by(group[0].get(), {0, width}, 5));
    EXPECT_EQ(arrives_at(payload), numbers[width - 1] % 5) << width;
  }
}

TEST_P(Steering, ManyInOnePieceGoTogether) {
  make_group(2);
  ASSERT_TRUE(steer_by(group[0].get(), kVni, 2));
  UdpConnector connector(100'000);
  const auto client = connector.connect(to, {});
  ASSERT_TRUE(client);
  for (const std::uint32_t vni : {4u, 5u}) {
    const auto payload = geneve(vni);
    const std::vector<Bytes> run(16, Bytes(payload));
    ASSERT_TRUE(send_segments(client->get(), run, payload.size()));
    EXPECT_EQ(readable(), vni % 2);
  }
}

TEST_P(Steering, OneSocketNeedsNone) {
  make_group(1);
  EXPECT_TRUE(steer_by(group[0].get(), kVni, 1));
  EXPECT_EQ(arrives_at(geneve(1)), 0u);
}

TEST_P(Steering, SaysWhenThereIsNoGroup) {
  const UniqueFd alone = bound(*IpAddress::parse(GetParam()));
  EXPECT_EQ(steer_by(alone.get(), kVni, 2).error().value(), EINVAL);
  EXPECT_EQ(steer_by(alone.get(), {0, 5}, 2).error(), Errc::invalid);
  EXPECT_EQ(steer_by(alone.get(), {0, 0}, 2).error(), Errc::invalid);
  EXPECT_EQ(steer_by(alone.get(), kVni, 0).error(), Errc::invalid);
}

INSTANTIATE_TEST_SUITE_P(Addresses, Steering, testing::Values("127.0.0.1", "0.0.0.0", "::1", "::"),
                         [](const auto& test) { return std::string("At") + std::to_string(test.index); });

}  // namespace
}  // namespace gatehouse
