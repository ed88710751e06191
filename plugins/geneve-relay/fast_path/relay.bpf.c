// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The relay's way of data packets within the kernel, at the first moment that a driver has them:
//
//   UDP to one of `ports` -> Geneve, version 0, no control -> `legs` by VNI, source and destination
//     -> the next hop, from the kernel's own tables -> addresses, ports, checksums, MAC -> out
//
// Whatever is not that, or is odd in any way, goes on to the stack unchanged, and so to user space. A packet is changed
// only when everything that may hinder it has been asked.
//
// Of the helpers used here the kernel lends bpf_fib_lookup() only to programs that say they are under the GPL, and for
// Apache-2.0 beside it has no word: hence "GPL" at the end, and the choice of licences of this file and map_layout.h.
#include "plugins/geneve-relay/fast_path/map_layout.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define LOOPBACK 1             // its interface index in every network namespace
#define FRESH_TTL 64           // what user space would send with (RFC 1700)
#define MORE_OR_OFFSET 0x3fff  // RFC 791: more fragments, fragment offset
#define DATA_MASK 0xffbf       // of Geneve's first two bytes, what has to be 0: all but C
#define ALWAYS static __always_inline

// One map of legs, in a place where a larger one can be put while packets go on.
struct legs {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);  // as many as the gateway wants
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(key_size, sizeof(struct gh_fast_key));  // what is only an inner map's has no types
  __uint(value_size, sizeof(struct gh_fast_entry));
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 1);
  __type(key, __u32);
  __array(values, struct legs);
} present_legs SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct gh_fast_counts);
} counts SEC(".maps");

// Where a program of either kind is attached; and where a native one is. A driver takes frames of another's only where
// it has made ready for that, which is where it runs a program itself; what is sent to any other is lost.
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, __u32);
} all_devices SEC(".maps"), native_devices SEC(".maps");

volatile struct gh_fast_words words;

struct geneve {
  __be16 head;
  __be16 protocol;
  __be32 vni_and_reserved;
};

ALWAYS int pass(enum gh_fast_count why) {
  const __u32 zero = 0;
  struct gh_fast_counts* all = bpf_map_lookup_elem(&counts, &zero);
  if (all) all->packets[why]++;
  return XDP_PASS;
}

ALWAYS int is_relay_port(__be16 port) {
#pragma unroll
  for (int i = 0; i < GH_FAST_MOST_PORTS; ++i) {
    const __be16 one = words.ports[i];
    if (one == 0) return 0;
    if (one == port) return 1;
  }
  return 0;
}

ALWAYS __u16 fold(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)(sum + (sum >> 16));
}

// RFC 1624: what `check` becomes where what it covers has changed by `change`.
ALWAYS __u16 changed(__u16 check, __u32 change) { return (__u16)~fold((__u32)(__u16)~check + change); }

ALWAYS int is_data(const struct geneve* header) { return (header->head & bpf_htons(DATA_MASK)) == 0; }

ALWAYS __u32 tag_of(const struct geneve* header, __u32 family) {
  return (bpf_ntohl(header->vni_and_reserved) & ~0xffU) | family;
}

// The sum that a sender's checksum field holds while it waits for the device to complete it. Such a frame was made on
// this machine (veth, a virtual machine's neighbour) and never on a wire. One good checksum of 65,535 looks the same,
// and goes by way of user space: no harm.
ALWAYS int is_partial(const struct gh_fast_entry* leg, const struct udphdr* udp) {
  return fold((__u32)leg->pseudo + udp->len) == udp->check;
}

ALWAYS int pass_of(long fib_result) {
  switch (fib_result) {
    case BPF_FIB_LKUP_RET_FRAG_NEEDED: return pass(GH_FAST_TOO_BIG);
    case BPF_FIB_LKUP_RET_FWD_DISABLED: return pass(GH_FAST_NO_FORWARDING);
    case BPF_FIB_LKUP_RET_NO_NEIGH: return pass(GH_FAST_NO_NEIGHBOUR);
    default: return pass(GH_FAST_NO_ROUTE);
  }
}

ALWAYS void change_ports(struct udphdr* udp, const struct gh_fast_entry* leg) {
  udp->source = leg->local_port;
  udp->dest = leg->remote_port;
  if (udp->check == 0) return;  // IPv4 without one
  const __u16 check = changed(udp->check, leg->udp_change);
  udp->check = check ? check : 0xffff;
}

