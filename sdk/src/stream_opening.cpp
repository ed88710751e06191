#include <gatehouse/plugin/stream_listeners.hpp>

#include "stream_opening.hpp"

#include <gatehouse/net/proxy_header.hpp>

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestNames = 512;  // of a certificate, in the log

}  // namespace

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
/// the next turn; it is not read before. A proxy that speaks for others has what the lane's turns have: who is behind
/// it is asked for the right once it has said who that is.
bool StreamListeners::Opening::may_work(TurnCount& count, unsigned most) {
  const SteadyTime now = owner_.context_.loop.now();
  if (!count.take(now, most)) {
    if (!head_.empty() || (tls_ && tls_->holds_input())) owner_.context_.loop.poller().deliver_again(*this, EPOLLIN);
    return false;
  }
  return has_begun_ || speaks_for_others() || may_begin();
}

/// False: it has been refused.
bool StreamListeners::Opening::may_begin() {
  has_begun_ = true;
  const SteadyTime now = owner_.context_.loop.now();
  const bool is_somebody = source().family() != Family::none && !source().is_loopback();  // and not anybody
  if (!is_somebody || owner_.rates_.take(source(), now) == Nanoseconds(0)) return true;
  refuse(Refusal::too_fast, "too many openings from there");
  return false;
}

/// A trusted proxy, which has not said yet for whom.
bool StreamListeners::Opening::speaks_for_others() const noexcept {
  return !peer_.is_told_by_proxy && std::ranges::any_of(listener_->trusted_proxies, [this](const Prefix& network) {
    return network.contains(source().unmapped());
  });
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

/// False: whoever is behind the proxy has been refused.
bool StreamListeners::Opening::take_forwarded_for(std::span<const IpAddress> forwarded_for) {
  if (listener_->proxy_protocol || listener_->trusted_proxies.empty()) return true;
  const auto client = client_behind(forwarded_for, source(), listener_->trusted_proxies);
  if (!client) return true;
  peer_.source = Endpoint{*client, 0};
  peer_.is_told_by_proxy = true;
  return has_begun_ || may_begin();
}

void StreamListeners::Opening::take_request(HttpRequest request) {
  if (!take_forwarded_for(request.forwarded_for)) return;
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
          if (who.error() == Errc::not_found && opening->may_arrive_unknown()) return opening->arrive({});
          if (who.error() == Errc::not_found) return opening->refuse_request({401, "you are nobody here", {}});
          opening->refuse(Refusal::system, "the system does not say which user it is: " + who.error().message());
        });
    return;
  }
  if (may_arrive_unknown()) return arrive({});
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

}  // namespace gatehouse
