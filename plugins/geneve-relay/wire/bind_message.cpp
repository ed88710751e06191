#include "plugins/geneve-relay/wire/bind_message.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kGenerationAt = 4, kRemoteAt = 8, kChallengeAt = kRemoteAt + DiscoKey::kSize;
static_assert(kChallengeAt + sizeof(Challenge) == kCurrentBodySize && sizeof(Challenge) == kFirstBodySize);

bool is_of_handshake(MessageType type) noexcept {
  return type == MessageType::bind || type == MessageType::challenge || type == MessageType::answer;
}

}  // namespace

Result<BindMessage> read_bind_message(Bytes message) noexcept {
  if (message.size() < kMessageHeaderSize) return Errc::truncated;
  BindMessage out;
  out.type = static_cast<MessageType>(message[0]);
  if (!is_of_handshake(out.type)) return Errc::unsupported;

  const Bytes body = message.subspan(kMessageHeaderSize);
  if (body.size() < kFirstBodySize) return Errc::truncated;
  out.form = body.size() < kCurrentBodySize ? WireForm::first : WireForm::current;
  Bytes challenge = body;
  if (out.form == WireForm::current) {
    out.vni = load_big<std::uint32_t>(body);
    out.generation = load_big<std::uint32_t>(body.subspan(kGenerationAt));
    out.remote = DiscoKey::from(body.subspan(kRemoteAt));
    challenge = body.subspan(kChallengeAt);
  }
  if (out.type != MessageType::bind) std::ranges::copy(challenge.first(sizeof(Challenge)), out.challenge.begin());
  return out;
}

std::size_t write_bind_message(MutableBytes out, const BindMessage& message) noexcept {
  out[0] = static_cast<std::byte>(message.type);
  out[1] = std::byte{0};
  const MutableBytes body = out.subspan(kMessageHeaderSize);
  if (message.form == WireForm::first) {
    std::ranges::copy(message.challenge, body.begin());
    return kMessageHeaderSize + kFirstBodySize;
  }
  store_big(body, message.vni);
  store_big(body.subspan(kGenerationAt), message.generation);
  std::ranges::copy(message.remote.bytes, body.subspan(kRemoteAt).begin());
  std::ranges::copy(message.challenge, body.subspan(kChallengeAt).begin());
  return kMessageHeaderSize + kCurrentBodySize;
}

}  // namespace gatehouse::geneve_relay
