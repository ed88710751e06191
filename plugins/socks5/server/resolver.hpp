// The addresses of names, from the configured resolvers, without a wait in the lane. One lane's; not thread-safe.
//
// A look-up asks for A and AAAA at once, from a socket of its own: who wants to answer in a resolver's place has to
// guess its port and the queries' ids. It ends when both are answered, kSecondAnswer after the first that brings an
// address (RFC 8305, 3), or when the last resolver that it tried said nothing in time. Those that ask for a name that
// is being looked up wait for the same answer, and without them it ends at once. Nothing is kept: a resolver has a
// cache.
#pragma once

#include "plugins/socks5/server/counters.hpp"
#include "plugins/socks5/server/settings.hpp"

#include <gatehouse/net/resolv_conf.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/lane_context.hpp>

#include <array>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gatehouse::socks5 {

/// What a look-up came to; no addresses: there are none, or nobody says.
struct Addresses {
  static constexpr std::size_t kMost = 16;

  std::array<IpAddress, kMost> list;  ///< IPv6 and IPv4 in turn, IPv6 first
  std::size_t count = 0;
  bool is_answered = false;  ///< a resolver has spoken

  [[nodiscard]] std::span<const IpAddress> all() const noexcept { return std::span(list).first(count); }
};

/// What a resolver has said, as it came. Lives until Waiter::resolved() returns.
struct Replies {
  Endpoint from;
  std::span<const std::vector<std::byte>> messages;  ///< an empty one: it has not answered
};
/// May the client have what they say, by the names that they lead to?
[[nodiscard]] Verdict judge_replies(const PolicyClient& policy, const Replies& replies) noexcept;

class Resolver {
 private:
  class LookUp;

 public:
  /// Whoever waits for a name. Leaves when it is destroyed.
  class Waiter {
   public:
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    [[nodiscard]] bool is_waiting() const noexcept { return look_up_ != nullptr; }

   protected:
    Waiter() = default;
    ~Waiter() { stop_waiting(); }
    void stop_waiting() noexcept;

   private:
    friend class Resolver;
    friend class LookUp;
    /// Once, within tell().
    virtual void resolved(const Addresses& addresses, const Replies& replies) = 0;
    LookUp* look_up_ = nullptr;
    std::size_t place_ = 0;
  };

  Resolver(const LaneContext& context, Counters& counters, std::shared_ptr<const Socks5Settings> settings);
  ~Resolver();

  void configure(std::shared_ptr<const Socks5Settings> settings);

  /// Which of the resolvers would be asked now; what policy judges a name by. None are known: family none.
  [[nodiscard]] Endpoint in_turn();
  /// `waiter` will be told, unless this fails: Errc::not_found, there is no resolver; Errc::limit, too many look-ups
  /// are under way, or too many of that source's; or the system's error. @param name  canonical
  [[nodiscard]] Result<void> resolve(std::string_view name, const IpAddress& source, std::string_view identity,
                                     Waiter& waiter);
  /// Tells `most` at most of those whose look-ups are over: to be called at the end of each turn. False: others still
  /// wait to be told.
  [[nodiscard]] bool tell(std::size_t most);
  /// Descriptors in use.
  [[nodiscard]] std::size_t descriptors() const noexcept { return look_ups_.size(); }

  static constexpr std::size_t kMostLookUps = 512;   ///< fewer where descriptors are few
  static constexpr std::size_t kMostWaiters = 4096;  ///< of one name
  static constexpr Nanoseconds kSecondAnswer = std::chrono::milliseconds(50);
  static constexpr unsigned kMostTries = 2;  ///< of resolvers, by one look-up

 private:
  struct Server {
    Endpoint endpoint;
    SteadyTime failed_at = SteadyTime::min();
  };

  void use_settings();
  /// Another one than `but`, where there is one. Null: none are known.
  [[nodiscard]] Server* choose(const Server* but = nullptr);
  [[nodiscard]] std::uint16_t random_id();
  [[nodiscard]] bool may_ask(const std::string& asker) const noexcept;
  [[nodiscard]] std::unique_ptr<LookUp> take(LookUp& look_up) noexcept;
  void finish(LookUp& look_up);

  LaneContext context_;
  Counters& counters_;
  Budget budget_;
  std::shared_ptr<const Socks5Settings> settings_;
  ResolvConf resolv_conf_;
  std::uint64_t resolv_conf_version_ = 0;
  std::vector<Server> servers_;
  std::map<std::string, std::unique_ptr<LookUp>, std::less<>> look_ups_;
  std::map<std::string, std::size_t> askers_;    // how many of these are whose
  std::list<std::unique_ptr<LookUp>> finished_;  // and not all who wait have been told
  std::array<std::byte, 512> random_{};
  std::size_t random_used_ = 512;
};

}  // namespace gatehouse::socks5
