// my-protocol: sends back what a client sends, over TCP, Unix sockets, TLS or WebSocket, as each listener is
// configured.
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <array>
#include <unordered_map>

namespace my_protocol_plugin {

using namespace gatehouse;

/// What goes back for `bytes`, which a client has sent. Begin here.
void answer(MutableBytes bytes) {
  for (std::byte& one : bytes) one ^= std::byte{0x00};  // the line to change: 0x20 makes lower case upper
}

/// The options of [plugin.my-protocol.options], immutable.
struct Settings {
  explicit Settings(const Options& options) : idle(std::chrono::seconds(options.integer("idle_seconds"))) {}
  /// Throws NeedsRestart for what cannot change while the plugin runs.
  void check_change(const Settings&) const {}

  Nanoseconds idle;
};

/// One client. Reads no more than it can write, so that one who does not read costs a buffer and no more.
class Client final : private Readiness {
 public:
  /// @param ended  the last thing that this client does: destroy it
  Client(LaneLoop& loop, Stream stream, Session session, PolicyClient policy, std::function<void()> ended)
      : loop_(loop),
        stream_(std::move(stream)),
        session_(std::move(session)),
        policy_(std::move(policy)),
        ended_(std::move(ended)) {
    stream_.limit_unsent(held_.size());
  }
  /// False: the stream cannot be watched; destroy this.
  [[nodiscard]] bool start() { return stream_.watch(loop_.poller(), *this).has_value(); }
  /// Somebody has ended the session, or nothing came for so long.
  [[nodiscard]] bool is_over(Nanoseconds idle) const {
    return !session_.is_mine() || loop_.now() - last_active_ > idle;
  }

 private:
  void on_ready(std::uint32_t) override {
    last_active_ = loop_.now();
    if (!write_held()) return ended_();
    if (held_left() == 0 && !peer_done_) {
      const Result<std::size_t> got = stream_.read(held_);
      if (got) {
        begin_ = 0, end_ = *got;
        session_.count_up(0, *got);
        answer(MutableBytes(held_).first(end_));
        if (!write_held()) return ended_();
      } else if (got.error() == Errc::closed) {
        peer_done_ = true;
      } else if (got.error() != Errc::would_block) {
        return ended_();
      }
    }
    if (peer_done_ && held_left() == 0 && !stream_.has_unsent()) return ended_();
    stream_.watch_for(held_left() == 0 && !peer_done_, held_left() != 0 || peer_done_);
  }

  /// False: the peer is gone.
  bool write_held() {
    while (held_left() != 0) {
      const Result<std::size_t> put = stream_.write(Bytes(held_).subspan(begin_, held_left()));
      if (!put) return put.error() == Errc::would_block;
      begin_ += *put;
      session_.count_down(0, *put);
    }
    return true;
  }
  [[nodiscard]] std::size_t held_left() const { return end_ - begin_; }

  LaneLoop& loop_;
  Stream stream_;
  Session session_;      // what it has carried; `gatehouse sessions` shows it
  PolicyClient policy_;  // its place among the clients that policy counts
  std::function<void()> ended_;
  SteadyTime last_active_ = loop_.now();
  std::array<std::byte, 16384> held_;
  std::size_t begin_ = 0, end_ = 0;  // of what was read and is not written yet
  bool peer_done_ = false;
};

/// All that one lane, which is one thread, owns. Everything here is called on that thread.
class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings> settings)
      : context_(context),
        budget_(context),
        settings_(std::move(settings)),
        streams_(context.host.counter(context.lane, "streams", "Clients that were let in.")),
        listeners_(context, {[this](Arrival arrival) { arrived(std::move(arrival)); }, [](const Error&) {}}),
        ticker_([this] { look_at_clients(); }) {
    context_.loop.schedule(ticker_, kLook);
  }
  ~Worker() override { context_.pending -= clients_.size(); }

  void configure(std::shared_ptr<const Settings> settings) { settings_ = std::move(settings); }
  void listen(const std::vector<Listener>& listeners) override { listeners_.listen(listeners); }
  void drain(SteadyTime) override { listeners_.listen({}); }

 private:
  /// Proxy header, TLS, HTTP opening and credential are behind it, as far as its listener asks for them.
  void arrived(Arrival arrival) {
    const std::size_t most = std::min(budget_.descriptors(), budget_.memory() / sizeof(Client));
    if (clients_.size() >= most) {
      budget_.ran_short(Resource::descriptors);
      return arrival.refuse({503, "my-protocol is full", std::chrono::seconds(5)});
    }
    const std::string who = arrival.identity();
    const Endpoint from = arrival.peer().source;
    auto session = Session::open(context_, {.identity = who, .source = from});
    if (!session) return arrival.refuse({503, "no more sessions", std::chrono::seconds(5)});
    auto policy = PolicyClient::open(
        context_, {.listener = arrival.listener().id, .source = from, .identity = who, .session = session->id()});
    if (!policy) return arrival.refuse({403, "not allowed", std::chrono::seconds(0)});

    const std::uint64_t id = session->id();
    auto client = std::make_unique<Client>(context_.loop, arrival.accept(), std::move(*session), std::move(*policy),
                                           [this, id] { end(id); });
    if (!client->start()) return;
    clients_.emplace(id, std::move(client));
    ++context_.pending;
    streams_.add();
  }

  void end(std::uint64_t id) {
    clients_.erase(id);
    --context_.pending;
  }

  void look_at_clients() {
    context_.pending -=
        std::erase_if(clients_, [this](const auto& one) { return one.second->is_over(settings_->idle); });
    context_.loop.schedule(ticker_, kLook);
  }

  static constexpr Nanoseconds kLook = std::chrono::milliseconds(500);

  LaneContext context_;
  Budget budget_;
  std::shared_ptr<const Settings> settings_;
  Counter streams_;
  StreamListeners listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_;  // by their sessions
  LaneTimer ticker_;
};

class Frontend final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::configured)};

}  // namespace my_protocol_plugin

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<my_protocol_plugin::Frontend>({
    .id = "my-protocol",
    .version = "0.1.0",
    .summary = "Sends back what a client sends.",
    .options_schema = R"({"properties": {
      "idle_seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 300, "x-reload": "live",
                       "description": "A client that sends nothing for so long is let go."}}})",
    .roles = my_protocol_plugin::kRoles,
});
