#include "plugins/packet-tunnel/client/outside_look_up.hpp"

#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/dns_client.hpp>
#include <gatehouse/net/resolv_conf.hpp>

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace gatehouse::packet_tunnel {
namespace {

constexpr char kResolvedsOwn[] = "/run/systemd/resolve/resolv.conf";  // whom systemd-resolved asks
constexpr std::size_t kDnsHeader = 12;
constexpr std::array kTypes = {kDnsTypeA, kDnsTypeAaaa};

std::string text_in(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

/// A connected socket, so that nobody but the server answers.
UniqueFd ask(const Endpoint& server, std::uint32_t mark) {
  sockaddr_storage address{};
  const socklen_t size = server.to_sockaddr(address);
  UniqueFd fd(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {};
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return {};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return {};
  return fd;
}

/// Both questions to one server.
std::vector<IpAddress> ask_server(const std::string& name, const Endpoint& server, std::uint32_t mark) {
  std::uint16_t id = 0;
  const UniqueFd fd = ask(server, mark);
  if (!fd || ::getrandom(&id, sizeof id, 0) != sizeof id) return {};
  for (std::uint16_t i = 0; i < kTypes.size(); ++i) {
    const auto query = make_dns_query(static_cast<std::uint16_t>(id + i), name, kTypes[i]);
    if (::send(fd.get(), query.data(), query.size(), 0) < 0) return {};
  }
  std::vector<IpAddress> out;
  std::array<std::byte, 4096> room;
  const SteadyTime deadline = steady_now() + kServerPatience;
  for (std::size_t answers = 0; answers < kTypes.size();) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now()).count();
    pollfd ready{fd.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) break;
    const ssize_t size = ::recv(fd.get(), room.data(), room.size(), 0);
    if (size < 0) break;  // refused
    if (static_cast<std::size_t>(size) < kDnsHeader) continue;
    const Bytes message = Bytes(room).first(static_cast<std::size_t>(size));
    if (static_cast<std::uint16_t>(load_big<std::uint16_t>(message) - id) >= kTypes.size()) continue;
    ++answers;
    const DnsAnswer answer = read_dns_answer(message);
    out.insert(out.end(), answer.addresses.begin(), answer.addresses.end());
  }
  return out;
}

}  // namespace

std::vector<Endpoint> outside_nameservers(const std::filesystem::path& resolv_conf,
                                          const std::vector<IpAddress>& ours) {
  std::vector<Endpoint> out = parse_resolv_conf(text_in(resolv_conf));
  const bool is_stub = std::ranges::all_of(out, [](const Endpoint& one) { return one.address.is_loopback(); });
  if (std::error_code none; is_stub && std::filesystem::exists(kResolvedsOwn, none))
    out = parse_resolv_conf(text_in(kResolvedsOwn));
  std::erase_if(out, [&](const Endpoint& one) { return std::ranges::count(ours, one.address) != 0; });
  return out;
}

std::vector<IpAddress> look_up_outside(const std::string& host, const std::vector<Endpoint>& nameservers,
                                       std::uint32_t mark) {
  const auto name = canonical_domain(host);
  if (!name) return {};
  for (const Endpoint& server : nameservers) {
    std::vector<IpAddress> out = ask_server(std::string(*name), server, mark);
    if (!out.empty()) return out;
  }
  return {};
}

}  // namespace gatehouse::packet_tunnel
