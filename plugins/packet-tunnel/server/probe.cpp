// HOST:PORT [--dns NAME [--type A|AAAA]] [--to ADDRESS[:PORT] [--count N]] [--timeout-ms N] and what a client of the
// listener needs
#include "plugins/packet-tunnel/server/probe.hpp"

#include "plugins/packet-tunnel/common/dns_address.hpp"
#include "plugins/packet-tunnel/common/raw_packet.hpp"
#include "plugins/packet-tunnel/common/session_id.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/client_stream.hpp>
#include <gatehouse/net/dns_client.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>

#include <sys/random.h>

#include <algorithm>
#include <vector>

namespace gatehouse::packet_tunnel {
namespace {

using namespace std::chrono_literals;

constexpr char kUsageWords[] =
    "HOST:PORT|unix:PATH [--dns NAME [--type A|AAAA]] [--to ADDRESS[:PORT] [--count N]] [--timeout-ms N] "
    "[--tls [--ca FILE] [--cert FILE --key FILE] [--server-name NAME] [--min-tls 1.2]] [--websocket] "
    "[--path /NAME] [--token-file FILE]; without --dns and --to a query for example.com";
constexpr std::uint16_t kLeastPort = 32768;
constexpr char kUsualName[] = "example.com";  // there for such use (RFC 2606): what is asked where nothing is named

struct ProbeRequest {
  ClientOptions server;
  std::string dns_name;
  std::uint16_t dns_type = kDnsTypeA;
  std::optional<Endpoint> to;  ///< port 0: an echo
  unsigned count = 10;
  std::chrono::milliseconds timeout = 5s;
};

[[noreturn]] void wrong_use(const std::string& what) { throw std::invalid_argument(what); }

/// False: there is no such option.
bool take_own_word(ProbeRequest& out, std::string_view word, std::string_view value) {
  if (word == "--dns") {
    const auto name = canonical_domain(value);
    if (!name) wrong_use("`" + std::string(value) + "` is no domain name");
    out.dns_name = *name;
  } else if (word == "--type") {
    if (value != "A" && value != "AAAA") wrong_use("--type takes A or AAAA");
    out.dns_type = value == "A" ? kDnsTypeA : kDnsTypeAaaa;
  } else if (word == "--to") {
    const auto to = Endpoint::parse(value, std::uint16_t{0});
    if (!to) wrong_use("--to takes an address, as 192.0.2.1, or one with a port, as 192.0.2.1:443");
    out.to = *to;
  } else if (word == "--count") {
    out.count = read_number(word, value, 1, 1000);
  } else if (word == "--timeout-ms") {
    out.timeout = std::chrono::milliseconds(read_number(word, value, 1, 600000));
  } else {
    return false;
  }
  return true;
}

ProbeRequest read_arguments(const std::vector<std::string_view>& arguments) {
  ProbeRequest out;
  read_probe_words(out.server, arguments, [&out](auto word, auto value) { return take_own_word(out, word, value); });
  if (out.server.address.empty()) wrong_use("the server's address is missing");
  out.server.http = !out.server.web_socket;  // this protocol begins by nothing else
  check_client_options(out.server);
  if (out.dns_name.empty() && !out.to) out.dns_name = kUsualName;
  return out;
}

IpAddress own_address(Family family) {
  return *IpAddress::parse(family == Family::v4 ? "172.16.0.1" : "fd26:b6a6:4454:310a::1");
}

std::string milliseconds(Nanoseconds time) {
  const auto us = std::chrono::round<std::chrono::microseconds>(time).count();
  const std::string fraction = std::to_string(us % 1000);
  return std::to_string(us / 1000) + '.' + std::string(3 - fraction.size(), '0') + fraction;
}

std::uint16_t random_number() {
  std::uint16_t out = 0;
  if (::getrandom(&out, sizeof out, 0) != sizeof out) throw std::runtime_error("the system gives no random bytes");
  return out;
}

/// The session, and what goes through it.
class ProbeSession {
 public:
  explicit ProbeSession(const ProbeRequest& request)
      : began_(steady_now()),
        deadline_(began_ + request.timeout),
        stream_(options_of(request), "packet-tunnel", deadline_),
        opened_in_(steady_now() - began_) {}

