#include "tests/unit/sdk/net/test_authority.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace gatehouse::test {
namespace {

using Bio = std::unique_ptr<BIO, void (*)(BIO*)>;
using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Cert = std::unique_ptr<X509, void (*)(X509*)>;

void must(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot make a certificate for the test");
}

template <class Write>
std::string pem_of(Write write) {
  const Bio out(BIO_new(BIO_s_mem()), BIO_free_all);
  must(write(out.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bio reader_of(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), [](BIO* bio) { BIO_free_all(bio); }};
}
Key key_of(const std::string& pem) {
  return {PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
}
Cert certificate_of(const std::string& pem) {
  return {PEM_read_bio_X509(reader_of(pem).get(), nullptr, nullptr, nullptr), X509_free};
}

void add_extension(X509* to, X509* issuer, int kind, const std::string& text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, text.c_str());
  must(extension != nullptr && X509_add_ext(to, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

EVP_PKEY* slow_key() {
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr), EVP_PKEY_CTX_free);
  const std::unique_ptr<BIGNUM, void (*)(BIGNUM*)> exponent(BN_new(), BN_free);
  BN_set_word(exponent.get(), (std::uint64_t{1} << 40) + 15);
  EVP_PKEY* out = nullptr;
  must(EVP_PKEY_keygen_init(context.get()) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), 2048) == 1 &&
       EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), exponent.get()) == 1 &&
       EVP_PKEY_generate(context.get(), &out) == 1);
  return out;
}

/// @param by  null: by itself
TestCertificate make(const CertificateWish& wish, const TestCertificate* by) {
  const Key key(wish.has_slow_key ? slow_key() : EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Cert out(X509_new(), X509_free);
  must(key != nullptr && out != nullptr);
  X509_set_version(out.get(), X509_VERSION_3);
  std::uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(out.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -7200);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), wish.valid_seconds);
  X509_set_pubkey(out.get(), key.get());
  if (!wish.name.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1, 0);
  }
  const Cert issuer = by != nullptr ? certificate_of(by->certificate) : Cert(nullptr, X509_free);
  const Key signer = by != nullptr ? key_of(by->key) : Key(nullptr, EVP_PKEY_free);
  X509* const from = issuer ? issuer.get() : out.get();
  X509_set_issuer_name(out.get(), X509_get_subject_name(from));
  if (!by) add_extension(out.get(), from, NID_basic_constraints, "critical,CA:TRUE");
  if (!wish.alternatives.empty()) add_extension(out.get(), from, NID_subject_alt_name, wish.alternatives);
  must(X509_sign(out.get(), signer ? signer.get() : key.get(), EVP_sha256()) > 0);
  return {pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, out.get()); }), pem_of([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

void use_certificate(SSL_CTX* context, const TestCertificate& shown) {
  must(SSL_CTX_use_certificate(context, certificate_of(shown.certificate).get()) == 1);
  must(SSL_CTX_use_PrivateKey(context, key_of(shown.key).get()) == 1);
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : own_(make({.name = name}, nullptr)) {}
TestCertificate TestAuthority::issue(const CertificateWish& wish) const { return make(wish, &own_); }

TlsTestClient::TlsTestClient(int fd, const TestCertificate& shown, int most_version)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
  SSL_CTX_set_max_proto_version(context_.get(), most_version);
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!shown.key.empty()) use_certificate(context_.get(), shown);
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), fd);
  SSL_set_connect_state(ssl_.get());
}

bool TlsTestClient::handshake() {
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) return true;
  const int why = SSL_get_error(ssl_.get(), done);
  failed_ = failed_ || (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE);
  return false;
}

std::string TlsTestClient::read() {
  std::string out;
  std::string part(65536, '\0');
  for (;;) {
    const int size = SSL_read(ssl_.get(), part.data(), static_cast<int>(part.size()));
    if (size <= 0) {
      const int why = SSL_get_error(ssl_.get(), size);
      ended_ = ended_ || why == SSL_ERROR_ZERO_RETURN;
      failed_ = failed_ || why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL;
      return out;
    }
    out.append(part, 0, static_cast<std::size_t>(size));
  }
}

bool TlsTestClient::write(const std::string& content) {
  return SSL_write(ssl_.get(), content.data(), static_cast<int>(content.size())) == static_cast<int>(content.size());
}

std::shared_ptr<SSL_SESSION> TlsTestClient::session() const { return {SSL_get1_session(ssl_.get()), SSL_SESSION_free}; }

TlsTestServer::TlsTestServer(int fd, const TestCertificate& shown, int most_version)
    : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
  SSL_CTX_set_max_proto_version(context_.get(), most_version);
  use_certificate(context_.get(), shown);
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), fd);
  is_open_ = SSL_accept(ssl_.get()) == 1;
}

std::string TlsTestServer::read() {
  std::string out(65536, '\0');
  const int size = is_open_ ? SSL_read(ssl_.get(), out.data(), static_cast<int>(out.size())) : 0;
  out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return out;
}

bool TlsTestServer::write(const std::string& content) {
  const int size = static_cast<int>(content.size());
  return is_open_ && (size == 0 || SSL_write(ssl_.get(), content.data(), size) == size);
}

std::string client_hello() {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(SSL_get_wbio(ssl.get()), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace gatehouse::test
