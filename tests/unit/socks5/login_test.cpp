// Who a client is: listeners that ask for a token, and those that do not.
#include "tests/unit/socks5/socks5_fixture.hpp"

namespace gatehouse::socks5 {
namespace {

class Socks5Login : public Socks5 {
 protected:
  Socks5Login() { host.set_credential(GH_CREDENTIAL_TOKEN, "ght_right", "token:bob"); }

  static ByteVector login(std::string_view user, std::string_view password) {
    ByteVector out = {std::byte{1}};
    for (const std::string_view text : {user, password}) {
      out.push_back(static_cast<std::byte>(text.size()));
      for (const char c : text) out.push_back(static_cast<std::byte>(c));
    }
    return out;
  }
  Socket come(ByteVector greeting) {
    Socket out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    out.connect(closed.address());
    out.send(greeting);
    return out;
  }

  testkit::TestListener spec{.auth = GH_AUTH_TOKEN};
  testkit::PluginRunner closed{gatehouse_plugin, host, options(resolver.endpoint()), 1, {spec}};
};

TEST_F(Socks5Login, ThePasswordIsTheTokenAndTheNameIsForPeople) {
  for (const std::string_view user : {"bob", "anybody", ""}) {
    Socket client = come(hex("05020002"));
    EXPECT_EQ(client.receive(2), hex("0502"));
    client.send(login(user, "ght_right"));
    EXPECT_EQ(client.receive(2), hex("0100"));
    client.send(request(Command::connect, far.endpoint()));
    EXPECT_EQ(reply(client), Reply::succeeded);
    const auto sessions = host.store().sessions();
    ASSERT_FALSE(sessions.empty());
    EXPECT_EQ(sessions.back().identity, "token:bob");
  }
}

TEST_F(Socks5Login, NobodyIsLetInWithoutIt) {
  Socket without = come(hex("050100"));
  EXPECT_EQ(without.receive(2), hex("05ff"));
  EXPECT_TRUE(without.ended());
  Socket wrong = come(hex("050102"));
  EXPECT_EQ(wrong.receive(2), hex("0502"));
  wrong.send(login("bob", "ght_wrong"));
  EXPECT_EQ(wrong.receive(2), hex("0101"));
  EXPECT_TRUE(wrong.ended());
  EXPECT_TRUE(counts("streams_refused{cause=\"login\"}", 1));
  Socket early = come(hex("050100"));  // and asks without waiting for an answer
  early.send(request(Command::connect, far.endpoint()));
  EXPECT_EQ(early.receive(2), hex("05ff"));
  EXPECT_TRUE(far.is_left_alone());
  EXPECT_TRUE(eventually([&] { return host.store().sessions().empty(); }));
}

TEST_F(Socks5Login, ASourceThatGuessesIsNotListenedToForAWhile) {
  host.refuse_tokens(10s);
  Socket client = come(hex("050102"));
  EXPECT_EQ(client.receive(2), hex("0502"));
  client.send(login("bob", "ght_right"));
  EXPECT_EQ(client.receive(2), hex("0101"));
  EXPECT_TRUE(said("too many wrong tokens from its address"));
}

TEST_F(Socks5Login, WhereNobodyIsAskedNobodyLogsIn) {
  Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  client.connect(plugin.address());
  client.send(hex("05020002"));
  EXPECT_EQ(client.receive(2), hex("0500"));
}

}  // namespace
}  // namespace gatehouse::socks5
