// Certificates for tests, made when they are needed: no key stands in the tree.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace gatehouse::test {

/// PEM texts.
struct TestCertificate {
  std::string certificate, key;
};

/// What is to stand in one.
struct CertificateWish {
  std::string name = "localhost";  ///< commonName; "" = none
  std::string alternatives = {};   ///< as in openssl.cnf: "DNS:a.example,URI:spiffe://b"
  bool has_slow_key = false;       ///< RSA, with a long exponent
  long valid_seconds = 3600;       ///< from now on; below 0: it has expired
};

/// Signs certificates with P-256 keys.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "test authority");
  [[nodiscard]] const std::string& certificate() const noexcept { return own_.certificate; }
  [[nodiscard]] TestCertificate issue(const CertificateWish& wish = {}) const;

 private:
  TestCertificate own_;
};

/// A client's side over a non-blocking socket, with OpenSSL's own way of reading and writing it.
class TlsTestClient {
 public:
  /// Does not own `fd`. @param shown  its certificate; none: an empty key
  explicit TlsTestClient(int fd, const TestCertificate& shown = {}, int most_version = TLS1_3_VERSION);

  /// True: it is done. False: more is to come, or it has failed.
  bool handshake();
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }
  /// What there is, "" if there is nothing.
  [[nodiscard]] std::string read();
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  bool write(const std::string& content);
  void finish() { SSL_shutdown(ssl_.get()); }
  [[nodiscard]] SSL* ssl() noexcept { return ssl_.get(); }
  /// The newest ticket, after a read().
  [[nodiscard]] std::shared_ptr<SSL_SESSION> session() const;
  void resume(const std::shared_ptr<SSL_SESSION>& session) { SSL_set_session(ssl_.get(), session.get()); }

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool failed_ = false, ended_ = false;
};

/// A server's side over a blocking socket, on a thread of its own.
class TlsTestServer {
 public:
  /// Shakes hands. Does not own `fd`.
  TlsTestServer(int fd, const TestCertificate& shown, int most_version = TLS1_3_VERSION);

  /// The next of what there is; "" at the end, whatever that is.
  [[nodiscard]] std::string read();
  /// False: there is nobody.
  bool write(const std::string& content);
  void finish() { SSL_shutdown(ssl_.get()); }
  [[nodiscard]] SSL* ssl() noexcept { return ssl_.get(); }

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool is_open_ = false;
};

/// What a client says first, as bytes of its own.
[[nodiscard]] std::string client_hello();

}  // namespace gatehouse::test
