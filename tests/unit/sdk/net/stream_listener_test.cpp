// How many streams a turn takes, and what is done when there are no descriptors left.
#include <gatehouse/net/stream_listener.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <vector>

namespace gatehouse {
namespace {

class Listening : public testing::Test {
 protected:
  Listening() {
    // An address of the kernel's own, which is nowhere in the file system.
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
    EXPECT_EQ(listen(fd.get(), 64), 0);
  }
  UniqueFd client() {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    UniqueFd out(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(out.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    return out;
  }

  UniqueFd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  LaneLoop loop;
  std::vector<Stream> streams;
  std::vector<Error> exhausted;
};

TEST_F(Listening, TakesFourAtATime) {
  StreamListener listener(
      loop, fd.get(), [&](Stream stream) { streams.push_back(std::move(stream)); },
      [&](const Error& why) { exhausted.push_back(why); });
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(client());
  loop.poller().turn();
  EXPECT_EQ(streams.size(), 4u);
  loop.poller().turn();
  EXPECT_EQ(streams.size(), 6u);
  loop.poller().turn();
  EXPECT_EQ(streams.size(), 6u);
  EXPECT_TRUE(exhausted.empty());
}

TEST_F(Listening, PausesWithoutDescriptorsAndGoesOn) {
  StreamListener listener(
      loop, fd.get(),
      [&](Stream stream) {
        streams.push_back(std::move(stream));
        if (streams.size() == 2) loop.stop();
      },
      [&](const Error& why) { exhausted.push_back(why); });
  const UniqueFd served = client();
  loop.poller().turn();
  ASSERT_EQ(streams.size(), 1u);
  // A sanitizer needs descriptors for each kind of object that it has not seen: this one, and those of Asio's timers.
  LaneTimer earlier([] {});
  loop.schedule(earlier, std::chrono::milliseconds(1));
  const UniqueFd waiting = client();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  loop.poller().turn();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(exhausted.size(), 1u);
  EXPECT_EQ(exhausted[0].value(), EMFILE);
  loop.poller().turn();
  EXPECT_EQ(streams.size(), 1u) << "it pauses";
  loop.on_turn([] {}, [] {});
  loop.run();
  EXPECT_EQ(streams.size(), 2u);
}

}  // namespace
}  // namespace gatehouse
