#include "gateway/daemon/listener_certificates.hpp"

#include "gateway/base/lane.hpp"
#include "gateway/base/utc_time.hpp"
#include "tests/unit/gateway/daemon/test_certificate.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <fstream>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
namespace fs = std::filesystem;

constexpr long kDay = 86'400;

/// One plugin with a plain listener and one with TLS.
class ListenerCertificatesTest : public testing::Test {
 protected:
  ListenerCertificatesTest() {
    tls_.certificate = folder_.path() / "chain.pem";
    tls_.key = folder_.path() / "key.pem";
    tls_.alpn = {"h2", "http/1.1"};
    settings_.config.name = "udpgw";
    listen("127.0.0.1:0", {});
    listen("tls:127.0.0.1:0", tls_);
    replace(TestCertificate("first.test"));
  }
  void listen(const std::string& text, const std::optional<TlsConfig>& tls) {
    ListenAddress address;
    address.text = text;
    address.endpoint = Endpoint::parse("127.0.0.1:0").value();
    address.tls = tls;
    address.place = {"gatehouse.toml", 7, 3};
    settings_.config.listeners["listen"].push_back(address);
    settings_.listeners.push_back(
        std::make_shared<BoundListener>(names_->add("udpgw", text), "udpgw", "listen", address, 1));
  }
  static void write(const fs::path& file, const std::string& text) {
    const fs::path other = file.string() + ".new";
    std::ofstream(other) << text;
    ::chmod(other.c_str(), 0600);
    fs::rename(other, file);
  }
  void replace(const TestCertificate& by) const {
    write(tls_.key, by.key_pem());
    write(tls_.certificate, by.pem());
  }
  std::vector<std::string> read(std::int64_t later = 0) {
    std::vector<ConfigProblem> problems;
    readings_.clear();
    certificates_.read(settings_.config, unix_now() + later, readings_, problems);
    std::vector<std::string> out;
    for (const ConfigProblem& problem : problems) out.push_back(problem.to_string());
    return out;
  }
  std::vector<std::string> remarks(std::int64_t later = 0) const {
    std::vector<std::string> out;
    for (const ConfigProblem& remark : ListenerCertificates::remarks(readings_, unix_now() + later))
      out.push_back(remark.to_string());
    return out;
  }
  bool serve() { return read().empty() && certificates_.serve(settings_, readings_, now_); }
  bool watch(std::int64_t later = 0) { return certificates_.watch(now_, unix_now() + later); }
  std::vector<std::string> reasons(std::int64_t later = 0) const { return certificates_.reasons(unix_now() + later); }
  /// What a lane gets of the listener with that number.
  gh_certificate get(std::uint32_t listener = 1) {
    gh_certificate out{};
    out.struct_size = sizeof out;
    status_ = face_.table()->get(face_.table()->context, &lane_.head, listener, &out);
    return out;
  }
  std::string chain() { return std::string(from_border(get().chain)); }

  const TestFolder folder_;
  TlsConfig tls_;
  PluginSettings settings_;
  std::shared_ptr<ListenerNames> names_ = std::make_shared<ListenerNames>();
  std::shared_ptr<CertificateTable> table_ = std::make_shared<CertificateTable>();
  std::shared_ptr<Journal> journal_ = std::make_shared<Journal>(GH_LOG_TRACE, LogFormat::text);
  PluginCertificates face_{table_, names_, "udpgw"};
  HostLane lane_;
  gh_status status_ = GH_OK;
  ListenerCertificates certificates_{table_, journal_};
  ListenerCertificates::Readings readings_;
  SteadyTime now_{1h};
};

