// A host for tests of plugins: every service in memory, policy as a function, and a runner that gives a plugin real
// listeners and real lanes on loopback, without a gateway.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/plugin/certificates.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/ranges.hpp>
#include <gatehouse/testkit/fake_store.hpp>
#include <gatehouse/testkit/host_interposer.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse::testkit {

/// What the fake policy is asked.
struct FakeFlow {
  Endpoint destination;         ///< with its port; of ICMP the port is 0
  std::uint32_t transport = 0;  ///< the IP protocol's number: 6, 17, ...
  std::uint32_t flags = 0;      ///< GH_FLOW_* bits
  std::string domain;           ///< the name asked for; "" = unknown
};

/// For FakeTraffic::charge: takes from `left` what it has room for, in whole packets.
/// @param wait  for what comes after that
inline Grant take_from(std::atomic<std::uint64_t>& left, std::uint64_t want, std::uint64_t least, std::uint64_t wait) {
  const std::uint64_t part = want <= left ? want : left / least * least;
  left -= part;
  return {part, part == want ? 0 : wait};
}

/// Traffic rules as functions; lanes call them. An empty one lets everything pass.
struct FakeTraffic {
  /// What PolicyClient::charge() returns. Asked where the limits say `metered`.
  std::function<Grant(std::uint32_t direction, std::uint64_t packets, std::uint64_t want, std::uint64_t least)> charge;
  /// 0, or the GH_REASON_* for which a flow may not open.
  std::function<std::uint16_t(const Endpoint& destination)> open_flow;
  /// 0, or the GH_REASON_* for which a client may not open.
  std::function<std::uint16_t()> open_client;
};

/// A struct of the border as a later minor may have it: longer, with what nobody knows yet behind it.
template <class Struct>
struct Grown {
  Struct known{};  ///< what this minor has of it
  /// What it has not, filled with what no size, pointer or flag is.
  std::uint64_t later[2] = {0x5a5a5a5a5a5a5a5a, 0x5a5a5a5a5a5a5a5a};
};

/// Thread-safe, but for `judge` and `limits`, which are to be set before lanes run or under set_policy().
class FakeHost {
 public:
  /// Everything is allowed; it has no certificate, and knows no credential but uids.
  FakeHost();
  ~FakeHost();
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  /// What one instance of a plugin is given. PluginRunner makes one for each that it runs.
  class Instance {
   public:
    /// @param plugin  by whose name sessions and values are kept
    Instance(FakeHost& host, std::string plugin);
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;
    [[nodiscard]] const gh_host* table() const noexcept { return &table_.known; }
    /// What `struct_size` of a struct that the host owns says.
    template <class Struct>
    [[nodiscard]] std::uint32_t size_of() const noexcept {
      return host_.is_later_ ? sizeof(Grown<Struct>) : sizeof(Struct);
    }
    /// As before destroy(): no completion comes any more.
    void drop_completions() noexcept { store_->drop_completions(); }
    /// On a lane's thread, before run_lane(): the interposer, if there is one, learns whose it is.
    void lane_begins(const gh_lane& lane) {
      if (host_.interposer_ != nullptr) host_.interposer_->lane_begins(lane);
    }

   private:
    friend class FakeHost;
    FakeHost& host_;
    std::unique_ptr<FakeStore::Instance> store_;
    Grown<gh_host> table_;
  };

  /// Of an instance named "test", which lives as long as the host.
  [[nodiscard]] const gh_host* table() const noexcept { return test_->table(); }
  /// Instances that are made from now on see a host of the next minor, whose own structs have grown: gh_host, gh_lane,
  /// and gh_listener with the distance between two of them.
  void pretend_later_minor() noexcept { is_later_ = true; }
  /// From now on every instance gets its interfaces through it; null: directly. It must outlive them.
  void interpose(HostInterposer* interposer) noexcept { interposer_ = interposer; }
  /// What plugins remember, and the disk that they wait for.
  [[nodiscard]] FakeStore& store() noexcept { return store_; }
  /// FakeStore::restart(), and another instance behind table().
  void restart();
  /// Moves the time of day ahead, for leases and sessions.
  void pass(std::chrono::seconds time) {
    ahead_ += time.count();
    store_.expire();
  }

