#include <gatehouse/async/wake_event.hpp>

#include <gtest/gtest.h>

#include <poll.h>

namespace gatehouse {
namespace {

bool is_readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST(WakeEvent, IsReadableFromSignalToClear) {
  WakeEvent event;
  EXPECT_FALSE(is_readable(event.fd()));
  event.signal();
  event.signal();
  EXPECT_TRUE(is_readable(event.fd()));
  event.clear();
  EXPECT_FALSE(is_readable(event.fd()));
  event.signal();
  EXPECT_TRUE(is_readable(event.fd()));
}

TEST(WakeEvent, MayBeClearedWithoutASignal) {
  WakeEvent event;
  event.clear();
  event.signal();
  EXPECT_TRUE(is_readable(event.fd()));
}

}  // namespace
}  // namespace gatehouse
