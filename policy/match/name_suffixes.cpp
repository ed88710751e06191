// A name is cut into words of eight characters, counted from its end, so that all suffixes of a name share their words:
//
//   "www.ads.example.com"  ->  "www", ".ads.exa", "mple.com"
//
// 1. Right to left: find a word's dots, and chain it into a state by a multiplication with the secret.
// 2. For each label border: the state of the whole words behind it, and the suffix's first eight characters (some of
//    them may stand in those words as well), give its hash.
//
// The steps depend on the name's length and its number of labels only, not on where the labels end, and are the same
// for all names of 8 to 31 characters: branches that are easy to predict, and loads that do not wait for each other.
// They are few, so that a processor that waits for the memory of one name's tables is well into the next name.
#include "policy/match/name_suffixes.hpp"

#include "policy/match/find_dots.hpp"
#include "policy/match/multiply.hpp"

#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kPart = 64;                       // bits in an integer
constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;  // one in each byte
constexpr std::uint64_t kTops = 0x80 * kOnes;
// Lower-case letters, digits, hyphens and dots have this bit, and capital letters do not.
constexpr std::uint64_t kBlanks = ' ' * kOnes;

std::uint64_t load(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return boost::endian::little_to_native(word);
}

void store(char* at, std::uint64_t word) noexcept {
  boost::endian::native_to_little_inplace(word);
  std::memcpy(at, &word, sizeof word);
}

/// A name that is shorter than a word, zeros behind.
std::uint64_t load_short(std::string_view name) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = name.size(); i-- > 0;) word = word << 8 | static_cast<unsigned char>(name[i]);
  return word;
}

/// Lower-cases A to Z.
std::uint64_t lower_case(std::uint64_t word) noexcept {
  const std::uint64_t low_bits = word & ~kTops;
  const std::uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;
  const std::uint64_t after_z = low_bits + (0x7f - 'Z') * kOnes;
  return word | ((from_a & ~after_z & ~word & kTops) >> 2);
}

}  // namespace

/// What the seed becomes: two secrets. The constants (digits of pi) make a seed of zeros as good as any.
struct NameSuffixes::Keys {
  explicit Keys(const HashSeed& seed) noexcept
      : start(seed.first ^ 0x243f'6a88'85a3'08d3), multiplier(seed.second ^ 0x1319'8a2e'0370'7344) {}

  [[nodiscard]] std::uint64_t chain(std::uint64_t state, std::uint64_t word) const noexcept {
    return fold(state ^ word, multiplier);
  }
  /// @param state  of the suffix's whole words
  /// @param first  its first eight characters, or all of them and zeros behind
  [[nodiscard]] std::uint64_t finish(std::uint64_t state, std::uint64_t first, std::size_t length) const noexcept {
    return fold(fold(state ^ first, multiplier ^ length) ^ start, 0xa409'3822'299f'31d1);
  }

  std::uint64_t start;
  std::uint64_t multiplier;
};

/// Hashes the suffixes of name_, of which a word from its beginning and a word before its end can be read.
/// @param kParts  how many integers of kPart bits have one for each character of the name and one more
/// @return false for a name that may have capital letters, whose hashes are then those of another name
template <std::size_t kParts>
inline bool NameSuffixes::hash_all(const Keys& keys) noexcept {
  const char* const data = name_.data();
  const std::size_t length = name_.size();
  std::array<std::uint64_t, kLongest / kWord + 1> states;  // of so many whole words from the end
  std::array<std::uint64_t, kParts> begins{1};             // bit i: a suffix begins at character i
  std::uint64_t state = keys.start, last = 0, all = kBlanks;
  const auto take_word = [&](std::size_t i) {
    const std::size_t at = length < (i + 1) * kWord ? 0 : length - (i + 1) * kWord;
    const std::uint64_t word = load(data + at);
    const std::uint64_t behind_dots = find_dots(word) << 1;
    begins[at / kPart % kParts] |= behind_dots << (at % kPart);
    if (kParts > 1) begins[(at / kPart + 1) % kParts] |= behind_dots >> 1 >> (kPart - 1 - at % kPart);
    all &= word;
    if (i != 0) state = keys.chain(state, last);
    states[i] = state;
    last = word;
  };
  take_word(0), take_word(1), take_word(2), take_word(3);  // more than there are do no harm
  for (std::size_t i = 4; i < length / kWord + 1; ++i) take_word(i);

  std::uint64_t empty = begins[length / kPart] >> (length % kPart) & 1;  // the last label
  std::uint64_t before = 0;
  for (const std::uint64_t part : begins) {
    empty |= part & (part << 1 | before);
    before = part >> (kPart - 1);
  }
  if (empty != 0) return true;

  std::size_t count = 0;
  for (std::size_t part = 0; part < kParts; ++part)
    for (std::uint64_t bits = begins[part]; bits != 0; bits &= bits - 1, ++count) {
      const std::size_t begin = kPart * part + static_cast<std::size_t>(std::countr_zero(bits));
      const std::size_t size = length - begin;
      const std::size_t back = std::max(size, kWord);
      const std::uint64_t first = load(data + length - back) >> (8 * (back - size));
      begins_[count] = static_cast<std::uint8_t>(begin);
      hashes_[count] = keys.finish(states[size / kWord], first, size);
    }
  count_ = count;
  valid_ = true;
  return (all & kBlanks) == kBlanks;
}

NameSuffixes::NameSuffixes(std::string_view name, const HashSeed& seed) noexcept : name_(name) {
  if (name_.ends_with('.')) name_.remove_suffix(1);
  const Keys keys(seed);
  if (name_.size() >= kWord && name_.size() < kPart && hash_all<1>(keys)) return;
  hash_rare(keys);
}

/// A name that is short or long, or that may have capital letters.
void NameSuffixes::hash_rare(Keys keys) noexcept {
  valid_ = valid_ || name_.empty();  // the root, which has no labels
  if (name_.empty() || name_.size() > kLongest) return;
  if (name_.size() >= kPart && hash_all<4>(keys)) return;
  if (name_.size() < kWord)
    copy_short();
  else if (!copy_lower_case())
    return;
  if (name_.size() < kPart)
    hash_all<1>(keys);
  else
    hash_all<4>(keys);
}

void NameSuffixes::copy_short() noexcept {
  store(text_.data(), 0);
  store(text_.data() + kWord, lower_case(load_short(name_)));
  name_ = {text_.data() + kWord, name_.size()};
}

/// Word by word as they are read afterwards, so that none is read from two that have just been written.
/// @return false, with name_ as it was, where there is no capital letter
bool NameSuffixes::copy_lower_case() noexcept {
  std::uint64_t changes = 0;
  for (std::size_t end = name_.size(); end != 0; end -= std::min(end, kWord)) {
    const std::size_t at = std::max(end, kWord) - kWord;
    const std::uint64_t word = load(name_.data() + at);
    changes |= word ^ lower_case(word);
    store(text_.data() + at, lower_case(word));
  }
  if (changes == 0) return false;
  name_ = {text_.data(), name_.size()};
  return true;
}

std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept {
  const NameSuffixes::Keys keys(seed);
  std::uint64_t state = keys.start;
  for (std::size_t end = name.size(); end >= kWord; end -= kWord)
    state = keys.chain(state, load(name.data() + end - kWord));
  return keys.finish(state, name.size() < kWord ? load_short(name) : load(name.data()), name.size());
}

}  // namespace gatehouse::policy
