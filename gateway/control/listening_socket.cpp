#include "gateway/control/listening_socket.hpp"

#include <gatehouse/base/error.hpp>

#include "gateway/base/socket_file.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <vector>

namespace gatehouse {
namespace {

constexpr int kBacklog = 128;

[[noreturn]] void fail(const std::string& where, const std::string& why) {
  throw std::runtime_error("cannot listen on " + where + ": " + why);
}

UniqueFd open_stream(int family) { return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

sockaddr_un unix_address(const std::filesystem::path& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof out.sun_path) {
    fail(text, "the path is longer than the " + std::to_string(sizeof out.sun_path - 1) +
                   " bytes of a Unix socket; choose a shorter gateway.runtime_dir");
  }
  text.copy(out.sun_path, text.size());
  return out;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

bool bind_to(const UniqueFd& socket, const Endpoint& endpoint) {
  sockaddr_storage address{};
  const unsigned size = endpoint.to_sockaddr(address);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return socket && ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

[[noreturn]] void fail(const Endpoint& endpoint) {
  fail(endpoint.to_string(), errno == EADDRINUSE ? "another program has that port; choose another"
                                                 : last_system_error().message() + "; choose another address");
}

std::optional<gid_t> find_group(const std::string& name) {
  group entry{}, *found = nullptr;
  std::vector<char> buffer(16 * 1024);
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->gr_gid;
}

}  // namespace

UniqueFd listen_tcp(const Endpoint& endpoint) {
  UniqueFd out = open_stream(endpoint.address.is_v6() ? AF_INET6 : AF_INET);
  if (!bind_to(out, endpoint) || ::listen(out.get(), kBacklog) != 0) fail(endpoint);
  return out;
}

void require_tcp(const Endpoint& endpoint, bool may_be_taken) {
  const UniqueFd probe = open_stream(endpoint.address.is_v6() ? AF_INET6 : AF_INET);
  if (!bind_to(probe, endpoint) && !(may_be_taken && errno == EADDRINUSE)) fail(endpoint);
}

Endpoint local_endpoint(const UniqueFd& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return Endpoint::from_sockaddr(address);
}

bool is_served(const std::filesystem::path& socket) {
  const sockaddr_un address = unix_address(socket);
  struct stat found {};
  if (::lstat(address.sun_path, &found) != 0) return false;
  if (!S_ISSOCK(found.st_mode)) fail(socket, "something else has that name; remove it");
  const UniqueFd probe = open_stream(AF_UNIX);
  return ::connect(probe.get(), generic(address), sizeof address) == 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

UniqueFd listen_unix(const std::filesystem::path& path, std::uint32_t mode, const std::string& group) {
  const sockaddr_un address = unix_address(path);
  if (is_served(path)) fail(path, "another gateway is running there; stop it, or choose another gateway.runtime_dir");
  ::unlink(address.sun_path);
  UniqueFd out = open_stream(AF_UNIX);
  const UniqueFd file = out ? bind_file(out, address) : UniqueFd();
  if (!file) fail(path, last_system_error().message());
  // Only root, or a member, may give it to the group; a gateway of somebody else keeps its own.
  const auto gid = find_group(group);
  if (gid && !give_group(file, *gid) && errno != EPERM) fail(path, last_system_error().message());
  if (!give_mode(file, mode) || ::listen(out.get(), kBacklog) != 0) fail(path, last_system_error().message());
  return out;
}

}  // namespace gatehouse
