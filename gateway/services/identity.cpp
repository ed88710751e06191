#include "gateway/services/identity.hpp"

#include "gateway/base/border.hpp"

#include <pwd.h>
#include <sys/types.h>

#include <array>
#include <charconv>

namespace gatehouse {
namespace {

gh_status resolve(void*, gh_lane*, std::uint32_t kind, gh_bytes value, char* out, std::size_t capacity,
                  std::size_t* size) {
  if (kind != GH_CREDENTIAL_UNIX) return GH_E_NOT_FOUND;
  const std::optional<std::string> identity = unix_identity(text_of(value));
  if (!identity) return GH_E_NOT_FOUND;
  if (identity->size() > capacity) return GH_E_LIMIT;
  *size = identity->copy(out, capacity);
  return GH_OK;
}

constexpr gh_identity kTable = {sizeof(gh_identity), 0, nullptr, resolve};

}  // namespace

std::optional<std::string> unix_identity(std::string_view uid) {
  uid_t number = 0;
  const auto [end, failure] = std::from_chars(uid.data(), uid.data() + uid.size(), number);
  if (failure != std::errc() || end != uid.data() + uid.size()) return {};
  std::array<char, 16384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return std::string("unix:") + found->pw_name;
}

const gh_identity* identity_table() noexcept { return &kTable; }

}  // namespace gatehouse
