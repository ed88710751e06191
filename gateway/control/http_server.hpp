// A small HTTP/1.1 server for what the gateway reports about itself: bounded in connections, sizes and time, so that no
// client can hold or fill it. Everything happens on the io_context's one thread, the handler too.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace gatehouse {

/// Who is at the other end of a Unix socket, by SO_PEERCRED.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

struct HttpRequest {
  std::string method;  ///< "GET", also for HEAD
  std::string path;    ///< "/metrics", without the query
  std::string host;    ///< as the client names this server, with its port; "" when it does not
  std::string body;
  std::optional<PeerCredentials> peer;  ///< none over TCP
};

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Sends the reply to one request; once, on the io_context's thread, also after the handler has returned.
using HttpRespond = std::function<void(HttpReply)>;

/// Called for each whole request. What it throws becomes status 500.
using HttpHandler = std::function<void(const HttpRequest&, HttpRespond)>;

struct HttpBounds {
  /// For one more the connection gives way that has waited longest for its peer, to send a request or to take a
  /// reply; where all of them wait for the handler, the new one is closed at once.
  std::size_t connections = 64;
  std::size_t header_bytes = 8 * 1024;
  std::size_t body_bytes = 1024 * 1024;
  std::chrono::milliseconds header_time{2'000};  ///< for a header to come, also after an earlier reply
  std::chrono::milliseconds time{10'000};        ///< for a body to come, and again for the reply to go
};

/// From the io_context's thread only, or while nothing runs it.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, HttpHandler handler, HttpBounds bounds = {});
  /// Closes every connection; the handler is not called again.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Serves a listening stream socket, TCP or Unix; may be called for several.
  void serve(UniqueFd listening);

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace gatehouse
