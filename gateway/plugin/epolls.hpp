// The epolls of this process, whoever has made them.
#pragma once

#include <vector>

namespace gatehouse {

/// As own_fds() finds them.
[[nodiscard]] std::vector<int> epolls_of_process();

/// Takes `fd` out of each of `epolls` that waits for it. An epoll knows a file by its number and itself, and goes on
/// waiting for as long as anybody has that file: whoever is about to put another one under the number can do this only
/// before. What is no epoll any more is left as it is.
void take_out_of(const std::vector<int>& epolls, int fd) noexcept;

}  // namespace gatehouse
