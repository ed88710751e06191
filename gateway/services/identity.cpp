#include "gateway/services/identity.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/lane.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/services/policy.hpp"

#include <gatehouse/plugin/border.hpp>

#include <charconv>

namespace gatehouse {
namespace {

using policy::CredentialKind;

std::optional<uid_t> uid_of(std::string_view text) noexcept {
  uid_t out = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc() || end != text.data() + text.size()) return {};
  return out;
}

}  // namespace

PluginIdentities::PluginIdentities(std::shared_ptr<UserNames> users, std::string plugin)
    : users_(std::move(users)), plugin_(std::move(plugin)) {
  const auto resolve = [](void* context, gh_lane* lane, std::uint32_t kind, gh_bytes value, char* out,
                          std::size_t capacity, std::size_t* size, const gh_completion* later) noexcept {
    return guarded([&]() -> gh_status {
      std::string identity;
      const gh_status status =
          static_cast<const PluginIdentities*>(context)->owner(lane, kind, from_border(value), later, identity);
      if (status != GH_OK) return status;
      if (identity.size() > capacity) return GH_E_LIMIT;
      *size = identity.copy(out, capacity);
      return GH_OK;
    });
  };
  table_ = {sizeof(gh_identity), 0, this, resolve};
}

gh_status PluginIdentities::owner(gh_lane* lane, std::uint32_t kind, std::string_view value, const gh_completion* later,
                                  std::string& identity) const {
  const policy::Snapshot& snapshot = HostLane::of(lane).policy->snapshot();
  const auto find_row = [&](CredentialKind as, std::string_view text) {
    const policy::CredentialOwner found = snapshot.parts().credentials.find(as, text, plugin_);
    if (found) identity = found.identity;
    return static_cast<bool>(found);
  };
  switch (kind) {
    case GH_CREDENTIAL_TOKEN: return find_row(CredentialKind::token, to_hex(sha256(value))) ? GH_OK : GH_E_NOT_FOUND;
    case GH_CREDENTIAL_CERT: return find_row(CredentialKind::cert, value) ? GH_OK : GH_E_NOT_FOUND;
    case GH_CREDENTIAL_RELAY_KEY: return find_row(CredentialKind::relay_key, value) ? GH_OK : GH_E_NOT_FOUND;
    case GH_CREDENTIAL_UNIX: {
      const auto uid = uid_of(value);
      if (!uid) return GH_E_NOT_FOUND;
      const UserNames::Answer answer = users_->find(*uid, requester_, later);
      if (answer.status != GH_OK) return answer.status;
      if (!answer.name) return GH_E_NOT_FOUND;
      if (!find_row(CredentialKind::unix_user, *answer.name)) identity = "unix:" + *answer.name;
      return GH_OK;
    }
    default: return GH_E_NOT_FOUND;
  }
}

}  // namespace gatehouse
