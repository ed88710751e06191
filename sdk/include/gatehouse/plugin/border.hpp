// The border's plain values (abi.h) as ours, and back: one vocabulary for the host, the SDK and the test kit.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/prefix.hpp>

#include <cstring>
#include <string_view>

namespace gatehouse {

/// A view of `text`, which must outlive it.
[[nodiscard]] inline gh_bytes to_border(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
/// A view of what `bytes` borrow.
[[nodiscard]] inline std::string_view from_border(gh_bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

/// Without an address: family 0.
[[nodiscard]] inline gh_endpoint to_border(const Endpoint& endpoint) noexcept {
  gh_endpoint out{};
  std::memcpy(out.bytes, endpoint.address.storage().data(), sizeof out.bytes);
  out.scope = endpoint.scope;
  out.port = endpoint.port;
  out.family = static_cast<std::uint8_t>(endpoint.address.family());
  return out;
}
/// Without an address where the family is neither 4 nor 6.
[[nodiscard]] inline Endpoint from_border(const gh_endpoint& endpoint) noexcept {
  const Bytes bytes = std::as_bytes(std::span(endpoint.bytes));
  Endpoint out;
  if (endpoint.family == 4) out.address = IpAddress::v4(bytes.first(4));
  if (endpoint.family == 6) out.address = IpAddress::v6(bytes);
  out.port = endpoint.port;
  out.scope = endpoint.scope;
  return out;
}

/// Of whichever family it has.
[[nodiscard]] inline gh_prefix to_border(const Prefix& prefix) noexcept {
  gh_prefix out{};
  std::memcpy(out.bytes, prefix.address().storage().data(), sizeof out.bytes);
  out.family = static_cast<std::uint8_t>(prefix.address().family());
  out.length = static_cast<std::uint8_t>(prefix.length());
  return out;
}
/// Bits behind its length are cleared; none where the family is neither 4 nor 6.
[[nodiscard]] inline Prefix from_border(const gh_prefix& prefix) noexcept {
  const Bytes bytes(reinterpret_cast<const std::byte*>(prefix.bytes), sizeof prefix.bytes);
  if (prefix.family == 4) return {IpAddress::v4(bytes.first(4)), prefix.length};
  if (prefix.family == 6) return {IpAddress::v6(bytes), prefix.length};
  return {};
}

}  // namespace gatehouse
