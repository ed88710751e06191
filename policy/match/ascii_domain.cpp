#include "policy/match/ascii_domain.hpp"

#include <gatehouse/base/domain.hpp>

#include <idn2.h>

#include <algorithm>
#include <memory>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kLongestText = 4 * kLongestDomain;  // no character takes more bytes in UTF-8

struct Free {
  void operator()(char* text) const noexcept { idn2_free(text); }
};

}  // namespace

Result<std::string> ascii_domain(std::string_view text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
  if (ascii) return canonical_domain(text);
  if (text.size() > kLongestText) return Errc::oversize;
  // Some spaces and control characters would be mapped away.
  if (std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c <= ' ') || c == 127; }))
    return Errc::malformed;
  char* out = nullptr;
  const int status = idn2_to_ascii_8z(std::string(text).c_str(), &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, Free> owner(out);
  if (status == IDN2_TOO_BIG_DOMAIN || status == IDN2_TOO_BIG_LABEL || status == IDN2_PUNYCODE_BIG_OUTPUT)
    return Errc::oversize;
  if (status == IDN2_MALLOC) throw std::bad_alloc();
  if (status != IDN2_OK) return Errc::unsupported;
  return canonical_domain(out);
}

std::size_t foreign_character(std::string_view name) noexcept {
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.");
}

}  // namespace gatehouse::policy
