#include "policy/lists/blocked_bloom.hpp"

namespace gatehouse::policy {
namespace {

constexpr double kBitsPerHash = 10;

}  // namespace

BlockedBloom::BlockedBloom(std::size_t hashes)
    : count_(static_cast<std::size_t>(static_cast<double>(hashes) * kBitsPerHash / (8 * sizeof(Block))) + 1),
      blocks_(count_) {}

void BlockedBloom::add(std::span<const std::uint64_t> hashes) noexcept {
  for (const std::uint64_t hash : hashes) {
    auto& words = blocks_[place_in(hash, count_)].words;
    for (unsigned i = 0; i < words.size(); ++i) words[i] |= std::uint64_t{1} << bit(hash, i);
  }
}

}  // namespace gatehouse::policy
