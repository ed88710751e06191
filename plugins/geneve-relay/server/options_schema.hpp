// The options as a JSON Schema (abi.h, gh_manifest.options_schema): what `gatehouse plugin describe geneve-relay`
// prints.
#pragma once

namespace gatehouse::geneve_relay {

inline constexpr char kOptionsSchema[] = R"({"properties": {
  "advertise": {"type": "array", "items": {"type": "string"}, "default": [], "x-reload": "live",
    "description": "Where clients reach the relay, as addresses with ports: offered with each endpoint, at most 32. None: the addresses of the host's interfaces, as they come and go, with the ports of the listeners."},
  "bind_lifetime_seconds": {"type": "integer", "minimum": 5, "maximum": 3600, "default": 30, "x-reload": "live",
    "description": "An endpoint that not both clients have bound after this time is given up."},
  "steady_lifetime_seconds": {"type": "integer", "minimum": 0, "maximum": 604800, "default": 300, "x-reload": "live",
    "description": "A bound endpoint ends when either client was silent for this time; 0 = never, as long as the gateway remembers it (48 hours, while it does not run)."},
  "most_endpoints": {"type": "integer", "minimum": 1, "maximum": 16777215, "default": 100000, "x-reload": "live",
    "description": "Endpoints at a time, of all clients together."},
  "handshakes_per_second_of_a_source": {"type": "integer", "minimum": 0, "maximum": 1000000, "default": 500, "x-reload": "live",
    "description": "Handshake messages of one IPv4 address or IPv6 /64 that are opened in a second, four times as many at once; more are dropped ahead of the cryptography. 0 = no limit."},
  "handshakes_per_second_of_a_lane": {"type": "integer", "minimum": 0, "maximum": 10000000, "default": 50000, "x-reload": "live",
    "description": "The same for all sources of one lane together: 50000 are less than a tenth of a core. 0 = no limit."},
  "gso": {"type": "string", "enum": ["auto", "off", "never-equal-tail"], "default": "auto", "x-reload": "restart",
    "description": "Send runs of datagrams by one system call (UDP_SEGMENT): auto = where a test at the start finds nothing wrong; never-equal-tail = for kernels that corrupt runs of equal length."},
  "fast_path": {"type": "string", "enum": ["off", "xdp"], "default": "off", "x-reload": "restart",
    "description": "xdp = what bound clients send is relayed within the kernel, where nothing meters it: much cheaper, and unseen by netfilter. Needs CAP_BPF and CAP_NET_ADMIN; where it cannot be, the log says why, and user space relays all."},
  "stun_servers": {"type": "array", "items": {"type": "string"}, "default": [], "x-reload": "live",
    "description": "Addresses with ports of STUN servers that are asked how the relay is seen from outside; what they say is offered, too."}
}})";

}  // namespace gatehouse::geneve_relay
