#include "gateway/base/socket_file.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace gatehouse {
namespace {

// The file gets the mode of the socket, less the umask: unix(7). The sticky bit means nothing there and tells this file
// from every other socket of this user.
constexpr mode_t kFresh = S_ISVTX | S_IRUSR | S_IWUSR;

bool is_fresh(const UniqueFd& file) noexcept {
  struct stat about {};
  return ::fstat(file.get(), &about) == 0 && S_ISSOCK(about.st_mode) && (about.st_mode & S_ISVTX) != 0 &&
         about.st_uid == ::geteuid() && about.st_nlink == 1;
}

}  // namespace

UniqueFd bind_file(const UniqueFd& socket, const sockaddr_un& address) noexcept {
  if (::fchmod(socket.get(), kFresh) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  UniqueFd file(::open(address.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (file && is_fresh(file)) return file;
  errno = ESTALE;
  return {};
}

bool give_group(const UniqueFd& file, gid_t group) noexcept {
  return ::fchownat(file.get(), "", static_cast<uid_t>(-1), group, AT_EMPTY_PATH) == 0;
}

bool give_mode(const UniqueFd& file, mode_t mode) noexcept {
  char name[32];  // fchmod(2) takes no descriptor of O_PATH, and fchmodat2(2) is younger than Debian 12's kernel
  std::snprintf(name, sizeof name, "/proc/self/fd/%d", file.get());
  return ::chmod(name, mode) == 0;
}

}  // namespace gatehouse