  /// Replaces the policy and moves the generation; whoever runs lanes then wakes them (PluginRunner::policy_changed).
  /// `judge` returns 0 to allow, or the GH_REASON_* of a denial. Everything is allowed at first.
  void set_policy(std::function<std::uint16_t(const FakeFlow&)> judge);
  /// Which ports are DNS, and whether answers are judged, too: as `judge` says of the names in them. At first 53, and
  /// not.
  void set_dns(std::set<std::uint16_t> ports, bool judges_answers);
  /// The limits of every client; at first no rule says anything.
  void set_limits(const gh_limits& limits);
  /// The traffic rules of every client; at first there are none. Each refusal names row 7 of traffic_rules.
  void set_traffic(FakeTraffic traffic);
  /// The next `count` look-ups of identities with a completion are GH_PENDING, and completed at once.
  void delay_identities(unsigned count) noexcept { delayed_identities_ = count; }
  /// `value` (CredentialKind, its text) is `identity`'s from now on.
  void set_credential(std::uint32_t kind, std::string value, std::string identity) {
    const std::scoped_lock lock(mutex_);
    credentials_[{kind, std::move(value)}] = std::move(identity);
  }
  /// What the TLS of the listener of that number (its index with PluginRunner) shows from now on; lanes are to be
  /// woken.
  void set_certificate(std::uint32_t listener, Certificate certificate);
  /// No token is looked at for so long: its source has shown too many that are nobody's. 0 = none has.
  void refuse_tokens(std::chrono::nanoseconds wait) {
    const std::scoped_lock lock(mutex_);
    token_wait_ns_ = static_cast<std::uint64_t>(wait.count());
  }
  /// What may be handed out of a space from now on; lanes are to be woken with GH_WAKE_RANGES. Until then, and of other
  /// spaces, all numbers.
  void set_ranges(std::string space, std::vector<NumberRange> ranges);
  /// What all clients may have waiting, and have open; 256 MiB and 16,384 at first. Lanes see it soon.
  void set_memory(std::uint64_t bytes) noexcept { std::atomic_ref(memory_bytes_).store(bytes); }
  /// The same of descriptors.
  void set_descriptors(std::uint64_t count) noexcept { std::atomic_ref(descriptors_).store(count); }
  /// What was kept for the next instance and never taken is closed, as the gateway does some seconds after a start.
  void close_kept_fds() {
    const std::scoped_lock lock(mutex_);
    fds_.clear();
  }
  /// How often a plugin said that it ran short of it (GH_RESOURCE_*).
  [[nodiscard]] std::uint64_t shortages(std::uint32_t resource) const noexcept { return shortages_[resource]; }
  /// What a plugin says under that name (gh.notices/1), or "".
  [[nodiscard]] std::string notice(const std::string& name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = notices_.find(name);
    return found == notices_.end() ? "" : found->second;
  }
  /// Sum over the lanes of one series, such as `drops{cause="rate"}`; 0 when there is none.
  [[nodiscard]] std::uint64_t metric(const std::string& series) const;
  /// Lines of the log: "event key=value ...".
  [[nodiscard]] std::vector<std::string> log_lines() const;
  /// The session of the policy client that was opened last.
  [[nodiscard]] std::uint64_t last_client_session() const noexcept { return last_client_session_; }
  /// What was claimed last (claim_prefixes).
  [[nodiscard]] std::vector<Prefix> claims() const {
    const std::scoped_lock lock(mutex_);
    return claims_;
  }
  /// Policy clients and flows that are open now.
  [[nodiscard]] std::int64_t open_clients() const noexcept { return clients_; }
  [[nodiscard]] std::int64_t open_flows() const noexcept { return flows_; }

 private:
  struct Services;
  friend struct Services;
  struct Policy {
    std::function<std::uint16_t(const FakeFlow&)> judge;
    gh_limits limits{};
    FakeTraffic traffic;
    std::set<std::uint16_t> dns_ports{53};
    bool judges_answers = false;
  };
  struct Series {
    std::vector<std::unique_ptr<std::uint64_t[]>> lanes;
  };
  void publish(Policy policy);

  mutable std::mutex mutex_;  // guards what follows, but for atomics and plain words
  std::map<std::string, const void*> interfaces_;
  HostInterposer* interposer_ = nullptr;
  bool is_later_ = false;
  std::unique_ptr<Services> services_;
  std::int32_t level_ = GH_LOG_DEBUG;
  std::uint64_t generation_ = 0;
  std::deque<Policy> policies_;  // by generation - 1; kept, as lanes may still be on an older one
  std::map<std::string, Series> series_;
  std::vector<std::string> log_;
  std::vector<Prefix> claims_;
  std::map<std::pair<std::uint32_t, std::string>, std::string> credentials_;
  std::uint64_t token_wait_ns_ = 0;
  std::map<std::uint32_t, std::shared_ptr<const Certificate>> certificates_;
  std::vector<std::shared_ptr<const Certificate>> lent_;  // for good: lanes may be reading it
  std::uint64_t certificate_generation_ = 1;
  std::map<std::string, std::vector<UniqueFd>> fds_;  // kept, by name
  std::map<std::string, std::vector<NumberRange>> ranges_;
  std::map<std::string, std::string> notices_;  // sentences, by name
  std::uint64_t ranges_generation_ = 1;
  std::uint64_t memory_bytes_ = 256 * 1024 * 1024;  // plugins read them as plain words, atomically
  std::uint64_t descriptors_ = 16384;
  std::array<std::atomic<std::uint64_t>, 3> shortages_{};
  std::atomic<unsigned> delayed_identities_{0};
  std::atomic<std::int64_t> clients_{0}, flows_{0};
  std::atomic<std::uint64_t> last_client_session_{0};
  std::atomic<std::int64_t> ahead_{0};  // seconds
  FakeStore store_;
  std::optional<Instance> test_;
};

}  // namespace gatehouse::testkit
