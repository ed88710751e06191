// A set of plugins whose listeners have TLS: what lanes can ask for, and when.
#include "gateway/daemon/plugin_set.hpp"

#include "gateway/base/lane.hpp"
#include "tests/unit/gateway/daemon/test_certificate.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/stat.h>

#include <fstream>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TlsListeners : public testing::Test {
 protected:
  TlsListeners() {
    services_.journal = std::make_shared<Journal>(-1, LogFormat::text);
    set_.emplace(services_, PluginSet::Events{[] {}, [](const auto&) {}});
    put(first_);
  }
  void put(const TestCertificate& certificate) const {
    write("chain.pem", certificate.pem());
    write("key.pem", certificate.key_pem());
  }
  std::string write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = folder_.path() / name;
    std::ofstream(file) << text;
    ::chmod(file.c_str(), 0600);
    return file.string();
  }
  /// Of a file with one plugin that listens on these.
  Config config(const std::string& listen, const std::string& more = "") {
    const std::string file = write(
        "gatehouse.toml", "[gateway]\nstate_dir = \"" + (folder_.path() / "state").string() + "\"\nruntime_dir = \"" +
                              (folder_.path() / "run").string() + "\"\n[tls]\ncertificate = \"" +
                              (folder_.path() / "chain.pem").string() + "\"\nkey = \"" +
                              (folder_.path() / "key.pem").string() + "\"\n" + more + "[plugin.one]\npath = \"" +
                              test_plugin("openings").string() + "\"\nlanes = 1\nlisten = [" + listen + "]\n");
    ConfigReading reading = read_config(file, {});
    for (const ConfigProblem& problem : reading.problems) ADD_FAILURE() << problem.to_string();
    return reading.config.value_or(Config());
  }
  static std::vector<std::string> sentences(const std::vector<ConfigProblem>& problems) {
    std::vector<std::string> out;
    for (const ConfigProblem& problem : problems) out.push_back(problem.sentence);
    return out;
  }
  void run(const std::string& listen) {
    ASSERT_THAT(sentences(set_->load(config(listen))), IsEmpty());
    ASSERT_THAT(sentences(set_->start()), IsEmpty());
  }
  std::vector<std::string> reload(const Config& next) {
    boost::asio::io_context io;
    std::optional<std::vector<ConfigProblem>> out;
    boost::asio::co_spawn(io, set_->reload(next), [&](const std::exception_ptr& failure, auto problems) {
      EXPECT_FALSE(failure);
      out = std::move(problems);
    });
    while (!out && io.run_one_for(50ms) > 0) static_cast<void>(set_->tick(steady_now()));
    return out ? sentences(*out) : std::vector<std::string>{"it never ends"};
  }
  /// The chain that a lane gets for the plugin's listener with that text; "" = none.
  std::string chain(const std::string& text) {
    for (const auto& listener : set_->plugins()[0]->settings().listeners)
      if (listener->address().text == text) return chain(listener->id());
    return "no such listener";
  }
  std::string chain(std::uint32_t id) {
    const PluginCertificates face(services_.certificates, services_.listener_names, "one");
    HostLane lane;
    gh_certificate out{};
    out.struct_size = sizeof out;
    const bool found = face.table()->get(face.table()->context, &lane.head, id, &out) == GH_OK;
    least_version_ = out.least_version;
    return found ? std::string(from_border(out.chain)) : "";
  }

  const TestFolder folder_;
  const TestCertificate first_{"first.test"}, second_{"second.test"};
  HostServices services_;
  std::optional<PluginSet> set_;
  std::uint32_t least_version_ = 0;
};

TEST_F(TlsListeners, HaveTheirCertificatesFromTheStart) {
  run("\"tls:127.0.0.1:0\", \"127.0.0.1:0\"");
  EXPECT_EQ(chain("tls:127.0.0.1:0"), first_.pem());
  EXPECT_EQ(chain("127.0.0.1:0"), "");
  EXPECT_EQ(least_version_, 0u);
}

TEST_F(TlsListeners, AreNotLoadedWithoutGoodFiles) {
  write("key.pem", second_.key_pem());
  EXPECT_THAT(sentences(set_->load(config("\"tls:127.0.0.1:0\""))),
              ElementsAre(HasSubstr("TLS of `tls:127.0.0.1:0`: the key in ")));
}

TEST_F(TlsListeners, TakeWhatAReloadReads) {
  run("\"tls:127.0.0.1:0\"");
  put(second_);
  EXPECT_EQ(chain("tls:127.0.0.1:0"), first_.pem());
  EXPECT_THAT(reload(config("\"tls:127.0.0.1:0\", \"tls:127.0.0.2:0\"", "minimum = \"1.2\"\n")), IsEmpty());
  EXPECT_EQ(chain("tls:127.0.0.1:0"), second_.pem());
  EXPECT_EQ(least_version_, 0x0303u);
  EXPECT_EQ(chain("tls:127.0.0.2:0"), second_.pem());
  const std::uint32_t gone = set_->plugins()[0]->settings().listeners[1]->id();
  EXPECT_THAT(reload(config("\"tls:127.0.0.1:0\"")), IsEmpty());
  EXPECT_EQ(chain(gone), "");
  EXPECT_EQ(chain("tls:127.0.0.1:0"), second_.pem());
}

TEST_F(TlsListeners, KeepWhatTheyHaveWhereAReloadIsRefused) {
  run("\"tls:127.0.0.1:0\"");
  const std::string other = write("other.pem", second_.pem());
  const std::string broken = "{ address = \"127.0.0.2:0\", tls = { certificate = \"" + other + "\" } }";
  EXPECT_THAT(reload(config("\"tls:127.0.0.1:0\", " + broken)), ElementsAre(HasSubstr("the key in ")));
  put(second_);
  EXPECT_THAT(
      reload(config("{ address = \"127.0.0.1:0\", tls = true }, { address = \"tls:127.0.0.1:0\", auth = \"token\", "
                    "opening = \"http\" }")),
      ElementsAre(HasSubstr("`plugin.one.listen (tls, auth, opening, proxies, identity, mode or group of "
                            "tls:127.0.0.1:0)` cannot change while the gateway runs")));
  EXPECT_EQ(chain("tls:127.0.0.1:0"), first_.pem());
}

TEST_F(TlsListeners, TakeFilesThatChangeByThemselves) {
  run("\"tls:127.0.0.1:0\"");
  put(second_);
  set_->watch_certificates(steady_now());
  EXPECT_EQ(chain("tls:127.0.0.1:0"), second_.pem());
}

}  // namespace
}  // namespace gatehouse
