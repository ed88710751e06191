#include "plugins/socks5/server/resolver.hpp"

#include "plugins/socks5/server/look_up.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/dns_client.hpp>
#include <gatehouse/net/socket_layer.hpp>
#include <gatehouse/net/udp_socket.hpp>

#include <algorithm>
#include <utility>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kFailureHolds = 10s;
constexpr std::size_t kDnsHeader = 12;
constexpr int kReceiveBuffer = 16 * 1024;
constexpr std::array<std::uint16_t, 2> kTypes = {kDnsTypeAaaa, kDnsTypeA};
constexpr std::size_t kPartOfDescriptors = 8;  // of all that clients may have, look-ups have one in so many

/// By whom look-ups are counted: an identity, or without one an IPv4 address or an IPv6 /48. Whoever has no address is
/// one with whoever comes from loopback.
std::string asker_of(const IpAddress& source, std::string_view identity) {
  if (!identity.empty()) return "identity " + std::string(identity);
  const Bytes address = source.bytes();
  if (address.empty() || source.is_loopback()) return {};
  return {reinterpret_cast<const char*>(address.data()), source.is_v4() ? std::size_t{4} : std::size_t{6}};
}

/// Is it an answer to that query: its id, a response, the same question?
bool answers(Bytes message, Bytes query) noexcept {
  return message.size() >= query.size() && message[0] == query[0] && message[1] == query[1] &&
         (message[2] & std::byte{0x80}) != std::byte{0} &&
         std::equal(query.begin() + 4, query.begin() + 6, message.begin() + 4) &&
         std::equal(query.begin() + kDnsHeader, query.end(), message.begin() + kDnsHeader);
}

/// NOERROR and NXDOMAIN are answers; anything else is a server that cannot say, or one that does not know this type.
bool is_final(Bytes message) noexcept {
  const auto rcode = std::to_integer<unsigned>(message[3]) & 15;
  return rcode == 0 || rcode == 3;
}

}  // namespace

Verdict judge_replies(const PolicyClient& policy, const Replies& replies) noexcept {
  const FlowFacts flow{.destination = replies.from, .to_resolver = true};
  Verdict verdict{.allowed = true};
  if (!policy.dns(flow).answers) return verdict;
  for (const std::vector<std::byte>& message : replies.messages)
    if (!message.empty() && verdict.allowed) verdict = judge_answer(policy, flow, message);
  return verdict;
}

// ---- who waits

void Resolver::Waiter::stop_waiting() noexcept {
  if (look_up_ != nullptr) look_up_->remove(*this);
}

// ---- one look-up

Resolver::LookUp::LookUp(Resolver& owner, std::string_view name, std::string asker)
    : owner_(owner), name_(name), asker_(std::move(asker)), timer_([this] { timed_out(); }) {}

void Resolver::LookUp::add(Waiter& waiter) {
  waiter.place_ = waiters_.size();
  waiters_.push_back(&waiter);
  waiter.look_up_ = this;
}

/// Without anybody it does not go on: or whoever asks and leaves would have more look-ups than clients.
void Resolver::LookUp::remove(Waiter& waiter) noexcept {
  waiter.look_up_ = nullptr;
  waiters_.back()->place_ = waiter.place_;
  waiters_[waiter.place_] = waiters_.back();
  waiters_.pop_back();
  if (waiters_.empty() && !is_over_) static_cast<void>(owner_.take(*this));
}

Result<void> Resolver::LookUp::ask(Server* server) {
  if (server == nullptr) return Errc::not_found;
  close();
  ++tries_;
  server_ = server->endpoint;
  UdpConnector connector(kReceiveBuffer);
  auto socket = connector.connect(server_, {});
  if (!socket) return socket.error();
  socket_ = std::move(*socket);
  if (const auto added = owner_.context_.loop.poller().add(socket_.get(), EPOLLIN, *this); !added) {
    socket_.reset();
    return added.error();
  }
  for (std::size_t i = 0; i < kQuestions; ++i) {
    if (states_[i] == State::answered) continue;
    states_[i] = State::open;
    queries_[i] = make_dns_query(owner_.random_id(), name_, kTypes[i]);
    static_cast<void>(send_some(socket_.get(), queries_[i]));  // what is lost is told by the timer
  }
  owner_.context_.loop.schedule(timer_, owner_.settings_->resolver_timeout);
  return boost::system::in_place_value;
}

