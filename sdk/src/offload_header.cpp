#include <gatehouse/packet/offload_header.hpp>

#include <cstring>

namespace gatehouse {
namespace {

enum Flags : std::uint8_t { kNeedsChecksum = 1 };  // 2, "checksum verified", is of no use here
enum GsoType : std::uint8_t { kNone = 0, kTcp4 = 1, kTcp6 = 4, kUdpSegments = 5, kEcn = 0x80 };

/// As the kernel lays it out.
struct VirtioNetHeader {
  std::uint8_t flags, gso_type;
  std::uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
static_assert(sizeof(VirtioNetHeader) == OffloadHeader::kSize);

}  // namespace

Result<OffloadHeader> OffloadHeader::load(Bytes in) noexcept {
  if (in.size() < kSize) return Errc::truncated;
  VirtioNetHeader from;
  std::memcpy(&from, in.data(), sizeof from);
  OffloadHeader out;
  out.needs_checksum = (from.flags & kNeedsChecksum) != 0;
  out.has_ecn = (from.gso_type & kEcn) != 0;
  out.header_size = from.hdr_len;
  out.segment_size = from.gso_size;
  out.checksum_start = from.csum_start;
  out.checksum_offset = from.csum_offset;
  switch (from.gso_type & ~kEcn) {
    case kNone: out.kind = Kind::none; return out;
    case kTcp4: out.kind = Kind::tcp4; return out;
    case kTcp6: out.kind = Kind::tcp6; return out;
    case kUdpSegments: out.kind = Kind::udp; return out;
    default: return Errc::malformed;
  }
}

void OffloadHeader::store(MutableBytes out) const noexcept {
  constexpr GsoType kTypes[] = {kNone, kTcp4, kTcp6, kUdpSegments};
  VirtioNetHeader to;
  to.flags = needs_checksum ? kNeedsChecksum : 0;
  to.gso_type = static_cast<std::uint8_t>(kTypes[static_cast<unsigned>(kind)] | (has_ecn ? kEcn : 0));
  to.hdr_len = header_size;
  to.gso_size = segment_size;
  to.csum_start = checksum_start;
  to.csum_offset = checksum_offset;
  std::memcpy(out.data(), &to, sizeof to);
}

}  // namespace gatehouse
