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

PluginIdentities::PluginIdentities(std::shared_ptr<UserNames> users, std::string plugin, TokenGuard guard)
    : users_(std::move(users)), plugin_(std::move(plugin)), guard_(std::move(guard)) {
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
  const auto resolve_token = [](void* context, gh_lane* lane, gh_bytes token, const gh_client_facts* client, char* out,
                                std::size_t capacity, std::size_t* size, std::uint64_t* wait_ns) noexcept {
    *wait_ns = 0;
    if (client->struct_size < GH_SIZE_1_0(gh_client_facts)) return static_cast<gh_status>(GH_E_INVALID);
    return guarded([&]() -> gh_status {
      std::string identity;
      Nanoseconds wait{0};
      const gh_status status =
          static_cast<const PluginIdentities*>(context)->token_owner(lane, from_border(token), *client, identity, wait);
      *wait_ns = static_cast<std::uint64_t>(wait.count());
      if (status != GH_OK) return status;
      if (identity.size() > capacity) return GH_E_LIMIT;
      *size = identity.copy(out, capacity);
      return GH_OK;
    });
  };
  table_ = {sizeof(gh_identity), 0, this, resolve, resolve_token};
}

gh_status PluginIdentities::token_owner(gh_lane* lane, std::string_view token, const gh_client_facts& client,
                                        std::string& identity, Nanoseconds& wait) const {
  if (!guard_.failures) return owner(lane, GH_CREDENTIAL_TOKEN, token, nullptr, identity);
  const policy::Snapshot& snapshot = HostLane::of(lane).policy->snapshot();
  const IpAddress source = from_border(client.source).address;
  const std::string listener =
      client.listener == UINT32_MAX ? std::string() : guard_.listeners->name_of(plugin_, client.listener);
  const policy::Limit limit = snapshot.limits(snapshot.group_of({plugin_, listener, {}, source})).token_failures();
  const IpAddress canonical = snapshot.canonical(source);
  const SteadyTime now = steady_now();
  const TokenFailures::Answer answer = guard_.failures->ask(canonical, limit.or_none(), now);
  wait = answer.wait;
  if (answer.is_news)
    guard_.journal->write(GH_LOG_WARN, "gateway", "too many tokens that are nobody's; none is looked at for a while",
                          {{"plugin", plugin_},
                           {"listener", listener},
                           {"source", canonical.to_string()},
                           {"traffic_rules", limit.row == 0 ? "none: the default" : std::to_string(limit.row)}});
  if (wait > Nanoseconds(0)) return GH_E_LIMIT;
  const gh_status status = owner(lane, GH_CREDENTIAL_TOKEN, token, nullptr, identity);
  if (status == GH_E_NOT_FOUND) guard_.failures->add(canonical, limit.or_none(), now);
  return status;
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
