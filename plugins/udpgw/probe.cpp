// HOST:PORT --dns NAME [--type A|AAAA] | --echo ADDR:PORT [--count N] [--size BYTES], each with [--timeout-ms N] and
// what a client of the listener needs
#include "plugins/udpgw/probe.hpp"

#include "plugins/udpgw/frame.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/domain.hpp>
#include <gatehouse/net/client_stream.hpp>
#include <gatehouse/net/dns_client.hpp>
#include <gatehouse/plugin/plugin.hpp>

#include <sys/random.h>

#include <algorithm>
#include <vector>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr auto kUsage = with_client_usage(
    "HOST:PORT|unix:PATH (--dns NAME [--type A|AAAA] | --echo ADDR:PORT [--count N] [--size BYTES]) [--timeout-ms N]");

struct ProbeRequest {
  ClientOptions server;
  std::string dns_name;
  std::uint16_t dns_type = 1;
  std::optional<Endpoint> echo;
  unsigned count = 10, size = 64;
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
    out.dns_type = value == "A" ? 1 : 28;
  } else if (word == "--echo") {
    const auto echo = Endpoint::parse(value);
    if (!echo) wrong_use("--echo takes an address with a port, such as 192.0.2.1:7");
    out.echo = *echo;
  } else if (word == "--count") {
    out.count = read_number(word, value, 1, 100000);
  } else if (word == "--size") {
    out.size = read_number(word, value, 4, 65507);
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
  if (out.dns_name.empty() == !out.echo.has_value()) wrong_use("give either --dns or --echo");
  check_client_options(out.server);
  return out;
}

/// The client's side of one stream.
class ProbeStream {
 public:
  explicit ProbeStream(const ProbeRequest& request)
      : stream_(request.server, "udpgw", steady_now() + request.timeout) {}

  void send(std::uint8_t flags, std::uint16_t conid, const Endpoint& remote, Bytes payload) {
    std::vector<std::byte> address(remote.address.bytes().begin(), remote.address.bytes().end());
    address.resize(address.size() + 2);
    store_big(MutableBytes(address).last(2), remote.port);
    std::vector<std::byte> frame(kOverheadV6 + payload.size());
    const std::size_t header = write_header(frame, conid, address, payload.size());
    frame[2] |= static_cast<std::byte>(flags);
    std::copy(payload.begin(), payload.end(), frame.begin() + static_cast<std::ptrdiff_t>(header));
    frame.resize(header + payload.size());
    stream_.write_all(frame);
  }

  /// The payload of the next frame of `conid` that passes `wanted`.
  template <class Wanted>
  std::vector<std::byte> receive(std::uint16_t conid, Wanted&& wanted) {
    for (;;) {
      const Decoded decoded = decode(input_);
      if (decoded.kind == FrameKind::incomplete) {
        read_more();
        continue;
      }
      std::vector<std::byte> payload(decoded.frame.payload.begin(), decoded.frame.payload.end());
      const bool ours = decoded.kind == FrameKind::data && decoded.frame.conid == conid;
      input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(decoded.size));
      if (ours && wanted(payload)) return payload;
    }
  }

  /// How it was opened, as the end of a JSON object.
  [[nodiscard]] std::string end_of_json() const {
    std::string out;
    if (const auto tls = stream_.tls())
      out += R"(, "tls": {"version": ")" + tls->version + R"(", "cipher": ")" + tls->cipher + R"("})";
    if (stream_.has_opening()) out += R"(, "http": true)";
    return out + '}';
  }

 private:
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

  ClientStream stream_;
  std::vector<std::byte> input_;
};

/// As JSON strings.
std::string addresses_text(const std::vector<IpAddress>& addresses) {
  std::string out;
  for (const IpAddress& one : addresses) out += (out.empty() ? "\"" : ", \"") + one.to_string() + '"';
  return out;
}

std::string milliseconds(Nanoseconds time) {
  const auto us = std::chrono::round<std::chrono::microseconds>(time).count();
  const std::string fraction = std::to_string(us % 1000);
  return std::to_string(us / 1000) + '.' + std::string(3 - fraction.size(), '0') + fraction;
}

std::string probe_dns(const ProbeRequest& request, ProbeStream& stream) {
  std::uint16_t id = 0;
  if (getrandom(&id, sizeof id, 0) != sizeof id) throw std::runtime_error("the system gives no random bytes");
  const auto query = make_dns_query(id, request.dns_name, request.dns_type);
  const Endpoint anywhere{IpAddress::v4(0xc0000035), 53, 0};  // not used: the flag says "your own resolver"
  const SteadyTime begin = steady_now();
  stream.send(kRebind | kDns, 1, anywhere, query);
  const auto reply =
      stream.receive(1, [id](Bytes payload) { return payload.size() >= 12 && load_big<std::uint16_t>(payload) == id; });
  const DnsAnswer answer = read_dns_answer(reply);
  return R"({"name": ")" + request.dns_name + R"(", "rcode": ")" + answer.rcode + R"(", "addresses": [)" +
         addresses_text(answer.addresses) + R"(], "round_trip_ms": )" + milliseconds(steady_now() - begin) +
         stream.end_of_json();
}

std::string probe_echo(const ProbeRequest& request, ProbeStream& stream) {
  std::vector<Nanoseconds> times;
  std::vector<std::byte> payload(request.size);
  const auto family = static_cast<std::uint8_t>(request.echo->address.is_v6() ? kIpv6 : 0);
  for (std::uint32_t i = 0; i < request.count; ++i) {
    store_big(MutableBytes(payload), i);
    const SteadyTime begin = steady_now();
    stream.send(static_cast<std::uint8_t>(family | (i == 0 ? kRebind : 0)), 1, *request.echo, payload);
    stream.receive(1, [&](const std::vector<std::byte>& reply) { return reply == payload; });
    times.push_back(steady_now() - begin);
  }
  std::sort(times.begin(), times.end());
  return R"({"echo": ")" + request.echo->to_string() + R"(", "round_trips": )" + std::to_string(times.size()) +
         R"(, "size_bytes": )" + std::to_string(request.size) + R"(, "min_ms": )" + milliseconds(times.front()) +
         R"(, "median_ms": )" + milliseconds(times[times.size() / 2]) + R"(, "max_ms": )" + milliseconds(times.back()) +
         stream.end_of_json();
}

void run(const std::vector<std::string_view>& arguments, const PrintJson& print) {
  ProbeRequest request;
  try {
    request = read_arguments(arguments);
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; usage: gatehouse probe udpgw " + kUsage.data());
  }
  ProbeStream stream(request);
  print(request.echo ? probe_echo(request, stream) : probe_dns(request, stream));
}

}  // namespace

const Probe kProbe = make_probe<run>(kUsage.data());

}  // namespace gatehouse::udpgw
