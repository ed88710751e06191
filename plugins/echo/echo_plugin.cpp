// echo: sends back what it is sent, on streams and on datagrams. The example to copy for a frontend of one's own, and
// a tool to test listeners with. It forwards nothing, so policy has nothing to judge.
#include "plugins/echo/echo_stream.hpp"

#include <gatehouse/net/udp_listener.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <map>

namespace gatehouse::echo {
namespace {

struct EchoSettings {
  explicit EchoSettings(const Options& options)
      : most_streams(static_cast<std::size_t>(options.integer("max_streams"))) {}
  void check_change(const EchoSettings&) const {}

  std::size_t most_streams;
};

class EchoWorker final : public LaneWorker, private EchoStreamOwner {
 public:
  EchoWorker(const LaneContext& context, std::shared_ptr<const EchoSettings> settings)
      : context_(context),
        budget_(context),
        settings_(std::move(settings)),
        listeners_(context, {[this](Arrival arrival) { accept(std::move(arrival)); },
                             [this](const Error& error) {
                               context_.host.log().warn("accept paused", {{"why", error.message()}});
                             }}),
        datagrams_(context.host.counter(context.lane, "datagrams", "Datagrams that were sent back.")),
        streams_opened_(context.host.counter(context.lane, "streams", "Streams that were accepted.")),
        ticker_([this] { look_at_sessions(); }) {
    context_.loop.schedule(ticker_, kLook);
  }
  ~EchoWorker() override { context_.pending -= streams_.size(); }

  void configure(std::shared_ptr<const EchoSettings> settings) { settings_ = std::move(settings); }

  void listen(const std::vector<Listener>& listeners) override {
    listeners_.listen(listeners);
    udp_listeners_.clear();
    for (const Listener& listener : listeners) {
      if (listener.transport != Transport::udp) continue;
      auto& slot = udp_listeners_[listener.id];
      slot = std::make_unique<UdpListener>(context_.loop.poller(), listener.fd,
                                           [this, &slot](auto datagrams) { datagrams_.add(slot->send(datagrams)); });
    }
  }

  void drain(SteadyTime) override {
    listeners_.listen({});
    udp_listeners_.clear();
  }

 private:
  void accept(Arrival arrival) {
    if (streams_.size() >= settings_->most_streams || !make_place())
      return arrival.refuse({503, "the echo is full", std::chrono::seconds(5)});
    auto session = Session::open(context_, {.identity = arrival.identity(), .source = arrival.peer().source});
    if (!session) return arrival.refuse({503, "the gateway can remember no more sessions", std::chrono::seconds(5)});
    const IpAddress source = arrival.peer().source.address;
    const std::string identity = arrival.identity();
    auto echo = std::make_unique<EchoStream>(context_.loop, arrival.accept(), std::move(*session),
                                             static_cast<EchoStreamOwner&>(*this));
    if (!echo->start()) return;
    sources_.add(*echo, source, identity);
    streams_.emplace(echo.get(), std::move(echo));
    ++context_.pending;
    streams_opened_.add();
  }

  /// Each stream is a descriptor and a buffer. Where this lane's share of either is used up, the longest idle stream of
  /// the source with most of them gives way; what is left belongs to the gateway and to other plugins.
  bool make_place() {
    const auto is_short = [this](std::size_t share, Resource resource) {
      if (streams_.size() < share) return false;
      budget_.ran_short(resource);
      return true;
    };
    while (is_short(budget_.descriptors(), Resource::descriptors) ||
           is_short(budget_.memory() / sizeof(EchoStream), Resource::memory)) {
      SourceClient* const idlest = sources_.idlest();
      if (idlest == nullptr) return false;
      stream_ended(static_cast<EchoStream&>(*idlest));
    }
    return true;
  }

  /// Somebody may have ended them: a silent client's stream tells nobody.
  void look_at_sessions() {
    for (auto at = streams_.begin(); at != streams_.end();) {
      EchoStream& stream = *(at++)->second;
      if (!stream.has_session()) stream_ended(stream);
    }
    context_.loop.schedule(ticker_, kLook);
  }

  void stream_ended(EchoStream& stream) override {
    sources_.remove(stream);
    streams_.erase(&stream);
    --context_.pending;
  }

  static constexpr Nanoseconds kLook = std::chrono::milliseconds(250);

  LaneContext context_;
  const Budget budget_;
  std::shared_ptr<const EchoSettings> settings_;
  StreamListeners listeners_;
  Counter datagrams_, streams_opened_;
  SourceTable sources_;
  std::map<EchoStream*, std::unique_ptr<EchoStream>> streams_;
  std::map<std::uint32_t, std::unique_ptr<UdpListener>> udp_listeners_;
  LaneTimer ticker_;
};

class EchoPlugin final : public LanePlugin<EchoWorker, EchoSettings> {
  using LanePlugin::LanePlugin;
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::both, true, Openings::configured)};

}  // namespace
}  // namespace gatehouse::echo

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<gatehouse::echo::EchoPlugin>({
    .id = "echo",
    .version = "0.1.0",
    .summary = "Sends back what it is sent, on streams and datagrams.",
    .options_schema = R"({"properties": {
      "max_streams": {"type": "integer", "minimum": 1, "maximum": 1000000, "default": 1024, "x-reload": "live",
                      "description": "Streams that a lane serves at once; more are closed."}}})",
    .roles = gatehouse::echo::kRoles,
});