void Resolver::LookUp::on_ready(std::uint32_t) {
  std::array<std::byte, 4096> message;
  for (std::size_t i = 0; i < 2 * kQuestions; ++i) {
    const auto got = receive_some(socket_.get(), message);
    if (!got && got.error() == Errc::would_block) return;
    if (!got && got.error() != Errc::closed) return try_next();  // an ICMP error: nobody is there
    if (got && !take_answer(Bytes(message).first(*got))) return;
  }
}

/// False: it is over, and so is this.
bool Resolver::LookUp::take_answer(Bytes message) {
  for (std::size_t i = 0; i < kQuestions; ++i) {
    if (states_[i] != State::open || !answers(message, queries_[i])) continue;
    states_[i] = is_final(message) ? State::answered : State::refused;
    if (states_[i] == State::answered) {
      found_[i] = read_dns_answer(message).addresses;
      replies_[i].assign(message.begin(), message.end());
    }
    const bool is_over = std::none_of(states_.begin(), states_.end(), [](State state) { return state == State::open; });
    if (is_over) return timed_out(), false;
    if (has_found()) owner_.context_.loop.schedule(timer_, kSecondAnswer);
  }
  return true;
}

/// Nothing more comes from this server. What one question has brought is enough, whatever became of the other one.
void Resolver::LookUp::timed_out() {
  const bool is_answered =
      std::all_of(states_.begin(), states_.end(), [](State state) { return state == State::answered; });
  if (is_answered || has_found()) return owner_.finish(*this);
  try_next();
}

bool Resolver::LookUp::has_found() const noexcept {
  return std::any_of(found_.begin(), found_.end(), [](const auto& found) { return !found.empty(); });
}

void Resolver::LookUp::try_next() {
  const auto failed = std::find_if(owner_.servers_.begin(), owner_.servers_.end(),
                                   [this](const Server& one) { return one.endpoint == server_; });
  const Server* const before = failed == owner_.servers_.end() ? nullptr : &*failed;
  if (before != nullptr) failed->failed_at = owner_.context_.loop.now();
  while (tries_ < kMostTries)
    if (ask(owner_.choose(before))) return;
  owner_.finish(*this);
}

void Resolver::LookUp::end() {
  is_over_ = true;
  close();
  owner_.context_.loop.cancel(timer_);
  Addresses& out = answer_;
  out.is_answered = std::count(states_.begin(), states_.end(), State::answered) != 0;
  if (!out.is_answered) owner_.counters_.look_up_failures.add();
  for (std::size_t row = 0; out.count < Addresses::kMost && row < std::max(found_[0].size(), found_[1].size()); ++row)
    for (const auto& found : found_)
      if (row < found.size() && out.count < Addresses::kMost) out.list[out.count++] = found[row].unmapped();
}

std::size_t Resolver::LookUp::tell(std::size_t most) {
  std::size_t told = 0;
  for (; told < most && !waiters_.empty(); ++told) {
    Waiter& waiter = *waiters_.back();
    remove(waiter);
    waiter.resolved(answer_, {server_, replies_});  // which may end other waiters
  }
  return told;
}

void Resolver::LookUp::close() noexcept {
  if (!socket_) return;
  owner_.context_.loop.poller().forget(*this);
  socket_.reset();
}

// ---- all of them

Resolver::Resolver(const LaneContext& context, Counters& counters, std::shared_ptr<const Socks5Settings> settings)
    : context_(context), counters_(counters), budget_(context), settings_(std::move(settings)) {
  use_settings();
}

Resolver::~Resolver() = default;

void Resolver::configure(std::shared_ptr<const Socks5Settings> settings) {
  settings_ = std::move(settings);
  use_settings();
}

