// What a listener's TLS is made of: certificates, and the keys of tickets.
#include "tests/unit/sdk/net/tls_pair.hpp"

namespace gatehouse {
namespace {

using namespace test;

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
  EXPECT_EQ(SSL_SESSION_get_ticket_lifetime_hint(ticket.get()), 7200u) << "seconds: as long as their key may be known";
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

}  // namespace
}  // namespace gatehouse
