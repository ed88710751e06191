#include "plugins/geneve-relay/server/shared.hpp"

#include "plugins/geneve-relay/server/kernel_attachment.hpp"
#include "plugins/geneve-relay/server/lane_vnis.hpp"
#include "plugins/geneve-relay/wire/cryptography.hpp"

#include <gatehouse/plugin/kept_sessions.hpp>
#include <gatehouse/plugin/values.hpp>

#include <algorithm>
#include <stdexcept>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kSecretName = "relay-key";  // the private key, and the secret of the pairs' hash
constexpr std::size_t kHashSecretSize = std::tuple_size_v<DiscoPairHash::Secret>;
constexpr std::size_t kSecretSize = SecretBytes::kSize + kHashSecretSize;

std::unique_ptr<FastPath> load_kernel(const StartContext& context, const RelaySettings& settings) {
  end_former_attachment(context.host);
  if (!settings.uses_kernel) return nullptr;
  try {
    return std::make_unique<FastPath>(settings.most_endpoints);
  } catch (const FastPathError& error) {
    context.host.log().warn("the kernel does not relay, user space does", {{"why", error.what()}});
    return nullptr;
  }
}

}  // namespace

/// The hash's secret is kept, too, so that pairs stay with their lanes over a restart.
RelayShared::Secrets RelayShared::load_secrets(const StartContext& context) {
  if (!prepare_cryptography())
    throw std::runtime_error("libsodium does not work on this machine, so no handshake would");
  const Values values(context.host);
  auto bytes = values.get(kSecretName);
  if (bytes && bytes->size() != kSecretSize)
    throw std::runtime_error(
        "the value \"relay-key\" of this plugin in secrets.db is damaged: remove it, and clients "
        "will have to ask for their endpoints again");
  if (!bytes) {
    bytes.emplace(kSecretSize);
    context.host.random(*bytes);
    if (values.put_and_wait(kSecretName, *bytes, ValueKind::secret, context.completions))
      throw std::runtime_error("a new key cannot be kept: `gatehouse status` says what is wrong with the store");
  }
  DiscoPairHash::Secret hash;
  std::ranges::copy(Bytes(*bytes).last(kHashSecretSize), hash.begin());
  return {DiscoSecret(Bytes(*bytes).first(SecretBytes::kSize)), DiscoPairHash(hash)};
}

std::vector<Endpoint> sockets_of(const std::vector<Listener>& listeners, std::uint32_t lane) {
  std::vector<Endpoint> out;
  for (const Listener& listener : listeners)
    if (listener.transport == Transport::udp && listener.lane == lane) out.push_back(listener.local);
  return out;
}

AdvertisedSettings advertised_of(const RelaySettings& settings) { return {settings.advertise, settings.stun_servers}; }

RelayShared::RelayShared(const StartContext& context, const RelaySettings& settings)
    : secrets_(load_secrets(context)),
      server_(secrets_.key.public_key()),
      lanes_(std::max(context.lanes, 1u)),
      addresses_(advertised_of(settings), sockets_of(context.listeners, 0)),
      awaited_(lanes_),
      kernel_(load_kernel(context, settings)),
      kept_(lanes_) {
  for (std::uint32_t lane = 0; lane < lanes_; ++lane) inboxes_.push_back(std::make_unique<LaneInbox>());
  std::size_t unreadable = 0;
  for_each_kept(
      context.host,
      [this, &unreadable](const KeptSession& session) {
        const auto blob = RelayBlob::read(session.blob_version, session.blob);
        if (!blob) return void(++unreadable);  // stays, with its VNI, for the version that reads it
        const std::uint32_t lane = lane_of(blob->vni, lanes_);
        if (secrets_.hash(blob->clients) % lanes_ != lane) exceptions_[blob->clients] = lane;
        vnis_.add(blob->vni);
        kept_[lane].add({session.id, session.identity, session.source, *blob});
      },
      [](const KeptLease&) {});
  for (std::uint32_t lane = 0; lane < lanes_; ++lane) awaited_[lane] = kept_[lane].waiting();
  if (unreadable > 0)
    context.host.log().warn("endpoints are kept in a form that this version does not read: their clients ask anew",
                            {{"endpoints", std::to_string(unreadable)}});
}

std::uint32_t RelayShared::owner_of(const DiscoPair& pair) const noexcept {
  if (!exceptions_.empty())
    if (const auto at = exceptions_.find(pair); at != exceptions_.end()) return at->second;
  return static_cast<std::uint32_t>(secrets_.hash(pair) % lanes_);
}

}  // namespace gatehouse::geneve_relay
