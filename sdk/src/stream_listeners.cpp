#include <gatehouse/plugin/stream_listeners.hpp>

#include <gatehouse/net/proxy_header.hpp>
#include <gatehouse/net/socket_layer.hpp>
#include <gatehouse/net/tls_layer.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kOpeningsPart = 16;  // of the lane's descriptors
constexpr std::size_t kLeastOpenings = 8, kMostOpenings = 1024;
constexpr std::size_t kLongestNames = 512;                     // of a certificate, in the log
constexpr Nanoseconds kLook = std::chrono::milliseconds(250);  // for those that are too slow

TlsSettings settings_of(const Certificate& from, const Listener& listener) {
  TlsSettings out;
  out.chain = from.chain;
  out.key = from.key;
  if (listener.takes_certificate || !listener.needs_credential()) out.client_ca = from.client_ca;
  out.requires_certificate = listener.takes_certificate && !listener.takes_token && !listener.takes_user;
  out.alpn = from.alpn;
  out.ticket_key = from.ticket_key;
  out.ticket_key_before = from.ticket_key_before;
  out.least_version = static_cast<std::uint16_t>(from.least_version);
  out.ktls = from.ktls;
  out.scope = listener.name;
  return out;
}

bool is_one_of(const IpAddress& address, const std::vector<Prefix>& networks) noexcept {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Prefix& one) { return one.contains(address.unmapped()); });
}

/// Everybody on the way could read them.
bool sends_tokens_in_clear(const Listener& listener, const IpAddress& client) noexcept {
  return listener.takes_token && !listener.tls && client.family() != Family::none && !client.unmapped().is_loopback() &&
         !is_one_of(client, listener.trusted_proxies);
}

}  // namespace

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
  explicit Counters(const LaneContext& context) {
    constexpr const char* kCauses[] = {"too_many", "too_fast", "too_slow",   "proxy",
                                       "tls",      "http",     "credential", "system"};
    static_assert(std::size(kCauses) == static_cast<std::size_t>(Refusal::count));
    for (std::size_t i = 0; i < std::size(kCauses); ++i)
      refused[i] =
          context.host.counter(context.lane, "openings_refused",
                               "Streams that were closed before the frontend had them.", {{"cause", kCauses[i]}});
    handshakes = context.host.counter(context.lane, "tls_handshakes", "TLS handshakes that were completed.");
    resumed = context.host.counter(context.lane, "tls_resumed", "Of these, with a ticket.");
    in_kernel = context.host.counter(context.lane, "tls_in_kernel", "Of these, whose records the kernel makes.");
  }
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
  void take_forwarded_for(std::span<const IpAddress> forwarded_for);
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

void StreamListeners::Opening::leave() noexcept {
  if (std::exchange(is_watched_, false)) owner_.context_.loop.poller().remove(socket_.get(), *this);
  owner_.sources_.remove(*this);
  is_over_ = true;
}

void StreamListeners::Opening::refuse(Refusal why, std::string_view detail) {
  const auto alive = shared_from_this();
  leave();
  owner_.openings_.erase(this);
  owner_.refuse(peer_, *listener_, why, detail);
  tls_.reset();
  socket_.reset();
}

/// Appends to head_, up to `most` bytes in all. False: nothing has come, or it is over.
bool StreamListeners::Opening::read_more(std::size_t most) {
  const std::size_t before = head_.size();
  head_.resize(most);
  const MutableBytes place = MutableBytes(head_).subspan(before);
  const auto got = tls_ ? tls_->read(place) : receive_some(socket_.get(), place);
  head_.resize(before + (got ? *got : 0));
  if (got) return true;
  if (got.error() != Errc::would_block) {
    if (requests_ > 0 && head_.empty()) return end(), false;  // has nothing more to ask
    const Refusal why = stage_ == Stage::proxy ? Refusal::proxy : Refusal::http;
    refuse(why, got.error() == Errc::closed ? "the client has gone" : got.error().message());
  }
  return false;
}

