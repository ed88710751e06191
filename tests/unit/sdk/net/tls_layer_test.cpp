// TLS inside a stream, against OpenSSL's own client.
#include "tests/unit/sdk/net/tls_pair.hpp"

namespace gatehouse {
namespace {

using namespace test;

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

}  // namespace
}  // namespace gatehouse
