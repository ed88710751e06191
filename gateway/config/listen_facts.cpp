#include "gateway/config/listen_facts.hpp"

#include "gateway/config/tls_config.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

using Kind = ListenAddress::Kind;

constexpr std::size_t kMostProxies = 1024;
constexpr std::size_t kMostOrigins = 256, kLongestOrigin = 255;
constexpr std::string_view kOriginScheme = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
constexpr std::string_view kOriginHost = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]";

void read_tls(TableReader& reader, ListenAddress& out, SaidFacts& said, std::vector<ConfigProblem>& problems) {
  const ConfigValue* const value = reader.take("tls");
  if (value == nullptr) return;
  if (value->kind == ConfigValue::Kind::boolean) {
    if (value->boolean) out.tls.emplace();
    said.no_tls = !value->boolean;
  } else if (value->kind == ConfigValue::Kind::table) {
    TableReader keys(value, reader.path_of("tls"), problems);
    read_tls_keys(keys, said.tls);
    keys.refuse_unknown_keys();
    out.tls.emplace();
  } else {
    reader.refuse(*value, "tls", "true, false or a table such as { certificate = \"/...\", key = \"/...\" }");
  }
}

void read_auth(TableReader& reader, ListenAddress& out, SaidFacts& said) {
  const ConfigValue* const value = reader.take("auth");
  if (value == nullptr) return;
  const std::string wanted =
      "\"none\", one of \"token\", \"cert\" and \"unix\", or an array of these, any one of which is "
      "enough";
  said.auth = true;
  bool none = false;
  const auto take = [&](const ConfigValue& item) {
    if (item.kind != ConfigValue::Kind::string) return false;
    if (item.text == "none")
      none = true;
    else if (item.text == "token")
      out.auth.token = true;
    else if (item.text == "cert")
      out.auth.certificate = true;
    else if (item.text == "unix")
      out.auth.user = true;
    else
      return false;
    return true;
  };
  if (value->kind != ConfigValue::Kind::array) {
    if (!take(*value)) reader.refuse(*value, "auth", wanted);
    return;
  }
  for (const ConfigValue& item : value->children) {
    if (!take(item)) return reader.refuse(item, "auth", wanted);
  }
  if (none == out.auth.any()) reader.refuse(*value, "auth", wanted + "; \"none\" stands alone");
}

void read_proxies(TableReader& reader, ListenAddress& out) {
  reader.read("proxy_protocol", out.proxy_protocol);
  const ConfigValue* const value = reader.take("trusted_proxies");
  if (value == nullptr) return;
  const std::string wanted =
      "an array of addresses or prefixes of the proxies in front, such as [\"192.0.2.7\", \"2001:db8::/64\"]";
  if (value->kind != ConfigValue::Kind::array || value->children.empty() || value->children.size() > kMostProxies)
    return reader.refuse(*value, "trusted_proxies", wanted);
  for (const ConfigValue& item : value->children) {
    const auto prefix = Prefix::parse(item.text);
    if (item.kind != ConfigValue::Kind::string || !prefix)
      reader.refuse(item, "trusted_proxies", wanted);
    else if (prefix->length() == 0)
      reader.refuse(item, "trusted_proxies", wanted + "; who trusts everybody lets clients choose their address");
    else
      out.trusted_proxies.push_back(*prefix);
  }
}

/// As browsers write it, in lower case and without its scheme's own port (RFC 6454, 6.2); "" where it is no origin.
std::string as_origin(std::string text) {
  if (text.size() > kLongestOrigin) return "";
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  const std::size_t scheme = text.find("://");
  if (scheme == 0 || scheme == text.npos || text.find_first_not_of(kOriginScheme) != scheme) return "";
  const std::size_t host = scheme + 3;
  if (text.find_first_not_of(kOriginHost, host) != text.npos || host == text.size() || text[host] == ':') return "";
  for (const std::string_view usual : {"http:80", "https:443", "ws:80", "wss:443"}) {
    const std::size_t colon = usual.find(':');
    if (text.compare(0, scheme, usual.substr(0, colon)) == 0 && text.ends_with(usual.substr(colon)))
      text.resize(text.size() - (usual.size() - colon));
  }
  return text;
}

