#include "gateway/plugin/listeners.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/socket_file.hpp"
#include "gateway/plugin/epolls.hpp"
#include "gateway/plugin/own_fds.hpp"

#include <gatehouse/plugin/border.hpp>

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace gatehouse {
namespace {

constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kTimeToWake{50};  // for a thread that was woken to have run

/// Throws what errno says about `address`, with what to do about it.
[[noreturn]] void refuse(const ListenAddress& address, const std::string& plugin, const std::string& role) {
  const int why = errno;
  const std::string where = "`" + role + "` of [plugin." + plugin + "]";
  std::string sentence = "cannot listen on " + address.text + ": ";
  if (why == EADDRINUSE) {
    sentence += "another program has it already; stop that one (`ss -lntup` names it) or change " + where;
  } else if (why == ESTALE && address.kind == ListenAddress::Kind::unix_stream) {
    sentence +=
        "somebody else who may write to its folder has put another file there; take that right away with "
        "`chmod go-w`, or change " +
        where;
  } else if (why == EPERM && !address.group.empty()) {
    sentence +=
        "this user may not give that file to the group " + address.group + "; make it a member, or change " + where;
  } else if (why == EACCES && address.kind == ListenAddress::Kind::unix_stream) {
    sentence += "no permission to make that file; change the rights of its folder, or " + where;
  } else if (why == EACCES || why == EPERM) {
    sentence += "no permission; a port below 1024 needs root or CAP_NET_BIND_SERVICE, or change " + where;
  } else if (why == EADDRNOTAVAIL) {
    sentence += "this machine has no such address; change " + where;
  } else if (why == ENOENT) {
    sentence += "its folder does not exist; make it, or change " + where;
  } else {
    sentence += std::string(std::strerror(why)) + "; change " + where;
  }
  throw Refusal(sentence);
}

UniqueFd open_socket(int family, int type) {
  return UniqueFd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/// SOCK_STREAM and the like; 0: it is no socket.
int type_of(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : 0;
}

bool set_option(const UniqueFd& fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd.get(), level, option, &on, sizeof on) == 0;
}

/// A socket for `endpoint`, of which IPv6 ones leave the IPv4 port to others: 0.0.0.0 and [::] go side by side.
UniqueFd open_inet(const Endpoint& endpoint, int type) {
  UniqueFd fd = open_socket(endpoint.address.is_v6() ? AF_INET6 : AF_INET, type);
  if (fd && endpoint.address.is_v6() && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) fd.reset();
  return fd;
}

bool bind_to(const UniqueFd& fd, const Endpoint& endpoint) {
  sockaddr_storage address{};
  const unsigned size = endpoint.to_sockaddr(address);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

Endpoint local_of(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return Endpoint::from_sockaddr(address);
}

void refuse_if_no_socket(const sockaddr_un& address, const ListenAddress& wanted) {
  struct stat about {};
  if (::lstat(address.sun_path, &about) == 0 && !S_ISSOCK(about.st_mode)) {
    throw Refusal("cannot listen on " + wanted.text + ": " + address.sun_path +
                  " is there already and is not a socket; remove it or choose another path");
  }
}

/// Is there a socket file that nobody listens on any more, as a killed process leaves it?
bool is_stale(const sockaddr_un& address) {
  const UniqueFd probe = open_socket(AF_UNIX, SOCK_STREAM);
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
         errno == ECONNREFUSED;
}

sockaddr_un unix_address(const ListenAddress& wanted) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  const std::string path = wanted.path.string();
  if (path.empty() || path.size() >= sizeof out.sun_path) {
    throw Refusal("cannot listen on " + wanted.text + ": a socket path has 1 to " +
                  std::to_string(sizeof out.sun_path - 1) + " characters, this one has " + std::to_string(path.size()));
  }
  path.copy(out.sun_path, path.size());
  return out;
}

gid_t group_id(const std::string& name, const ListenAddress& address) {
  std::array<char, 16384> buffer;
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    throw Refusal("cannot listen on " + address.text + ": there is no group " + name +
                  "; make it with `groupadd --system " + name + "` or change `group`");
  }
  return found->gr_gid;
}

/// Asked of a file that nobody sees.
bool may_give_to(gid_t group) {
  const UniqueFd file(::memfd_create("group", MFD_CLOEXEC));
  return file && ::fchown(file.get(), static_cast<uid_t>(-1), group) == 0;
}

/// As far as can be told without a file.
bool can_bind_path(const ListenAddress& address, bool may_be_taken) {
  const sockaddr_un at = unix_address(address);
  if (!address.group.empty() && !may_give_to(group_id(address.group, address))) return false;
  if (::faccessat(AT_FDCWD, address.path.parent_path().c_str(), W_OK | X_OK, AT_EACCESS) != 0) return false;
  refuse_if_no_socket(at, address);
  struct stat about {};
  if (may_be_taken || ::lstat(at.sun_path, &about) != 0 || is_stale(at)) return true;
  errno = EADDRINUSE;
  return false;
}

bool can_bind(const ListenAddress& address, bool may_be_taken) {
  if (address.kind == ListenAddress::Kind::unix_stream) return can_bind_path(address, may_be_taken);
  const bool is_tcp = address.kind == ListenAddress::Kind::tcp;
  const UniqueFd fd = open_inet(address.endpoint, is_tcp ? SOCK_STREAM : SOCK_DGRAM);
  return fd && (!is_tcp || set_option(fd, SOL_SOCKET, SO_REUSEADDR)) &&
         (bind_to(fd, address.endpoint) || (may_be_taken && errno == EADDRINUSE));
}

/// None of an open file where `fd` is none.
FileId id_of(int fd) noexcept {
  struct stat about {};
  return ::fstat(fd, &about) == 0 ? FileId{about.st_dev, about.st_ino} : FileId{};
}

std::uint32_t auth_bits(const ClientAuth& auth) noexcept {
  std::uint32_t bits = GH_AUTH_NONE;
  if (auth.token) bits |= GH_AUTH_TOKEN;
  if (auth.certificate) bits |= GH_AUTH_CERT;
  if (auth.user) bits |= GH_AUTH_UNIX;
  return bits;
}

}  // namespace

