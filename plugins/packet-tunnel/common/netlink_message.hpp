// A netlink message as it is built, and the attributes of one as they are read (linux/netlink.h: type, length, value,
// each padded to 4 bytes; the host's byte order unless a protocol says otherwise).
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>

#include <linux/netlink.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::packet_tunnel {

/// A request. NLM_F_REQUEST is always set, NLM_F_ACK unless it asks for a dump (NLM_F_DUMP).
class NetlinkMessage {
 public:
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);

  /// The protocol's own header (ifinfomsg, rtmsg, nfgenmsg), before any attribute.
  template <class Header>
  void put_header(const Header& header) {
    append(std::as_bytes(std::span(&header, 1)));
  }
  void put(std::uint16_t attribute, Bytes value);
  void put_number(std::uint16_t attribute, std::uint32_t value) { put(attribute, std::as_bytes(std::span(&value, 1))); }
  void put_byte(std::uint16_t attribute, std::uint8_t value) { put(attribute, std::as_bytes(std::span(&value, 1))); }
  /// With its closing zero.
  void put_text(std::uint16_t attribute, const std::string& text);
  void put_address(std::uint16_t attribute, const IpAddress& address) { put(attribute, address.bytes()); }
  /// What is put until close() is inside this attribute.
  [[nodiscard]] std::size_t open(std::uint16_t attribute);
  void close(std::size_t opened);

  /// Complete, with that sequence number. Valid until the message changes.
  [[nodiscard]] Bytes finish(std::uint32_t sequence);

 private:
  void append(Bytes bytes);

  std::vector<std::byte> bytes_;
};

/// The attributes in a piece of a message. A view; broken ones end the walk.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(Bytes bytes) noexcept : bytes_(bytes) {}

  /// The value of the first attribute of that type.
  [[nodiscard]] std::optional<Bytes> find(std::uint16_t attribute) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> number(std::uint16_t attribute) const noexcept;
  /// 4 or 16 bytes as an address; none for anything else.
  [[nodiscard]] IpAddress address(std::uint16_t attribute) const noexcept;
  /// Without the closing zero.
  [[nodiscard]] std::string text(std::uint16_t attribute) const;
  [[nodiscard]] NetlinkAttributes nested(std::uint16_t attribute) const noexcept;

 private:
  Bytes bytes_;
};

/// Takes a fixed header off the front of `bytes`; none if they are too short.
template <class Header>
std::optional<Header> take_header(Bytes& bytes) noexcept {
  constexpr std::size_t padded = NLMSG_ALIGN(sizeof(Header));
  if (bytes.size() < sizeof(Header)) return {};
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes = bytes.subspan(std::min(padded, bytes.size()));
  return header;
}

}  // namespace gatehouse::packet_tunnel