  void send(Bytes packet) {
    std::vector<std::byte> frame(kFrameLengthSize + packet.size());
    store_big(MutableBytes(frame), static_cast<std::uint16_t>(packet.size()));
    std::ranges::copy(packet, frame.begin() + kFrameLengthSize);
    stream_.write_all(frame);
  }

  /// The next packet that `wanted(packet, facts)` likes; it lives until the next call.
  template <class Wanted>
  Bytes receive(Wanted&& wanted) {
    for (;;) {
      input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used_));
      used_ = 0;
      FrameReader reader(input_, kLongestFrame);
      const auto next = reader.next();
      used_ = reader.used();
      if (next.kind != FrameReader::Kind::frame) {
        read_more();
        continue;
      }
      const auto facts = IpPacket::parse(next.packet);
      if (facts && wanted(Bytes(next.packet), *facts)) return next.packet;
    }
  }

  /// How it was opened, as the beginning of a JSON object.
  [[nodiscard]] std::string begin_of_json() const {
    std::string out = R"({"mtu": )" + digits_of(stream_.answer_field("Tunnel-MTU").value_or("")) +
                      R"(, "opened_ms": )" + milliseconds(opened_in_);
    if (const auto tls = stream_.tls())
      out += R"(, "tls": {"version": ")" + tls->version + R"(", "cipher": ")" + tls->cipher + R"("})";
    return out;
  }

 private:
  static ClientOptions options_of(const ProbeRequest& request) {
    ClientOptions out = request.server;
    out.fields = {{"Session-ID", make_session_id()}};
    return out;
  }
  static std::string digits_of(const std::string& text) {
    const bool is_number = !text.empty() && text.size() < 9 && text.find_first_not_of("0123456789") == text.npos;
    return is_number ? text : "null";
  }

  void read_more() {
    const std::size_t old = input_.size();
    input_.resize(old + 65536);
    std::size_t size = 0;
    try {
      size = stream_.read_some(MutableBytes(input_).subspan(old));
    } catch (const ClientTimeout&) {
      throw std::runtime_error("no answer came in time: is the destination permitted, and does it answer?");
    }
    if (size == 0) throw std::runtime_error("the server closed the stream");
    input_.resize(old + size);
  }

  SteadyTime began_, deadline_;
  ClientStream stream_;
  Nanoseconds opened_in_;
  std::vector<std::byte> input_;
  std::size_t used_ = 0;  // of input_
};

/// "unreachable", "too big", ... of an ICMP error; by type and code where it is another.
std::string error_text(const IpPacket& facts) {
  const unsigned type = facts.icmp_type, code = facts.icmp_code;
  if (facts.version == 4 && type == 3)
    return code == 13 || code == 10 || code == 9 ? "prohibited"
           : code == 4                           ? "too big"
           : code == 3                           ? "port closed"
                                                 : "unreachable";
  if (facts.version == 6 && type == 1) return code == 1 ? "prohibited" : code == 4 ? "port closed" : "unreachable";
  return "ICMP " + std::to_string(type) + '/' + std::to_string(code);
}

std::string probe_dns(const ProbeRequest& request, ProbeSession& session) {
  const std::uint16_t id = random_number();
  const Endpoint from{own_address(Family::v4), static_cast<std::uint16_t>(kLeastPort | id), 0};
  const Endpoint to{dns_address(Family::v4), kDnsPort, 0};
  const auto query = make_dns_query(id, request.dns_name, request.dns_type);
  std::vector<std::byte> packet(kUdpOverhead + query.size());
  packet.resize(make_udp_packet(from, to, query, packet));
  const SteadyTime begin = steady_now();
  session.send(packet);
  std::string refused;
  const Bytes got = session.receive([&](Bytes in, const IpPacket& facts) {
    if (facts.is_icmp_error()) refused = error_text(facts);
    const bool is_answer = facts.is_udp() && facts.source_port == kDnsPort && facts.destination_port == from.port &&
                           facts.payload_size() >= 12 && load_big<std::uint16_t>(in.subspan(facts.payload)) == id;
    return is_answer || !refused.empty();
  });
  std::string out = R"({"name": ")" + request.dns_name + "\", ";
  if (!refused.empty()) {
    out += R"("refused": ")" + refused + '"';
  } else {
    const DnsAnswer answer = read_dns_answer(got.subspan(IpPacket::parse(got)->payload));
    out += R"("rcode": ")" + answer.rcode + R"(", "addresses": [)";
    for (std::size_t i = 0; i < answer.addresses.size(); ++i)
      out += (i == 0 ? "\"" : ", \"") + answer.addresses[i].to_string() + '"';
    out += ']';
  }
  return out + R"(, "round_trip_ms": )" + milliseconds(steady_now() - begin) + '}';
}

