// my-protocol: sends back what a client sends, over UDP. It keeps nothing about clients, so that forged addresses cost
// nothing, and answers with no more bytes than it was asked with, so that it cannot be used to flood others.
#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>

#include <map>

namespace my_protocol_plugin {

using namespace gatehouse;

/// What goes back for `bytes`, which a client has sent. Begin here.
void answer(MutableBytes bytes) {
  for (std::byte& one : bytes) one ^= std::byte{0x00};  // the line to change: 0x20 makes lower case upper
}

/// The options of [plugin.my-protocol.options], immutable.
struct Settings {
  explicit Settings(const Options& options) : most_bytes(static_cast<std::size_t>(options.integer("max_bytes"))) {}
  /// Throws NeedsRestart for what cannot change while the plugin runs.
  void check_change(const Settings&) const {}

  std::size_t most_bytes;
};

/// All that one lane, which is one thread, owns. Everything here is called on that thread.
class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings> settings)
      : context_(context),
        settings_(std::move(settings)),
        answered_(context.host.counter(context.lane, "answered", "Datagrams that were answered.")),
        dropped_(context.host.counter(context.lane, "dropped", "Datagrams that were not.", {{"cause", "too_long"}})) {}

  void configure(std::shared_ptr<const Settings> settings) { settings_ = std::move(settings); }

  /// Each lane has a socket of its own on every address; the kernel spreads clients over them.
  void listen(const std::vector<Listener>& listeners) override {
    sockets_.clear();
    for (const Listener& listener : listeners) {
      std::unique_ptr<UdpListener>& socket = sockets_[listener.id];
      socket = std::make_unique<UdpListener>(context_.loop.poller(), listener.fd,
                                             [this, &socket](auto datagrams) { came(*socket, datagrams); });
    }
  }

  void drain(SteadyTime) override { sockets_.clear(); }

 private:
  /// Up to 64 at a time, in the socket's buffers; an answer is put together where the question lies.
  void came(UdpListener& socket, std::span<Datagram> datagrams) {
    for (Datagram& one : datagrams) {
      if (one.payload.size() > settings_->most_bytes) {
        dropped_.add();
        continue;
      }
      answer(one.payload);
      socket.queue(one);  // to where it came from, from the address that was asked
      answered_.add();
    }
    socket.flush();
  }

  LaneContext context_;
  std::shared_ptr<const Settings> settings_;
  Counter answered_, dropped_;
  std::map<std::uint32_t, std::unique_ptr<UdpListener>> sockets_;  // by Listener::id
};

class Frontend final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::datagrams, true)};

}  // namespace my_protocol_plugin

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<my_protocol_plugin::Frontend>({
    .id = "my-protocol",
    .version = "0.1.0",
    .summary = "Sends back what a client sends.",
    .options_schema = R"({"properties": {
      "max_bytes": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 1400, "x-reload": "live",
                    "description": "Longer datagrams are dropped."}}})",
    .roles = my_protocol_plugin::kRoles,
});
