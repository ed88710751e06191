// What token-1-0.so is made of (../keep.sh): the stream plugin of `gatehouse plugin new` of the first release, whose
// protocol has a place of its own for a token. A client's first bytes are its token; it is told whose that is, or is
// let go; all that follows is sent back. It says a notice about itself, so that a later gateway must know of that, too.
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/identities.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/notices.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <array>
#include <cstring>
#include <unordered_map>

namespace token_plugin {

using namespace gatehouse;

/// The options of [plugin.token-1-0.options], immutable.
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
  /// @param find_owner  whose token that is, or ""
  Client(LaneLoop& loop, Stream stream, Session session, PolicyClient policy,
         std::function<std::string(std::string_view)> find_owner, std::function<void()> ended)
      : loop_(loop),
        stream_(std::move(stream)),
        session_(std::move(session)),
        policy_(std::move(policy)),
        find_owner_(std::move(find_owner)),
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
        if (!is_known_ && !greet()) return ended_();
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

  /// False: its token is nobody's.
  bool greet() {
    const std::string owner = find_owner_({reinterpret_cast<const char*>(held_.data()), end_});
    std::memcpy(held_.data(), owner.data(), end_ = std::min(owner.size(), held_.size()));
    return is_known_ = !owner.empty();
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
  std::function<std::string(std::string_view)> find_owner_;
  std::function<void()> ended_;
  SteadyTime last_active_ = loop_.now();
  std::array<std::byte, 16384> held_;
  std::size_t begin_ = 0, end_ = 0;  // of what was read and is not written yet
  bool peer_done_ = false, is_known_ = false;
};

/// All that one lane, which is one thread, owns. Everything here is called on that thread.
class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings> settings)
      : context_(context),
        budget_(context),
        settings_(std::move(settings)),
        identities_(context),
        streams_(context.host.counter(context.lane, "streams", "Clients that were let in.")),
        listeners_(context, {[this](Arrival arrival) { arrived(std::move(arrival)); }, [](const Error&) {}}),
        ticker_([this] { look_at_clients(); }) {
    context_.loop.schedule(ticker_, kLook);
    Notices(context_.host).note("age", "it was built by the first release's SDK");
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
      return arrival.refuse({503, "token-1-0 is full", std::chrono::seconds(5)});
    }
    const std::string who = arrival.identity();
    const Endpoint from = arrival.peer().source;
    auto session = Session::open(context_, {.identity = who, .source = from});
    if (!session) return arrival.refuse({503, "no more sessions", std::chrono::seconds(5)});
    auto policy = PolicyClient::open(
        context_, {.listener = arrival.listener().id, .source = from, .identity = who, .session = session->id()});
    if (!policy) return arrival.refuse({403, "not allowed", std::chrono::seconds(0)});

    const std::uint64_t id = session->id();
    const auto find_owner = [this, from, at = arrival.listener().id](std::string_view token) {
      const auto owner = identities_.find_token(token, at, from);
      return owner ? owner->identity : std::string();
    };
    auto client = std::make_unique<Client>(context_.loop, arrival.accept(), std::move(*session), std::move(*policy),
                                           find_owner, [this, id] { end(id); });
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
  Identities identities_;
  std::shared_ptr<const Settings> settings_;
  Counter streams_;
  StreamListeners listeners_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Client>> clients_;  // by their sessions
  LaneTimer ticker_;
};

class Frontend final : public LanePlugin<Worker, Settings> {
  using LanePlugin::LanePlugin;
};

constexpr Role kRoles[] = {make_role("listen", RoleKind::streams, true, Openings::own_token)};

}  // namespace token_plugin

extern "C" [[gnu::visibility("default")]] const gatehouse::Manifest gatehouse_plugin;
const gatehouse::Manifest gatehouse_plugin = gatehouse::make_manifest<token_plugin::Frontend>({
    .id = "token-1-0",
    .version = "0.1.0",
    .summary = "Says whose token a client shows, and sends back the rest.",
    .options_schema = R"({"properties": {
      "idle_seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 300, "x-reload": "live",
                       "description": "A client that sends nothing for so long is let go."}}})",
    .roles = token_plugin::kRoles,
});
