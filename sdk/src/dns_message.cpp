// Stages of reading: the header, the questions (each name checked to its end), the records (skipped, only OPT is
// looked at). Names are walked by one function, which checks in the first pass and decodes in the second.
#include <gatehouse/net/dns_message.hpp>

#include <gatehouse/base/endian.hpp>

#include <cassert>
#include <cstring>

namespace gatehouse {
namespace {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kLongestName = 255;  // octets on the wire, RFC 1035, 2.3.4
constexpr std::uint16_t kOptType = 41;
constexpr std::uint16_t kResponse = 0x8000;         // QR
constexpr std::uint16_t kEchoed = 0x7800 | 0x0110;  // opcode, RD, CD (RFC 4035, 3.1.6)
constexpr std::uint16_t kRecursionAvailable = 0x0080;

std::uint16_t number_at(Bytes message, std::size_t at) noexcept { return load_big<std::uint16_t>(message.subspan(at)); }

char* copy_label(Bytes label, char* out) noexcept {
  for (const std::byte b : label) {
    const auto c = static_cast<unsigned char>(b);
    *out++ = c == '.' ? kDotInLabel : static_cast<char>(c | (static_cast<unsigned char>(c - 'A') < 26 ? 0x20 : 0));
  }
  return out;
}

/// Walks the name at `at` and gives each of its labels to `label`. Returns where the message goes on after the name.
template <class Label>
Result<std::size_t> walk_name(Bytes message, std::size_t at, Label&& label) noexcept {
  std::size_t end = 0;      // known once a pointer was followed
  std::size_t octets = 1;   // the root's
  std::size_t run = at;     // where this run of labels began
  Bytes visible = message;  // after a pointer only what stands before the last run: no way forward, no loop
  for (;;) {
    if (at >= visible.size()) return end == 0 ? Errc::truncated : Errc::malformed;
    const auto length = std::to_integer<std::size_t>(visible[at]);
    if (length == 0) return end != 0 ? end : at + 1;
    if (length < 0x40) {
      octets += length + 1;
      if (octets > kLongestName) return Errc::malformed;
      if (visible.size() - at <= length) return end == 0 ? Errc::truncated : Errc::malformed;
      label(visible.subspan(at + 1, length));
      at += length + 1;
    } else {
      if (length < 0xc0) return Errc::malformed;
      if (visible.size() - at < 2) return end == 0 ? Errc::truncated : Errc::malformed;
      const std::size_t target = number_at(visible, at) & 0x3fff;
      if (target < kHeaderSize) return Errc::malformed;
      if (end == 0) end = at + 2;
      visible = message.first(run);
      at = run = target;
    }
  }
}

/// Where the record's name ends; what is in it does not matter.
Result<std::size_t> skip_name(Bytes message, std::size_t at) noexcept {
  for (;;) {
    if (at >= message.size()) return Errc::truncated;
    const auto length = std::to_integer<std::size_t>(message[at]);
    if (length == 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length >= 0x40) return Errc::malformed;
    at += length + 1;
  }
}

/// Skips all records, which begin at `at`; notes an OPT record among the last `additional` ones.
Result<void> read_records(DnsQuery& query, std::size_t at, std::size_t count, std::size_t additional) noexcept {
  const Bytes message = query.message;
  for (; count > 0; --count) {
    const auto name_end = skip_name(message, at);
    if (!name_end) return name_end.error();
    const std::size_t data = *name_end + 10;
    if (data > message.size()) return Errc::truncated;
    if (count <= additional && number_at(message, *name_end) == kOptType) {
      if (query.edns || *name_end != at + 1) return Errc::malformed;
      query.edns = true;
      query.dnssec_ok = (number_at(message, *name_end + 6) & 0x8000) != 0;
    }
    at = data + number_at(message, data - 2);
    if (at > message.size()) return Errc::truncated;
  }
  return {};
}

}  // namespace

Result<DnsQuery> read_dns_query(Bytes message) noexcept {
  if (message.size() < kHeaderSize) return Errc::truncated;
  DnsQuery query;
  query.message = message;
  query.id = number_at(message, 0);
  query.flags = number_at(message, 2);
  query.question_count = number_at(message, 4);
  if ((query.flags & kResponse) != 0 || query.question_count == 0) return Errc::malformed;
  if (query.question_count > kMostDnsQuestions) return Errc::oversize;

  std::size_t at = kHeaderSize;
  for (unsigned i = 0; i < query.question_count; ++i) {
    const auto end = walk_name(message, at, [](Bytes) {});
    if (!end) return end.error();
    at = *end + 4;
    if (at > message.size()) return Errc::truncated;
  }
  query.question_section = message.subspan(kHeaderSize, at - kHeaderSize);

  const std::size_t additional = number_at(message, 10);
  const std::size_t records = std::size_t{number_at(message, 6)} + number_at(message, 8) + additional;
  if (const auto read = read_records(query, at, records, additional); !read) return read.error();
  return query;
}

std::size_t read_dns_question(const DnsQuery& query, std::size_t offset, DnsQuestion& out) noexcept {
  char* const begin = out.name_text.data();
  char* write = begin;
  const auto end = walk_name(query.message, offset, [&](Bytes label) {
    write = copy_label(label, write);
    *write++ = '.';
  });
  assert(end && "read_dns_query() has checked it");
  out.name_size = static_cast<std::uint8_t>(write == begin ? 0 : write - begin - 1);
  out.type = number_at(query.message, *end);
  out.dns_class = number_at(query.message, *end + 2);
  return *end + 4;
}

std::size_t write_blocked_answer(const DnsQuery& query, DnsRcode rcode, MutableBytes out) noexcept {
  const std::size_t size = kHeaderSize + query.question_section.size() + (query.edns ? kDnsOptSize : 0);
  if (out.size() < size) return 0;
  std::memmove(out.data() + kHeaderSize, query.question_section.data(), query.question_section.size());
  const unsigned flags = kResponse | (query.flags & kEchoed) | kRecursionAvailable | static_cast<unsigned>(rcode);
  store_big(out, query.id);
  store_big(out.subspan(2), static_cast<std::uint16_t>(flags));
  store_big(out.subspan(4), query.question_count);
  store_big(out.subspan(6), std::uint32_t{0});
  store_big(out.subspan(10), std::uint16_t{query.edns});
  if (query.edns) {
    const MutableBytes opt = out.subspan(size - kDnsOptSize, kDnsOptSize);
    opt[0] = std::byte{0};  // the root
    store_big(opt.subspan(1), kOptType);
    store_big(opt.subspan(3), kDnsPayload);
    store_big(opt.subspan(5), std::uint32_t{query.dnssec_ok ? 0x8000u : 0u});  // extended rcode, version, flags
    store_big(opt.subspan(9), std::uint16_t{0});
  }
  return size;
}

}  // namespace gatehouse
