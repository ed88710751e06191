// What the TLS of a listener shows and accepts, made ready for its streams (OpenSSL 3).
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

class TlsLayer;

/// PEM texts, but where it says otherwise.
struct TlsSettings {
  std::string chain;                  ///< the leaf first
  std::string key;                    ///< the leaf's, without a passphrase
  std::string client_ca;              ///< whose certificates clients may show; "" = none are asked for
  bool requires_certificate = false;  ///< a client without one is refused in the handshake
  std::string alpn;                   ///< names, each behind its length in a byte, the preferred one first; "" = none
  std::string ticket_key;         ///< 80 bytes, no PEM: name, AES-256, HMAC-SHA-256; "" = a random one of the context
  std::string ticket_key_before;  ///< the same of the one before, whose tickets are good for a new one; "" = none
  std::uint16_t least_version = 0x0304;  ///< TLS 1.3; 0x0303 = 1.2
  bool ktls = false;  ///< the kernel makes the records of TCP streams, where it and the cipher can (net/kernel_tls.hpp)
  std::string scope;  ///< tickets of one scope are good in it alone, and where `client_ca` is the same
};

/// What the TLS streams of one lane share between two calls: no state, only memory.
struct TlsBuffers {
  static constexpr std::size_t kRecord = 5 + 16384 + 256;  ///< the longest (RFC 8446, 5.2)
  static constexpr std::size_t kInput = 256 * 1024;        ///< bytes that a call has at hand, beside a record
  /// Allocates 290 KB. @throws std::bad_alloc
  TlsBuffers() : input(kInput + kRecord), plain(16384) {}

  std::vector<std::byte> input;   ///< records as they come
  std::vector<std::byte> output;  ///< records that are to go, of the stream that has its call
  std::vector<std::byte> plain;   ///< a record's content, of several parts
  bool is_without_ktls = false;   ///< the kernel has said that it has no TLS: it is not asked again
};

/// Lives as long as the last stream that was made of it: a listener's next certificate is another context. It never
/// changes: one lane makes streams of it, which may go on in other ones.
class TlsContext {
 public:
  /// @param buffers  null where no stream will be made of it: only to see whether that would do
  /// @throws std::runtime_error  a sentence: the texts are no chain or key, do not belong together, or are too weak
  TlsContext(const TlsSettings& settings, std::shared_ptr<TlsBuffers> buffers);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Of a new stream, which has had no byte yet; `layer` outlives it. @param fd  not owned @throws std::bad_alloc
  [[nodiscard]] std::unique_ptr<SSL, void (*)(SSL*)> make_session(TlsLayer& layer, int fd) const;
  [[nodiscard]] const std::shared_ptr<TlsBuffers>& buffers() const noexcept { return buffers_; }

 private:
  using Key = std::array<unsigned char, 80>;
  [[nodiscard]] BIO* make_port(TlsLayer& layer) const;
  [[nodiscard]] bool can_use_kernel(int fd) const noexcept;
  void use_certificate(const TlsSettings& settings);
  void use_client_ca(const TlsSettings& settings);
  static int verify(X509_STORE_CTX* chain, void* is_required) noexcept;
  static int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                             unsigned offered_size, void* context) noexcept;
  static int seal_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                         int is_new) noexcept;

  std::shared_ptr<TlsBuffers> buffers_;
  std::string alpn_;
  bool ktls_;
  std::optional<Key> ticket_key_, ticket_key_before_;
  std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> port_;  // OpenSSL's way to the layer's memory
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

/// What OpenSSL says of the last failure on this thread; forgets it.
[[nodiscard]] std::string take_openssl_error();

}  // namespace gatehouse
