#include <gatehouse/testkit/fake_host.hpp>

#include <gatehouse/plugin/host.hpp>

#include <boost/system/system_error.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>

namespace gatehouse::testkit {
namespace {

struct Why {
  std::string text = std::string(1024, '\0');
  gh_message message{text.data(), text.size(), 0};
  std::string said() const { return text.substr(0, message.size); }
};

void must(bool ok, const char* what) {
  if (!ok) throw boost::system::system_error(last_system_error(), what);
}

/// A socket on 127.0.0.1; `port` 0 = any, and then the one that it got.
UniqueFd listen_on_loopback(std::uint32_t transport, std::uint16_t& port) {
  const bool stream = transport == GH_TRANSPORT_TCP;
  UniqueFd fd(socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  must(static_cast<bool>(fd), "socket");
  const int on = 1;
  must(setsockopt(fd.get(), SOL_SOCKET, stream ? SO_REUSEADDR : SO_REUSEPORT, &on, sizeof on) == 0, "setsockopt");
  sockaddr_storage address{};
  socklen_t size = Endpoint{IpAddress::v4(0x7f000001), port, 0}.to_sockaddr(address);
  must(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0, "bind");
  must(!stream || listen(fd.get(), 512) == 0, "listen");
  size = sizeof address;
  must(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port = Endpoint::from_sockaddr(address).port;
  return fd;
}

}  // namespace

PluginRunner::PluginRunner(const gh_manifest& manifest, FakeHost& host, std::string_view options_json, unsigned lanes,
                           std::uint32_t transport)
    : ops_(manifest.ops), host_(host, manifest.id) {
  Why why;
  if (ops_->create(host_.table(), to_border(manifest.id), &instance_, &why.message) != GH_OK)
    throw std::runtime_error(why.said());
  if (ops_->configure(instance_, to_border(options_json), 0, &why.message) != GH_OK) {
    host_.drop_completions();
    ops_->destroy(instance_);
    throw std::runtime_error(why.said());
  }

  address_ = Endpoint{IpAddress::v4(0x7f000001), 0, 0};
  std::vector<gh_listener> listeners;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (transport == GH_TRANSPORT_TCP && lane > 0) {
      sockets_.emplace_back(dup(sockets_.front().get()));
    } else {
      sockets_.push_back(listen_on_loopback(transport, address_.port));
    }
    gh_listener listener{};
    listener.struct_size = sizeof listener;
    listener.name = to_border("test");
    listener.role = to_border("listen");
    listener.local = to_border(address_);
    listener.fd = sockets_.back().get();
    listener.lane = lane;
    listener.transport = transport;
    listeners.push_back(listener);
    lanes_.push_back({sizeof(gh_lane), lane, lanes, -1, 0});
  }
  const gh_start start{sizeof start, lanes, listeners.data(), listeners.size()};
  if (ops_->start(instance_, &start, &why.message) != GH_OK) {
    host_.drop_completions();
    ops_->destroy(instance_);
    throw std::runtime_error(why.said());
  }
  failures_.resize(lanes);
  for (unsigned lane = 0; lane < lanes; ++lane)
    threads_.emplace_back([this, lane] {
      Why said;
      if (ops_->run_lane(instance_, &lanes_[lane], &said.message) != GH_OK) failures_[lane] = said.said();
    });
}

PluginRunner::~PluginRunner() {
  try {
    stop();
  } catch (const std::exception&) {  // whoever wants to know calls stop()
  }
  host_.drop_completions();
  ops_->destroy(instance_);
}

std::uint64_t PluginRunner::pending() const { return ops_->pending(instance_); }

void PluginRunner::policy_changed() {
  for (const gh_lane& lane : lanes_) ops_->wake(instance_, lane.index, GH_WAKE_POLICY);
}

gh_status PluginRunner::reconfigure(std::string_view options_json, std::string& why) {
  Why said;
  const gh_status status = ops_->reconfigure(instance_, to_border(options_json), &said.message);
  why = said.said();
  return status;
}

void PluginRunner::drain() { ops_->drain(instance_, to_ns(steady_now() + std::chrono::seconds(5))); }

void PluginRunner::stop() {
  if (threads_.empty()) return;
  ops_->stop(instance_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const std::string& failure : failures_)
    if (!failure.empty()) throw std::runtime_error(failure);
}

}  // namespace gatehouse::testkit
