// Stages of reading: the header, the questions (each name checked to its end), the records (of which OPT is looked at,
// and the targets of responses are checked). Names are walked by one function, which checks in the first pass and
// decodes in the second.
#include <gatehouse/net/dns_message.hpp>

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

namespace gatehouse {
namespace {

constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kLongestName = 255;  // octets on the wire, RFC 1035, 2.3.4
constexpr std::size_t kMostPointers = 16;  // of a name, or thousands would lead to each other; Go's resolver takes 10
constexpr std::uint16_t kCnameType = 5, kSoaType = 6, kOptType = 41, kSvcbType = 64, kHttpsType = 65;
constexpr std::size_t kOptSize = 11;
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
  std::size_t pointers = 0;
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
      if (target < kHeaderSize || ++pointers > kMostPointers) return Errc::malformed;
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

/// One record, its name skipped.
struct Record {
  std::uint16_t type = 0;
  std::size_t fixed = 0;  // offset of its type
  std::size_t data = 0, end = 0;
};

/// Both ends of it are within the message.
Result<Record> read_record(Bytes message, std::size_t at) noexcept {
  const auto name_end = skip_name(message, at);
  if (!name_end) return name_end.error();
  Record out;
  out.fixed = *name_end;
  out.data = *name_end + 10;
  if (out.data > message.size()) return Errc::truncated;
  out.type = number_at(message, out.fixed);
  out.end = out.data + number_at(message, out.data - 2);
  if (out.end > message.size()) return Errc::truncated;
  return out;
}

Result<void> note_opt(DnsQuery& query, const Record& record, std::size_t name_size) noexcept {
  if (query.edns || name_size != 1) return Errc::malformed;
  query.edns = true;
  query.answer_limit = std::max(query.answer_limit, number_at(query.message, record.fixed + 2));
  query.dnssec_ok = (number_at(query.message, record.fixed + 6) & 0x8000) != 0;
  return {};
}

/// Reads all records, which begin at `at`: notes an OPT record among the last `additional` ones, and gives each record
/// to `take`, which returns a Result<void>.
template <class Take>
Result<void> read_records(DnsQuery& query, std::size_t at, std::size_t count, std::size_t additional,
                          Take&& take) noexcept {
  for (; count > 0; --count) {
    const auto record = read_record(query.message, at);
    if (!record) return record.error();
    if (count <= additional && record->type == kOptType)
      if (const auto noted = note_opt(query, *record, record->fixed - at); !noted) return noted.error();
    if (const auto taken = take(*record); !taken) return taken.error();
    at = record->end;
  }
  return {};
}

/// Header and questions; `is_response` says what it has to be.
Result<DnsQuery> read_questions(Bytes message, bool is_response) noexcept {
  if (message.size() < kHeaderSize) return Errc::truncated;
  DnsQuery query;
  query.message = message;
  query.id = number_at(message, 0);
  query.flags = number_at(message, 2);
  query.question_count = number_at(message, 4);
  if (((query.flags & kResponse) != 0) != is_response) return Errc::malformed;
  if (query.question_count > kMostDnsQuestions) return Errc::oversize;
  std::size_t at = kHeaderSize;
  for (unsigned i = 0; i < query.question_count; ++i) {
    const auto end = walk_name(message, at, [](Bytes) {});
    if (!end) return end.error();
    at = *end + 4;
    if (at > message.size()) return Errc::truncated;
  }
  query.question_section = message.subspan(kHeaderSize, at - kHeaderSize);
  return query;
}

std::size_t additional_of(Bytes message) noexcept { return number_at(message, 10); }
std::size_t records_of(Bytes message) noexcept {
  return std::size_t{number_at(message, 6)} + number_at(message, 8) + additional_of(message);
}

/// Where the target of a record of that type begins in its data; none: it has no target.
std::optional<std::size_t> target_offset(std::uint16_t type) noexcept {
  if (type == kCnameType) return 0;
  if (type == kSvcbType || type == kHttpsType) return 2;  // behind the priority
  return {};
}

/// Writes the name at `at`, which has been checked, canonically. Returns where the message goes on.
std::size_t decode_name(Bytes message, std::size_t at, DnsQuestion& out) noexcept {
  char* const begin = out.name_text.data();
  char* write = begin;
  const auto end = walk_name(message, at, [&](Bytes label) {
    write = copy_label(label, write);
    *write++ = '.';
  });
  assert(end && "it has been checked");
  out.name_size = static_cast<std::uint8_t>(write == begin ? 0 : write - begin - 1);
  return *end;
}

// Of a SOA record: what is named there is nowhere, and says to people who has answered (RFC 6761, 6.4).
constexpr std::string_view kSoaServer{"\7blocked\7invalid", 17};  // with the root's byte
constexpr std::string_view kSoaMailbox{"\6nobody", 7};            // and a pointer to the server's second label
constexpr std::size_t kSoaNumbers = 20;
constexpr std::size_t kSoaData = kSoaServer.size() + kSoaMailbox.size() + 2 + kSoaNumbers;
constexpr std::size_t kSoaSize = 2 + 10 + kSoaData;
static_assert(kSoaSize + kOptSize == kBlockedAnswerGrowth);

/// Where the name above the first question's stands, or the root. Of that the SOA record is: dnsmasq 2.90 takes an
/// NXDOMAIN for NODATA that has one of the name itself.
std::size_t parent_of_first_question(Bytes message) noexcept {
  const auto label = std::to_integer<std::size_t>(message[kHeaderSize]);
  return label == 0 ? kHeaderSize : kHeaderSize + 1 + label;
}

/// @param at  where it stands in `message`, whose questions are there already
void write_soa(MutableBytes message, std::size_t at, std::uint16_t dns_class, std::uint32_t ttl) noexcept {
  MutableBytes out = message.subspan(at, kSoaSize);
  const auto put = [&out](auto number) {
    store_big(out, number);
    out = out.subspan(sizeof number);
  };
  const auto put_text = [&out](std::string_view text) {
    std::memcpy(out.data(), text.data(), text.size());
    out = out.subspan(text.size());
  };
  constexpr std::size_t kServer = 12, kSecondLabel = kServer + 8;  // in the record
  put(static_cast<std::uint16_t>(0xc000 | parent_of_first_question(message)));
  put(kSoaType);
  put(dns_class);
  put(ttl);
  put(static_cast<std::uint16_t>(kSoaData));
  put_text(kSoaServer);
  put_text(kSoaMailbox);
  put(static_cast<std::uint16_t>(0xc000 | (at + kSecondLabel)));
  put(std::uint32_t{1});                 // serial
  for (int i = 0; i < 4; ++i) put(ttl);  // refresh, retry, expire, minimum
}

void write_opt(MutableBytes out, bool dnssec_ok) noexcept {
  out[0] = std::byte{0};  // the root
  store_big(out.subspan(1), kOptType);
  store_big(out.subspan(3), kDnsPayload);
  store_big(out.subspan(5), std::uint32_t{dnssec_ok ? 0x8000u : 0u});  // extended rcode, version, flags
  store_big(out.subspan(9), std::uint16_t{0});
}

}  // namespace

Result<DnsQuery> read_dns_query(Bytes message) noexcept {
  auto query = read_questions(message, false);
  if (!query) return query;
  if (query->question_count == 0) return Errc::malformed;
  const auto nothing = [](const Record&) -> Result<void> { return {}; };
  const auto read = read_records(*query, kHeaderSize + query->question_section.size(), records_of(message),
                                 additional_of(message), nothing);
  if (!read) return read.error();
  return query;
}

std::size_t read_dns_question(const DnsQuery& query, std::size_t offset, DnsQuestion& out) noexcept {
  const std::size_t end = decode_name(query.message, offset, out);
  out.type = number_at(query.message, end);
  out.dns_class = number_at(query.message, end + 2);
  return end + 4;
}

Result<DnsResponse> read_dns_response(Bytes message) noexcept {
  const auto asked = read_questions(message, true);
  if (!asked) return asked.error();
  DnsResponse out{*asked, static_cast<std::uint32_t>(records_of(message)), 0};
  std::size_t labels = 0;
  const auto count_target = [&](const Record& record) -> Result<void> {
    const auto target = target_offset(record.type);
    if (!target) return {};
    if (++out.target_count > kMostDnsTargets) return Errc::oversize;
    const auto end = walk_name(message.first(record.end), record.data + *target, [&](Bytes) { ++labels; });
    if (!end) return Errc::malformed;
    if (labels > kMostTargetLabels) return Errc::oversize;
    return {};
  };
  const auto read = read_records(out.asked, kHeaderSize + asked->question_section.size(), out.record_count,
                                 additional_of(message), count_target);
  if (!read) return read.error();
  out.asked.answer_limit = static_cast<std::uint16_t>(std::clamp<std::size_t>(message.size(), 512, 0xffff));
  return out;
}

void read_dns_target(const DnsResponse& response, std::size_t offset, std::uint32_t left, DnsTarget& out) noexcept {
  for (; left > 0; --left) {
    const auto record = read_record(response.asked.message, offset);
    assert(record && "read_dns_response() has checked it");
    offset = record->end;
    const auto target = target_offset(record->type);
    if (!target) continue;
    decode_name(response.asked.message, record->data + *target, out);
    out.type = record->type;
    out.dns_class = number_at(response.asked.message, record->fixed + 2);
    out.next = offset;
    out.next_left = left - 1;
    return;
  }
}

std::size_t write_blocked_answer(const DnsQuery& query, DnsRcode rcode, std::uint32_t ttl, MutableBytes out) noexcept {
  const std::size_t records = kHeaderSize + query.question_section.size();
  const std::size_t opt = query.edns ? kOptSize : 0;
  const bool is_remembered = rcode == DnsRcode::nxdomain || rcode == DnsRcode::no_error;
  const bool has_soa = is_remembered && query.question_count != 0 &&
                       records + kSoaSize + opt <= std::min<std::size_t>(query.answer_limit, out.size());
  const std::size_t size = records + (has_soa ? kSoaSize : 0) + opt;
  if (out.size() < size) return 0;
  std::memmove(out.data() + kHeaderSize, query.question_section.data(), query.question_section.size());
  const unsigned flags = kResponse | (query.flags & kEchoed) | kRecursionAvailable | static_cast<unsigned>(rcode);
  store_big(out, query.id);
  store_big(out.subspan(2), static_cast<std::uint16_t>(flags));
  store_big(out.subspan(4), query.question_count);
  store_big(out.subspan(6), std::uint16_t{0});
  store_big(out.subspan(8), std::uint16_t{has_soa});
  store_big(out.subspan(10), std::uint16_t{query.edns});
  if (has_soa) write_soa(out, records, number_at(out, records - 2), ttl);
  if (query.edns) write_opt(out.subspan(size - kOptSize, kOptSize), query.dnssec_ok);
  return size;
}

}  // namespace gatehouse