void StreamListeners::Opening::read_proxy_header() {
  if (!read_more(kLongestProxyHeader)) return;
  const auto header = parse_proxy_header(head_);
  if (!header) {
    if (header.error() == Errc::would_block) return;
    return refuse(Refusal::proxy, "there is no PROXY header, which this listener asks for");
  }
  peer_.uid.reset();  // the proxy's, which is nobody's that it speaks for
  if (header->source) {
    peer_.source = *header->source;
    peer_.is_told_by_proxy = true;
    owner_.sources_.remove(*this);
    owner_.sources_.add(*this, source(), {});
  }
  connection_ = peer_;
  head_.erase(head_.begin(), head_.begin() + static_cast<std::ptrdiff_t>(header->size));
  stage_ = after_proxy();
}

/// Has this turn a place for a step of it, and its source the right to begin? What waits in the socket is told of in
/// the next turn; it is not read before.
bool StreamListeners::Opening::may_work(TurnCount& count, unsigned most) {
  const SteadyTime now = owner_.context_.loop.now();
  if (!count.take(now, most)) {
    if (!head_.empty() || (tls_ && tls_->holds_input())) owner_.context_.loop.poller().deliver_again(*this, EPOLLIN);
    return false;
  }
  if (std::exchange(has_begun_, true)) return true;
  const bool is_somebody = source().family() != Family::none && !source().is_loopback();  // and not anybody
  if (!is_somebody || owner_.rates_.take(source(), now) == Nanoseconds(0)) return true;
  refuse(Refusal::too_fast, "too many openings from there");
  return false;
}

void StreamListeners::Opening::shake_hands() {
  if (!may_work(owner_.handshakes_, kHandshakesAtOnce)) return;
  if (!tls_) {
    auto context = owner_.tls_of(listener_->id);
    if (!context) return refuse(Refusal::tls, "the listener's certificate does not work");
    tls_ = std::make_unique<TlsLayer>(socket_.get(), std::move(context), head_);
    head_ = {};
  }
  const auto done = tls_->handshake();
  if (!done) {
    if (done.error() == Errc::would_block) return;
    const std::string why = tls_->failure();
    return refuse(Refusal::tls, why.empty() ? "the client has gone" : std::string_view(why));
  }
  owner_.counters_->handshakes.add();
  if (tls_->was_resumed()) owner_.counters_->resumed.add();
  if (tls_->is_in_kernel()) owner_.counters_->in_kernel.add();
  stage_ = after_tls();
}

void StreamListeners::Opening::read_http() {
  if (!may_work(owner_.requests_, kRequestsAtOnce)) return;
  // What has come with the PROXY header is looked at first, then the socket.
  for (bool has_read = false;; has_read = true) {
    HttpOpening opening = parse_http_opening(head_, owner_.context_.host.name(), listener_->origins);
    if (opening.state == HttpOpening::State::request) return take_request(std::move(opening.request));
    if (opening.state == HttpOpening::State::refusal) return refuse_request(std::move(opening.refusal));
    if (has_read || !read_more(kLongestHttpOpening + 1)) return;
  }
}

void StreamListeners::Opening::take_forwarded_for(std::span<const IpAddress> forwarded_for) {
  if (listener_->proxy_protocol || listener_->trusted_proxies.empty()) return;
  if (const auto client = client_behind(forwarded_for, source(), listener_->trusted_proxies)) {
    peer_.source = Endpoint{*client, 0};
    peer_.is_told_by_proxy = true;
  }
}

void StreamListeners::Opening::take_request(HttpRequest request) {
  take_forwarded_for(request.forwarded_for);
  head_.erase(head_.begin(), head_.begin() + static_cast<std::ptrdiff_t>(request.size));
  http_ = Arrival::Http{std::move(request), owner_.context_.host.name()};
  stage_ = Stage::identity;
}

/// A certificate first, then a token, then the user of a Unix stream: any one of those that the listener takes
/// suffices.
void StreamListeners::Opening::identify() {
  if (is_asked_) return;  // the system is being asked for the user's name
  if (identify_by_certificate() || identify_by_token()) return;
  if (peer_.uid && takes(listener_->takes_user) && listener_->identity.empty()) {
    is_asked_ = true;
    if (std::exchange(is_watched_, false)) owner_.context_.loop.poller().remove(socket_.get(), *this);
    const std::weak_ptr<Opening> self = weak_from_this();
    owner_.identities_.identify(
        CredentialKind::unix_user, std::to_string(*peer_.uid), [self](const Result<std::string>& who) {
          const auto opening = self.lock();
          if (!opening || opening->is_over_) return;
          if (who) return opening->arrive(*who);
          if (who.error() == Errc::not_found && !opening->listener_->needs_credential()) return opening->arrive({});
          if (who.error() == Errc::not_found) return opening->refuse_request({401, "you are nobody here", {}});
          opening->refuse(Refusal::system, "the system does not say which user it is: " + who.error().message());
        });
    return;
  }
  if (!listener_->needs_credential()) return arrive({});
  if (!shown_.empty()) return refuse_request({401, "this certificate is nobody's", {}}, shown_);
  refuse_request(
      {401, listener_->takes_token ? "show a token: Authorization: Bearer TOKEN" : "show a certificate", {}});
}

