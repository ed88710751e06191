// What monitoring asks over TCP: /metrics, /livez and /readyz. Read only, no secrets, no authentication.
#pragma once

#include "gateway/control/http_server.hpp"

#include <gatehouse/base/address.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

/// An answer to "are you well?".
struct Health {
  bool good = true;
  std::vector<std::string> reasons;  ///< sentences; also when good, then as remarks
};

/// From the io_context's thread only, or while nothing runs it; the sources are asked there too.
class MetricsServer {
 public:
  struct Sources {
    std::function<std::string()> metrics;  ///< OpenMetrics text, "# EOF" included
    std::function<Health()> live;          ///< may the process go on, or should it be started anew?
    std::function<Health()> ready;         ///< may clients be sent here?
  };
  MetricsServer(boost::asio::io_context& io, Sources sources, HttpBounds bounds = {});

  /// The names, beside `localhost` and addresses, by which clients may call this server. Others are refused: a page in
  /// somebody's browser may name any host and have its own name lead here (DNS rebinding).
  void set_hosts(std::vector<std::string> hosts) { hosts_ = std::move(hosts); }
  /// Returns the bound address, with the real port. @throws std::runtime_error  a sentence
  Endpoint listen(const Endpoint& endpoint);

 private:
  HttpReply answer(const HttpRequest& request) const;

  [[nodiscard]] bool is_called(std::string_view host) const;

  Sources sources_;
  std::vector<std::string> hosts_;
  HttpServer server_;
};

}  // namespace gatehouse
