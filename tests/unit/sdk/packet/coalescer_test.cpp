#include <gatehouse/packet/coalescer.hpp>

#include <gatehouse/packet/packet_edit.hpp>

#include "tests/unit/allocations.hpp"
#include "tests/unit/sdk/packet/gathered.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace gatehouse {
namespace {

using test::ByteVector;
using test::gather;
using test::GatheringSink;
using test::Made;
using test::make_packet;
using Packets = std::vector<ByteVector>;

/// Several packets in a row of one flow, as one super-packet's segmentation makes them.
Packets run_of(Made made, std::size_t count, std::size_t segment) {
  made.payload = count * segment;
  return test::made_segments(made, segment);
}

Packets operator+(Packets left, const Packets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// The packet behind a run of one of 100 bytes, so that it would be merged but for what `change` does.
Made second_of(const Made& first, auto change) {
  Made made = first;
  made.sequence += static_cast<std::uint32_t>(made.payload);
  change(made);
  return made;
}

const Made kBases[] = {{}, {.version = 6}, {.protocol = 17}, {.version = 6, .protocol = 17}};

TEST(Coalescer, MakesTheSuperPacketThatThePacketsAreOf) {
  for (Made made : kBases)
    for (const std::size_t payload : {3000U, 3500U, 999U, 1001U, 64000U}) {
      made.payload = payload;
      made.flags = 0x18;
      if (made.protocol == 6) made.options = "0101080a0000000100000002";
      const GatheringSink sink = gather(test::made_segments(made, 1000));
      const bool is_group = payload > 1000;
      ASSERT_EQ(sink.all.size(), 1U);
      const test::Gathered& one = sink.all[0];
      EXPECT_EQ(one.packets, (payload + 999) / 1000);
      EXPECT_EQ(one.packet, is_group ? test::with_partial_checksum(make_packet(made), made) : make_packet(made));
      EXPECT_EQ(one.offload, is_group ? test::made_offload(made, 1000) : OffloadHeader{});
      EXPECT_EQ(one.facts, IpPacket::parse(one.packet).value());
    }
}

TEST(Coalescer, LeavesASinglePacketWhereItIs) {
  ByteVector packet = make_packet({});
  const std::byte *seen = nullptr, *const mine = packet.data();
  GatheringSink sink;
  sink.before = [&](GatheredPacket& one) { seen = one.headers.data(); };
  Coalescer coalescer(sink);
  coalescer.add(packet, IpPacket::parse(packet).value());
  EXPECT_EQ(seen, nullptr);
  coalescer.flush();
  EXPECT_EQ(seen, mine);
}

TEST(Coalescer, CopiesNoPayload) {
  Packets packets = run_of({}, 5, 1000);
  GatheringSink sink;
  std::size_t pieces = 0;
  sink.before = [&](GatheredPacket& one) {
    for (std::size_t i = 0; i < one.payload.size(); ++i)
      pieces += one.payload[i].data() == packets[i].data() + 40 ? 1 : 0;
  };
  Coalescer coalescer(sink);
  for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
  coalescer.flush();
  EXPECT_EQ(pieces, 5U);
}

TEST(Coalescer, MergesOnlyWhatHasTheSameHeaders) {
  const struct {
    const char* name;
    void (*change)(Made&);
    bool v4, v6, tcp, udp;  // where it matters
  } differences[] = {
      {"TTL", [](Made& made) { made.ttl = 63; }, true, true, true, true},
      {"DSCP", [](Made& made) { made.traffic_class = 4; }, true, true, true, true},
      {"ECN", [](Made& made) { made.traffic_class = 3; }, true, true, true, true},
      {"DF", [](Made& made) { made.fragment = 0; }, true, false, true, true},
      {"reserved IP bit", [](Made& made) { made.fragment = 0xc000; }, true, false, true, true},
      {"MF", [](Made& made) { made.fragment = 0x2000; }, true, false, true, true},
      {"flow label", [](Made& made) { made.flow_label = 1; }, false, true, true, true},
      {"source", [](Made& made) { made.last_source = 9; }, true, true, true, true},
      {"destination", [](Made& made) { made.last_destination = 9; }, true, true, true, true},
      {"source port", [](Made& made) { made.source_port = 9; }, true, true, true, true},
      {"destination port", [](Made& made) { made.destination_port = 9; }, true, true, true, true},
      {"IP options", [](Made& made) { made.ip_options = "01010101"; }, true, false, true, true},
      {"sequence, a gap", [](Made& made) { made.sequence += 1; }, true, true, true, false},
      {"sequence, an overlap", [](Made& made) { made.sequence -= 1; }, true, true, true, false},
      {"sequence, again", [](Made& made) { made.sequence -= 100; }, true, true, true, false},
      {"acknowledgement", [](Made& made) { made.acknowledgement += 1; }, true, true, true, false},
      {"window", [](Made& made) { made.window += 1; }, true, true, true, false},
      {"urgent pointer", [](Made& made) { made.urgent = 1; }, true, true, true, false},
      {"options, longer", [](Made& made) { made.options = "0101080a0000000100000002"; }, true, true, true, false},
      {"larger", [](Made& made) { made.payload = 101; }, true, true, true, true},
      {"empty", [](Made& made) { made.payload = 0; }, true, true, true, true},
  };
  for (const Made& base : kBases)
    for (const auto& [name, change, v4, v6, tcp, udp] : differences) {
      const bool matters = (base.version == 4 ? v4 : v6) && (base.protocol == 6 ? tcp : udp);
      const Packets packets = {make_packet(base), make_packet(second_of(base, change))};
      const GatheringSink sink = gather(packets);
      EXPECT_EQ(sink.shape(), matters ? "1 1" : "2") << name << ' ' << base.version << ' ' << base.protocol;
      if (matters && std::string_view(name).find("source") == std::string_view::npos &&
          std::string_view(name).find("destination") == std::string_view::npos) {
        EXPECT_EQ(sink.cut(), packets) << name;
      }
    }
}

TEST(Coalescer, MergesOnlyTheSameOptions) {
  const Made base{.options = "0101080a0000000100000002"};
  const Made other = second_of(base, [](Made& made) { made.options = "0101080a0000000100000003"; });
  EXPECT_EQ(gather({make_packet(base), make_packet(other)}).shape(), "1 1");
  EXPECT_EQ(gather({make_packet(base), make_packet(second_of(base, [](Made&) {}))}).shape(), "2");
}

TEST(Coalescer, MergesNoOtherFlagsThanAckAndPsh) {
  for (unsigned flags = 0; flags < 256; ++flags)
    for (const Made& base : {kBases[0], kBases[1]}) {
      Made first = base;
      first.flags = static_cast<std::uint8_t>(flags);
      const bool both = flags == kTcpAck;
      EXPECT_EQ(gather({make_packet(first), make_packet(second_of(first, [](Made&) {}))}).shape(), both ? "2" : "1 1")
          << flags;
      const Made last = second_of(base, [&](Made& made) { made.flags = static_cast<std::uint8_t>(flags); });
      EXPECT_EQ(gather({make_packet(base), make_packet(last)}).shape(),
                both || flags == (kTcpAck | kTcpPsh) ? "2" : "1 1")
          << flags;
    }
}

TEST(Coalescer, MergesNoReservedTcpBits) {
  Packets packets = run_of({}, 2, 100);
  for (ByteVector& packet : packets) {
    packet[32] |= std::byte{1};
    test::put<std::uint16_t>(packet, 36, 0);
    test::put<std::uint16_t>(packet, 36, static_cast<std::uint16_t>(~test::transport_sum(packet, 20, 6)));
  }
  EXPECT_EQ(gather(packets).shape(), "1 1");
}

TEST(Coalescer, MergesNothingBehindExtensionHeaders) {
  const Made base{.version = 6, .extensions = "0600000000000000", .first_extension = 60};
  EXPECT_EQ(gather(run_of(base, 2, 100)).shape(), "1 1");
}

TEST(Coalescer, EndsAGroupAtPsh) {
  Packets packets = run_of({.flags = 0x18}, 3, 100) + run_of({.sequence = 1300, .flags = 0x18}, 2, 100);
  const GatheringSink sink = gather(packets);
  ASSERT_EQ(sink.shape(), "3 2");
  for (const test::Gathered& one : sink.all) EXPECT_EQ(one.facts.tcp_flags, kTcpAck | kTcpPsh);
  EXPECT_EQ(sink.all[0].packet[33], std::byte{0x18});
  packets = run_of({}, 1, 100) + run_of({.sequence = 1100, .flags = 0x18}, 1, 100) + run_of({.sequence = 1200}, 1, 100);
  EXPECT_EQ(gather(packets).shape(), "2 1");
}

TEST(Coalescer, EndsAGroupAtAShorterPacket) {
  for (const Made& base : kBases) {
    const auto with_size = [&](std::uint32_t sequence, std::size_t size) {
      Made made = base;
      made.sequence = sequence;
      made.payload = size;
      return Packets{make_packet(made)};
    };
    EXPECT_EQ(gather(with_size(1000, 100) + with_size(1100, 100) + with_size(1200, 99)).shape(), "3");
    EXPECT_EQ(gather(with_size(1000, 100) + with_size(1100, 99) + with_size(1199, 99)).shape(), "2 1");
    EXPECT_EQ(gather(with_size(1000, 100) + with_size(1100, 99) + with_size(1199, 100)).shape(), "2 1");
    EXPECT_EQ(gather(with_size(1000, 100) + with_size(1100, 101) + with_size(1201, 101)).shape(), "1 2");
  }
}

TEST(Coalescer, MergesAtMostSixtyFour) {
  for (const Made& base : kBases) {
    EXPECT_EQ(gather(run_of(base, 64, 10)).shape(), "64");
    EXPECT_EQ(gather(run_of(base, 130, 10)).shape(), "64 64 2");
  }
}

TEST(Coalescer, MakesNoPacketOfMoreThanALengthCanSay) {
  for (const Made& base : kBases) {
    const std::size_t headers = test::made_header(base);
    const std::size_t fits = (65535 - headers) / 9000;
    const GatheringSink sink = gather(run_of(base, fits + 1, 9000));
    EXPECT_EQ(sink.shape(), std::to_string(fits) + " 1");
    // To the byte: the last one is what is left.
    for (const std::size_t over : {0U, 1U}) {
      Made made = base;
      made.payload = 65535 - headers;
      Packets packets = test::made_segments(made, 9000);
      Made last = made;
      last.payload = (65535 - headers) % 9000 + over;
      last.sequence = static_cast<std::uint32_t>(made.sequence + fits * 9000);
      packets.back() = make_packet(last);
      EXPECT_EQ(gather(packets).shape(), over == 0 ? std::to_string(fits + 1) : std::to_string(fits) + " 1");
    }
  }
}

TEST(Coalescer, NeverMergesAWrongChecksum) {
  for (const Made& base : kBases)
    for (const std::size_t bad : {0U, 1U, 2U}) {
      Packets packets = run_of(base, 3, 100);
      packets[bad].back() ^= std::byte{1};
      const Packets before = packets;
      const GatheringSink sink = gather(packets);
      EXPECT_EQ(sink.shape(), bad == 0 ? "1 2" : bad == 1 ? "1 1 1" : "2 1");
      std::size_t alone = 0;  // as it was
      for (const test::Gathered& one : sink.all) alone += one.packet == before[bad] ? 1 : 0;
      EXPECT_EQ(alone, 1U);
    }
}

TEST(Coalescer, NeverMergesAWrongIpHeaderChecksum) {
  for (const std::size_t bad : {0U, 1U}) {
    Packets packets = run_of({}, 2, 100);
    packets[bad][11] ^= std::byte{1};
    EXPECT_EQ(gather(packets).shape(), "1 1");
  }
}

TEST(Coalescer, NeverMergesUdpWithoutAChecksum) {
  for (const std::size_t bare : {0U, 1U}) {
    Packets packets = run_of({.protocol = 17}, 2, 100);
    test::put<std::uint16_t>(packets[bare], 26, 0);
    EXPECT_EQ(gather(packets).shape(), "1 1");
  }
}

TEST(Coalescer, NeverMergesUdpWithoutAChecksumThatWouldBeZero) {
  Packets packets = run_of({.protocol = 17}, 2, 100);
  for (ByteVector& packet : packets) {  // a word of the payload makes the sum of all others -0
    test::put<std::uint16_t>(packet, 26, 0);
    test::put<std::uint16_t>(packet, 28, 0);
    test::put<std::uint16_t>(packet, 28, static_cast<std::uint16_t>(~test::transport_sum(packet, 20, 17)));
    ASSERT_TRUE(test::has_right_checksums(packet));
  }
  EXPECT_EQ(gather(packets).shape(), "1 1");
}

TEST(Coalescer, NeverMergesUdpWithBytesBehindTheDatagram) {
  Packets packets = run_of({.protocol = 17}, 2, 100);
  for (ByteVector& packet : packets) {
    test::put<std::uint16_t>(packet, 24, 100);
    test::put<std::uint16_t>(packet, 26, 0);
    Bytes covered = Bytes(packet).first(20 + 100);
    test::put<std::uint16_t>(packet, 26, static_cast<std::uint16_t>(~test::transport_sum(covered, 20, 17)));
    ASSERT_TRUE(has_right_checksum(IpPacket::parse(packet).value(), packet));
  }
  EXPECT_EQ(gather(packets).shape(), "1 1");
}

TEST(Coalescer, MergesUdpOnlyWhereTheDeviceTakesIt) {
  EXPECT_EQ(gather(run_of({.protocol = 17}, 3, 100), false).shape(), "1 1 1");
  EXPECT_EQ(gather(run_of({}, 3, 100), false).shape(), "3");
}

TEST(Coalescer, GathersSeveralFlowsAtATime) {
  Packets packets;
  for (std::uint32_t round = 0; round < 4; ++round)
    for (Made made : kBases)
      for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}}) {
        made.source_port = port;
        made.sequence = 1000 + 100 * round;
        packets.push_back(make_packet(made));
      }
  const GatheringSink sink = gather(packets);
  EXPECT_EQ(sink.shape(), "4 4 4 4 4 4 4 4 4 4 4 4");
  Packets again = sink.cut();
  for (Packets* one : {&packets, &again}) {
    for (ByteVector& packet : *one) {
      if (packet[0] == std::byte{0x45}) test::put<std::uint32_t>(packet, 4, 0), test::put<std::uint16_t>(packet, 10, 0);
    }
    std::sort(one->begin(), one->end());
  }
  EXPECT_EQ(again, packets);
}

