#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include "tests/unit/sdk/net/bound_socket.hpp"

#include <gtest/gtest.h>

#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <vector>

namespace gatehouse {
namespace {

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

struct Asked {
  const char* name;
  const char* wildcard;
  const char* address;
};

/// An echo at a wildcard that takes what came in one piece so, and a client that sends it.
class Aggregates : public testing::TestWithParam<Asked> {
 protected:
  void begin(UdpListener::Options options) {
    server = bound(*IpAddress::parse(GetParam().wildcard));
    const Endpoint at{*IpAddress::parse(GetParam().address), local_of(server).port, 0};
    UdpConnector connector(1 << 22);
    auto connected = connector.connect(at, {});
    ASSERT_TRUE(connected);
    client = std::move(*connected);
    listener.emplace(
        poller, server.get(),
        [this](std::span<Datagram> datagrams) {
          for (const Datagram& one : datagrams) {
            seen.push_back(one);
            seen.back().payload = {};
            sizes.push_back(one.payload.size());
            listener->queue(one);
          }
          listener->flush();
        },
        options);
  }
  void send_run(int first, std::size_t count, std::size_t size, std::size_t last) {
    std::vector<std::vector<std::byte>> run;
    for (std::size_t i = 0; i < count; ++i)
      run.emplace_back(i + 1 < count ? size : last, static_cast<std::byte>(first + static_cast<int>(i)));
    const std::vector<Bytes> payloads(run.begin(), run.end());
    ASSERT_TRUE(send_segments(client.get(), payloads, size));
    sent.insert(sent.end(), run.begin(), run.end());
  }
  void send_one(int value, std::size_t size) {
    sent.emplace_back(size, static_cast<std::byte>(value));
    ASSERT_EQ(send(client.get(), sent.back().data(), size, 0), static_cast<ssize_t>(size));
  }
  void expect_back() {
    for (pollfd ready{server.get(), POLLIN, 0}; poll(&ready, 1, 0) == 1;) poller.turn();
    for (const auto& one : sent) ASSERT_EQ(next_of(client), one);
    EXPECT_FALSE(next_of(client, nullptr, 0));
  }

  Poller poller;
  UniqueFd server, client;
  std::optional<UdpListener> listener;
  std::vector<Datagram> seen;
  std::vector<std::size_t> sizes;
  std::vector<std::vector<std::byte>> sent;
};

TEST_P(Aggregates, WhatCameInOnePieceIsGivenAndSentSo) {
  begin({.aggregates = true});
  send_run(0, 32, 1200, 700);
  send_one(77, 1200);
  send_run(100, 10, 90, 90);
  expect_back();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].segment, 1200u);
  EXPECT_EQ(sizes[0], 31u * 1200 + 700);
  EXPECT_EQ(seen[1].segment, 0u);
  EXPECT_EQ(seen[2].segment, 90u);
  for (const Datagram& one : seen) {
    EXPECT_EQ(one.local.to_string(), GetParam().address);
    EXPECT_EQ(one.remote.port, local_of(client).port);
  }
  const BatchCounters& counters = listener->counters();
  EXPECT_EQ(counters.receive_calls, 1u);
  EXPECT_EQ(counters.buffers_received, 3u);
  EXPECT_EQ(counters.datagrams_received, 43u);
  EXPECT_EQ(counters.send_calls, 1u);
  EXPECT_EQ(counters.messages_sent, 3u);
  EXPECT_EQ(counters.datagrams_sent, 43u);
}

TEST_P(Aggregates, ABufferKeepsNothingOfWhatItHadBefore) {
  begin({.aggregates = true});
  send_one(1, 500);
  expect_back();
  sent.clear();
  send_run(2, 5, 400, 400);
  expect_back();
  sent.clear();
  send_one(3, 500);
  expect_back();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[1].segment, 400u);
  EXPECT_EQ(seen[2].segment, 0u);
  EXPECT_EQ(listener->counters().truncated, 0u);
}

TEST_P(Aggregates, OtherwiseDatagramsAreSingle) {
  begin({});
  send_run(0, 20, 100, 70);
  expect_back();
  ASSERT_EQ(seen.size(), 20u);
  for (const Datagram& one : seen) EXPECT_EQ(one.segment, 0u);
  EXPECT_EQ(listener->counters().datagrams_received, 20u);
  EXPECT_EQ(listener->counters().messages_sent, 1u);
}

TEST_P(Aggregates, WithoutSegmentationPiecesAreCut) {
  begin({.aggregates = true, .gso = Gso::off});
  EXPECT_FALSE(listener->segments());
  send_run(0, 20, 100, 70);
  expect_back();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(listener->counters().messages_sent, 20u);
}

