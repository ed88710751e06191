#include "plugins/geneve-relay/relay/false_boxes.hpp"

#include "plugins/geneve-relay/wire/raw_bytes.hpp"

#include <gatehouse/base/endian.hpp>

#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace gatehouse::geneve_relay {

bool FalseBoxes::Attempt::may_cost(std::uint64_t rate, std::uint64_t cost, SteadyTime now) const noexcept {
  return std::ranges::any_of(
      limits_, [&](const Gcra* limit) { return limit->wait(to_ns(now), cost, rate, kSeconds * rate) == 0; });
}

void FalseBoxes::Attempt::charge(std::uint64_t rate, std::uint64_t cost, SteadyTime now) noexcept {
  for (Gcra* const limit : limits_) static_cast<void>(limit->take(to_ns(now), cost, rate, kSeconds * rate));
}

FalseBoxes::FalseBoxes() noexcept { randombytes_buf(secret_.data(), secret_.size()); }

FalseBoxes::Attempt FalseBoxes::attempt(const DiscoKey& sender, std::uint32_t vni, const IpAddress& source,
                                        bool is_known) noexcept {
  Attempt out;
  out.mark_ = hash(What::source, sender, vni, source.unmapped());
  out.place_ = &sources_[out.mark_ % kSources];
  out.is_familiar_ = is_known || *out.place_ == out.mark_;
  const std::uint64_t name = hash(out.is_familiar_ ? What::familiar : What::strangers, sender, vni, {});
  out.limits_ = {&limits_[0][name % kLimits], &limits_[1][(name >> 32U) % kLimits]};
  return out;
}

std::uint64_t FalseBoxes::hash(What what, const DiscoKey& sender, std::uint32_t vni,
                               const IpAddress& source) const noexcept {
  static_assert(sizeof secret_ == crypto_shorthash_KEYBYTES && sizeof(std::uint64_t) == crypto_shorthash_BYTES);
  constexpr std::size_t kNumber = DiscoKey::kSize + 16;  // behind key and address
  std::array<std::byte, kNumber + sizeof vni + sizeof what> in;
  std::ranges::copy(sender.bytes, in.begin());
  std::ranges::copy(source.storage(), in.begin() + DiscoKey::kSize);
  store_big(MutableBytes(in).subspan(kNumber), vni);
  in.back() = static_cast<std::byte>(what);
  std::array<unsigned char, crypto_shorthash_BYTES> digest;
  crypto_shorthash(digest.data(), raw(Bytes(in)), in.size(), raw(Bytes(secret_)));
  std::uint64_t out;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

}  // namespace gatehouse::geneve_relay
