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
  PluginRunner plugin{load_plugin(PLUGIN_FILE), host, R"({"idle_seconds": 60})", 2, GH_TRANSPORT_TCP};
};

TEST_F(Frontend, SendsBackWhatComes) {
  StreamClient client(plugin.address());
  client.send("hello");
  EXPECT_EQ(client.receive(5), "hello");
  client.finish();
  EXPECT_EQ(client.receive_rest(), "");
}

TEST_F(Frontend, CountsWhatASessionCarries) {
  StreamClient client(plugin.address());
  client.send("twelve bytes");
  EXPECT_EQ(client.receive(12).size(), 12u);
  EXPECT_EQ(plugin.pending(), 1u);
  EXPECT_EQ(host.store().sessions().at(0).bytes_up, 12u);
}

TEST_F(Frontend, LetsNobodyInWhomPolicyRefuses) {
  host.set_traffic({.charge = {}, .open_flow = {}, .open_client = [] { return GH_REASON_ADMISSION; }});
  plugin.policy_changed();
  EXPECT_EQ(StreamClient(plugin.address()).receive_rest(), "");
}

TEST_F(Frontend, LetsGoOfThoseWhoSendNothing) {
  std::string why;
  ASSERT_EQ(plugin.reconfigure(R"({"idle_seconds": 0})", why), GH_OK) << why;
  EXPECT_EQ(StreamClient(plugin.address()).receive_rest(), "");
  EXPECT_TRUE(eventually([this] { return plugin.pending() == 0; }));
}

}  // namespace
