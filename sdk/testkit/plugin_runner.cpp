#include <gatehouse/testkit/plugin_runner.hpp>

#include <gatehouse/plugin/host.hpp>

#include <boost/system/system_error.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <numeric>
#include <stdexcept>

namespace gatehouse::testkit {
namespace {

constexpr int kBacklog = 512;

struct Why {
  std::string text = std::string(1024, '\0');
  gh_message message{text.data(), text.size(), 0};
  std::string sentence() const { return text.substr(0, message.size); }
};

void must(bool ok, const char* what) {
  if (!ok) throw boost::system::system_error(last_system_error(), what);
}

bool set_option(const UniqueFd& fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd.get(), level, option, &on, sizeof on) == 0;
}

/// A socket at `local`, which with port 0 = any, and then the one that it got.
UniqueFd listen_on(std::uint32_t transport, Endpoint& local) {
  const bool stream = transport == GH_TRANSPORT_TCP;
  const bool v6 = local.address.family() == Family::v6;
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  must(static_cast<bool>(fd), "socket");
  must(set_option(fd, SOL_SOCKET, stream ? SO_REUSEADDR : SO_REUSEPORT), "setsockopt");
  must(!v6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY), "IPV6_V6ONLY");
  sockaddr_storage address{};
  socklen_t size = local.to_sockaddr(address);
  must(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0, "bind");
  must(!stream || listen(fd.get(), kBacklog) == 0, "listen");
  size = sizeof address;
  must(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  local = Endpoint::from_sockaddr(address);
  return fd;
}

UniqueFd listen_on(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  must(static_cast<bool>(fd), "socket");
  must(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
  must(listen(fd.get(), kBacklog) == 0, "listen");
  return fd;
}

const gh_listener* first_of(const std::vector<std::byte>& rows) noexcept {
  return reinterpret_cast<const gh_listener*>(rows.data());
}

}  // namespace

PluginRunner::PluginRunner(const gh_manifest& manifest, FakeHost& host, std::string_view options_json, unsigned lanes,
                           const std::vector<TestListener>& listeners)
    : ops_(manifest.ops), host_(host, manifest.id), failures_(lanes) {
  Why why;
  for (unsigned lane = 0; lane < lanes; ++lane) lanes_.push_back({{host_.size_of<gh_lane>(), lane, lanes, -1, 0}});
  if (ops_->create(host_.table(), to_border(manifest.id), &instance_, &why.message) != GH_OK)
    throw std::runtime_error(why.sentence());
  try {
    if (ops_->configure(instance_, to_border(options_json), 0, &why.message) != GH_OK)
      throw std::runtime_error(why.sentence());
    for (const TestListener& spec : listeners) listeners_.push_back(bind(spec, listeners_.size()));
    start();
  } catch (...) {
    let_go();
    throw;
  }
}

PluginRunner::Bound PluginRunner::bind(const TestListener& spec, std::size_t index) {
  Bound out{.spec = spec,
            .name = "test " + std::to_string(index),
            .local = {},
            .path = {},
            .sockets = {},
            .trusted_proxies = {},
            .origins = {}};
  for (const Prefix& proxy : spec.trusted_proxies) out.trusted_proxies.push_back(to_border(proxy));
  for (const std::string& origin : out.spec.origins) out.origins.push_back(to_border(origin));
  if (spec.transport == GH_TRANSPORT_UNIX) {
    if (folder_.empty()) {
      std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
      must(mkdtemp(name.data()) != nullptr, "mkdtemp");
      folder_ = name;
    }
    out.path = folder_ / (std::to_string(index) + ".sock");
    out.sockets.push_back(listen_on(out.path));
  } else {
    const IpAddress loopback = spec.family == Family::v6 ? IpAddress::parse("::1").value() : IpAddress::v4(0x7f000001);
    out.local.address = spec.address.family() == Family::none ? loopback : spec.address;
    out.local.port = spec.port;
    out.sockets.push_back(listen_on(spec.transport, out.local));
  }
  while (out.sockets.size() < lanes_.size()) {
    const bool own = spec.transport == GH_TRANSPORT_UDP;
    out.sockets.push_back(own ? listen_on(spec.transport, out.local)
                              : UniqueFd(fcntl(out.sockets.front().get(), F_DUPFD_CLOEXEC, 0)));
  }
  return out;
}

gh_listener PluginRunner::describe(std::size_t listener, unsigned lane) const {
  const Bound& bound = listeners_[listener];
  gh_listener out{};
  out.struct_size = host_.size_of<gh_listener>();
  out.id = static_cast<std::uint32_t>(listener);
  out.name = to_border(bound.name);
  out.role = to_border(bound.spec.role);
  out.identity = to_border(bound.spec.identity);
  out.local = to_border(bound.local);
  out.fd = bound.sockets[lane].get();
  out.lane = lane;
  out.transport = bound.spec.transport;
  out.auth = bound.spec.auth;
  out.tls = bound.spec.tls ? 1 : 0;
  out.opening = bound.spec.http_opening ? GH_OPENING_HTTP : GH_OPENING_NONE;
  out.proxy_protocol = bound.spec.proxy_protocol ? 1 : 0;
  out.trusted_proxies = bound.trusted_proxies.data();
  out.trusted_proxy_count = bound.trusted_proxies.size();
  out.origins = bound.origins.data();
  out.origin_count = bound.origins.size();
  return out;
}

PluginRunner::Rows PluginRunner::describe(const std::vector<std::size_t>& indices) const {
  Rows out;
  for (const std::size_t listener : indices) {
    for (const auto& lane : lanes_) {
      const Grown<gh_listener> row{describe(listener, lane.known.index)};
      const auto* const begin = reinterpret_cast<const std::byte*>(&row);
      out.insert(out.end(), begin, begin + row.known.struct_size);
    }
  }
  return out;
}

void PluginRunner::start() {
  std::vector<std::size_t> all(listeners_.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const Rows rows = describe(all);
  const gh_start facts{sizeof facts, static_cast<std::uint32_t>(lanes_.size()), first_of(rows),
                       all.size() * lanes_.size()};
  Why why;
  if (ops_->start(instance_, &facts, &why.message) != GH_OK) throw std::runtime_error(why.sentence());
  for (auto& grown : lanes_)
    threads_.emplace_back([this, &lane = grown.known] {
      Why failure;
      host_.lane_begins(lane);
      const gh_status status = ops_->run_lane(instance_, &lane, &failure.message);
      if (status < 0) failures_[lane.index] = "lane " + std::to_string(lane.index) + ": " + failure.sentence();
    });
}

void PluginRunner::let_go() {
  host_.drop_completions();
  ops_->destroy(instance_);
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

PluginRunner::~PluginRunner() {
  try {
    stop();
  } catch (const std::exception&) {  // whoever needs to know calls stop()
  }
  let_go();
}

std::uint64_t PluginRunner::pending() const { return ops_->pending(instance_); }

std::uint64_t PluginRunner::turns(unsigned lane) const {
  return std::atomic_ref(const_cast<std::uint64_t&>(lanes_.at(lane).known.turns)).load(std::memory_order_relaxed);
}

void PluginRunner::wake(std::uint32_t reasons) {
  for (const auto& lane : lanes_) ops_->wake(instance_, lane.known.index, reasons);
}

gh_status PluginRunner::reconfigure(std::string_view options_json, std::string& why) {
  Why answer;
  const gh_status status = ops_->reconfigure(instance_, to_border(options_json), &answer.message);
  why = answer.sentence();
  return status;
}

gh_status PluginRunner::keep_listeners(const std::vector<std::size_t>& indices, std::string& why) {
  const Rows rows = describe(indices);
  Why answer;
  const gh_status status =
      ops_->listeners_changed(instance_, first_of(rows), indices.size() * lanes_.size(), &answer.message);
  if (status >= 0) wake(GH_WAKE_LISTENERS);
  why = answer.sentence();
  return status;
}

void PluginRunner::drain() {
  ops_->drain(instance_, to_ns(steady_now() + std::chrono::seconds(5)));
  wake(GH_WAKE_DRAIN);
}

void PluginRunner::stop() {
  if (threads_.empty()) return;
  ops_->stop(instance_);
  wake(GH_WAKE_STOP);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const std::string& failure : failures_)
    if (!failure.empty()) throw std::runtime_error(failure);
}

}  // namespace gatehouse::testkit
