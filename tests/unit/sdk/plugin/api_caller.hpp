// A client of an HTTP API, with deadlines.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace gatehouse::test {

/// One connection.
class ApiCaller {
 public:
  explicit ApiCaller(const Endpoint& server) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    be_quick();
  }
  explicit ApiCaller(const std::filesystem::path& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    be_quick();
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  void send(std::string_view text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  /// The next answer, header and body; "" or a part of it if the connection ends, or for seconds nothing comes.
  std::string answer() {
    constexpr std::string_view kLength = "Content-Length: ";
    std::string out;
    while (!out.ends_with("\r\n\r\n") && receive(1, out)) {
    }
    const std::size_t at = out.find(kLength);
    if (at != out.npos) receive(std::stoul(out.substr(at + kLength.size())), out);
    return out;
  }
  std::string ask(std::string_view text) {
    send(text);
    return answer();
  }
  /// Does it end within 15 s?
  bool ends() {
    pollfd ready{fd_.get(), POLLIN, 0};
    char byte = 0;
    return poll(&ready, 1, 15'000) == 1 && recv(fd_.get(), &byte, 1, 0) <= 0;
  }
  /// Has nothing come, for a tenth of a second?
  bool is_silent() {
    pollfd ready{fd_.get(), POLLIN, 0};
    return poll(&ready, 1, 100) == 0;
  }
  void hang_up() { fd_.reset(); }

 private:
  bool receive(std::size_t size, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + size);
    std::size_t got = 0;
    for (ssize_t n = 1; got < size && n > 0; got += static_cast<std::size_t>(std::max<ssize_t>(n, 0)))
      n = recv(fd_.get(), out.data() + before + got, size - got, 0);
    out.resize(before + got);
    return got == size;
  }
  void be_quick() const {
    const timeval most{5, 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  }
  UniqueFd fd_;
};

}  // namespace gatehouse::test
