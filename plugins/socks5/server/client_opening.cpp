// From the accept to the request: who the client is, and what it wants.
//   1. read_words()  what has come, up to the longest word; slow clients are ended by their deadline
//   2. take_word()   one message of the stage; the next one may have come with it
//   3. begin_serving(), as soon as it is known who it is: session and admission
#include "plugins/socks5/server/client.hpp"
#include "plugins/socks5/server/lane.hpp"
#include "plugins/socks5/server/session_state.hpp"
#include "plugins/socks5/wire/greeting.hpp"
#include "plugins/socks5/wire/login.hpp"

#include <sys/socket.h>

#include <algorithm>

namespace gatehouse::socks5 {
namespace {

/// No message is longer, so there is always room for the rest of one; what comes behind it is the first of the
/// tunnel's.
constexpr std::size_t kLongestWords = 1024;

Endpoint local_of(int socket) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (socket < 0 || ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return Endpoint::from_sockaddr(address);
}

}  // namespace

void Client::read_words() {
  const bool is_opening = stage_ <= Stage::request;
  const std::size_t most = is_opening ? kLongestWords - words_.size() : kLongestWords;
  const MutableBytes place = MutableBytes(lane_.input).first(most);
  const auto got = stream_.read(place);
  if (!got) {
    if (got.error() != Errc::would_block)
      end(got.error() == Errc::closed ? "the client has ended" : "the client has gone");
    return;
  }
  if (!is_opening) return;  // nobody wants to know
  words_.insert(words_.end(), place.begin(), place.begin() + static_cast<std::ptrdiff_t>(*got));
  while (!ended_ && stage_ <= Stage::request && take_word()) {
  }
}

/// False: there is no whole one.
bool Client::take_word() {
  const Bytes words(words_);
  if (stage_ == Stage::greeting) {
    const auto greeting = read_greeting(words);
    if (!greeting && greeting.error() == Errc::truncated) return false;
    if (!greeting) return refuse(Refusal::protocol, "it speaks no SOCKS5"), false;
    return choose_method(greeting->methods, greeting->size), true;
  }
  if (stage_ == Stage::login) {
    const auto login = read_login(words);
    if (!login && login.error() == Errc::truncated) return false;
    if (!login) return refuse(Refusal::protocol, "its login is none"), false;
    log_in(login->user, login->password);
    if (!ended_ && stage_ == Stage::request) consume(login->size);
    return true;
  }
  const auto request = read_request(words);
  if (!request && request.error() == Errc::truncated) return false;
  if (!request) {
    answer(request.error() == Errc::unsupported ? Reply::address_type_not_supported : Reply::general_failure);
    return leave("its request has no sense"), false;
  }
  take_request();
  return true;
}

void Client::consume(std::size_t size) {
  words_.erase(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(size));
}

/// A listener that asks for a credential has it from a certificate, from the user of a Unix stream, or from a login;
/// any other one asks for nothing.
void Client::choose_method(Bytes methods, std::size_t size) {
  const Greeting greeting{methods, size};
  const bool needs_login = listener_->needs_credential() && identity_.empty();
  const Method method = needs_login ? Method::password : Method::none;
  if (!greeting.offers(method) || (!needs_login && !begin_serving())) {
    if (ended_) return;
    static_cast<void>(say(make_method_answer(Method::refused)));
    if (!greeting.offers(method)) lane_.counters.refuse(Refusal::method);
    return leave(greeting.offers(method) ? "policy refuses it"
                 : needs_login           ? "it does not know how to show a token"
                                         : "it wants to log in where nobody is asked");
  }
  consume(size);
  stage_ = needs_login ? Stage::login : Stage::request;
  static_cast<void>(say(make_method_answer(method)));
}

/// The password is the token; the user's name is for people, and tells nothing.
void Client::log_in(std::string_view, std::string_view password) {
  const auto who = lane_.identities.find_token(password, listener_->id, stream_.peer().source);
  const bool is_known = who && !who->identity.empty();
  if (is_known) {
    identity_ = who->identity;
    lane_.sources.remove(*this);
    lane_.sources.add(*this, stream_.peer().source.address, identity_);
  } else {
    lane_.counters.refuse(Refusal::login);
  }
  if (!is_known || !begin_serving()) {
    static_cast<void>(say(make_login_answer(false)));
    return leave(is_known                      ? "policy refuses it"
                 : !who                        ? "tokens cannot be looked at now"
                 : who->wait != Nanoseconds(0) ? "too many wrong tokens from its address"
                                               : "its token is nobody's");
  }
  stage_ = Stage::request;
  static_cast<void>(say(make_login_answer(true)));
}

bool Client::begin_serving() {
  const StreamPeer& peer = stream_.peer();
  auto session = Session::open(lane_.context(), {.identity = identity_, .source = peer.source});
  if (!session) {
    lane_.counters.refuse(Refusal::no_session);
    return false;
  }
  auto policy = PolicyClient::open(lane_.context(), {listener_->id, peer.source, identity_, session->id()});
  if (!policy) {
    lane_.counters.refuse(Refusal::policy);
    lane_.log_refused(peer, policy.error());
    return false;
  }
  session_.emplace(std::move(*session));
  policy_.emplace(std::move(*policy));
  limits_ = policy_->limits();
  generation = lane_.generation();
  lane_.log_opened(peer, *listener_, identity_);
  return true;
}

void Client::take_request() {
  Request request = *read_request(words_);
  const std::string name(request.destination.name);
  request.destination.name = name;
  consume(request.size);  // what is left is the tunnel's
  switch (request.command) {
    case Command::connect: return connect(request.destination);
    case Command::udp_associate: return associate(request.destination.endpoint);
    default: answer(Reply::command_not_supported); leave("it asks for what is not done here");
  }
}

/// An association is between hosts: a stream that comes over a path, or through a proxy, says nothing about the
/// client's datagrams.
void Client::associate(const Endpoint& asked) {
  const StreamPeer& peer = stream_.peer();
  const auto refused = [this](Reply reply, std::string_view why) {
    answer(reply);
    leave(why);
  };
  if (peer.source.address.family() == Family::none || peer.is_told_by_proxy)
    return refused(Reply::command_not_supported, "it wants an association, and has no address of its own");
  const bool has_place = lane_.make_place(Association::kDescriptors);
  if (ended_) return;  // it was itself who gave way
  if (!has_place) return refused(Reply::general_failure, "descriptors are short");
  association_ = std::make_unique<Association>(lane_, *policy_, *session_, identity_, last_active, [this] {
    lane_.sources.set_flows(*this, association_->flows());
    const auto [first, second] =
        state_words(Doing::associated, {{}, static_cast<std::uint16_t>(association_->flows())});
    session_->set_state(first, second);
  });
  count_descriptors();
  // Behind a NAT the client does not know its own address and port: then the first datagram tells. There is none on
  // this machine, where the port is the client's also when it names no address.
  const IpAddress named = asked.address.unmapped();
  const bool is_its_own = named == peer.source.address || (named.is_unspecified() && peer.source.address.is_loopback());
  const std::uint16_t port = is_its_own ? asked.port : std::uint16_t{0};
  const auto bound = association_->open({peer.source.address, port, peer.source.scope}, local_of(socket_).address);
  if (!bound) {
    association_.reset();
    count_descriptors();
    return refused(Reply::general_failure, "the system gives no socket");
  }
  stage_ = Stage::association;
  since_ = lane_.now();
  const auto [first, second] = state_words(Doing::associated, {});
  session_->set_state(first, second);
  answer(Reply::succeeded, *bound);
}

bool Client::say(Bytes words) {
  const auto written = stream_.write(words);
  if (written && *written == words.size()) return true;
  end("it does not read its answer");  // a few bytes that nobody had to wait for
  return false;
}

void Client::answer(Reply reply, const Endpoint& bound) {
  lane_.counters.reply(reply);
  static_cast<void>(say(ReplyMessage(reply, bound).bytes()));
}

void Client::leave(std::string_view why) {
  if (ended_) return;
  lane_.log_closed(stream_.peer(), why);
  hang_up();
  stop_waiting();
  close_flow();
  stage_ = Stage::leaving;
  since_ = lane_.now();
  stream_.shutdown_write();
  stream_.watch_for(true, false);  // its end, or what it has sent: unread, that would cost it our last word
}

void Client::refuse(Refusal cause, std::string_view why) {
  lane_.counters.refuse(cause);
  end(why);
}

}  // namespace gatehouse::socks5