void require_bindable(const ListenAddress& address, const std::string& plugin, const std::string& role,
                      bool may_be_taken) {
  if (!can_bind(address, may_be_taken)) refuse(address, plugin, role);
}

bool contend(const ListenAddress& a, const ListenAddress& b) noexcept {
  if (a.kind != b.kind) return false;
  if (a.kind == ListenAddress::Kind::unix_stream) return a.path == b.path;
  return a.endpoint.port == b.endpoint.port && a.endpoint.address.is_v6() == b.endpoint.address.is_v6();
}

BoundListener::BoundListener(std::uint32_t id, const std::string& plugin, std::string role, ListenAddress address,
                             unsigned lanes)
    : id_(id), role_(std::move(role)), address_(std::move(address)) {
  for (const Prefix& proxy : address_.trusted_proxies) trusted_proxies_.push_back(to_border(proxy));
  for (const std::string& origin : address_.origins) origins_.push_back(to_border(origin));
  switch (address_.kind) {
    case ListenAddress::Kind::tcp: bind_tcp(plugin); break;
    case ListenAddress::Kind::udp: bind_udp(plugin, lanes); break;
    case ListenAddress::Kind::unix_stream: bind_unix(plugin); break;
  }
}

void BoundListener::retire() noexcept {
  if (address_.kind != ListenAddress::Kind::udp) {
    for (const UniqueFd& fd : sockets_) ::shutdown(fd.get(), SHUT_RD);
  }
  struct stat about {};
  if (inode_ != 0 && ::lstat(address_.path.c_str(), &about) == 0 && about.st_ino == inode_ && about.st_dev == device_) {
    ::unlink(address_.path.c_str());
  }
  inode_ = 0;
  sockets_.clear();
}

