#include "gateway/base/socket_file.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/control/listening_socket.hpp"
#include "gateway/plugin/listeners.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <functional>

namespace {

thread_local std::function<void()> on_bound;  // what somebody else does as soon as a file is there

}  // namespace

/// In place of the C library's, in this program.
extern "C" int bind(int fd, const sockaddr* address, socklen_t size) noexcept {
  static const auto real = reinterpret_cast<int (*)(int, const sockaddr*, socklen_t)>(dlsym(RTLD_NEXT, "bind"));
  const int result = real(fd, address, size);
  if (result == 0 && on_bound) std::exchange(on_bound, nullptr)();
  return result;
}

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SocketFile : public testing::Test {
 protected:
  SocketFile() {
    std::ofstream(victim_) << "precious";
    fs::permissions(victim_, fs::perms(0600));
  }
  ~SocketFile() override { on_bound = nullptr; }

  sockaddr_un address() const {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    path_.string().copy(out.sun_path, sizeof out.sun_path - 1);
    return out;
  }
  ListenAddress listener() const {
    ListenAddress out;
    out.kind = ListenAddress::Kind::unix_stream;
    out.text = "unix:" + path_.string();
    out.path = path_;
    out.mode = 0666;
    return out;
  }
  void plant_a_link() const {
    on_bound = [this] {
      fs::remove(path_);
      fs::create_symlink(victim_, path_);
    };
  }
  static fs::perms mode(const fs::path& path) { return fs::symlink_status(path).permissions(); }

  TestFolder folder_;
  fs::path path_ = folder_.path() / "x.sock", victim_ = folder_.path() / "victim";
};

TEST_F(SocketFile, HasTheModeThatItIsGivenWhateverTheUmask) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const mode_t before = ::umask(077);
  const UniqueFd file = bind_file(socket, address());
  ::umask(before);
  ASSERT_TRUE(file);
  EXPECT_EQ(mode(path_) & fs::perms::all, fs::perms(0600));
  EXPECT_TRUE(give_mode(file, 0666));
  EXPECT_EQ(mode(path_), fs::perms(0666));
}

TEST_F(SocketFile, IsNoOtherSocketOfThisUser) {
  const fs::path other = folder_.path() / "other.sock";
  const UniqueFd served = listen_unix(other, 0600, "no-such-group");
  on_bound = [&] { fs::rename(other, path_); };
  EXPECT_THROW(BoundListener(7, "good", "listen", listener(), 1), Refusal);
  EXPECT_EQ(mode(path_), fs::perms(0600));
}

TEST_F(SocketFile, OfAListenerGivesNoRightsToWhatALinkLeadsTo) {
  plant_a_link();
  try {
    const BoundListener bound(7, "good", "listen", listener(), 1);
    ADD_FAILURE() << "it listens";
  } catch (const Refusal& refusal) {
    EXPECT_THAT(refusal.what(), HasSubstr("has put another file there"));
  }
  EXPECT_EQ(mode(victim_), fs::perms(0600));
}

TEST_F(SocketFile, OfTheControlSocketGivesNoRightsToWhatALinkLeadsTo) {
  plant_a_link();
  EXPECT_THROW(static_cast<void>(listen_unix(path_, 0666, "no-such-group")), std::runtime_error);
  EXPECT_EQ(mode(victim_), fs::perms(0600));
}

}  // namespace
}  // namespace gatehouse
