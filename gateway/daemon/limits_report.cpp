#include "gateway/daemon/limits_report.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/base/utc_time.hpp"

#include <gatehouse/base/clock.hpp>

#include <nlohmann/json.hpp>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;
using policy::Limit;
using policy::MeterReading;

constexpr unsigned kBadRequest = 400;

/// The client as it was asked for; `error` is a sentence when that cannot be read.
struct Question {
  std::string plugin, listener, identity, error;
  IpAddress source;
};

Question read_question(const std::string& text) {
  const Json body = Json::parse(text, nullptr, false);
  Question out;
  if (!body.is_object()) out.error = "write {\"plugin\", \"listener\", \"identity\", \"source\"}";
  std::string source;
  for (const auto& [name, place] : {std::pair{"plugin", &out.plugin}, std::pair{"listener", &out.listener},
                                    std::pair{"identity", &out.identity}, std::pair{"source", &source}}) {
    if (!body.is_object() || !body.contains(name)) continue;
    if (body[name].is_string())
      *place = body[name].get<std::string>();
    else
      out.error = std::string("`") + name + "` is a text";
  }
  if (source.empty()) return out;
  if (const auto address = IpAddress::parse(source))
    out.source = *address;
  else
    out.error = "`" + source + "` is not an IP address, such as 192.0.2.7";
  return out;
}

/// @param most  as meters take it; 0 = no limit
Json counted(const std::string& name, const Limit& limit, std::uint64_t most, std::uint64_t used) {
  Json out{{"name", name}, {"row", nullptr}, {"used", used}, {"most", nullptr}, {"left", nullptr}};
  if (limit.value) out["row"] = limit.row;
  if (most != 0) {
    out["most"] = most;
    out["left"] = most - std::min(most, used);
  }
  return out;
}

void add_rate(Json& out, const std::string& direction, const Limit& rate, const Limit& unthrottled,
              const policy::RateLimit& limit, const policy::RateReading& read) {
  if (limit.rate == 0) return;
  out.push_back({{"name", "rate_" + direction}, {"row", rate.row}, {"burst", limit.burst}, {"left", read.left}});
  if (limit.unthrottled != 0)
    out.push_back(
        counted("unthrottled_" + direction, unthrottled, limit.unthrottled, limit.unthrottled - read.unthrottled_left));
}

Json claims_json(const std::vector<policy::ClaimedPrefix>& claims) {
  Json out = Json::array();
  for (const policy::ClaimedPrefix& claim : claims)
    out.push_back({{"prefix", claim.prefix.to_string()}, {"plugin", claim.plugin}});
  return out;
}

/// Without a limit nothing is counted, except what is open.
Json limits_json(const policy::Limits& rows, const policy::MeterLimits& limits, const MeterReading& read,
                 policy::Periods now) {
  const policy::ScopeLimits& of = rows.identity;
  Json out = Json::array();
  add_rate(out, "up", of.rate_up, of.unthrottled_up, limits.up, read.up);
  add_rate(out, "down", of.rate_down, of.unthrottled_down, limits.down, read.down);
  if (limits.quota.bytes != 0) {
    Json quota = counted("quota_bytes", of.quota_bytes, limits.quota.bytes, read.quota_used);
    quota["until"] = rfc3339(unix_seconds(end_of(limits.quota.period, now)));
    out.push_back(std::move(quota));
  }
  if (limits.new_flows_per_second != 0)
    out.push_back(counted("new_flows_per_second", of.new_flows_per_second, limits.new_flows_per_second,
                          limits.new_flows_per_second - read.new_flows_left));
  if (limits.destinations_per_minute != 0)
    out.push_back(counted("destinations_per_minute", of.destinations_per_minute, limits.destinations_per_minute,
                          read.destinations));
  out.push_back(counted("concurrent_flows", of.concurrent_flows, limits.concurrent_flows, read.flows));
  const Limit& sessions = rows.concurrent_sessions();
  out.push_back(counted("concurrent_sessions", sessions, sessions.or_none(), read.sessions));
  return out;
}

}  // namespace

ControlReply limits_reply(const HostServices& services, std::int64_t revision, const std::string& question) {
  const Question client = read_question(question);
  if (!client.error.empty()) return control_error(kBadRequest, client.error);
  const auto snapshot = services.policy->current();
  const auto group = snapshot->group_of({client.plugin, client.listener, client.identity, client.source});
  const policy::Limits& rows = snapshot->limits(group);
  const policy::MeterLimits limits(rows.identity);
  const policy::Moment now{to_ns(steady_now()), services.policy->calendar().periods()};

  const IpAddress source = snapshot->canonical(client.source);
  const std::string key = KeyMeters::key_text(client.identity, source);
  const auto read = services.key_meters->read(client.identity, source, limits, now);
  const Json body{{"generation", snapshot->generation()},
                  {"revision", revision},
                  {"readable", snapshot->has_policy()},
                  {"group", snapshot->group(group).name},
                  {"key", key.empty() ? Json() : Json(key)},
                  {"claims", claims_json(snapshot->parts().own.claims())},
                  {"remembered", read.has_value()},
                  {"limits", read ? limits_json(rows, limits, *read, now.periods) : Json::array()}};
  return {200, printable_json(body.dump(-1, ' ', false, Json::error_handler_t::replace))};
}

}  // namespace gatehouse
