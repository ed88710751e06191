#include <gatehouse/plugin/identities.hpp>

#include <array>

namespace gatehouse {

Result<std::string> Identities::find(CredentialKind kind, std::string_view value, Completion later) {
  std::array<char, 256> text;
  std::size_t size = 0;
  const gh_identity& table = context_.host.identity();
  const gh_status status = scope_.ask_later(std::move(later), [&](const gh_completion* done) {
    return table.resolve(table.context, context_.lane, static_cast<std::uint32_t>(kind), to_border(value), text.data(),
                         text.size(), &size, done);
  });
  if (const Error failure = to_error(status)) return failure;
  return std::string(text.data(), size);
}

Result<Identities::TokenOwner> Identities::find_token(std::string_view token, std::uint32_t listener,
                                                      const Endpoint& source) {
  std::array<char, 256> text;
  std::size_t size = 0;
  std::uint64_t wait = 0;
  gh_client_facts client{};
  client.struct_size = sizeof client;
  client.listener = listener;
  client.source = to_border(source);
  const gh_identity& table = context_.host.identity();
  const gh_status status = table.resolve_token(table.context, context_.lane, to_border(token), &client, text.data(),
                                               text.size(), &size, &wait);
  if (status == GH_E_NOT_FOUND) return TokenOwner{};
  if (status == GH_E_LIMIT && wait > 0) return TokenOwner{{}, Nanoseconds(static_cast<std::int64_t>(wait))};
  if (const Error failure = to_error(status)) return failure;
  return TokenOwner{std::string(text.data(), size)};
}

void Identities::identify(CredentialKind kind, std::string value, std::function<void(Result<std::string>)> then) {
  Result<std::string> found = find(kind, value, [this, kind, value, then](Error failure) {
    if (failure) return then(failure);
    Result<std::string> answer = find(kind, value);
    if (!answer && answer.error() == Errc::pending) answer = Errc::io;  // pushed out by others: nobody can say
    then(std::move(answer));
  });
  if (found || found.error() != Errc::pending) then(std::move(found));
}

}  // namespace gatehouse
