// The options as a JSON Schema (abi.h, gh_manifest.options_schema): what `gatehouse plugin describe packet-tunnel`
// prints.
#pragma once

namespace gatehouse::packet_tunnel {

inline constexpr char kOptionsSchema[] = R"({"properties": {
  "device": {"type": "string", "default": "gatehouse0", "x-reload": "restart",
    "description": "The tun device, made at the start and removed at the stop."},
  "device_fd": {"type": "integer", "minimum": -1, "maximum": 65535, "default": -1, "x-reload": "restart",
    "description": "A descriptor of a tun device that whoever starts the gateway has opened and configured; -1 = none. Then the gateway needs no privilege, and neither addresses nor routes nor NAT are touched."},
  "mtu": {"type": "integer", "minimum": 1280, "maximum": 65535, "default": 1500, "x-reload": "restart",
    "description": "Bytes of the longest packet in the tunnel; clients are told."},
  "egress_interface": {"type": "string", "default": "", "x-reload": "restart",
    "description": "Where clients' packets leave; \"\" = wherever the host's routes lead."},
  "ipv4_prefix": {"type": "string", "default": "auto", "x-reload": "restart",
    "description": "Clients' IPv4 addresses on this host: \"auto\" = 10.0.0.0/8, or the first of 100.64.0.0/10 and 172.16.0.0/12 of which the host uses nothing."},
  "ipv6_prefix": {"type": "string", "default": "fd19:ca83:e6d5:1c44::/64", "x-reload": "restart",
    "description": "Clients' IPv6 addresses on this host."},
  "ipv6": {"type": "string", "enum": ["auto", "off", "required"], "default": "auto", "x-reload": "restart",
    "description": "auto = where the host has IPv6; required = no start without it."},
  "nat": {"type": "string", "enum": ["nftables", "none"], "default": "nftables", "x-reload": "restart",
    "description": "nftables = a table of our own, removed at the stop; none = you have a firewall of your own that masquerades."},
  "fwmark": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0, "x-reload": "restart",
    "description": "A mark on clients' packets, for your own rules and routes; 0 = none."},
  "nat_connections_per_client": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 8192, "x-reload": "restart",
    "description": "Connections of one client, of IPv4 and of IPv6, that the kernel tracks at a time; the first packets of more are dropped. At least what concurrent_flows of a traffic rule allows; 0 = no bound."},
  "dns_resolvers": {"type": "array", "items": {"type": "string"}, "default": ["system"], "x-reload": "live",
    "description": "Where queries to 10.0.0.2 and fd19:ca83:e6d5:1c44::2 go: addresses, or \"system\" for the nameservers of /etc/resolv.conf; a session keeps those that were there when it began."},
  "blocked_answer": {"type": "string", "enum": ["nxdomain", "nodata", "refused", "drop"], "default": "nxdomain", "x-reload": "live",
    "description": "What the client is told about a name that policy blocks; drop = nothing."},
  "blocked_ttl_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 10, "x-reload": "live",
    "description": "How long resolvers and programs may remember nxdomain and nodata: so long an edit that allows the name goes unnoticed there; 0 = not at all."},
  "denied_answer": {"type": "string", "enum": ["reject", "drop"], "default": "reject", "x-reload": "live",
    "description": "reject = denied TCP gets a RST and denied UDP an ICMP error, so that programs fail at once; drop = nothing."},
  "large_frames": {"type": "boolean", "default": true, "x-reload": "live",
    "description": "Clients that ask for it send and get super-packets in one piece (Tunnel-Features: large-frames), where the device takes them; new clients get a changed value."},
  "session_idle_seconds": {"type": "integer", "minimum": 10, "maximum": 2592000, "default": 300, "x-reload": "live",
    "description": "How long a session without a client keeps its addresses, where no traffic rule says."},
  "client_buffer_bytes": {"type": "integer", "minimum": 131072, "maximum": 1073741824, "default": 4194304, "x-reload": "live",
    "description": "Packets that wait for one client that does not read; new clients get a changed value."}
}})";

}  // namespace gatehouse::packet_tunnel
