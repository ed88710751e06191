#include "db/lists/lines/zone_record.hpp"

namespace gatehouse::db {

ZoneRecord::State ZoneRecord::add(std::string_view line) {
  if (depth_ == 0) {
    text_.clear();
    lines_ = 0;
  }
  ++lines_;
  const State state = read(line);
  if (state != State::open) depth_ = 0;
  return state;
}

ZoneRecord::State ZoneRecord::read(std::string_view line) {
  if (text_.size() + line.size() > kMostBytes) return State::too_long;
  bool in_quotes = false;
  if (!text_.empty()) text_ += ' ';
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    text_ += c;
    if (c == '\\' && i + 1 < line.size()) text_ += line[++i];
    if (c == '"') in_quotes = !in_quotes;
    if (in_quotes || (c != '(' && c != ')')) continue;
    text_.back() = ' ';
    if (c == ')' && depth_ == 0) return State::never_opened;
    depth_ += c == '(' ? 1 : -1;
  }
  if (in_quotes) return State::open_quote;
  if (depth_ == 0) return State::whole;
  return lines_ < kMostLines ? State::open : State::too_long;
}

}  // namespace gatehouse::db