// What else the socket has been told to tell of leaves no room: the size of the pieces may be missing.
TEST_P(Aggregates, WhoseControlMessagesDoNotFitIsDropped) {
  begin({.aggregates = true});
  const int on = 1;
  ASSERT_EQ(setsockopt(server.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), 0);
  for (const int option : {IP_RECVTTL, IP_RECVTOS, IP_RECVORIGDSTADDR, IP_PKTINFO})
    setsockopt(server.get(), IPPROTO_IP, option, &on, sizeof on);
  for (const int option : {IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVORIGDSTADDR})
    setsockopt(server.get(), IPPROTO_IPV6, option, &on, sizeof on);
  send_one(1, 100);
  sent.clear();
  expect_back();
  EXPECT_TRUE(seen.empty());
  EXPECT_EQ(listener->counters().truncated, 1u);
  EXPECT_EQ(listener->counters().buffers_received, 1u);
  EXPECT_EQ(listener->counters().datagrams_received, 0u);
}

TEST_P(Aggregates, ATurnIsBounded) {
  begin({.aggregates = true});
  for (int i = 0; i < 100; ++i) send_one(i, 10);
  poller.turn();
  EXPECT_EQ(seen.size(), 64u);
  expect_back();
  EXPECT_EQ(seen.size(), 100u);
}

// A batch is read, and sent, while the core's cache holds it.
TEST_P(Aggregates, ABatchOfLargePiecesIsSmallUntilSmallOnesCome) {
  begin({.aggregates = true, .receive_buffer = 1 << 20});
  const auto read_of = [this](std::size_t pieces) {
    for (std::size_t i = 0; i < pieces; ++i) send_run(0, 20, 1600, 1600);
    seen.clear();
    poller.turn();
    return seen.size();
  };
  EXPECT_EQ(read_of(1), 1u);
  EXPECT_EQ(read_of(9), 8u);  // 256 KiB
  EXPECT_EQ(read_of(0), 1u);
  for (int i = 0; i < 40; ++i) send_one(i, 10);
  EXPECT_EQ(read_of(0), 8u);
  EXPECT_EQ(read_of(0), 32u);
}

constexpr Asked kAsked[] = {{"V4", "0.0.0.0", "127.3.2.1"},
                            {"V6", "::", "::1"},
                            {"V4OverV6", "::", "127.3.2.1"},
                            {"One", "127.0.0.1", "127.0.0.1"}};
INSTANTIATE_TEST_SUITE_P(Families, Aggregates, testing::ValuesIn(kAsked),
                         [](const auto& test) { return test.param.name; });

TEST_F(UdpPair, HasTheBuffersThatWereAskedForAndTellsWhatDidNotFit) {
  near_fd = bound("127.0.0.1", near);
  far_fd = bound("127.0.0.1", far);
  near_listener.emplace(
      poller, near_fd.get(), [](std::span<Datagram>) {},
      UdpListener::Options{.receive_buffer = 20'000, .send_buffer = 30'000});
  int bytes = 0;
  socklen_t size = sizeof bytes;
  getsockopt(near_fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, &size);
  EXPECT_EQ(bytes, 40'000);
  getsockopt(near_fd.get(), SOL_SOCKET, SO_SNDBUF, &bytes, &size);
  EXPECT_EQ(bytes, 60'000);

  EXPECT_EQ(near_listener->overflows(), 0u);
  const std::vector<std::byte> payload(1000);
  sockaddr_storage to{};
  const socklen_t length = near.to_sockaddr(to);
  for (int i = 0; i < 100; ++i)
    sendto(far_fd.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), length);
  EXPECT_GT(near_listener->overflows(), 10u);
  EXPECT_LT(near_listener->overflows(), 100u);
}

/// An address that needs a zone, of any interface that has one.
std::optional<Endpoint> link_local() {
  std::optional<Endpoint> out;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return out;
  for (const ifaddrs* one = all; one != nullptr && !out; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET6) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, one->ifa_addr, sizeof(sockaddr_in6));
    if (const auto found = Endpoint::from_sockaddr(storage); found.address.is_link_local()) out = found;
  }
  freeifaddrs(all);
  return out;
}

TEST(UdpListener, AnswersOnTheLinkOfALinkLocalClient) {
  auto at = link_local();
  if (!at) GTEST_SKIP() << "no interface has a link-local address";
  const UniqueFd server = bound(*IpAddress::parse("::"));
  at->port = local_of(server).port;
  Poller poller;
  UdpListener* listening = nullptr;
  std::optional<Datagram> seen;
  UdpListener listener(poller, server.get(), [&](std::span<Datagram> datagrams) {
    seen = datagrams[0];
    listening->send(datagrams);
  });
  listening = &listener;
  UdpConnector connector(100'000);
  const auto client = connector.connect(*at, {});
  ASSERT_TRUE(client);
  ASSERT_EQ(send(client->get(), "x", 1, 0), 1);
  poller.turn();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->remote.scope, at->scope);
  EXPECT_NE(seen->link, 0u);
  EXPECT_TRUE(next_of(*client));
  EXPECT_EQ(listener.counters().datagrams_sent, 1u);
}

}  // namespace
}  // namespace gatehouse
