// The plugin under a fake gateway, with real sockets on loopback.
#include <gatehouse/testkit/client.hpp>
#include <gatehouse/testkit/plugin_file.hpp>
#include <gatehouse/testkit/plugin_runner.hpp>

#include <gtest/gtest.h>

namespace {

using namespace gatehouse;
using namespace gatehouse::testkit;

class Frontend : public testing::Test {
 protected:
  FakeHost host;
  PluginRunner plugin{load_plugin(PLUGIN_FILE), host, R"({"max_bytes": 100})", 2, GH_TRANSPORT_UDP};
  DatagramClient client{plugin.address()};
};

TEST_F(Frontend, SendsBackWhatComes) {
  client.send("hello");
  EXPECT_EQ(client.receive(), "hello");
}

TEST_F(Frontend, CountsWhatItAnswers) {
  for (int i = 0; i < 10; ++i) {
    client.send("one");
    EXPECT_TRUE(client.receive());
  }
  EXPECT_TRUE(eventually([this] { return host.metric("answered") == 10; }));
}

TEST_F(Frontend, DropsWhatIsTooLong) {
  client.send(std::string(101, 'x'));
  EXPECT_TRUE(eventually([this] { return host.metric("dropped{cause=\"too_long\"}") == 1; }));
  std::string why;
  ASSERT_EQ(plugin.reconfigure(R"({"max_bytes": 101})", why), GH_OK) << why;
  client.send(std::string(101, 'x'));
  EXPECT_TRUE(client.receive());
}

}  // namespace
