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

#include <algorithm>
#include <bit>
#include <cstring>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;  // one in each byte
constexpr std::uint64_t kTops = 0x80 * kOnes;
constexpr std::uint64_t kBlanks = ' ' * kOnes;

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

/// As load_first(), of a name that is shorter than a word.
[[gnu::noinline]] std::uint64_t load_short(std::string_view name) noexcept {
  std::uint64_t word = kBlanks;
  for (const char c : name) word = word >> 8 | std::uint64_t{static_cast<unsigned char>(c)} << (8 * (kWord - 1));
  return word;
}

/// The first `count` characters of a name, fewer than a word, at the word's top and blanks below.
inline std::uint64_t load_first(std::string_view name, std::size_t count) noexcept {
  if (name.size() < kWord) return load_short(name);
  return kBlanks >> (8 * count) | load(name.data()) << 8 << (8 * (kWord - 1 - count));
}

/// Lower-cases A to Z.
std::uint64_t lower_case(std::uint64_t word) noexcept {
  // All letters that are lower-case already, digits, hyphens and dots have this bit, and capital letters do not.
  if ((word & kBlanks) == kBlanks) return word;
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
  store(text_.data(), 0);  // the word before the name, if that begins with a whole one

  constexpr std::size_t kRound = 64;                       // characters whose borders fit in an integer
  std::array<std::uint64_t, kLongest / kWord + 1> states;  // before each word
  const std::size_t whole = length / kWord * kWord;        // characters in whole words
  std::uint64_t state = keys.start;
  std::size_t count = 0;
  std::uint64_t border_before = 1;  // the name's end
  for (std::size_t done = 0; done <= length; done += kRound) {
    std::uint64_t borders = 0;  // bit i: at `done` + i characters from the end
    const std::size_t stop = std::min(done + kRound, whole);
    for (std::size_t behind = done; behind < stop; behind += kWord) {
      const std::size_t at = length - behind;
      const std::uint64_t word = lower_case(load(name.data() + at - kWord));
      store(text_.data() + at, word);
      borders |= dots(word) << (behind % kRound);
      states[behind / kWord] = state;
      state = chain(state, word, keys);
    }
    if (length - done < kRound) {
      const std::uint64_t word = lower_case(load_first(name, length - whole));
      if (whole != length) store(text_.data() + (length - whole), word);
      borders |= dots(word) << (whole % kRound) | std::uint64_t{1} << (length % kRound);
      states[whole / kWord] = state;
    }
    if ((borders & (borders << 1 | border_before)) != 0) return;  // an empty label
    border_before = borders >> (kRound - 1);

    for (; borders != 0; borders &= borders - 1) {
      const std::size_t behind = done + static_cast<std::size_t>(std::countr_zero(borders));
      const std::size_t word = behind / kWord;
      lengths_[count] = static_cast<std::uint8_t>(behind);
      hashes_[count] = finish(states[word], load(text_.data() + (length - word * kWord)), behind, keys);
      ++count;
    }
  }
  valid_ = true;
  count_ = count;
}

std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept {
  const Keys keys(seed);
  std::uint64_t state = keys.start;
  std::size_t end = name.size();
  for (; end >= kWord; end -= kWord) state = chain(state, load(name.data() + (end - kWord)), keys);
  return finish(state, load_first(name, end), name.size(), keys);
}

}  // namespace gatehouse::policy
