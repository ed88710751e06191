// A query that was read has canonical names, and its blocked answer asks the same.
#include <gatehouse/net/dns_message.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

std::vector<std::string> names(const DnsQuery& query) {
  std::vector<std::string> out;
  for_each_question(query, [&](std::string_view name, std::uint16_t, std::uint16_t) { out.emplace_back(name); });
  return out;
}

bool is_canonical(const std::string& name) {
  return name.size() <= kLongestDomain && !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == name.npos &&
         std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

void check(Bytes message) {
  const auto query = read_dns_query(message);
  if (!query) return;
  const auto asked = names(*query);
  require(asked.size() == query->question_count);
  require(std::all_of(asked.begin(), asked.end(), is_canonical));

  std::vector<std::byte> answer(message.size() + kBlockedAnswerGrowth);
  const std::size_t size = write_blocked_answer(*query, DnsRcode::nxdomain, 10, answer);
  require(size >= 12 + query->question_section.size());
  answer.resize(size);
  require((answer[2] & std::byte{0x80}) != std::byte{0});
  require(!read_dns_query(answer));
  answer[2] &= std::byte{0x7f};
  const auto echoed = read_dns_query(answer);
  require(echoed && names(*echoed) == asked);
  require(echoed->edns == query->edns && echoed->dnssec_ok == query->dnssec_ok);
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::fuzz_input(data, size));
  return 0;
}