TEST_F(ListenerCertificatesTest, AreOfListenersWithTls) {
  EXPECT_TRUE(serve());
  const gh_certificate out = get();
  ASSERT_EQ(status_, GH_OK);
  EXPECT_THAT(std::string(from_border(out.chain)), HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(std::string(from_border(out.key)), HasSubstr("BEGIN PRIVATE KEY"));
  EXPECT_EQ(from_border(out.client_ca), "");
  EXPECT_EQ(from_border(out.alpn), "\2h2\10http/1.1");
  EXPECT_EQ(out.ticket_key.size, 80u);
  EXPECT_EQ(out.ticket_key_before.size, 0u);
  EXPECT_EQ(out.least_version, 0x0304u);
  EXPECT_EQ(out.ktls, 1u);
  get(0);
  EXPECT_EQ(status_, GH_E_NOT_FOUND);
  EXPECT_FALSE(serve()) << "nothing has changed";
}

TEST_F(ListenerCertificatesTest, FollowTheConfiguration) {
  EXPECT_TRUE(serve());
  TlsConfig& tls = *settings_.config.listeners["listen"][1].tls;
  tls.takes_tls12 = true;
  tls.alpn.clear();
  EXPECT_TRUE(serve());
  tls.ktls = false;
  EXPECT_TRUE(serve());
  EXPECT_EQ(get().ktls, 0u);
  EXPECT_EQ(get().least_version, 0x0303u);
  EXPECT_EQ(get().alpn.size, 0u);
}

TEST_F(ListenerCertificatesTest, ThatCannotBeReadAreAProblemAtTheirListener) {
  write(tls_.key, "nothing");
  EXPECT_THAT(read(), ElementsAre(HasSubstr("gatehouse.toml:7:3: TLS of `tls:127.0.0.1:0`: " + tls_.key.string() +
                                            " has no private key in PEM")));
}

TEST_F(ListenerCertificatesTest, ThatHaveExpiredAreServedAndRemarkedOn) {
  replace(TestCertificate("old.test", nullptr, -1000, -10));
  EXPECT_TRUE(serve());
  EXPECT_THAT(remarks(), ElementsAre(MatchesRegex("gatehouse.toml:7:3: TLS of `tls:127.0.0.1:0`: the certificate in .* "
                                                  "\\(CN=old.test\\) has expired at .*")));
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr(" (CN=old.test) has expired at ")));
  EXPECT_NE(chain(), "");
  const TestCertificate next("next.test");
  replace(next);
  EXPECT_TRUE(watch());
  EXPECT_EQ(chain(), next.pem());
  EXPECT_THAT(reasons(), IsEmpty());
}

TEST_F(ListenerCertificatesTest, ThatAreNotValidYetAreServedAndToldOf) {
  replace(TestCertificate("early.test", nullptr, 100, kDay));
  EXPECT_TRUE(serve());
  EXPECT_THAT(remarks(), ElementsAre(HasSubstr(" is not valid before ")));
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) watch();
  journal_->flush();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("[^\n]*error[^\n]*a certificate is not valid yet; see this machine's clock[^\n]*\n"));
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr(" is not valid before ")));
}

TEST_F(ListenerCertificatesTest, ThatHaveExpiredDoNotTakeThePlaceOfAValidOne) {
  EXPECT_TRUE(serve());
  EXPECT_THAT(read(91 * kDay), IsEmpty()) << "it is served already";
  replace(TestCertificate("late.test", nullptr, 100, kDay));
  EXPECT_THAT(read(), ElementsAre(HasSubstr(" is not valid before ")));
  EXPECT_THAT(read(91 * kDay), IsEmpty()) << "neither is valid";
}

TEST_F(ListenerCertificatesTest, AreRemarkedOnFromTwoWeeksBeforeTheyExpire) {
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_THAT(remarks(75 * kDay), IsEmpty());
  EXPECT_THAT(remarks(77 * kDay), ElementsAre(HasSubstr(" expires at ")));
}

TEST_F(ListenerCertificatesTest, AreTakenAnewWhenTheFilesChange) {
  EXPECT_TRUE(serve());
  const std::string before = chain();
  EXPECT_FALSE(watch());
  const TestCertificate next("next.test");
  replace(next);
  EXPECT_TRUE(watch());
  EXPECT_EQ(chain(), next.pem());
  EXPECT_NE(chain(), before);
  EXPECT_FALSE(watch());
  EXPECT_THAT(reasons(), IsEmpty());
}

