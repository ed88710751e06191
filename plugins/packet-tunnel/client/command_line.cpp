// The only file of the client that includes CLI11.
#include "plugins/packet-tunnel/client/command_line.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

[[noreturn]] void wrong(const std::string& what) { throw std::invalid_argument(what); }

/// The words as they came, before any of them is understood.
struct Words {
  ClientSettings settings;
  std::vector<std::string> addresses, dns, only, exclude;
  std::string exclude_mark, ca, cert, key, token_file;
  std::size_t mtu = 0;
  int device_fd = -1;
  unsigned keep_alive = 0;
  bool no_dns = false, no_routes = false, no_large_frames = false, unblock = false;
};

void add_stream_words(CLI::App& app, Words& words) {
  ClientOptions& opening = words.settings.opening;
  app.add_option("SERVER", words.settings.servers, "HOST:PORT, [V6]:PORT or unix:PATH; several are tried in turn");
  app.add_flag("--tls", opening.tls, "The server's listener speaks TLS");
  app.add_option("--ca", words.ca, "PEM, whom to trust for the server; else whom this system trusts");
  app.add_option("--cert", words.cert, "PEM, the certificate to show");
  app.add_option("--key", words.key, "PEM, the key of --cert");
  app.add_option("--server-name", opening.server_name, "Whom the server's certificate must be for; else HOST");
  app.add_option("--min-tls", opening.least_tls, "1.3 or 1.2");
  app.add_flag("--websocket", opening.web_socket, "WebSocket messages, which CDNs pass");
  app.add_option("--path", opening.path, "/NAME of the plugin's instance, where that is not /packet-tunnel");
  app.add_option("--token-file", words.token_file, "A file whose first line is the token to show");
  app.add_option("--exec-transport", words.settings.transport_command,
                 "In place of SERVER: a command whose standard input and output are the stream");
  app.add_flag("--no-large-frames", words.no_large_frames,
               "Cut packets for the stream, also where the server would take super-packets in one piece");
  app.add_option("--session-file", words.settings.session_file, "Keeps the session over restarts of this program");
  app.add_option("--keep-alive", words.keep_alive, "Seconds of silence after which the connection is probed; 0 = never")
      ->check(CLI::Range(0, 32767));
}

void add_host_words(CLI::App& app, Words& words) {
  ClientSettings& settings = words.settings;
  app.add_option("--device", settings.device, "Name of the tun device (gatehouse-tun0)");
  app.add_option("--device-fd", words.device_fd, "A tun device that is open as this descriptor, and configured")
      ->check(CLI::Range(0, 65535));
  app.add_option("--address", words.addresses, "Address of the device, as 172.16.0.1/24; once a family");
  app.add_option("--mtu", words.mtu, "Bytes of the longest packet, where it is to be less than the server's")
      ->check(CLI::Range(kLeastMtu, std::size_t{65535}));
  app.add_option("--dns", words.dns, "Where programs send their queries (10.0.0.2); the gateway's resolvers answer");
  app.add_flag("--no-dns", words.no_dns, "Leave the system's resolver as it is");
  app.add_flag("--no-routes", words.no_routes, "Leave routes and rules as they are");
  app.add_option("--only", words.only, "Only what goes to this prefix goes through the tunnel");
  app.add_option("--exclude", words.exclude, "What goes to this prefix stays outside");
  app.add_option("--exclude-mark", words.exclude_mark, "Packets with this mark stay outside");
  app.add_flag("--block-when-down", settings.blocks_when_down,
               "Nothing leaves but through the tunnel, from now until --unblock");
  app.add_flag("--unblock", words.unblock, "Ends --block-when-down of --device, and does nothing else");
  app.add_option("--state-dir", settings.state_dir, "Where it is written down what was configured");
  app.add_option("--resolv-conf", settings.resolv_conf, "Replaced where systemd-resolved does not run");
  app.add_flag("--verbose", settings.verbose, "More lines about what happens");
}

template <class Value>
Value parsed(const char* word, const std::string& text, const char* example) {
  const auto value = Value::parse(text);
  if (!value) wrong(std::string(word) + " takes a text such as " + example + ", not `" + text + "`");
  return *value;
}

/// A name that the kernel takes, and rules of nftables too.
void check_device(const std::string& name) {
  constexpr std::size_t kLongestName = 15;
  const auto is_fine = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (name.empty() || name.size() > kLongestName || !std::ranges::all_of(name, is_fine) || name == "." || name == "..")
    wrong("--device takes a name of at most 15 letters, digits, -, _ and ., not `" + name + "`");
}

std::uint32_t mark_of(const std::string& text) {
  if (text.empty()) return 0;
  std::size_t used = 0;
  unsigned long value = 0;
  try {
    value = std::stoul(text, &used, 0);
  } catch (const std::logic_error&) {
    used = 0;
  }
  if (used != text.size() || value == 0 || value > UINT32_MAX)
    wrong("--exclude-mark takes a number such as 7 or 0x7, not `" + text + "`");
  return static_cast<std::uint32_t>(value);
}

