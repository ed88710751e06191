#include "gateway/plugin/loader.hpp"

#include "gateway/base/refusal.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/base/clock.hpp>

#include <gmock/gmock.h>

#include <unistd.h>

#include <fstream>
#include <thread>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Loader : public testing::Test {
 protected:
  LoadedPlugin load(const fs::path& file) { return load_plugin(file, folder_.path() / "copies", {GH_LOG_ID}); }

  std::string refusal(const fs::path& file) {
    try {
      static_cast<void>(load(file));
    } catch (const Refusal& why) {
      return why.what();
    }
    return "";
  }
  std::string refusal_of(const std::string& name) { return refusal(test_plugin(name)); }

  TestFolder folder_;
};

TEST_F(Loader, ReadsTheManifestOfAGoodPlugin) {
  const LoadedPlugin loaded = load(test_plugin("good"));
  EXPECT_STREQ(loaded.manifest->id, "good");
  EXPECT_STREQ(loaded.manifest->version, "1.2.3");
  ASSERT_NE(loaded.find_role("listen_api"), nullptr);
  EXPECT_EQ(loaded.find_role("listen_api")->kinds, GH_ROLE_STREAM);
  EXPECT_EQ(loaded.find_role("lis"), nullptr);
  EXPECT_EQ(loaded.probe, nullptr);
}

TEST_F(Loader, RefusesAFileWithoutTheSymbol) {
  EXPECT_THAT(refusal_of("no-symbol"),
              HasSubstr("no-symbol.so is not a Gatehouse plugin: it does not export `gatehouse_plugin`"));
}

TEST_F(Loader, RefusesWhatIsNoSharedLibrary) {
  const fs::path file = folder_.path() / "text.so";
  std::ofstream(file) << "not a library, but longer than an ELF header, so that it is read as far as its magic";
  EXPECT_THAT(refusal(file), HasSubstr("text.so is no shared object (ELF), so it is no plugin"));
}

TEST_F(Loader, RefusesAnotherMagic) {
  EXPECT_THAT(refusal_of("bad-magic"), HasSubstr("exports `gatehouse_plugin`, but that is no plugin manifest"));
}

TEST_F(Loader, RefusesAShortManifest) {
  EXPECT_THAT(refusal_of("short-manifest"), HasSubstr("has a manifest of 88 bytes where ABI 1.0 has 96"));
}

TEST_F(Loader, RefusesAnotherAbiMajor) {
  EXPECT_THAT(refusal_of("other-major"),
              HasSubstr("is built for plugin ABI 2.0, this gateway has ABI 1.0: install the plugin's build for ABI 1"));
}

TEST_F(Loader, RefusesANewerAbiMinor) {
  EXPECT_THAT(refusal_of("newer-minor"),
              HasSubstr("is built for plugin ABI 1.1, which is newer than this gateway's 1.0: upgrade the gateway"));
}

TEST_F(Loader, RefusesARequiredInterfaceThatIsNotOffered) {
  EXPECT_THAT(refusal_of("unknown-interface"),
              HasSubstr("needs the interface gh.teleport/1, which this gateway does not offer"));
}

TEST_F(Loader, RefusesAManifestWithoutFunctions) {
  EXPECT_THAT(refusal_of("no-functions"), HasSubstr("has an incomplete manifest"));
}

TEST_F(Loader, RefusesOneThatEndsTheThreadThatAsksWhatItOffers) {
  EXPECT_EQ(refusal_of("get-exits"), "`get` of the plugin get-exits ended the thread that it was called on");
}

