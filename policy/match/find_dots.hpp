// Where are the dots among eight characters? Thread-safe.
#pragma once

#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace gatehouse::policy {

/// Bit i is set if the word's byte i, the lowest first, is a dot. On any processor.
[[nodiscard]] constexpr std::uint64_t find_dots_portably(std::uint64_t word) noexcept {
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;  // one in each byte
  constexpr std::uint64_t kTops = 0x80 * kOnes;
  const std::uint64_t others = word ^ ('.' * kOnes);
  const std::uint64_t found = ~(((others & ~kTops) + ~kTops) | others) & kTops;
  return ((found >> 7) * 0x0102'0408'1020'4080) >> 56;  // gathers the bits
}

/// The same in the fewest steps that there are here.
[[nodiscard]] inline std::uint64_t find_dots(std::uint64_t word) noexcept {
#ifdef __SSE2__
  const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(word));
  return static_cast<std::uint64_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')))) & 0xff;
#else
  return find_dots_portably(word);
#endif
}

}  // namespace gatehouse::policy
