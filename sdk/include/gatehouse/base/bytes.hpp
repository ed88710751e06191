// Views of raw bytes: how every buffer crosses a function border.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace gatehouse {

/// Borrowed bytes, read only. The owner's buffer must outlive the view.
using Bytes = std::span<const std::byte>;
/// Borrowed bytes that may be written.
using MutableBytes = std::span<std::byte>;

/// The bytes of `text`, which stays the owner.
inline Bytes bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span(text.data(), text.size())); }

/// `bytes` seen as text. Any byte value may occur in it.
inline std::string_view text_of(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace gatehouse
