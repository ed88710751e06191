// Queries to the gateway's own resolvers (frames with the DNS flag): which resolver is in turn, what has not been
// answered yet, and when to ask the next one. One per lane; not thread-safe.
#pragma once

#include "plugins/udpgw/forward.hpp"
#include "plugins/udpgw/settings.hpp"

#include <gatehouse/net/resolv_conf.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>

#include <deque>
#include <optional>

namespace gatehouse::udpgw {

class DnsRelay {
 public:
  DnsRelay(const LaneContext& context, std::shared_ptr<const UdpgwSettings> settings);

  void configure(std::shared_ptr<const UdpgwSettings> settings);

  /// The resolver in turn: the first that has not failed in the last 10 s; else the one whose failure is oldest.
  /// @param but  not that one, where there is another
  [[nodiscard]] std::optional<std::uint16_t> choose(std::optional<std::uint16_t> but = {});
  [[nodiscard]] const Endpoint& endpoint(std::uint16_t resolver) const noexcept {
    return resolvers_[resolver].endpoint;
  }
  /// Is there a better one by now?
  [[nodiscard]] bool has_failed(std::uint16_t resolver) const noexcept;

  /// `query` has been sent by `forward`. It is remembered, up to 1232 bytes of it, until it is answered.
  void asked(Forward& forward, Bytes query);
  /// `reply` came to `forward`.
  void answered(Forward& forward, Bytes reply);
  /// An ICMP error about what `forward` asked: its questions go to the next one now.
  void refused(Forward& forward);
  /// The forward closes: forgets its queries.
  void forget(Forward& forward) noexcept;

 private:
  struct Resolver {
    Endpoint endpoint;
    bool in_use = false;
    SteadyTime failed_at = SteadyTime::min();
    SteadyTime heard_at = SteadyTime::min();  // when anything came from it last
    unsigned unanswered = 0;                  // questions in a row
    Counter queries, failures;
    Histogram round_trip;
  };
  struct Query {
    Query(DnsRelay& relay, Forward& asker) : timer([this, &relay] { relay.timed_out(*this); }), forward(asker) {}
    LaneTimer timer;
    Forward& forward;
    SteadyTime sent_at{};
    std::uint32_t next = kNoSlot;  // older query of the same forward
    std::uint16_t id = 0;
    std::uint16_t size = 0;  // 0: too long to be kept, so it is not asked again
    bool asked_twice = false;
    std::array<std::byte, 1232> payload;
  };

  void use_settings();
  std::uint16_t add(const Endpoint& endpoint);
  void count_failure(Resolver& resolver, SteadyTime asked) noexcept;
  [[nodiscard]] std::optional<std::uint16_t> better_than(std::uint16_t resolver);
  void timed_out(Query& query);
  void fail_over(Forward& forward, std::uint16_t next);
  void erase(Forward& forward, std::uint32_t slot) noexcept;
  void send_again(Query& query);

  LaneContext context_;
  std::shared_ptr<const UdpgwSettings> settings_;
  ResolvConf resolv_conf_;
  std::uint64_t resolv_conf_version_ = 0;
  std::deque<Resolver> resolvers_;       // never shrinks: forwards hold numbers
  std::vector<std::uint16_t> in_order_;  // those in use
  Slab<Query, 16> queries_;
};

}  // namespace gatehouse::udpgw