void read_origins(TableReader& reader, ListenAddress& out) {
  const ConfigValue* const value = reader.take("origins");
  if (value == nullptr) return;
  const std::string wanted =
      "an array of origins of pages, as browsers send them, such as [\"https://app.example\", "
      "\"http://localhost:8080\"]";
  if (value->kind != ConfigValue::Kind::array || value->children.empty() || value->children.size() > kMostOrigins)
    return reader.refuse(*value, "origins", wanted);
  for (const ConfigValue& item : value->children) {
    std::string origin = item.kind == ConfigValue::Kind::string ? as_origin(item.text) : "";
    if (!origin.empty())
      out.origins.push_back(std::move(origin));
    else if (item.kind == ConfigValue::Kind::string && (item.text == "*" || item.text == "null"))
      reader.refuse(item, "origins", wanted + "; each page that may ask is named, for any other could ask as its user");
    else
      reader.refuse(item, "origins", wanted);
  }
}

std::string why_not_tls(const ListenAddress& address, const SaidFacts& said) {
  const std::string name = "`" + address.text + "`";
  if (address.tls && said.no_tls) return name + " says tls: and tls = false; leave one of them out";
  if (address.tls && (address.tls->certificate.empty() || address.tls->key.empty())) {
    return name + " has no " + (address.tls->certificate.empty() ? "certificate" : "key") +
           " for its TLS; write certificate = \"/PATH/chain.pem\" and key = \"/PATH/key.pem\" into [tls], or into "
           "`tls` "
           "of this listener's own table";
  }
  if (!address.auth.certificate) return "";
  if (!address.tls)
    return name +
           " asks for auth = \"cert\" without TLS, in which clients show certificates; add tls = { client_ca = "
           "\"/PATH/ca.pem\" }";
  if (address.tls->client_ca.empty())
    return name +
           " asks for auth = \"cert\" and does not say whose certificates are good; add client_ca = "
           "\"/PATH/ca.pem\" to [tls], or to `tls` of this listener's own table";
  return "";
}

std::string why_not_proxied(const ListenAddress& address) {
  const std::string name = "`" + address.text + "`";
  const bool is_unix = address.kind == Kind::unix_stream;
  if (is_unix && !address.trusted_proxies.empty())
    return name +
           " has trusted_proxies, but who connects to a Unix socket has no address; write proxy_protocol = true "
           "alone, and let mode and group say who may connect";
  if (address.proxy_protocol && !is_unix && address.trusted_proxies.empty())
    return name +
           " has proxy_protocol without trusted_proxies: everybody could claim any address; add trusted_proxies "
           "= [\"ADDRESS OF THE PROXY\"]";
  return "";
}

bool is_on_this_machine(const ListenAddress& address) {
  return address.kind == Kind::unix_stream || address.endpoint.address.unmapped().is_loopback();
}

std::string why_not_safe(const ListenAddress& address, const SaidFacts& said) {
  const std::string name = "`" + address.text + "`";
  if (address.auth.user && address.kind != Kind::unix_stream)
    return name + " asks for auth = \"unix\", which only clients of a unix: listener have; use \"token\" or \"cert\"";
  if (address.auth.user && address.proxy_protocol)
    return name +
           " asks for auth = \"unix\" behind a proxy, whose user all of its clients would be; use \"token\" or "
           "\"cert\"";
  if (address.auth.any() && !address.identity.empty())
    return name + " gives each client the identity " + address.identity +
           " and asks it for its own with auth; leave one of them out";
  if (address.auth.token && !address.tls && !is_on_this_machine(address) && address.trusted_proxies.empty())
    return name +
           " asks for tokens without TLS, so that everybody on the way could read them; write tls = true (and a "
           "certificate into [tls]), or trusted_proxies where a proxy in front ends TLS";
  if (address.kind == Kind::tcp && !said.auth && !address.endpoint.address.is_loopback())
    return name +
           " would be open to the network without authentication; listen on a loopback address, or write { address = "
           "\"" +
           address.text + "\", auth = \"none\" } if that is meant";
  return "";
}

}  // namespace

void read_listen_facts(TableReader& reader, ListenAddress& out, SaidFacts& said, std::vector<ConfigProblem>& problems) {
  read_tls(reader, out, said, problems);
  read_auth(reader, out, said);
  std::string opening;
  reader.read("opening", opening, {"http"});
  out.http_opening = !opening.empty();
  read_origins(reader, out);
  read_proxies(reader, out);
}

std::string why_not_meant(const ListenAddress& address, const SaidFacts& said) {
  if (address.kind == Kind::udp) {
    const bool has_any = address.tls || address.auth.any() || address.http_opening || address.proxy_protocol ||
                         !address.trusted_proxies.empty() || !address.origins.empty();
    return has_any ? "`" + address.text +
                         "` takes datagrams; tls, auth, opening, origins, proxy_protocol and trusted_proxies are for "
                         "streams"
                   : "";
  }
  for (std::string why : {why_not_tls(address, said), why_not_proxied(address), why_not_safe(address, said)})
    if (!why.empty()) return why;
  return "";
}

}  // namespace gatehouse
