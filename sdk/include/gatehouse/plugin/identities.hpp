// Who is this client? Its credential, held against the rows of `credentials`. One lane's.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace gatehouse {

enum class CredentialKind : std::uint32_t {
  token = GH_CREDENTIAL_TOKEN,         ///< its text
  cert = GH_CREDENTIAL_CERT,           ///< the certificate's name
  unix_user = GH_CREDENTIAL_UNIX,      ///< the decimal uid
  relay_key = GH_CREDENTIAL_RELAY_KEY  ///< in hex
};

/// For handshakes, not for packets. What is still asked for when this object goes is dropped.
class Identities {
 public:
  /// Of that lane, and on its thread.
  explicit Identities(const LaneContext& context) : context_(context), scope_(context.completions) {}

  /// Whose it is: "unix:bob", "token:bob".
  /// Errc::not_found: nobody's. Errc::pending: the system is asked; ask again in `later`, which runs on the lane within
  /// 5 s, with Errc::io when the system does not answer. Errc::limit: too many wait for that. Without `later` nobody is
  /// told.
  [[nodiscard]] Result<std::string> find(CredentialKind kind, std::string_view value, Completion later = {});

  /// What find_token() comes to: an identity, or how long until this source may try again (`wait` > 0), or neither:
  /// nobody's.
  struct TokenOwner {
    std::string identity;  ///< "token:bob", or ""
    Nanoseconds wait{0};   ///< from now on
  };
  /// Whose token it is that a client from `source` shows at `listener`.
  [[nodiscard]] Result<TokenOwner> find_token(std::string_view token, std::uint32_t listener, const Endpoint& source);

  /// The same as find(), asked again by itself: `then` runs once, within the call where the answer is at hand. Never
  /// Errc::pending.
  void identify(CredentialKind kind, std::string value, std::function<void(Result<std::string>)> then);

 private:
  LaneContext context_;
  CompletionScope scope_;
};

}  // namespace gatehouse
