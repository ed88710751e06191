#include "gateway/cli/policy/running_limits.hpp"

#include "gateway/cli/render.hpp"
#include "gateway/control/control_client.hpp"

#include <ostream>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds kPatience{2};  // the explanation is worth something without the answer

std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return {};
  return printable(found->is_string() ? found->get<std::string>() : one_line(*found));
}

bool is(const Json& object, const char* name, bool value) {
  const auto found = object.find(name);
  return found != object.end() && *found == value;
}

std::string in_words(const Json& limit) {
  const std::string left = text_of(limit, "left"), used = text_of(limit, "used"), most = text_of(limit, "most");
  const std::string burst = text_of(limit, "burst"), until = text_of(limit, "until");
  if (!burst.empty()) return left + " of " + burst + " bytes may pass at once";
  if (most.empty()) return used + " used, no limit";
  return used + " of " + most + " used, " + left + " left" + (until.empty() ? "" : " until " + until);
}

}  // namespace

RunningLimits ask_limits(const std::filesystem::path& socket, const policy::ClientFacts& client) {
  const std::string source = client.source.family() == Family::none ? "" : client.source.to_string();
  const Json question{
      {"plugin", client.plugin}, {"listener", client.listener}, {"identity", client.identity}, {"source", source}};
  try {
    const ControlReply reply = control_request(socket, "policy/limits", Access::read, one_line(question), kPatience);
    Json body = Json::parse(reply.json, nullptr, false);
    if (reply.status == 200 && body.is_object()) return {"", std::move(body)};
    const std::string why = body.is_object() ? text_of(body, "error") : "";
    return {"the gateway answered " + (why.empty() ? std::to_string(reply.status) : why), {}};
  } catch (const NoGateway& nobody) {
    return {nobody.what(), {}};
  }
}

std::vector<policy::ClaimedPrefix> claims_of(const RunningLimits& limits) {
  std::vector<policy::ClaimedPrefix> out;
  const auto claims = limits.body.find("claims");
  if (claims == limits.body.end() || !claims->is_array()) return out;
  for (const Json& claim : *claims) {
    if (!claim.is_object()) continue;
    const auto prefix = Prefix::parse(text_of(claim, "prefix"));
    if (prefix) out.push_back({*prefix, text_of(claim, "plugin")});
  }
  return out;
}

void print_limits(std::ostream& out, const RunningLimits& limits, std::int64_t revision, bool any_limits) {
  if (!limits.why_not.empty()) {
    out << "running: what is left of limits is not known: " << printable(limits.why_not) << '\n';
    return;
  }
  const Json& body = limits.body;
  out << "running: generation " << text_of(body, "generation");
  if (is(body, "readable", false)) {
    out << ": no policy is in force, everything is denied: see `gatehouse status`\n";
    return;
  }
  const std::string in_force = text_of(body, "revision");
  out << " of revision " << in_force;
  if (in_force != std::to_string(revision)) out << ": revision " << revision << " is not in force yet";
  out << '\n';
  const std::string whose = text_of(body, "key");
  if (whose.empty()) {
    if (any_limits) out << "now: without an identity or an address of its own, each session is counted for itself\n";
  } else if (!is(body, "remembered", true)) {
    out << "now: nothing is remembered of " << whose << ": all of its limits are left\n";
  } else {
    for (const Json& limit : body.contains("limits") ? body["limits"] : Json::array())
      if (limit.is_object())
        out << "now: " << whose << ", " << text_of(limit, "name") << ": " << in_words(limit) << '\n';
  }
}

Json limits_json(const RunningLimits& limits) {
  if (!limits.why_not.empty()) return {{"running", false}, {"why", limits.why_not}};
  Json out{{"running", true}};
  out.update(limits.body);
  return out;
}

}  // namespace gatehouse
