#include "gateway/plugin/epolls.hpp"

#include <sys/epoll.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>

namespace gatehouse {

std::vector<int> epolls_of_process() {
  std::vector<int> out;
  std::error_code failure;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failure), end; !failure && at != end;
       at.increment(failure)) {
    std::error_code closed;
    if (std::filesystem::read_symlink(at->path(), closed) != "anon_inode:[eventpoll]") continue;
    const std::string number = at->path().filename().string();
    int fd = -1;
    if (std::from_chars(number.data(), number.data() + number.size(), fd).ec == std::errc()) out.push_back(fd);
  }
  return out;
}

void take_out_of(const std::vector<int>& epolls, int fd) noexcept {
  epoll_event unused{};
  for (const int epoll : epolls) ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &unused);
}

}  // namespace gatehouse
