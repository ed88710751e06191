// The probe against the plugin itself: what it asks, what it prints, and what it refuses.
#include "plugins/udpgw/probe.hpp"
#include "tests/unit/sdk/net/test_authority.hpp"
#include "tests/unit/udpgw/udpgw_fixture.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

namespace gatehouse::udpgw {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class ProbeTest : public UdpgwPlugin {
 protected:
  struct Outcome {
    gh_status status;
    std::string printed, why;
  };
  static Outcome run(const std::vector<std::string>& words) {
    std::vector<gh_bytes> arguments;
    for (const std::string& word : words) arguments.push_back(to_border(std::string_view(word)));
    std::string text(1024, '\0');
    gh_message why{text.data(), text.size(), 0};
    Outcome out{};
    out.status = probe().run(
        arguments.data(), arguments.size(),
        [](void* context, gh_bytes json) { *static_cast<std::string*>(context) += from_border(json); }, &out.printed,
        &why);
    out.why = text.substr(0, why.size);
    return out;
  }
  static const gh_probe& probe() { return kProbe; }
  /// Runs it beside somebody who answers.
  template <class Answer>
  static Outcome run_beside(const std::vector<std::string>& words, Answer answer) {
    Outcome out{};
    std::thread asks([&] { out = run(words); });
    answer();
    asks.join();
    return out;
  }
  std::string server() const { return plugin.address().to_string(); }
};

TEST_F(ProbeTest, AsksTheGatewaysResolverAndPrintsWhatItSays) {
  ByteVector query;
  const Outcome out = run_beside({server(), "--dns", "A.Example."}, [&] {
    query = resolver.receive();
    ASSERT_GE(query.size(), 12u);
    ByteVector reply = query;
    reply[2] = std::byte{0x81}, reply[3] = std::byte{0x80}, reply[7] = std::byte{3};
    for (const char* const record : {"c00c 0001 0001 00000000 0004 c0000207",  // 192.0.2.7
                                     "0178 00 0005 0001 00000000 0002 c00c",   // a CNAME, whose name is written out
                                     "c00c 001c 0001 00000000 0010 20010db8000000000000000000000001"}) {  // 2001:db8::1
      const ByteVector bytes = hex(record);
      reply.insert(reply.end(), bytes.begin(), bytes.end());
    }
    ByteVector other = reply;
    other[0] ^= std::byte{1};  // of another question
    resolver.send(resolver.from, other);
    resolver.send(resolver.from, hex("1234"));
    resolver.send(resolver.from, reply);
  });
  EXPECT_EQ(out.status, GH_OK) << out.why;
  EXPECT_THAT(out.printed, MatchesRegex(R"(\{"name": "a\.example", "rcode": "NOERROR", )"
                                        R"("addresses": \["192\.0\.2\.7", "2001:db8::1"\], )"
                                        R"("round_trip_ms": [0-9]+\.[0-9][0-9][0-9]\})"));
  ASSERT_GE(query.size(), 2u);
  EXPECT_EQ(ByteVector(query.begin() + 2, query.end()),
            hex("0100 0001 0000 0000 0000 0161 076578616d706c65 00 0001 0001"));
}

TEST_F(ProbeTest, AsksForIpv6AddressesAndTellsARefusal) {
  ByteVector query;
  const Outcome out = run_beside({"--type", "AAAA", "--dns", "a.test", server()}, [&] {
    query = resolver.receive();
    ByteVector reply = query;
    ASSERT_GE(reply.size(), 12u);
    reply[2] = std::byte{0x81}, reply[3] = std::byte{0x83};
    resolver.send(resolver.from, reply);
  });
  EXPECT_EQ(out.status, GH_OK) << out.why;
  EXPECT_THAT(out.printed, HasSubstr(R"("rcode": "NXDOMAIN", "addresses": [])"));
  ASSERT_GE(query.size(), 4u);
  EXPECT_EQ(ByteVector(query.end() - 4, query.end()), hex("001c 0001"));
}

TEST_F(ProbeTest, PrintsNoAddressOfARecordThatIsCut) {
  for (const char* const record : {"c00c 0001 0001 00000000 0004 c00002", "c00c 0001 0001 00000000 00", "c0"}) {
    const Outcome out = run_beside({server(), "--dns", "a.test"}, [&] {
      ByteVector reply = resolver.receive();
      ASSERT_GE(reply.size(), 12u);
      reply[3] = std::byte{0x8b}, reply[7] = std::byte{1};
      const ByteVector bytes = hex(record);
      reply.insert(reply.end(), bytes.begin(), bytes.end());
      resolver.send(resolver.from, reply);
    });
    EXPECT_EQ(out.status, GH_OK) << out.why;
    EXPECT_THAT(out.printed, HasSubstr(R"("rcode": "RCODE11", "addresses": [])"));
  }
}

TEST_F(ProbeTest, TakesAHeaderAloneForAnAnswer) {
  const Outcome out = run_beside({server(), "--dns", "a.test"}, [&] {
    ByteVector reply = resolver.receive();
    ASSERT_GE(reply.size(), 12u);
    reply.resize(12);
    reply[3] = std::byte{0x85}, reply[5] = std::byte{0};
    resolver.send(resolver.from, reply);
  });
  EXPECT_EQ(out.status, GH_OK) << out.why;
  EXPECT_THAT(out.printed, HasSubstr(R"("rcode": "REFUSED", "addresses": [])"));
}

TEST_F(ProbeTest, CountsRoundTripsOfTheSizeThatIsAsked) {
  std::vector<std::size_t> sizes;
  const auto echo = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const ByteVector payload = far.receive();
      sizes.push_back(payload.size());
      if (payload.empty()) return;
      EXPECT_EQ(load_big<std::uint32_t>(payload), i);
      far.send(far.from, hex("ffffffff"));  // of somebody else
      far.send(far.from, payload);
    }
  };
  const std::string to = far.endpoint.to_string();
  const Outcome out = run_beside({server(), "--echo", to}, [&] { echo(10); });
  EXPECT_EQ(out.status, GH_OK) << out.why;
  EXPECT_THAT(out.printed, StartsWith("{\"echo\": \"" + to + R"(", "round_trips": 10, "size_bytes": 64, "min_ms": )"));
  EXPECT_EQ(sizes, std::vector<std::size_t>(10, 64));
  sizes.clear();
  const Outcome other = run_beside({server(), "--echo", to, "--count", "3", "--size", "4"}, [&] { echo(3); });
  EXPECT_THAT(other.printed, HasSubstr(R"("round_trips": 3, "size_bytes": 4, )"));
  EXPECT_EQ(sizes, std::vector<std::size_t>(3, 4));
}

