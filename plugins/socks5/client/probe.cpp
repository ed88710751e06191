// HOST:PORT --connect HOST:PORT [--password-file FILE] [--timeout-ms N] and what a client of the listener needs
#include "plugins/socks5/client/probe.hpp"

#include "plugins/socks5/wire/greeting.hpp"
#include "plugins/socks5/wire/login.hpp"
#include "plugins/socks5/wire/request.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/endian.hpp>
#include <gatehouse/net/client_stream.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace gatehouse::socks5 {
namespace {

using namespace std::chrono_literals;

constexpr auto kUsage =
    with_client_usage("HOST:PORT|unix:PATH --connect HOST:PORT [--password-file FILE] [--timeout-ms N]");

struct ProbeRequest {
  ClientOptions server;
  std::string host;  // to connect to
  std::uint16_t port = 0;
  std::string password;
  std::chrono::milliseconds timeout = 20s;
};

[[noreturn]] void wrong_use(const std::string& what) { throw std::invalid_argument(what); }

unsigned number_in(std::string_view option, std::string_view text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    wrong_use(std::string(option) + " takes a number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

void read_target(ProbeRequest& out, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) wrong_use("--connect takes an address or a name with a port, such as example.com:443");
  out.port = static_cast<std::uint16_t>(number_in("the port of --connect", text.substr(colon + 1), 1, 65535));
  if (const auto endpoint = Endpoint::parse(text)) {
    out.host = endpoint->address.to_string();
    return;
  }
  const auto name = canonical_domain(text.substr(0, colon));
  if (!name) wrong_use("`" + std::string(text) + "` is neither an address nor a name with a port");
  out.host = *name;
}

ProbeRequest read_arguments(const std::vector<std::string_view>& arguments) {
  ProbeRequest out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (!word.starts_with("--")) {
      if (!out.server.address.empty()) wrong_use("`" + std::string(word) + "` is one word too many");
      out.server.address = word;
      continue;
    }
    if (take_client_word(out.server, arguments, i)) {
      --i;
      continue;
    }
    if (i + 1 == arguments.size()) wrong_use(std::string(word) + " needs a value");
    const std::string_view value = arguments[++i];
    if (word == "--connect") {
      read_target(out, value);
    } else if (word == "--password-file") {
      out.password = read_token_file(value);
    } else if (word == "--timeout-ms") {
      out.timeout = std::chrono::milliseconds(number_in(word, value, 1, 600000));
    } else {
      wrong_use("`" + std::string(word) + "` is no option of this probe");
    }
  }
  if (out.server.address.empty()) wrong_use("the server's address is missing");
  if (out.host.empty()) wrong_use("say with --connect where the server is to lead to");
  if (out.password.size() > 255) wrong_use("a password has 255 characters at most");
  check_client_options(out.server);
  return out;
}

/// What each code means, for people.
std::string explain(Reply reply) {
  switch (reply) {
    case Reply::succeeded: return "";
    case Reply::not_allowed: return "the gateway's policy does not allow it (gatehouse policy explain says why)";
    case Reply::network_unreachable: return "there is no way to that network";
    case Reply::host_unreachable: return "that host cannot be reached, or its name has no address";
    case Reply::connection_refused: return "that host refuses the connection";
    case Reply::ttl_expired: return "the way to that host is too long";
    case Reply::command_not_supported: return "the server does not connect";
    case Reply::address_type_not_supported: return "the server does not take such an address";
    default: return "the server cannot do it now";
  }
}

/// The client's side of one stream.
class ProbeStream {
 public:
  explicit ProbeStream(const ProbeRequest& request)
      : stream_(request.server, "socks5", steady_now() + request.timeout) {}

