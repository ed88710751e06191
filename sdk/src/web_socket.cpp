// Stages of reading: the header, byte for byte in the order in which they come, so that the verdict is the same however
// the input is cut; then what is there of a data frame, or the whole of a control frame.
#include <gatehouse/net/web_socket.hpp>

#include <gatehouse/base/endian.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr std::byte kFinal{0x80}, kReserved{0x70}, kOpcode{0x0f}, kControl{0x08};
constexpr std::byte kMasked{0x80};
constexpr unsigned kLength16 = 126, kLength64 = 127;

/// Codes that may stand in a close frame: the protocol's own, registered ones, and those of applications.
bool may_be_sent(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/// `mask` as it goes on `phase` bytes later.
WebSocketMask turned(const WebSocketMask& mask, std::uint64_t phase) noexcept {
  WebSocketMask out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = mask[(phase + i) % mask.size()];
  return out;
}

}  // namespace

struct WebSocketReader::Header {
  std::size_t size;
  WebSocketOpcode opcode;
  std::size_t length;  // of the payload
  WebSocketMask mask;
};

std::uint16_t WebSocketReader::judge_first_byte(std::byte first) const noexcept {
  if ((first & kReserved) != std::byte{0}) return kCloseProtocolError;
  switch (static_cast<WebSocketOpcode>(first & kOpcode)) {
    case WebSocketOpcode::continuation: return in_message_ ? 0 : kCloseProtocolError;
    case WebSocketOpcode::binary: return in_message_ ? kCloseProtocolError : 0;
    case WebSocketOpcode::text: return in_message_ ? kCloseProtocolError : kCloseNotBinary;
    case WebSocketOpcode::close:
    case WebSocketOpcode::ping:
    case WebSocketOpcode::pong: return (first & kFinal) != std::byte{0} ? 0 : kCloseProtocolError;
  }
  return kCloseProtocolError;
}

Result<WebSocketReader::Part> WebSocketReader::refuse(std::uint16_t close_code) noexcept {
  close_code_ = close_code;
  return Errc::malformed;
}

Result<WebSocketReader::Part> WebSocketReader::next(MutableBytes in) noexcept {
  if (close_code_ != 0) return Errc::malformed;
  if (closed_) return Errc::closed;
  if (in.empty()) return Part{};
  if (left_ > 0) return take_data(in, 0);

  if (const std::uint16_t code = judge_first_byte(in[0]); code != 0) return refuse(code);
  if (in.size() < 2) return Part{};
  const bool is_control = (in[0] & kControl) != std::byte{0};
  const bool is_masked = (in[1] & kMasked) != std::byte{0};
  const unsigned short_length = std::to_integer<unsigned>(in[1] & ~kMasked);
  if (is_masked != (role_ == WebSocketRole::server)) return refuse(kCloseProtocolError);
  if (is_control && short_length > kLongestControlPayload) return refuse(kCloseProtocolError);
  const std::size_t mask_at = short_length == kLength64 ? 10 : short_length == kLength16 ? 4 : 2;
  const std::size_t size = mask_at + (is_masked ? sizeof(WebSocketMask) : 0);
  if (in.size() < size) return Part{};

  std::uint64_t length = short_length;
  if (short_length == kLength16) {
    length = load_big<std::uint16_t>(in.subspan(2));
    if (length < kLength16) return refuse(kCloseProtocolError);
  } else if (short_length == kLength64) {
    length = load_big<std::uint64_t>(in.subspan(2));
    if (length <= 0xffff || length >> 63 != 0) return refuse(kCloseProtocolError);
  }
  WebSocketMask mask{};
  if (is_masked) std::memcpy(mask.data(), in.data() + mask_at, mask.size());
  if (is_control) return take_control(in, {size, static_cast<WebSocketOpcode>(in[0] & kOpcode), short_length, mask});
  in_message_ = (in[0] & kFinal) == std::byte{0};
  left_ = length;
  mask_ = mask;
  return take_data(in, size);
}

