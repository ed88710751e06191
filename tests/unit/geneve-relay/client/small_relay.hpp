// A relay of one endpoint: an API on a Unix socket and a UDP port on loopback, which can be made to fail. For tests of
// what a client sees; the real one is the plugin.
#pragma once

#include "plugins/geneve-relay/wire/endpoint_json.hpp"
#include "tests/unit/geneve-relay/relay_fixture.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace gatehouse::geneve_relay {

class SmallRelay {
 public:
  struct Faults {
    bool drops_binds = false, drops_answers = false, drops_data = false, drops_way_back = false;
    bool answers_from_elsewhere = false;  ///< another port: what a client sees as another address
    int damages_from = 0;                 ///< data packets on, each a byte; 0 = none
    std::string api_says{};               ///< in place of an endpoint
    bool says_it_once = false;            ///< and gives one then
    std::vector<Endpoint> first{};        ///< addresses that are told ahead of its own
  };

  explicit SmallRelay(Faults faults)
      : faults_(std::move(faults)), path_("/tmp/small-relay-" + std::to_string(::getpid()) + ".sock") {
    ::unlink(path_.c_str());
    sockaddr_un api{};
    api.sun_family = AF_UNIX;
    path_.copy(api.sun_path, sizeof api.sun_path - 1);
    if (::bind(api_.get(), reinterpret_cast<const sockaddr*>(&api), sizeof api) != 0 || ::listen(api_.get(), 8) != 0)
      throw std::runtime_error("no API");
    for (const UniqueFd* const socket : {&udp_, &other_}) {
      sockaddr_storage any{};
      const unsigned size = Endpoint{IpAddress::v4(0x7f000001), 0}.to_sockaddr(any);
      if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&any), size) != 0) throw std::runtime_error("no UDP");
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(udp_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address = Endpoint::from_sockaddr(bound);
    thread_ = std::thread([this] { serve(); });
  }
  ~SmallRelay() {
    stop();
    ::unlink(path_.c_str());
  }

  [[nodiscard]] std::string api() const { return "unix:" + path_; }
  /// Stops, and tells what the last client of the API has sent.
  [[nodiscard]] const std::string& last_request() {
    stop();
    return request_;
  }

  Endpoint address;

 private:
  void stop() {
    stops_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void serve() {
    while (!stops_) {
      pollfd ready[] = {{api_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}};
      if (::poll(ready, 2, 20) <= 0) continue;
      if (ready[0].revents != 0) serve_api();
      if (ready[1].revents != 0) serve_datagram();
    }
  }

  void serve_api() {
    const UniqueFd client(::accept(api_.get(), nullptr, nullptr));
    char in[4096];
    request_.clear();
    while (request_.find("]}") == request_.npos) {
      const auto got = ::read(client.get(), in, sizeof in);
      if (got <= 0) return;
      request_.append(in, static_cast<std::size_t>(got));
    }
    const DiscoPair clients = parse_json_request(request_.substr(request_.find("\r\n\r\n") + 4)).value();
    const std::array shared{SharedKey::make(clients.keys[0], secret_).value(),
                            SharedKey::make(clients.keys[1], secret_).value()};
    endpoint_.emplace(7, clients, shared, steady_now());
    ServerEndpoint told{secret_.public_key(), clients, 1, 7, 30s, 5min, {}};
    for (const Endpoint& one : faults_.first) told.addresses.add(one);
    told.addresses.add(address);
    const WireForm form = request_.find("form=1") == request_.npos ? WireForm::current : WireForm::first;
    const std::string body = write_json_endpoint(told, form);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    const bool has_fault = !faults_.api_says.empty() && !(faults_.says_it_once && requests_ > 0);
    const std::string& says = has_fault ? faults_.api_says : answer;
    ++requests_;
    static_cast<void>(!::write(client.get(), says.data(), says.size()));
  }

  void serve_datagram() {
    std::array<std::byte, 65536> room;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto got = ::recvfrom(udp_.get(), room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0 || !endpoint_) return;
    const MutableBytes datagram = MutableBytes(room).first(static_cast<std::size_t>(got));
    const LegAddress source{Endpoint::from_sockaddr(from), address.address};
    const auto header = relay_header(datagram);
    if (!header) return;
    header->control ? take_control(*header, datagram, source) : take_data(datagram, source);
  }

  void take_control(const GeneveHeader& header, Bytes datagram, const LegAddress& from) {
    const auto envelope = control_envelope(header, datagram);
    const auto leg = envelope ? endpoint_->leg_of(envelope->sender) : OrDrop<LegIndex>(envelope.error());
    if (!leg) return;
    HandshakeTools tools{server_, challenges_, random_};
    std::array<std::byte, kLargestReply> reply;
    const auto effect = endpoint_->take_control(*leg, *envelope, from, tools, reply);
    if (!effect) return;
    if (effect->kind == ControlEffect::Kind::answered) {
      if (!faults_.drops_answers) endpoint_->bind(*leg, from, steady_now());
    } else if (!faults_.drops_binds) {
      send(from.remote, Bytes(reply).first(effect->size));
    }
  }

  void take_data(MutableBytes datagram, const LegAddress& from) {
    const auto leg = endpoint_->route(from.remote, from.local, steady_now());
    // The probe's mark of the way back.
    const bool is_back = datagram.size() > 20 && datagram[20] != std::byte{0};
    if (!leg || faults_.drops_data || (is_back && faults_.drops_way_back)) return;
    ++packets_;
    if (faults_.damages_from != 0 && packets_ >= faults_.damages_from) datagram.back() ^= std::byte{1};
    send(endpoint_->address(*leg).remote, datagram);
  }

  void send(const Endpoint& to, Bytes datagram) {
    sockaddr_storage address_of{};
    const unsigned size = to.to_sockaddr(address_of);
    const int fd = faults_.answers_from_elsewhere ? other_.get() : udp_.get();
    ::sendto(fd, datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address_of), size);
  }

  const Faults faults_;
  const std::string path_;
  const UniqueFd api_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const UniqueFd udp_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const UniqueFd other_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  RandomPool random_;
  const DiscoSecret secret_ = DiscoSecret::make(random_);
  const DiscoKey server_ = secret_.public_key();
  ChallengeSecrets challenges_{random_, steady_now()};
  std::optional<RelayEndpoint> endpoint_;
  std::string request_;
  int packets_ = 0, requests_ = 0;
  std::atomic<bool> stops_ = false;
  std::thread thread_;
};

}  // namespace gatehouse::geneve_relay