  void greet(const std::string& password) {
    const std::byte wanted = static_cast<std::byte>(password.empty() ? Method::none : Method::password);
    stream_.write_all(std::array{kVersion, std::byte{1}, wanted});
    const auto answer = read_exactly(2);
    if (answer[0] != kVersion) throw std::runtime_error("what answers there speaks no SOCKS5");
    if (answer[1] != wanted)
      throw std::runtime_error(password.empty() ? "the server lets nobody in without a password, or not you: see "
                                                  "--password-file"
                                                : "the server takes no password here, or lets you not in");
    if (!password.empty()) log_in(password);
  }

  /// Returns the address that the server connects from.
  Endpoint connect(const ProbeRequest& request) {
    std::vector<std::byte> words = {kVersion, static_cast<std::byte>(Command::connect), std::byte{0}};
    const auto address = IpAddress::parse(request.host);
    if (address) {
      words.resize(3 + kLargestAddressField);
      words.resize(3 + write_destination(MutableBytes(words).subspan(3), {*address, request.port}));
    } else {
      words.push_back(std::byte{3});
      append_text(words, request.host);
      words.resize(words.size() + 2);
      store_big(MutableBytes(words).last(2), request.port);
    }
    stream_.write_all(words);
    std::vector<std::byte> answer = read_exactly(5);
    const bool is_v6 = answer[3] == std::byte{4};
    const auto rest = read_exactly(is_v6 ? 17 : 5);
    answer.insert(answer.end(), rest.begin(), rest.end());
    const auto code = static_cast<Reply>(answer[1]);
    if (code != Reply::succeeded)
      throw std::runtime_error(request.host + ':' + std::to_string(request.port) + ": " + explain(code) + " (reply " +
                               std::to_string(std::to_integer<unsigned>(answer[1])) + ')');
    const auto bound = read_destination(Bytes(answer).subspan(3));
    return bound ? bound->destination.endpoint : Endpoint{};
  }

 private:
  static void append_text(std::vector<std::byte>& out, std::string_view text) {
    out.push_back(static_cast<std::byte>(text.size()));
    for (const char c : text) out.push_back(static_cast<std::byte>(c));
  }

  void log_in(const std::string& password) {
    std::vector<std::byte> words = {std::byte{1}};
    append_text(words, "probe");
    append_text(words, password);
    stream_.write_all(words);
    if (read_exactly(2)[1] != std::byte{0}) throw std::runtime_error("the password is no token that the gateway knows");
  }

  std::vector<std::byte> read_exactly(std::size_t size) {
    std::vector<std::byte> out(size);
    try {
      for (std::size_t at = 0; at < size;) {
        const std::size_t got = stream_.read_some(MutableBytes(out).subspan(at));
        if (got == 0) throw std::runtime_error("the server closed the stream");
        at += got;
      }
    } catch (const ClientTimeout&) {
      throw std::runtime_error("no answer came in time");
    }
    return out;
  }

  ClientStream stream_;
};

std::string milliseconds(Nanoseconds time) {
  const auto us = std::chrono::round<std::chrono::microseconds>(time).count();
  const std::string fraction = std::to_string(us % 1000);
  return std::to_string(us / 1000) + '.' + std::string(3 - fraction.size(), '0') + fraction;
}

void run(const std::vector<std::string_view>& arguments, const PrintJson& print) {
  ProbeRequest request;
  try {
    request = read_arguments(arguments);
  } catch (const std::invalid_argument& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; usage: gatehouse probe socks5 " + kUsage.data());
  }
  const SteadyTime begin = steady_now();
  ProbeStream stream(request);
  stream.greet(request.password);
  const SteadyTime greeted = steady_now();
  const Endpoint bound = stream.connect(request);
  const SteadyTime connected = steady_now();
  print(R"({"connected_to": ")" + request.host + ':' + std::to_string(request.port) + R"(", "from": ")" +
        bound.to_string() + R"(", "opening_ms": )" + milliseconds(greeted - begin) + R"(, "connect_ms": )" +
        milliseconds(connected - greeted) + '}');
}

}  // namespace

const Probe kProbe = make_probe<run>(kUsage.data());

}  // namespace gatehouse::socks5
