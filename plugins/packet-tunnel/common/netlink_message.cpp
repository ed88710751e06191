#include "plugins/packet-tunnel/common/netlink_message.hpp"

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

/// The attribute at the front of `bytes`, which loses it; its value. None at the end, or where it is broken.
std::optional<std::pair<std::uint16_t, Bytes>> take_attribute(Bytes& bytes) noexcept {
  nlattr head{};
  if (bytes.size() < sizeof head) return {};
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.nla_len < sizeof head || head.nla_len > bytes.size()) return {};
  const Bytes value = bytes.first(head.nla_len).subspan(sizeof head);
  bytes = bytes.subspan(std::min<std::size_t>(NLA_ALIGN(head.nla_len), bytes.size()));
  return std::pair{static_cast<std::uint16_t>(head.nla_type & NLA_TYPE_MASK), value};
}

}  // namespace

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  const bool is_dump = (flags & NLM_F_DUMP) == NLM_F_DUMP;
  header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | (is_dump ? 0 : NLM_F_ACK) | flags);
  bytes_.reserve(256);
  put_header(header);
}

void NetlinkMessage::append(Bytes bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkMessage::put(std::uint16_t attribute, Bytes value) {
  const nlattr head{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), attribute};
  append(std::as_bytes(std::span(&head, 1)));
  append(value);
}

void NetlinkMessage::put_text(std::uint16_t attribute, const std::string& text) {
  put(attribute, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

std::size_t NetlinkMessage::open(std::uint16_t attribute) {
  const std::size_t opened = bytes_.size();
  put(static_cast<std::uint16_t>(attribute | NLA_F_NESTED), {});
  return opened;
}

void NetlinkMessage::close(std::size_t opened) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - opened);
  std::memcpy(bytes_.data() + opened + offsetof(nlattr, nla_len), &length, sizeof length);
}

Bytes NetlinkMessage::finish(std::uint32_t sequence) {
  const auto length = static_cast<std::uint32_t>(bytes_.size());
  std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
  std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  return bytes_;
}

std::optional<Bytes> NetlinkAttributes::find(std::uint16_t attribute) const noexcept {
  Bytes rest = bytes_;
  while (const auto next = take_attribute(rest))
    if (next->first == attribute) return next->second;
  return {};
}

std::optional<std::uint32_t> NetlinkAttributes::number(std::uint16_t attribute) const noexcept {
  const auto value = find(attribute);
  if (!value || value->size() != sizeof(std::uint32_t)) return {};
  std::uint32_t out = 0;
  std::memcpy(&out, value->data(), sizeof out);
  return out;
}

IpAddress NetlinkAttributes::address(std::uint16_t attribute) const noexcept {
  const auto value = find(attribute);
  if (value && value->size() == 4) return IpAddress::v4(*value);
  if (value && value->size() == 16) return IpAddress::v6(*value);
  return {};
}

std::string NetlinkAttributes::text(std::uint16_t attribute) const {
  const auto value = find(attribute);
  if (!value) return {};
  const std::string_view text = text_of(*value);
  return std::string(text.substr(0, text.find('\0')));
}

NetlinkAttributes NetlinkAttributes::nested(std::uint16_t attribute) const noexcept {
  return NetlinkAttributes(find(attribute).value_or(Bytes{}));
}

}  // namespace gatehouse::packet_tunnel
