#include "gateway/plugin/epolls.hpp"

#include "gateway/plugin/own_fds.hpp"

#include <sys/epoll.h>

namespace gatehouse {

std::vector<int> epolls_of_process() { return own_fds("anon_inode:[eventpoll]"); }

void take_out_of(const std::vector<int>& epolls, int fd) noexcept {
  epoll_event unused{};
  for (const int epoll : epolls) ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &unused);
}

}  // namespace gatehouse
