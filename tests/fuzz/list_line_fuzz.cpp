// Lines of a block list in every format (first byte: which; 0 = told from the lines): names come out canonical and
// rejects printable, whatever came in.
#include "db/lists/lines/line_parser.hpp"

#include "tests/fuzz/fuzz.hpp"

#include <gatehouse/base/domain.hpp>

#include <algorithm>

using gatehouse::require;
namespace db = gatehouse::db;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text = gatehouse::text_of(gatehouse::fuzz_input(data + 1, size - 1));
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    lines.emplace_back(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  const std::size_t choice = data[0] % (db::kListFormats.size() + 1);
  db::ListFormat format = db::ListFormat::hosts;
  if (choice == 0) {
    const db::DetectedFormat found = db::detect_format(lines);
    require(found.format.has_value() == found.why_not.empty());
    if (!found.format) return 0;
    format = *found.format;
  } else {
    format = db::kListFormats[choice - 1];
  }
  db::LineParser parser(format);
  for (const std::string& line : lines) {
    const db::ParsedLine& parsed = parser.parse(line);
    for (const auto& name : parsed.names) {
      const auto canonical = gatehouse::canonical_domain(name.text);
      require(canonical && *canonical == name.text);
      require(name.entry != gatehouse::policy::ListEntry::none);
    }
    for (const auto& [name, why, is_exception] : parsed.rejects)
      for (const std::string& said : {name, why})
        require(!why.empty() && std::all_of(said.begin(), said.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    require(parser.open_lines() < db::ZoneRecord::kMostLines);
  }
  return 0;
}
