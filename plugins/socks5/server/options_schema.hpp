// The options as a JSON Schema (abi.h, gh_manifest.options_schema): what `gatehouse plugin describe socks5` prints.
#pragma once

namespace gatehouse::socks5 {

inline constexpr char kOptionsSchema[] = R"({"properties": {
  "dns_resolvers": {"type": "array", "items": {"type": "string"}, "default": ["system"], "x-reload": "live",
    "description": "Whom to ask for the addresses of names: addresses, with a port if it is not 53, or \"system\" for the nameservers of /etc/resolv.conf."},
  "resolver_timeout_ms": {"type": "integer", "minimum": 10, "maximum": 60000, "default": 1000, "x-reload": "live",
    "description": "After this time a query goes once more, to the next resolver; one that failed is last in turn for 10 s."},
  "connect_timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 300, "default": 15, "x-reload": "live",
    "description": "How long a client may wait for its connection, over all addresses of a name."},
  "tunnel_idle_seconds": {"type": "integer", "minimum": 0, "maximum": 604800, "default": 7440, "x-reload": "live",
    "description": "A connection without a byte in either direction is closed after this time, where no traffic rule (tcp_idle_seconds) says; 0 = never."},
  "egress_addresses": {"type": "array", "items": {"type": "string"}, "default": [], "x-reload": "live",
    "description": "Own addresses that connections and datagrams leave from, one for each client of a family; a family without one uses the kernel's choice."},
  "blocked_answer": {"type": "string", "enum": ["nxdomain", "nodata", "refused", "drop"], "default": "nxdomain", "x-reload": "live",
    "description": "What a DNS query over UDP is told about a name that policy blocks; drop = nothing."},
  "blocked_ttl_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 10, "x-reload": "live",
    "description": "How long resolvers and programs may remember nxdomain and nodata: so long an edit that allows the name goes unnoticed there; 0 = not at all."},
  "splice": {"type": "boolean", "default": true, "x-reload": "live",
    "description": "Pass large transfers between plain sockets on within the kernel (splice)."}
}})";

}  // namespace gatehouse::socks5
