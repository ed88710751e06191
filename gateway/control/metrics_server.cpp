#include "gateway/control/metrics_server.hpp"

#include "gateway/control/listening_socket.hpp"

namespace gatehouse {
namespace {

constexpr const char* kOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";

HttpReply to_reply(const Health& health) {
  HttpReply out;
  out.status = health.good ? 200 : 503;
  out.body = health.good ? "ok\n" : "not well\n";
  for (const std::string& reason : health.reasons) out.body += reason + "\n";
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

HttpReply MetricsServer::answer(const HttpRequest& request) const {
  HttpReply out;
  if (request.method != "GET") {
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
