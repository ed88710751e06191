// HOST:PORT --dns NAME [--type A|AAAA] | --echo ADDR:PORT [--count N] [--size BYTES], each with [--timeout-ms N]
#include "plugins/udpgw/probe.hpp"

#include "plugins/udpgw/frame.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/plugin/plugin.hpp>

#include <boost/system/system_error.hpp>

#include <netdb.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace gatehouse::udpgw {
namespace {

using namespace std::chrono_literals;

constexpr const char* kUsage =
    "HOST:PORT|unix:PATH (--dns NAME [--type A|AAAA] | --echo ADDR:PORT [--count N] [--size BYTES]) [--timeout-ms N]";

struct ProbeRequest {
  std::string server;
  std::string dns_name;
  std::uint16_t dns_type = 1;
  std::optional<Endpoint> echo;
  unsigned count = 10, size = 64;
  std::chrono::milliseconds timeout = 5s;
};

[[noreturn]] void wrong_use(const std::string& what) {
  throw std::invalid_argument(what + "; usage: gatehouse probe udpgw " + kUsage);
}

unsigned number_in(std::string_view option, std::string_view text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    wrong_use(std::string(option) + " takes a number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

ProbeRequest read_arguments(const std::vector<std::string_view>& arguments) {
  ProbeRequest out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (!word.starts_with("--")) {
      if (!out.server.empty()) wrong_use("`" + std::string(word) + "` is one word too many");
      out.server = word;
      continue;
    }
    if (i + 1 == arguments.size()) wrong_use(std::string(word) + " needs a value");
    const std::string_view value = arguments[++i];
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
      out.count = number_in(word, value, 1, 100000);
    } else if (word == "--size") {
      out.size = number_in(word, value, 4, 65507);
    } else if (word == "--timeout-ms") {
      out.timeout = std::chrono::milliseconds(number_in(word, value, 1, 600000));
    } else {
      wrong_use("`" + std::string(word) + "` is no option of this probe");
    }
  }
  if (out.server.empty()) wrong_use("the server's address is missing");
  if (out.dns_name.empty() == !out.echo.has_value()) wrong_use("give either --dns or --echo");
  return out;
}

UniqueFd connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) wrong_use("the path of the socket is too long");
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw boost::system::system_error(last_system_error(), "connect to " + path);
  return fd;
}

UniqueFd connect_tcp(const std::string& server) {
  const auto colon = server.rfind(':');
  if (colon == server.npos) wrong_use("`" + server + "` has no port");
  std::string host = server.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), server.c_str() + colon + 1, &hints, &found); error != 0)
    throw std::runtime_error("look up " + server + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  Error error;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && connect(fd.get(), at->ai_addr, at->ai_addrlen) == 0) return fd;
    error = last_system_error();
  }
  throw boost::system::system_error(error, "connect to " + server);
}

/// The client's side of one stream.
class ProbeStream {
 public:
  ProbeStream(const std::string& server, std::chrono::milliseconds timeout)
      : deadline_(steady_now() + timeout),
        fd_(server.starts_with("unix:") ? connect_unix(server.substr(5)) : connect_tcp(server)) {}

  void send(std::uint8_t flags, std::uint16_t conid, const Endpoint& remote, Bytes payload) {
    std::vector<std::byte> address(remote.address.bytes().begin(), remote.address.bytes().end());
    address.resize(address.size() + 2);
    store_big(MutableBytes(address).last(2), remote.port);
    std::vector<std::byte> frame(kOverheadV6 + payload.size());
    const std::size_t header = write_header(frame, conid, address, payload.size());
    frame[2] |= static_cast<std::byte>(flags);
    std::copy(payload.begin(), payload.end(), frame.begin() + static_cast<std::ptrdiff_t>(header));
    frame.resize(header + payload.size());
    for (Bytes rest = frame; !rest.empty();) {
      const ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (n < 0) throw boost::system::system_error(last_system_error(), "send to the server");
      rest = rest.subspan(static_cast<std::size_t>(n));
    }
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

 private:
  void read_more() {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady_now());
    pollfd ready{fd_.get(), POLLIN, 0};
    if (left <= 0ms || ::poll(&ready, 1, static_cast<int>(left.count())) == 0)
      throw std::runtime_error("no answer came in time: is the destination permitted, and does it answer?");
    const std::size_t old = input_.size();
    input_.resize(old + 65536);
    const ssize_t n = ::recv(fd_.get(), &input_[old], 65536, 0);
    if (n < 0) throw boost::system::system_error(last_system_error(), "read from the server");
    if (n == 0) throw std::runtime_error("the server closed the stream");
    input_.resize(old + static_cast<std::size_t>(n));
  }

