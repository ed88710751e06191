// A plugin that keeps what it gives out: each client has an address of its own, for as long as it likes, whatever
// happens to the gateway. Its marked parts are the example of sdk/README.md.
//
// A client sends its secret, 32 characters or more, and a line feed; it is told its address and a number that nobody
// else was ever told, and a line feed; then all that it sends is counted.
#pragma once

#include <gatehouse/net/stream_listener.hpp>
#include <gatehouse/plugin/kept_sessions.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/number_blocks.hpp>
#include <gatehouse/plugin/session.hpp>
#include <gatehouse/plugin/values.hpp>

#include <array>
#include <list>
#include <set>

namespace gatehouse::address_server {

using namespace std::chrono_literals;

struct Settings {
  explicit Settings(const Options&) {}
  void check_change(const Settings&) const {}
};

// ---- README: what lanes share
/// Made in start(), before any lane runs.
struct Shared {
  Shared(const StartContext& context, const Settings&) : key(32) {
    const Values values(context.host);
    if (const auto kept = values.get("key")) {
      key = *kept;
    } else {
      context.host.random(key);
      if (values.put_and_wait("key", key, ValueKind::secret, context.completions))
        throw std::runtime_error("a new key cannot be kept: `gatehouse status` says what is wrong with the store");
    }
    for_each_kept(
        context.host, [](const KeptSession&) {},
        [this](const KeptLease& lease) { leased.insert(std::string(lease.resource)); });
  }
  std::vector<std::byte> key;
  std::set<std::string> leased;  ///< by clients that may come back
};
// ---- end

class Client final : private Readiness {
 public:
  Client(const LaneContext& context, const Shared& shared, NumberBlocks& numbers, Stream stream)
      : context_(context), shared_(shared), numbers_(numbers), stream_(std::move(stream)) {
    if (!stream_.watch(context_.loop.poller(), *this)) end();
  }

  // ---- README: a client comes
  void hello(std::string_view secret) {
    auto session = Session::open(context_, {.key = secret, .source = stream_.peer().source});
    if (!session) return end();
    session_ = std::move(*session);
    address_ = text_of(session_->take_blob());  // of one that has been here before
    const auto then = [this](Error failure) { return failure ? end() : answer(); };
    if (!address_.empty() && !session_->lease(address_, 1h, then)) return;
    for (int host = 2; host < 255; ++host) {
      address_ = "10.0.0." + std::to_string(host);
      if (shared_.leased.contains(address_)) continue;
      session_->keep(1, bytes_of(address_));
      const Error taken = session_->lease(address_, 1h, then);
      if (!taken) return;
      if (taken != Errc::exists) break;  // the store cannot say, or is full: another address will not do better
    }
    end();
  }

  void answer() {
    if (const auto number = numbers_.next()) return say(address_ + ' ' + std::to_string(*number) + '\n');
    if (numbers_.when_ready([this](Error failure) { failure ? end() : answer(); })) end();
  }

  void take(Bytes batch) {
    if (!session_->is_mine()) return end();  // the client has come again
    session_->count_up(1, batch.size());
  }
  // ---- end

  /// Also where nothing comes: the lane looks now and then.
  void look() {
    if (session_ && !session_->is_mine()) end();
  }
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  void say(const std::string& line) {
    if (!stream_.write(bytes_of(line))) end();
  }
  void end() {
    ended_ = true;
    session_.reset();
    stream_.close();
  }
  void on_ready(std::uint32_t) override {
    std::array<std::byte, 4096> bytes;
    const auto got = stream_.read(bytes);
    if (!got) return got.error() == Errc::would_block ? void() : end();
    const Bytes batch = Bytes(bytes).first(*got);
    if (session_) return take(batch);
    secret_ += text_of(batch);
    if (const auto line = secret_.find('\n'); line != secret_.npos) hello(secret_.substr(0, line));
  }

  LaneContext context_;
  const Shared& shared_;
  NumberBlocks& numbers_;
  Stream stream_;
  std::optional<Session> session_;
  std::string secret_, address_;
  bool ended_ = false;
};

class Worker final : public LaneWorker {
 public:
  Worker(const LaneContext& context, std::shared_ptr<const Settings>, Shared& shared)
      : context_(context), shared_(shared), numbers_(context, "serial", 4), timer_([this] { look(); }) {
    look();
  }
  void configure(std::shared_ptr<const Settings>) {}
  void listen(const std::vector<Listener>& listeners) override {
    listeners_.clear();
    for (const Listener& listener : listeners)
      listeners_.emplace_back(
          context_.loop, listener.fd,
          [this](Stream stream) { clients_.emplace_back(context_, shared_, numbers_, std::move(stream)); },
          [](const Error&) {});
  }
  void drain(SteadyTime) override {}

 private:
  void look() {
    for (Client& client : clients_) client.look();
    clients_.remove_if([](const Client& client) { return client.ended(); });
    context_.loop.schedule(timer_, 5ms);
  }

  LaneContext context_;
  Shared& shared_;
  NumberBlocks numbers_;
  std::list<Client> clients_;
  std::list<StreamListener> listeners_;
  LaneTimer timer_;
};

class AddressServer final : public LanePlugin<Worker, Settings, Shared> {
  using LanePlugin::LanePlugin;
};

inline constexpr gh_listener_role kRoles[] = {make_role("listen", RoleKind::streams, true)};
inline constexpr gh_manifest kManifest = make_manifest<AddressServer>(
    {.id = "addresses", .version = "0.1.0", .summary = "Gives each client an address that it keeps.", .roles = kRoles});

}  // namespace gatehouse::address_server
