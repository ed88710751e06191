#include "plugins/geneve-relay/allocation/accept_form.hpp"

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr unsigned kWholeWeight = 1000;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equal_without_case(std::string_view left, std::string_view right) noexcept {
  return std::ranges::equal(left, right, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Takes what stands before the next `separator` off the front of `text`; one in quotes is none.
std::string_view take_until(char separator, std::string_view& text) noexcept {
  bool is_quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (is_quoted || text[at] != separator); ++at) {
    if (text[at] == '"') is_quoted = !is_quoted;
    if (is_quoted && text[at] == '\\' && at + 1 < text.size()) ++at;
  }
  const std::string_view out = trimmed(text.substr(0, at));
  text.remove_prefix(std::min(at + 1, text.size()));
  return out;
}

std::string_view unquoted(std::string_view text) noexcept {
  const bool is_quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return is_quoted ? text.substr(1, text.size() - 2) : text;
}

/// "0.8" in thousandths; what is no weight is none.
unsigned weight_of(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text[0] == '1') return kWholeWeight;
  if (text.size() == 1 || text[1] != '.') return 0;
  unsigned out = 0, unit = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return 0;
    out += unit * static_cast<unsigned>(c - '0');
    unit /= 10;
  }
  return out;
}

/// A media range: which form it is of, and how much it is wanted.
struct Range {
  unsigned weight = 0;  // 0: not JSON, or not wanted
  WireForm form = WireForm::current;
};

Range range_of(std::string_view element) noexcept {
  const std::string_view type = take_until(';', element);
  const bool is_json = equal_without_case(type, "application/json");
  if (!is_json && !equal_without_case(type, "application/*") && type != "*/*") return {};
  Range out{kWholeWeight};
  while (!element.empty()) {
    std::string_view value = take_until(';', element);
    const std::string_view name = take_until('=', value);
    value = unquoted(trimmed(value));
    if (equal_without_case(name, "q")) out.weight = weight_of(value);
    if (is_json && equal_without_case(name, "form") && value == "1") out.form = WireForm::first;
  }
  return out;
}

}  // namespace

WireForm form_wanted(std::string_view accept) noexcept {
  Range best;
  while (!accept.empty()) {
    const Range range = range_of(take_until(',', accept));
    if (range.weight > best.weight) best = range;
  }
  return best.form;
}

}  // namespace gatehouse::geneve_relay
