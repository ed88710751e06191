#include "db/lists/lines/foreign_content.hpp"

#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/words.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace gatehouse::db {
namespace {

struct Archive {
  std::string_view magic, reader;
};
constexpr std::array kArchives{Archive{"\x1f\x8b", "zcat"}, Archive{"BZh", "bzcat"},
                               Archive{"\xfd"
                                       "7zXZ",
                                       "xzcat"},
                               Archive{"\x28\xb5\x2f\xfd", "zstdcat"}, Archive{"PK\x03\x04", "unzip -p"}};

}  // namespace

std::string why_no_list(std::span<const std::string> lines) {
  if (lines.empty()) return {};
  for (const Archive& archive : kArchives)
    if (lines.front().starts_with(archive.magic))
      return "the list is compressed: `" + std::string(archive.reader) + " FILE | gatehouse policy import NAME -`";
  for (const std::string& line : lines)
    if (line.find('\0') != line.npos) return "this is a binary file, and no list: look at what its source sends";
  const auto first = std::find_if_not(lines.begin(), lines.end(), [](const auto& l) { return is_blank_or_comment(l); });
  if (first == lines.end()) return {};
  const std::string_view start = trimmed(*first);
  if (start.front() == '<') return "this is a web page (HTML or XML), and no list: look at what its source sends";
  if (start.front() == '{' || (start.front() == '[' && !start.starts_with("[$")))
    return "this is JSON, and no list: look at what its source sends";
  return {};
}

}  // namespace gatehouse::db
