// The vectors of the packet tunnel's protocol: whole IP packets in hex, and what becomes of them at the server and at
// the client. They were computed with the reference's own code; where that has a fault, the row says so, and has what
// is right.
//
// The session has index 0x123456: 10.18.52.86 and fd19:ca83:e6d5:1c44:8c57:4434:ee12:3456. Its client has 172.16.0.1
// and fd26:b6a6:4454:310a::1, and resolves names at 172.16.0.2 and fd26:b6a6:4454:310a::2. The session's resolvers are
// 8.8.8.8 and 2001:4860:4860::8888. Port 25 and blocked.example.org are refused.
#pragma once

#include "plugins/packet-tunnel/server/reject.hpp"

namespace gatehouse::packet_tunnel {

/// Who handles the packet: up is from the client to the Internet.
enum class Way { server_up, server_down, client_up, client_down };
/// What the server tells the client of a refused packet.
enum class Answer { none, reset, prohibited, no_such_name };
/// What has to be so before.
enum class Given { nothing, first_fragment, bogons_refused, no_resolvers };

struct Vector {
  const char* name;
  Way way;
  const char* in;
  const char* out;  ///< null: refused
  Reject reason;    ///< count: not refused
  Answer answer = Answer::none;
  Given given = Given::nothing;
};

// In the order in which they are to be tried: the first is for a client that has sent nothing yet.
inline constexpr Vector kVectors[] = {
    {"R0 server downstream before any upstream packet", Way::server_down,
     "450000281c4640004006b5e7c63364070a12345601bb9c4001020304000000005002faf0aa4d0000", nullptr,
     Reject::no_original_address},
    {"V1 TCP4 SYN", Way::server_up, "450000281c4640004006483eac100001c63364079c4001bb01020304000000005002faf03ca40000",
     "450000281c4640004006b5e70a123456c63364079c4001bb01020304000000005002faf0aa4d0000", Reject::count},
    {"V2 TCP4", Way::server_down,
     "4500002b1c4640004006b5e4c63364070a12345601bb9c4001020304000000005002faf020e10000686921",
     "4500002b1c4640004006483bc6336407ac10000101bb9c4001020304000000005002faf0b3370000686921", Reject::count},
    {"V3 client up, DNS4", Way::client_up,
     "450000391c4640004011c64aac100001ac1000029c41003500258cc8abcd01000001000000000000076578616d706c65036f7267"
     "0000010001",
     "450000391c4640004011685bac1000010a0000029c41003500252ed9abcd01000001000000000000076578616d706c65036f7267"
     "0000010001",
     Reject::count},
    {"V4 DNS4 (input = V3 output)", Way::server_up,
     "450000391c4640004011685bac1000010a0000029c41003500252ed9abcd01000001000000000000076578616d706c65036f7267"
     "0000010001",
     "450000391c4640004011cff60a123456080808089c41003500259674abcd01000001000000000000076578616d706c65036f7267"
     "0000010001",
     Reject::count},
    {"V5 DNS4 answer", Way::server_down,
     "450000491c4640004011cfe6080808080a12345600359c410035ebdcabcd81800001000100000000076578616d706c65036f7267"
     "0000010001c00c000100010000003c00045db8d822",
     "450000491c4640004011684b0a000002ac10000100359c4100358441abcd81800001000100000000076578616d706c65036f7267"
     "0000010001c00c000100010000003c00045db8d822",
     Reject::count},
    {"V6 client down, DNS4 answer (input = V5 output)", Way::client_down,
     "450000491c4640004011684b0a000002ac10000100359c4100358441abcd81800001000100000000076578616d706c65036f7267"
     "0000010001c00c000100010000003c00045db8d822",
     "450000491c4640004011c63aac100002ac10000100359c410035e230abcd81800001000100000000076578616d706c65036f7267"
     "0000010001c00c000100010000003c00045db8d822",
     Reject::count},
    {"V7 TCP6 SYN", Way::server_up,
     "6000000000140640fd26b6a64454310a000000000000000120010db80000000000000000000000079c4001bb0102030400000000"
     "5002faf0bc030000",
     "6000000000140640fd19ca83e6d51c448c574434ee12345620010db80000000000000000000000079c4001bb0102030400000000"
     "5002faf027840000",
     Reject::count},
    {"V8 UDP6", Way::server_down,
     "60000000000c114020010db8000000000000000000000007fd19ca83e6d51c448c574434ee12345611519c40000c8801706f6e67",
     "60000000000c114020010db8000000000000000000000007fd26b6a64454310a000000000000000111519c40000c1c81706f6e67",
     Reject::count},
    {"V9 client up, DNS6", Way::client_up,
     "6000000000251140fd26b6a64454310a0000000000000001fd26b6a64454310a00000000000000029c41003500259291abcd0100"
     "0001000000000000076578616d706c65036f72670000010001",
     "6000000000251140fd26b6a64454310a0000000000000001fd19ca83e6d51c4400000000000000029c4100350025f105abcd0100"
     "0001000000000000076578616d706c65036f72670000010001",
     Reject::count},
    {"V10 DNS6 (input = V9 output)", Way::server_up,
     "6000000000251140fd26b6a64454310a0000000000000001fd19ca83e6d51c4400000000000000029c4100350025f105abcd0100"
     "0001000000000000076578616d706c65036f72670000010001",
     "6000000000251140fd19ca83e6d51c448c574434ee123456200148604860000000000000000088889c4100350025edf5abcd0100"
     "0001000000000000076578616d706c65036f72670000010001",
     Reject::count},
    // The reference adjusts a checksum of 0, "none", and so makes the datagram a bad one.
    {"V11 UDP4 with checksum 0 (none)", Way::server_up,
     "450000201c4640004011483bac100001c63364079c401388000c00007a65726f",
     "450000201c4640004011b5e40a123456c63364079c401388000c00007a65726f", Reject::count},
    // The reference takes a later fragment's payload for ports and a checksum, and damages it.
    {"V12 later IPv4 fragment (offset 128)", Way::server_up,
     "4500002c1c4600104011881fac100001c63364079c40138800184a7230313233343536373839616263646566",
     "4500002c1c4600104011f5c80a123456c63364079c40138800184a7230313233343536373839616263646566", Reject::count,
     Answer::none, Given::first_fragment},
    {"R1 empty", Way::server_up, "", nullptr, Reject::invalid_ip_packet_length},
    {"R2 version 5", Way::server_up, "55000000", nullptr, Reject::invalid_ip_header_version},
    {"R3 ip options", Way::server_up,
     "460000281c4640004006483eac100001c63364070001000201020304000000005002faf0da9c0000", nullptr,
     Reject::invalid_ip_header_options},
    {"R4 ip4 19 bytes", Way::server_up, "450000281c4640004006483eac100001c63364", nullptr,
     Reject::invalid_ip_packet_length},
    // The reference refuses all ICMP. This is neither an echo nor an error about a flow.
    {"R5 icmp", Way::server_up, "450000281c4640004001483eac100001c63364070001000201020304000000005002faf0da9c0000",
     nullptr, Reject::invalid_icmp_message},
    {"R6 tcp 37 bytes", Way::server_up, "450000281c4640004006483eac100001c63364070001000201020304000000005002faf0da",
     nullptr, Reject::invalid_tcp_packet_length},
    {"R6b tcp 38 bytes, doff 5", Way::server_up,
     "450000281c4640004006483eac100001c63364070001000201020304000000005002faf0da9c", nullptr,
     Reject::invalid_tcp_packet_length},
    {"R7 tcp doff 15 in 40 bytes", Way::server_up,
     "450000281c4640004006483eac100001c6336407000100020102030400000000f002faf0da9c0000", nullptr,
     Reject::invalid_tcp_packet_length},
    // The reference accepts a data offset of 0.
    {"R7b tcp doff 0 in 40 bytes", Way::server_up,
     "450000281c4640004006483eac100001c63364070001000201020304000000000002faf0da9c0000", nullptr,
     Reject::invalid_tcp_packet_length},
    // The reference's reason is TCP's, by mistake.
    {"R8 udp 27 bytes", Way::server_up, "4500001c1c4640004011483fac100001c633640700010002000829", nullptr,
     Reject::invalid_udp_packet_length},
    {"R9 tcp port 25", Way::server_up,
     "450000281c4640004006483eac100001c633640703e8001901020304000000005002faf0d69e0000", nullptr,
     Reject::disallowed_tcp_destination_port, Answer::reset},
    {"R10 udp port 0", Way::server_up, "4500001c1c4640004011483fac100001c633640703e80000000825aa", nullptr,
     Reject::disallowed_udp_destination_port},
    {"R11 loopback", Way::server_up, "450000281c4640004006f377ac1000017f00000103e8005001020304000000005002faf081a10000",
     nullptr, Reject::invalid_destination_address, Answer::reset},
    {"R12 multicast", Way::server_up, "4500001c1c4640004011917eac100001e00000fb14e914e9000848ff", nullptr,
     Reject::invalid_destination_address},
    {"R13 broadcast", Way::server_up, "4500001c1c4640004011727aac100001ffffffff0044004300085346", nullptr,
     Reject::invalid_destination_address},
    {"R14 client to client", Way::server_up,
     "450000281c46400040063410ac1000010a12345703e8005001020304000000005002faf0c2390000", nullptr,
     Reject::invalid_destination_address, Answer::reset},
    {"R15 server tun address", Way::server_up,
     "450000281c46400040066878ac1000010a00000103e8001601020304000000005002faf0f6db0000", nullptr,
     Reject::invalid_destination_address, Answer::reset},
    // It lies in the tunnel: whatever rows say, nothing but DNS goes there.
    {"R16 transparent DNS address, port 80 (allowBogons)", Way::server_up,
     "450000281c46400040066877ac1000010a00000203e8005001020304000000005002faf0f6a00000", nullptr,
     Reject::invalid_destination_address, Answer::reset},
    {"R17 same, bogons enforced", Way::server_up,
     "450000281c46400040066877ac1000010a00000203e9005001020304000000005002faf0f69f0000", nullptr,
     Reject::invalid_destination_address, Answer::reset, Given::bogons_refused},
    {"R18 192.168 bogon", Way::server_up,
     "450000281c4640004006b0cfac100001c0a8010103e8005001020304000000005002faf03ef90000", nullptr,
     Reject::invalid_destination_address, Answer::reset, Given::bogons_refused},
    {"R20 DNS garbage", Way::server_up, "4500001f1c46400040116875ac1000010a00000203e80035000b41a6010203", nullptr,
     Reject::invalid_dns_message, Answer::prohibited},
    {"R21 blocked domain over UDP", Way::server_up,
     "450000411c46400040116853ac1000010a00000203e80035002d8a81abcd0100000100000000000007626c6f636b656407657861"
     "6d706c65036f72670000010001",
     nullptr, Reject::disallowed_domain, Answer::no_such_name},
    // The reference asks about names at its own DNS address only.
    {"R22 blocked domain over UDP to another resolver (passes)", Way::server_up,
     "450000411c46400040116043ac1000010909090903e80035002d8271abcd0100000100000000000007626c6f636b656407657861"
     "6d706c65036f72670000010001",
     nullptr, Reject::disallowed_domain, Answer::no_such_name},
    {"R23 no resolvers", Way::server_up,
     "450000391c4640004011685bac1000010a00000203e800350025c732abcd01000001000000000000076578616d706c65036f7267"
     "0000010001",
     nullptr, Reject::no_dns_resolvers, Answer::prohibited, Given::no_resolvers},
    {"R24 v6 39 bytes", Way::server_up,
     "6000000000140640fd26b6a64454310a000000000000000120010db80000000000000000000000", nullptr,
     Reject::invalid_ip_packet_length},
    {"R25 v6 hop-by-hop", Way::server_up,
     "6000000000140040fd26b6a64454310a000000000000000120010db8000000000000000000000007000100020102030400000000"
     "5002faf059fc0000",
     nullptr, Reject::invalid_ip_header_protocol},
    {"R26 v6 client to client", Way::server_up,
     "6000000000140640fd26b6a64454310a0000000000000001fd19ca83e6d51c440000000000000099000100020102030400000000"
     "5002faf0bc6b0000",
     nullptr, Reject::invalid_destination_address, Answer::reset},
    {"R27 client up: icmp", Way::client_up,
     "450000281c46400040016269ac100001080808080001000201020304000000005002faf0f4c70000", nullptr,
     Reject::invalid_ip_header_protocol},
    {"R28 client up: multicast mdns", Way::client_up, "4500001c1c4640004011917eac100001e00000fb14e914e9000848ff",
     nullptr, Reject::invalid_destination_address},
    {"R29 client up: private dest passes", Way::client_up,
     "450000281c4640004006b0cfac100001c0a801010001000201020304000000005002faf0432e0000",
     "450000281c4640004006b0cfac100001c0a801010001000201020304000000005002faf0432e0000", Reject::count},
    {"R30 link-local dest", Way::client_up,
     "450000281c4640004006c779ac100001a9fe01010001000201020304000000005002faf059d80000", nullptr,
     Reject::invalid_destination_address},
    // The reference passes bytes behind the packet on.
    {"R31 trailing bytes beyond total length pass", Way::server_up,
     "450000281c4640004006483eac100001c63364079c4001bb01020304000000005002faf03ca40000dead", nullptr,
     Reject::invalid_ip_packet_length},
};

}  // namespace gatehouse::packet_tunnel
