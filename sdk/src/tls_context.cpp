#include <gatehouse/net/tls_context.hpp>

#include <gatehouse/net/kernel_tls.hpp>
#include <gatehouse/net/tls_layer.hpp>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr long kTicketSeconds = 2 * 60 * 60;         // what the key before has sealed is as old as that at most
constexpr std::size_t kMostClientChain = 16 * 1024;  // bytes
constexpr int kMostIssuers = 6;                      // between a client and an authority
constexpr int kMostExponent = 33;                    // bits: 65537 is usual, and a full-size one costs 7 ms
// AES-128 first, as the fastest with 128 bits of strength; a client without AES in hardware has its own way.
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

template <class T, void (*kFree)(T*)>
struct Free {
  void operator()(T* what) const noexcept { kFree(what); }
};
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + take_openssl_error()); }

Bio reader_of(const std::string& pem) {
  Bio out(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!out) throw std::bad_alloc();
  return out;
}

int no_password(char*, int, int, void*) noexcept { return -1; }

/// Calls `take` with each certificate of a PEM text. @return how many there were
template <class Take>
std::size_t for_each_certificate(const std::string& pem, Take take) {
  const Bio reader = reader_of(pem);
  std::size_t count = 0;
  while (Certificate one{PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr)}) {
    take(std::move(one));
    ++count;
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) fail("a certificate cannot be read");
  ERR_clear_error();
  return count;
}

/// Is a signature by it soon checked?
bool has_quick_key(X509* certificate) noexcept {
  EVP_PKEY* const key = certificate != nullptr ? X509_get0_pubkey(certificate) : nullptr;
  if (key == nullptr) return false;
  if (EVP_PKEY_is_a(key, "RSA") != 1) return true;
  BIGNUM* exponent = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1) return false;
  const bool is_small = BN_num_bits(exponent) <= kMostExponent;
  BN_free(exponent);
  return is_small;
}

template <class Key>
std::optional<Key> key_of(const std::string& bytes) {
  Key out;
  if (bytes.empty()) return {};
  if (bytes.size() != out.size()) throw std::runtime_error("a key of session tickets has 80 bytes");
  std::memcpy(out.data(), bytes.data(), out.size());
  return out;
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "OpenSSL does not say why";
}

TlsContext::TlsContext(const TlsSettings& settings, std::shared_ptr<TlsBuffers> buffers)
    : buffers_(std::move(buffers)),
      alpn_(settings.alpn),
      ktls_(settings.ktls),
      ticket_key_(key_of<Key>(settings.ticket_key)),
      ticket_key_before_(key_of<Key>(settings.ticket_key_before)),
      port_(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "TlsLayer"), BIO_meth_free),
      context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
  if (!context_ || !port_) throw std::bad_alloc();
  BIO_meth_set_read(port_.get(), TlsLayer::give);
  BIO_meth_set_write(port_.get(), TlsLayer::take);
  BIO_meth_set_ctrl(port_.get(), TlsLayer::control);
  SSL_CTX* const context = context_.get();
  ERR_clear_error();
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_min_proto_version(context, settings.least_version);
  SSL_CTX_set_ciphersuites(context, kSuites);
  SSL_CTX_set_cipher_list(context, kSuites12);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);  // so that records without content can be counted
  SSL_CTX_set_max_cert_list(context, kMostClientChain);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets hold the state
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(context, kTicketSeconds);
  if (ticket_key_) SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_ticket);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(context, choose_protocol, this);
  use_certificate(settings);
  use_client_ca(settings);
}

void TlsContext::use_certificate(const TlsSettings& settings) {
  SSL_CTX* const context = context_.get();
  const std::size_t count = for_each_certificate(settings.chain, [&, is_first = true](Certificate one) mutable {
    if (std::exchange(is_first, false)) {
      if (SSL_CTX_use_certificate(context, one.get()) != 1) fail("the certificate cannot be used");
    } else if (SSL_CTX_add0_chain_cert(context, one.get()) == 1) {
      static_cast<void>(one.release());
    } else {
      fail("the chain cannot be used");
    }
  });
  if (count == 0) throw std::runtime_error("there is no certificate to show");
  const PrivateKey key(PEM_read_bio_PrivateKey(reader_of(settings.key).get(), nullptr, no_password, nullptr));
  if (!key) fail("the private key cannot be read");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    fail("the private key is not the certificate's");
}

