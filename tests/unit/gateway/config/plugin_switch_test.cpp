#include "gateway/config/plugin_switch.hpp"

#include "gateway/config/config.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(PluginSwitch, WinsOverTheMainFileAndKeepsTheOthers) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", "[plugin.a]\nlisten = [\"127.0.0.1:1\"]\n[plugin.b]\n");
  EXPECT_EQ(switch_plugin(file, "a", false), folder.path() / "gatehouse.d/90-plugins.toml");
  switch_plugin(file, "b", false);
  switch_plugin(file, "b", true);
  const ConfigReading reading = read_config(file, {});
  ASSERT_TRUE(reading.config.has_value());
  EXPECT_FALSE(reading.config->plugins.at("a").enabled);
  EXPECT_EQ(reading.config->plugins.at("a").listeners.size(), 1U);
  EXPECT_TRUE(reading.config->plugins.at("b").enabled);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "gatehouse.d/90-plugins.toml.new"));
}

TEST(PluginSwitch, LeavesAFileOfSomebodyElseAlone) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", "");
  folder.write("gatehouse.d/90-plugins.toml", "[plugin.a]\nlanes = 2\n");
  try {
    switch_plugin(file, "a", false);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::EndsWith("90-plugins.toml: holds more than plugin switches; move the rest to "
                                                "another file of that folder"));
  }
}

}  // namespace
}  // namespace gatehouse
