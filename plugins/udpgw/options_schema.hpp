// The options as a JSON Schema (abi.h, gh_manifest.options_schema): what `gatehouse plugin describe udpgw` prints.
#pragma once

namespace gatehouse::udpgw {

inline constexpr char kOptionsSchema[] = R"({"properties": {
  "dns_resolvers": {"type": "array", "items": {"type": "string"}, "default": ["system"], "x-reload": "live",
    "description": "Where frames with the DNS flag go: addresses, with a port if it is not 53, or \"system\" for the nameservers of /etc/resolv.conf."},
  "blocked_answer": {"type": "string", "enum": ["nxdomain", "nodata", "refused", "drop"], "default": "nxdomain", "x-reload": "live",
    "description": "What the client is told about a name that policy blocks; drop = nothing."},
  "blocked_ttl_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 10, "x-reload": "live",
    "description": "How long resolvers and programs may remember nxdomain and nodata: so long an edit that allows the name goes unnoticed there; 0 = not at all."},
  "resolver_timeout_ms": {"type": "integer", "minimum": 10, "maximum": 60000, "default": 1000, "x-reload": "live",
    "description": "After this time a query goes once more, to the next resolver; one that failed is last in turn for 10 s."},
  "stream_idle_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 60, "x-reload": "live",
    "description": "A stream without a frame in either direction is closed after this time; 0 = never. The idle time of a forward is a traffic rule."},
  "fin_grace_seconds": {"type": "integer", "minimum": 0, "maximum": 60, "default": 2, "x-reload": "live",
    "description": "How long replies are still delivered after the client has ended its side."},
  "client_buffer_bytes": {"type": "integer", "minimum": 131072, "maximum": 1073741824, "default": 1048576, "x-reload": "live",
    "description": "Replies that wait for one client that does not read; new clients get a changed value."},
  "egress_addresses": {"type": "array", "items": {"type": "string"}, "default": [], "x-reload": "live",
    "description": "Own addresses that forwards leave from, spread by a hash; a family without one uses the kernel's choice."},
  "udp_segment": {"type": "boolean", "default": true, "x-reload": "live",
    "description": "Send runs of datagrams of one forward by one system call (UDP_SEGMENT)."}
}})";

}  // namespace gatehouse::udpgw
