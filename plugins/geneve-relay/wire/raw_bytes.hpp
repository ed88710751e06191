// Bytes as cryptographic libraries written in C take them.
#pragma once

#include <gatehouse/base/bytes.hpp>

namespace gatehouse::geneve_relay {

[[nodiscard]] inline const unsigned char* raw(Bytes bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
[[nodiscard]] inline unsigned char* raw(MutableBytes bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace gatehouse::geneve_relay
