// One instance of a plugin under a FakeHost, with real listeners and one thread a lane.
#pragma once

#include <gatehouse/testkit/fake_host.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace gatehouse::testkit {

/// A listener to start a plugin with, on a free port of loopback or in a folder of the runner's own.
struct TestListener {
  std::uint32_t transport = GH_TRANSPORT_TCP;  ///< GH_TRANSPORT_TCP, GH_TRANSPORT_UDP or GH_TRANSPORT_UNIX
  std::string role = "listen";                 ///< of the manifest's
  Family family = Family::v4;                  ///< of TCP and UDP
  std::string identity = {};                   ///< that all of its clients have
  std::uint32_t auth = 0;                      ///< GH_AUTH_* bits
  bool tls = false;                            ///< by FakeHost::set_certificate()
  bool http_opening = false;                   ///< GH_OPENING_HTTP
  bool proxy_protocol = false;                 ///< streams begin with a PROXY header
  std::vector<Prefix> trusted_proxies = {};    ///< whose word for the client's address is believed
  std::vector<std::string> origins = {};       ///< of pages that may ask: "https://app.example"
  std::uint16_t port = 0;                      ///< of UDP: as a runner that has gone had it; 0: any that is free
  IpAddress address = {};                      ///< of TCP and UDP, in place of loopback
};

/// Stops and destroys it when it goes. Sockets are made as the gateway makes them: TCP and Unix have one, with a dup
/// for each lane; UDP has one a lane, in a SO_REUSEPORT group in the order of lanes, so that a program that a plugin
/// attaches to the group (SO_ATTACH_REUSEPORT_CBPF) picks a lane by its index.
class PluginRunner {
 public:
  /// Throws std::runtime_error with the plugin's sentence when it refuses its options or its start.
  PluginRunner(const gh_manifest& manifest, FakeHost& host, std::string_view options_json, unsigned lanes,
               const std::vector<TestListener>& listeners);
  /// @param transport  of the one listener of the role "listen"
  PluginRunner(const gh_manifest& manifest, FakeHost& host, std::string_view options_json, unsigned lanes,
               std::uint32_t transport)
      : PluginRunner(manifest, host, options_json, lanes, std::vector<TestListener>{{transport}}) {}
  ~PluginRunner();
  PluginRunner(const PluginRunner&) = delete;
  PluginRunner& operator=(const PluginRunner&) = delete;

  /// Where the listener of that index is reached; without an address for a Unix one, which has a path.
  [[nodiscard]] const Endpoint& address(std::size_t listener = 0) const { return listeners_.at(listener).local; }
  /// Of a Unix listener.
  [[nodiscard]] const std::filesystem::path& path(std::size_t listener) const { return listeners_.at(listener).path; }
  /// What the plugin says of clients that it still serves.
  [[nodiscard]] std::uint64_t pending() const;
  /// Turns of that lane's loop so far.
  [[nodiscard]] std::uint64_t turns(unsigned lane) const;
  /// Every lane. @param reasons  GH_WAKE_* bits
  void wake(std::uint32_t reasons);
  /// After FakeHost::set_policy() and the like: lanes see it in their next turn.
  void policy_changed() { wake(GH_WAKE_POLICY); }
  /// 0, or the status and message of the plugin.
  gh_status reconfigure(std::string_view options_json, std::string& why);
  /// Only these of the listeners that it was started with are left, by their indices.
  gh_status keep_listeners(const std::vector<std::size_t>& indices, std::string& why);
  /// As the gateway does, with five seconds.
  void drain();
  /// Stops and joins. Throws std::runtime_error when a lane failed.
  void stop();
  /// After stop(): starts the same instance with the same listeners, as the gateway does when its replacement failed.
  /// Throws std::runtime_error with the plugin's sentence when it refuses.
  void start_again() { start(); }

 private:
  struct Bound {
    TestListener spec;
    std::string name;
    Endpoint local;
    std::filesystem::path path;
    std::vector<UniqueFd> sockets;  // by lane
    std::vector<gh_prefix> trusted_proxies;
    std::vector<gh_bytes> origins;  // of spec
  };
  [[nodiscard]] Bound bind(const TestListener& spec, std::size_t index);
  using Rows = std::vector<std::byte>;  // gh_listeners, as far apart as their struct_size says
  [[nodiscard]] gh_listener describe(std::size_t listener, unsigned lane) const;
  [[nodiscard]] Rows describe(const std::vector<std::size_t>& indices) const;
  void start();
  void let_go();

  const gh_plugin_ops* ops_;
  FakeHost::Instance host_;
  gh_instance* instance_ = nullptr;
  std::filesystem::path folder_;  // of Unix sockets, once there is one
  std::vector<Bound> listeners_;
  std::vector<Grown<gh_lane>> lanes_;
  std::vector<std::thread> threads_;
  std::vector<std::string> failures_;
};

}  // namespace gatehouse::testkit