bool StreamListeners::Opening::identify_by_certificate() {
  if (!tls_ || !takes(listener_->takes_certificate)) return false;
  for (const std::string& name : tls_->peer_names()) {
    if (const auto who = owner_.identities_.find(CredentialKind::cert, name)) return arrive(*who), true;
    if (shown_.size() < kLongestNames)
      shown_ += (shown_.empty() ? "no row of credentials has " : ", ") + name.substr(0, kLongestNames);
  }
  return false;
}

/// True: that has decided, also against the client.
bool StreamListeners::Opening::identify_by_token() {
  if (!takes(listener_->takes_token)) return false;
  const std::string token = http_      ? std::exchange(http_->request.token, {})
                            : request_ ? std::exchange(request_->token, {})
                                       : std::string();
  if (token.empty()) return false;
  const auto who = owner_.identities_.find_token(token, listener_->id, peer_.source);
  if (!who) return refuse_request({503, "tokens cannot be looked at now", {}}), true;
  if (!who->identity.empty()) return arrive(who->identity), true;
  if (who->wait != Nanoseconds(0)) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(who->wait);
    return refuse_request({429, "too many wrong tokens from your address", seconds}), true;
  }
  return refuse_request({401, "this token is nobody's", {}}), true;
}

void StreamListeners::Opening::arrive(std::string identity) {
  const auto alive = shared_from_this();
  if (!listener_->identity.empty()) identity = listener_->identity;
  if (owner_.asked_) return ask(std::move(identity));
  leave();
  owner_.openings_.erase(this);
  owner_.events_.arrived(Arrival(std::move(listener_), std::move(socket_), peer_, std::move(tls_), std::move(http_),
                                 head_, std::move(identity)));
}

/// An HTTP client is told why.
void StreamListeners::Opening::refuse_request(HttpRefusal why, std::string_view detail) {
  const auto alive = shared_from_this();
  const Refusal kind = why.status == 401 || why.status == 429 ? Refusal::credential : Refusal::http;
  if (speaks_http()) {
    std::unique_ptr<StreamLayer> layer = std::move(tls_);
    if (plain_) layer = std::move(plain_);
    if (std::exchange(is_watched_, false)) owner_.context_.loop.poller().remove(socket_.get(), *this);
    Arrival(listener_, std::move(socket_), peer_, std::move(layer), Arrival::Http{{}, owner_.context_.host.name()}, {},
            {})
        .refuse(why);
  }
  refuse(kind, detail.empty() ? std::string_view(why.sentence) : detail);
}

// ---- requests of an API

void StreamListeners::Opening::read_api_request() {
  if (!may_work(owner_.requests_, kRequestsAtOnce)) return;
  // What has come with the request before is looked at first, then the stream.
  for (bool has_read = false;; has_read = true) {
    if (!head_.empty() && head_.size() >= needed_) {
      ApiRead read = parse_api_request(head_, owner_.largest_body_, listener_->origins);
      if (read.state == ApiRead::State::refusal) return refuse_request(std::move(read.refusal));
      if (read.state == ApiRead::State::request) {
        take_forwarded_for(read.request.forwarded_for);
        head_.erase(head_.begin(), head_.begin() + static_cast<std::ptrdiff_t>(read.request.size));
        request_ = std::move(read.request);
        stage_ = Stage::identity;
        return;
      }
      needed_ = read.needed;
    }
    if (has_read || !read_more(kLongestHttpOpening + owner_.largest_body_ + 1)) return;
  }
}

