// A client's byte stream over TCP or a Unix socket: all that a stream frontend reads and writes. TLS and WebSocket
// frames end inside it, so that frontends never see the descriptor. One lane owns it; not thread-safe.
#pragma once

#include <gatehouse/async/poller.hpp>
#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/net/stream_layer.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>

namespace gatehouse {

/// Who is at the other end, as the kernel says, or a proxy that is trusted.
struct StreamPeer {
  Endpoint source;                   ///< family none for a Unix peer
  std::optional<std::uint32_t> uid;  ///< of a Unix peer (SO_PEERCRED: at the time of its connect)
  bool is_told_by_proxy = false;     ///< `source`
  [[nodiscard]] std::string to_string() const;
};

/// Never blocks. Readiness is reported by `poller` to the Readiness that was given to watch().
class Stream {
 public:
  /// Takes a connected, non-blocking socket over. Asks the kernel for the peer; sets TCP_NODELAY on TCP.
  explicit Stream(UniqueFd fd) noexcept;
  /// Its bytes pass through `layer`, if there is one, which reads and writes the same socket.
  Stream(UniqueFd fd, StreamPeer peer, std::unique_ptr<StreamLayer> layer);
  /// Who is at the other end of `fd`; sets TCP_NODELAY on TCP.
  [[nodiscard]] static StreamPeer peer_of(int fd) noexcept;
  Stream(Stream&&) noexcept;  ///< not while it is watched
  ~Stream();

  [[nodiscard]] const StreamPeer& peer() const noexcept { return peer_; }

  /// Starts to report readability to `target`, which outlives this stream or its close().
  [[nodiscard]] Result<void> watch(Poller& poller, Readiness& target) noexcept;
  /// What to be told of from now on; a system call only where it changes. A hang-up or an error is always told.
  void watch_for(bool readable, bool writable) noexcept;
  /// Is told of nothing any more, not even a hang-up, until the next watch_for() of something: for whoever cannot take
  /// the end of the stream yet.
  void unwatch() noexcept;

  /// Reads what is there, up to out.size() > 0 bytes, by one system call. What TLS or WebSocket frames hold back then
  /// is told of in the next turn, as if the socket had become readable.
  /// @return Errc::would_block, Errc::closed (the peer ended its side), or another error: the stream is dead
  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept;
  /// Writes what the peer's window takes, by one system call. @return bytes taken; as read() otherwise
  [[nodiscard]] Result<std::size_t> write(Bytes in) noexcept;
  /// The same for pieces, in their order.
  [[nodiscard]] Result<std::size_t> write(std::span<const Bytes> in) noexcept;
  /// What the kernel may hold of it and not send yet (TCP_NOTSENT_LOWAT). What is on its way is not counted, so that no
  /// round trip is too long for it; without this a peer that does not read makes it hold net.ipv4.tcp_wmem, 4 MiB. 128
  /// KiB cost a third of the rate where a million datagrams a second go into one stream, 4 MiB nothing. Of a Unix
  /// stream it is what the peer has not read, with the kernel's headers (SO_SNDBUF).
  void limit_unsent(std::size_t bytes) noexcept;
  /// Ends our side; the peer reads an end of file after what has been written.
  void shutdown_write() noexcept;
  /// Leaves the poller and closes the socket; what has_unsent() tells of is lost.
  void close() noexcept;

  /// The socket, for whoever puts a layer on it. Not while it is watched; the stream is closed then.
  [[nodiscard]] UniqueFd take_socket() noexcept { return std::move(fd_); }

  /// Has it taken bytes that the socket has not? close() drops them; watch_for(false, true) tells when they are gone.
  [[nodiscard]] bool has_unsent() const noexcept;
  /// What its reads have cost beyond a system call since this was asked last, in halves of a microsecond: for a lane
  /// that shares its turns out (TurnBudget).
  [[nodiscard]] std::size_t take_work() noexcept;
  /// Bytes of the heap that are held for it and grow with what the peer does not read, or begins and does not end.
  [[nodiscard]] std::size_t memory() const noexcept;

 private:
  class Layered;

  UniqueFd fd_;
  StreamPeer peer_;
  std::unique_ptr<Layered> layered_;  // none: the bytes of the socket are the user's
  Poller* poller_ = nullptr;
  Readiness* target_ = nullptr;
  std::uint32_t events_ = 0;
  bool watched_ = false;
};

}  // namespace gatehouse