std::string probe_echo(const ProbeRequest& request, ProbeSession& session) {
  const IpAddress to = request.to->address, from = own_address(to.family());
  const std::uint16_t id = random_number();
  std::vector<Nanoseconds> times;
  std::string refused;
  for (unsigned i = 0; i < request.count && refused.empty(); ++i) {
    std::vector<std::byte> packet(kEchoRequestSize);
    packet.resize(make_echo_request(from, to, id, static_cast<std::uint16_t>(i), packet));
    const SteadyTime begin = steady_now();
    session.send(packet);
    static_cast<void>(session.receive([&](Bytes in, const IpPacket& facts) {
      if (facts.is_icmp_error()) refused = error_text(facts);
      const bool is_reply = facts.is_icmp_echo() && facts.icmp_id == id &&
                            load_big<std::uint16_t>(in.subspan(facts.transport + std::size_t{6})) == i;
      return is_reply || !refused.empty();
    }));
    if (refused.empty()) times.push_back(steady_now() - begin);
  }
  std::string out = R"({"to": ")" + to.to_string() + R"(", "round_trips": )" + std::to_string(times.size());
  if (!refused.empty()) return out + R"(, "refused": ")" + refused + "\"}";
  std::ranges::sort(times);
  return out + R"(, "min_ms": )" + milliseconds(times.front()) + R"(, "median_ms": )" +
         milliseconds(times[times.size() / 2]) + R"(, "max_ms": )" + milliseconds(times.back()) + '}';
}

/// Asks for a connection, and takes it back.
std::string probe_connect(const ProbeRequest& request, ProbeSession& session) {
  const std::uint32_t number = std::uint32_t{random_number()} << 16 | 1;
  const Endpoint from{own_address(request.to->address.family()),
                      static_cast<std::uint16_t>(kLeastPort | random_number()), 0};
  std::vector<std::byte> packet(kSynSize);
  packet.resize(make_tcp_packet(from, *request.to, number, kTcpSyn, packet));
  const SteadyTime begin = steady_now();
  session.send(packet);
  std::string answer;
  static_cast<void>(session.receive([&](Bytes, const IpPacket& facts) {
    if (facts.is_icmp_error()) answer = error_text(facts);
    if (facts.is_tcp() && facts.destination_port == from.port && facts.source_port == request.to->port)
      answer = (facts.tcp_flags & kTcpRst) != 0 ? "reset" : "accepted";
    return !answer.empty();
  }));
  const Nanoseconds took = steady_now() - begin;
  if (answer == "accepted") {
    packet.resize(kSynSize);
    packet.resize(make_tcp_packet(from, *request.to, number + 1, kTcpRst, packet));
    session.send(packet);
  }
  return R"({"to": ")" + request.to->to_string() + R"(", "answer": ")" + answer + R"(", "round_trip_ms": )" +
         milliseconds(took) + '}';
}

void run(const std::vector<std::string_view>& arguments, const PrintJson& print) {
  ProbeRequest request;
  try {
    request = read_arguments(arguments);
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; usage: gatehouse probe packet-tunnel " + kUsageWords);
  }
  ProbeSession session(request);
  std::string out = session.begin_of_json();
  if (!request.dns_name.empty()) out += R"(, "dns": )" + probe_dns(request, session);
  if (request.to && request.to->port == 0) out += R"(, "echo": )" + probe_echo(request, session);
  if (request.to && request.to->port != 0) out += R"(, "connect": )" + probe_connect(request, session);
  print(out + '}');
}

}  // namespace

const Probe kProbe = make_probe<run>(kUsageWords);

}  // namespace gatehouse::packet_tunnel
