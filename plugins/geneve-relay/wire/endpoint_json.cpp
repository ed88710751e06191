#include "plugins/geneve-relay/wire/endpoint_json.hpp"

#include "plugins/geneve-relay/wire/duration_text.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <nlohmann/json.hpp>

#include <limits>
#include <optional>

namespace gatehouse::geneve_relay {
namespace {

using Json = nlohmann::ordered_json;

/// The object that `body` is, or something that is none.
Json parse_object(std::string_view body) { return Json::parse(body, nullptr, false); }

/// The member of that name, or null.
const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::optional<DiscoKey> key_of(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto key = DiscoKey::parse(value.get_ref<const std::string&>());
  return key ? std::optional(*key) : std::nullopt;
}

std::optional<std::uint64_t> number_of(const Json& value, std::uint64_t most) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) return std::nullopt;
  return value.get<std::uint64_t>();
}

std::optional<Nanoseconds> duration_of(const Json& value) {
  if (value.is_string()) {
    const auto duration = parse_duration_text(value.get_ref<const std::string&>());
    return duration ? std::optional(*duration) : std::nullopt;
  }
  const auto number = number_of(value, std::numeric_limits<Nanoseconds::rep>::max());
  return number ? std::optional(Nanoseconds(*number)) : std::nullopt;
}

/// Null is an empty list.
std::optional<AddressList> addresses_of(const Json& value) {
  AddressList out;
  if (value.is_null()) return out;
  if (!value.is_array()) return std::nullopt;
  for (const Json& one : value) {
    if (!one.is_string()) return std::nullopt;
    const auto address = Endpoint::parse(one.get_ref<const std::string&>());
    if (!address) return std::nullopt;
    out.add(*address);
  }
  return out;
}

/// Without a member, which the first form has not, zero keys.
std::optional<DiscoPair> clients_of(const Json& value) {
  if (value.is_null()) return DiscoPair();
  if (!value.is_array() || value.size() != 2) return std::nullopt;
  const auto first = key_of(value[0]), second = key_of(value[1]);
  return first && second ? std::optional(DiscoPair(*first, *second)) : std::nullopt;
}

Json duration_json(Nanoseconds duration, WireForm form) {
  return form == WireForm::first ? Json(duration.count()) : Json(to_duration_text(duration));
}

Json keys_json(const DiscoPair& clients) { return {clients.keys[0].to_string(), clients.keys[1].to_string()}; }

}  // namespace

Result<DiscoPair> parse_json_request(std::string_view body) {
  if (body.size() > kLargestJsonRequest) return Errc::oversize;
  const Json request = parse_object(body);
  if (!request.is_object()) return Errc::malformed;
  const Json& keys = member(request, "DiscoKeys");
  if (!keys.is_array()) return Errc::malformed;
  if (keys.size() != 2) return Errc::invalid;
  const auto first = key_of(keys[0]), second = key_of(keys[1]);
  if (!first || !second) return Errc::malformed;
  if (*first == *second) return Errc::invalid;
  return DiscoPair(*first, *second);
}

std::string write_json_request(const DiscoPair& clients) { return Json{{"DiscoKeys", keys_json(clients)}}.dump(); }

std::string write_json_endpoint(const ServerEndpoint& endpoint, WireForm form) {
  Json out;
  out["ServerDisco"] = endpoint.server.to_string();
  if (form == WireForm::current) out["ClientDisco"] = keys_json(endpoint.clients);
  out["LamportID"] = endpoint.lamport_id;
  Json& addresses = out["AddrPorts"];
  for (const Endpoint& address : endpoint.addresses.all()) addresses.push_back(address.to_string());
  out["VNI"] = endpoint.vni;
  out["BindLifetime"] = duration_json(endpoint.bind_lifetime, form);
  out["SteadyStateLifetime"] = duration_json(endpoint.steady_lifetime, form);
  return out.dump() + '\n';
}

Result<ServerEndpoint> parse_json_endpoint(std::string_view body) {
  if (body.size() > kLargestJsonEndpoint) return Errc::oversize;
  const Json in = parse_object(body);
  if (!in.is_object()) return Errc::malformed;
  const auto server = key_of(member(in, "ServerDisco"));
  const auto clients = clients_of(member(in, "ClientDisco"));
  const auto lamport_id = number_of(member(in, "LamportID"), std::numeric_limits<std::uint64_t>::max());
  const auto addresses = addresses_of(member(in, "AddrPorts"));
  const auto vni = number_of(member(in, "VNI"), kLargestVni);
  const auto bind = duration_of(member(in, "BindLifetime")), steady = duration_of(member(in, "SteadyStateLifetime"));
  if (!server || !clients || !lamport_id || !addresses || !vni || *vni == 0 || !bind || !steady) return Errc::malformed;
  return ServerEndpoint{*server, *clients, *lamport_id, static_cast<std::uint32_t>(*vni), *bind, *steady, *addresses};
}

}  // namespace gatehouse::geneve_relay
