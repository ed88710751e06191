// DNS as a gateway needs it: which names a datagram asks for, which ones an answer leads to, and the answer that says
// "blocked". Nothing here allocates, throws or keeps state; any thread.
//
//   +----+-------+---------+---------+---------+---------+-----------+---------+
//   | id | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | questions | records |   RFC 1035, 4.1; six 16-bit
//   +----+-------+---------+---------+---------+---------+-----------+---------+   numbers, then
//     question = name, type (16 bits), class (16 bits)
//     record   = name, type, class, TTL (32 bits), length (16 bits), data
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/domain.hpp>
#include <gatehouse/base/error.hpp>

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace gatehouse {

/// More questions than this make a query oversize. Real ones have one (RFC 9619); the bound keeps a datagram's cost
/// low.
inline constexpr std::size_t kMostDnsQuestions = 16;
/// More targets than this make a response oversize. Resolvers follow chains of a dozen.
inline constexpr std::size_t kMostDnsTargets = 32;
/// And so do more labels in all of them; real names have half a dozen. Each label is looked up in each list of names:
/// both bounds keep a datagram's cost low.
inline constexpr std::size_t kMostTargetLabels = 256;
/// The UDP payload that our answers announce in their OPT record (the DNS flag day's 1232).
inline constexpr std::uint16_t kDnsPayload = 1232;
/// By how much an answer of write_blocked_answer() may exceed its query: a SOA and an OPT record.
inline constexpr std::size_t kBlockedAnswerGrowth = 69;

/// What stands for a dot inside a label (RFC 6763, 4.1.1: "Dr. Pepper"), where a name is written with dots between
/// labels: a byte that no rule's name can have, so that such a label matches none, and is not taken for two.
inline constexpr char kDotInLabel = '\x7f';

/// What an answer says of its question (RFC 1035, 4.1.1), as far as we say it.
enum class DnsRcode : std::uint8_t {
  no_error = 0,        ///< the name is there, with or without records of that type
  server_failure = 2,  ///< ask again, or somebody else
  nxdomain = 3,        ///< there is no such name
  refused = 5,         ///< there is a rule against it
};

/// A query that has been checked from end to end. Borrows the datagram that it was read from.
struct DnsQuery {
  Bytes message;                     ///< the whole datagram
  Bytes question_section;            ///< inside it, from offset 12; all questions
  std::uint16_t id = 0;              ///< the asker's, which its answer has, too
  std::uint16_t flags = 0;           ///< the second 16 bits of the header, as they came; QR is 0
  std::uint16_t question_count = 0;  ///< 1 .. kMostDnsQuestions
  std::uint16_t answer_limit = 512;  ///< bytes that an answer over UDP may have: more only where its OPT record says so
  bool edns = false;                 ///< it has an OPT record (RFC 6891)
  bool dnssec_ok = false;            ///< with DO set

  /// 0 = standard query, 4 = notify, 5 = update.
  [[nodiscard]] std::uint8_t opcode() const noexcept { return (flags >> 11) & 15; }
};

/// One question, with room for the longest name.
struct DnsQuestion {
  std::uint16_t type = 0;                          ///< 1 = A, 28 = AAAA, 65 = HTTPS, ...
  std::uint16_t dns_class = 0;                     ///< 1 = IN
  std::uint8_t name_size = 0;                      ///< bytes of the name
  std::array<char, kLongestDomain + 1> name_text;  ///< not cleared: the first name_size characters count

  /// Canonical: lower-case (A-Z only), no final dot, dots between labels only; the root is "". A dot inside a label is
  /// kDotInLabel. Other bytes are as they came, also control characters and bytes above 127: match them bytewise,
  /// escape them before they are shown.
  [[nodiscard]] std::string_view name() const noexcept { return {name_text.data(), name_size}; }
};

/// Reads a datagram's payload as a DNS query and checks all that can be looked at later: header, every question, and
/// that the records fit.
///
/// A name may be compressed, by pointers to before the run of labels that they end; what they lead to must end before
/// it too. So names cannot loop, and a question means the same whatever follows it. Labels may have any byte. Bytes
/// after the last record are ignored, as servers do.
///
/// Cost: 20-40 ns for a query of 40 bytes; bounded by the datagram's size.
///
/// @return Errc::truncated   it ends inside the header, a question or a record
///         Errc::malformed   a response; no question; a label of an unknown kind; a pointer that does not go back, or
///                           into the header, or to what does not end before it; a name above 255 octets, or of more
///                           than 16 pointers; two OPT records
///         Errc::oversize    more than kMostDnsQuestions questions
[[nodiscard]] Result<DnsQuery> read_dns_query(Bytes message) noexcept;

/// Decodes the question at `offset` of the message (12, then what this returned) and returns where the next begins.
/// Not beyond `question_count` of them.
std::size_t read_dns_question(const DnsQuery& query, std::size_t offset, DnsQuestion& out) noexcept;

/// Calls visit(std::string_view name, std::uint16_t type, std::uint16_t dns_class) for each question in turn. The name
/// is canonical (see DnsQuestion) and lives until `visit` returns. A `visit` that returns false ends it.
/// @return false if `visit` ended it
template <class Visit>
bool for_each_question(const DnsQuery& query, Visit&& visit) {
  DnsQuestion question;
  std::size_t offset = 12;
  for (unsigned i = 0; i < query.question_count; ++i) {
    offset = read_dns_question(query, offset, question);
    if constexpr (std::is_void_v<decltype(visit(question.name(), question.type, question.dns_class))>) {
      visit(question.name(), question.type, question.dns_class);
    } else {
      if (!visit(question.name(), question.type, question.dns_class)) return false;
    }
  }
  return true;
}

/// A response that has been checked from end to end. Borrows the datagram that it was read from.
struct DnsResponse {
  DnsQuery asked;                  ///< what it says that it answers; perhaps without any question
  std::uint32_t record_count = 0;  ///< of all sections
  std::size_t target_count = 0;    ///< 0 .. kMostDnsTargets
};

/// Reads a datagram's payload as a DNS response, and checks it as read_dns_query() does a query. A *target* is the name
/// that a CNAME, SVCB or HTTPS record (RFC 1035; RFC 9460) leads to, in whatever section it stands.
///
/// Cost: 5 ns for a record, 20 for a target of a few labels; bounded by the datagram's size and the targets' labels.
///
/// @return Errc::truncated   it ends inside the header, a question or a record
///         Errc::malformed   a query; a name as read_dns_query() refuses it, or a target that does not end within its
///                           record; two OPT records
///         Errc::oversize    more than kMostDnsQuestions questions, kMostDnsTargets targets, or kMostTargetLabels
///         labels
///                           in these together
[[nodiscard]] Result<DnsResponse> read_dns_response(Bytes message) noexcept;

/// One target, and where to look for the next one.
struct DnsTarget : DnsQuestion {
  std::size_t next = 0;         ///< offset of the record behind it
  std::uint32_t next_left = 0;  ///< records from there on
};
/// The first target in the `left` records from `offset` on. Not beyond `target_count` of them.
void read_dns_target(const DnsResponse& response, std::size_t offset, std::uint32_t left, DnsTarget& out) noexcept;

/// Calls visit(std::string_view name) for each target in turn; names as in for_each_question(). A `visit` that returns
/// false ends it. The target "" (a service at its own name) is left out.
/// @return false if `visit` ended it
template <class Visit>
bool for_each_target(const DnsResponse& response, Visit&& visit) {
  DnsTarget target;
  target.next = 12 + response.asked.question_section.size();
  target.next_left = response.record_count;
  for (std::size_t i = 0; i < response.target_count; ++i) {
    read_dns_target(response, target.next, target.next_left, target);
    if (target.name_size != 0 && !visit(target.name())) return false;
  }
  return true;
}

/// Writes the answer that refuses `query`: id, opcode, RD and CD echoed, QR and RA set, the questions byte for byte, an
/// OPT record (version 0, DO echoed) if there was one. NXDOMAIN and NODATA (DnsRcode::no_error) have a SOA record of
/// the name above the first question's, without which nobody remembers them (RFC 2308, 5); not where the answer would
/// exceed `answer_limit` or `out` by it.
///
/// @param ttl  how long the answer may be remembered, in seconds
/// @param out  may be the query's own buffer; kBlockedAnswerGrowth more than the query always suffice
/// @return the answer's size, or 0 if `out` is too small
[[nodiscard]] std::size_t write_blocked_answer(const DnsQuery& query, DnsRcode rcode, std::uint32_t ttl,
                                               MutableBytes out) noexcept;

}  // namespace gatehouse
