// From a request to a connection: the name is judged, then looked up, and so is every name that it leads to; each of
// its addresses is judged, then tried.
#include "plugins/socks5/server/client.hpp"
#include "plugins/socks5/server/lane.hpp"
#include "plugins/socks5/server/session_state.hpp"

#include <gatehouse/base/domain.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kAttempt = 1s;  // before the next address is tried, where there is one

Reply reply_of(int error) noexcept {
  switch (error) {
    case ECONNREFUSED: return Reply::connection_refused;
    case ENETUNREACH:
    case EAFNOSUPPORT:
    case EADDRNOTAVAIL: return Reply::network_unreachable;
    case EHOSTUNREACH:
    case ETIMEDOUT:
    case ECONNRESET: return Reply::host_unreachable;
    case EACCES:
    case EPERM: return Reply::not_allowed;
    default: return Reply::general_failure;
  }
}

Endpoint local_of(int socket) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  return ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? Endpoint::from_sockaddr(address)
                                                                                  : Endpoint{};
}

/// Binds it to that address, if it is one; the port is found with the target's. False: errno says why not.
bool leave_by(int socket, const IpAddress& egress) noexcept {
  if (egress.family() == Family::none) return true;
  const int on = 1;
  ::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_storage address{};
  const socklen_t size = Endpoint{egress, 0}.to_sockaddr(address);
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

}  // namespace

void Client::connect(const Destination& to) {
  since_ = lane_.now();
  port_ = to.endpoint.port;
  if (to.name.empty()) {
    candidates_.list[0] = to.endpoint.address.unmapped();
    candidates_.count = 1;
    stage_ = Stage::dialing;
    return dial_next();
  }
  const auto name = canonical_domain(to.name);
  const Endpoint resolver = lane_.resolver.in_turn();
  if (!name) {
    answer(Reply::host_unreachable);
    return leave("it asks for what is no name");
  }
  name_ = *name;
  // The question to our own resolver is judged by its name alone: this way the name is, before anybody else hears it.
  const Verdict verdict = policy_->check({.destination = resolver, .to_resolver = true, .domain = name_});
  if (!verdict.allowed) {
    deny(verdict, {{}, port_});
    answer(Reply::not_allowed);
    return leave("its name is blocked");
  }
  stage_ = Stage::resolving;
  if (lane_.resolver.resolve(name_, stream_.peer().source.address, identity_, *this)) return;
  answer(Reply::general_failure);
  leave("names cannot be looked up now");
}

void Client::resolved(const Addresses& addresses, const Replies& replies) {
  if (const Verdict verdict = judge_replies(*policy_, replies); !verdict.allowed) {
    deny(verdict, {{}, port_});
    answer(Reply::not_allowed);
    return leave("its name leads to one that is blocked");
  }
  if (addresses.count == 0) {
    answer(Reply::host_unreachable);
    return leave(addresses.is_answered ? "its name has no address" : "no resolver answers");
  }
  candidates_ = addresses;
  stage_ = Stage::dialing;
  dial_next();
}

void Client::dial_next() {
  while (next_ < candidates_.count) {
    const Endpoint to{candidates_.list[next_++], port_};
    const FlowFacts flow{.destination = to, .protocol = Protocol::tcp, .domain = name_};
    const Verdict verdict = policy_->check(flow);
    if (!verdict.allowed) {
      deny(verdict, to);
      if (failure_ == Reply::host_unreachable) failure_ = Reply::not_allowed;
      continue;
    }
    if (const auto opened = policy_->open_flow(flow, lane_.now()); !opened) {
      lane_.counters.refuse_flow(opened.error());
      failure_ = Reply::not_allowed;
      continue;
    }
    has_flow_ = true;
    target_ = to;
    if (dial(to)) return;
    close_flow();
  }
  answer(failure_);
  leave("there is no address that it may reach, or can");
}

/// False: that failed at once.
bool Client::dial(const Endpoint& to) {
  const bool has_place = lane_.make_place(1);
  if (ended_) return true;  // it was itself who gave way
  if (!has_place) return failure_ = Reply::general_failure, false;
  UniqueFd socket(::socket(to.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    if (errno == EMFILE || errno == ENFILE) lane_.budget.ran_short(Resource::descriptors);
    return failure_ = reply_of(errno), false;
  }
  if (!leave_by(socket.get(), lane_.settings().egress(to.address.family(), lane_.egress_of(stream_.peer()))))
    return failure_ = reply_of(errno), false;
  sockaddr_storage address{};
  const socklen_t size = to.to_sockaddr(address);
  const bool is_there = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
  if (!is_there && errno != EINPROGRESS) {
    if (errno == EADDRNOTAVAIL && to.address.is_v4()) lane_.budget.ran_short(Resource::ports);
    return failure_ = reply_of(errno), false;
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  dialing_ = std::move(socket);
  count_descriptors();
  if (is_there) return open_tunnel(), true;
  if (!lane_.loop().poller().add(dialing_.get(), EPOLLOUT, dial_socket_)) {
    dialing_.reset();
    count_descriptors();
    return failure_ = Reply::general_failure, false;
  }
  const auto [first, second] = state_words(Doing::connecting, to);
  session_->set_state(first, second);
  if (next_ < candidates_.count) lane_.loop().schedule(attempt_, kAttempt);
  return true;
}

void Client::dialed(std::uint32_t events) {
  int error = 0;
  socklen_t size = sizeof error;
  const bool is_refused = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (is_refused && ::getsockopt(dialing_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return dial_failed(error);
  attempt_.cancel();
  lane_.loop().poller().remove(dialing_.get(), dial_socket_);
  open_tunnel();
  account();
}

void Client::dial_failed(int error) {
  failure_ = reply_of(error);
  hang_up();
  close_flow();
  dial_next();
}

/// Ends an attempt that is under way.
void Client::hang_up() noexcept {
  attempt_.cancel();
  if (!dialing_) return;
  lane_.loop().poller().forget(dial_socket_);
  dialing_.reset();
  count_descriptors();
}

void Client::close_flow() noexcept {
  if (std::exchange(has_flow_, false)) policy_->close_flow();
}

void Client::open_tunnel() {
  const auto [first, second] = state_words(Doing::connected, target_);
  session_->set_state(first, second);
  answer(Reply::succeeded, local_of(dialing_.get()));
  if (ended_) return;
  tunnel_ = std::make_unique<Tunnel>(static_cast<TunnelOwner&>(*this), lane_, *policy_, *session_,
                                     ClientEnd{stream_, socket_}, std::move(dialing_), words_);
  words_ = {};
  tunnel_->set_metered(limits_.metered);
  if (const std::size_t most = lane_.most_unsent(); most < Socks5Lane::kUsualUnsent) {
    tunnel_->limit_unsent(most);
    stream_.limit_unsent(most);
  }
  stage_ = Stage::tunnel;
  last_active = since_ = lane_.now();
  if (!tunnel_->start()) end("the system cannot watch its target");
}

void Client::deny(const Verdict& verdict, const Endpoint& to) {
  lane_.counters.deny(verdict);
  lane_.log_denied(stream_.peer(), name_, to, verdict);
}

}  // namespace gatehouse::socks5
