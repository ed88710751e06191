#include "gateway/daemon/certificate_files.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/base/utc_time.hpp"
#include "tests/unit/gateway/daemon/test_certificate.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <fstream>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CertificateFilesTest : public testing::Test {
 protected:
  CertificateFilesTest() {
    tls_.certificate = folder_.path() / "chain.pem";
    tls_.key = folder_.path() / "key.pem";
    write_chain(leaf_.pem() + middle_.pem());
    write_key(leaf_.key_pem());
  }
  static void write(const fs::path& file, const std::string& text, mode_t mode) {
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
  }
  void write_chain(const std::string& text) const { write(tls_.certificate, text, 0644); }
  void write_key(const std::string& text, mode_t mode = 0600) const { write(tls_.key, text, mode); }
  std::string refusal() {
    try {
      CertificateFiles files;
      read_certificate_files(tls_, files);
    } catch (const Refusal& why) {
      return why.what();
    }
    return "";
  }
  std::string chain() const { return tls_.certificate.string(); }
  std::string key() const { return tls_.key.string(); }

  const TestFolder folder_;
  const TestCertificate root_{"root"}, middle_{"middle", &root_}, leaf_{"leaf.test", &middle_};
  TlsConfig tls_;
};

TEST_F(CertificateFilesTest, AreReadWhereTheyBelongTogether) {
  tls_.client_ca = folder_.path() / "ca.pem";
  write(tls_.client_ca, "People's\n" + root_.pem() + middle_.pem(), 0644);
  CertificateFiles files;
  read_certificate_files(tls_, files);
  EXPECT_EQ(files.chain, leaf_.pem() + middle_.pem());
  EXPECT_EQ(files.key, leaf_.key_pem());
  EXPECT_THAT(files.client_ca, HasSubstr(middle_.pem()));
  EXPECT_EQ(why_not_valid(files, tls_, unix_now()), "");
  write_chain(leaf_.pem());
  EXPECT_EQ(refusal(), "") << "a leaf alone";
  write_chain(leaf_.pem() + middle_.pem() + root_.pem());
  EXPECT_EQ(refusal(), "") << "with its root";
  write_chain(leaf_.key_pem() + leaf_.pem());
  write_key(leaf_.pem() + leaf_.key_pem());
  EXPECT_EQ(refusal(), "") << "both in one";
}

TEST_F(CertificateFilesTest, MayBeReadByAGroupButNotByOthers) {
  write_key(leaf_.key_pem(), 0640);
  EXPECT_EQ(refusal(), "");
  write_key(leaf_.key_pem(), 0604);
  EXPECT_EQ(refusal(), key() + " may be read by everybody: run `chmod 0600 " + key() + "`");
  write_key(leaf_.key_pem(), 0602);
  EXPECT_THAT(refusal(), HasSubstr(key() + " may be written by everybody"));
  write_key(leaf_.key_pem());
  ::chmod(tls_.certificate.c_str(), 0666);
  EXPECT_THAT(refusal(), HasSubstr(chain() + " may be written by everybody"));
}

TEST_F(CertificateFilesTest, AreMissing) {
  fs::remove(tls_.key);
  EXPECT_EQ(refusal(), key() +
                           " cannot be read (No such file or directory); put the file there, or let the gateway's "
                           "user read it");
  tls_.key = folder_.path();
  EXPECT_EQ(refusal(), key() + " is no file; name one in PEM");
}

TEST_F(CertificateFilesTest, AreBounded) {
  write_chain(leaf_.pem() + std::string(kLargestPem, '\n'));
  EXPECT_EQ(refusal(), chain() + " has more than 1048576 bytes; name a file in PEM");
}

TEST_F(CertificateFilesTest, AreNoPem) {
  write_chain("hello\n");
  EXPECT_EQ(refusal(), chain() + " has no certificate in PEM; name the file that has");
  write_chain("");
  EXPECT_EQ(refusal(), chain() + " has no certificate in PEM; name the file that has");
  std::string broken = middle_.pem();
  broken[100] = '*';
  write_chain(leaf_.pem() + broken);
  EXPECT_THAT(refusal(), HasSubstr("certificate 2 of " + chain() + " cannot be read ("));
  write_chain(leaf_.pem());
  write_key(leaf_.pem());
  EXPECT_THAT(refusal(), HasSubstr(key() + " has no private key in PEM ("));
  write_key(leaf_.key_pem("secret"));
  EXPECT_THAT(refusal(), HasSubstr(key() + " is encrypted, and nobody is there to give the password; "));
  write_key(leaf_.key_pem());
  tls_.client_ca = folder_.path() / "ca.pem";
  write(tls_.client_ca, leaf_.key_pem(), 0644);
  EXPECT_EQ(refusal(), tls_.client_ca.string() + " has no certificate in PEM; name the file that has");
}

TEST_F(CertificateFilesTest, OfAnotherKeyAreRefused) {
  write_key(TestCertificate("other").key_pem());
  EXPECT_EQ(refusal(), "the key in " + key() + " is not that of the certificate in " + chain() +
                           " (CN=leaf.test); name files that belong together");
}

TEST_F(CertificateFilesTest, OutOfOrderAreRefused) {
  write_chain(middle_.pem() + leaf_.pem());
  EXPECT_EQ(refusal(), "the chain in " + chain() + " is out of order: the key in " + key() +
                           " is that of CN=leaf.test, which must come first");
  write_chain(leaf_.pem() + root_.pem() + middle_.pem());
  EXPECT_EQ(refusal(),
            "the chain in " + chain() +
                " is out of order: certificate 1 (CN=leaf.test) is not issued by the next (CN=root); put the "
                "leaf first and behind each certificate the one that issued it");
  const TestCertificate namesake("middle", &root_);
  write_chain(leaf_.pem() + namesake.pem());
  EXPECT_THAT(refusal(), HasSubstr("certificate 1 (CN=leaf.test) is not issued by the next (CN=middle)"));
}

TEST_F(CertificateFilesTest, AreValidWhileAllOfTheChainIs) {
  const TestCertificate short_lived("middle", &root_, -100, 1000), late("late.test", &short_lived, 500, 5000);
  write_chain(late.pem() + short_lived.pem());
  write_key(late.key_pem());
  CertificateFiles files;
  const std::int64_t now = unix_now();
  read_certificate_files(tls_, files);
  EXPECT_NEAR(static_cast<double>(files.not_before), static_cast<double>(now + 500), 5);
  EXPECT_NEAR(static_cast<double>(files.not_after), static_cast<double>(now + 1000), 5);
  EXPECT_EQ(why_not_valid(files, tls_, now), "the certificate in " + chain() + " is not valid before " +
                                                 utc_text(files.not_before) + "; set this machine's clock, or wait");
  EXPECT_EQ(why_not_valid(files, tls_, now + 600), "");
  EXPECT_EQ(why_not_valid(files, tls_, now + 1100), "the certificate in " + chain() + " (CN=middle) has expired at " +
                                                        utc_text(files.not_after) + "; put a new one in its place");
}

}  // namespace
}  // namespace gatehouse