TEST_F(ProbeTest, SaysWhatTheGatewayDoesNotSpeak) {
  const std::string to = far.endpoint.to_string();
  EXPECT_EQ(run({server(), "--echo", to, "--tls", "--timeout-ms", "50"}).why,
            server() + " did not answer the TLS handshake in time; does its listener speak TLS?");
  EXPECT_EQ(run({server(), "--echo", to, "--http", "--timeout-ms", "50"}).why,
            server() + " did not answer the HTTP opening in time; has its listener opening = \"http\"?");
}

/// A listener with TLS, an opening and tokens.
class ProbeOfASafeListener : public ProbeTest {
 protected:
  ProbeOfASafeListener() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    const test::TestAuthority authority;
    const test::TestCertificate shown = authority.issue({.alternatives = "DNS:gate.example"});
    safe_host_.set_certificate(0, {.chain = shown.certificate, .key = shown.key, .client_ca = {}});
    safe_host_.set_credential(GH_CREDENTIAL_TOKEN, "secret", "token:bob");
    std::ofstream(folder_ / "ca.pem") << authority.certificate();
    std::ofstream(folder_ / "token") << "secret\n";
    std::filesystem::permissions(folder_ / "token", std::filesystem::perms::owner_read);
    safe_.emplace(gatehouse_plugin, safe_host_, options(resolver.endpoint, second_resolver.endpoint), 1,
                  std::vector<testkit::TestListener>{{.auth = GH_AUTH_TOKEN, .tls = true, .http_opening = true}});
  }
  ~ProbeOfASafeListener() override {
    safe_.reset();
    std::filesystem::remove_all(folder_);
  }
  Outcome ask(const std::vector<std::string>& more) {
    std::vector<std::string> words{safe_->address().to_string(),
                                   "--echo",
                                   far.endpoint.to_string(),
                                   "--count",
                                   "1",
                                   "--timeout-ms",
                                   "2000",
                                   "--ca",
                                   folder_ / "ca.pem",
                                   "--tls"};
    words.insert(words.end(), more.begin(), more.end());
    return run_beside(words, [this] {
      const ByteVector payload = far.receive();
      if (!payload.empty()) far.send(far.from, payload);
    });
  }
  std::string token() const { return folder_ / "token"; }

 private:
  std::filesystem::path folder_;
  testkit::FakeHost safe_host_;
  std::optional<testkit::PluginRunner> safe_;
};

