// Sums of 16-bit words, many at a time. A vector's 64-bit lanes are added as they are, wrapping (`all`), and so are
// their upper halves (`upper`): what the lanes hold in their lower halves is all - upper * 2^32, modulo 2^64, and that
// is less than 2^64. So three operations a vector do, without masks. Halves of 32 bits are two words each; 2^16 is 1 in
// one's complement.
//
// The processor is asked in each call, which is a load and a branch that is never missed: no pointer is to be set up
// before anything else runs, and a copy of this library in each plugin costs nothing.
#include <gatehouse/packet/checksum.hpp>

#include <cassert>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace gatehouse {
namespace {

/// What a call does beside summing. Both forms are made of the same code.
enum class Copy : bool { no, yes };

/// The last bytes, fewer than a vector.
template <Copy kCopy>
std::uint64_t sum_tail(std::byte* out, const std::byte* in, std::size_t size) noexcept {
  std::uint64_t sum = 0;
  if (size == 0) return sum;
  if (kCopy == Copy::yes) std::memcpy(out, in, size);
  for (; size >= 4; size -= 4, in += 4) {
    std::uint32_t word;
    std::memcpy(&word, in, sizeof word);
    sum += word;
  }
  if (size > 0) {
    std::uint32_t word = 0;  // an even number of words in front: the odd byte is the first of its word
    std::memcpy(&word, in, size);
    sum += word;
  }
  return sum;
}

/// What any processor of the architecture has: 16 bytes at a time.
template <Copy kCopy>
std::uint64_t sum_anywhere(std::byte* out, const std::byte* in, std::size_t size) noexcept {
  using Lanes [[gnu::vector_size(16)]] = std::uint64_t;
  Lanes all0{}, all1{}, upper0{}, upper1{};
  for (; size >= 32; size -= 32, in += 32) {
    Lanes first, second;
    std::memcpy(&first, in, sizeof first);
    std::memcpy(&second, in + 16, sizeof second);
    if (kCopy == Copy::yes) {
      std::memcpy(out, &first, sizeof first);
      std::memcpy(out + 16, &second, sizeof second);
      out += 32;
    }
    all0 += first;
    all1 += second;
    upper0 += first >> 32;
    upper1 += second >> 32;
  }
  all0 += all1;
  upper0 += upper1;
  const std::uint64_t upper = upper0[0] + upper0[1];
  return (all0[0] + all0[1] - (upper << 32)) + upper + sum_tail<kCopy>(out, in, size);
}

#ifdef __x86_64__
template <Copy kCopy>
__attribute__((target("avx2"))) std::uint64_t sum_avx2(std::byte* out, const std::byte* in, std::size_t size) noexcept {
  __m256i all0{}, all1{}, upper0{}, upper1{};
  for (; size >= 128; size -= 128, in += 128) {
    const auto* const from = reinterpret_cast<const __m256i_u*>(in);
    const __m256i first = _mm256_loadu_si256(from), second = _mm256_loadu_si256(from + 1);
    const __m256i third = _mm256_loadu_si256(from + 2), fourth = _mm256_loadu_si256(from + 3);
    if (kCopy == Copy::yes) {
      auto* const to = reinterpret_cast<__m256i_u*>(out);
      _mm256_storeu_si256(to, first);
      _mm256_storeu_si256(to + 1, second);
      _mm256_storeu_si256(to + 2, third);
      _mm256_storeu_si256(to + 3, fourth);
      out += 128;
    }
    all0 = _mm256_add_epi64(_mm256_add_epi64(all0, first), third);
    all1 = _mm256_add_epi64(_mm256_add_epi64(all1, second), fourth);
    upper0 = _mm256_add_epi64(_mm256_add_epi64(upper0, _mm256_srli_epi64(first, 32)), _mm256_srli_epi64(third, 32));
    upper1 = _mm256_add_epi64(_mm256_add_epi64(upper1, _mm256_srli_epi64(second, 32)), _mm256_srli_epi64(fourth, 32));
  }
  for (; size >= 32; size -= 32, in += 32) {
    const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(in));
    if (kCopy == Copy::yes) {
      _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(out), lanes);
      out += 32;
    }
    all0 = _mm256_add_epi64(all0, lanes);
    upper0 = _mm256_add_epi64(upper0, _mm256_srli_epi64(lanes, 32));
  }
  const __m256i all = _mm256_add_epi64(all0, all1), upper = _mm256_add_epi64(upper0, upper1);
  const __m256i sums = _mm256_add_epi64(_mm256_sub_epi64(all, _mm256_slli_epi64(upper, 32)), upper);
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  const std::uint64_t sum =
      static_cast<std::uint64_t>(_mm_cvtsi128_si64(two)) + static_cast<std::uint64_t>(_mm_extract_epi64(two, 1));
  return sum + sum_tail<kCopy>(out, in, size);
}
#endif

template <Copy kCopy>
std::uint64_t sum(std::byte* out, const std::byte* in, std::size_t size) noexcept {
#ifdef __x86_64__
  if (size >= 64 && __builtin_cpu_supports("avx2")) return sum_avx2<kCopy>(out, in, size);
#endif
  return sum_anywhere<kCopy>(out, in, size);
}

}  // namespace

std::uint64_t portable::sum_words(Bytes bytes) noexcept {
  return sum_anywhere<Copy::no>(nullptr, bytes.data(), bytes.size());
}

std::uint64_t portable::copy_and_sum_words(MutableBytes out, Bytes in) noexcept {
  assert(out.size() >= in.size());
  return sum_anywhere<Copy::yes>(out.data(), in.data(), in.size());
}

std::uint64_t sum_words(Bytes bytes) noexcept { return sum<Copy::no>(nullptr, bytes.data(), bytes.size()); }

std::uint64_t copy_and_sum_words(MutableBytes out, Bytes in) noexcept {
  assert(out.size() >= in.size());
  return sum<Copy::yes>(out.data(), in.data(), in.size());
}

}  // namespace gatehouse
