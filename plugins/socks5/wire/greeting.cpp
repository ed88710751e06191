#include "plugins/socks5/wire/greeting.hpp"

#include <algorithm>

namespace gatehouse::socks5 {

bool Greeting::offers(Method method) const noexcept {
  return std::find(methods.begin(), methods.end(), static_cast<std::byte>(method)) != methods.end();
}

Result<Greeting> read_greeting(Bytes in) noexcept {
  if (!in.empty() && in[0] != kVersion) return Errc::malformed;
  if (in.size() < 2) return Errc::truncated;
  const auto count = std::to_integer<std::size_t>(in[1]);
  if (in.size() < 2 + count) return Errc::truncated;
  return Greeting{in.subspan(2, count), 2 + count};
}

}  // namespace gatehouse::socks5