TEST(Coalescer, KeepsTheOrderOfAFlow) {
  // What cannot be merged goes behind what its flow has gathered.
  const Made alone[] = {second_of(Made{.payload = 200}, [](Made& made) { made.payload = 0; }),
                        second_of(Made{.payload = 200}, [](Made& made) { made.flags = 0x11; }),
                        second_of(Made{.payload = 200}, [](Made& made) { made.fragment = 0x2000; })};
  for (const Made& made : alone) {
    const Packets packets =
        run_of({}, 2, 100) + Packets{make_packet(made)} + run_of({.id = 0x77, .sequence = 5000}, 2, 100);
    const GatheringSink sink = gather(packets);
    EXPECT_EQ(sink.shape(), "2 1 2");
    EXPECT_EQ(sink.cut(), packets);
  }
}

TEST(Coalescer, LeavesAPacketAloneWhereItIsToldTo) {
  Packets packets = run_of({}, 5, 100);
  GatheringSink sink;
  Coalescer coalescer(sink);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const IpPacket facts = IpPacket::parse(packets[i]).value();
    i == 2 ? coalescer.add_alone(packets[i], facts) : coalescer.add(packets[i], facts);
  }
  EXPECT_EQ(sink.shape(), "2 1");
  coalescer.flush();
  EXPECT_EQ(sink.shape(), "2 1 2");
  EXPECT_EQ(sink.cut(), packets);
}

