// Certificates that tests make for themselves: P-256 keys, names, times, issuers.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace gatehouse {

class TestCertificate {
 public:
  /// @param issuer  null: it issues itself
  /// @param from, to  seconds from now when it begins and ends to be valid
  explicit TestCertificate(const std::string& name, const TestCertificate* issuer = nullptr, long from = -3600,
                           long to = 90L * 86'400)
      : key_(EVP_EC_gen("P-256"), &EVP_PKEY_free), certificate_(X509_new(), &X509_free) {
    X509* const out = certificate_.get();
    X509_set_version(out, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(out), ++last_serial());
    X509_gmtime_adj(X509_getm_notBefore(out), from);
    X509_gmtime_adj(X509_getm_notAfter(out), to);
    X509_set_pubkey(out, key_.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    const TestCertificate& by = issuer != nullptr ? *issuer : *this;
    X509_set_issuer_name(out, X509_get_subject_name(by.certificate_.get()));
    X509_EXTENSION* const basic = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(out, basic, -1);
    X509_EXTENSION_free(basic);
    X509_sign(out, by.key_.get(), EVP_sha256());
  }

  [[nodiscard]] std::string pem() const {
    return text([this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
  }
  /// @param password  "" = not encrypted
  [[nodiscard]] std::string key_pem(const std::string& password = "") const {
    return text([&](BIO* out) {
      PEM_write_bio_PKCS8PrivateKey(out, key_.get(), password.empty() ? nullptr : EVP_aes_256_cbc(),
                                    password.empty() ? nullptr : password.c_str(), static_cast<int>(password.size()),
                                    nullptr, nullptr);
    });
  }

 private:
  template <class Write>
  static std::string text(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
    write(out.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
  static long& last_serial() {
    static long serial = 0;
    return serial;
  }

  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace gatehouse
