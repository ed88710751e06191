// TLS inside a stream, against OpenSSL's own client over a pair of sockets.
#include <gatehouse/net/tls_layer.hpp>

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/net/stream.hpp>

#include "tests/unit/sdk/net/test_authority.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <numeric>

namespace gatehouse {
namespace {

using test::CertificateWish;
using test::TestAuthority;
using test::TestCertificate;
using test::TlsTestClient;

std::string text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string long_text(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return out;
}

const TestAuthority& authority() {
  static const TestAuthority one;
  return one;
}
const TestCertificate& server() {
  static const TestCertificate one = authority().issue();
  return one;
}

TlsSettings settings() {
  TlsSettings out;
  out.chain = server().certificate + authority().certificate();
  out.key = server().key;
  out.scope = "test";
  return out;
}

struct Pair {
  Pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
    ours = UniqueFd(both[0]);
    theirs = UniqueFd(both[1]);
  }
  UniqueFd ours, theirs;
};

class Tls : public testing::Test, public Pair {
 protected:
  void begin(const TlsSettings& with = settings(), const TestCertificate& shown = {},
             int most_version = TLS1_3_VERSION) {
    layer = std::make_unique<TlsLayer>(ours.get(),
                                       std::make_shared<const TlsContext>(with, std::make_shared<TlsBuffers>()));
    client.emplace(theirs.get(), shown, most_version);
  }
  /// Both sides in turn, until both are done or one has failed.
  bool shake_hands() {
    for (bool here = false, there = false; !here || !there;) {
      there = there || client->handshake();
      if (client->has_failed()) return false;
      if (here) continue;
      const auto done = layer->handshake();
      here = done.has_value();
      if (!done && done.error() != Errc::would_block) return false;
    }
    return true;
  }
  std::string read(std::size_t most = 65536) {
    std::string out(most, '\0');
    last = layer->read(std::as_writable_bytes(std::span(out)));
    out.resize(last ? *last : 0);
    return out;
  }
  void put(const std::string& text) {
    const Bytes part = bytes_of(text);
    EXPECT_TRUE(layer->put({&part, 1}));
  }

  std::unique_ptr<TlsLayer> layer;
  std::optional<TlsTestClient> client;
  Result<std::size_t> last = std::size_t{0};
};

TEST_F(Tls, CarriesBothWays) {
  begin();
  ASSERT_TRUE(shake_hands());
  EXPECT_FALSE(layer->was_resumed());
  ASSERT_TRUE(client->write("from the client"));
  EXPECT_EQ(read(), "from the client");
  put("from the server");
  EXPECT_EQ(client->read(), "from the server");
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::would_block);
}

TEST_F(Tls, TakesWhatCameWithTheHandshakesEnd) {
  begin();
  client->handshake();
  while (layer->handshake().has_error() && !client->handshake()) {
  }
  client->handshake();
  ASSERT_TRUE(client->write("early"));  // beside Finished, in one read of ours
  while (!layer->handshake()) {
  }
  EXPECT_EQ(read(), "early");
}

TEST_F(Tls, GivesALongRecordInSmallPieces) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::string text = long_text(16384);
  ASSERT_TRUE(client->write(text));
  std::string got = read(100);
  EXPECT_EQ(got.size(), 100u);
  EXPECT_TRUE(layer->holds_input());  // which the socket does not tell of
  while (layer->holds_input()) got += read(1000);
  EXPECT_EQ(got, text);
  EXPECT_FALSE(layer->holds_input());
}

TEST_F(Tls, OpensManyRecordsInOneRead) {
  begin();
  ASSERT_TRUE(shake_hands());
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string one = "record " + std::to_string(i);
    ASSERT_TRUE(client->write(one));
    all += one;
  }
  EXPECT_EQ(read(), all);
}

TEST_F(Tls, KeepsWhatTheSocketDoesNotTake) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::size_t empty = layer->memory();
  EXPECT_GT(empty, 0u);  // of OpenSSL
  std::string sent;
  while (!layer->has_left_over()) {
    ASSERT_LT(sent.size(), 64u << 20);
    const std::string more = long_text(10'000 + sent.size() % 977);
    ASSERT_EQ(layer->room(more.size()), more.size());
    put(more);
    sent += more;
  }
  EXPECT_EQ(layer->room(1), 0u);
  EXPECT_LE(layer->memory(), 64u * 1024 + empty);
  std::string got = client->read();
  for (int i = 0; i < 1000 && layer->has_left_over(); ++i) {
    static_cast<void>(layer->flush());
    got += client->read();
  }
  EXPECT_EQ(got, sent);
  EXPECT_FALSE(layer->has_left_over());
  EXPECT_EQ(layer->memory(), empty);
}