TEST(Coalescer, PassesASuperPacketBehindWhatItsFlowHas) {
  for (const Made& base : kBases) {
    Packets packets = run_of(base, 2, 100);
    const Made whole = second_of(Made{base}, [&](Made& made) { made.sequence += 100, made.payload = 350; });
    ByteVector large = make_packet(whole);
    ByteVector other = run_of(second_of(base, [](Made& made) { made.source_port = 9; }), 1, 100)[0];
    GatheringSink sink;
    std::size_t pieces = 0;
    const std::byte* payload = nullptr;
    sink.before = [&](GatheredPacket& one) {
      pieces = one.payload.size();
      if (pieces != 0) payload = one.payload[0].data();
    };
    Coalescer coalescer(sink);
    coalescer.add(other, IpPacket::parse(other).value());
    for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
    coalescer.add_super_packet(large, IpPacket::parse(large).value(), 100, 4);
    ASSERT_EQ(sink.shape(), "2 4") << "another flow's packet waits";
    EXPECT_EQ(pieces, 1U);
    EXPECT_EQ(payload, large.data() + test::made_header(whole)) << "not copied";
    EXPECT_EQ(sink.all[1].offload, test::made_offload(whole, 100));
    EXPECT_EQ(sink.all[1].packet, test::with_partial_checksum(make_packet(whole), whole));
    EXPECT_EQ(sink.cut(), packets + test::made_segments(whole, 100));
    coalescer.flush();
    EXPECT_EQ(sink.shape(), "2 4 1");
  }
}

