#include "plugins/packet-tunnel/client/client.hpp"

#include "plugins/packet-tunnel/client/command_line.hpp"
#include "plugins/packet-tunnel/common/host_error.hpp"
#include "plugins/packet-tunnel/common/raw_packet.hpp"
#include "plugins/packet-tunnel/common/session_id.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <csignal>

#include <random>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kShowEvery = 1s;
constexpr std::uint16_t kEchoId = 0x6774;
constexpr Nanoseconds kNetworkSettles = 300ms;
constexpr Nanoseconds kStale = 3s;  // what has waited longer has been sent again, or nobody wants it any more

std::string seconds_text(std::chrono::milliseconds time) {
  const auto tenths = time.count() / 100;
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
}

}  // namespace

Client::Signals::Signals(Client& client) : client_(client) {
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ends, one);
  fd_.reset(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_ || !client_.loop_.poller().add(fd_.get(), EPOLLIN, *this))
    throw std::runtime_error("signals cannot be waited for: " + last_system_error().message());
}

Client::Signals::~Signals() { client_.loop_.poller().remove(fd_.get(), *this); }

void Client::Signals::on_ready(std::uint32_t) {
  signalfd_siginfo what{};
  if (::read(fd_.get(), &what, sizeof what) != sizeof what) return;
  client_.stop(kExitYes, what.ssi_signo != SIGHUP);
}

Client::Client(const ClientSettings& settings, Console& console)
    : settings_(settings),
      console_(console),
      session_id_(settings.session_file.empty() ? make_session_id() : keep_session_id(settings.session_file)),
      host_(settings_, console),
      device_(host_.make_device()),
      addresses_(host_.addresses()),
      port_(device_),
      rules_(settings_.dns, addresses_),
      uplink_(loop_, port_, rules_,
              [this] {
                console_.say("the device " + device_.name() + " has been deleted");
                stop(kExitNo, false);
              }),
      downlink_(port_, rules_),
      opener_(loop_, settings_, [this](Opener::Outcome outcome) { opened(std::move(outcome)); }),
      signals_(*this),
      network_(loop_.poller(), [this] { loop_.schedule(network_timer_, kNetworkSettles); }),
      retry_([this] { open(); }),
      peer_timer_([this] { check_peer(); }),
      network_timer_([this] { look_at_network(); }),
      show_timer_([this] { show(); }) {
  opener_.set_known(host_.known());
  loop_.on_turn([] {}, [this] { after_turn(); });
}

Client::~Client() {
  if (tunnel_) uplink_.stop();
}

int Client::run() {
  open();
  if (console_.is_terminal()) show();
  loop_.run();
  console_.status({});
  if (tunnel_) {
    uplink_.stop();
    tunnel_.reset();
  }
  host_.undo(unblocks_);
  return code_;
}

void Client::stop(int code, bool unblocks) {
  if (is_stopping_) return;
  is_stopping_ = true;
  code_ = code;
  unblocks_ = unblocks;
  loop_.stop();
}

// ---- to a server

void Client::open() {
  if (tunnel_ || is_stopping_) return;
  loop_.cancel(retry_);
  Opener::Way way = host_.way();
  way.form = settings_.large_frames && port_.merges() ? FrameForm::large : FrameForm::plain;
  opener_.start(session_id_, std::move(way));
}

void Client::opened(Opener::Outcome outcome) {
  if (is_stopping_) return;
  if (auto* const failure = std::get_if<OpeningFailure>(&outcome)) return failed(*failure);
  connect(std::move(std::get<OpenedTunnel>(outcome)));
}

void Client::connect(OpenedTunnel tunnel) {
  std::size_t mtu = 0;
  try {
    mtu = host_.connected(tunnel.mtu, tunnel.has_ipv6, opener_.known());
  } catch (const std::exception& problem) {
    console_.say(problem.what());
    return stop(kExitNo, false);
  }
  tunnel_.emplace(std::move(tunnel));
  broken_.clear();
  rules_.set_ipv6(tunnel_->has_ipv6);
  downlink_.start(tunnel_->mtu, tunnel_->form);
  if (const auto watched = tunnel_->stream->watch(loop_.poller(), *this); !watched)
    throw boost::system::system_error(watched.error(), "watch the stream");
  uplink_.start(*tunnel_->stream, mtu, tunnel_->form, down_since_ && steady_now() - *down_since_ > kStale);
  down_since_.reset();
  peer_ = DeadPeer();
  back_off_.reset();
  was_connected_ = true;
  console_.say("connected to " + tunnel_->server + (tunnel_->encryption.empty() ? "" : " by " + tunnel_->encryption) +
               (tunnel_->is_resumed ? ", session resumed" : ", new session") + ", MTU " + std::to_string(mtu) +
               (tunnel_->form == FrameForm::large ? ", large frames" : ""));
  if (!tunnel_->has_ipv6) console_.say("the server has no IPv6: it is refused here");
}