/// Tickets of other scopes or other authorities are as good as none: their clients shake hands anew.
void TlsContext::use_client_ca(const TlsSettings& settings) {
  SSL_CTX* const context = context_.get();
  const std::string scope = settings.scope + '\0' + settings.client_ca + (settings.requires_certificate ? "1" : "0");
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(scope.data()), scope.size(), digest.data());
  SSL_CTX_set_session_id_context(context, digest.data(), digest.size());
  if (settings.client_ca.empty()) return;

  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  const std::size_t count = for_each_certificate(settings.client_ca, [&](const Certificate& one) {
    if (X509_STORE_add_cert(store, one.get()) != 1 || SSL_CTX_add_client_CA(context, one.get()) != 1)
      fail("a certificate of client_ca cannot be used");
  });
  if (count == 0) throw std::runtime_error("client_ca has no certificate");
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context),
                              X509_V_FLAG_PARTIAL_CHAIN);  // whoever is in there is trusted
  SSL_CTX_set_verify_depth(context, kMostIssuers);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (settings.requires_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  // Not a callback of each step, which would have OpenSSL check every signature of a chain that leads nowhere.
  SSL_CTX_set_cert_verify_callback(context, verify, settings.requires_certificate ? context : nullptr);
}

/// One that is nobody's is as good as none where none is required: the client may have another credential. What it has
/// come to stands in SSL_get_verify_result().
int TlsContext::verify(X509_STORE_CTX* chain, void* is_required) noexcept {
  if (!has_quick_key(X509_STORE_CTX_get0_cert(chain))) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
    return 0;
  }
  return X509_verify_cert(chain) == 1 || is_required == nullptr ? 1 : 0;
}

BIO* TlsContext::make_port(TlsLayer& layer) const {
  BIO* const port = BIO_new(port_.get());
  if (port == nullptr) throw std::bad_alloc();
  BIO_set_data(port, &layer);
  BIO_set_init(port, 1);
  return port;
}

/// Asks a kernel that has no TLS once.
bool TlsContext::can_use_kernel(int fd) const noexcept {
  if (!ktls_ || buffers_->is_without_ktls) return false;
  const auto prepared = KernelTls::prepare(fd);
  if (!prepared && prepared.error() == Errc::unsupported) buffers_->is_without_ktls = true;
  return prepared.has_value();
}

std::unique_ptr<SSL, void (*)(SSL*)> TlsContext::make_session(TlsLayer& layer, int fd) const {
  std::unique_ptr<SSL, void (*)(SSL*)> out(SSL_new(context_.get()), SSL_free);
  if (!out) throw std::bad_alloc();
  BIO* const port = make_port(layer);
  SSL_set_bio(out.get(), port, port);
  SSL_set_accept_state(out.get());
  if (!can_use_kernel(fd)) return out;
  // OpenSSL gives its keys to the socket behind a port of its own: it would give away those of our input, too.
  BIO* const output = make_port(layer);
  SSL_set0_wbio(out.get(), output);
  BIO* const socket = BIO_new(BIO_s_socket());
  if (socket == nullptr) throw std::bad_alloc();
  BIO_set_fd(socket, fd, BIO_NOCLOSE);
  BIO_push(output, socket);
  SSL_set_options(out.get(), SSL_OP_ENABLE_KTLS);
  return out;
}

/// RFC 7301, 3.2: of no common name the client is told.
int TlsContext::choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                                unsigned offered_size, void* context) noexcept {
  const std::string& ours = static_cast<const TlsContext*>(context)->alpn_;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int TlsContext::seal_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                            int is_new) noexcept {
  constexpr std::size_t kName = 16, kCipher = 32, kMac = 32;
  const auto& self = *static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto has_name = [name](const std::optional<Key>& key) {
    return key && std::memcmp(key->data(), name, kName) == 0;
  };
  const bool is_current = is_new != 0 || has_name(self.ticket_key_);
  if (!is_current && !has_name(self.ticket_key_before_)) return 0;  // of an older key: a whole handshake
  const Key& key = is_current ? *self.ticket_key_ : *self.ticket_key_before_;
  if (is_new != 0) {
    if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
    std::memcpy(name, key.data(), kName);
  }
  Key copy = key;
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy.data() + kName + kCipher, kMac),
                             OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
                             OSSL_PARAM_construct_end()};
  const int ready = is_new != 0 ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.data() + kName, iv)
                                : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.data() + kName, iv);
  const int result = ready == 1 && EVP_MAC_CTX_set_params(mac, parameters) == 1 ? (is_current ? 1 : 2) : -1;
  OPENSSL_cleanse(copy.data(), copy.size());
  return result;
}

}  // namespace gatehouse
