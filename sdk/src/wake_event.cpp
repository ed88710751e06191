#include <gatehouse/async/wake_event.hpp>

#include <gatehouse/base/error.hpp>

#include <boost/system/system_error.hpp>

#include <sys/eventfd.h>

namespace gatehouse {

WakeEvent::WakeEvent() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!fd_) throw boost::system::system_error(last_system_error(), "eventfd");
}

// Neither can fail but by EAGAIN: the counter is full (so it is readable anyway), or it is zero.
void WakeEvent::write() noexcept { (void)::eventfd_write(fd_.get(), 1); }

void WakeEvent::read() noexcept {
  eventfd_t count;
  (void)::eventfd_read(fd_.get(), &count);
}

}  // namespace gatehouse