void Resolver::use_settings() {
  std::vector<Server> before = std::exchange(servers_, {});
  const auto add = [&](const Endpoint& endpoint) {
    const auto known =
        std::find_if(before.begin(), before.end(), [&](const Server& one) { return one.endpoint == endpoint; });
    servers_.push_back(known == before.end() ? Server{endpoint} : *known);
  };
  if (settings_->system_resolvers)
    for (const Endpoint& endpoint : resolv_conf_.nameservers(context_.loop.now())) add(endpoint);
  resolv_conf_version_ = resolv_conf_.version();
  for (const Endpoint& endpoint : settings_->resolvers) add(endpoint);
}

Resolver::Server* Resolver::choose(const Server* but) {
  const SteadyTime now = context_.loop.now();
  const auto rank = [&](const Server& one) {  // the first of those that did not fail, else whoever failed longest ago
    const bool is_well = one.failed_at == SteadyTime::min() || now - one.failed_at >= kFailureHolds;
    return std::pair(&one == but, is_well ? SteadyTime::min() : one.failed_at);
  };
  const auto best = std::min_element(servers_.begin(), servers_.end(),
                                     [&](const Server& a, const Server& b) { return rank(a) < rank(b); });
  return best == servers_.end() ? nullptr : &*best;
}

Endpoint Resolver::in_turn() {
  if (settings_->system_resolvers) {
    static_cast<void>(resolv_conf_.nameservers(context_.loop.now()));
    if (resolv_conf_.version() != resolv_conf_version_) use_settings();
  }
  const Server* const server = choose();
  return server == nullptr ? Endpoint{} : server->endpoint;
}

/// No more than are left: so many sources can never have all, whoever comes next finds some.
bool Resolver::may_ask(const std::string& asker) const noexcept {
  const std::size_t most = std::clamp(budget_.descriptors() / kPartOfDescriptors, std::size_t{1}, kMostLookUps);
  const auto known = askers_.find(asker);
  return look_ups_.size() < most && (known == askers_.end() || known->second < most - look_ups_.size());
}

Result<void> Resolver::resolve(std::string_view name, const IpAddress& source, std::string_view identity,
                               Waiter& waiter) {
  auto found = look_ups_.find(name);
  if (found == look_ups_.end()) {
    std::string asker = asker_of(source, identity);
    if (!may_ask(asker)) return Errc::limit;
    counters_.look_ups.add();
    auto look_up = std::make_unique<LookUp>(*this, name, std::move(asker));
    if (const auto asked = look_up->start(); !asked) return asked;
    ++askers_[look_up->asker()];
    found = look_ups_.emplace(look_up->name(), std::move(look_up)).first;
  }
  if (found->second->waiters() >= kMostWaiters) return Errc::limit;
  found->second->add(waiter);
  return boost::system::in_place_value;
}

/// A number that nobody can guess; one system call for many.
std::uint16_t Resolver::random_id() {
  if (random_used_ == random_.size()) {
    context_.host.random(random_);
    random_used_ = 0;
  }
  const auto id = load_big<std::uint16_t>(Bytes(random_).subspan(random_used_));
  random_used_ += sizeof id;
  return id;
}

/// Of those that are under way.
std::unique_ptr<Resolver::LookUp> Resolver::take(LookUp& look_up) noexcept {
  const auto place = look_ups_.find(look_up.name());
  std::unique_ptr<LookUp> out = std::move(place->second);
  look_ups_.erase(place);
  if (const auto asker = askers_.find(out->asker()); --asker->second == 0) askers_.erase(asker);
  return out;
}

void Resolver::finish(LookUp& look_up) {
  look_up.end();
  finished_.push_back(take(look_up));
}

bool Resolver::tell(std::size_t most) {
  while (most != 0 && !finished_.empty()) {
    LookUp& first = *finished_.front();
    most -= first.tell(most);
    if (first.waiters() == 0) finished_.pop_front();
  }
  return finished_.empty();
}

}  // namespace gatehouse::socks5
