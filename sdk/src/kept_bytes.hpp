// What the host is to keep, as the border has it.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/bytes.hpp>

namespace gatehouse {

/// No bytes are a blob or a value, too; only no pointer is none. A view of `bytes`.
[[nodiscard]] inline gh_bytes kept_bytes(Bytes bytes) noexcept {
  static constexpr std::uint8_t kNothing = 0;
  return {bytes.empty() ? &kNothing : reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace gatehouse
