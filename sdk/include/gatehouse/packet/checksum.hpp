// The Internet checksum: sums of whole packets, and adjustments where a field has changed. Sums are of native 16-bit
// words: the one's-complement sum does not care about byte order as long as the result is stored the way the words were
// loaded (RFC 1071, section 2 B). All of it is pure and thread-safe.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <boost/endian/conversion.hpp>

#include <cassert>
#include <cstdint>
#include <cstring>

namespace gatehouse {

/// A checksum field inside a packet.
using ChecksumField = std::span<std::byte, 2>;

/// The sum of the 16-bit words of `bytes`, unfolded; an odd last byte counts as a word with a zero behind it. Sums of
/// pieces may be added where each piece but the last has an even size. At most 2^32 bytes. Cost: 20 ns per 1,448 bytes
/// out of the nearest cache where the processor has AVX2, twice that elsewhere.
[[nodiscard]] std::uint64_t sum_words(Bytes bytes) noexcept;

/// Copies `in` to the front of `out`, which has room for it and does not overlap, and sums up on the way: less than
/// copying and summing.
[[nodiscard]] std::uint64_t copy_and_sum_words(MutableBytes out, Bytes in) noexcept;

/// The two above as they are where the processor has nothing better, for tests of both.
namespace portable {
/// As gatehouse::sum_words().
[[nodiscard]] std::uint64_t sum_words(Bytes bytes) noexcept;
/// As gatehouse::copy_and_sum_words().
[[nodiscard]] std::uint64_t copy_and_sum_words(MutableBytes out, Bytes in) noexcept;
}  // namespace portable

/// `sum` as one word. A packet with a right checksum in it gives 0xffff; the checksum of one whose field is zero is the
/// complement of this.
[[nodiscard]] constexpr std::uint16_t fold_sum(std::uint64_t sum) noexcept {
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff'ffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// The sum of what TCP, UDP and ICMPv6 checksum beside themselves.
/// @param source, destination  addresses as in the packet, 4 or 16 bytes each
/// @param transport_size       bytes of transport header and payload
/// Source: RFC 9293, section 3.1; RFC 768; RFC 8200, section 8.1.
[[nodiscard]] inline std::uint64_t pseudo_header_sum(Bytes source, Bytes destination, std::uint8_t protocol,
                                                     std::uint32_t transport_size) noexcept {
  assert(source.size() % 4 == 0 && destination.size() == source.size());
  std::uint64_t sum = boost::endian::native_to_big(std::uint32_t{protocol}) +
                      std::uint64_t{boost::endian::native_to_big(transport_size)};
  for (std::size_t at = 0; at < source.size(); at += 4) {
    std::uint32_t from, to;
    std::memcpy(&from, source.data() + at, sizeof from);
    std::memcpy(&to, destination.data() + at, sizeof to);
    sum += std::uint64_t{from} + to;
  }
  return sum;
}

/// A whole checksum as it is once bytes of `old_sum` have become bytes of `new_sum`. Source: RFC 1624, equation 3.
void adjust_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept;

/// As adjust_checksum, for a UDP header's: 0 is "none" and stays so, and what comes out as 0 becomes 0xffff (RFC 768).
void adjust_udp_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept;

/// As adjust_checksum, for a partial one: the field has the pseudo-header's sum, which is not complemented.
void adjust_partial_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept;

/// Writes a folded sum, or its complement, as it is: in the order of the words that were summed.
inline void store_checksum(ChecksumField field, std::uint16_t native) noexcept {
  std::memcpy(field.data(), &native, sizeof native);
}
/// The reverse: what stands there, in the order of the words that are summed.
[[nodiscard]] inline std::uint16_t load_checksum(std::span<const std::byte, 2> field) noexcept {
  std::uint16_t native;
  std::memcpy(&native, field.data(), sizeof native);
  return native;
}

}  // namespace gatehouse
