#include <gatehouse/packet/checksum.hpp>

namespace gatehouse {
namespace {

/// The complement of the checksum that says `field` for bytes of `old_sum`, when they are of `new_sum`.
std::uint16_t moved(std::uint16_t complement, std::uint64_t old_sum, std::uint64_t new_sum) noexcept {
  const std::uint32_t without = std::uint32_t{complement} + (0xffffU - fold_sum(old_sum));
  return fold_sum(std::uint64_t{without} + fold_sum(new_sum));
}

}  // namespace

void adjust_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept {
  const auto complement = static_cast<std::uint16_t>(~load_checksum(field));
  store_checksum(field, static_cast<std::uint16_t>(~moved(complement, old_sum, new_sum)));
}

void adjust_udp_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept {
  if (load_checksum(field) == 0) return;
  adjust_checksum(field, old_sum, new_sum);
  if (load_checksum(field) == 0) store_checksum(field, 0xffff);
}

void adjust_partial_checksum(ChecksumField field, std::uint64_t old_sum, std::uint64_t new_sum) noexcept {
  store_checksum(field, moved(load_checksum(field), old_sum, new_sum));
}

}  // namespace gatehouse