TEST_F(Tls, PutsPartsIntoOneRecord) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::string large = long_text(40'000);
  const Bytes parts[] = {bytes_of("one "), bytes_of("two "), bytes_of(large), bytes_of(" end")};
  ASSERT_TRUE(layer->put(parts));
  EXPECT_EQ(client->read(), "one two " + large + " end");
}

TEST_F(Tls, SealsEvenOneByteOfManyParts) {
  begin();
  ASSERT_TRUE(shake_hands());
  const Bytes parts[] = {bytes_of(""), bytes_of("x"), bytes_of("")};
  ASSERT_TRUE(layer->put(parts));
  EXPECT_EQ(client->read(), "x");
}

TEST_F(Tls, GivesWhatWasReadTooEarlyFirstInWhateverPieces) {
  begin();
  ASSERT_TRUE(shake_hands());
  layer->unread(bytes_of("early"));
  EXPECT_TRUE(layer->holds_input());
  ASSERT_TRUE(client->write(" and late"));
  EXPECT_EQ(read(2), "ea");
  EXPECT_EQ(read(2), "rl");
  EXPECT_EQ(read(), "y and late");
}

TEST_F(Tls, TellsThatThePeerHasEndedItsSideAndGoesOnWriting) {
  begin();
  ASSERT_TRUE(shake_hands());
  ASSERT_TRUE(client->write("last words"));
  client->finish();
  EXPECT_EQ(read(), "last words");
  EXPECT_TRUE(layer->holds_input());  // the news
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::closed);
  EXPECT_FALSE(layer->holds_input());
  put("answer");
  EXPECT_EQ(client->read(), "answer");
}

TEST_F(Tls, EndsItsSideInOrder) {
  begin();
  ASSERT_TRUE(shake_hands());
  put("all");
  layer->finish();
  EXPECT_EQ(client->read(), "all");
  EXPECT_TRUE(client->ended());
  EXPECT_FALSE(client->has_failed());
}

TEST_F(Tls, RefusesWhatIsNoTls) {
  begin();
  ASSERT_GT(send(theirs.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 0);
  const auto done = layer->handshake();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), Errc::malformed);
  EXPECT_EQ(layer->failure(), "http request");
}

TEST_F(Tls, BreaksAtARecordThatWasChanged) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::string record = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
  ASSERT_GT(send(theirs.get(), record.data(), record.size(), 0), 0);
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::malformed);
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::malformed);  // for good
  const Bytes more = bytes_of("x");
  EXPECT_FALSE(layer->put({&more, 1}));
}

