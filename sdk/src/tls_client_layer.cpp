#include <gatehouse/net/tls_client_layer.hpp>

#include <gatehouse/base/address.hpp>
#include <gatehouse/net/client_options.hpp>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509v3.h>

#include <unistd.h>

#include <array>
#include <new>
#include <stdexcept>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kReadAtOnce = 64 * 1024;
constexpr std::size_t kLongestNames = 200;  // that a stranger's certificate may put into a sentence

int no_password(char*, int, int, void*) noexcept { return -1; }

std::string take_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return Error(ERR_GET_REASON(code), boost::system::system_category()).message();
  const char* const reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "OpenSSL does not say why";
}

[[noreturn]] void refuse_file(const std::filesystem::path& file, const std::string& what) {
  throw std::runtime_error(file.string() + ' ' + what + ": " + take_reason());
}

void require_readable(const std::filesystem::path& file) {
  if (::access(file.c_str(), R_OK) != 0)
    throw std::runtime_error(file.string() + " cannot be read: " + last_system_error().message());
}

/// Names and addresses that a certificate is for, as far as they can be shown.
std::string names_in(const X509* certificate) {
  std::string out;
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()) && out.size() < kLongestNames; ++i) {  // -1 of none
    int kind = 0;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
    if (kind != GEN_DNS && kind != GEN_IPADD) continue;
    const auto* const text = static_cast<const ASN1_STRING*>(value);
    const Bytes bytes(reinterpret_cast<const std::byte*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text)));
    if (!out.empty()) out += ", ";
    if (kind == GEN_DNS)
      out += text_of(bytes).substr(0, kLongestNames);
    else if (bytes.size() == 4 || bytes.size() == 16)
      out += (bytes.size() == 4 ? IpAddress::v4(bytes) : IpAddress::v6(bytes)).to_string();
  }
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace

TlsClientLayer::TlsClientLayer(int fd, TlsClientSettings settings)
    : settings_(std::move(settings)),
      context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free),
      ssl_(nullptr, SSL_free),
      socket_(fd),
      fd_(fd) {
  if (!context_) throw std::bad_alloc();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context_.get(), settings_.least_version);
  SSL_CTX_set_options(context_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_default_passwd_cb(context_.get(), no_password);
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
  use_files();
  ssl_.reset(SSL_new(context_.get()));
  input_ = BIO_new(BIO_s_mem());
  output_ = BIO_new(BIO_s_mem());
  if (!ssl_ || input_ == nullptr || output_ == nullptr) {
    BIO_free(input_);
    BIO_free(output_);
    throw std::bad_alloc();
  }
  BIO_set_mem_eof_return(input_, -1);
  SSL_set_bio(ssl_.get(), input_, output_);
  SSL_set_connect_state(ssl_.get());
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, see_verification);
  expect_server();
}

void TlsClientLayer::use_files() {
  SSL_CTX* const context = context_.get();
  if (!settings_.ca.empty()) require_readable(settings_.ca);
  if (settings_.ca.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_file(context, settings_.ca.c_str()) != 1) {
    refuse_file(settings_.ca, "cannot be used as --ca, certificates in PEM");
  }
  if (settings_.cert.empty()) return;
  require_readable(settings_.cert);
  if (SSL_CTX_use_certificate_chain_file(context, settings_.cert.c_str()) != 1)
    refuse_file(settings_.cert, "cannot be used as --cert, a certificate in PEM");
  require_secret_file(settings_.key);
  if (SSL_CTX_use_PrivateKey_file(context, settings_.key.c_str(), SSL_FILETYPE_PEM) != 1)
    refuse_file(settings_.key, "cannot be used as --key, a private key in PEM without a password, of that certificate");
  ERR_clear_error();
}

/// RFC 9525: names of subjectAltName only. A server's own certificate may be its authority, where it is in --ca.
void TlsClientLayer::expect_server() {
  X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const std::string& name = settings_.server_name;
  const bool is_taken = IpAddress::parse(name) ? X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1
                                               : !name.empty() && SSL_set1_host(ssl_.get(), name.c_str()) == 1 &&
                                                     SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1;
  if (!is_taken) throw std::runtime_error("`" + name + "` is no name that a certificate can be for");
}

int TlsClientLayer::see_verification(int is_good, X509_STORE_CTX* store) noexcept {
  const int error = X509_STORE_CTX_get_error(store);
  if (is_good == 1 || (error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH))
    return is_good;
  const auto* const ssl =
      static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  try {
    static_cast<TlsClientLayer*>(SSL_get_app_data(ssl))->shown_names_ = names_in(X509_STORE_CTX_get0_cert(store));
  } catch (const std::bad_alloc&) {
  }
  return is_good;
}

Result<void> TlsClientLayer::handshake() noexcept {
  if (broken_) return broken_;
  for (bool has_received = false;; has_received = true) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int why = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ) {
      failure_ = explain();
      static_cast<void>(send_output());  // the alert
      return break_with(Errc::malformed);
    }
    if (const auto sent = send_output(); !sent) return break_with(sent.error());
    if (why == SSL_ERROR_NONE) return boost::system::in_place_value;
    if (has_received) return make_error_code(Errc::would_block);
    if (const auto got = receive(); !got) return got;
  }
}

