#include "plugins/socks5/wire/login.hpp"

namespace gatehouse::socks5 {
namespace {

/// The text behind its length at `at`, and moves `at` behind it.
Result<std::string_view> read_text(Bytes in, std::size_t& at) noexcept {
  if (in.size() <= at) return Errc::truncated;
  const auto size = std::to_integer<std::size_t>(in[at]);
  if (in.size() < at + 1 + size) return Errc::truncated;
  const Bytes text = in.subspan(at + 1, size);
  at += 1 + size;
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size());
}

}  // namespace

Result<Login> read_login(Bytes in) noexcept {
  constexpr std::byte kLoginVersion{1};
  if (!in.empty() && in[0] != kLoginVersion) return Errc::malformed;
  std::size_t at = 1;
  const auto user = read_text(in, at);
  if (!user) return user.error();
  const auto password = read_text(in, at);
  if (!password) return password.error();
  return Login{*user, *password, at};
}

}  // namespace gatehouse::socks5
