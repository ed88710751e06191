#include "policy/match/name_suffixes.hpp"

namespace gatehouse::policy {
namespace {

// FNV-1a, from the last character to the first, so that one pass gives the hash of every suffix.
constexpr std::uint64_t hash_start(const HashSeed& seed) noexcept {
  return 0xcbf2'9ce4'8422'2325 ^ seed.first ^ seed.second;
}

constexpr std::uint64_t hash_step(std::uint64_t hash, char c) noexcept {
  return (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3;
}

}  // namespace

NameSuffixes::NameSuffixes(std::string_view name, const HashSeed& seed) noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > kLongest || name.starts_with('.') || name.ends_with('.')) return;
  if (name.find("..") != name.npos) return;
  valid_ = true;
  length_ = name.size();
  std::uint64_t hash = hash_start(seed);
  for (std::size_t i = length_; i-- > 0;) {
    const char c = name[i];
    text_[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (c == '.') {
      starts_[count_] = static_cast<std::uint8_t>(i + 1);
      hashes_[count_++] = hash;
    }
    hash = hash_step(hash, text_[i]);
  }
  if (length_ == 0) return;
  starts_[count_] = 0;
  hashes_[count_++] = hash;
}

std::uint64_t hash_name(std::string_view name, const HashSeed& seed) noexcept {
  std::uint64_t hash = hash_start(seed);
  for (std::size_t i = name.size(); i-- > 0;) hash = hash_step(hash, name[i]);
  return hash;
}

}  // namespace gatehouse::policy