ALWAYS struct gh_fast_entry* leg_of(const struct gh_fast_key* key) {
  const __u32 zero = 0;
  void* const legs = bpf_map_lookup_elem(&present_legs, &zero);
  return legs ? bpf_map_lookup_elem(legs, key) : 0;
}

ALWAYS void count(struct gh_fast_entry* leg, __u32 size, __u64 now) {
  leg->last_seen = now;
  __sync_fetch_and_add(&leg->packets, 1);
  __sync_fetch_and_add(&leg->bytes, size);
  const __u32 zero = 0;
  struct gh_fast_counts* all = bpf_map_lookup_elem(&counts, &zero);
  if (!all) return;
  all->packets[GH_FAST_RELAYED]++;
  all->bytes += size;
}

// XDP_TX, or what bpf_redirect_map() says: XDP_PASS where no program is.
ALWAYS long way_out(const struct xdp_md* ctx, __u32 interface, void* devices) {
  return interface == ctx->ingress_ifindex ? XDP_TX : bpf_redirect_map(devices, interface, XDP_PASS);
}

// The coarse clock is some ms behind the one that user space writes `beats` and `stack_at` by.
ALWAYS int is_silent(const struct gh_fast_entry* leg, __u64 now) {
  return (__s64)(now - words.beats[leg->lane % GH_FAST_MOST_LANES]) >= GH_FAST_SILENCE_NS;
}

ALWAYS int is_stack_turn(struct gh_fast_entry* leg, __u64 now) {
  if ((__s64)(now - leg->stack_at) < GH_FAST_STACK_INTERVAL_NS) return 0;
  leg->stack_at = now;
  return 1;
}

// Asks the kernel, as it does for what user space sends. 0, or why the packet goes to user space, as of pass_of().
ALWAYS long ask_next_hop(struct xdp_md* ctx, struct gh_fast_entry* leg, __u8 family, __u32 size, __u64 now) {
  struct bpf_fib_lookup hop = {.family = family,
                               .l4_protocol = IPPROTO_UDP,
                               .sport = leg->local_port,
                               .dport = leg->remote_port,
                               .tot_len = size,
                               .ifindex = LOOPBACK};                // as packets of this host's own are looked up
  __builtin_memcpy(hop.ipv6_src, leg->local, sizeof hop.ipv6_src);  // an IPv4 address is the first word of either
  __builtin_memcpy(hop.ipv6_dst, leg->remote, sizeof hop.ipv6_dst);
  const long found = bpf_fib_lookup(ctx, &hop, sizeof hop, 0);
  if (found != BPF_FIB_LKUP_RET_SUCCESS) return found;
  __builtin_memcpy(leg->hop_to, hop.dmac, ETH_ALEN);
  __builtin_memcpy(leg->hop_from, hop.smac, ETH_ALEN);
  leg->hop_interface = hop.ifindex;
  leg->hop_mtu = hop.mtu_result;
  leg->hop_until = now + GH_FAST_HOP_NS;
  return BPF_FIB_LKUP_RET_SUCCESS;
}

// Where a data packet of that leg goes: XDP_PASS, or the action, and then it has been counted and has its next hop's
// MAC addresses. `size` is that of the IP packet.
ALWAYS int take_way(struct xdp_md* ctx, struct ethhdr* eth, const struct udphdr* udp, struct gh_fast_entry* leg,
                    __u8 family, __u32 size, void* devices) {
  if (is_partial(leg, udp)) return pass(GH_FAST_PARTIAL_CHECKSUM);
  const __u64 now = bpf_ktime_get_coarse_ns();
  if (is_silent(leg, now)) return pass(GH_FAST_SILENT_LANE);
  if (is_stack_turn(leg, now)) return pass(GH_FAST_STACK_TURN);
  if ((__s64)(leg->hop_until - now) <= 0) {
    const long found = ask_next_hop(ctx, leg, family, size, now);
    if (found != BPF_FIB_LKUP_RET_SUCCESS) return pass_of(found);
  }
  if (size > leg->hop_mtu) return pass(GH_FAST_TOO_BIG);
  const long action = way_out(ctx, leg->hop_interface, devices);
  if (action == XDP_PASS) return pass(GH_FAST_NO_DEVICE);

  count(leg, bpf_ntohs(udp->len) - sizeof *udp, now);
  __builtin_memcpy(eth->h_dest, leg->hop_to, ETH_ALEN);
  __builtin_memcpy(eth->h_source, leg->hop_from, ETH_ALEN);
  return (int)action;
}

