// The internet side of the load: one UDP socket that echoes, counts or floods. One thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatehouse::bench {

class FarEnd {
 public:
  enum class Mode { echo, count };

  /// Binds 127.0.0.1 and a free port, with the largest buffers that the system grants. Throws std::system_error.
  explicit FarEnd(Mode mode);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const sockaddr_in& address() const { return address_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

  /// Takes what waits, at most one batch, and echoes it in echo mode. Returns how many there were.
  std::size_t turn();

  /// Sends one batch of `size` bytes each to whoever spoke last. Each begins with its number.
  void flood(std::size_t size);

 private:
  static constexpr std::size_t kBatch = 64, kRoom = 2048;

  void send(std::size_t count);

  Mode mode_;
  int fd_ = -1;
  sockaddr_in address_{};
  std::uint64_t received_ = 0, sent_ = 0;
  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(kBatch * kRoom);
  std::array<sockaddr_in, kBatch> peers_{};
  std::array<iovec, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
};

}  // namespace gatehouse::bench
