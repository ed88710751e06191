// The control API: verbs with JSON in and out, as /v1/<verb> over a Unix socket. The kernel names the caller: whoever
// may open the socket reads; root, the gateway's own user and the admins write.
#pragma once

#include "gateway/control/http_server.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {

enum class Access {
  read,   ///< GET, or POST with a body that selects what to read
  write,  ///< POST
};

struct ControlReply {
  unsigned status = 200;
  std::string json = "{}";
};

/// Gets a JSON text, "{}" when the client sent none. What it throws becomes status 500 with {"error": what()}.
using ControlHandler = std::function<ControlReply(const std::string& json)>;

/// The same for a verb that takes its time: it answers by `respond`, once, on the io_context's thread.
using ControlRespond = std::function<void(const ControlReply&)>;
using SlowControlHandler = std::function<void(const std::string& json, ControlRespond respond)>;

/// {"error": sentence}, with that status.
[[nodiscard]] ControlReply control_error(unsigned status, const std::string& sentence);

/// From the io_context's thread only, or while nothing runs it; handlers run there too.
class ControlServer {
 public:
  explicit ControlServer(boost::asio::io_context& io, HttpBounds bounds = {});
  /// Closes and removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// `verb` is what stands behind /v1/, such as "status" or "policy/problems".
  void on(std::string verb, Access access, ControlHandler handler);
  void on_slow(std::string verb, Access access, SlowControlHandler handler);

  /// User names that may write, beside root and the gateway's own; returns those that this system does not know.
  std::vector<std::string> set_admins(const std::vector<std::string>& names);

  /// Starts to serve, with the group `gatehouse` if there is one.
  /// @throws std::runtime_error  a sentence; another gateway is running there, for one
  void listen(const std::filesystem::path& socket, std::uint32_t mode);

 private:
  struct Verb {
    Access access;
    SlowControlHandler handler;
  };
  void dispatch(const HttpRequest& request, const ControlRespond& respond) const;

  std::map<std::string, Verb> verbs_;
  std::set<uid_t> writers_;
  std::filesystem::path socket_;
  HttpServer server_;
};

}  // namespace gatehouse