  SteadyTime deadline_;
  UniqueFd fd_;
  std::vector<std::byte> input_;
};

std::vector<std::byte> make_query(std::uint16_t id, const std::string& name, std::uint16_t type) {
  std::vector<std::byte> out(12);
  store_big(MutableBytes(out), id);
  out[2] = std::byte{0x01};  // RD
  out[5] = std::byte{0x01};  // QDCOUNT
  for (std::size_t from = 0; from <= name.size();) {
    const std::size_t to = std::min(name.find('.', from), name.size());
    out.push_back(static_cast<std::byte>(to - from));
    for (; from < to; ++from) out.push_back(static_cast<std::byte>(name[from]));
    ++from;
  }
  out.push_back(std::byte{0});
  out.resize(out.size() + 4);
  store_big(MutableBytes(out).last(4), type);
  store_big(MutableBytes(out).last(2), std::uint16_t{1});
  return out;
}

std::string rcode_text(unsigned rcode) {
  static constexpr std::array<const char*, 6> kNames = {"NOERROR",  "FORMERR", "SERVFAIL",
                                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
  return rcode < kNames.size() ? kNames[rcode] : "RCODE" + std::to_string(rcode);
}

/// Steps over a name at `at`; past the end where it is broken.
std::size_t skip_name(Bytes message, std::size_t at) {
  while (at < message.size()) {
    const auto length = std::to_integer<std::size_t>(message[at]);
    if (length == 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
  return message.size();
}

/// The addresses in the answer section, as JSON strings.
std::string addresses_in(Bytes reply) {
  std::string out;
  std::size_t at = 12;
  for (unsigned i = load_big<std::uint16_t>(reply.subspan(4)); i > 0; --i) at = skip_name(reply, at) + 4;
  for (unsigned i = load_big<std::uint16_t>(reply.subspan(6)); i > 0; --i) {
    at = skip_name(reply, at);
    if (at + 10 > reply.size()) break;
    const auto type = load_big<std::uint16_t>(reply.subspan(at));
    const std::size_t length = load_big<std::uint16_t>(reply.subspan(at + 8));
    at += 10;
    if (at + length > reply.size()) break;
    const Bytes data = reply.subspan(at, length);
    at += length;
    const bool v4 = type == 1 && length == 4, v6 = type == 28 && length == 16;
    if (!v4 && !v6) continue;
    out += (out.empty() ? "\"" : ", \"") + (v4 ? IpAddress::v4(data) : IpAddress::v6(data)).to_string() + '"';
  }
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
  const auto query = make_query(id, request.dns_name, request.dns_type);
  const Endpoint anywhere{IpAddress::v4(0xc0000035), 53, 0};  // not used: the flag says "your own resolver"
  const SteadyTime begin = steady_now();
  stream.send(kRebind | kDns, 1, anywhere, query);
  const auto reply =
      stream.receive(1, [id](Bytes payload) { return payload.size() >= 12 && load_big<std::uint16_t>(payload) == id; });
  const unsigned rcode = std::to_integer<unsigned>(reply[3]) & 15;
  return R"({"name": ")" + request.dns_name + R"(", "rcode": ")" + rcode_text(rcode) + R"(", "addresses": [)" +
         addresses_in(reply) + R"(], "round_trip_ms": )" + milliseconds(steady_now() - begin) + "}";
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
         "}";
}

void run(const std::vector<std::string_view>& arguments, const PrintJson& print) {
  const ProbeRequest request = read_arguments(arguments);
  ProbeStream stream(request.server, request.timeout);
  print(request.echo ? probe_echo(request, stream) : probe_dns(request, stream));
}

}  // namespace

const Probe kProbe = make_probe<run>(kUsage);

}  // namespace gatehouse::udpgw
