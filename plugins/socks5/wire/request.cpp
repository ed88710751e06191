#include "plugins/socks5/wire/request.hpp"

#include "plugins/socks5/wire/greeting.hpp"

namespace gatehouse::socks5 {
namespace {

constexpr std::size_t kHead = 3;  // VER, CMD or REP, RSV

}  // namespace

Result<Request> read_request(Bytes in) noexcept {
  if (!in.empty() && in[0] != kVersion) return Errc::malformed;
  if (in.size() < kHead) return Errc::truncated;
  const auto field = read_destination(in.subspan(kHead));
  if (!field) return field.error();
  return Request{static_cast<Command>(in[1]), field->destination, kHead + field->size};
}

ReplyMessage::ReplyMessage(Reply reply, const Endpoint& bound) noexcept {
  bytes_[0] = kVersion;
  bytes_[1] = static_cast<std::byte>(reply);
  size_ = kHead + write_destination(MutableBytes(bytes_).subspan(kHead), bound);
}

}  // namespace gatehouse::socks5
