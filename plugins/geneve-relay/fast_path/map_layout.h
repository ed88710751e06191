// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// What the program in the kernel and the gateway share: the maps' keys and values. Read by a BPF compiler as C, and by
// C++. Addresses and ports are in network byte order; an IPv4 address is the first of four words, the others are 0.
#pragma once

#include <linux/types.h>

#define GH_FAST_MOST_PORTS 8
#define GH_FAST_MOST_LANES 256  // a power of two
// A leg's packet goes by way of the stack this often, so that the kernel keeps asking whether the next hop is there.
#define GH_FAST_STACK_INTERVAL_NS 15000000000LL
// So long a leg's next hop is taken as the kernel told it last: asking is a third of what a packet costs.
#define GH_FAST_HOP_NS 100000000LL
// So long legs are relayed after their lane's last word: what does not turn any more does not follow the policy either.
#define GH_FAST_SILENCE_NS 1000000000LL

// What the gateway tells the program, by memory that both have.
struct gh_fast_words {
  __be16 ports[GH_FAST_MOST_PORTS];  // 0: none, and so are all behind it
  __u64 beats[GH_FAST_MOST_LANES];   // when each lane last said that it turns, ns of CLOCK_MONOTONIC
};

// Of a leg: where its packets come from, and where to.
struct gh_fast_key {
  __u32 tag;  // VNI << 8 | 4 or 6, in host order
  __be16 remote_port, local_port;
  __be32 remote[4], local[4];
};

// Where they go, of the same family as the key. The sums are of 16-bit words as they lie in memory, folded, and never 0
// where anything is summed: what a packet's checksum changes by is the same for all packets of a leg.
struct gh_fast_entry {
  __be32 remote[4], local[4];
  __be16 remote_port, local_port;
  __u16 udp_change;  // new addresses and ports less those of the key
  __u16 ip_change;   // IPv4: new addresses less those of the key
  __u16 pseudo;      // of the key's addresses and the protocol, without the length
  __u16 lane;        // whose leg it is
  __u16 unused[2];
  __u8 hop_to[6], hop_from[6];  // MAC addresses
  __u32 hop_interface;
  __u32 hop_mtu;         // of IP packets
  __u64 hop_until;       // the next hop is as above; 0: it was not asked for yet
  __u64 stack_at;        // when a packet last went by way of the stack, ns of CLOCK_MONOTONIC
  __u64 last_seen;       // of the last one relayed here; 0: none yet
  __u64 packets, bytes;  // UDP payload, the Geneve header included
};

// Of the packets to the relay's ports: relayed, or why left to the stack, which is user space.
enum gh_fast_count {
  GH_FAST_RELAYED,
  GH_FAST_NOT_DATA,          // a handshake, or no Geneve header without options
  GH_FAST_UNKNOWN,           // no leg has it
  GH_FAST_LENGTH,            // lengths of IP, UDP and the frame that do not fit one another
  GH_FAST_PARTIAL_CHECKSUM,  // of a sender on this machine, whose device was to complete it
  GH_FAST_NO_CHECKSUM,       // IPv6 without one, which the stack drops
  GH_FAST_SILENT_LANE,       // GH_FAST_SILENCE_NS are over: the leg's lane hangs, or is gone
  GH_FAST_STACK_TURN,        // GH_FAST_STACK_INTERVAL_NS are over
  GH_FAST_TOO_BIG,           // for the way out
  GH_FAST_NO_FORWARDING,     // the loopback interface's `forwarding` is 0: no next hop is told
  GH_FAST_NO_NEIGHBOUR,      // the next hop's address is not known just now
  GH_FAST_NO_ROUTE,          // none, or none that a program may use
  GH_FAST_NO_DEVICE,         // out by an interface where no program is attached in a way that goes with this one
  GH_FAST_COUNTS
};

struct gh_fast_counts {
  __u64 packets[GH_FAST_COUNTS];
  __u64 bytes;  // UDP payload of those that were relayed
};