TEST_F(Tls, EndsAStreamOfRecordsWithoutContent) {
  begin();
  ASSERT_TRUE(shake_hands());
  for (int i = 0; i < 8; ++i) {  // few are good
    SSL_key_update(client->ssl(), SSL_KEY_UPDATE_REQUESTED);
    ASSERT_TRUE(client->write("x"));
  }
  EXPECT_EQ(read(), "xxxxxxxx");
  for (int i = 0; i < 64; ++i) {
    SSL_key_update(client->ssl(), SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(client->ssl());
  }
  EXPECT_EQ(read(), "");
  EXPECT_EQ(last.error(), Errc::limit);
}

TEST_F(Tls, TakesOneThreeAloneUnlessTold) {
  begin(settings(), {}, TLS1_2_VERSION);
  EXPECT_FALSE(shake_hands());
  TlsSettings older = settings();
  older.least_version = TLS1_2_VERSION;
  Pair other;
  ours = std::move(other.ours);
  theirs = std::move(other.theirs);
  begin(older, {}, TLS1_2_VERSION);
  ASSERT_TRUE(shake_hands());
  ASSERT_TRUE(client->write("older"));
  EXPECT_EQ(read(), "older");
  EXPECT_EQ(SSL_renegotiate(client->ssl()), 1);
  EXPECT_FALSE(client->handshake());
  EXPECT_EQ(read(), "");
  EXPECT_FALSE(client->handshake());
  EXPECT_TRUE(client->has_failed());  // "no renegotiation"
}

TEST_F(Tls, AgreesOnAProtocolOfItsOwn) {
  TlsSettings with = settings();
  with.alpn = "\x05udpgw\x02h9";
  begin(with);
  SSL_set_alpn_protos(client->ssl(), reinterpret_cast<const unsigned char*>("\x02h9\x05udpgw"), 9);
  ASSERT_TRUE(shake_hands());
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(client->ssl(), &chosen, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "udpgw");
}

TEST_F(Tls, RefusesAClientOfOtherProtocols) {
  TlsSettings with = settings();
  with.alpn = "\x05udpgw";
  begin(with);
  SSL_set_alpn_protos(client->ssl(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
  EXPECT_FALSE(shake_hands());
}

TEST_F(Tls, CountsARecordThatHasBegunAndDoesNotEnd) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::size_t before = layer->memory();
  const std::string half = std::string("\x17\x03\x03\x40\x00", 5) + std::string(1000, 'x');
  ASSERT_GT(send(theirs.get(), half.data(), half.size(), 0), 0);
  EXPECT_EQ(read(), "");
  EXPECT_GE(layer->memory(), before + 16 * 1024);
}

TEST_F(Tls, ReadsManyLittleRecordsInSeveralTurnsAndSaysWhatTheyCost) {
  begin();
  ASSERT_TRUE(shake_hands());
  for (int i = 0; i < 270; ++i) ASSERT_TRUE(client->write("x"));
  static_cast<void>(layer->take_work());
  EXPECT_EQ(read().size(), 256u);
  EXPECT_TRUE(layer->holds_input());
  EXPECT_GE(layer->take_work(), 256u);
  EXPECT_EQ(layer->take_work(), 0u);
  EXPECT_EQ(read().size(), 14u);
  EXPECT_FALSE(layer->holds_input());
}

TEST_F(Tls, CountsAnswersThatThePeerDoesNotRead) {
  begin();
  ASSERT_TRUE(shake_hands());
  const std::string text = long_text(16000);
  while (!layer->has_left_over()) put(text);
  const std::size_t before = layer->memory();
  for (int i = 0; i < 200; ++i) {
    SSL_key_update(client->ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(client->ssl());
    read();
  }
  EXPECT_GT(layer->memory(), before);
}

// ---- certificates of clients

TEST_F(Tls, NamesTheClientByItsCertificate) {
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  begin(with, authority().issue(
                  {.name = "the subject",
                   .alternatives = "email:bob@example.org,DNS:bob.example,URI:spiffe://example/bob,IP:192.0.2.1"}));
  ASSERT_TRUE(shake_hands());
  const std::vector<std::string> wanted = {"spiffe://example/bob", "bob.example", "bob@example.org", "the subject"};
  EXPECT_EQ(layer->peer_names(), wanted);
}

TEST_F(Tls, LetsAClientWithoutACertificateInWhereItNeedNotShowOne) {
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  begin(with);
  ASSERT_TRUE(shake_hands());
  EXPECT_TRUE(layer->peer_names().empty());
}

TEST_F(Tls, RefusesAClientWithoutTheCertificateThatItMustShow) {
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  with.requires_certificate = true;
  begin(with);
  EXPECT_FALSE(shake_hands());
  EXPECT_EQ(layer->failure(), "peer did not return a certificate");
}

TEST_F(Tls, RefusesCertificatesOfOthersAndOldOnes) {
  const TestAuthority other("somebody else");
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  with.requires_certificate = true;
  for (const TestCertificate& shown : {other.issue(), authority().issue({.valid_seconds = -60})}) {
    Pair fresh;
    ours = std::move(fresh.ours);
    theirs = std::move(fresh.theirs);
    begin(with, shown);
    EXPECT_FALSE(shake_hands());
    EXPECT_TRUE(layer->failure().starts_with("certificate verify failed: ")) << layer->failure();
  }
}

TEST_F(Tls, TakesACertificateOfOthersForNoneWhereNoneIsNeeded) {
  const TestAuthority other("somebody else");
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  begin(with, other.issue());
  ASSERT_TRUE(shake_hands());
  EXPECT_TRUE(layer->peer_names().empty());
}

TEST_F(Tls, RefusesAKeyWhoseSignaturesTakeLong) {
  TlsSettings with = settings();
  with.client_ca = authority().certificate();
  begin(with, authority().issue({.has_slow_key = true}));
  EXPECT_FALSE(shake_hands());
  EXPECT_EQ(layer->failure(), "certificate verify failed: certificate rejected");
}

TEST_F(Tls, TrustsWhoeverStandsInClientCa) {
  const TestCertificate pinned = authority().issue({.name = "pinned"});
  TlsSettings with = settings();
  with.client_ca = pinned.certificate;  // signed by an authority that is not there
  with.requires_certificate = true;
  begin(with, pinned);
  ASSERT_TRUE(shake_hands());
  EXPECT_EQ(layer->peer_names(), std::vector<std::string>{"pinned"});
}

// ---- tickets

std::string ticket_key(char with) { return std::string(80, with); }

class Tickets : public Tls {
 protected:
  /// A stream with a ticket, or without one. @return its own ticket
  std::shared_ptr<SSL_SESSION> run(const TlsSettings& with, const std::shared_ptr<SSL_SESSION>& ticket = {}) {
    Pair fresh;
    ours = std::move(fresh.ours);
    theirs = std::move(fresh.theirs);
    begin(with);
    if (ticket) client->resume(ticket);
    EXPECT_TRUE(shake_hands());
    put("x");
    EXPECT_EQ(client->read(), "x");  // behind the ticket
    client->finish();                // or OpenSSL resumes it nowhere
    return client->session();
  }
  static TlsSettings keyed(const std::string& key, const std::string& before = {}) {
    TlsSettings out = settings();
    out.ticket_key = key;
    out.ticket_key_before = before;
    return out;
  }
};

TEST_F(Tickets, AreGoodInEveryLaneThatHasTheKey) {
  const auto ticket = run(keyed(ticket_key('a')));
  EXPECT_FALSE(layer->was_resumed());
  run(keyed(ticket_key('a')), ticket);  // of another context
  EXPECT_TRUE(layer->was_resumed());
}

TEST_F(Tickets, OfTheKeyBeforeAreGoodAndNoOlderOnes) {
  const auto ticket = run(keyed(ticket_key('a')));
  const auto newer = run(keyed(ticket_key('b'), ticket_key('a')), ticket);
  EXPECT_TRUE(layer->was_resumed());
  run(keyed(ticket_key('c'), ticket_key('b')), ticket);
  EXPECT_FALSE(layer->was_resumed());
  run(keyed(ticket_key('c'), ticket_key('b')), newer);  // it was sealed anew
  EXPECT_TRUE(layer->was_resumed());
}

TEST_F(Tickets, AreGoodInTheirScopeAlone) {
  const auto ticket = run(keyed(ticket_key('a')));
  TlsSettings other = keyed(ticket_key('a'));
  other.scope = "another listener";
  run(other, ticket);
  EXPECT_FALSE(layer->was_resumed());
  TlsSettings asks = keyed(ticket_key('a'));
  asks.client_ca = authority().certificate();
  run(asks, ticket);
  EXPECT_FALSE(layer->was_resumed());
}

// ---- contexts

TEST(TlsContext, RefusesTextsThatAreNoCertificates) {
  const auto refusal = [](TlsSettings with) -> std::string {
    try {
      const TlsContext context(with, std::make_shared<TlsBuffers>());
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "taken";
  };
  TlsSettings with = settings();
  EXPECT_EQ(refusal(with), "taken");
  with.chain = "";
  EXPECT_EQ(refusal(with), "there is no certificate to show");
  with = settings();
  with.chain.replace(100, 4, "????");
  EXPECT_TRUE(refusal(with).starts_with("a certificate cannot be read: ")) << refusal(with);
  with = settings();
  with.key = authority().issue().key;
  EXPECT_TRUE(refusal(with).starts_with("the private key is not the certificate's: ")) << refusal(with);
  with = settings();
  with.key = "";
  EXPECT_TRUE(refusal(with).starts_with("the private key cannot be read: ")) << refusal(with);
  with = settings();
  with.client_ca = "nothing";
  EXPECT_EQ(refusal(with), "client_ca has no certificate");
  with = settings();
  with.ticket_key = "short";
  EXPECT_EQ(refusal(with), "a key of session tickets has 80 bytes");
}

// ---- within a stream

class TlsStream : public Tls, public Readiness {
 protected:
  void on_ready(std::uint32_t events) override {
    told.push_back(events);
    if (on_told) on_told(events);
  }
  void open() {
    begin();
    ASSERT_TRUE(shake_hands());
    stream.emplace(std::move(ours), StreamPeer(), std::move(layer));
    ASSERT_TRUE(stream->watch(loop.poller(), *this));
  }

  LaneLoop loop;
  std::optional<Stream> stream;
  std::vector<std::uint32_t> told;
  std::function<void(std::uint32_t)> on_told;
};

TEST_F(TlsStream, IsToldInTheNextTurnOfWhatIsHeldBack) {
  open();
  const std::string text = long_text(16000);
  ASSERT_TRUE(client->write(text));
  std::string got;
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    const auto size = stream->read(part);
    if (size) got += text_of(Bytes(part).first(*size));
  };
  for (int i = 0; i < 15; ++i) {
    EXPECT_GT(loop.poller().turn(), 0u);
    EXPECT_EQ(told.size(), static_cast<std::size_t>(i) + 1);  // once a turn: others have theirs
  }
  EXPECT_TRUE(loop.poller().has_more());
  EXPECT_GT(loop.poller().turn(), 0u);
  EXPECT_EQ(got, text);
  EXPECT_FALSE(loop.poller().has_more());
  EXPECT_EQ(loop.poller().turn(), 0u);
}

TEST_F(TlsStream, IsToldOfHeldInputWhenItWantsItAgain) {
  open();
  ASSERT_TRUE(client->write(long_text(3000)));
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    EXPECT_TRUE(stream->read(part));
    stream->watch_for(false, false);
  };
  EXPECT_GT(loop.poller().turn(), 0u);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 1u);
  stream->watch_for(true, false);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 2u);
  stream->unwatch();
  loop.poller().turn();
  EXPECT_EQ(told.size(), 2u);
  stream->watch_for(true, false);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(TlsStream, SendsWhatIsLeftOverByItself) {
  open();
  const std::string text = long_text(100'000);
  std::size_t sent = 0;
  for (;;) {
    const auto taken = stream->write(bytes_of(text));
    if (!taken) {
      EXPECT_EQ(taken.error(), Errc::would_block);
      break;
    }
    sent += *taken;
    ASSERT_LT(sent, 64u << 20);
  }
  std::size_t got = 0;
  for (int i = 0; i < 1000 && got < sent; ++i) {
    got += client->read().size();
    loop.poller().turn();
  }
  EXPECT_EQ(got, sent);
  EXPECT_TRUE(told.empty());  // nobody wanted to write more
  EXPECT_FALSE(stream->has_unsent());
}

TEST_F(TlsStream, TellsAWriterWhenThereIsRoomAgain) {
  open();
  const std::string text = long_text(100'000);
  while (stream->write(bytes_of(text))) {
  }
  stream->watch_for(true, true);
  loop.poller().turn();
  EXPECT_TRUE(told.empty());
  for (int i = 0; i < 100 && told.empty(); ++i) {
    static_cast<void>(client->read());
    loop.poller().turn();
  }
  ASSERT_FALSE(told.empty());
  EXPECT_NE(told.front() & EPOLLOUT, 0u);
  EXPECT_TRUE(stream->write(bytes_of("x")));
}

TEST_F(TlsStream, MayBeClosedByWhoeverIsTold) {
  open();
  ASSERT_TRUE(client->write(long_text(3000)));
  on_told = [&](std::uint32_t) {
    std::array<std::byte, 1000> part;
    EXPECT_TRUE(stream->read(part));
    stream->close();
  };
  EXPECT_GT(loop.poller().turn(), 0u);
  loop.poller().turn();
  EXPECT_EQ(told.size(), 1u);
  static_cast<void>(client->read());
  EXPECT_TRUE(client->ended());
}

TEST_F(TlsStream, DoesNotSpinForAPeerThatIsGone) {
  open();
  const std::string text = long_text(100'000);
  while (stream->write(bytes_of(text))) {
  }
  stream->unwatch();
  theirs = UniqueFd();
  for (int i = 0; i < 4; ++i) loop.poller().turn();
  EXPECT_EQ(loop.poller().turn(), 0u);
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace gatehouse
