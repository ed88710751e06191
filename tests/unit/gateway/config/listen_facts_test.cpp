// How streams begin: `[tls]`, and tls, auth, opening and proxies of listeners.
#include "gateway/config/config.hpp"

#include "tests/unit/folders.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kTls = "[tls]\ncertificate = \"/t/chain.pem\"\nkey = \"/t/key.pem\"\n";

/// What reading complains of, each as "line:column: sentence".
std::vector<std::string> problems_of(const std::string& text) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", text);
  std::vector<std::string> out;
  for (const ConfigProblem& problem : read_config(file, {}).problems)
    out.push_back(problem.to_string().substr(file.string().size() + 1));
  return out;
}

/// The listener of [plugin.a], below `before`.
ListenAddress listener(const std::string& value, const std::string& before = "") {
  const ConfigFolder folder;
  const ConfigReading reading =
      read_config(folder.write("gatehouse.toml", before + "[plugin.a]\nlisten = " + value + "\n"), {});
  for (const ConfigProblem& problem : reading.problems) ADD_FAILURE() << problem.to_string();
  return reading.config ? reading.config->plugins.at("a").listeners.at("listen").at(0) : ListenAddress{};
}

struct Wrong {
  const char* name;
  const char* listener;
  const char* problem;  // "column: sentence", or how it begins
};

class WrongFacts : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFacts, AreOneSentence) {
  EXPECT_THAT(problems_of("[plugin.a]\nlisten = " + std::string(GetParam().listener) + "\n"),
              ElementsAre(testing::StartsWith("2:" + std::string(GetParam().problem))));
}

