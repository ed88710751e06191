// Records that the kernel makes, read by OpenSSL's own client. Skipped where the kernel has no TLS;
// tests/fresh/ktls_guest.sh runs them in one that has.
#include "tests/unit/sdk/net/tls_pair.hpp"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

#include <cstdlib>

namespace gatehouse {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

/// Both ends of a connection over loopback.
struct TcpPair {
  TcpPair() {
    const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    theirs = UniqueFd(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(connect(theirs.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ours = UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
    fcntl(theirs.get(), F_SETFL, O_NONBLOCK);
  }
  UniqueFd ours, theirs;
};

bool kernel_has_tls() {
  static const bool has = KernelTls::prepare(TcpPair().ours.get()).has_value();
  return has;
}

class KernelTlsTest : public Tls {
 protected:
  void SetUp() override {
    if (kernel_has_tls()) return;
    // The guest's script wants them all to run.
    ASSERT_EQ(std::getenv("GATEHOUSE_NEEDS_KTLS"), nullptr) << "this kernel has no TLS";
    GTEST_SKIP() << "this kernel has no TLS (CONFIG_TLS, `modprobe tls`): tests/fresh/ktls_guest.sh boots one";
  }
  static TlsSettings in_kernel() {
    TlsSettings out = settings();
    out.ktls = true;
    return out;
  }
  void begin_tcp(const TlsSettings& with = in_kernel(), const TestCertificate& shown = {},
                 int most_version = TLS1_3_VERSION) {
    TcpPair pair;
    ours = std::move(pair.ours);
    theirs = std::move(pair.theirs);
    begin(with, shown, most_version);
  }
  /// Over TCP a record takes a moment.
  void wait(int fd, short events = POLLIN) {
    pollfd one{fd, events, 0};
    EXPECT_EQ(poll(&one, 1, 5000), 1);
  }
  bool shake_hands_over_tcp() {
    for (bool here = false, there = false; !here || !there;) {
      there = there || client->handshake();
      if (client->has_failed()) return false;
      if (here) {
        if (!there) wait(theirs.get());
        continue;
      }
      wait(ours.get());
      const auto done = layer->handshake();
      here = done.has_value();
      if (!done && done.error() != Errc::would_block) return false;
      if (!there) wait(theirs.get());
    }
    return true;
  }
  /// So many bytes at least, or until the end.
  std::string client_reads(std::size_t least) {
    std::string out = client->read();
    while (out.size() < least && !client->ended() && !client->has_failed()) {
      if (layer->has_left_over()) static_cast<void>(layer->flush());
      pollfd one{theirs.get(), POLLIN, 0};
      if (poll(&one, 1, layer->has_left_over() ? 1 : 5000) != 1 && !layer->has_left_over()) break;
      out += client->read();
    }
    return out;
  }
  /// The next of what comes, or "" where it is over.
  std::string layer_reads() {
    std::string out;
    do {
      if (!layer->holds_input()) wait(ours.get());
      out = read();
    } while (out.empty() && last.error() == Errc::would_block);
    return out;
  }
  /// What the client's socket has, without OpenSSL.
  std::string on_the_wire() {
    std::string out(1 << 16, '\0');
    wait(theirs.get());
    const ssize_t size = recv(theirs.get(), out.data(), out.size(), MSG_PEEK);
    out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return out;
  }
};

TEST_F(KernelTlsTest, MakesRecordsOfWhatIsPut) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  ASSERT_TRUE(layer->is_in_kernel());
  EXPECT_EQ(client->read(), "");  // the ticket
  const Bytes parts[] = {bytes_of("one "), bytes_of("and "), bytes_of("another")};
  ASSERT_TRUE(layer->put(parts));
  const std::string record = on_the_wire();
  ASSERT_EQ(record.size(), 5 + 15 + 17u) << "one record";
  EXPECT_EQ(record.substr(0, 5), std::string("\x17\x03\x03\x00\x20", 5));
  EXPECT_THAT(record, Not(HasSubstr("one")));
  EXPECT_EQ(client->read(), "one and another");
  ASSERT_TRUE(client->write("from the client"));
  EXPECT_EQ(layer_reads(), "from the client");
}

TEST_F(KernelTlsTest, CarriesMuchToAClientThatReadsLate) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  const int small = 8192;
  setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  std::string sent;
  while (!layer->has_left_over()) {
    ASSERT_LT(sent.size(), 64u << 20);
    const std::string more = long_text(10'000 + sent.size() % 977);
    put(more);
    sent += more;
  }
  EXPECT_EQ(layer->room(1), 0u);
  EXPECT_FALSE(layer->may_close());
  EXPECT_TRUE(client_reads(sent.size()) == sent);
  EXPECT_TRUE(layer->may_close());
}

TEST_F(KernelTlsTest, LosesNothingAtTheEndOfItsSide) {
  for (std::size_t size = 100'000; size < 500'000; size += 23'456) {
    begin_tcp();
    ASSERT_TRUE(shake_hands_over_tcp());
    const int small = 8192;
    setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const std::string text = long_text(size);
    std::size_t sent = 0;
    while (const std::size_t room = layer->room(text.size() - sent)) {
      put(text.substr(sent, room));
      sent += room;
    }
    layer->finish();
    EXPECT_TRUE(client_reads(SIZE_MAX) == text.substr(0, sent)) << size;
    EXPECT_TRUE(client->ended()) << size;
    EXPECT_FALSE(client->has_failed()) << size;
    EXPECT_FALSE(layer->has_left_over()) << size;
    char byte = 0;
    wait(theirs.get());
    EXPECT_EQ(recv(theirs.get(), &byte, 1, 0), 0) << "FIN behind close_notify";
  }
}

TEST_F(KernelTlsTest, TellsThatThePeerHasEndedItsSideAndGoesOnWriting) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  ASSERT_TRUE(client->write("last words"));
  client->finish();
  EXPECT_EQ(layer_reads(), "last words");
  EXPECT_EQ(layer_reads(), "");
  EXPECT_EQ(last.error(), Errc::closed);
  put("answer");
  EXPECT_EQ(client_reads(6), "answer");
  layer->finish();
  EXPECT_FALSE(layer->has_left_over());
  EXPECT_TRUE(layer->may_close());
}

TEST_F(KernelTlsTest, CountsTheRecordsThatTcpHas) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  KernelTls count;
  count.begin(ours.get());
  ASSERT_TRUE(count.is_on());
  EXPECT_TRUE(count.has_passed_all());
  count.add(40'001);
  EXPECT_FALSE(count.has_passed_all());
  put(long_text(40'000));
  EXPECT_FALSE(count.has_passed_all()) << "a byte is missing";
  put("x");
  EXPECT_TRUE(count.has_passed_all());
}

TEST_F(KernelTlsTest, KnowsWhatTcpHasWhateverTheCipherIs) {
  for (const char* const cipher :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    begin_tcp();
    SSL_set_ciphersuites(client->ssl(), cipher);
    ASSERT_TRUE(shake_hands_over_tcp()) << cipher;
    ASSERT_STREQ(SSL_get_cipher_name(client->ssl()), cipher);
    EXPECT_TRUE(layer->is_in_kernel()) << cipher;
    const std::string text = long_text(100'000);
    for (int i = 0; i < 3; ++i) {
      put(text);
      put("x");
      EXPECT_TRUE(client_reads(text.size() + 1) == text + "x") << cipher;
      EXPECT_TRUE(layer->may_close()) << cipher;
    }
    layer->finish();
    EXPECT_EQ(client_reads(1), "");
    EXPECT_TRUE(client->ended()) << cipher;
    EXPECT_FALSE(layer->has_left_over()) << cipher;
  }
}

TEST_F(KernelTlsTest, TakesOneTwoToo) {
  TlsSettings older = in_kernel();
  older.least_version = TLS1_2_VERSION;
  for (const char* const cipher : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    begin_tcp(older, {}, TLS1_2_VERSION);
    SSL_set_cipher_list(client->ssl(), cipher);
    ASSERT_TRUE(shake_hands_over_tcp()) << cipher;
    ASSERT_STREQ(SSL_get_version(client->ssl()), "TLSv1.2");
    EXPECT_TRUE(layer->is_in_kernel()) << cipher;
    ASSERT_TRUE(client->write("older"));
    EXPECT_EQ(layer_reads(), "older");
    put(long_text(40'000));
    EXPECT_TRUE(client_reads(40'000) == long_text(40'000)) << cipher;
    EXPECT_TRUE(layer->may_close()) << cipher;
    layer->finish();
    EXPECT_EQ(client_reads(1), "");
    EXPECT_TRUE(client->ended()) << cipher;
  }
}

TEST_F(KernelTlsTest, GivesTicketsThatAreGood) {
  TlsSettings keyed = in_kernel();
  keyed.ticket_key = std::string(80, 'k');
  const auto run = [&](const std::shared_ptr<SSL_SESSION>& ticket) {
    begin_tcp(keyed);
    if (ticket) client->resume(ticket);
    EXPECT_TRUE(shake_hands_over_tcp());
    EXPECT_TRUE(layer->is_in_kernel());
    put("x");
    EXPECT_EQ(client_reads(1), "x");  // behind the ticket
    client->finish();
    return client->session();
  };
  const auto ticket = run({});
  EXPECT_FALSE(layer->was_resumed());
  run(ticket);
  EXPECT_TRUE(layer->was_resumed());
}

TEST_F(KernelTlsTest, TakesOtherKeysOfTheClientAndGivesNone) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  SSL_key_update(client->ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
  ASSERT_TRUE(client->write("under a new key"));
  EXPECT_EQ(layer_reads(), "under a new key");
  put("still good");
  EXPECT_EQ(client_reads(10), "still good");
  SSL_key_update(client->ssl(), SSL_KEY_UPDATE_REQUESTED);
  ASSERT_TRUE(client->write("x"));
  EXPECT_EQ(layer_reads(), "");
  EXPECT_EQ(last.error(), Errc::unsupported);
  EXPECT_EQ(layer->failure(), "the client asks for other keys, which the kernel does not take");
  const Bytes more = bytes_of("x");
  EXPECT_FALSE(layer->put({&more, 1}));
}

TEST_F(KernelTlsTest, TellsTheClientOfABrokenRecord) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  EXPECT_EQ(client->read(), "");
  const std::string record = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  ASSERT_GT(send(theirs.get(), record.data(), record.size(), 0), 0);
  EXPECT_EQ(layer_reads(), "");
  EXPECT_EQ(last.error(), Errc::malformed);
  wait(theirs.get());
  EXPECT_EQ(client->read(), "");
  EXPECT_TRUE(client->has_failed()) << "an alert";
  EXPECT_FALSE(client->ended());
  layer->finish();
  EXPECT_FALSE(layer->has_left_over());
}

TEST_F(KernelTlsTest, SurvivesAClientThatIsGone) {
  begin_tcp();
  ASSERT_TRUE(shake_hands_over_tcp());
  const linger at_once{1, 0};
  setsockopt(theirs.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  theirs.reset();
  wait(ours.get());
  const std::string text = long_text(1000);
  const Bytes part = bytes_of(text);
  EXPECT_FALSE(layer->put({&part, 1}));
  layer->finish();
  EXPECT_FALSE(layer->has_left_over());
}

TEST_F(KernelTlsTest, WaitsForNobodyWhoIsGoneBeforeAllHasGone) {
  for (const bool is_finished : {false, true}) {
    begin_tcp();
    ASSERT_TRUE(shake_hands_over_tcp());
    const int small = 8192;
    setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    const std::string text = long_text(50'000);
    for (int i = 0; i < 1000 && !layer->has_left_over(); ++i) put(text);
    if (is_finished) layer->finish();
    EXPECT_FALSE(layer->may_close());
    const linger at_once{1, 0};
    setsockopt(theirs.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client.reset();
    theirs.reset();
    wait(ours.get());
    EXPECT_FALSE(layer->flush());
    EXPECT_FALSE(layer->has_left_over());
    EXPECT_TRUE(layer->may_close());
  }
}

TEST_F(KernelTlsTest, RefusesACertificateThatIsNobodysInTheHandshakesWords) {
  TlsSettings strict = in_kernel();
  strict.client_ca = authority().certificate();
  strict.requires_certificate = true;
  begin_tcp(strict);
  EXPECT_FALSE(shake_hands_over_tcp());
  EXPECT_EQ(layer->failure(), "peer did not return a certificate");
  wait(theirs.get());
  EXPECT_EQ(client->read(), "");
  EXPECT_TRUE(client->has_failed());
}

TEST_F(KernelTlsTest, IsNotUsedWhereItIsNotWantedOrCannotBe) {
  begin_tcp(settings());
  ASSERT_TRUE(shake_hands_over_tcp());
  EXPECT_FALSE(layer->is_in_kernel());
  Pair unix_pair;
  ours = std::move(unix_pair.ours);
  theirs = std::move(unix_pair.theirs);
  begin(in_kernel());
  ASSERT_TRUE(shake_hands());
  EXPECT_FALSE(layer->is_in_kernel());
  put("by OpenSSL");
  EXPECT_EQ(client->read(), "by OpenSSL");
}

TEST(KernelTls, IsAskedForOnceWhereThereIsNone) {
  if (kernel_has_tls()) GTEST_SKIP() << "this kernel has TLS";
  TcpPair tcp;
  EXPECT_EQ(KernelTls::prepare(tcp.ours.get()).error(), Errc::unsupported);
  const auto buffers = std::make_shared<TlsBuffers>();
  TlsSettings with = settings();
  const TlsLayer unasked(tcp.ours.get(), std::make_shared<const TlsContext>(with, buffers));
  EXPECT_FALSE(buffers->is_without_ktls);
  with.ktls = true;
  Pair unix_pair;
  const TlsLayer over_unix(unix_pair.ours.get(), std::make_shared<const TlsContext>(with, buffers));
  EXPECT_FALSE(buffers->is_without_ktls) << "a Unix stream says nothing about the kernel";
  TlsLayer layer(tcp.ours.get(), std::make_shared<const TlsContext>(with, buffers));
  EXPECT_TRUE(buffers->is_without_ktls);
  TlsTestClient client(tcp.theirs.get());
  for (int i = 0; i < 1000 && !(client.handshake() && layer.handshake()); ++i) static_cast<void>(layer.handshake());
  EXPECT_FALSE(layer.is_in_kernel());
  EXPECT_TRUE(client.write("x"));
}

}  // namespace
}  // namespace gatehouse
