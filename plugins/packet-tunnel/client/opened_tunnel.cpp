#include "plugins/packet-tunnel/client/opened_tunnel.hpp"

#include "plugins/packet-tunnel/common/features.hpp"

#include <gatehouse/net/client_stream.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr char kPlugin[] = "packet-tunnel";
constexpr unsigned kGiveUpAfter = 15'000;  // ms: of data that is not acknowledged (TCP_USER_TIMEOUT)
constexpr int kMostProbes = 3;

std::size_t mtu_in(const std::optional<std::string>& text) {
  if (!text) throw std::runtime_error("the server's answer has no Tunnel-MTU: is it a packet-tunnel server?");
  std::size_t mtu = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mtu);
  if (error != std::errc() || end != text->data() + text->size() || mtu < kLeastMtu || mtu > UINT16_MAX)
    throw std::runtime_error("the server's Tunnel-MTU is no number from 1280 to 65535");
  return mtu;
}

/// What is not answered breaks it soon, and silence alone costs nothing: a keep-alive would wake a telephone's radio.
void set_patience(int fd, std::chrono::seconds keep_alive) noexcept {
  const int on = keep_alive.count() > 0 ? 1 : 0, idle = static_cast<int>(keep_alive.count()), probes = kMostProbes;
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kGiveUpAfter, sizeof kGiveUpAfter);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  if (on == 0) return;
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

ClientOptions options_for(const ClientSettings& settings, const ServerTarget& target, const std::string& session_id,
                          std::uint32_t mark, FrameForm form) {
  ClientOptions out = settings.opening;
  out.fields = {{"Session-ID", session_id}};
  if (form == FrameForm::large) out.fields.emplace_back(kFeaturesField, kLargeFrames);
  out.mark = mark;
  out.address = target.name.empty() ? "unix:transport" : target.name;
  if (target.address.family() == Family::none) return out;
  const ClientAddress named = ClientAddress::parse(target.name);
  if (out.server_name.empty()) out.server_name = named.host;
  const std::string host = target.address.to_string();
  out.address = (target.address.is_v6() ? '[' + host + ']' : host) + ':' + named.port;
  return out;
}

}  // namespace

OpenedTunnel open_tunnel(const ClientSettings& settings, const ServerTarget& target, const std::string& session_id,
                         std::uint32_t mark, FrameForm form, SteadyTime deadline) {
  OpenedTunnel out;
  const ClientOptions options = options_for(settings, target, session_id, mark, form);
  const auto connect = [&] {
    if (!target.name.empty()) return ClientStream(options, kPlugin, deadline);
    out.command = std::make_unique<TransportCommand>(settings.transport_command);
    return ClientStream(out.command->take_socket(), options, kPlugin, deadline);
  };
  ClientStream opened = connect();
  out.server = target.name.empty() ? '`' + settings.transport_command + '`' : target.name;
  out.address = target.address;
  out.mtu = mtu_in(opened.answer_field("Tunnel-MTU"));
  out.is_resumed = opened.answer_field("Session-Resumed") == "yes";
  out.has_ipv6 = opened.answer_field("Tunnel-IPv6") != "no";
  const bool is_agreed = names_feature(opened.answer_field(std::string(kFeaturesField)), kLargeFrames);
  if (form == FrameForm::large && is_agreed) out.form = FrameForm::large;
  if (const auto tls = opened.tls()) out.encryption = tls->version;
  out.fd = opened.fd();
  set_patience(out.fd, settings.keep_alive);
  out.stream = std::make_unique<Stream>(opened.take_stream());
  return out;
}

std::vector<ServerTarget> look_up(const std::string& name) {
  const ClientAddress to = ClientAddress::parse(name);
  if (!to.path.empty()) return {{name, {}}};
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(to.host.c_str(), to.port.c_str(), &hints, &found); error != 0)
    throw std::runtime_error("look up " + name + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  std::vector<ServerTarget> out;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    sockaddr_storage address{};
    std::copy_n(reinterpret_cast<const std::byte*>(at->ai_addr), std::min<std::size_t>(at->ai_addrlen, sizeof address),
                reinterpret_cast<std::byte*>(&address));
    const Endpoint one = Endpoint::from_sockaddr(address);
    const bool needs_zone = one.address.is_link_local();  // which the text of an address alone does not have
    out.push_back({name, needs_zone ? IpAddress() : one.address});
  }
  return out;
}

}  // namespace gatehouse::packet_tunnel
