#include "gateway/conformance/rough_clients.hpp"

#include <gatehouse/abi.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

namespace gatehouse::conformance {
namespace {

constexpr std::size_t kMostOpen = 32;
constexpr std::size_t kLargestDatagram = 1400;

/// A Unix listener or a loopback one: connected at once, or not at all.
UniqueFd connect_to(const sockaddr* address, socklen_t size, int kind) {
  UniqueFd fd(::socket(address->sa_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd && ::connect(fd.get(), address, size) != 0 && errno != EINPROGRESS) fd.reset();
  return fd;
}

void reset_connection(UniqueFd& fd) {
  const linger at_once{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd.reset();
}

}  // namespace

RoughClients::RoughClients(std::vector<Target> targets, std::string word, std::string token)
    : targets_(std::move(targets)), word_(std::move(word)), token_(std::move(token)), thread_([this] { run(); }) {}

RoughClients::~RoughClients() {
  ended_ = true;
  thread_.join();
}

void RoughClients::run() {
  for (const Target& target : targets_) stay(target);
  while (!ended_) {
    for (const Target& target : targets_) visit(target);
    for (Open& client : open_) go_on(client);
    std::erase_if(open_, [](const Open& client) { return !client.fd; });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

UniqueFd RoughClients::connect(const Target& target) const {
  if (target.transport == GH_TRANSPORT_UNIX) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    target.path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, SOCK_STREAM);
  }
  sockaddr_storage address{};
  const socklen_t size = target.address.to_sockaddr(address);
  const int kind = target.transport == GH_TRANSPORT_UDP ? SOCK_DGRAM : SOCK_STREAM;
  return connect_to(reinterpret_cast<const sockaddr*>(&address), size, kind);
}

void RoughClients::stay(const Target& target) {
  if (target.transport == GH_TRANSPORT_UDP) return;
  UniqueFd fd = connect(target);
  if (fd && ::send(fd.get(), "G", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1) silent_.push_back(std::move(fd));
}

void RoughClients::visit(const Target& target) {
  if (open_.size() >= kMostOpen) return;
  Open client{connect(target), target.transport != GH_TRANSPORT_UDP};
  if (!client.fd) return;
  ++attempts_;
  const std::string begin = beginning();
  ::send(client.fd.get(), begin.data(), std::min(begin.size(), kLargestDatagram), MSG_DONTWAIT | MSG_NOSIGNAL);
  open_.push_back(std::move(client));
}

void RoughClients::go_on(Open& client) {
  std::array<char, 16384> answer;
  while (::recv(client.fd.get(), answer.data(), answer.size(), MSG_DONTWAIT) > 0) continue;
  const std::uint32_t what = pick(16);
  if (what == 0) return client.fd.reset();
  if (what == 1 && client.is_stream) return reset_connection(client.fd);
  if (what == 2 && client.is_stream) {
    ::shutdown(client.fd.get(), SHUT_WR);
    return;
  }
  const std::string more = noise();
  const std::size_t size = client.is_stream ? more.size() : std::min(more.size(), kLargestDatagram);
  ::send(client.fd.get(), more.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::string RoughClients::noise() {
  const std::size_t most = pick(8) == 0 ? 20000 : 200;
  std::string out(pick(static_cast<std::uint32_t>(most)), '\0');
  std::generate(out.begin(), out.end(), [this] { return static_cast<char>(random_() & 0xff); });
  return out;
}

/// What protocols begin with, and nonsense; some of them know the token.
std::string RoughClients::beginning() {
  const std::string host = " HTTP/1.1\r\nHost: gate.example\r\n";
  const std::string shown = "Authorization: Bearer " + token_ + "\r\n";
  switch (pick(8)) {
    case 0:
      return "GET /" + word_ + host + "Connection: upgrade\r\nUpgrade: " + word_ + "\r\n" + shown + "\r\n" + noise();
    case 1:
      return "GET /" + word_ + host + "Connection: upgrade\r\nUpgrade: " + word_ +
             "\r\nAuthorization: Bearer nobody\r\n\r\n";
    case 2:
      return "POST /" + host + shown + "Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"a\": [1,2]}";
    case 3: return "\x16\x03\x01\x02" + noise();  // TLS
    case 4: return "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n" + noise();
    case 5: return std::string(1 + pick(8), '\0');
    default: return noise();
  }
}

}  // namespace gatehouse::conformance