TEST_F(ProbeOfASafeListener, TellsHowItsStreamWasOpened) {
  for (const char* const way : {"--http", "--websocket"}) {
    const Outcome out = ask({way, "--token-file", token(), "--server-name", "gate.example"});
    EXPECT_EQ(out.status, GH_OK) << out.why;
    EXPECT_THAT(out.printed, MatchesRegex(R"(\{"echo": .*, "round_trips": 1, .*, "max_ms": [0-9.]+, )"
                                          R"("tls": \{"version": "TLSv1\.3", "cipher": "TLS_[A-Z0-9_]+"\}, )"
                                          R"("http": true\})"));
  }
}

TEST_F(ProbeOfASafeListener, SaysWhyItWasRefused) {
  const Outcome other = ask({"--http", "--token-file", token()});
  EXPECT_EQ(other.status, GH_E_FAILED);
  EXPECT_THAT(other.why, StartsWith("the server's certificate is not for 127.0.0.1; it is for gate.example; "));
  EXPECT_THAT(ask({"--http", "--server-name", "gate.example"}).why, StartsWith("the gateway refused with 401: "));
}

TEST_F(ProbeTest, GivesUpInItsTime) {
  const Outcome out = run({server(), "--echo", far.endpoint.to_string(), "--timeout-ms", "20"});
  EXPECT_LT(out.status, 0);
  EXPECT_THAT(out.why, StartsWith("no answer came in time"));
}

TEST_F(ProbeTest, SaysThatNobodyListens) {
  const Outcome out = run({"127.0.0.1:1", "--dns", "a.test"});
  EXPECT_LT(out.status, 0);
  EXPECT_THAT(out.why, HasSubstr("connect to 127.0.0.1:1"));
  EXPECT_THAT(run({"unix:/nowhere", "--dns", "a.test"}).why, HasSubstr("connect to /nowhere"));
}

TEST_F(ProbeTest, RefusesWhatItDoesNotUnderstand) {
  struct Wrong {
    std::vector<std::string> words;
    const char* why;
  };
  const std::string long_path = "unix:/" + std::string(120, 'x');
  const Wrong wrong[] = {
      {{}, "the server's address is missing"},
      {{"a:1", "b:1", "--dns", "x"}, "`b:1` is one word too many"},
      {{"a:1"}, "give either --dns or --echo"},
      {{"a:1", "--dns", "x", "--echo", "192.0.2.1:7"}, "give either --dns or --echo"},
      {{"a:1", "--dns"}, "--dns needs a value"},
      {{"a:1", "--dns", "a..b"}, "`a..b` is no domain name"},
      {{"a:1", "--type", "MX"}, "--type takes A or AAAA"},
      {{"a:1", "--echo", "192.0.2.1"}, "--echo takes an address with a port"},
      {{"a:1", "--count", "0"}, "--count takes a number from 1 to 100000"},
      {{"a:1", "--count", "100001"}, "--count takes a number from 1 to 100000"},
      {{"a:1", "--size", "3"}, "--size takes a number from 4 to 65507"},
      {{"a:1", "--size", "65508"}, "--size takes a number from 4 to 65507"},
      {{"a:1", "--timeout-ms", "600001"}, "--timeout-ms takes a number from 1 to 600000"},
      {{"a:1", "--timeout-ms", "5s"}, "--timeout-ms takes a number from 1 to 600000"},
      {{"a:1", "--dns", "x", "--ca", "y"}, "--ca needs --tls"},
      {{"a:1", "--dns", "x", "--tls", "--cert"}, "--cert needs a value"},
      {{"a:1", "--colour", "red"}, "`--colour` is no option of this probe"},
      {{"nowhere", "--dns", "x"}, "`nowhere` has no port"},
      {{long_path, "--dns", "x"}, "the path of the socket is too long"},
  };
  for (const Wrong& one : wrong) {
    const Outcome out = run(one.words);
    EXPECT_EQ(out.status, GH_E_INVALID) << one.why;
    EXPECT_THAT(out.why, StartsWith(one.why));
    EXPECT_THAT(out.why, HasSubstr("; usage: gatehouse probe udpgw HOST:PORT"));
  }
}

}  // namespace
}  // namespace gatehouse::udpgw
