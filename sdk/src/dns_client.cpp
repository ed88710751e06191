#include <gatehouse/net/dns_client.hpp>

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <array>

namespace gatehouse {
namespace {

constexpr std::size_t kHeader = 12;

/// Steps over a name at `at`; past the end where it is broken.
std::size_t skip_name(Bytes message, std::size_t at) {
  constexpr std::size_t kPointer = 0xc0;
  while (at < message.size()) {
    const auto length = std::to_integer<std::size_t>(message[at]);
    if (length == 0) return at + 1;
    if (length >= kPointer) return at + 2;
    at += 1 + length;
  }
  return message.size();
}

std::string rcode_text(unsigned rcode) {
  static constexpr std::array<const char*, 6> kNames = {"NOERROR",  "FORMERR", "SERVFAIL",
                                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
  return rcode < kNames.size() ? kNames[rcode] : "RCODE" + std::to_string(rcode);
}

}  // namespace

std::vector<std::byte> make_dns_query(std::uint16_t id, std::string_view name, std::uint16_t type) {
  std::vector<std::byte> out(kHeader);
  store_big(MutableBytes(out), id);
  out[2] = std::byte{0x01};  // RD
  out[5] = std::byte{0x01};  // QDCOUNT
  for (std::size_t from = 0; from < name.size();) {
    const std::size_t to = std::min(name.find('.', from), name.size());
    out.push_back(static_cast<std::byte>(to - from));
    for (; from < to; ++from) out.push_back(static_cast<std::byte>(name[from]));
    ++from;
  }
  out.push_back(std::byte{0});
  out.resize(out.size() + 4);
  store_big(MutableBytes(out).last(4), type);
  store_big(MutableBytes(out).last(2), std::uint16_t{1});
  return out;
}

DnsAnswer read_dns_answer(Bytes message) {
  DnsAnswer out{rcode_text(std::to_integer<unsigned>(message[3]) & 15), {}};
  std::size_t at = kHeader;
  for (unsigned i = load_big<std::uint16_t>(message.subspan(4)); i > 0; --i) at = skip_name(message, at) + 4;
  for (unsigned i = load_big<std::uint16_t>(message.subspan(6)); i > 0 && at < message.size(); --i) {
    at = skip_name(message, at);
    if (at + 10 > message.size()) break;
    const auto type = load_big<std::uint16_t>(message.subspan(at));
    const std::size_t length = load_big<std::uint16_t>(message.subspan(at + 8));
    at += 10;
    if (at + length > message.size()) break;
    const Bytes data = message.subspan(at, length);
    at += length;
    if (type == kDnsTypeA && length == 4) out.addresses.push_back(IpAddress::v4(data));
    if (type == kDnsTypeAaaa && length == 16) out.addresses.push_back(IpAddress::v6(data));
  }
  return out;
}

}  // namespace gatehouse
