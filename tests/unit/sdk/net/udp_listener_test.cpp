#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <vector>

namespace gatehouse {
namespace {

UniqueFd bound(const char* address, Endpoint& local) {
  const IpAddress ip = *IpAddress::parse(address);
  UniqueFd fd(socket(ip.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  socklen_t size = Endpoint{ip, 0, 0}.to_sockaddr(storage);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
  size = sizeof storage;
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  local = Endpoint::from_sockaddr(storage);
  return fd;
}

class EchoOn : public testing::Test {
 protected:
  /// An echo on the wildcard of `family`, asked at `asked` by a connected socket. True if the answer came.
  bool answers(const char* wildcard, const char* asked, std::size_t size = 3) {
    Endpoint local;
    const UniqueFd server = bound(wildcard, local);
    Poller poller;
    UdpListener* listening = nullptr;
    UdpListener listener(poller, server.get(), [&](std::span<Datagram> datagrams) { listening->send(datagrams); });
    listening = &listener;

    UdpConnector connector(100'000);
    const auto client = connector.connect({*IpAddress::parse(asked), local.port, 0}, {});
    if (!client) return false;
    const std::vector<std::byte> payload(size, std::byte{7});
    if (send(client->get(), payload.data(), payload.size(), 0) != static_cast<ssize_t>(size)) return false;
    pollfd ready{server.get(), POLLIN, 0};
    if (poll(&ready, 1, 2000) != 1) return false;
    poller.turn();
    std::vector<std::byte> answer(70000);
    ready.fd = client->get();
    if (poll(&ready, 1, 2000) != 1) return false;
    const ssize_t n = recv(client->get(), answer.data(), answer.size(), 0);
    answer.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return answer == payload;
  }
};

// A connected client drops an answer from any other address than the one it asked.
TEST_F(EchoOn, AWildcardAnswersFromTheAddressThatWasAsked) {
  EXPECT_TRUE(answers("0.0.0.0", "127.0.0.1"));
  EXPECT_TRUE(answers("0.0.0.0", "127.9.8.7"));
  EXPECT_TRUE(answers("::", "::1"));
}

TEST_F(EchoOn, AnAddressAnswersToo) { EXPECT_TRUE(answers("127.0.0.1", "127.0.0.1")); }

TEST_F(EchoOn, CarriesTheEmptyAndTheLargestDatagram) {
  EXPECT_TRUE(answers("0.0.0.0", "127.0.0.2", 0));
  EXPECT_TRUE(answers("0.0.0.0", "127.0.0.2", kLargestUdpPayloadV4));
}

TEST(UdpConnector, LeavesFromTheGivenAddress) {
  Endpoint far_address;
  const UniqueFd far = bound("127.0.0.1", far_address);
  UdpConnector connector(100'000);
  const auto fd = connector.connect(far_address, *IpAddress::parse("127.0.0.44"));
  ASSERT_TRUE(fd);
  ASSERT_EQ(send(fd->get(), "x", 1, 0), 1);
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  char byte;
  ASSERT_EQ(recvfrom(far.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &size), 1);
  EXPECT_EQ(Endpoint::from_sockaddr(from).address.to_string(), "127.0.0.44");
}

TEST(SendSegments, SplitsIntoDatagrams) {
  Endpoint far_address;
  const UniqueFd far = bound("127.0.0.1", far_address);
  UdpConnector connector(100'000);
  const auto fd = connector.connect(far_address, {});
  ASSERT_TRUE(fd);
  const std::vector<std::byte> a(100, std::byte{1}), b(100, std::byte{2}), c(7, std::byte{3});
  const Bytes payloads[] = {a, b, c};
  ASSERT_TRUE(send_segments(fd->get(), payloads, 100));
  for (const auto& expected : {a, b, c}) {
    std::vector<std::byte> got(200);
    const ssize_t n = recv(far.get(), got.data(), got.size(), 0);
    ASSERT_GT(n, 0);
    got.resize(static_cast<std::size_t>(n));
    EXPECT_EQ(got, expected);
  }
}

}  // namespace
}  // namespace gatehouse
