// Domain names as hashes, one for each suffix at a label border: what every table of names is asked with. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse::policy {

/// Secret and random in a running gateway, so that nobody outside can make names that collide.
struct HashSeed {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  bool operator==(const HashSeed&) const = default;
};

/// A name and, for each of its suffixes at a label border, the hash. Lower-cases ASCII letters and drops one final dot,
/// so that a frontend's spelling does not matter. Borrows the name. Does not allocate; about 50 cycles for a name of 24
/// characters, two to three times that for one with capital letters.
class NameSuffixes {
 public:
  explicit NameSuffixes(std::string_view name, const HashSeed& seed = {}) noexcept;
  NameSuffixes(const NameSuffixes&) = delete;
  NameSuffixes& operator=(const NameSuffixes&) = delete;

  /// False for a name that no DNS message can hold (too long, or with an empty label); it then has no suffixes.
  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Suffix 0 is the last label, count() - 1 the whole name. Lives as long as this and the name that it was made from.
  [[nodiscard]] std::string_view text(std::size_t i) const noexcept { return name_.substr(begins_[count_ - 1 - i]); }
  /// All 64 bits are equally good, so that tables may take whichever they like.
  [[nodiscard]] std::uint64_t hash(std::size_t i) const noexcept { return hashes_[count_ - 1 - i]; }

 private:
  static constexpr std::size_t kLongest = 253;  // characters of a name (RFC 1035, 2.3.4)
  static constexpr std::size_t kMostLabels = (kLongest + 1) / 2;
  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  struct Keys;
  friend std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept;

  template <std::size_t kParts>
  [[gnu::always_inline]] bool hash_all(const Keys& keys) noexcept;
  [[gnu::noinline]] void hash_rare(Keys keys) noexcept;
  void copy_short() noexcept;
  [[nodiscard]] bool copy_lower_case() noexcept;

  std::string_view name_;                          // canonical
  std::array<char, kWord + kLongest> text_;        // of a name that is not canonical as it comes, behind a margin
  std::array<std::uint8_t, kMostLabels> begins_;   // of suffixes in the name, the longest first
  std::array<std::uint64_t, kMostLabels> hashes_;  // likewise
  std::size_t count_ = 0;
  bool valid_ = false;
};

/// The hash of a whole canonical name: what NameSuffixes has for it.
[[nodiscard]] std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept;

}  // namespace gatehouse::policy
