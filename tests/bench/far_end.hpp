// The internet side of the load: one UDP socket that echoes, counts or floods. One thread at a time.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gatehouse::bench {

class FarEnd {
 public:
  /// flood: remembers everyone who speaks, as a flow to be flooded.
  enum class Mode { echo, count, flood };

  /// Binds 127.0.0.1 and a free port, with the largest buffers that the system grants. Throws std::system_error.
  explicit FarEnd(Mode mode);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const sockaddr_in& address() const { return address_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }  ///< from any thread
  [[nodiscard]] std::size_t flows() const { return flows_.size(); }

  /// Takes what waits, at most one batch, and echoes it in echo mode. Returns how many there were.
  std::size_t turn();

  struct Flood {
    std::size_t size = 1400;  ///< bytes of each datagram, at least 16: its number, and the time of its sending in ns
    std::size_t burst = 16;   ///< datagrams in a row to one flow; then the next one has its turn
    bool segmented = false;   ///< each row, or what of it is in this call, by one UDP_SEGMENT send
  };
  /// Sends `count` datagrams, kBatch at most, to the flows in turn. What the socket does not take is lost.
  void flood(const Flood& how, std::size_t count, std::uint64_t now_ns);

  static constexpr std::size_t kBatch = 64;

 private:
  static constexpr std::size_t kRoom = 2048;

  void send(std::size_t count);
  void send_segmented(const Flood& how, std::size_t first, std::size_t end);

  Mode mode_;
  int fd_ = -1;
  sockaddr_in address_{};
  std::uint64_t received_ = 0;
  std::atomic<std::uint64_t> sent_{0};
  std::vector<sockaddr_in> flows_;
  std::size_t flow_ = 0, left_of_burst_ = 0;
  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(kBatch * kRoom);
  std::array<sockaddr_in, kBatch> peers_{};
  std::array<iovec, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
};

}  // namespace gatehouse::bench
