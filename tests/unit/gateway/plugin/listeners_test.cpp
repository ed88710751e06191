#include "gateway/plugin/listeners.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/plugin/epolls.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/net/reuseport_steering.hpp>
#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <fstream>
#include <set>
#include <thread>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

ListenAddress inet(ListenAddress::Kind kind, const std::string& text) {
  ListenAddress address;
  address.kind = kind;
  address.text = text;
  address.endpoint = Endpoint::parse(text).value();
  return address;
}
ListenAddress tcp(const std::string& text) { return inet(ListenAddress::Kind::tcp, text); }
ListenAddress udp(const std::string& text) { return inet(ListenAddress::Kind::udp, text); }
ListenAddress at_path(const fs::path& path) {
  ListenAddress address;
  address.kind = ListenAddress::Kind::unix_stream;
  address.text = "unix:" + path.string();
  address.path = path;
  return address;
}

std::shared_ptr<BoundListener> bind_listener(const ListenAddress& address, unsigned lanes = 1) {
  return std::make_shared<BoundListener>(7, "good", "listen", address, lanes);
}

template <class F>
std::string refusal_of(F listen) {
  try {
    listen();
  } catch (const Refusal& why) {
    return why.what();
  }
  return "";
}

/// Of `run`, and of `check`, which says the same.
std::string refusal(const ListenAddress& address) {
  const std::string why = refusal_of([&] { bind_listener(address); });
  EXPECT_EQ(refusal_of([&] { require_bindable(address, "good", "listen", false); }), why);
  return why;
}

/// 0, or errno of a connect.
int connect_to(const sockaddr* address, socklen_t size) {
  const UniqueFd fd(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), address, size) == 0 ? 0 : errno;
}
int connect_to(const Endpoint& endpoint) {
  sockaddr_storage address{};
  const unsigned size = endpoint.to_sockaddr(address);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), size);
}
int connect_to(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

TEST(TcpListener, TellsTheRealPortAndListens) {
  const auto listener = bind_listener(tcp("127.0.0.1:0"));
  EXPECT_NE(listener->local().port, 0);
  EXPECT_EQ(listener->reachable(), "127.0.0.1:" + std::to_string(listener->local().port));
  EXPECT_EQ(connect_to(listener->local()), 0);
}

TEST(TcpListener, GivesEachLaneADescriptorOfItsOwn) {
  const LaneSockets sockets = dup_for_lanes(bind_listener(tcp("127.0.0.1:0")), 3);
  ASSERT_EQ(sockets.fds.size(), 3u);
  std::set<int> numbers;
  for (const UniqueFd& fd : sockets.fds) {
    numbers.insert(fd.get());
    EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_EQ(numbers.size(), 3u);
}

TEST(TcpListener, RefusesConnectionsOnceRetiredAlthoughLanesHoldDups) {
  const auto listener = bind_listener(tcp("127.0.0.1:0"));
  const LaneSockets sockets = dup_for_lanes(listener, 2);
  listener->retire();
  EXPECT_EQ(connect_to(listener->local()), ECONNREFUSED);
}

TEST(TcpListener, SaysThatThePortIsTaken) {
  const auto first = bind_listener(tcp("127.0.0.1:0"));
  const std::string text = first->local().to_string();
  EXPECT_EQ(refusal(tcp(text)), "cannot listen on " + text +
                                    ": another program has it already; stop that one (`ss -lntup` names it) or change "
                                    "`listen` of [plugin.good]");
}

TEST(TcpListener, SaysThatTheAddressIsNotThisMachines) {
  EXPECT_THAT(refusal(tcp("192.0.2.1:7300")), HasSubstr("this machine has no such address"));
}

TEST(UdpListener, HasOneSocketALaneWithOnePort) {
  const auto listener = bind_listener(udp("127.0.0.1:0"), 2);
  const LaneSockets sockets = dup_for_lanes(listener, 2);
  // The kernel spreads clients over the group: with 64 of them each lane hears some.
  sockaddr_storage address{};
  const unsigned size = listener->local().to_sockaddr(address);
  for (int i = 0; i < 64; ++i) {
    const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), size), 1);
  }
  for (const UniqueFd& fd : sockets.fds) {
    pollfd wanted{fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&wanted, 1, 1000), 1);
  }
}