Result<std::size_t> TlsClientLayer::read(MutableBytes out) noexcept {
  if (!unread_.empty()) {
    const std::size_t size = std::min(out.size(), unread_.size());
    std::copy_n(unread_.begin(), size, out.begin());
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(size));
    return size;
  }
  has_news_ = false;
  if (broken_) return broken_;
  for (bool has_received = false;; has_received = true) {
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), out.data(), out.size(), &size);
    const int why = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN) {
      failure_ = explain();
      return break_with(Errc::malformed);
    }
    static_cast<void>(send_output());  // a new key's; of a broken socket the next write tells
    if (why == SSL_ERROR_NONE) return size + read_more(out.subspan(size));
    if (why == SSL_ERROR_ZERO_RETURN) return make_error_code(Errc::closed);
    if (has_received) return make_error_code(Errc::would_block);
    if (const auto got = receive(); !got) return got.error();
  }
}

/// The other records that have been received already. What else is behind them is told by the next read().
std::size_t TlsClientLayer::read_more(MutableBytes out) noexcept {
  std::size_t total = 0;
  while (total < out.size() && (SSL_pending(ssl_.get()) > 0 || BIO_pending(input_) > 0)) {
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), out.data() + total, out.size() - total, &size);
    const int why = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    total += size;
    if (why == SSL_ERROR_NONE) continue;
    has_news_ = why != SSL_ERROR_WANT_READ;
    if (!has_news_ || why == SSL_ERROR_ZERO_RETURN) break;
    failure_ = explain();
    broken_ = Errc::malformed;
    break;
  }
  return total;
}

bool TlsClientLayer::holds_input() const noexcept {
  return !unread_.empty() || has_news_ || (!broken_ && (SSL_pending(ssl_.get()) > 0 || BIO_pending(input_) > 0));
}

Result<void> TlsClientLayer::receive() noexcept {
  std::array<std::byte, kReadAtOnce> records;
  const auto got = receive_some(fd_, records);
  if (!got && got.error() == Errc::would_block) return got.error();
  if (!got && got.error() == Errc::closed) {
    failure_ = SSL_is_init_finished(ssl_.get()) == 1
                   ? "the connection has ended without the end that TLS has: what was to come may be missing"
                   : "the server has ended the connection within the TLS handshake; does it speak TLS there?";
    return break_with(Errc::truncated);
  }
  if (!got) return break_with(got.error());
  if (BIO_write(input_, records.data(), static_cast<int>(*got)) != static_cast<int>(*got))
    return break_with(Errc::limit);
  return boost::system::in_place_value;
}

Result<void> TlsClientLayer::put(std::span<const Bytes> parts) noexcept {
  if (broken_) return broken_;
  for (const Bytes part : parts) {
    std::size_t taken = 0;
    ERR_clear_error();
    if (!part.empty() && SSL_write_ex(ssl_.get(), part.data(), part.size(), &taken) != 1) {
      failure_ = explain();
      return break_with(Errc::failed);
    }
  }
  return send_output();
}

/// A socket that takes no more breaks our side alone: what the server has sent is still read.
Result<void> TlsClientLayer::send_output() noexcept {
  char* data = nullptr;
  const long size = BIO_get_mem_data(output_, &data);
  if (size <= 0) return boost::system::in_place_value;
  const Bytes all(reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(size));
  const auto sent = socket_.put({&all, 1});
  BIO_reset(output_);
  return sent;
}

void TlsClientLayer::finish() noexcept {
  if (std::exchange(is_finished_, true)) return;
  if (!broken_ && SSL_is_init_finished(ssl_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    static_cast<void>(send_output());
  }
  socket_.finish();
}

Error TlsClientLayer::break_with(Error why) noexcept { return broken_ = why; }

// ---- in words

std::string TlsClientLayer::explain() const {
  const unsigned long code = ERR_peek_last_error();
  const long verified = SSL_get_verify_result(ssl_.get());
  const std::string reason = take_reason();
  switch (ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return explain_verification(verified);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG: return "the server does not speak TLS there; leave --tls out, or see its port";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return settings_.least_version == TLS1_3_VERSION
                 ? "the server does not speak TLS 1.3; `--min-tls 1.2` goes on with TLS 1.2"
                 : "the server does not speak TLS 1.2 or 1.3";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the server wants a client certificate; show one with --cert FILE and --key FILE";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return "the server does not take the certificate of " +
             (settings_.cert.empty() ? "this client" : settings_.cert.string()) + ": " + reason;
    default: return "TLS with the server has failed: " + reason;
  }
}

std::string TlsClientLayer::explain_verification(long why) const {
  const std::string trusted = settings_.ca.empty() ? "that this system trusts" : "in " + settings_.ca.string();
  switch (why) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the server's certificate is not for " + settings_.server_name + "; it is for " +
             (shown_names_.empty() ? "no name or address (subjectAltName)" : shown_names_) +
             "; if that is the server that you mean, say so with --server-name";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "the server's certificate is not signed by an authority " + trusted +
             "; name the one that has signed it with --ca FILE, and see that the server shows its whole chain";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the server's certificate, or one of its chain, has expired; have it renewed, or see this machine's clock";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "the server's certificate is not valid yet; see this machine's clock";
    default: return std::string("the server's certificate is not good: ") + X509_verify_cert_error_string(why);
  }
}

}  // namespace gatehouse