void Client::failed(const OpeningFailure& failure) {
  console_.say(failure.sentence);
  if (failure.is_final && !was_connected_) return stop(kExitNo, false);
  come_again(failure.retry_after);
}

void Client::disconnect(const std::string& why) {
  uplink_.stop();
  const std::string server = tunnel_->server;
  tunnel_.reset();
  down_since_ = steady_now();
  loop_.cancel(peer_timer_);
  peer_is_timed_ = false;
  console_.say("the connection to " + server + " has ended: " + why);
  come_again(0s);
}

void Client::come_again(std::chrono::seconds asked) {
  const auto wait = back_off_.next(asked, static_cast<std::uint32_t>(std::random_device{}()));
  if (asked > 0s) not_before_ = steady_now() + wait;
  if (wait >= 100ms) console_.detail("the next attempt is in " + seconds_text(wait));
  loop_.schedule(retry_, wait);
}

// ---- packets

void Client::on_ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) uplink_.go_on();
  if ((events & ~std::uint32_t{EPOLLOUT}) == 0) return;
  const auto got = downlink_.read(*tunnel_->stream);
  if (got) return peer_.heard();
  if (got.error() != Errc::would_block && broken_.empty()) broken_ = explain(got.error());
}

void Client::after_turn() {
  if (!tunnel_) return;
  if (!broken_.empty()) return disconnect(broken_);
  uplink_.flush();
  tunnel_->stream->watch_for(true, uplink_.is_blocked());
  if (uplink_.counters().packets == seen_up_) return;
  seen_up_ = uplink_.counters().packets;
  peer_.wrote(loop_.now());
  if (peer_is_timed_) return;
  peer_is_timed_ = true;
  loop_.schedule(peer_timer_, DeadPeer::kSilence);
}

std::string Client::explain(const Error& error) const {
  if (error == Errc::closed) return "the server has closed it";
  if (error == Errc::oversize) return "the server has sent a packet longer than its Tunnel-MTU";
  if (error == Errc::truncated) return "it was cut, and not by the server's own end of TLS";
  return error.message();
}

// ---- is anybody there?

void Client::check_peer() {
  peer_is_timed_ = false;
  if (!tunnel_) return;
  switch (peer_.check(loop_.now())) {
    case DeadPeer::Step::dead: return disconnect("nothing has come back for 15 s");
    case DeadPeer::Step::ask: ask_peer(); break;
    case DeadPeer::Step::none: break;
  }
  const auto due = peer_.due();
  if (!due) return;
  peer_is_timed_ = true;
  loop_.schedule(peer_timer_, std::max(*due - loop_.now(), Nanoseconds(1ms)));
}

/// An echo request to the gateway: it answers, be it by a refusal.
void Client::ask_peer() {
  for (const DeviceAddress& own : addresses_) {
    if (own.address.is_v6() && !tunnel_->has_ipv6) continue;
    std::array<std::byte, kEchoRequestSize> packet;
    const IpAddress to = dns_address(own.address.family());
    return uplink_.send(Bytes(packet).first(make_echo_request(own.address, to, kEchoId, 1, packet)));
  }
}

/// Does the stream still stand on an address of this host, by the way that packets to the server take now?
void Client::look_at_network() {
  if (is_stopping_) return;
  if (!tunnel_) {
    if (was_connected_ && !opener_.is_busy() && steady_now() >= not_before_) open();
    return;
  }
  if (tunnel_->address.family() == Family::none) return;
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (::getsockname(tunnel_->fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return;
  try {
    if (host_.is_on_its_way(Endpoint::from_sockaddr(local).address, tunnel_->address)) return;
    disconnect("this host has moved to another network");
  } catch (const HostError& problem) {
    console_.detail(problem.what());
  }
}

// ---- for people

std::optional<Nanoseconds> Client::round_trip() const noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (!tunnel_ || ::getsockopt(tunnel_->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return std::chrono::microseconds(info.tcpi_rtt);
}

void Client::show() {
  loop_.schedule(show_timer_, kShowEvery);
  const SteadyTime now = steady_now();
  const Shown current{now, uplink_.counters().bytes, downlink_.counters().bytes};
  const double passed = std::chrono::duration<double>(now - shown_.at).count();
  std::string line = tunnel_ ? tunnel_->server : opener_.is_busy() ? "connecting" : "waiting for the next attempt";
  if (tunnel_) {
    line += "  up " + rate_text(static_cast<double>(current.up - shown_.up) / passed);
    line += "  down " + rate_text(static_cast<double>(current.down - shown_.down) / passed);
    if (const auto time = round_trip())
      line += "  round trip " +
              std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(*time).count() / 1000) + " ms";
    for (const DeviceAddress& own : addresses_) line += "  " + own.address.to_string();
  }
  shown_ = current;
  console_.status(line);
}

}  // namespace gatehouse::packet_tunnel
