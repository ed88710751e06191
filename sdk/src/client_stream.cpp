// Stages: connect to one of the host's addresses; TLS; the HTTP opening; WebSocket on top of all. Each is a layer,
// which never blocks: what blocks is wait().
#include <gatehouse/net/client_stream.hpp>

#include <gatehouse/base/address.hpp>
#include <gatehouse/net/http_opening.hpp>
#include <gatehouse/net/tls_client_layer.hpp>
#include <gatehouse/net/web_socket_layer.hpp>

#include <boost/system/system_error.hpp>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <limits>

namespace gatehouse {
namespace {

constexpr int kProbeAfter = 60, kProbeEvery = 10, kMostProbes = 6;  // seconds; of a server that may be gone

/// False: the deadline has come.
bool wait_until(int fd, short events, SteadyTime deadline) {
  for (;;) {
    int milliseconds = -1;
    if (deadline != ClientStream::kNever) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_now()).count();
      if (left <= 0) return false;
      milliseconds = static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max()));
    }
    pollfd ready{fd, events, 0};
    const int count = ::poll(&ready, 1, milliseconds);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) throw boost::system::system_error(last_system_error(), "wait for the server");
  }
}

[[noreturn]] void fail_to_connect(const std::string& to, const Error& error) {
  throw boost::system::system_error(error, "connect to " + to);
}

/// @return what went wrong
Error connect_until(int fd, const sockaddr* address, socklen_t size, SteadyTime deadline) {
  if (::connect(fd, address, size) == 0) return {};
  if (errno != EINPROGRESS && errno != EINTR) return last_system_error();
  if (!wait_until(fd, POLLOUT, deadline)) return make_error_code(boost::system::errc::timed_out);
  int error = 0;
  socklen_t error_size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0) return last_system_error();
  return {error, boost::system::system_category()};
}

/// Where the listener's queue is full, only a socket that blocks waits for it (unix(7)).
UniqueFd connect_unix(const std::string& path, SteadyTime deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd && deadline != ClientStream::kNever) {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline - steady_now()).count();
    const timeval most{std::max<std::int64_t>(left, 1) / 1000000, std::max<std::int64_t>(left, 1) % 1000000};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  }
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail_to_connect(path, last_system_error());
  return fd;
}

/// @throws std::runtime_error  the system will not
void mark_packets(int fd, std::uint32_t mark) {
  if (mark == 0 || ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return;
  throw std::runtime_error("packets to the server cannot be marked: " + last_system_error().message() +
                           "; that needs the capability CAP_NET_ADMIN");
}

UniqueFd connect_tcp(const ClientAddress& to, const std::string& name, std::uint32_t mark, SteadyTime deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(to.host.c_str(), to.port.c_str(), &hints, &found); error != 0)
    throw std::runtime_error("look up " + name + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  Error error;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd) mark_packets(fd.get(), mark);
    error = fd ? connect_until(fd.get(), at->ai_addr, at->ai_addrlen, deadline) : last_system_error();
    if (error) continue;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &kProbeAfter, sizeof kProbeAfter);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &kProbeEvery, sizeof kProbeEvery);
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, &kMostProbes, sizeof kMostProbes);
    return fd;
  }
  fail_to_connect(name, error);
}

UniqueFd connect_to(const ClientOptions& options, SteadyTime deadline) {
  check_client_options(options);
  const ClientAddress to = ClientAddress::parse(options.address);
  return to.path.empty() ? connect_tcp(to, options.address, options.mark, deadline) : connect_unix(to.path, deadline);
}

/// Without the zone of an IPv6 address, and without a final dot: neither stands in certificates.
std::string server_name_of(const ClientOptions& options) {
  if (!options.server_name.empty()) return options.server_name;
  std::string host = ClientAddress::parse(options.address).host;
  host.resize(std::min(host.find('%'), host.size()));
  if (host.ends_with('.')) host.pop_back();
  return host;
}

/// What stands in Host (RFC 9110, 7.2).
std::string host_of(const ClientOptions& options) {
  const std::string name = server_name_of(options);
  if (name.empty()) return "localhost";  // of a Unix socket
  const auto address = IpAddress::parse(name);
  const std::string host = address && address->is_v6() ? '[' + name + ']' : name;
  const std::string port = ClientAddress::parse(options.address).port;
  return port.empty() || port == (options.tls ? "443" : "80") ? host : host + ':' + port;
}

std::string make_web_socket_key() {
  std::array<unsigned char, 16> random;
  std::array<unsigned char, 25> text;
  if (RAND_bytes(random.data(), random.size()) != 1) throw std::runtime_error("the system gives no random bytes");
  const int size = EVP_EncodeBlock(text.data(), random.data(), random.size());
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

std::vector<HttpField> http_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::vector<HttpField> out;
  for (const auto& [name, value] : fields) out.push_back({name, value});
  return out;
}

std::string refusal_sentence(const HttpAnswer& answer, const ClientOptions& options) {
  if (answer.status == 0 || answer.status == 101)
    return "the server does not open the stream over HTTP: " + answer.sentence;
  std::string out = "the gateway refused with " + std::to_string(answer.status) + ": " + answer.sentence;
  if (answer.status == 401 && options.token_file.empty()) out += " Show one with --token-file FILE.";
  return out;
}

}  // namespace

ClientStream::ClientStream(const ClientOptions& options, const std::string& plugin, SteadyTime deadline)
    : ClientStream(connect_to(options, deadline)) {
  deadline_ = deadline;
  open(options, plugin);
}