TEST(Coalescer, GivesWhatHasNoPortsAtOnce) {
  const Made made[] = {
      {.protocol = 17, .fragment = 0x0010}, {.protocol = 1}, {.version = 6, .protocol = 58}, {.protocol = 50}};
  for (const Made& one : made) {
    ByteVector packet = make_packet(one);
    GatheringSink sink;
    Coalescer coalescer(sink);
    coalescer.add(packet, IpPacket::parse(packet).value());
    EXPECT_EQ(sink.shape(), "1");
  }
}

TEST(Coalescer, LosesNothingOfMoreFlowsThanItHasRoomFor) {
  Packets packets;
  for (std::uint32_t round = 0; round < 3; ++round)
    for (std::uint16_t flow = 0; flow < 200; ++flow)
      packets.push_back(make_packet({.id = static_cast<std::uint16_t>(0x1c46 + round),
                                     .source_port = static_cast<std::uint16_t>(1000 + flow),
                                     .sequence = 1000 + 100 * round}));
  Packets again = gather(packets).cut();
  EXPECT_EQ(again.size(), packets.size());
  std::stable_sort(packets.begin(), packets.end());
  std::stable_sort(again.begin(), again.end());
  EXPECT_EQ(again, packets);
}

TEST(Coalescer, StartsAnewAfterAFlush) {
  GatheringSink sink;
  Coalescer coalescer(sink);
  for (int i = 0; i < 3; ++i) {
    Packets packets = run_of({.sequence = static_cast<std::uint32_t>(1000 + 200 * i)}, 2, 100);
    for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
    coalescer.flush();
  }
  EXPECT_EQ(sink.shape(), "2 2 2");
  coalescer.flush();
  EXPECT_EQ(sink.all.size(), 3U);
}