TEST(UdpListener, IsFreeOnceItWasRetiredAndAllDupsWereRevoked) {
  const auto listener = bind_listener(udp("127.0.0.1:0"), 2);
  LaneSockets sockets = dup_for_lanes(listener, 2);
  const std::string text = listener->local().to_string();
  std::thread waits([fd = sockets.fds[0].get()] {  // which keeps the port, too
    pollfd datagrams{fd, POLLIN, 0};
    poll(&datagrams, 1, 10'000);
  });
  listener->retire();
  EXPECT_THAT(refusal(udp(text)), HasSubstr("another program has it already"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(revoke(sockets, {}), "");
  waits.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8)) << "it is woken";
  EXPECT_EQ(refusal(udp(text)), "");
  for (const UniqueFd& fd : sockets.fds) EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);  // the number stays taken
}

TEST(UdpListener, HasWhatComesForItselfOnceDupsWereRevoked) {
  const auto listener = bind_listener(udp("127.0.0.1:0"));
  LaneSockets old = dup_for_lanes(listener, 1), next = dup_for_lanes(listener, 1);
  EXPECT_EQ(revoke(old, {}), "");
  sockaddr_storage address{};
  const unsigned size = listener->local().to_sockaddr(address);
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), size), 1);
  char byte = 0;
  EXPECT_EQ(recv(old.fds[0].get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(recv(next.fds[0].get(), &byte, 1, MSG_DONTWAIT), 1);
}

TEST(TcpListener, WakesNoEpollOnceDupsWereRevoked) {
  const auto listener = bind_listener(tcp("127.0.0.1:0"));
  LaneSockets old = dup_for_lanes(listener, 1), next = dup_for_lanes(listener, 1);
  const UniqueFd of_old(epoll_create1(EPOLL_CLOEXEC)), of_next(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  ASSERT_EQ(epoll_ctl(of_old.get(), EPOLL_CTL_ADD, old.fds[0].get(), &event), 0);
  ASSERT_EQ(epoll_ctl(of_next.get(), EPOLL_CTL_ADD, next.fds[0].get(), &event), 0);
  EXPECT_EQ(revoke(old, epolls_of_process()), "");
  EXPECT_EQ(connect_to(listener->local()), 0);
  EXPECT_EQ(epoll_wait(of_next.get(), &event, 1, 1000), 1);
  EXPECT_EQ(epoll_wait(of_old.get(), &event, 1, 0), 0);
}

TEST(Listeners, LeaveNumbersAloneThatArePluginsNoMore) {
  for (const ListenAddress& address : {tcp("127.0.0.1:0"), udp("127.0.0.1:0")}) {
    const auto listener = bind_listener(address, 2);
    LaneSockets sockets = dup_for_lanes(listener, 2);
    UniqueFd somebodys(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int number = sockets.fds[1].get();
    ASSERT_EQ(dup3(somebodys.get(), number, O_CLOEXEC), number);
    listener->retire();
    EXPECT_EQ(revoke(sockets, {}), "it has closed descriptors of its listener " + address.text +
                                       ", whose numbers are left alone: " + std::to_string(number));
    sockets.fds.clear();
    char byte = 0;
    EXPECT_EQ(read(number, &byte, 1), 0) << "it is open, and what it was";
    somebodys.reset(number);
  }
}

// What steer_by() goes by: a socket's place in the kernel's group is its lane.
TEST(UdpListener, HasItsSocketsInTheOrderOfLanes) {
  constexpr unsigned kLanes = 5;
  for (const char* const at : {"127.0.0.1:0", "[::1]:0"}) {
    const auto listener = bind_listener(udp(at), kLanes);
    const LaneSockets sockets = dup_for_lanes(listener, kLanes);
    ASSERT_TRUE(steer_by(sockets.fds[0].get(), {.offset = 0, .width = 1}, kLanes));
    sockaddr_storage address{};
    const unsigned size = listener->local().to_sockaddr(address);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      for (int client = 0; client < 4; ++client) {
        const UniqueFd fd(socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(sendto(fd.get(), &lane, 1, 0, reinterpret_cast<const sockaddr*>(&address), size), 1);
        char got = 0;
        pollfd wanted{sockets.fds[lane].get(), POLLIN, 0};
        ASSERT_EQ(poll(&wanted, 1, 1000), 1) << at << ' ' << lane;
        ASSERT_EQ(recv(wanted.fd, &got, 1, 0), 1);
      }
    }
  }
}

TEST(UdpListener, TakesNoPortThatAnotherGatewayShares) {
  const auto first = bind_listener(udp("127.0.0.1:0"), 2);
  EXPECT_THAT(refusal(udp(first->local().to_string())), HasSubstr("another program has it already"));
}

TEST(UdpListener, BindsBothWildcardsToOnePort) {
  const auto v6 = bind_listener(udp("[::]:0"), 2);
  const auto v4 = bind_listener(udp("0.0.0.0:" + std::to_string(v6->local().port)), 2);
  EXPECT_EQ(v4->local().port, v6->local().port);
}

/// A stream of a listener, both ends.
struct Accepted {
  UniqueFd client, server;
};
Accepted accept_at(const BoundListener& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const UniqueFd listening = listener.dup_for(0);
  EXPECT_EQ(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  UniqueFd client(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  pollfd wanted{listening.get(), POLLIN, 0};
  EXPECT_EQ(poll(&wanted, 1, 5000), 1);
  return {std::move(client), UniqueFd(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}
/// The server's side has ended, or does so soon.
bool ends(const Accepted& stream) {
  pollfd wanted{stream.client.get(), POLLIN, 0};
  char byte;
  return poll(&wanted, 1, 5000) == 1 && recv(stream.client.get(), &byte, 1, MSG_DONTWAIT) == 0;
}
/// Nobody has ended it.
bool goes_on(const Accepted& stream) {
  char byte;
  return send(stream.server.get(), "x", 1, MSG_NOSIGNAL) == 1 && recv(stream.client.get(), &byte, 1, 0) == 1;
}

TEST(Listeners, EndTheStreamsThatCameByThem) {
  const TestFolder folder;
  for (const ListenAddress& address :
       {tcp("127.0.0.1:0"), tcp("0.0.0.0:0"), tcp("[::]:0"), at_path(folder.path() / "x.sock")}) {
    const auto listener = bind_listener(address), other = bind_listener(tcp("127.0.0.1:0"));
    const Accepted first = accept_at(*listener), second = accept_at(*listener), strange = accept_at(*other);
    EXPECT_EQ(end_streams({listener}), 2u) << address.text;
    EXPECT_TRUE(ends(first) && ends(second)) << address.text;
    EXPECT_TRUE(goes_on(strange)) << address.text;
    EXPECT_TRUE(goes_on(accept_at(*listener))) << "who comes then is the next instance's: " << address.text;
  }
}

TEST(Listeners, LeaveDatagramsOfTheSameAddressAlone) {
  const auto listener = bind_listener(tcp("127.0.0.1:0"));
  sockaddr_storage address{};
  const unsigned size = listener->local().to_sockaddr(address);
  const UniqueFd flow(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(flow.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(connect(flow.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);  // to itself
  EXPECT_EQ(end_streams({listener}), 0u);
  EXPECT_EQ(send(flow.get(), "x", 1, 0), 1);
}

TEST(UnixListener, MakesItsFileWithTheConfiguredRightsAndRemovesIt) {
  const TestFolder folder;
  ListenAddress address = at_path(folder.path() / "x.sock");
  address.mode = 0620;
  auto listener = bind_listener(address);
  EXPECT_EQ(fs::status(address.path).permissions(), static_cast<fs::perms>(0620));
  EXPECT_EQ(connect_to(address.path), 0);
  listener.reset();
  EXPECT_FALSE(fs::exists(address.path));
}

TEST(UnixListener, ReplacesAFileThatNobodyListensOn) {
  const TestFolder folder;
  const fs::path path = folder.path() / "x.sock";
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd left(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(fs::exists(path));
  const auto listener = bind_listener(at_path(path));
  EXPECT_EQ(connect_to(path), 0);
}

TEST(UnixListener, LeavesASocketThatSomebodyListensOn) {
  const TestFolder folder;
  const fs::path path = folder.path() / "x.sock";
  const auto first = bind_listener(at_path(path));
  EXPECT_THAT(refusal(at_path(path)), HasSubstr("another program has it already"));
  EXPECT_EQ(connect_to(path), 0);
}

TEST(UnixListener, LeavesAFileThatIsNoSocket) {
  const TestFolder folder;
  const fs::path path = folder.path() / "x.sock";
  std::ofstream(path) << "precious";
  EXPECT_THAT(refusal(at_path(path)), HasSubstr("is not a socket"));
  EXPECT_TRUE(fs::is_regular_file(path));
}

TEST(UnixListener, SaysWhichGroupIsMissing) {
  const TestFolder folder;
  ListenAddress address = at_path(folder.path() / "x.sock");
  address.group = "no-such-group";
  EXPECT_THAT(refusal(address), HasSubstr("there is no group no-such-group"));
  EXPECT_FALSE(fs::exists(address.path));
}

TEST(UnixListener, SaysThatThisUserIsNotInItsGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  const TestFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
  ListenAddress address = at_path(folder.path() / "x.sock");
  address.group = "daemon";
  ASSERT_EQ(::seteuid(4242), 0);
  const std::string why = refusal(address);
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_THAT(why, HasSubstr("this user may not give that file to the group daemon"));
  EXPECT_FALSE(fs::exists(address.path));
}

TEST(UnixListener, SaysThatItsFolderIsMissing) {
  EXPECT_THAT(refusal(at_path("/nowhere/x.sock")), HasSubstr("its folder does not exist"));
}

TEST(UnixListener, SaysThatThePathIsTooLong) {
  EXPECT_THAT(refusal(at_path("/" + std::string(200, 'x'))), HasSubstr("a socket path has 1 to 107 characters"));
}

TEST(Listeners, OfAGatewayThatRunsAreFineForACheck) {
  const TestFolder folder;
  for (const ListenAddress& address : {tcp("127.0.0.1:0"), udp("127.0.0.1:0"), at_path(folder.path() / "x.sock")}) {
    const auto listener = bind_listener(address);
    ListenAddress taken = address;
    taken.endpoint = listener->local();
    EXPECT_EQ(refusal_of([&] { require_bindable(taken, "good", "listen", true); }), "");
    EXPECT_THAT(refusal(taken), HasSubstr("another program has it already"));
  }
}

TEST(Listeners, AreDescribedOnceForEachLane) {
  std::vector<LaneSockets> sockets;
  sockets.push_back(dup_for_lanes(bind_listener(tcp("127.0.0.1:0")), 2));
  const std::vector<gh_listener> rows = describe_all(sockets);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].struct_size, sizeof(gh_listener));
  EXPECT_EQ(rows[1].id, 7u);
  EXPECT_EQ(rows[1].lane, 1u);
  EXPECT_EQ(rows[1].transport, static_cast<std::uint32_t>(GH_TRANSPORT_TCP));
  EXPECT_EQ(from_border(rows[1].name), "127.0.0.1:0");
  EXPECT_EQ(from_border(rows[1].role), "listen");
  EXPECT_EQ(from_border(rows[1].local), sockets[0].listener->local());
  EXPECT_EQ(rows[1].fd, sockets[0].fds[1].get());
}

TEST(Listeners, SayHowTheirStreamsBegin) {
  ListenAddress address = tcp("127.0.0.1:0");
  address.tls.emplace();
  address.auth = {.token = true, .certificate = true, .user = false};
  address.http_opening = address.proxy_protocol = true;
  address.trusted_proxies = {Prefix::parse("10.0.0.0/8").value(), Prefix::parse("2001:db8::/64").value()};
  address.origins = {"https://app.example"};
  const auto listener = bind_listener(address);
  const gh_listener row = listener->describe(0, -1);
  ASSERT_EQ(row.origin_count, 1u);
  EXPECT_EQ(from_border(row.origins[0]), "https://app.example");
  EXPECT_EQ(row.tls, 1u);
  EXPECT_EQ(row.auth, static_cast<std::uint32_t>(GH_AUTH_TOKEN | GH_AUTH_CERT));
  EXPECT_EQ(row.opening, static_cast<std::uint32_t>(GH_OPENING_HTTP));
  EXPECT_EQ(row.proxy_protocol, 1u);
  ASSERT_EQ(row.trusted_proxy_count, 2u);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(from_border(row.trusted_proxies[i]).to_string(), address.trusted_proxies[i].to_string());
  EXPECT_EQ(row.trusted_proxies, listener->describe(1, -1).trusted_proxies);

  const gh_listener plain = bind_listener(tcp("127.0.0.1:0"))->describe(0, -1);
  EXPECT_EQ(plain.tls + plain.auth + plain.opening + plain.proxy_protocol, 0u);
  EXPECT_EQ(plain.trusted_proxy_count, 0u);
  EXPECT_EQ(plain.origin_count, 0u);
}

}  // namespace
}  // namespace gatehouse