ClientStream::ClientStream(UniqueFd socket, const ClientOptions& options, const std::string& plugin,
                           SteadyTime deadline)
    : ClientStream(std::move(socket)) {
  check_client_options(options);
  deadline_ = deadline;
  open(options, plugin);
}

void ClientStream::open(const ClientOptions& options, const std::string& plugin) {
  server_ = options.address;
  const char* what = "the TLS handshake in time; does its listener speak TLS?";
  try {
    if (options.tls) shake_hands(options);
    what = "the HTTP opening in time; has its listener opening = \"http\"?";
    if (options.has_opening()) open_http(options, plugin);
  } catch (const ClientTimeout&) {  // a listener of something else may wait for more
    throw ClientTimeout(server_ + " did not answer " + what);
  }
}

ClientStream::ClientStream(UniqueFd socket)
    : server_("the server"), fd_(std::move(socket)), layer_(std::make_unique<SocketLayer>(fd_.get())) {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    throw boost::system::system_error(last_system_error(), "make a socket non-blocking");
}

ClientStream::~ClientStream() {
  if (layer_) layer_->finish();
}

void ClientStream::shake_hands(const ClientOptions& options) {
  auto tls = std::make_unique<TlsClientLayer>(
      fd_.get(),
      TlsClientSettings{.server_name = server_name_of(options),
                        .ca = options.ca,
                        .cert = options.cert,
                        .key = options.key,
                        .least_version = static_cast<std::uint16_t>(options.least_tls == "1.2" ? 0x0303 : 0x0304)});
  tls_ = tls.get();
  layer_ = std::move(tls);
  for (;;) {
    const auto done = tls_->handshake();
    if (done) return;
    if (done.error() != Errc::would_block) fail(done.error());
    wait(POLLIN);
  }
}

void ClientStream::open_http(const ClientOptions& options, const std::string& plugin) {
  const std::string token = options.token_file.empty() ? "" : read_token_file(options.token_file);
  const std::string key = options.web_socket ? make_web_socket_key() : "";
  const std::string name = options.path.empty() ? plugin : options.path.substr(1);
  std::string request;
  try {
    request = write_http_request(host_of(options), name, token, key, http_fields(options.fields));
  } catch (const std::invalid_argument& wrong) {
    throw std::runtime_error("the request cannot be written: " + std::string(wrong.what()));
  }
  write_all(bytes_of(request));

  std::vector<std::byte> got;
  HttpAnswer answer;
  while (answer.state == HttpAnswer::State::incomplete) {
    const std::size_t size = got.size();
    got.resize(size + 4096);
    const std::size_t more = read_some(MutableBytes(got).subspan(size));
    got.resize(size + more);
    if (more == 0)
      throw std::runtime_error("the server ended the stream without an answer; has its listener opening = \"http\"?");
    answer = parse_http_answer(got, name, key);
  }
  if (answer.state == HttpAnswer::State::refused)
    throw ClientRefused(refusal_sentence(answer, options), answer.status, answer.retry_after);
  has_opening_ = true;
  for (HttpField& field : answer.fields) answer_fields_.emplace_back(std::move(field.name), std::move(field.value));
  if (got.size() > answer.size) layer_->unread(Bytes(got).subspan(answer.size));
  if (!options.web_socket) return;
  layer_ = std::make_unique<WebSocketLayer>(std::move(layer_), WebSocketRole::client);
}

void ClientStream::write_all(Bytes in) {
  while (!in.empty()) {
    const std::size_t room = layer_->room(in.size());
    if (room == 0) {
      wait(0);
      continue;
    }
    const Bytes part = in.first(room);
    if (const auto put = layer_->put({&part, 1}); !put) fail(put.error());
    in = in.subspan(room);
  }
  while (layer_->has_left_over()) wait(0);
}

std::size_t ClientStream::read_some(MutableBytes out) {
  for (;;) {
    const auto got = layer_->read(out);
    if (got && *got > 0) return *got;
    if (!got && got.error() == Errc::closed) return 0;
    if (!got && got.error() != Errc::would_block) fail(got.error());
    if (!layer_->holds_input()) wait(POLLIN);
  }
}

void ClientStream::finish() {
  layer_->finish();
  while (layer_->has_left_over()) wait(0);
}

void ClientStream::wait(short events) {
  if (layer_->has_left_over()) events |= POLLOUT;
  if (!wait_until(fd_.get(), events, deadline_)) throw ClientTimeout(server_ + " did not answer in time");
  if (!layer_->has_left_over()) return;
  if (const auto flushed = layer_->flush(); !flushed && flushed.error() != Errc::would_block) fail(flushed.error());
}

std::optional<std::string> ClientStream::answer_field(std::string_view name) const {
  return find_field(http_fields(answer_fields_), name);
}

Stream ClientStream::take_stream() {
  const StreamPeer peer = Stream::peer_of(fd_.get());
  const bool is_bare = dynamic_cast<SocketLayer*>(layer_.get()) != nullptr;
  if (is_bare && !layer_->holds_input() && !layer_->has_left_over()) layer_.reset();
  return Stream(std::move(fd_), peer, std::move(layer_));
}

std::optional<ClientStream::Tls> ClientStream::tls() const {
  if (tls_ == nullptr) return {};
  return Tls{tls_->version(), tls_->cipher()};
}

std::string ClientStream::explain(const Error& error) const {
  if (tls_ != nullptr && !tls_->failure().empty()) return tls_->failure();
  if (error == Errc::closed) return "the server has closed the stream";
  if (error == Errc::malformed) return "the server breaks the rules of WebSocket";
  return "the connection to " + server_ + " broke: " + error.message();
}

void ClientStream::fail(const Error& error) const { throw std::runtime_error(explain(error)); }

}  // namespace gatehouse
