#include <gatehouse/base/domain.hpp>

namespace gatehouse {

Result<std::string> canonical_domain(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty()) return Errc::malformed;
  if (text.size() > kLongestDomain) return Errc::oversize;

  std::string out;
  out.reserve(text.size());
  std::size_t label = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 127) return Errc::unsupported;
    if (byte <= ' ' || byte == 127) return Errc::malformed;
    if (c == '.') {
      if (label == 0) return Errc::malformed;
      label = 0;
    } else if (++label > kLongestLabel) {
      return Errc::oversize;
    }
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  if (label == 0) return Errc::malformed;
  return out;
}

bool is_below(std::string_view name, std::string_view suffix) noexcept {
  if (suffix.empty()) return true;
  if (!name.ends_with(suffix)) return false;
  return name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.';
}

}  // namespace gatehouse