void StreamListeners::Opening::ask(std::string identity) {
  stage_ = Stage::answer;
  last_active = owner_.context_.loop.now();
  wait_for(0);  // nothing is read meanwhile; a hang-up is told
  goes_on_ = request_->wants_more && ++requests_ < kMostRequests;
  ApiRequest request = std::move(*request_);
  request_.reset();
  owner_.asked_(ApiCall(std::weak_ptr<ApiCall::Line>(std::shared_ptr<ApiCall::Line>(shared_from_this(), this)),
                        listener_, peer_, std::move(identity), std::move(request)));
}

void StreamListeners::Opening::answer(const ApiAnswer& answer) {
  if (is_over_ || stage_ != Stage::answer) return;
  goes_on_ = goes_on_ && owner_.listeners_.contains(listener_->id);
  const std::string text = write_api_answer(answer, goes_on_);
  const Bytes part = bytes_of(text);
  stage_ = Stage::sending;
  last_active = owner_.context_.loop.now();
  if (!layer().put({&part, 1})) return end();
  send();
}

/// What the socket has not taken goes on; then the next request is waited for.
void StreamListeners::Opening::send() {
  if (layer().has_left_over() && !layer().flush()) return end();
  if (layer().has_left_over()) return wait_for(EPOLLOUT);
  if (!goes_on_) return layer().finish(), end();
  begin_next();
}

void StreamListeners::Opening::begin_next() {
  stage_ = Stage::http;
  peer_ = connection_;
  is_asked_ = has_begun_ = false;
  needed_ = 0;
  shown_.clear();
  if (head_.empty()) head_ = {};  // of a request that was longer than most
  last_active = owner_.context_.loop.now();
  wait_for(EPOLLIN);
  if (is_watched_ && (!head_.empty() || (tls_ && tls_->holds_input())))
    owner_.context_.loop.poller().deliver_again(*this, EPOLLIN);
}

void StreamListeners::Opening::wait_for(std::uint32_t events) {
  Poller& poller = owner_.context_.loop.poller();
  if (is_watched_) return poller.modify(socket_.get(), events, *this);
  is_watched_ = poller.add(socket_.get(), events, *this).has_value();
  if (!is_watched_) end();
}

StreamLayer& StreamListeners::Opening::layer() {
  if (tls_) return *tls_;
  if (!plain_) plain_ = std::make_unique<SocketLayer>(socket_.get());
  return *plain_;
}

void StreamListeners::Opening::end() {
  if (is_over_) return;
  const auto alive = shared_from_this();
  leave();
  owner_.openings_.erase(this);
  plain_.reset();
  tls_.reset();
  socket_.reset();
}

void StreamListeners::Opening::end_as_slow() {
  if (stage_ == Stage::answer) {
    goes_on_ = false;
    return answer(ApiAnswer::error(503, "there was no answer in time", std::chrono::seconds(5)));
  }
  if (stage_ == Stage::http && requests_ > 0 && head_.empty()) return end();  // has nothing more to ask
  refuse(Refusal::too_slow, "too slow: " + std::string(name_of(stage_)));
}

// ---- the listeners

StreamListeners::StreamListeners(const LaneContext& context, Events events)
    : context_(context),
      events_(std::move(events)),
      budget_(context),
      certificates_(context.host, context.lane),
      identities_(context),
      connections_(context.loop, context.host.log()),
      counters_(std::make_unique<Counters>(context)),
      rates_(kOpeningRate, kOpeningBurst),
      deadline_([this] { end_slow_ones(); }) {}

StreamListeners::StreamListeners(const LaneContext& context, Api api)
    : StreamListeners(context, Events{[](const Arrival&) {}, std::move(api.exhausted)}) {
  asked_ = std::move(api.asked);
  largest_body_ = api.largest_body;
}

StreamListeners::~StreamListeners() {
  listeners_.clear();
  openings_.clear();
}

void StreamListeners::listen(const std::vector<Listener>& listeners) {
  const auto is_there = [&](std::uint32_t id) {
    return std::any_of(listeners.begin(), listeners.end(), [&](const Listener& one) { return one.id == id; });
  };
  std::erase_if(listeners_, [&](const auto& known) { return !is_there(known.first); });
  std::erase_if(openings_, [&](const auto& opening) {
    return !is_there(opening.second->listener()) && !opening.second->is_asking();
  });
  for (const Listener& listener : listeners) {
    if (listener.transport == Transport::udp || listeners_.contains(listener.id)) continue;
    Entry& entry = listeners_[listener.id];
    entry.listener = std::make_shared<const Listener>(listener);
    entry.acceptor = std::make_unique<StreamListener>(
        context_.loop, listener.fd, [this, &entry](Stream stream) { accept(entry, std::move(stream)); },
        [this](const Error& why) { events_.exhausted(why); });
  }
}