void understand_host(const Words& words, ClientSettings& out) {
  check_device(out.device);
  for (const std::string& text : words.addresses)
    out.addresses.push_back(parsed<DeviceAddress>("--address", text, "172.16.0.1/24"));
  if (out.addresses.empty() && words.device_fd < 0)
    out.addresses = {*DeviceAddress::parse("172.16.0.1/24"), *DeviceAddress::parse("fd26:b6a6:4454:310a::1/64")};
  if (out.addresses.size() > 2 ||
      (out.addresses.size() == 2 && out.addresses[0].address.family() == out.addresses[1].address.family()))
    wrong("--address is given once for IPv4 and once for IPv6 at most");
  for (const std::string& text : words.dns) out.dns.push_back(parsed<IpAddress>("--dns", text, "10.0.0.2"));
  if (out.dns.empty()) out.dns = {*IpAddress::parse("10.0.0.2")};
  for (const std::string& text : words.only) out.only.push_back(parsed<Prefix>("--only", text, "192.0.2.0/24"));
  for (const std::string& text : words.exclude)
    out.exclude.push_back(parsed<Prefix>("--exclude", text, "192.0.2.0/24"));
  out.exclude_mark = mark_of(words.exclude_mark);
  if (words.mtu != 0) out.mtu = words.mtu;
  if (words.device_fd >= 0) out.device_fd = words.device_fd;
  out.changes_dns = !words.no_dns && !out.device_fd;
  out.changes_routes = !words.no_routes && !out.device_fd;
  if (words.no_dns && !words.dns.empty()) wrong("--dns and --no-dns exclude each other");
  if (!out.changes_routes && (!out.only.empty() || !out.exclude.empty() || out.exclude_mark != 0))
    wrong("--only, --exclude and --exclude-mark say how routes are changed; leave --no-routes or --device-fd out");
  if (out.device_fd && !words.addresses.empty())
    wrong("--address is for a device that is made here; that of --device-fd has its addresses");
  out.keep_alive = std::chrono::seconds(words.keep_alive);
}

void understand_stream(const Words& words, ClientSettings& out) {
  ClientOptions& opening = out.opening;
  opening.ca = words.ca;
  opening.cert = words.cert;
  opening.key = words.key;
  opening.token_file = words.token_file;
  opening.http = !opening.web_socket;
  out.large_frames = !words.no_large_frames;
  if (out.servers.empty() && out.transport_command.empty())
    wrong("name a server, HOST:PORT or unix:PATH, or a command with --exec-transport");
  if (!out.servers.empty() && !out.transport_command.empty())
    wrong("give either servers or --exec-transport, which leads to one by itself");
  for (const std::string& server : out.servers) {
    ClientOptions one = opening;
    one.address = server;
    check_client_options(one);
  }
  if (out.transport_command.empty()) return;
  if (opening.tls && opening.server_name.empty())
    wrong("--tls over --exec-transport needs --server-name, whom the server's certificate must be for");
  ClientOptions one = opening;
  one.address = "unix:transport";
  check_client_options(one);
  if (out.changes_routes && out.only.empty() && out.exclude.empty())
    wrong(
        "the command's own connection would go into the tunnel: say where it leads to with --exclude ADDRESS, or what "
        "alone the tunnel is for with --only PREFIX");
}

std::string complaint(const std::string& sentence) {
  return "gatehouse-tunnel: " + sentence + (sentence.ends_with('.') ? "\n" : ".\n");
}

}  // namespace

Result<DeviceAddress> DeviceAddress::parse(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return address.error();
  if (address->is_unspecified() || address->is_multicast() || address->is_loopback()) return Errc::malformed;
  if (slash == text.npos) return DeviceAddress{*address, address->bits()};
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  if (digits.empty() || digits.size() > 3) return Errc::malformed;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return Errc::malformed;
    length = length * 10 + static_cast<unsigned>(digit - '0');
  }
  if (length == 0 || length > address->bits()) return Errc::malformed;
  return DeviceAddress{*address, length};
}

std::string DeviceAddress::to_string() const { return address.to_string() + '/' + std::to_string(length); }

std::variant<ClientSettings, UnblockRequest, int> read_command_line(int argc, const char* const* argv,
                                                                    std::ostream& out, std::ostream& err) {
  CLI::App app{"The client of Gatehouse's packet tunnel: this host's packets go through the gateway.",
               "gatehouse-tunnel"};
  app.set_version_flag("--version", GATEHOUSE_VERSION);
  Words words;
  add_stream_words(app, words);
  add_host_words(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    if (stop.get_exit_code() == 0) return app.exit(stop, out, err);
    err << complaint(stop.what()) << "`gatehouse-tunnel --help` lists the options.\n";
    return kExitWrong;
  }
  try {
    if (words.unblock) {
      check_device(words.settings.device);
      return UnblockRequest{words.settings.device, words.settings.state_dir};
    }
    understand_host(words, words.settings);
    understand_stream(words, words.settings);
  } catch (const std::invalid_argument& problem) {
    err << complaint(problem.what());
    return kExitWrong;
  }
  return words.settings;
}

}  // namespace gatehouse::packet_tunnel
