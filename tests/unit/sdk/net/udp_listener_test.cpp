#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>
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

/// Two listeners on one lane, and what the second was told.
class UdpPair : public testing::Test {
 protected:
  void between(const char* near_address, const char* far_address) {
    near_fd = bound(near_address, near);
    far_fd = bound(far_address, far);
    near_listener.emplace(poller, near_fd.get(), [](std::span<Datagram>) {});
    far_listener.emplace(poller, far_fd.get(), [this](std::span<Datagram> datagrams) {
      for (const Datagram& one : datagrams) {
        seen.push_back(one);
        payloads.emplace_back(one.payload.begin(), one.payload.end());
      }
    });
  }
  void receive(std::size_t count) {
    for (pollfd ready{far_fd.get(), POLLIN, 0}; seen.size() < count && poll(&ready, 1, 2000) == 1;) poller.turn();
  }
  static Datagram datagram(std::vector<std::byte>& payload, const Endpoint& to) {
    Datagram out{};
    out.payload = payload;
    out.remote = to;
    return out;
  }

  Poller poller;
  Endpoint near, far;
  UniqueFd near_fd, far_fd;
  std::optional<UdpListener> near_listener, far_listener;
  std::vector<Datagram> seen;
  std::vector<std::vector<std::byte>> payloads;
};

TEST_F(UdpPair, ADatagramWithoutALocalAddressLeavesToo) {
  between("127.0.0.1", "127.0.0.1");
  std::vector<std::byte> payload(3, std::byte{1});
  const Datagram out[] = {datagram(payload, far)};
  EXPECT_EQ(near_listener->send(out), 1u);
  receive(1);
  ASSERT_EQ(payloads.size(), 1u);
  EXPECT_EQ(payloads[0], payload);
  EXPECT_EQ(seen[0].remote, near);
  EXPECT_EQ(seen[0].local.to_string(), "127.0.0.1");
}

TEST_F(UdpPair, TellsTheAddressThatWasAskedOfBothFamilies) {
  between("::", "::");
  std::vector<std::byte> payload(1, std::byte{1});
  const Datagram out[] = {datagram(payload, {*IpAddress::parse("::1"), far.port, 0})};
  EXPECT_EQ(near_listener->send(out), 1u);
  receive(1);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].local.to_string(), "::1");
  EXPECT_NE(seen[0].link, 0u);
}

TEST_F(UdpPair, SendsMoreThanABatchAndSkipsWhatCannotGo) {
  between("127.0.0.1", "127.0.0.1");
  std::vector<std::vector<std::byte>> sent;
  for (int i = 0; i < 150; ++i) sent.emplace_back(4, static_cast<std::byte>(i));
  std::vector<Datagram> out;
  for (auto& payload : sent) out.push_back(datagram(payload, far));
  out[0].remote = out[70].remote = {*IpAddress::parse("::1"), far.port, 0};  // not from a socket of IPv4
  EXPECT_EQ(near_listener->send(out), 148u);
  receive(148);
  ASSERT_EQ(payloads.size(), 148u);
  sent.erase(sent.begin() + 70);
  sent.erase(sent.begin());
  EXPECT_EQ(payloads, sent);
}

}  // namespace
}  // namespace gatehouse
