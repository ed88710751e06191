// TLS records that the kernel makes of what is sent, with the keys that a handshake has agreed on: what is written
// needs no copy and no OpenSSL. Source: Linux, Documentation/networking/tls.rst and net/tls/tls_sw.c.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace gatehouse {

/// The output of one TCP socket. Not thread-safe.
class KernelTls {
 public:
  /// Makes `fd`, a connected TCP socket, one that keys can be given to (TCP_ULP); nothing else changes for it. One
  /// system call. @return Errc::unsupported: this kernel has no TLS, or nobody may load its module: do not ask again;
  /// another error: not for this socket
  [[nodiscard]] static Result<void> prepare(int fd) noexcept;

  /// Of a socket that has been given its keys, and has sent nothing since. @param fd  not owned
  void begin(int fd) noexcept;
  [[nodiscard]] bool is_on() const noexcept { return fd_ >= 0; }

  /// Sends a record that is no application data. @param kind  22: handshake, 21: alert (RFC 8446, 5.1)
  /// @return Errc::would_block: nothing was taken
  [[nodiscard]] Result<void> send_record(std::uint8_t kind, Bytes content) noexcept;
  /// So many bytes of content, of any kind, were given to the socket, or will be.
  void add(std::size_t content) noexcept { content_ += content; }
  /// Has TCP got the records of all that was added? What it has not got is lost when the socket is closed or ends its
  /// side: TCP keeps what it has, TLS does not. Some four system calls; for the end of a stream. True also where
  /// the connection is gone.
  [[nodiscard]] bool has_passed_all() const noexcept;

 private:
  struct Place {
    std::uint64_t records = 0;  // that were made
    std::uint64_t bytes = 0;    // that TCP has got
  };
  [[nodiscard]] std::optional<Place> place() const noexcept;

  int fd_ = -1;
  std::size_t crypto_size_ = 0;  // of what getsockopt() gives
  std::size_t overhead_ = 0;     // bytes of a record beside its content; 0: not known
  Place first_;
  std::uint64_t content_ = 0;
};

}  // namespace gatehouse
