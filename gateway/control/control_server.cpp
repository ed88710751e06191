#include "gateway/control/control_server.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/control/listening_socket.hpp"

#include <nlohmann/json.hpp>

#include <pwd.h>
#include <unistd.h>

#include <optional>

namespace gatehouse {
namespace {

constexpr std::string_view kPrefix = "/v1/";
constexpr const char* kGroup = "gatehouse";

std::optional<uid_t> find_user(const std::string& name) {
  passwd entry{}, *found = nullptr;
  std::vector<char> buffer(16 * 1024);
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->pw_uid;
}

}  // namespace

ControlReply control_error(unsigned status, const std::string& sentence) {
  const nlohmann::json body = {{"error", sentence}};
  return {status, printable_json(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))};
}

ControlServer::ControlServer(boost::asio::io_context& io, HttpBounds bounds)
    : server_(
          io,
          [this](const HttpRequest& request, const HttpRespond& respond) {
            dispatch(request, [respond](const ControlReply& reply) {
              respond({reply.status, "application/json", reply.json + "\n"});
            });
          },
          bounds) {
  set_admins({});
}

ControlServer::~ControlServer() {
  if (!socket_.empty()) ::unlink(socket_.c_str());
}

void ControlServer::on(std::string verb, Access access, ControlHandler handler) {
  on_slow(std::move(verb), access,
          [handler = std::move(handler)](const std::string& json, const ControlRespond& respond) {
            respond(handler(json));
          });
}

void ControlServer::on_slow(std::string verb, Access access, SlowControlHandler handler) {
  verbs_.insert_or_assign(std::move(verb), Verb{access, std::move(handler)});
}

std::vector<std::string> ControlServer::set_admins(const std::vector<std::string>& names) {
  std::vector<std::string> unknown;
  writers_ = {0, ::geteuid()};
  for (const std::string& name : names) {
    if (const auto uid = find_user(name)) {
      writers_.insert(*uid);
    } else {
      unknown.push_back(name);
    }
  }
  return unknown;
}

void ControlServer::listen(const std::filesystem::path& socket, std::uint32_t mode) {
  server_.serve(listen_unix(socket, mode, kGroup));
  socket_ = socket;
}

void ControlServer::dispatch(const HttpRequest& request, const ControlRespond& respond) const {
  if (request.path.rfind(kPrefix, 0) != 0) return respond(control_error(404, "every path here starts with /v1/"));
  const std::string name = request.path.substr(kPrefix.size());
  const auto verb = verbs_.find(name);
  if (verb == verbs_.end()) return respond(control_error(404, "there is no verb `" + name + "`"));
  const bool writes = verb->second.access == Access::write;
  if (request.method != "POST" && (writes || request.method != "GET")) {
    return respond(control_error(405, "`" + name + (writes ? "` is asked for with POST" : "` is asked for with GET")));
  }
  if (writes && (!request.peer || writers_.count(request.peer->uid) == 0)) {
    return respond(control_error(403, "`" + name + "` is for root and [control] admins only"));
  }
  if (!request.body.empty() && !nlohmann::json::accept(request.body)) {
    return respond(control_error(400, "the body is not JSON"));
  }
  try {
    verb->second.handler(request.body.empty() ? "{}" : request.body, respond);
  } catch (const std::exception& error) {
    respond(control_error(500, error.what()));
  }
}

}  // namespace gatehouse