TEST(Coalescer, LetsAGroupBeRewrittenAsAWhole) {
  for (const Made& base : kBases) {
    const IpAddress to = IpAddress::parse(base.version == 4 ? "10.18.52.86" : "fd19:ca83::7").value();
    Packets packets = run_of(base, 5, 100);
    GatheringSink sink;
    sink.before = [&](GatheredPacket& one) { rewrite_source(one.headers, one.facts, to, one.offload.needs_checksum); };
    Coalescer coalescer(sink);
    for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
    coalescer.flush();
    EXPECT_EQ(sink.shape(), "5");
    Packets expected = run_of(base, 5, 100);
    for (ByteVector& packet : expected) rewrite_source(packet, IpPacket::parse(packet).value(), to, false);
    EXPECT_EQ(sink.cut(), expected);
  }
}

/// Random runs of a few flows, mixed, some of it broken or not to be merged.
TEST(Coalescer, ThenSegmenterGivesTheSamePacketsInTheSameOrder) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<Packets> flows;
    const std::size_t count = 1 + random() % 40;
    for (std::size_t flow = 0; flow < count; ++flow) {
      Made made = kBases[random() % 4];
      made.source_port = static_cast<std::uint16_t>(2000 + flow);
      Packets packets;
      for (std::size_t runs = 1 + random() % 3; runs > 0; --runs) {
        made.payload = 1 + random() % 4000;
        made.flags = random() % 3 == 0 ? 0x10 : random() % 4 == 0 ? 0x11 : 0x18;
        packets = packets + test::made_segments(made, 100 + random() % 1300);
        made.sequence += static_cast<std::uint32_t>(made.payload + random() % 2);
        if (random() % 4 == 0) packets.back().back() ^= std::byte{0x40};
      }
      flows.push_back(std::move(packets));
    }
    Packets mixed;
    std::vector<std::size_t> at(count);
    for (std::size_t left = count; left > 0;) {
      const std::size_t flow = random() % count;
      if (at[flow] == flows[flow].size()) continue;
      mixed.push_back(flows[flow][at[flow]++]);
      if (at[flow] == flows[flow].size()) --left;
    }
    const GatheringSink sink = gather(mixed);
    std::map<std::uint16_t, Packets> again;
    for (const ByteVector& packet : sink.cut()) again[IpPacket::parse(packet).value().source_port].push_back(packet);
    ASSERT_EQ(again.size(), count);
    for (std::size_t flow = 0; flow < count; ++flow) {
      Packets& packets = again[static_cast<std::uint16_t>(2000 + flow)];
      ASSERT_EQ(packets.size(), flows[flow].size());
      for (std::size_t i = 0; i < packets.size(); ++i) {
        // Identifications count up from the first of a group, whatever they were.
        for (ByteVector* one : {&packets[i], &flows[flow][i]})
          if ((*one)[0] == std::byte{0x45}) test::put<std::uint16_t>(*one, 4, 0), test::put<std::uint16_t>(*one, 10, 0);
        ASSERT_EQ(packets[i], flows[flow][i]) << "trial " << trial << ", flow " << flow << ", packet " << i;
      }
    }
  }
}

TEST(Coalescer, AllocatesNothing) {
  struct Counting final : GatheredSink {
    unsigned packets = 0;
    void take(GatheredPacket& packet) noexcept override { packets += packet.packets; }
  } sink;
  Coalescer coalescer(sink);
  Packets packets = run_of({}, 100, 1000) + run_of({.version = 6, .protocol = 17}, 100, 1000);
  const std::size_t before = allocations();
  for (ByteVector& packet : packets) coalescer.add(packet, IpPacket::parse(packet).value());
  coalescer.flush();
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(sink.packets, 200U);
}

}  // namespace
}  // namespace gatehouse