ALWAYS int relay_v4(struct xdp_md* ctx, struct ethhdr* eth, void* end, void* devices) {
  struct iphdr* ip = (void*)(eth + 1);
  struct udphdr* udp = (void*)(ip + 1);
  struct geneve* header = (void*)(udp + 1);
  if ((void*)(header + 1) > end) return XDP_PASS;
  if (*(__u8*)ip != 0x45 || ip->protocol != IPPROTO_UDP) return XDP_PASS;  // no options
  if (ip->frag_off & bpf_htons(MORE_OR_OFFSET)) return XDP_PASS;
  if (!is_relay_port(udp->dest)) return XDP_PASS;
  if (!is_data(header)) return pass(GH_FAST_NOT_DATA);

  const __u32 size = bpf_ntohs(ip->tot_len);
  if ((void*)ip + size > end || bpf_ntohs(udp->len) + sizeof *ip != size ||
      size < sizeof *ip + sizeof *udp + sizeof *header)
    return pass(GH_FAST_LENGTH);

  const struct gh_fast_key key = {.tag = tag_of(header, 4),
                                  .remote_port = udp->source,
                                  .local_port = udp->dest,
                                  .remote = {ip->saddr},
                                  .local = {ip->daddr}};
  struct gh_fast_entry* leg = leg_of(&key);
  if (!leg) return pass(GH_FAST_UNKNOWN);
  const int action = take_way(ctx, eth, udp, leg, AF_INET, size, devices);
  if (action == XDP_PASS) return XDP_PASS;

  const __u16* const ttl_and_protocol = (void*)&ip->ttl;
  const __u32 old_ttl = *ttl_and_protocol;
  ip->ttl = FRESH_TTL;
  ip->saddr = leg->local[0];
  ip->daddr = leg->remote[0];
  ip->check = changed(ip->check, (__u32)leg->ip_change + (__u16)~old_ttl + *ttl_and_protocol);
  change_ports(udp, leg);
  return action;
}

ALWAYS int relay_v6(struct xdp_md* ctx, struct ethhdr* eth, void* end, void* devices) {
  struct ipv6hdr* ip = (void*)(eth + 1);
  struct udphdr* udp = (void*)(ip + 1);
  struct geneve* header = (void*)(udp + 1);
  if ((void*)(header + 1) > end) return XDP_PASS;
  if (*(__u8*)ip >> 4 != 6 || ip->nexthdr != IPPROTO_UDP) return XDP_PASS;  // no extension headers
  if (!is_relay_port(udp->dest)) return XDP_PASS;
  if (!is_data(header)) return pass(GH_FAST_NOT_DATA);

  const __u32 size = bpf_ntohs(ip->payload_len);
  if ((void*)udp + size > end || bpf_ntohs(udp->len) != size || size < sizeof *udp + sizeof *header)
    return pass(GH_FAST_LENGTH);
  if (udp->check == 0) return pass(GH_FAST_NO_CHECKSUM);

  struct gh_fast_key key = {.tag = tag_of(header, 6), .remote_port = udp->source, .local_port = udp->dest};
  __builtin_memcpy(key.remote, &ip->saddr, sizeof key.remote);
  __builtin_memcpy(key.local, &ip->daddr, sizeof key.local);
  struct gh_fast_entry* leg = leg_of(&key);
  if (!leg) return pass(GH_FAST_UNKNOWN);
  const int action = take_way(ctx, eth, udp, leg, AF_INET6, size + sizeof *ip, devices);
  if (action == XDP_PASS) return XDP_PASS;

  ip->hop_limit = FRESH_TTL;
  __builtin_memcpy(&ip->saddr, leg->local, sizeof ip->saddr);
  __builtin_memcpy(&ip->daddr, leg->remote, sizeof ip->daddr);
  change_ports(udp, leg);
  return action;
}

ALWAYS int relay(struct xdp_md* ctx, void* devices) {
  void* const end = (void*)(long)ctx->data_end;
  struct ethhdr* const eth = (void*)(long)ctx->data;
  if ((void*)(eth + 1) > end) return XDP_PASS;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) return relay_v4(ctx, eth, end, devices);
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return relay_v6(ctx, eth, end, devices);
  return XDP_PASS;
}

SEC("xdp")
int gh_relay_native(struct xdp_md* ctx) { return relay(ctx, &native_devices); }

SEC("xdp")
int gh_relay_skb(struct xdp_md* ctx) { return relay(ctx, &all_devices); }

char licence[] SEC("license") = "GPL";
