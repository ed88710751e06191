// A plugin that was built when abi.h was 1.0, in a host whose structs have all grown since.
#include "gateway/plugin/instance.hpp"
#include "gateway/services/host_services.hpp"
#include "policy/compile.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

namespace gatehouse {
namespace {

static_assert(sizeof(gh_verdict) > GH_SIZE_1_0(gh_verdict), "this program is built with the grown header");
static_assert(GH_ABI_MINOR > 0);

/// The plugin's file: built now, with the header of then, and built then.
class Growth : public testing::TestWithParam<const char*> {
 protected:
  Growth() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    std::filesystem::copy_file(GetParam(), folder_ / "old.so");
    policy::Model rows;
    rows.groups = {{0, "everyone", 100, true}};
    policy::PortPermit permit;
    permit.id = 5;
    rows.port_permits = {permit};
    services_.journal = std::make_shared<Journal>(-1, LogFormat::text);
    services_.policy->publish(policy::compile(rows, {}, 1, 0).snapshot);
  }
  ~Growth() override { std::filesystem::remove_all(folder_); }

  LoadedPlugin load() { return load_plugin(folder_ / "old.so", folder_ / "copies", offered_interfaces()); }
  std::shared_ptr<const BoundListener> listener() {
    ListenAddress address;
    address.text = "127.0.0.1:0";
    address.endpoint = Endpoint::parse(address.text).value();
    return std::make_shared<BoundListener>(services_.listener_names->add("old", address.text), "old", "listen", address,
                                           2);
  }

  static void look(Instance& instance) {
    instance.tick(steady_now());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  /// Waits for it. What it was refused with, or "".
  static std::string refusal(Instance& instance, const Instance::Call& call) {
    while (!call->is_over()) look(instance);
    return call->refusal().value_or("");
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("gatehouse_abi_growth_" + std::to_string(getpid()));
  HostServices services_;
};

#ifdef __x86_64__
INSTANTIATE_TEST_SUITE_P(PluginOf1_0, Growth, testing::Values(GATEHOUSE_TEST_PLUGIN, GATEHOUSE_KEPT_PLUGIN));
#else  // what was built then is a file of x86-64
INSTANTIATE_TEST_SUITE_P(PluginOf1_0, Growth, testing::Values(GATEHOUSE_TEST_PLUGIN));
#endif

TEST_P(Growth, RunsAPluginOfTheFirstVersionWithEveryInterface) {
  const LoadedPlugin loaded = load();
  EXPECT_LT(loaded.manifest->struct_size, sizeof(gh_manifest));
  EXPECT_EQ(loaded.role(1).name, std::string("listen_api")) << "its roles stand as close as they did then";
  EXPECT_NE(loaded.find_role("listen_api"), nullptr);
  EXPECT_EQ(loaded.describe({0, 5}), "five");
  ASSERT_NE(loaded.probe, nullptr) << "it offers what 1.0 has of gh.probe/1";
  EXPECT_LT(loaded.probe->struct_size, sizeof(gh_probe));
  EXPECT_EQ(loaded.probe->run(nullptr, 0, nullptr, nullptr, nullptr), GH_E_UNSUPPORTED);

  PluginConfig config;
  config.name = "old";
  Instance instance(loaded, InstanceSpec{"old", 2, false},
                    std::make_unique<HostOffer>(services_, config, std::make_shared<PluginMetrics>("old", 2),
                                                std::make_shared<PluginBudget>(), std::make_shared<PluginNotices>()),
                    nullptr);
  instance.configure("{}", false);
  EXPECT_EQ(refusal(instance, instance.start({listener(), listener()})), "");
  instance.run_lanes();
  const SteadyTime end = steady_now() + std::chrono::seconds(20);
  while (instance.pending() < 2 && !instance.failure() && steady_now() < end) look(instance);
  EXPECT_EQ(instance.failure().value_or(""), "");
  EXPECT_EQ(instance.pending(), 2u) << "lanes that have tried everything";
  EXPECT_EQ(refusal(instance, instance.change({{}, {}, Instance::Listeners{listener(), listener(), listener()}})), "");
}

}  // namespace
}  // namespace gatehouse
