// plugin: a stream on its way in, for stream_listeners.cpp and the stages in stream_opening.cpp and api_opening.cpp.
#pragma once

#include <gatehouse/plugin/stream_listeners.hpp>

#include <gatehouse/net/socket_layer.hpp>
#include <gatehouse/net/tls_layer.hpp>

#include <array>
#include <optional>

namespace gatehouse {

enum class StreamListeners::Refusal : std::uint8_t {
  too_many,
  too_fast,
  too_slow,
  proxy,
  tls,
  http,
  credential,
  system,
  count
};

struct StreamListeners::Counters {
  explicit Counters(const LaneContext& context);

  std::array<Counter, static_cast<std::size_t>(Refusal::count)> refused;
  Counter handshakes, resumed, in_kernel;
};

/// One stream on its way in, or a connection to an API with its request under way. It reads what its stage needs, and
/// never more than the next one can be given.
///
///   proxy -> tls -> http -> identity -> the frontend's
///              of an API:      `-> answer -> sending -> http, or its end
class StreamListeners::Opening final : public HeldReadiness,
                                       public SourceClient,
                                       public ApiCall::Line,
                                       public std::enable_shared_from_this<Opening> {
 public:
  Opening(StreamListeners& owner, std::shared_ptr<const Listener> listener, UniqueFd socket, StreamPeer peer)
      : owner_(owner),
        listener_(std::move(listener)),
        socket_(std::move(socket)),
        peer_(peer),
        stage_(listener_->proxy_protocol ? Stage::proxy : after_proxy()),
        connection_(peer) {
    last_active = owner.context_.loop.now();
  }
  ~Opening() { leave(); }

  /// False: the system cannot watch it.
  [[nodiscard]] bool start() {
    if (stage_ == Stage::identity) return identify(), true;
    is_watched_ = owner_.context_.loop.poller().add(socket_.get(), EPOLLIN, *this).has_value();
    return is_watched_;
  }
  [[nodiscard]] std::uint32_t listener() const noexcept { return listener_->id; }
  void refuse(Refusal why, std::string_view detail);
  /// Its time is over.
  void end_as_slow();
  [[nodiscard]] Nanoseconds patience() const noexcept { return stage_ == Stage::answer ? kPatience : kDeadline; }
  /// Is somebody waiting for an answer, or getting it?
  [[nodiscard]] bool is_asking() const noexcept { return stage_ == Stage::answer || stage_ == Stage::sending; }

 private:
  enum class Stage : std::uint8_t { proxy, tls, http, identity, answer, sending };
  static std::string_view name_of(Stage stage) noexcept {
    constexpr std::string_view kNames[] = {"PROXY header", "TLS handshake", "HTTP", "identity", "answer", "sending"};
    return kNames[static_cast<std::size_t>(stage)];
  }
  [[nodiscard]] Stage after_proxy() const noexcept { return listener_->tls ? Stage::tls : after_tls(); }
  [[nodiscard]] Stage after_tls() const noexcept { return speaks_http() ? Stage::http : Stage::identity; }
  [[nodiscard]] bool speaks_http() const noexcept { return listener_->http_opening || owner_.asked_; }

  void on_ready(std::uint32_t events) override {
    const auto alive = shared_from_this();  // whatever comes of it
    if (stage_ == Stage::answer) {
      if ((events & (EPOLLHUP | EPOLLERR)) != 0) end();
      return;
    }
    Stage before;
    do {
      before = stage_;
      advance();
    } while (!is_over_ && stage_ != before);
  }
  void advance() {
    switch (stage_) {
      case Stage::proxy: return read_proxy_header();
      case Stage::tls: return shake_hands();
      case Stage::http: return owner_.asked_ ? read_api_request() : read_http();
      case Stage::identity: return identify();
      case Stage::answer: return;
      case Stage::sending: return send();
    }
  }
  void read_proxy_header();
  void shake_hands();
  void read_http();
  void take_request(HttpRequest request);
  void read_api_request();
  [[nodiscard]] bool take_forwarded_for(std::span<const IpAddress> forwarded_for);
  void ask(std::string identity);
  void answer(const ApiAnswer& answer) override;
  void hang_up() override { end(); }
  void send();
  void begin_next();
  void wait_for(std::uint32_t events);
  [[nodiscard]] StreamLayer& layer();
  /// Nobody is refused: it is over.
  void end();
  [[nodiscard]] bool may_work(TurnCount& count, unsigned most);
  [[nodiscard]] bool may_begin();
  [[nodiscard]] bool speaks_for_others() const noexcept;
  /// Nobody needs to be known here, or the plugin asks for the token itself (Openings::own_token).
  [[nodiscard]] bool may_arrive_unknown() const noexcept {
    return !listener_->needs_credential() || (listener_->takes_token && !listener_->http_opening && !owner_.asked_);
  }
  [[nodiscard]] bool takes(bool kind) const noexcept { return kind || !listener_->needs_credential(); }
  void identify();
  bool identify_by_certificate();
  bool identify_by_token();
  void arrive(std::string identity);
  void refuse_request(HttpRefusal why, std::string_view detail = {});
  [[nodiscard]] bool read_more(std::size_t most);
  void leave() noexcept;
  [[nodiscard]] const IpAddress& source() const noexcept { return peer_.source.address; }

  StreamListeners& owner_;
  std::shared_ptr<const Listener> listener_;
  UniqueFd socket_;
  StreamPeer peer_;
  Stage stage_;
  bool is_watched_ = false, is_over_ = false, is_asked_ = false, has_begun_ = false;
  std::unique_ptr<TlsLayer> tls_;
  std::vector<std::byte> head_;  // read and not used: of a PROXY header, of an HTTP opening, and what is behind it
  std::optional<Arrival::Http> http_;
  std::string shown_;  // names of a certificate that are nobody's

  // Of an API.
  StreamPeer connection_;  // whose it is, as far as no request says otherwise
  std::optional<ApiRequest> request_;
  std::unique_ptr<SocketLayer> plain_;  // where there is no TLS, from the first answer on
  std::size_t needed_ = 0;              // bytes of a request that is not whole
  unsigned requests_ = 0;
  bool goes_on_ = false;
};

}  // namespace gatehouse
