// The only file that includes Beast's server side. A connection is read (header, then body), answered and read again;
// whatever breaks the rules gets one reply with the reason and is closed.
#include "gateway/control/http_server.hpp"

#include <gatehouse/base/error.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <sys/socket.h>

#include <list>
#include <unordered_set>

namespace gatehouse {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

constexpr std::chrono::milliseconds kAcceptPause{100};

std::optional<PeerCredentials> peer_of(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  ucred credentials{};
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return {};
  size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return {};
  return PeerCredentials{credentials.uid, credentials.gid, credentials.pid};
}

/// The reply that ends a connection whose request broke the rules, or none when nobody is there to read it.
std::optional<HttpReply> refusal_of(const Error& error) {
  if (error == http::error::body_limit) return HttpReply{413, "text/plain; charset=utf-8", "the body is too long\n"};
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return HttpReply{431, "text/plain; charset=utf-8", "the header is too long\n"};
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message) return {};
  if (error.category() == make_error_code(http::error::end_of_stream).category()) {
    return HttpReply{400, "text/plain; charset=utf-8", "this is no HTTP/1.1 request (" + error.message() + ")\n"};
  }
  return {};
}

}  // namespace

class HttpServer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(asio::io_context& io, HttpHandler handler, HttpBounds bounds)
      : io_(io), handler_(std::move(handler)), bounds_(bounds) {}

  void serve(UniqueFd listening);
  void close();

 private:
  class Connection;
  struct Listening {
    explicit Listening(asio::io_context& io) : acceptor(io), pause(io) {}
    Acceptor acceptor;
    asio::steady_timer pause;
  };

  void accept(const std::shared_ptr<Listening>& from);
  bool has_room();
  void answer(const HttpRequest& request, const HttpRespond& respond) const;

  asio::io_context& io_;
  HttpHandler handler_;
  HttpBounds bounds_;
  bool closed_ = false;
  std::vector<std::shared_ptr<Listening>> listening_;
  std::unordered_set<Connection*> connections_;
  std::list<Connection*> waiting_;  // for their peers, the longest first
};

/// One client. It lives by the operation that is under way.
class HttpServer::Core::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, Protocol::socket socket)
      : core_(std::move(core)), stream_(std::move(socket)), peer_(peer_of(stream_.socket().native_handle())) {
    core_->connections_.insert(this);
  }
  ~Connection() {
    stop_waiting();
    core_->connections_.erase(this);
  }

  void read() {
    wait();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(core_->bounds_.header_bytes));
    parser_->body_limit(core_->bounds_.body_bytes);
    stream_.expires_after(core_->bounds_.header_time);
    http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](const Error& error, std::size_t) {
      if (error || self->parser_->is_done()) return self->on_read(error);
      self->read_body();
    });
  }
  void close() { stream_.close(); }
  /// Closes it, and counts it no more.
  void give_way() {
    stop_waiting();
    core_->connections_.erase(this);
    gone_ = true;
    stream_.close();
  }

 private:
  void read_body() {
    if (core_->closed_ || gone_) return;
    stream_.expires_after(core_->bounds_.time);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const Error& error, std::size_t) { self->on_read(error); });
  }

  void wait() {
    stop_waiting();
    place_ = core_->waiting_.insert(core_->waiting_.end(), this);
  }
  void stop_waiting() {
    if (place_) core_->waiting_.erase(*place_);
    place_.reset();
  }

  void on_read(const Error& error) {
    stop_waiting();
    if (core_->closed_ || gone_) return;
    if (error) {
      if (const auto refusal = refusal_of(error)) write(*refusal, false, false);
      return;
    }
    const auto& message = parser_->get();
    HttpRequest request;
    const bool head = message.method() == http::verb::head;
    request.method = head ? "GET" : std::string(message.method_string());
    const std::string_view target(message.target().data(), message.target().size());
    request.path = target.substr(0, target.find('?'));
    request.peer = peer_;
    if (message.count(http::field::host) > 1) {
      return write({400, "text/plain; charset=utf-8", "a request names one host\n"}, false, head);
    }
    const auto host = message[http::field::host];
    request.host.assign(host.data(), host.size());
    const bool keep = message.keep_alive();
    request.body = std::move(parser_->get().body());
    stream_.expires_never();  // its answer may take as long as a plugin
    core_->answer(request, [self = shared_from_this(), keep, head](const HttpReply& reply) {
      if (!self->core_->closed_) self->write(reply, keep, head);
    });
  }

  void write(const HttpReply& reply, bool keep, bool head) {
    wait();
    response_ = {};
    response_.result(reply.status);
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(keep);
    response_.content_length(reply.body.size());
    if (!head) response_.body() = reply.body;
    stream_.expires_after(core_->bounds_.time);
    http::async_write(stream_, response_, [self = shared_from_this(), keep](const Error& error, std::size_t) {
      self->stop_waiting();
      if (error || self->core_->closed_ || self->gone_) return;
      if (keep) return self->read();
      Error ignored;
      self->stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
    });
  }

  std::shared_ptr<Core> core_;
  beast::basic_stream<Protocol> stream_;
  std::optional<PeerCredentials> peer_;
  std::optional<std::list<Connection*>::iterator> place_;  // in waiting_
  bool gone_ = false;
  beast::flat_buffer buffer_{core_->bounds_.header_bytes + core_->bounds_.body_bytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

void HttpServer::Core::serve(UniqueFd listening) {
  int domain = 0;
  socklen_t size = sizeof domain;
  ::getsockopt(listening.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
  auto one = std::make_shared<Listening>(io_);
  one->acceptor.assign(Protocol(domain, 0), listening.get());
  static_cast<void>(listening.release());
  listening_.push_back(one);
  accept(one);
}

/// Makes it where it can. Who is closed goes when its operation ends, so that it no longer counts at once.
bool HttpServer::Core::has_room() {
  if (connections_.size() < bounds_.connections) return true;
  if (waiting_.empty()) return false;
  Connection* const longest = waiting_.front();
  longest->give_way();
  return true;
}

void HttpServer::Core::accept(const std::shared_ptr<Listening>& from) {
  from->acceptor.async_accept([self = shared_from_this(), from](const Error& error, Protocol::socket socket) {
    if (self->closed_) return;
    if (!error) {
      if (self->has_room()) {
        std::make_shared<Connection>(self, std::move(socket))->read();
      }
      return self->accept(from);
    }
    // Out of descriptors, most likely: the same would fail again at once.
    from->pause.expires_after(kAcceptPause);
    from->pause.async_wait([self, from](const Error&) {
      if (!self->closed_) self->accept(from);
    });
  });
}

void HttpServer::Core::answer(const HttpRequest& request, const HttpRespond& respond) const {
  try {
    handler_(request, respond);
  } catch (const std::exception& error) {
    respond({500, "text/plain; charset=utf-8", error.what() + std::string("\n")});
  }
}

void HttpServer::Core::close() {
  closed_ = true;
  for (const auto& one : listening_) {
    Error ignored;
    one->acceptor.close(ignored);
    one->pause.cancel();
  }
  listening_.clear();
  for (Connection* connection : connections_) connection->close();
}

HttpServer::HttpServer(asio::io_context& io, HttpHandler handler, HttpBounds bounds)
    : core_(std::make_shared<Core>(io, std::move(handler), bounds)) {}
HttpServer::~HttpServer() { core_->close(); }
void HttpServer::serve(UniqueFd listening) { core_->serve(std::move(listening)); }

}  // namespace gatehouse
