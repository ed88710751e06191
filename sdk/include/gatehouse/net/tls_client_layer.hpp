// TLS between a client and its socket (OpenSSL 3): for probes, tests and `gatehouse attach`, one stream each. The
// server's side, made for many streams, is TlsLayer.
#pragma once

#include <gatehouse/net/socket_layer.hpp>

#include <openssl/ssl.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {

/// Files are PEM.
struct TlsClientSettings {
  std::string server_name;               ///< DNS name or IP address; stands in the certificate's subjectAltName
  std::filesystem::path ca;              ///< whom to trust; "" = whom this system trusts
  std::filesystem::path cert;            ///< what to show when the server asks, the leaf first; "" = nothing
  std::filesystem::path key;             ///< the leaf's; with `cert`
  std::uint16_t least_version = 0x0304;  ///< TLS 1.3; 0x0303 = 1.2
};

/// Never shakes hands with a server that cannot show a certificate for `server_name`. Memory: some 100 KB.
class TlsClientLayer final : public StreamLayer {
 public:
  /// Does not own `fd`, a non-blocking socket. Reads the files. @throws std::runtime_error  a sentence
  TlsClientLayer(int fd, TlsClientSettings settings);
  ~TlsClientLayer() override = default;

  /// Goes on with the handshake, by what the socket has. @return Errc::would_block: flush(), and come again when there
  /// is more; another error: it has failed, failure() says why
  [[nodiscard]] Result<void> handshake() noexcept;
  /// Why the last call has failed, as a sentence for people; "" where its error says all.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  /// "TLSv1.3", "TLS_AES_128_GCM_SHA256"
  [[nodiscard]] std::string version() const { return SSL_get_version(ssl_.get()); }
  [[nodiscard]] std::string cipher() const { return SSL_get_cipher_name(ssl_.get()); }

  /// @return Errc::truncated  the connection has ended, and not by TLS: what was to come may be missing
  [[nodiscard]] Result<std::size_t> read(MutableBytes out) noexcept override;
  void unread(Bytes input) override { unread_.assign(input.begin(), input.end()); }
  [[nodiscard]] bool holds_input() const noexcept override;
  [[nodiscard]] std::size_t room(std::size_t wanted) noexcept override {
    return socket_.room(std::min(wanted, kMostAtOnce));
  }
  [[nodiscard]] Result<void> put(std::span<const Bytes> parts) noexcept override;
  [[nodiscard]] Result<void> flush() noexcept override { return socket_.flush(); }
  [[nodiscard]] bool has_left_over() const noexcept override { return socket_.has_left_over(); }
  void finish() noexcept override;
  void set_most_unsent(std::size_t bytes) noexcept override { socket_.set_most_unsent(bytes); }
  [[nodiscard]] std::size_t memory() const noexcept override { return unread_.capacity() + socket_.memory(); }

 private:
  static constexpr std::size_t kMostAtOnce = 64 * 1024;
  static int see_verification(int is_good, X509_STORE_CTX* store) noexcept;

  void use_files();
  void expect_server();
  Result<void> receive() noexcept;
  std::size_t read_more(MutableBytes out) noexcept;
  Result<void> send_output() noexcept;
  Error break_with(Error why) noexcept;
  std::string explain() const;
  std::string explain_verification(long why) const;

  TlsClientSettings settings_;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  BIO *input_ = nullptr, *output_ = nullptr;  // ssl_ owns them
  SocketLayer socket_;                        // for output alone
  int fd_;
  std::vector<std::byte> unread_;
  std::string shown_names_;  // of a certificate that is for somebody else
  std::string failure_;
  Error broken_;
  bool is_finished_ = false;
  bool has_news_ = false;  // behind what read() has given: an end, of whichever kind
};

}  // namespace gatehouse
