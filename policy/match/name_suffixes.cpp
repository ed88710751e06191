// A name is cut into words of eight characters, counted from its end, so that all suffixes of a name share their words:
//
//   "www.ads.example.com"  ->  "www", ".ads.exa", "mple.com"
//
// 1. Right to left: lower-case a word, find its dots, and chain it into a state by a multiplication with the secret.
// 2. For each label border: the state of the whole words behind it, and the rest of a word, give the suffix's hash.
//
// The steps depend on the name's length and its number of labels only, not on where the labels end: branches that are
// easy to predict, and loads that do not wait for each other.
#include "policy/match/name_suffixes.hpp"

#include "policy/match/multiply.hpp"

#include <boost/endian/conversion.hpp>

#include <bit>
#include <cstring>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;  // one in each byte
constexpr std::uint64_t kTops = 0x80 * kOnes;

/// What the seed becomes: two secrets. The constants (digits of pi) make a seed of zeros as good as any.
struct Keys {
  explicit Keys(const HashSeed& seed) noexcept
      : start(seed.first ^ 0x243f'6a88'85a3'08d3), multiplier(seed.second ^ 0x1319'8a2e'0370'7344) {}
  std::uint64_t start;
  std::uint64_t multiplier;
};

std::uint64_t load(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return boost::endian::little_to_native(word);
}

void store(char* at, std::uint64_t word) noexcept {
  boost::endian::native_to_little_inplace(word);
  std::memcpy(at, &word, sizeof word);
}

/// The word that ends at `end`, zeros in place of what would lie before the name.
std::uint64_t word_before(std::string_view name, std::size_t end) noexcept {
  if (end >= kWord) return load(name.data() + (end - kWord));
  if (name.size() >= kWord) return load(name.data()) << 8 << (8 * (kWord - 1 - end));
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < end; ++i)
    word |= std::uint64_t{static_cast<unsigned char>(name[i])} << (8 * (kWord - end + i));
  return word;
}

std::uint64_t lower_case(std::uint64_t word) noexcept {
  const std::uint64_t low_bits = word & ~kTops;
  const std::uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;
  const std::uint64_t after_z = low_bits + (0x7f - 'Z') * kOnes;
  return word | ((from_a & ~after_z & ~word & kTops) >> 2);
}

/// Bit i is set if there is a dot with i characters behind it in the word.
std::uint64_t dots(std::uint64_t word) noexcept {
  const std::uint64_t others = word ^ ('.' * kOnes);
  const std::uint64_t found = ~(((others & ~kTops) + ~kTops) | others) & kTops;
  return ((found >> 7) * 0x8040'2010'0804'0201) >> 56;  // gathers the bits, in reverse
}

std::uint64_t chain(std::uint64_t state, std::uint64_t word, const Keys& keys) noexcept {
  return fold(state ^ word, keys.multiplier);
}

/// @param word  the one that holds the first `length` % 8 characters of the suffix, at its top
std::uint64_t finish(std::uint64_t state, std::uint64_t word, std::size_t length, const Keys& keys) noexcept {
  const std::uint64_t rest = (word >> 1) >> (63 - 8 * (length % kWord));
  const std::uint64_t hash = fold(state ^ rest, keys.multiplier ^ length);
  return fold(hash ^ keys.start, 0xa409'3822'299f'31d1);
}

}  // namespace

NameSuffixes::NameSuffixes(std::string_view name, const HashSeed& seed) noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kLongest) return;
  const std::size_t length = name.size();
  valid_ = length == 0;  // the root, which has no labels
  if (valid_) return;
  const Keys keys(seed);
  text_end_ = kWord + length;
  store(text_.data(), 0);  // the word before the name, if that ends with a whole one

  constexpr std::size_t kRound = 64;                       // characters whose borders fit in a word
  std::array<std::uint64_t, kRound / kWord + 1> states{};  // of all words behind each word of the round
  states[0] = keys.start;
  std::size_t count = 0;
  std::uint64_t border_before = 1;  // the name's end
  for (std::size_t done = 0; done <= length; done += kRound) {
    std::uint64_t borders = 0;  // bit i: at `done` + i characters from the end
    std::size_t words = 0;
    for (; words < kRound / kWord && done + words * kWord < length; ++words) {
      const std::size_t behind = done + words * kWord;
      const std::uint64_t word = lower_case(word_before(name, length - behind));
      store(text_.data() + (length - behind), word);
      borders |= dots(word) << (words * kWord);
      states[words + 1] = chain(states[words], word, keys);
    }
    if (length - done < kRound) borders |= std::uint64_t{1} << (length - done);
    if ((borders & (borders << 1 | border_before)) != 0) return;  // an empty label
    border_before = borders >> (kRound - 1);

    for (; borders != 0; borders &= borders - 1) {
      const auto at = static_cast<std::size_t>(std::countr_zero(borders));
      const std::size_t behind = done + at;
      lengths_[count] = static_cast<std::uint8_t>(behind);
      hashes_[count++] =
          finish(states[at / kWord], load(text_.data() + (length - behind / kWord * kWord)), behind, keys);
    }
    states[0] = states[words];
  }
  valid_ = true;
  count_ = count;
}

std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept {
  const Keys keys(seed);
  std::uint64_t state = keys.start;
  std::size_t end = name.size();
  for (; end >= kWord; end -= kWord) state = chain(state, word_before(name, end), keys);
  return finish(state, word_before(name, end), name.size(), keys);
}

}  // namespace gatehouse::policy
