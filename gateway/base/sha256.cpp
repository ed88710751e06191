#include "gateway/base/sha256.hpp"

#include <openssl/evp.h>

#include <stdexcept>

namespace gatehouse {

Sha256 sha256(std::string_view content) {
  Sha256 digest{};
  if (EVP_Digest(content.data(), content.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(),
                 nullptr) != 1) {
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  }
  return digest;
}

std::string to_hex(const Sha256& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : digest) {
    hex += kDigits[std::to_integer<unsigned>(byte) >> 4];
    hex += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return hex;
}

}  // namespace gatehouse
