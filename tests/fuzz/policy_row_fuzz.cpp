// Cells of policy rows as people write them: a list of ports, a name in any script, a pattern (the first line) for a
// text (the second); and the whole in every cell of rows that are compiled and asked.
#include "policy/compile.hpp"
#include "policy/match/ascii_domain.hpp"
#include "policy/match/glob.hpp"
#include "policy/match/name_suffixes.hpp"
#include "policy/match/port_set.hpp"

#include "tests/fuzz/fuzz.hpp"

#include <gatehouse/base/domain.hpp>

#include <string>

namespace gatehouse {
namespace {

void check_ports(std::string_view text) {
  const auto ports = policy::parse_ports(text);
  if (!ports) return;
  require(!ports->empty());
  int last = -1;
  for (const policy::PortRange& range : *ports) {
    require(range.first <= range.last && range.first > last);
    last = range.last;
  }
}

void check_name(std::string_view text) {
  const auto name = policy::ascii_domain(text);
  if (!name) return;
  require(*canonical_domain(*name) == *name);
  require(*policy::ascii_domain(*name) == *name);
  std::string loud = *name + '.';
  for (char& letter : loud)
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  const policy::HashSeed seed{1, 2};
  const policy::NameSuffixes suffixes(loud, seed);
  require(suffixes.valid() && (name->empty() || suffixes.count() > 0));
  for (std::size_t i = 0; i < suffixes.count(); ++i)
    require(suffixes.hash(i) == policy::hash_name(suffixes.text(i), seed) && is_below(*name, suffixes.text(i)));
}

void check_pattern(std::string_view input) {
  const std::size_t line_end = std::min(input.find('\n'), input.size());
  const std::string pattern(input.substr(0, line_end));
  const std::string text(input.substr(std::min(line_end + 1, input.size())));
  const bool matches = policy::glob_match(pattern, text);
  if (policy::is_literal(pattern)) require(matches == (pattern == text));
  require(policy::glob_match(pattern + '*', text + "tail") || !matches);
  require(policy::glob_match('?' + pattern, "x" + text) == matches);
  require(policy::glob_match("*", text));
}

/// A row in force or a sentence about it, whatever stands in it.
void check_rows(const std::string& text) {
  policy::Model model;
  model.groups = {{0, "everyone", 100, true}, {1, text, 1, true}};
  model.group_members = {{1, 1, "identity", text, {}}, {2, 1, "source", text, {}}, {3, 1, text, text, {}}};
  model.credentials = {{1, "token", text, text, {}, {}}, {2, "relay_key", text, text, text, {}}};
  model.domain_rules = {{1, {}, text, "suffix", "block", {}}, {2, 1, text, "exact", text, {}}};
  model.domain_lists = {{1, text, {}, "suffix", "block", text, {}}};
  model.port_permits = {{1, {}, "udp", text, {}, "deny", 1, {}},
                        {2, {}, "any", {}, text, "allow", 2, {}},
                        {3, 1, text, text, text, text, 3, {}}};
  const policy::Compiled compiled = policy::compile(model, {}, 1, 0);
  require(!compiled.problems.empty());  // the list is in no file
  for (const policy::Problem& problem : compiled.problems) require(!problem.sentence.empty() && problem.row > 0);
  for (const std::string_view identity : {std::string_view("token:bob"), std::string_view(text)}) {
    const auto group = compiled.snapshot->group_of({"udpgw", text, identity, {}});
    policy::SideHits hits;
    const policy::Flow flow{IpAddress::v4(0x08080808), 53, policy::kUdp, policy::kFlowNamed, text};
    require(compiled.snapshot->judge({group, false}, flow, hits).reason != policy::Reason::none);
  }
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kLongest = 1000;  // a pattern's time is the product of two lengths
  const std::string_view text = gatehouse::text_of(gatehouse::fuzz_input(data, std::min(size, kLongest)));
  gatehouse::check_ports(text);
  gatehouse::check_name(text);
  gatehouse::check_pattern(text);
  gatehouse::check_rows(std::string(text));
  return 0;
}
