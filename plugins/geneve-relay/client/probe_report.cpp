#include "plugins/geneve-relay/client/probe_report.hpp"

#include "plugins/geneve-relay/wire/duration_text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostNamed = 6;  // addresses in one sentence
constexpr std::string_view kLookAtSessions =
    "`gatehouse sessions` says how far each client's handshake is and what it was refused for";

/// To a microsecond.
double milliseconds(Nanoseconds time) {
  return static_cast<double>(std::chrono::round<std::chrono::microseconds>(time).count()) / 1000;
}

Json time_json(const std::optional<Nanoseconds>& time) { return time ? Json(milliseconds(*time)) : Json(); }

Json clients_json(const std::array<ProbeClient, 2>& clients) {
  Json out = Json::array();
  for (const ProbeClient& client : clients) {
    const Candidate* const bound = client.bound();
    out.push_back({{"key", client.key().to_short_string()},
                   {"bound_by", bound == nullptr ? Json() : Json(bound->socket.relay().to_string())}});
  }
  return out;
}

Json candidate_json(const ProbeClient& client, const Candidate& one) {
  const bool is_lost = !one.challenged_in && one.socket.failure();
  return {{"client", client.key().to_short_string()},
          {"address", one.socket.relay().to_string()},
          {"challenge_ms", time_json(one.challenged_in)},
          {"answered_from", one.challenged_in ? Json(one.answered_from.to_string()) : Json()},
          {"error", is_lost ? Json(one.socket.failure().message()) : Json()}};
}

Json candidates_json(const std::array<ProbeClient, 2>& clients) {
  Json out = Json::array();
  for (const ProbeClient& client : clients)
    for (const Candidate& one : client.candidates()) out.push_back(candidate_json(client, one));
  return out;
}

Json trips_json(const RoundTrips& trips, unsigned sent) {
  const auto& times = trips.sorted();
  Json out{{"sent", sent}, {"lost", sent - times.size()}, {"damaged", trips.damaged()}};
  if (times.empty()) return out;
  const std::size_t last = times.size() - 1;
  out["min_ms"] = milliseconds(times.front());
  out["median_ms"] = milliseconds(times[last / 2]);
  out["p99_ms"] = milliseconds(times[last * 99 / 100]);
  return out;
}

/// "192.0.2.1:7600 (Connection refused), [2001:db8::1]:7600"
std::string addresses_of(const ProbeClient& client) {
  std::string out;
  for (std::size_t i = 0; i < client.candidates().size(); ++i) {
    if (i == kMostNamed) return out + ", ...";
    const PeerSocket& socket = client.candidates()[i].socket;
    out += (i == 0 ? "" : ", ") + socket.relay().to_string();
    if (socket.failure()) out += " (" + socket.failure().message() + ')';
  }
  return out;
}

std::string no_challenge(const ProbeSight& sight) {
  const bool is_second = sight.clients[0].bound() != nullptr;
  const ProbeClient& client = sight.clients[is_second ? 1 : 0];
  return std::string("the endpoint is allocated, and no Challenge came to the ") + (is_second ? "second" : "first") +
         " client's Bind from " + addresses_of(client) +
         ". Can UDP reach the relay there (firewalls, port forwards), and are these its addresses, else see "
         "`advertise`? Where it does, " +
         std::string(kLookAtSessions) + '.';
}

std::string no_data(const ProbeSight& sight) {
  const bool has_reached = sight.trips != nullptr && sight.trips->has_reached_second();
  return std::string("both clients were challenged and have answered, and data does not pass: ") +
         (has_reached ? "it reached the second client, whose own came not back to the first"
                      : "nothing of the first client reached the second") +
         ". " + std::string(kLookAtSessions) + ", here of VNI " + std::to_string(sight.endpoint.vni) +
         "; a rule may hold its traffic, too.";
}

std::string wrong_source(const ProbeSight& sight) {
  for (const ProbeClient& client : sight.clients)
    for (const Candidate& candidate : client.candidates())
      if (candidate.has_wrong_source())
        return "what was asked at " + candidate.socket.relay().to_string() + " was answered from " +
               candidate.answered_from.to_string() +
               ": a client behind NAT or a firewall never sees that. Is something between that rewrites addresses, "
               "such "
               "as a load balancer, or is it no Gatehouse?";
  for (const ProbeClient& client : sight.clients)
    if (client.data_from_elsewhere() > 0)
      return "data came from another address than " + client.bound()->answered_from.to_string() +
             ", which the client has bound by: one behind NAT or a firewall never sees that.";
  return {};
}

std::string bad_data(const ProbeSight& sight) {
  if (sight.trips->damaged() > 0)
    return std::to_string(sight.trips->damaged()) + " packets are not what was sent: what carries them is broken.";
  if (sight.trips->sorted().empty())
    return "data passed once, and then none of " + std::to_string(sight.sent) + " packets.";
  return {};
}

}  // namespace

std::string write_probe_json(const ProbeSight& sight) {
  const ServerEndpoint& endpoint = sight.endpoint;
  Json out{{"vni", endpoint.vni},
           {"relay", endpoint.server.to_short_string()},
           {"form", sight.form == WireForm::first ? "1" : "current"},
           {"allocated_ms", milliseconds(sight.allocated_in)},
           {"bind_lifetime", to_duration_text(endpoint.bind_lifetime)},
           {"steady_lifetime", to_duration_text(endpoint.steady_lifetime)},
           {"clients", clients_json(sight.clients)},
           {"candidates", candidates_json(sight.clients)}};
  if (sight.reached == ProbeStep::done) out["round_trips"] = trips_json(*sight.trips, sight.sent);
  out["works"] = fault_in(sight).empty();
  return out.dump();
}

std::string fault_in(const ProbeSight& sight) {
  if (sight.reached == ProbeStep::challenge) return no_challenge(sight);
  if (std::string wrong = wrong_source(sight); !wrong.empty()) return wrong;
  if (sight.reached == ProbeStep::data) return no_data(sight);
  return bad_data(sight);
}

}  // namespace gatehouse::geneve_relay
