#include "gateway/cli/running_gateway.hpp"

#include "gateway/cli/render.hpp"
#include "gateway/config/control_socket.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

constexpr unsigned kBadRequest = 400;
constexpr unsigned kUnprocessable = 422;  // the new configuration is broken; the old one is in force

std::filesystem::path socket_of(const Invocation& invocation) {
  return invocation.socket.empty() ? control_socket(load_config(invocation)) : invocation.socket;
}

}  // namespace

ControlReply ask_gateway(const Invocation& invocation, const std::string& verb, Access access,
                         const std::string& json) {
  return control_request(socket_of(invocation), verb, access, json);
}

bool gateway_listens(const Invocation& invocation) { return somebody_listens(socket_of(invocation)); }

int print_reply(const Invocation& invocation, const ControlReply& reply) {
  const bool good = reply.status < 300;
  if (good || invocation.json) {
    print_body(invocation, reply.json);
  } else {
    const auto body = nlohmann::json::parse(reply.json, nullptr, false);
    const bool has_sentence = body.is_object() && body.contains("error") && body["error"].is_string();
    complain(invocation,
             has_sentence ? body["error"].get<std::string>() : "the gateway answered " + std::to_string(reply.status));
    if (has_sentence && body.contains("problems") && body["problems"].is_array()) {
      for (const auto& problem : body["problems"]) {
        complain(invocation, problem.is_string() ? problem.get<std::string>() : problem.dump());
      }
    }
  }
  return good ? kExitYes : reply.status == kUnprocessable || reply.status == kBadRequest ? kExitWrong : kExitNo;
}

}  // namespace gatehouse