TEST_F(Loader, AsksNoFileAgainThatHasNotYetSaidWhatItOffers) {
  const std::string hangs = "the plugin get-hangs hangs: `get` has not returned for 5 s";
  const std::string still = "`get` of the plugin get-hangs has not returned since it was loaded before: ";
  const fs::path let_go = "/tmp/gatehouse-get-hangs-" + std::to_string(::getpid());
  EXPECT_EQ(refusal_of("get-hangs"), hangs);
  EXPECT_EQ(abandoned_offers(), 1u);
  EXPECT_THAT(refusal_of("get-hangs"), HasSubstr(still));
  EXPECT_EQ(abandoned_offers(), 1u);
  EXPECT_EQ(refusal_of("good"), "");
  std::ofstream(let_go) << "";
  for (const SteadyTime end = steady_now() + std::chrono::seconds(10); abandoned_offers() != 0 && steady_now() < end;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(abandoned_offers(), 0u);
  EXPECT_EQ(refusal_of("get-hangs"), "");
  fs::remove(let_go);
}

TEST_F(Loader, FindsAPluginInItsFoldersInTheirOrder) {
  Config config;
  config.plugin_dirs = {folder_.path(), binary_folder() / "test-plugins"};
  EXPECT_EQ(find_plugin(config, "good"), test_plugin("good"));
  std::ofstream(folder_.path() / "good.so") << "";
  EXPECT_EQ(find_plugin(config, "good"), folder_.path() / "good.so");
}

TEST_F(Loader, SaysWhereItLookedForAMissingPlugin) {
  Config config;
  config.plugin_dirs = {"/nowhere/a", "/nowhere/b"};
  try {
    static_cast<void>(find_plugin(config, "udpgw"));
    FAIL();
  } catch (const Refusal& why) {
    EXPECT_STREQ(why.what(),
                 "the file of the plugin udpgw is missing: looked for udpgw.so in /nowhere/a, /nowhere/b; "
                 "set `path` of [plugin.udpgw] or plugin_dirs of [gateway]");
  }
}

TEST_F(Loader, TakesTheConfiguredPathAndNoOther) {
  Config config;
  config.plugin_dirs = {binary_folder() / "test-plugins"};
  config.plugins["good"].path = "/nowhere/good.so";
  try {
    static_cast<void>(find_plugin(config, "good"));
    FAIL();
  } catch (const Refusal& why) {
    EXPECT_STREQ(why.what(), "the file of the plugin good is missing: there is no /nowhere/good.so");
  }
}

TEST_F(Loader, KnowsConfiguredAndInstalledPlugins) {
  Config config;
  config.plugin_dirs = {folder_.path(), "/nowhere"};
  std::ofstream(folder_.path() / "zebra.so") << "";
  std::ofstream(folder_.path() / "notes.txt") << "";
  config.plugins["mine"].path = "/opt/mine.so";
  EXPECT_THAT(known_plugins(config), ElementsAre("mine", "zebra"));
}

TEST_F(Loader, AcceptsOnlyListenersThatTheManifestDeclares) {
  PluginConfig plugin;
  plugin.name = "good";
  ListenAddress datagram;
  datagram.kind = ListenAddress::Kind::udp;
  plugin.listeners["listen"] = {datagram, ListenAddress{}};
  plugin.listeners["listen_api"] = {datagram};
  plugin.listeners["listen_abi"] = {ListenAddress{}};
  Config config;
  config.plugins["good"] = plugin;
  const AcceptedPlugin accepted = accept_configuration(config, plugin, load(test_plugin("good")));
  ASSERT_EQ(accepted.problems.size(), 2u);
  EXPECT_EQ(accepted.problems[0].sentence,
            "the plugin good has no listener role `listen_abi`; it has: listen, listen_api");
  EXPECT_EQ(accepted.problems[1].sentence,
            "`listen_api` of the plugin good takes streams, not datagrams: write an address without `udp:`");
}

/// The listener role `listen_api` of that plugin is there for this machine.
class LocalRole : public Loader {
 protected:
  AcceptedPlugin accept(std::map<std::string, std::vector<ListenAddress>> listeners = {}, const char* name = "relay") {
    PluginConfig plugin;
    plugin.name = name;
    plugin.listeners = std::move(listeners);
    Config config;
    config.runtime_dir = runtime_dir_;
    config.plugins[name] = plugin;
    return accept_configuration(config, plugin, load(test_plugin("probing")));
  }

  std::string runtime_dir_ = "/run/here";
};

TEST_F(LocalRole, ListensInTheRuntimeFolderByThePluginsName) {
  for (const char* const name : {"relay", "other-relay"}) {
    const AcceptedPlugin accepted = accept({}, name);
    EXPECT_THAT(accepted.problems, IsEmpty());
    ASSERT_EQ(accepted.config.listeners.size(), 1u) << "and in no other role";
    const auto& addresses = accepted.config.listeners.at("listen_api");
    ASSERT_EQ(addresses.size(), 1u);
    EXPECT_EQ(addresses[0].kind, ListenAddress::Kind::unix_stream);
    EXPECT_EQ(addresses[0].path, "/run/here/" + std::string(name) + "-api.sock");
    EXPECT_EQ(addresses[0].text, "unix:" + addresses[0].path.string());
    EXPECT_EQ(addresses[0].mode, 0660u) << "the owner's and the group's alone";
    EXPECT_EQ(addresses[0].group, "");
  }
}

TEST_F(LocalRole, HasWhatIsConfiguredInsteadBeItNothing) {
  ListenAddress own;
  own.text = "127.0.0.1:1";
  const auto configured = accept({{"listen_api", {own}}}).config.listeners.at("listen_api");
  ASSERT_EQ(configured.size(), 1u);
  EXPECT_EQ(configured[0].text, own.text);
  EXPECT_THAT(accept({{"listen_api", {}}}).config.listeners.at("listen_api"), IsEmpty());
}

TEST_F(LocalRole, SaysHowToDoWithoutWhereTheRuntimeFolderIsTooFarDown) {
  runtime_dir_ = "/" + std::string(107 - std::string("//relay-api.sock").size(), 'x');
  EXPECT_THAT(accept().problems, IsEmpty());
  runtime_dir_ += "x";
  const AcceptedPlugin accepted = accept();
  ASSERT_EQ(accepted.problems.size(), 1u);
  EXPECT_EQ(accepted.problems[0].sentence,
            "the plugin relay would listen on `unix:" + runtime_dir_ +
                "/relay-api.sock`, whose path has more than 107 bytes, which no Unix socket can have: set a shorter "
                "`gateway.runtime_dir`, or `listen_api = []` in [plugin.relay] for none");
  EXPECT_THAT(accept({{"listen_api", {}}}).problems, IsEmpty());
}

/// What is wrong with such a listener in `role` of `file`, or "".
class RoleCheck : public Loader {
 protected:
  template <class F>
  std::string wrong(const char* file, const char* role, F set) {
    PluginConfig plugin;
    plugin.name = file;
    ListenAddress address;
    address.text = "127.0.0.1:1";
    set(address);
    plugin.listeners[role] = {address};
    Config config;
    config.plugins[file] = plugin;
    accepted_ = accept_configuration(config, plugin, load(test_plugin(file)));
    return accepted_.problems.empty() ? "" : accepted_.problems[0].sentence;
  }
  AcceptedPlugin accepted_;
};

TEST_F(RoleCheck, OneWithoutOpeningsHasNoneOfThem) {
  const std::string plugin = "`listen` of the plugin good knows nothing of ";
  const std::string rest = ": take that out of `127.0.0.1:1`, or build the plugin with this gateway's SDK";
  EXPECT_EQ(wrong("good", "listen", [](ListenAddress& one) { one.tls.emplace(); }), plugin + "TLS" + rest);
  EXPECT_EQ(wrong("good", "listen", [](ListenAddress& one) { one.auth.user = true; }), plugin + "auth" + rest);
  EXPECT_EQ(wrong("good", "listen", [](ListenAddress& one) { one.http_opening = true; }), plugin + "an opening" + rest);
  EXPECT_EQ(wrong("good", "listen", [](ListenAddress& one) { one.proxy_protocol = true; }), plugin + "proxies" + rest);
  EXPECT_EQ(wrong("good", "listen", [](ListenAddress&) {}), "");
}

TEST_F(RoleCheck, TokensNeedAPlace) {
  EXPECT_EQ(wrong("openings", "listen", [](ListenAddress& one) { one.auth.token = true; }),
            "`listen` of the plugin openings has no place for a token in its own protocol: write opening = \"http\" "
            "beside auth of `127.0.0.1:1`, or another auth");
  EXPECT_EQ(wrong("openings", "listen", [](ListenAddress& one) { one.auth.token = one.http_opening = true; }), "");
  EXPECT_EQ(wrong("openings", "listen_http", [](ListenAddress& one) { one.auth.token = true; }), "");
}

TEST_F(RoleCheck, TrustedProxiesNeedSomethingToSayItIn) {
  const auto trust = [](ListenAddress& one) { one.trusted_proxies = {Prefix::parse("10.0.0.1").value()}; };
  EXPECT_THAT(wrong("openings", "listen", trust), HasSubstr("cannot hear from trusted_proxies whose stream it is"));
  EXPECT_EQ(wrong("openings", "listen_http", trust), "");
}

TEST_F(RoleCheck, OriginsNeedAnOpeningThatSaysThem) {
  const auto page = [](ListenAddress& one) { one.origins = {"https://app.example"}; };
  EXPECT_THAT(wrong("openings", "listen", page),
              HasSubstr("has no place for origins in its own protocol: write opening = \"http\" beside them"));
  EXPECT_EQ(wrong("openings", "listen_http", page), "");
  EXPECT_THAT(wrong("good", "listen", page), HasSubstr("knows nothing of an opening"));
}

TEST_F(RoleCheck, OneOfHttpAlwaysHasThatOpening) {
  EXPECT_EQ(wrong("openings", "listen_http", [](ListenAddress&) {}), "");
  EXPECT_TRUE(accepted_.config.listeners.at("listen_http")[0].http_opening);
  EXPECT_EQ(wrong("openings", "listen", [](ListenAddress&) {}), "");
  EXPECT_FALSE(accepted_.config.listeners.at("listen")[0].http_opening);
}

}  // namespace
}  // namespace gatehouse
