// my-protocol: IP packets in a stream, each behind its length. It answers pings itself, of every address that policy
// lets the client reach, and tells the sender of any other packet why that went nowhere.
#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/packet_reply.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <array>
#include <unordered_map>

namespace my_protocol_plugin {

using namespace gatehouse;

constexpr std::byte kHops{64};  // the line to change: how far an answer to a ping may go

/// The options of [plugin.my-protocol.options], immutable.
struct Settings {
  explicit Settings(const Options& options) : mtu(static_cast<std::size_t>(options.integer("mtu"))) {}
  /// Throws NeedsRestart for what cannot change while the plugin runs.
  void check_change(const Settings&) const {}

  std::size_t mtu;
};

/// Changes the two bytes at `at`, and the checksum that covers them by the difference.
template <class Change>
void rewrite(MutableBytes packet, std::size_t at, std::size_t checksum, Change change) {
  const MutableBytes word = packet.subspan(at, 2);
  const std::uint64_t before = sum_words(word);
  change(word);
  adjust_checksum(packet.subspan(checksum).first<2>(), before, sum_words(word));
}

/// Is it a ping, whole and not an answer?
bool is_ping(const IpPacket& facts) {
  return facts.is_icmp_echo() && !facts.is_fragment && facts.icmp_type == (facts.version == 4 ? 8 : 128);
}

/// Turns a ping into its answer where it lies. Sums do not mind that addresses change places.
void make_answer(MutableBytes packet, const IpPacket& facts) {
  const bool v4 = facts.version == 4;
  const MutableBytes source = packet.subspan(v4 ? 12 : 8, v4 ? 4 : 16), destination = packet.subspan(v4 ? 16 : 24);
  std::swap_ranges(source.begin(), source.end(), destination.begin());
  rewrite(packet, facts.transport, facts.transport + 2u,
          [v4](MutableBytes type) { type[0] = std::byte(v4 ? 0 : 129); });
  if (v4) {
    rewrite(packet, 8, 10, [](MutableBytes hops) { hops[0] = kHops; });
  } else {
    packet[7] = kHops;  // IPv6 has no header checksum
  }
}

/// One client. Reads nothing while answers wait, so that one who does not read costs its two buffers and no more.
class Client final : private Readiness {
 public:
  /// @param ended  the last thing that this client does: destroy it
  Client(LaneLoop& loop, Stream stream, Session session, PolicyClient policy, std::size_t mtu,
         std::function<void()> ended)
      : loop_(loop),
        stream_(std::move(stream)),
        session_(std::move(session)),
        policy_(std::move(policy)),
        mtu_(mtu),
        ended_(std::move(ended)) {
    stream_.limit_unsent(out_.size());
  }
  /// False: the stream cannot be watched; destroy this.
  [[nodiscard]] bool start() { return stream_.watch(loop_.poller(), *this).has_value(); }
  /// Somebody has ended the session.
  [[nodiscard]] bool is_over() const { return !session_.is_mine(); }

 private:
  void on_ready(std::uint32_t) override {
    if (!write_answers()) return ended_();
    if (out_begin_ == out_end_) {
      const Result<std::size_t> got = stream_.read(MutableBytes(in_).subspan(in_end_));
      if (!got && got.error() != Errc::would_block) return ended_();
      in_end_ += got ? *got : 0;
      if (!take_packets() || !write_answers()) return ended_();
    }
    stream_.watch_for(out_begin_ == out_end_, out_begin_ != out_end_);
  }

  /// False: what comes is not packets.
  bool take_packets() {
    out_begin_ = out_end_ = 0;
    FrameReader reader(MutableBytes(in_).first(in_end_), mtu_);
    auto next = reader.next();
    for (; next.kind == FrameReader::Kind::frame; next = reader.next()) take(next.packet);
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(reader.used()),
              in_.begin() + static_cast<std::ptrdiff_t>(in_end_), in_.begin());
    in_end_ -= reader.used();
    return next.kind == FrameReader::Kind::need_more;
  }

  void take(MutableBytes packet) {
    session_.count_up(1, packet.size());
    const auto facts = IpPacket::parse(packet);
    if (!facts) return;  // a counter of its reason_of() would be the thing
    const IpAddress to = facts->destination_address(packet);
    const FlowFacts flow{.destination = {to, facts->destination_port},
                         .protocol = static_cast<Protocol>(facts->protocol)};
    if (policy_.check(flow).allowed && is_ping(*facts)) {
      make_answer(packet, *facts);
      return add_answer(packet);
    }
    // A packet that may go, but is no ping, would go to a tun device (net/tun_device.hpp) or a socket of its flow's.
    const Unreachable why = policy_.check(flow).allowed ? Unreachable::no_route : Unreachable::prohibited;
    std::array<std::byte, kLargestReply> reply;
    add_answer(MutableBytes(reply).first(make_unreachable(why, packet, *facts, to, 0, reply)));
  }

  void add_answer(Bytes packet) {
    const MutableBytes room = MutableBytes(out_).subspan(out_end_);
    if (packet.empty() || room.size() < kFrameLengthSize + packet.size()) return;
    store_big(room, static_cast<std::uint16_t>(packet.size()));
    std::copy(packet.begin(), packet.end(), room.begin() + kFrameLengthSize);
    out_end_ += kFrameLengthSize + packet.size();
    session_.count_down(1, packet.size());
  }

  /// False: the peer is gone.
  bool write_answers() {
    while (out_begin_ != out_end_) {
      const Result<std::size_t> put = stream_.write(Bytes(out_).subspan(out_begin_, out_end_ - out_begin_));
      if (!put) return put.error() == Errc::would_block;
      out_begin_ += *put;
    }
    return true;
  }

  static constexpr std::size_t kInput = 16384;

  LaneLoop& loop_;
  Stream stream_;
  Session session_;      // what it has carried; `gatehouse sessions` shows it
  PolicyClient policy_;  // what it may reach
  std::size_t mtu_;
  std::function<void()> ended_;
  std::array<std::byte, kInput> in_;
  std::array<std::byte, 3 * kInput> out_;  // no answer is three times as long as its question, lengths included
  std::size_t in_end_ = 0, out_begin_ = 0, out_end_ = 0;
};

/// All that one lane, which is one thread, owns. Everything here is called on that thread.
class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings> settings)
      : context_(context),
        budget_(context),
        settings_(std::move(settings)),
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
                                           settings_->mtu, [this, id] { end(id); });
    if (!client->start()) return;
    clients_.emplace(id, std::move(client));
    ++context_.pending;
  }

  void end(std::uint64_t id) {
    clients_.erase(id);
    --context_.pending;
  }

  void look_at_clients() {
    context_.pending -= std::erase_if(clients_, [](const auto& one) { return one.second->is_over(); });
    context_.loop.schedule(ticker_, kLook);
  }

  static constexpr Nanoseconds kLook = std::chrono::milliseconds(500);

  LaneContext context_;
  Budget budget_;
  std::shared_ptr<const Settings> settings_;
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
    .summary = "Answers pings that come in a stream.",
    .options_schema = R"({"properties": {
      "mtu": {"type": "integer", "minimum": 68, "maximum": 9000, "default": 1500, "x-reload": "live",
              "description": "The longest packet, in bytes; a client that sends a longer one is let go."}}})",
    .roles = my_protocol_plugin::kRoles,
});