void BoundListener::bind_tcp(const std::string& plugin) {
  UniqueFd fd = open_inet(address_.endpoint, SOCK_STREAM);
  if (!fd || !set_option(fd, SOL_SOCKET, SO_REUSEADDR) || !bind_to(fd, address_.endpoint) ||
      ::listen(fd.get(), kBacklog) != 0) {
    refuse(address_, plugin, role_);
  }
  local_ = local_of(fd);
  sockets_.push_back(std::move(fd));
}

void BoundListener::bind_udp(const std::string& plugin, unsigned lanes) {
  // The first socket binds before it allows sharing, so that a port that another gateway shares counts as taken.
  Endpoint endpoint = address_.endpoint;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    UniqueFd fd = open_inet(endpoint, SOCK_DGRAM);
    const bool first = lane == 0;
    if (!fd || (!first && !set_option(fd, SOL_SOCKET, SO_REUSEPORT)) || !bind_to(fd, endpoint) ||
        (first && !set_option(fd, SOL_SOCKET, SO_REUSEPORT))) {
      refuse(address_, plugin, role_);
    }
    if (first) endpoint = local_ = local_of(fd);
    sockets_.push_back(std::move(fd));
  }
}

void BoundListener::bind_unix(const std::string& plugin) {
  const sockaddr_un address = unix_address(address_);
  const gid_t group = address_.group.empty() ? static_cast<gid_t>(-1) : group_id(address_.group, address_);
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) refuse(address_, plugin, role_);
  UniqueFd file = bind_file(fd, address);
  if (!file) {
    if (errno != EADDRINUSE) refuse(address_, plugin, role_);
    refuse_if_no_socket(address, address_);
    if (is_stale(address)) ::unlink(address.sun_path);
    if (!(file = bind_file(fd, address))) refuse(address_, plugin, role_);
  }
  struct stat about {};
  if (::fstat(file.get(), &about) == 0) {
    inode_ = about.st_ino;
    device_ = about.st_dev;
  }
  if (!give_group(file, group) || !give_mode(file, address_.mode) || ::listen(fd.get(), kBacklog) != 0) {
    const int why = errno;
    ::unlink(address.sun_path);
    errno = why;
    refuse(address_, plugin, role_);
  }
  sockets_.push_back(std::move(fd));
}

std::string BoundListener::reachable() const {
  switch (address_.kind) {
    case ListenAddress::Kind::tcp: return (address_.tls ? "tls:" : "") + local_.to_string();
    case ListenAddress::Kind::udp: return "udp:" + local_.to_string();
    case ListenAddress::Kind::unix_stream: break;
  }
  return "unix:" + address_.path.string();
}

gh_listener BoundListener::describe(std::uint32_t lane, int fd) const noexcept {
  gh_listener out{};
  out.struct_size = sizeof out;
  out.id = id_;
  out.name = to_border(address_.text);
  out.role = to_border(role_);
  out.identity = to_border(address_.identity);
  out.local = to_border(local_);
  out.fd = fd;
  out.lane = lane;
  out.transport = address_.kind == ListenAddress::Kind::tcp   ? GH_TRANSPORT_TCP
                  : address_.kind == ListenAddress::Kind::udp ? GH_TRANSPORT_UDP
                                                              : GH_TRANSPORT_UNIX;
  out.auth = auth_bits(address_.auth);
  out.tls = address_.tls ? 1 : 0;
  out.opening = address_.http_opening ? GH_OPENING_HTTP : GH_OPENING_NONE;
  out.trusted_proxies = trusted_proxies_.data();
  out.trusted_proxy_count = trusted_proxies_.size();
  out.origins = origins_.data();
  out.origin_count = origins_.size();
  out.proxy_protocol = address_.proxy_protocol ? 1 : 0;
  return out;
}

UniqueFd BoundListener::dup_for(std::uint32_t lane) const {
  const UniqueFd& socket = sockets_[sockets_.size() == 1 ? 0 : lane];
  UniqueFd fd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd) throw Refusal("cannot hand " + address_.text + " to a lane: " + std::strerror(errno));
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);  // all dups have it in common, and an earlier instance may have cleared it
  return fd;
}

