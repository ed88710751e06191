#include "plugins/geneve-relay/wire/challenge.hpp"

#include "plugins/geneve-relay/wire/raw_bytes.hpp"

#include <gatehouse/base/endian.hpp>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace gatehouse::geneve_relay {
namespace {

/// The hash's input, built in place.
class Input {
 public:
  explicit Input(const ChallengeFacts& facts) noexcept {
    store_big(grow(sizeof facts.vni), facts.vni);
    store_big(grow(sizeof facts.generation), facts.generation);
    append(facts.remote.bytes);
    append(facts.source.address.bytes());
    if (facts.source.scope != 0) append_number(facts.source.scope);
    store_little(grow(sizeof facts.source.port), facts.source.port);
    if (facts.local.family() == Family::none) return;
    append(facts.local.bytes());
    store_big(grow(sizeof facts.binds), facts.binds);
  }
  [[nodiscard]] Bytes bytes() const noexcept { return Bytes(bytes_).first(size_); }

 private:
  static constexpr std::size_t kZoneDigits = 10;
  static constexpr std::size_t kLongest = 4 + 4 + DiscoKey::kSize + 16 + kZoneDigits + 2 + 16 + 4;

  MutableBytes grow(std::size_t by) noexcept {
    const MutableBytes out = MutableBytes(bytes_).subspan(size_, by);
    size_ += by;
    return out;
  }
  void append(Bytes bytes) noexcept { std::ranges::copy(bytes, grow(bytes.size()).begin()); }
  void append_number(std::uint32_t number) noexcept {
    std::array<char, kZoneDigits> digits;
    const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    append(bytes_of({digits.data(), end}));
  }

  std::array<std::byte, kLongest> bytes_;
  std::size_t size_ = 0;
};

}  // namespace

void ChallengeMaker::Free::operator()(evp_mac_ctx_st* context) const noexcept { EVP_MAC_CTX_free(context); }

ChallengeMaker::ChallengeMaker(const SecretBytes& secret) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_BLAKE2SMAC, nullptr);
  context_.reset(mac != nullptr ? EVP_MAC_CTX_new(mac) : nullptr);
  EVP_MAC_free(mac);  // the context has its own reference
  if (!context_ || EVP_MAC_init(context_.get(), raw(secret.bytes()), SecretBytes::kSize, nullptr) != 1)
    throw std::runtime_error("this OpenSSL has no BLAKE2s, by which the challenges of handshakes are made");
}

std::optional<Challenge> ChallengeMaker::make(const ChallengeFacts& facts) noexcept {
  const Input input(facts);
  Challenge out;
  std::size_t size = 0;
  EVP_MAC_CTX* context = context_.get();
  const bool is_made = EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&  // keeps the key
                       EVP_MAC_update(context, raw(input.bytes()), input.bytes().size()) == 1 &&
                       EVP_MAC_final(context, raw(MutableBytes(out)), &size, out.size()) == 1 && size == out.size();
  return is_made ? std::optional(out) : std::nullopt;
}

}  // namespace gatehouse::geneve_relay
