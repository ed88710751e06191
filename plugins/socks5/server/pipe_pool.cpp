#include "plugins/socks5/server/pipe_pool.hpp"

#include <fcntl.h>

namespace gatehouse::socks5 {

Pipe PipePool::lend() noexcept {
  Pipe out;
  if (lent_ >= kMost) return out;
  if (!idle_.empty()) {
    out = std::move(idle_.back());
    idle_.pop_back();
  } else if (int ends[2]; ::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0) {
    out.out.reset(ends[0]);
    out.in.reset(ends[1]);
    ::fcntl(ends[1], F_SETPIPE_SZ, kCapacity);
  }
  if (out) ++lent_;
  return out;
}

void PipePool::take_back(Pipe pipe) noexcept {
  --lent_;
  if (pipe.held != 0 || idle_.size() >= kMostIdle) return;
  idle_.push_back(std::move(pipe));
}

}  // namespace gatehouse::socks5