bool BoundListener::has_accepted(int fd) const noexcept {
  sockaddr_storage peer{}, own{};
  socklen_t peer_size = sizeof peer, size = sizeof own;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return false;
  if (address_.kind == ListenAddress::Kind::unix_stream) {
    const auto& name = reinterpret_cast<const sockaddr_un&>(own);
    if (own.ss_family != AF_UNIX || address_.path.native() != name.sun_path) return false;
  } else {
    const Endpoint at = Endpoint::from_sockaddr(own);
    const IpAddress& here = local_.address;
    if (at.port != local_.port || at.address.family() != here.family()) return false;
    if (at.address != here && !here.is_unspecified()) return false;
  }
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 && type_of(fd) == SOCK_STREAM;
}

std::size_t end_streams(const std::vector<std::shared_ptr<BoundListener>>& listeners) {
  const auto are_accepted = [&listeners](int fd) {
    return std::any_of(listeners.begin(), listeners.end(), [fd](const auto& listener) {
      return listener->address().kind != ListenAddress::Kind::udp && listener->has_accepted(fd);
    });
  };
  std::size_t ended = 0;
  for (const int fd : own_fds("socket:")) {
    if (!are_accepted(fd)) continue;
    const UniqueFd same(::fcntl(fd, F_DUPFD_CLOEXEC, 0));  // stays what it is, whatever becomes of the number
    if (same && are_accepted(same.get()) && ::shutdown(same.get(), SHUT_RDWR) == 0) ++ended;
  }
  return ended;
}

LaneSockets dup_for_lanes(std::shared_ptr<const BoundListener> listener, unsigned lanes) {
  LaneSockets out{std::move(listener), {}, {}};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    out.fds.push_back(out.listener->dup_for(lane));
    out.ids.push_back(id_of(out.fds.back().get()));
  }
  return out;
}

std::string revoke(LaneSockets& sockets, const std::vector<int>& epolls) {
  const BoundListener& listener = *sockets.listener;
  const std::string its = "its listener " + listener.address().text;
  const UniqueFd deaf = open_socket(AF_UNIX, SOCK_DGRAM);
  if (!deaf) return its + " stays open until the gateway is restarted: no descriptor is left";
  const bool is_unused = listener.is_retired() && listener.address().kind == ListenAddress::Kind::udp;
  std::string lost;
  bool has_woken = false;
  for (std::size_t lane = 0; lane < sockets.fds.size(); ++lane) {
    UniqueFd& fd = sockets.fds[lane];
    if (id_of(fd.get()) != sockets.ids[lane]) {
      lost += (lost.empty() ? "" : ", ") + std::to_string(fd.release());
      continue;
    }
    take_out_of(epolls, fd.get());
    if ((::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) == 0) ::fcntl(deaf.get(), F_SETFL, 0);  // who waits is to go on so
    if (!is_unused) continue;
    ::shutdown(fd.get(), SHUT_RDWR);  // says ENOTCONN, and wakes who waits all the same
    has_woken = true;
  }
  // A poll() that was woken looks at its numbers once more: by then they have to be the listener's still, or it sleeps
  // on and holds the port.
  if (has_woken) std::this_thread::sleep_for(kTimeToWake);
  for (const UniqueFd& fd : sockets.fds)
    if (fd) ::dup3(deaf.get(), fd.get(), O_CLOEXEC);
  if (lost.empty()) return {};
  return "it has closed descriptors of " + its + ", whose numbers are left alone: " + lost;
}

std::vector<gh_listener> describe_all(const std::vector<LaneSockets>& sockets) {
  std::vector<gh_listener> out;
  for (const LaneSockets& one : sockets) {
    for (std::uint32_t lane = 0; lane < one.fds.size(); ++lane) {
      out.push_back(one.listener->describe(lane, one.fds[lane].get()));
    }
  }
  return out;
}

}  // namespace gatehouse
