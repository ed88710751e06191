#include <gatehouse/plugin/blocked_answer.hpp>

namespace gatehouse {
namespace {

std::optional<DnsRcode> rcode_of(const std::string& answer) noexcept {
  if (answer == "drop") return {};
  if (answer == "refused") return DnsRcode::refused;
  return answer == "nodata" ? DnsRcode::no_error : DnsRcode::nxdomain;
}

}  // namespace

BlockedAnswer::BlockedAnswer(const Options& options)
    : rcode_(rcode_of(options.text("blocked_answer"))),
      ttl_(static_cast<std::uint32_t>(options.integer("blocked_ttl_seconds"))) {}

std::size_t BlockedAnswer::write(Bytes message, MutableBytes out) const noexcept {
  if (!rcode_) return 0;
  if (const auto query = read_dns_query(message)) return write_blocked_answer(*query, *rcode_, ttl_, out);
  const auto response = read_dns_response(message);
  return response ? write_blocked_answer(response->asked, *rcode_, ttl_, out) : 0;
}

}  // namespace gatehouse
