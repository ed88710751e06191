// One UDP association (RFC 1928, 7): a socket that the client sends to, and one that the Internet sees. One lane's; not
// thread-safe.
//
// The way of a datagram:
//   up    from_client() -> header -> its name looked up -> flow judged, opened, charged -> the outer socket
//   down  from_outside() -> its flow, charged, an answer's names judged -> header before it -> the client
// The outer socket is one for all destinations, so that hosts see one address and port of the client, as behind a usual
// NAT; but only those are heard that the client has sent to.
#pragma once

#include "plugins/socks5/server/resolver.hpp"
#include "plugins/socks5/wire/udp_header.hpp"

#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/table/flow_table.hpp>
#include <gatehouse/table/lru.hpp>

#include <map>
#include <memory>
#include <string>

namespace gatehouse::socks5 {

class Socks5Lane;

class Association {
 public:
  /// All references outlive it; `active` is written whenever something comes or goes.
  Association(Socks5Lane& lane, const PolicyClient& policy, Session& session, const std::string& identity,
              SteadyTime& active, std::function<void()> flows_changed);
  ~Association();
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;

  /// @param client    whom to hear; port 0: the first datagram from its address that has a SOCKS header tells
  /// @param local     where the client reaches this host; family none: anywhere
  /// @return where the client is to send to
  [[nodiscard]] Result<Endpoint> open(const Endpoint& client, IpAddress local);

  void set_limits(const Limits& limits) noexcept { limits_ = limits; }
  /// Judges every flow again.
  void policy_changed();
  /// Closes flows that were quiet for too long.
  void look_at_clock(SteadyTime now);
  /// Closes the flow that was quiet for longest. False when there is none.
  bool recycle();
  [[nodiscard]] std::size_t flows() const noexcept { return flows_.size(); }
  /// Bytes that wait for names, and what it knows of names and flows.
  [[nodiscard]] std::size_t memory() const noexcept {
    return waiting_bytes_ + text_bytes_ + names_.size() * sizeof(Name) + flows_.memory();
  }

  static constexpr std::size_t kDescriptors = 2;

 private:
  struct Flow {
    LruLink lru;
    SteadyTime last_used{};
    std::uint64_t generation = 0;  // of the policy that allows it
    std::string name;              // by which the client knows it, if it does
    DnsLook dns;                   // DNS: every datagram is judged
    std::uint8_t headers = 0;      // bytes of IP and UDP headers, which rates count too
  };
  using Flows = FlowTable<Endpoint, Flow, std::hash<Endpoint>>;

  /// A name in the client's headers: where it leads to, or what waits until that is known.
  struct Name final : Resolver::Waiter {
    Name(Association& owner, std::string text) : association(owner), name(std::move(text)) {}
    void resolved(const Addresses& found, const Replies& replies) override {
      association.resolved(*this, found, replies);
    }

    Association& association;
    const std::string name;
    Addresses addresses;
    SteadyTime until{};            // looked up again after that,
    std::uint64_t generation = 0;  // or under another policy: then what its answers lead to may be blocked
    struct Waiting {
      std::uint16_t port;
      std::vector<std::byte> payload;
    };
    std::vector<Waiting> waiting;
  };
  using Names = std::map<std::string, std::unique_ptr<Name>, std::less<>>;
  struct Socket final : Readiness {
    Socket(Association& owner, void (Association::*then)()) noexcept : association(owner), ready(then) {}
    void on_ready(std::uint32_t) override { (association.*ready)(); }
    Association& association;
    void (Association::*ready)();
    UniqueFd fd;
  };

  [[nodiscard]] Error watch(Socket& socket);
  void from_client();
  void from_outside();
  void take(MutableBytes datagram, std::uint16_t port);
  void take_named(std::string_view text, std::uint16_t port, Bytes payload);
  [[nodiscard]] bool may_wait(std::size_t bytes) const noexcept;
  void remember(std::unique_ptr<Name> name);
  void resolved(Name& name, const Addresses& addresses, const Replies& replies);
  void send_named(Name& name, std::uint16_t port, Bytes payload);
  void send_to(const Endpoint& to, std::string_view name, Bytes payload);
  [[nodiscard]] bool is_from_client(const Endpoint& from) const noexcept;
  [[nodiscard]] Flow* flow_to(const Endpoint& to, std::string_view name, Bytes payload);
  [[nodiscard]] Flow* open_flow(const FlowFacts& facts);
  [[nodiscard]] bool may_charge(Direction direction, const Flow& flow, std::size_t payload);
  void refuse(const FlowFacts& facts, const Verdict& verdict, Bytes payload);
  [[nodiscard]] bool allows_answer(const Endpoint& from, Bytes answer);
  void answer_blocked(const Endpoint& from, Bytes message);
  void flush_up();
  void flush_down();
  void touch(Flows::Found flow);
  void close(std::uint32_t slot);

  Socks5Lane& lane_;
  const PolicyClient& policy_;
  Session& session_;
  const std::string& identity_;
  SteadyTime& active_;
  const std::function<void()> flows_changed_;
  Limits limits_;
  Endpoint client_;
  Socket inner_{*this, &Association::from_client};
  Socket outer_{*this, &Association::from_outside};
  Flows flows_;
  Lru recency_;
  Names names_;
  std::size_t waiting_bytes_ = 0;   // for names; also in Socks5Lane::name_bytes
  std::size_t text_bytes_ = 0;      // names of names_ and flows_
  std::uint64_t payload_down_ = 0;  // of what is queued for the client
};

}  // namespace gatehouse::socks5
