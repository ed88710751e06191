// Runs an io_context on a thread for a test, and talks raw bytes to what listens there.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <filesystem>
#include <future>
#include <string>
#include <thread>

namespace gatehouse {

class ServerThread {
 public:
  ~ServerThread() { stop(); }
  boost::asio::io_context& io() { return io_; }
  void start() {
    thread_ = std::thread([this] { io_.run(); });
  }
  /// Runs `work` on the io_context's thread and waits for it.
  template <class Work>
  void run(Work work) {
    std::promise<void> done;
    boost::asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void stop() {
    guard_.reset();
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::thread thread_;
};

inline UniqueFd connect_to(const sockaddr* address, socklen_t size) {
  UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), address, size) != 0) fd.reset();
  return fd;
}
inline UniqueFd connect_to(const Endpoint& endpoint) {
  sockaddr_storage address{};
  const unsigned size = endpoint.to_sockaddr(address);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), size);
}
inline UniqueFd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

inline void send_all(const UniqueFd& fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<std::size_t>(n);
  }
}
/// Everything until the peer closes, or five seconds of silence.
inline std::string read_to_end(const UniqueFd& fd) {
  std::string out;
  char part[4096];
  for (ssize_t n; (n = ::recv(fd.get(), part, sizeof part, 0)) > 0;) out.append(part, static_cast<std::size_t>(n));
  return out;
}

}  // namespace gatehouse