constexpr Wrong kWrong[] = {
    {"NoCertificate", R"("tls:0.0.0.0:1")", "10: `tls:0.0.0.0:1` has no certificate for its TLS; write certificate = "},
    {"NoKey", R"({ address = "127.0.0.1:1", tls = { certificate = "/c" } })",
     "10: `127.0.0.1:1` has no key for its TLS; write certificate = \"/PATH/chain.pem\" and key = \"/PATH/key.pem\" "
     "into "
     "[tls], or into `tls` of this listener's own table"},
    {"RelativeKey", R"({ address = "127.0.0.1:1", tls = { key = "k.pem" } })",
     "51: `plugin.a.listen.tls.key` must be an absolute path to a PEM file, or \"\" for none, not \"k.pem\""},
    {"TlsNumber", R"({ address = "127.0.0.1:1", tls = 1 })",
     "43: `plugin.a.listen.tls` must be true, false or a table"},
    {"TlsKey", R"({ address = "127.0.0.1:1", tls = { cert = "/c" } })", "45: unknown key `plugin.a.listen.tls.cert`"},
    {"TlsTwice", R"({ address = "tls:127.0.0.1:1", tls = false })",
     "10: `tls:127.0.0.1:1` says tls: and tls = false; leave one of them out"},
    {"Alpn", R"({ address = "127.0.0.1:1", tls = { alpn = [""] } })",
     "53: `plugin.a.listen.tls.alpn` must be an array of at most 16 names of 1 to 255 bytes"},
    {"Auth", R"({ address = "127.0.0.1:1", auth = "pam" })",
     "44: `plugin.a.listen.auth` must be \"none\", one of \"token\", \"cert\" and \"unix\", or an array of these, any "
     "one "
     "of which is enough, not \"pam\""},
    {"AuthWithNone", R"({ address = "127.0.0.1:1", auth = ["none", "token"] })", "44: `plugin.a.listen.auth` must be "},
    {"AuthEmpty", R"({ address = "127.0.0.1:1", auth = [] })", "44: `plugin.a.listen.auth` must be "},
    {"CertWithoutTls", R"({ address = "127.0.0.1:1", auth = "cert" })",
     "10: `127.0.0.1:1` asks for auth = \"cert\" without TLS, in which clients show certificates; add tls = { "
     "client_ca "
     "= \"/PATH/ca.pem\" }"},
    {"CertWithoutCa", R"({ address = "127.0.0.1:1", auth = "cert", tls = { certificate = "/c", key = "/k" } })",
     "10: `127.0.0.1:1` asks for auth = \"cert\" and does not say whose certificates are good; add client_ca = "},
    {"UnixOnTcp", R"({ address = "127.0.0.1:1", auth = "unix" })",
     "10: `127.0.0.1:1` asks for auth = \"unix\", which only clients of a unix: listener have; use \"token\" or "
     "\"cert\""},
    {"UnixBehindAProxy", R"({ address = "unix:/x", auth = "unix", proxy_protocol = true })",
     "10: `unix:/x` asks for auth = \"unix\" behind a proxy, whose user all of its clients would be; use \"token\" or "
     "\"cert\""},
    {"OpenToken", R"({ address = "0.0.0.0:1", auth = "token", opening = "http" })",
     "10: `0.0.0.0:1` asks for tokens without TLS, so that everybody on the way could read them; write tls = true "},
    {"OpenTls", R"({ address = "0.0.0.0:1", tls = { certificate = "/c", key = "/k", client_ca = "/a" } })",
     "10: `0.0.0.0:1` would be open to the network without authentication; "},
    {"IdentityAndAuth", R"({ address = "unix:/x", auth = "unix", identity = "unix:bob" })",
     "10: `unix:/x` gives each client the identity unix:bob and asks it for its own with auth; leave one of them out"},
    {"Opening", R"({ address = "127.0.0.1:1", opening = "socks" })",
     "47: `plugin.a.listen.opening` must be one of http, not \"socks\""},
    {"ProxyWithoutTrust", R"({ address = "127.0.0.1:1", proxy_protocol = true })",
     "10: `127.0.0.1:1` has proxy_protocol without trusted_proxies: everybody could claim any address; "},
    {"TrustOnUnix", R"({ address = "unix:/x", trusted_proxies = ["10.0.0.1"] })",
     "10: `unix:/x` has trusted_proxies, but who connects to a Unix socket has no address; "},
    {"TrustsEverybody", R"({ address = "127.0.0.1:1", trusted_proxies = ["0.0.0.0/0"] })",
     "56: `plugin.a.listen.trusted_proxies` must be "},
    {"TrustsHostBits", R"({ address = "127.0.0.1:1", trusted_proxies = ["10.0.0.1/8"] })",
     "56: `plugin.a.listen.trusted_proxies` must be "},
    {"TrustsNobody", R"({ address = "127.0.0.1:1", trusted_proxies = [] })",
     "55: `plugin.a.listen.trusted_proxies` must be "},
    {"OriginOfEverybody", R"({ address = "127.0.0.1:1", opening = "http", origins = ["*"] })",
     "66: `plugin.a.listen.origins` must be an array of origins of pages, as browsers send them, such as "
     "[\"https://app.example\", \"http://localhost:8080\"]; each page that may ask is named, for any other could ask "
     "as "
     "its user, not \"*\""},
    {"OriginOfNobody", R"({ address = "127.0.0.1:1", opening = "http", origins = ["null"] })", "66: "},
    {"OriginWithPath", R"({ address = "127.0.0.1:1", opening = "http", origins = ["https://a.example/"] })",
     "66: `plugin.a.listen.origins` must be an array of origins of pages"},
    {"OriginWithoutScheme", R"({ address = "127.0.0.1:1", opening = "http", origins = ["a.example"] })", "66: "},
    {"OriginWithoutHost", R"({ address = "127.0.0.1:1", opening = "http", origins = ["https://"] })", "66: "},
    {"OriginText", R"({ address = "127.0.0.1:1", opening = "http", origins = "https://a.example" })", "65: "},
    {"OriginNone", R"({ address = "127.0.0.1:1", opening = "http", origins = [] })", "65: "},
    {"Datagrams", R"({ address = "udp:127.0.0.1:1", tls = true })",
     "10: `udp:127.0.0.1:1` takes datagrams; tls, auth, opening, origins, proxy_protocol and trusted_proxies are for "
     "streams"},
};
INSTANTIATE_TEST_SUITE_P(Table, WrongFacts, testing::ValuesIn(kWrong),
                         [](const auto& test) { return test.param.name; });

TEST(TlsSection, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(problems_of("[tls]\nminimum = \"1.1\"\nktls = \"on\"\nkeys = \"/x\"\n"),
              ElementsAre("2:11: `tls.minimum` must be one of 1.3, 1.2, not \"1.1\"",
                          "3:8: `tls.ktls` must be one of auto, off, not \"on\"", HasSubstr("unknown key `tls.keys`")));
}

TEST(TlsSection, IsWhatAListenerHasUnlessItSaysOtherwise) {
  const std::string all =
      kTls + "client_ca = \"/t/ca.pem\"\nalpn = [\"a\", \"b\"]\nminimum = \"1.2\"\nktls = \"off\"\n";
  const TlsConfig expected{"/t/chain.pem", "/t/key.pem", "/t/ca.pem", {"a", "b"}, true, false};
  for (const char* const value :
       {R"("tls:127.0.0.1:1")", R"({ address = "127.0.0.1:1", tls = true })", R"({ address = "unix:/x", tls = {} })",
        R"({ address = "tls:127.0.0.1:1", tls = {} })"})
    EXPECT_EQ(listener(value, all).tls, expected) << value;
  const TlsConfig own{"/o/chain.pem", "/t/key.pem", "", {}, false, true};
  const std::string tls = R"(certificate = "/o/chain.pem", client_ca = "", alpn = [], minimum = "1.3", ktls = "auto")";
  EXPECT_EQ(listener("{ address = \"127.0.0.1:1\", tls = { " + tls + " } }", all).tls, own);
  EXPECT_EQ(listener(R"("127.0.0.1:1")", all).tls, std::nullopt);
  EXPECT_EQ(listener(R"({ address = "127.0.0.1:1", tls = false })", all).tls, std::nullopt);
}

TEST(TlsSection, IsStrictByDefault) {
  const auto tls = listener(R"("tls:127.0.0.1:1")", kTls).tls;
  ASSERT_TRUE(tls);
  EXPECT_FALSE(tls->takes_tls12);
  EXPECT_TRUE(tls->ktls);
  EXPECT_EQ(tls->client_ca, "");
  EXPECT_THAT(tls->alpn, IsEmpty());
}

TEST(ListenFacts, AuthIsOneOrSeveral) {
  EXPECT_FALSE(listener(R"({ address = "0.0.0.0:1", auth = "none" })").auth.any());
  EXPECT_FALSE(listener(R"({ address = "0.0.0.0:1", auth = ["none"] })").auth.any());
  const ClientAuth both = listener(R"({ address = "unix:/x", auth = ["unix", "token"], opening = "http" })").auth;
  EXPECT_EQ(both, (ClientAuth{.token = true, .certificate = false, .user = true}));
  const ListenAddress cert =
      listener(R"({ address = "tls:0.0.0.0:1", auth = "cert", tls = { client_ca = "/ca" } })", kTls);
  EXPECT_EQ(cert.auth, (ClientAuth{.token = false, .certificate = true, .user = false}));
}

TEST(ListenFacts, CertificatesMayBeShownWhereNoneAreNeeded) {
  const auto tls = listener(R"({ address = "0.0.0.0:1", auth = "none", tls = { client_ca = "/ca" } })", kTls).tls;
  ASSERT_TRUE(tls);
  EXPECT_EQ(tls->client_ca, "/ca");
}

TEST(ListenFacts, TokensMayBePlainBehindAProxyAndOnThisMachine) {
  EXPECT_TRUE(listener(R"({ address = "127.0.0.1:1", auth = "token", opening = "http" })").auth.token);
  EXPECT_TRUE(listener(R"({ address = "unix:/x", auth = "token", opening = "http" })").auth.token);
  const ListenAddress behind =
      listener(R"({ address = "10.0.0.2:1", auth = "token", opening = "http", trusted_proxies = ["10.0.0.1"] })");
  EXPECT_TRUE(behind.http_opening);
  EXPECT_FALSE(behind.proxy_protocol);
  EXPECT_THAT(behind.trusted_proxies, ElementsAre(Prefix::parse("10.0.0.1").value()));
}

TEST(ListenFacts, OriginsAreAsBrowsersSendThem) {
  const ListenAddress pages = listener(
      R"({ address = "127.0.0.1:1", opening = "http", origins = ["HTTPS://App.example:443", "http://[::1]:8080",
           "http://b:80", "app+x://a"] })");
  EXPECT_THAT(pages.origins, ElementsAre("https://app.example", "http://[::1]:8080", "http://b", "app+x://a"));
  EXPECT_THAT(listener(R"({ address = "127.0.0.1:1", opening = "http" })").origins, IsEmpty());
}

TEST(ListenFacts, AUnixListenersModeSaysWhoIsAProxy) {
  const ListenAddress unix_listener = listener(R"({ address = "unix:/x", proxy_protocol = true })");
  EXPECT_TRUE(unix_listener.proxy_protocol);
  EXPECT_THAT(unix_listener.trusted_proxies, IsEmpty());
}

/// The block of TOML in a README that has `[tls]`.
std::string example_of(const std::string& readme) {
  std::ifstream in(source_folder() / readme);
  std::ostringstream whole;
  whole << in.rdbuf();
  const std::string text = whole.str();
  const auto from = text.find("```toml\n[tls]") + 8;
  return text.substr(from, text.find("```", from) - from);
}

TEST(ListenFacts, OfTheReadmesAreValid) {
  for (const char* const readme : {"README.md", "gateway/config/README.md"})
    EXPECT_THAT(problems_of(example_of(readme)), IsEmpty()) << readme;
}

}  // namespace
}  // namespace gatehouse
