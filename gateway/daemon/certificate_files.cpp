#include "gateway/daemon/certificate_files.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/utc_time.hpp"

#include <gatehouse/base/own_path.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/tls_context.hpp>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <vector>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestChain = 16;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<&BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<&EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<&X509_free>>;

/// Why OpenSSL would not, as it says; forgets it.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_error();
  const char* const reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : "OpenSSL does not say why";
}

struct Opened {
  UniqueFd fd;
  struct stat about {};
};

Opened open_pem(const fs::path& file) {
  refuse_unless(why_not_own(file));
  Opened out{UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)), {}};
  if (!out.fd || ::fstat(out.fd.get(), &out.about) != 0)
    throw Refusal(file.string() + " cannot be read (" + std::strerror(errno) +
                  "); put the file there, or let the gateway's user read it");
  if (!S_ISREG(out.about.st_mode)) throw Refusal(file.string() + " is no file; name one in PEM");
  refuse_unless(why_not_own(out.about, file));
  if (static_cast<std::uint64_t>(out.about.st_size) > kLargestPem)
    throw Refusal(file.string() + " has more than " + std::to_string(kLargestPem) + " bytes; name a file in PEM");
  return out;
}

void read_pem(const fs::path& file, const Opened& opened, std::string& out) {
  out.resize(kLargestPem + 1);
  std::size_t size = 0;
  while (size < out.size()) {
    const ssize_t got = ::read(opened.fd.get(), out.data() + size, out.size() - size);
    if (got < 0) throw Refusal(file.string() + " cannot be read: " + std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kLargestPem) throw Refusal(file.string() + " grows while it is read; name a file in PEM");
  out.resize(size);
}

Bio open_text(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string name_of(const X509* certificate) {
  const Bio out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "(without a name)";
}

std::vector<X509Ptr> parse_certificates(const fs::path& file, const std::string& text) {
  std::vector<X509Ptr> out;
  const Bio in = open_text(text);
  while (X509Ptr next{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)}) out.push_back(std::move(next));
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = openssl_reason();
  if (!at_end)
    throw Refusal("certificate " + std::to_string(out.size() + 1) + " of " + file.string() + " cannot be read (" +
                  reason + "); write the file anew, in PEM");
  if (out.empty()) throw Refusal(file.string() + " has no certificate in PEM; name the file that has");
  return out;
}

Key parse_key(const fs::path& file, const std::string& text) {
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const Bio in = open_text(text);
  Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_password, nullptr));
  const std::string reason = openssl_reason();
  if (key) return key;
  if (text.find("ENCRYPTED") != text.npos)
    throw Refusal(file.string() +
                  " is encrypted, and nobody is there to give the password; write it without one: openssl "
                  "pkey -in KEY -out NEW");
  throw Refusal(file.string() + " has no private key in PEM (" + reason +
                "); name the file that has the certificate's");
}

bool is_issued_by(X509* certificate, X509* issuer) {
  const bool is =
      X509_check_issued(issuer, certificate) == X509_V_OK && X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  return is;
}

bool is_key_of(const X509* certificate, const EVP_PKEY* key) {
  const bool is = X509_check_private_key(certificate, key) == 1;
  ERR_clear_error();
  return is;
}

void require_order(const fs::path& file, const std::vector<X509Ptr>& chain) {
  if (chain.size() > kLongestChain)
    throw Refusal(file.string() + " has more than " + std::to_string(kLongestChain) +
                  " certificates; leave the leaf and those that lead to its root");
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    if (is_issued_by(chain[i].get(), chain[i + 1].get())) continue;
    throw Refusal("the chain in " + file.string() + " is out of order: certificate " + std::to_string(i + 1) + " (" +
                  name_of(chain[i].get()) + ") is not issued by the next (" + name_of(chain[i + 1].get()) +
                  "); put the leaf first and behind each certificate the one that issued it");
  }
}

void require_match(const TlsConfig& config, const std::vector<X509Ptr>& chain, const EVP_PKEY* key) {
  if (is_key_of(chain.front().get(), key)) return;
  for (const X509Ptr& other : chain)
    if (is_key_of(other.get(), key))
      throw Refusal("the chain in " + config.certificate.string() + " is out of order: the key in " +
                    config.key.string() + " is that of " + name_of(other.get()) + ", which must come first");
  throw Refusal("the key in " + config.key.string() + " is not that of the certificate in " +
                config.certificate.string() + " (" + name_of(chain.front().get()) +
                "); name files that belong together");
}

/// By what a lane makes of them: keys that are too short, digests that are too old.
void require_usable(const TlsConfig& config, const CertificateFiles& files) {
  TlsSettings settings;
  settings.chain = files.chain;
  settings.key = files.key;
  settings.client_ca = files.client_ca;
  try {
    const TlsContext usable(settings, nullptr);
  } catch (const std::runtime_error& why) {
    throw Refusal("OpenSSL does not take what is in " + config.certificate.string() + " and its key: " + why.what() +
                  "; have another one issued");
  }
}

std::int64_t unix_time(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

void note_times(const std::vector<X509Ptr>& chain, CertificateFiles& out) {
  out.not_before = INT64_MIN;
  out.not_after = INT64_MAX;
  for (const X509Ptr& certificate : chain) {
    out.not_before = std::max(out.not_before, unix_time(X509_get0_notBefore(certificate.get())));
    const std::int64_t end = unix_time(X509_get0_notAfter(certificate.get()));
    if (end >= out.not_after) continue;
    out.not_after = end;
    out.weakest = name_of(certificate.get());
  }
}

}  // namespace

CertificateFiles::~CertificateFiles() { OPENSSL_cleanse(key.data(), key.size()); }

void read_certificate_files(const TlsConfig& config, CertificateFiles& out) {
  ERR_clear_error();
  const Opened chain_file = open_pem(config.certificate), key_file = open_pem(config.key);
  if ((key_file.about.st_mode & S_IROTH) != 0)
    throw Refusal(config.key.string() + " may be read by everybody: run `chmod 0600 " + config.key.string() + "`");
  read_pem(config.certificate, chain_file, out.chain);
  read_pem(config.key, key_file, out.key);
  const std::vector<X509Ptr> chain = parse_certificates(config.certificate, out.chain);
  const Key key = parse_key(config.key, out.key);
  require_match(config, chain, key.get());
  require_order(config.certificate, chain);
  note_times(chain, out);
  if (!config.client_ca.empty()) {
    const Opened ca_file = open_pem(config.client_ca);
    read_pem(config.client_ca, ca_file, out.client_ca);
    static_cast<void>(parse_certificates(config.client_ca, out.client_ca));
  }
  require_usable(config, out);
}

std::string why_not_valid(const CertificateFiles& files, const TlsConfig& config, std::int64_t now) {
  const std::string what = "the certificate in " + config.certificate.string();
  if (now >= files.not_after)
    return what + " (" + files.weakest + ") has expired at " + utc_text(files.not_after) +
           "; put a new one in its place";
  if (now < files.not_before)
    return what + " is not valid before " + utc_text(files.not_before) + "; set this machine's clock, or wait";
  return "";
}

std::array<FileStamp, 3> stamps_of(const TlsConfig& config) noexcept {
  return {FileStamp::of(config.certificate), FileStamp::of(config.key),
          config.client_ca.empty() ? FileStamp{} : FileStamp::of(config.client_ca)};
}

}  // namespace gatehouse
