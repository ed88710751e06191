#include "gateway/daemon/process.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/own_path.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include "gateway/base/refusal.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace gatehouse {
namespace {

[[noreturn]] void fail(const std::filesystem::path& folder) {
  throw Refusal("cannot make the folder " + folder.string() + ": " + std::strerror(errno));
}

}  // namespace

void require_own(const std::filesystem::path& path) { refuse_unless(why_not_own(path)); }

void make_folder(const std::filesystem::path& folder, std::filesystem::perms mode) {
  constexpr mode_t kParentMode = 0755;
  require_own(folder);  // before anything is made there
  std::error_code failure;
  if (std::filesystem::exists(folder, failure)) return;
  std::filesystem::path part;
  bool is_made = false;
  for (const std::filesystem::path& name : folder) {
    if (name.empty() || name == ".") continue;  // after a slash at the end
    part /= name;
    is_made = ::mkdir(part.c_str(), kParentMode) == 0;
    if (!is_made && errno != EEXIST && errno != EROFS && errno != EACCES) fail(part);
  }
  if (!is_made && errno != EEXIST) fail(part);
  if (is_made) {  // else somebody was faster: that keeps its mode, and so does what it leads to
    const UniqueFd made(::open(part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made || ::fchmod(made.get(), static_cast<mode_t>(mode)) != 0) fail(part);
  }
  require_own(folder);
}

void give_back_freed_memory() noexcept {
  constexpr int kMostKept = 1 << 20, kLargestOnHeap = 4 << 20;
  mallopt(M_TRIM_THRESHOLD, kMostKept);
  mallopt(M_MMAP_THRESHOLD, kLargestOnHeap);
}

void notify_supervisor(std::string_view state) noexcept {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string_view where = path == nullptr ? "" : path;
  if (where.empty() || where.size() >= sizeof address.sun_path) return;
  where.copy(address.sun_path, where.size());
  if (where[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where.size());
  // Nothing can be done when it fails: the supervisor then times out and reports that itself.
  static_cast<void>(
      ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size));
}

void notify_reloading() noexcept {
  // The clock that systemd compares with, to tell this reload from one before the signal.
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(steady_now().time_since_epoch());
  std::array<char, 64> state;
  std::snprintf(state.data(), state.size(), "RELOADING=1\nMONOTONIC_USEC=%lld", static_cast<long long>(now.count()));
  notify_supervisor(state.data());
}

}  // namespace gatehouse