Result<WebSocketReader::Part> WebSocketReader::take_data(MutableBytes in, std::size_t header_size) noexcept {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(in.size() - header_size, left_));
  const MutableBytes payload = in.subspan(header_size, size);
  if (role_ == WebSocketRole::server) {
    mask_payload(payload, mask_);
    mask_ = turned(mask_, size);
  }
  left_ -= size;
  return Part{header_size + size, Kind::data, payload, 0};
}

Result<WebSocketReader::Part> WebSocketReader::take_control(MutableBytes in, const Header& header) noexcept {
  if (in.size() < header.size + header.length) return Part{};
  Part part{header.size + header.length, Kind::close, in.subspan(header.size, header.length), 0};
  if (role_ == WebSocketRole::server) mask_payload(part.payload, header.mask);
  if (header.opcode != WebSocketOpcode::close) {
    part.kind = header.opcode == WebSocketOpcode::ping ? Kind::ping : Kind::pong;
    return part;
  }
  if (part.payload.empty()) {
    part.close_code = kCloseWithoutCode;
  } else {
    if (part.payload.size() < 2) return refuse(kCloseProtocolError);
    part.close_code = load_big<std::uint16_t>(part.payload);
    if (!may_be_sent(part.close_code)) return refuse(kCloseProtocolError);
    part.payload = part.payload.subspan(2);
  }
  closed_ = true;
  return part;
}

std::size_t write_frame_header(MutableBytes out, WebSocketOpcode opcode, std::uint64_t payload_size,
                               std::optional<WebSocketMask> mask) noexcept {
  assert(payload_size >> 63 == 0);
  const unsigned short_length = payload_size < kLength16 ? static_cast<unsigned>(payload_size)
                                : payload_size <= 0xffff ? kLength16
                                                         : kLength64;
  assert(opcode < WebSocketOpcode::close || payload_size <= kLongestControlPayload);
  const std::size_t mask_at = short_length == kLength64 ? 10 : short_length == kLength16 ? 4 : 2;
  const std::size_t size = mask_at + (mask ? mask->size() : 0);
  if (out.size() < size) return 0;
  out[0] = kFinal | static_cast<std::byte>(opcode);
  out[1] = static_cast<std::byte>(short_length) | (mask ? kMasked : std::byte{0});
  if (short_length == kLength16) store_big(out.subspan(2), static_cast<std::uint16_t>(payload_size));
  if (short_length == kLength64) store_big(out.subspan(2), payload_size);
  if (mask) std::ranges::copy(*mask, out.begin() + static_cast<std::ptrdiff_t>(mask_at));
  return size;
}

void mask_payload(MutableBytes bytes, WebSocketMask mask, std::size_t phase) noexcept {
  const WebSocketMask from_here = turned(mask, phase);
  std::uint32_t half;
  std::memcpy(&half, from_here.data(), sizeof half);
  const std::uint64_t word = std::uint64_t{half} << 32 | half;
  const auto flip = [word](std::byte* at) {
    std::uint64_t part;
    std::memcpy(&part, at, sizeof part);
    part ^= word;
    std::memcpy(at, &part, sizeof part);
  };

  std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4 * sizeof word; left -= 4 * sizeof word, at += 4 * sizeof word) {  // compilers make vectors of it
    flip(at);
    flip(at + sizeof word);
    flip(at + 2 * sizeof word);
    flip(at + 3 * sizeof word);
  }
  for (; left >= sizeof word; left -= sizeof word, at += sizeof word) flip(at);
  for (std::size_t i = 0; i < left; ++i) at[i] ^= from_here[i % from_here.size()];
}

std::string accept_key(std::string_view client_key) {
  std::string text(client_key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, 20> digest;
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1)
    throw std::runtime_error("WebSockets need SHA-1, and the OpenSSL of this system does not have it");
  std::array<unsigned char, 29> base64;  // with the zero that OpenSSL adds
  const int size = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(base64.data()), static_cast<std::size_t>(size)};
}

}  // namespace gatehouse
