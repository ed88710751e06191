// All plugins of the configuration: started all or none, changed all or nothing, ended together.
#pragma once

#include "gateway/config/config.hpp"
#include "gateway/daemon/given_up_listeners.hpp"
#include "gateway/daemon/listener_certificates.hpp"
#include "gateway/plugin/configured_plugin.hpp"
#include "policy/surroundings.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {

/// Control thread only. What waits for a plugin waits for lane_timeout_seconds at most.
class PluginSet {
 public:
  struct Events {
    /// A lane has ended or a call is over, told on another thread: let it post a message and nothing else.
    std::function<void()> plugin_moved;
    /// Called with everything that the plugins listen on, before lanes serve it.
    std::function<void(const std::vector<policy::OwnListener>&)> listeners;
  };

  /// @param io  of the control thread; it goes on while load() and start() wait. Null: nothing does
  PluginSet(HostServices services, Events events, boost::asio::io_context* io = nullptr);
  /// Waits for what has not ended, as Instance does.
  ~PluginSet();

  /// Loads each enabled plugin and lets it judge its options; nothing listens and no lane runs. What `gatehouse check`
  /// does too. Returns every problem that it finds. Waits for plugins, see the constructor.
  [[nodiscard]] std::vector<ConfigProblem> load(const Config& config);
  /// Between load() and start(): gives `config` the listeners that roles of what was loaded have by themselves. Returns
  /// what is wrong with them, such as two at one address.
  [[nodiscard]] std::vector<ConfigProblem> add_defaults(Config& config) const;
  /// Between load() and start(): what is to be said of what was loaded, and keeps nobody from starting.
  [[nodiscard]] std::vector<ConfigProblem> remarks() const;
  /// Binds every listener and starts every plugin that was loaded; no lane runs before all have started. With a
  /// problem, nothing is left running. Waits for plugins.
  [[nodiscard]] std::vector<ConfigProblem> start();
  /// Makes the running plugins those of `next`: options, listeners, plugins that come or go. With a problem, all is as
  /// before, unless it is that drain() or stop() came in between. tick() goes on meanwhile; one reload at a time. An
  /// address that an earlier reload gave up is waited for until its last lane has let go of it.
  [[nodiscard]] boost::asio::awaitable<std::vector<ConfigProblem>> reload(const Config& next);

  /// Does what is due for every plugin; returns when to call it next.
  [[nodiscard]] SteadyTime tick(SteadyTime now);
  void wake(std::uint32_t reasons);
  /// Looks after certificates, as ListenerCertificates::watch() does; lanes are told of what is new.
  void watch_certificates(SteadyTime now);
  /// What the TLS of listeners shows and accepts.
  [[nodiscard]] const ListenerCertificates& certificates() const noexcept { return certificates_; }
  /// Ends load() or start(), which wait, with a problem.
  void give_up() noexcept { ending_ = true; }
  void drain(SteadyTime deadline);
  void stop(SteadyTime now);
  [[nodiscard]] bool stopped() const;
  /// Lanes and calls that never returned, of all plugins that there were.
  [[nodiscard]] unsigned abandoned_lanes() const;
  [[nodiscard]] unsigned abandoned_calls() const;

  [[nodiscard]] const std::vector<std::unique_ptr<ConfiguredPlugin>>& plugins() const noexcept { return plugins_; }
  /// Configured no longer, or disabled: they serve the clients that they have for a while. One may have the name of one
  /// of plugins().
  [[nodiscard]] const std::vector<std::unique_ptr<ConfiguredPlugin>>& leaving() const noexcept { return leaving_; }

 private:
  struct Changes;
  struct Asked {
    ConfiguredPlugin* plugin;
    ConfigPlace place;
    ConfiguredPlugin::Call call;
  };
  using Problems = std::vector<ConfigProblem>;
  using Addresses = std::vector<ListenAddress>;

  std::unique_ptr<ConfiguredPlugin> load_one(const Config& config, const PluginConfig& plugin,
                                             std::vector<Asked>& checks, Problems& problems) const;
  [[nodiscard]] boost::asio::awaitable<void> wait_for(const std::vector<Asked>& asked, Problems& problems) const;
  void plan(const Config& next, const PluginConfig& plugin, Changes& changes) const;
  [[nodiscard]] Addresses unbound(const Changes& changes) const;
  [[nodiscard]] boost::asio::awaitable<void> wait_for_addresses(Addresses addresses);
  void bind_coming(Changes& changes) const;
  [[nodiscard]] GivenUpListeners::Listeners listeners(const Changes* coming) const;
  [[nodiscard]] boost::asio::awaitable<void> end_former(Changes& changes);
  [[nodiscard]] boost::asio::awaitable<void> carry_out(Changes& changes);
  [[nodiscard]] boost::asio::awaitable<void> go_back(Changes& changes);
  void commit(Changes& changes, const Config& next);
  void let_go(Changes& changes);
  [[nodiscard]] ConfiguredPlugin* find(const std::string& name) const noexcept;
  [[nodiscard]] ConfiguredPlugin* find_leaving(const std::string& name) const noexcept;
  void forget_gone();
  void announce(const Changes* coming);
  void share_descriptors(const Changes* coming);
  void serve_certificates(const ListenerCertificates::Readings& readings);
  void serve_new_certificates(const Changes& coming);
  void forget_certificates();

  void run_now(boost::asio::awaitable<void> work);

  HostServices services_;
  Events events_;
  ListenerCertificates certificates_;
  ListenerCertificates::Readings readings_;  // from load() until start()
  boost::asio::io_context* io_;
  std::vector<std::unique_ptr<ConfiguredPlugin>> plugins_;
  std::vector<std::unique_ptr<ConfiguredPlugin>> leaving_;  // no longer configured, still serving their clients
  std::set<std::string> gone_;  // names of plugins that have left, until it is known that nobody follows
  GivenUpListeners given_up_;
  bool reloading_ = false;
  std::optional<std::vector<policy::OwnListener>> announced_;
  bool ending_ = false;                                 // drain() or stop() was called
  unsigned abandoned_lanes_ = 0, abandoned_calls_ = 0;  // of plugins that have left
};

}  // namespace gatehouse
