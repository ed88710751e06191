// One udpgw stream of the load, with its forwards: makes frames, checks what comes back. One thread.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gatehouse::bench {

/// A forward as the client knows it; at most one frame of it is under way.
struct ClientForward {
  std::uint32_t sequence = 0;
  std::uint64_t sent_ns = 0;  ///< 0 = nothing under way
  std::uint32_t answered = 0;
  bool opened = false;
};

class ClientStream {
 public:
  /// Connects to the server. Throws std::system_error, or std::runtime_error where TLS fails.
  /// @param tls  null: without; it takes any certificate
  ClientStream(const sockaddr_in& server, const sockaddr_in& far_end, std::size_t forwards, std::size_t size,
               SSL_CTX* tls = nullptr);
  ~ClientStream();
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::vector<ClientForward>& forwards() { return forwards_; }
  [[nodiscard]] std::size_t unsent() const { return output_.size() - written_; }

  /// Queues one frame on a forward; the first one carries the rebind flag. Goes out at the next flush().
  void put(std::size_t forward, std::uint64_t now_ns);

  /// Writes what the kernel takes. False when the stream is broken.
  bool flush();

  /// Reads what there is and calls `on_reply(forward)` for each well-formed reply. With `verify`, a reply must carry
  /// the forward's own latest sequence number. False when the server has closed the stream.
  template <class OnReply>
  bool read(bool verify, OnReply on_reply) {
    if (!fill()) return false;
    for (std::size_t forward = 0; next(verify, forward);) on_reply(forward);
    return true;
  }

  /// Of the reply that on_reply() is told of: its first bytes, as many as --size says.
  [[nodiscard]] const std::uint8_t* payload() const { return payload_; }
  [[nodiscard]] std::uint64_t bad() const { return bad_; }

 private:
  bool fill();
  bool fill_by_tls();
  bool flush_by_tls();
  bool next(bool verify, std::size_t& forward);

  int fd_ = -1;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  sockaddr_in far_end_;
  std::size_t size_;
  std::vector<ClientForward> forwards_;
  std::vector<std::uint8_t> input_ = std::vector<std::uint8_t>(512 * 1024), output_;
  std::size_t filled_ = 0, used_ = 0, written_ = 0;
  std::uint64_t bad_ = 0;
  const std::uint8_t* payload_ = nullptr;
};

}  // namespace gatehouse::bench
