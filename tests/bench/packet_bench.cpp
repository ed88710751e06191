// What the packet path costs without system calls: a 64 KiB super-packet cut into frames, the frames of a read
// gathered, and the parts of both. Everything lies in the caches, as it does right after a read.
#include <gatehouse/packet/checksum.hpp>
#include <gatehouse/packet/coalescer.hpp>
#include <gatehouse/packet/frame_reader.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/packet_edit.hpp>
#include <gatehouse/packet/segmenter.hpp>

#include "tests/unit/sdk/packet/made_super_packet.hpp"

#include <benchmark/benchmark.h>

#include <sys/uio.h>

#include <array>
#include <vector>

namespace gatehouse {
namespace {

using test::ByteVector;
using test::Made;

constexpr std::size_t kSegment = 1448;
constexpr std::size_t kFrames = 45;

void sum(benchmark::State& state) {
  const ByteVector bytes(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  for (auto _ : state) benchmark::DoNotOptimize(sum_words(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(sum)->Arg(64)->Arg(kSegment)->Arg(65535);

void sum_portable(benchmark::State& state) {
  const ByteVector bytes(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  for (auto _ : state) benchmark::DoNotOptimize(portable::sum_words(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(sum_portable)->Arg(kSegment);

void copy_and_sum(benchmark::State& state) {
  const ByteVector bytes(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  ByteVector out(bytes.size());
  for (auto _ : state) benchmark::DoNotOptimize(copy_and_sum_words(out, bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(copy_and_sum)->Arg(kSegment);

Made made_of(int version, int protocol) {
  Made out{.version = static_cast<unsigned>(version), .protocol = static_cast<unsigned>(protocol)};
  if (protocol == 6) out.options = "0101080a0000000100000002";
  return out;
}

void parse(benchmark::State& state) {
  const ByteVector packet =
      test::make_packet(made_of(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))));
  for (auto _ : state) benchmark::DoNotOptimize(IpPacket::parse(packet, IpOptions::refused));
}
BENCHMARK(parse)->Args({4, 6})->Args({6, 17});

void rewrite(benchmark::State& state) {
  ByteVector packet = test::make_packet(made_of(static_cast<int>(state.range(0)), 6));
  const IpPacket facts = IpPacket::parse(packet).value();
  const IpAddress to = facts.destination_address(packet);
  for (auto _ : state) rewrite_source(packet, facts, to, false);
}
BENCHMARK(rewrite)->Arg(4)->Arg(6);

/// Into a buffer that goes round, as a stream's output does.
void cut_super_packet(benchmark::State& state) {
  Made made = made_of(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  made.payload = 65535 - test::made_header(made) - 40;
  ByteVector packet = test::with_partial_checksum(test::make_packet(made), made);
  const OffloadHeader offload = test::made_offload(made, kSegment);
  ByteVector out(256 << 10);
  std::size_t used = 0;
  for (auto _ : state) {
    if (out.size() - used < framed_size(offload, packet.size())) used = 0;
    used += cut_into_frames(offload, packet, MutableBytes(out).subspan(used))->bytes;
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(packet.size()));
}
BENCHMARK(cut_super_packet)->Args({4, 6})->Args({6, 6})->Args({4, 17})->Args({6, 17});

/// Makes of each packet what a write takes.
class Discard final : public GatheredSink {
 public:
  std::size_t writes = 0;
  void take(GatheredPacket& packet) noexcept override {
    std::array<Bytes, GatheredPacket::kMostPieces> pieces;
    benchmark::DoNotOptimize(packet.fill(pieces));
    benchmark::DoNotOptimize(pieces.data());
    benchmark::ClobberMemory();
    ++writes;
  }
};

void gather(benchmark::State& state, const std::vector<ByteVector>& packets) {
  ByteVector stream = test::framed(packets);
  Discard sink;
  Coalescer coalescer(sink);
  for (auto _ : state) {
    FrameReader reader(stream, kLongestFrame);
    for (auto next = reader.next(); next.kind == FrameReader::Kind::frame; next = reader.next())
      if (const auto facts = IpPacket::parse(next.packet, IpOptions::refused)) coalescer.add(next.packet, *facts);
    coalescer.flush();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(packets.size()));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
  state.counters["writes"] = static_cast<double>(sink.writes) / static_cast<double>(state.iterations());
}

void gather_frames(benchmark::State& state) {
  Made made = made_of(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  made.payload = kFrames * kSegment - 100;
  gather(state, test::made_segments(made, kSegment));
}
BENCHMARK(gather_frames)->Args({4, 6})->Args({6, 6})->Args({4, 17})->Args({6, 17});

/// 240 full segments of as many flows in turn.
void gather_mixed_flows(benchmark::State& state) {
  std::vector<ByteVector> packets;
  for (std::uint32_t i = 0; i < 240; ++i) {
    const auto flows = static_cast<std::uint32_t>(state.range(0));
    packets.push_back(test::make_packet({.payload = kSegment,
                                         .source_port = static_cast<std::uint16_t>(1000 + i % flows),
                                         .sequence = 1000 + static_cast<std::uint32_t>(i / flows * kSegment)}));
  }
  gather(state, packets);
}
BENCHMARK(gather_mixed_flows)->Arg(8)->Arg(24);

/// 256 datagrams of 64 bytes, of as many flows.
void gather_small_datagrams(benchmark::State& state) {
  std::vector<ByteVector> packets;
  for (std::uint32_t i = 0; i < 256; ++i)
    packets.push_back(test::make_packet(
        {.protocol = 17, .payload = 36, .source_port = static_cast<std::uint16_t>(1000 + i % state.range(0))}));
  gather(state, packets);
}
BENCHMARK(gather_small_datagrams)->Arg(1)->Arg(256);

/// 256 acknowledgements of one flow: nothing can be merged.
void gather_acknowledgements(benchmark::State& state) {
  std::vector<ByteVector> packets;
  for (std::uint32_t i = 0; i < 256; ++i)
    packets.push_back(test::make_packet({.payload = 0, .acknowledgement = 5000 + i * 2896}));
  gather(state, packets);
}
BENCHMARK(gather_acknowledgements);

}  // namespace
}  // namespace gatehouse