void StreamListeners::accept(const Entry& entry, Stream stream) {
  const std::shared_ptr<const Listener> listener = entry.listener;  // the entry may go meanwhile
  const StreamPeer peer = stream.peer();
  const bool is_unix = listener->transport == Transport::unix_stream;
  if (listener->proxy_protocol && !is_unix && !is_one_of(peer.source.address, listener->trusted_proxies))
    return refuse(peer, *listener, Refusal::proxy, "it is none of trusted_proxies");
  if (sends_tokens_in_clear(*listener, peer.source.address))
    return refuse(peer, *listener, Refusal::proxy, "without TLS only trusted_proxies may bring tokens from elsewhere");
  const bool is_plain = !listener->proxy_protocol && !listener->tls && !listener->http_opening && !asked_;
  if (is_plain && !listener->needs_credential() && (!peer.uid || !listener->identity.empty())) {
    return events_.arrived(Arrival(listener, stream.take_socket(), peer, nullptr, {}, {}, listener->identity));
  }
  if (!make_place()) return refuse(peer, *listener, Refusal::too_many, "descriptors are short");
  if (openings_.empty()) context_.loop.schedule(deadline_, kLook);
  const auto opening = std::make_shared<Opening>(*this, listener, stream.take_socket(), peer);
  openings_.emplace(opening.get(), opening);
  sources_.add(*opening, peer.source.address, {});
  if (!opening->start()) opening->refuse(Refusal::system, "the system cannot watch it");
}

bool StreamListeners::make_place() {
  const std::size_t most = std::clamp(budget_.descriptors() / kOpeningsPart, kLeastOpenings, kMostOpenings);
  while (openings_.size() >= most) {
    SourceClient* const idlest = sources_.idlest();
    if (idlest == nullptr) return false;
    static_cast<Opening*>(idlest)->refuse(Refusal::too_many, "it made place for a newer one");
  }
  return true;
}

void StreamListeners::end_slow_ones() {
  const SteadyTime now = context_.loop.now();
  std::vector<std::shared_ptr<Opening>> slow;  // ending one may end others, by what their frontend does
  for (const auto& [at, opening] : openings_)
    if (opening->last_active <= now - opening->patience()) slow.push_back(opening);
  for (const auto& opening : slow) opening->end_as_slow();
  if (!openings_.empty()) context_.loop.schedule(deadline_, kLook);
}

bool StreamListeners::TurnCount::take(SteadyTime turn, unsigned most) noexcept {
  if (std::exchange(turn_, turn) != turn) count_ = 0;
  return ++count_ <= most;
}

const std::shared_ptr<TlsBuffers>& StreamListeners::buffers() {
  if (!buffers_) buffers_ = std::make_shared<TlsBuffers>();
  return buffers_;
}

void StreamListeners::adopt(Arrival& arrival) {
  if (arrival.layer_) arrival.layer_->move_to_lane(buffers());
}

std::shared_ptr<const TlsContext> StreamListeners::tls_of(std::uint32_t listener) {
  Entry& entry = listeners_.at(listener);
  if (const std::uint64_t newest = certificates_.generation(); std::exchange(entry.seen_generation, newest) != newest) {
    try {
      const auto certificate = certificates_.get(listener);
      if (certificate && std::exchange(entry.tls_generation, certificate->generation) != certificate->generation)
        entry.tls = std::make_shared<const TlsContext>(settings_of(*certificate, *entry.listener), buffers());
    } catch (const std::exception& error) {  // the one before goes on
      context_.host.log().error("a certificate cannot be used",
                                {{"listener", entry.listener->name}, {"why", error.what()}});
    }
  }
  return entry.tls;
}

void StreamListeners::refuse(const StreamPeer& peer, const Listener& listener, Refusal why, std::string_view detail) {
  counters_->refused[static_cast<std::size_t>(why)].add();
  if (why == Refusal::too_many) budget_.ran_short(Resource::descriptors);
  connections_.info(peer.source.address, "stream refused",
                    {{"client", peer.to_string()}, {"listener", listener.name}, {"why", detail}});
}

}  // namespace gatehouse
