#include "gateway/services/identity.hpp"

#include "gateway/base/border.hpp"
#include "gateway/base/sha256.hpp"

#include <pwd.h>
#include <sys/types.h>

#include <array>
#include <charconv>

namespace gatehouse {

using policy::CredentialKind;

std::optional<std::string> user_of(std::string_view uid) {
  uid_t number = 0;
  const auto [end, failure] = std::from_chars(uid.data(), uid.data() + uid.size(), number);
  if (failure != std::errc() || end != uid.data() + uid.size()) return {};
  std::array<char, 16384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {};
  return found->pw_name;
}

PluginIdentities::PluginIdentities(std::shared_ptr<SnapshotBoard> board, std::string plugin)
    : board_(std::move(board)), plugin_(std::move(plugin)) {
  const auto resolve = [](void* context, gh_lane*, std::uint32_t kind, gh_bytes value, char* out, std::size_t capacity,
                          std::size_t* size, const gh_completion*) -> gh_status {
    try {
      const auto identity = static_cast<const PluginIdentities*>(context)->owner(kind, text_of(value));
      if (!identity) return GH_E_NOT_FOUND;
      if (identity->size() > capacity) return GH_E_LIMIT;
      *size = identity->copy(out, capacity);
      return GH_OK;
    } catch (const std::exception&) {
      return GH_E_FAILED;
    }
  };
  table_ = {sizeof(gh_identity), 0, this, resolve};
}

std::optional<std::string> PluginIdentities::owner(std::uint32_t kind, std::string_view value) const {
  const auto snapshot = board_->current();
  const auto row = [&](CredentialKind as, std::string_view text) -> std::optional<std::string> {
    const policy::CredentialOwner owner = snapshot->parts().credentials.find(as, text, plugin_);
    if (!owner) return {};
    return std::string(owner.identity);
  };
  switch (kind) {
    case GH_CREDENTIAL_TOKEN: return row(CredentialKind::token, to_hex(sha256(value)));
    case GH_CREDENTIAL_CERT: return row(CredentialKind::cert, value);
    case GH_CREDENTIAL_RELAY_KEY: return row(CredentialKind::relay_key, value);
    case GH_CREDENTIAL_UNIX: {
      const auto user = user_of(value);
      if (!user) return {};
      const auto listed = row(CredentialKind::unix_user, *user);
      return listed ? listed : "unix:" + *user;
    }
    default: return {};
  }
}

}  // namespace gatehouse
