// TLS between a stream's user and its socket, the server's side. Records are made and opened in memory that the lane's
// streams share: one system call for as many records as there are. Where the kernel makes them (TlsSettings::ktls),
// what is put goes to the socket as it is.
#pragma once

#include <gatehouse/net/kernel_tls.hpp>
#include <gatehouse/net/socket_layer.hpp>
#include <gatehouse/net/tls_context.hpp>

#include <string>
#include <utility>
#include <vector>

namespace gatehouse {

/// The server's side of TLS 1.2 or 1.3 over a socket. Not thread-safe: the lane's that has the context's buffers.
class TlsLayer final : public StreamLayer {
 public:
  /// Does not own `fd`. @param received  the first records, where they were read too early. @throws std::bad_alloc
  TlsLayer(int fd, std::shared_ptr<const TlsContext> context, Bytes received = {});
  ~TlsLayer() override;

  /// Goes on with the handshake, by what the socket has: some 0.1 ms with an ECDSA key, 0.5 with RSA 2048, of which a
  /// client can ask once. @return Errc::would_block: more is to come; Errc::closed, or another error: it has failed
  [[nodiscard]] Result<void> handshake() noexcept;
  /// Why it failed, in OpenSSL's words.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  /// Of the client's certificate, which an authority of client_ca has signed and which is valid now: URIs, DNS names
  /// and e-mail addresses of its subjectAltName, then the commonName (RFC 5280, 4.2.1.6). Empty: it has shown none.
  [[nodiscard]] std::vector<std::string> peer_names() const;
  /// Since the handshake: does the kernel make the records?
  [[nodiscard]] bool is_in_kernel() const noexcept { return kernel_.is_on(); }
  [[nodiscard]] bool was_resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }

  void move_to_lane(const std::shared_ptr<TlsBuffers>& buffers) noexcept override { buffers_ = buffers; }
  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept override;
  void unread(Bytes input) override { unread_.assign(input.begin(), input.end()); }
  [[nodiscard]] bool holds_input() const noexcept override {
    return !unread_.empty() || has_news_ || !carried_.empty() || SSL_pending(ssl_.get()) > 0;
  }
  [[nodiscard]] std::size_t room(std::size_t wanted) noexcept override { return socket_.room(wanted); }
  [[nodiscard]] Result<void> put(std::span<const Bytes> parts) noexcept override;
  [[nodiscard]] Result<void> flush() noexcept override;
  [[nodiscard]] bool has_left_over() const noexcept override { return socket_.has_left_over() || owes_end_; }
  [[nodiscard]] bool may_close() const noexcept override {
    return !has_left_over() && (broken_ || !kernel_.is_on() || kernel_.has_passed_all());
  }
  void finish() noexcept override;
  void set_most_unsent(std::size_t bytes) noexcept override { socket_.set_most_unsent(bytes); }
  [[nodiscard]] std::size_t take_work() noexcept override { return std::exchange(work_, 0); }
  /// With what OpenSSL has of each connection: 18 KB, as measured with 3.0, and a record that has begun.
  [[nodiscard]] std::size_t memory() const noexcept override {
    return kSessionMemory + (SSL_has_pending(ssl_.get()) == 1 ? TlsBuffers::kRecord : 0) + unread_.capacity() +
           carried_.capacity() + socket_.memory();
  }

 private:
  static constexpr std::size_t kSessionMemory = 18 * 1024;
  friend class TlsContext;  // which has the functions that OpenSSL calls
  static int give(BIO* bio, char* out, int size) noexcept;
  static int take(BIO* bio, const char* in, int size) noexcept;
  static long control(BIO* bio, int command, long number, void* pointer) noexcept;

  void lend_input() noexcept;
  Result<void> receive(std::size_t most) noexcept;
  void carry_rest();
  std::size_t take_unread(MutableBytes out) noexcept;
  void decrypt(MutableBytes out, std::size_t& got) noexcept;
  Result<void> send_output() noexcept;
  Result<void> put_by_kernel(std::span<const Bytes> parts) noexcept;
  int send_by_kernel(BIO* bio, Bytes content) noexcept;
  void end_in_kernel() noexcept;
  Error break_with(Error why) noexcept;

  std::shared_ptr<const TlsContext> context_;
  std::shared_ptr<TlsBuffers> buffers_;  // of the lane that the stream is on
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  SocketLayer socket_;  // for output alone
  KernelTls kernel_;
  std::uint8_t record_kind_ = 0;  // of what OpenSSL sends next by kernel_
  int fd_;
  Bytes input_;                     // of the shared buffer, in a call: what OpenSSL has not read yet
  std::vector<std::byte> carried_;  // the same between two calls: records for which the user had no room
  std::vector<std::byte> unread_;   // content
  std::size_t handshake_bytes_ = 0;
  std::size_t work_ = 0;  // for take_work()
  std::string failure_;
  Error broken_;
  bool is_ended_ = false;  // by the peer
  bool has_news_ = false;  // the user has not been told yet that it is over
  bool is_finished_ = false;
  bool owes_end_ = false;      // close_notify or FIN, for which the kernel has had no place yet
  bool has_said_end_ = false;  // close_notify
};

}  // namespace gatehouse
