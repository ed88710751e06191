#include "gateway/control/metrics_server.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/control/listening_socket.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

constexpr const char* kOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";

HttpReply to_reply(const Health& health) {
  HttpReply out;
  out.status = health.good ? 200 : 503;
  out.body = health.good ? "ok\n" : "not well\n";
  for (const std::string& reason : health.reasons) out.body += printable(reason) + "\n";
  return out;
}

/// Without the port: "[::1]:9477" is "::1", "LOCALHOST." is "localhost".
std::string name_of(std::string_view host) {
  const std::size_t end = host.rfind(':');
  const bool bare_v6 = !host.starts_with('[') && host.find(':') != end;  // wrong, but an address all the same
  if (end != host.npos && !bare_v6 && host.find(']', end) == host.npos) host = host.substr(0, end);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string out(host);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

MetricsServer::MetricsServer(boost::asio::io_context& io, Sources sources, HttpBounds bounds)
    : sources_(std::move(sources)),
      server_(
          io, [this](const HttpRequest& request, const HttpRespond& respond) { respond(answer(request)); }, bounds) {}

Endpoint MetricsServer::listen(const Endpoint& endpoint) {
  UniqueFd socket = listen_tcp(endpoint);
  const Endpoint local = local_endpoint(socket);
  server_.serve(std::move(socket));
  return local;
}

bool MetricsServer::is_called(std::string_view host) const {
  if (host.empty()) return true;  // no browser leaves it out
  const std::string name = name_of(host);
  if (name == "localhost" || IpAddress::parse(name)) return true;
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& one) { return name_of(one) == name; });
}

HttpReply MetricsServer::answer(const HttpRequest& request) const {
  HttpReply out;
  if (!is_called(request.host)) {
    out.status = 421;  // misdirected: RFC 9110, 15.5.20
    out.body = "this server does not know that host: ask by address, or name it in `hosts` of [metrics]\n";
  } else if (request.method != "GET") {
    out.status = 405;
    out.body = "only GET is answered here\n";
  } else if (request.path == "/metrics") {
    out.content_type = kOpenMetrics;
    out.body = sources_.metrics();
  } else if (request.path == "/livez") {
    return to_reply(sources_.live());
  } else if (request.path == "/readyz") {
    return to_reply(sources_.ready());
  } else {
    out.status = 404;
    out.body = "here are /metrics, /livez and /readyz\n";
  }
  return out;
}

}  // namespace gatehouse