TEST_F(ListenerCertificatesTest, HalfReplacedAreTakenWithTheOtherHalfAndToldOfOnce) {
  EXPECT_TRUE(serve());
  const std::string before = chain();
  const TestCertificate next("next.test");
  testing::internal::CaptureStderr();
  write(tls_.certificate, next.pem());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(watch());
  EXPECT_EQ(chain(), before);
  EXPECT_THAT(reasons(),
              ElementsAre(HasSubstr("changed files of a certificate are not taken, and the former ones go on: "
                                    "the key in " +
                                    tls_.key.string() + " is not that of")));
  write(tls_.key, next.key_pem());
  EXPECT_TRUE(watch());
  EXPECT_EQ(chain(), next.pem());
  EXPECT_THAT(reasons(), IsEmpty());
  journal_->flush();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("changed files of a certificate are not taken"));
  EXPECT_THAT(log, HasSubstr("certificate replaced"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
}

TEST_F(ListenerCertificatesTest, GoOnWhereTheFilesAreGoneOrOpenOrExpired) {
  EXPECT_TRUE(serve());
  const std::string before = chain();
  const TestCertificate next("next.test");
  replace(next);
  ::chmod(tls_.key.c_str(), 0644);
  EXPECT_FALSE(watch());
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr("may be read by everybody")));
  ::chmod(tls_.key.c_str(), 0600);
  EXPECT_TRUE(watch()) << "although no stamp has moved";
  fs::remove(tls_.certificate);
  EXPECT_FALSE(watch());
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr("cannot be read (No such file")));
  replace(TestCertificate("old.test", nullptr, -1000, -10));
  EXPECT_FALSE(watch());
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr("has expired at")));
  EXPECT_EQ(chain(), next.pem());
}

TEST_F(ListenerCertificatesTest, HaveTicketKeysThatChangeEachHour) {
  EXPECT_TRUE(serve());
  const std::string first(from_border(get().ticket_key));
  now_ += ListenerCertificates::kRotation - 1ns;
  EXPECT_FALSE(watch());
  now_ += 1ns;
  const std::uint64_t generation = get().generation;
  EXPECT_TRUE(watch());
  const std::string second(from_border(get().ticket_key));
  EXPECT_NE(second, first);
  EXPECT_EQ(from_border(get().ticket_key_before), first);
  EXPECT_GT(get().generation, generation);
  now_ += ListenerCertificates::kRotation;
  EXPECT_TRUE(watch());
  EXPECT_EQ(from_border(get().ticket_key_before), second);
  EXPECT_FALSE(serve()) << "a reload keeps them";
}

TEST_F(ListenerCertificatesTest, AreToldOfADayFromTwoWeeksBeforeTheyExpire) {
  EXPECT_TRUE(serve());
  testing::internal::CaptureStderr();
  watch(75 * kDay);
  EXPECT_THAT(reasons(75 * kDay), IsEmpty());
  for (int i = 0; i < 3; ++i) watch(77 * kDay);
  EXPECT_THAT(reasons(77 * kDay), ElementsAre(HasSubstr("the certificate in " + tls_.certificate.string() +
                                                        " (CN=first.test) expires at ")));
  EXPECT_THAT(reasons(77 * kDay)[0], testing::ContainsRegex(", in 1[23] days; put a new one in its place"));
  watch(78 * kDay + 60);
  watch(91 * kDay);
  EXPECT_THAT(reasons(91 * kDay), ElementsAre(HasSubstr(" has expired at ")));
  journal_->flush();
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3) << log;
  EXPECT_THAT(log, HasSubstr("a certificate has expired; replace it"));
  EXPECT_EQ(status_, GH_OK);
  EXPECT_NE(chain(), "") << "and goes on";
}

TEST_F(ListenerCertificatesTest, AreForgottenWithTheirListener) {
  EXPECT_TRUE(serve());
  EXPECT_FALSE(certificates_.keep_only({0, 1, 2}));
  EXPECT_TRUE(certificates_.keep_only({0}));
  get();
  EXPECT_EQ(status_, GH_E_NOT_FOUND);
}

TEST_F(ListenerCertificatesTest, OfNewListenersComeBeforeThoseThatChange) {
  EXPECT_TRUE(serve());
  const std::string before = chain();
  const TestCertificate next("next.test");
  replace(next);
  listen("tls:127.0.0.2:0", tls_);
  ASSERT_THAT(read(), IsEmpty());
  EXPECT_TRUE(certificates_.serve(settings_, readings_, now_, true));
  EXPECT_EQ(chain(), before);
  EXPECT_EQ(from_border(get(2).chain), next.pem());
  EXPECT_TRUE(certificates_.serve(settings_, readings_, now_));
  EXPECT_EQ(chain(), next.pem());
  EXPECT_NE(from_border(get(1).ticket_key), std::string(from_border(get(2).ticket_key)));
}

TEST_F(ListenerCertificatesTest, SayInMetricsWhenTheyExpire) {
  EXPECT_TRUE(serve());
  OpenMetrics out;
  certificates_.write_metrics(out);
  EXPECT_THAT(out.text(),
              HasSubstr("gatehouse_certificate_expiry_seconds{plugin=\"udpgw\",listener=\"tls:127.0.0.1:0\"} 1"));
}

}  // namespace
}  // namespace gatehouse
