#include <gatehouse/net/web_socket_layer.hpp>

#include <gatehouse/base/endian.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace gatehouse {

Result<std::size_t> WebSocketLayer::read(MutableBytes out) noexcept {
  std::size_t got = 0;
  take_held(out, got);
  if (got != 0) return got;
  if (ended_) {
    has_news_ = false;
    return ended_;
  }
  if (out.size() >= kLeastRead) return read_frames(out);
  std::array<std::byte, kLeastRead> frames;
  const auto content = read_frames(frames);
  if (!content) return content;
  try {
    held_.assign(frames.begin(), frames.begin() + static_cast<std::ptrdiff_t>(*content));
  } catch (const std::bad_alloc&) {
    return make_error_code(Errc::limit);
  }
  take_held(out, got);
  return got;
}

void WebSocketLayer::take_held(MutableBytes out, std::size_t& got) noexcept {
  got = std::min(out.size(), held_.size());
  std::copy_n(held_.begin(), got, out.begin());
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(got));
  if (held_.empty()) held_ = std::vector<std::byte>();  // which "= {}" would not give back
}

/// Frames are read to where their content is to stand, and decoded there.
Result<std::size_t> WebSocketLayer::read_frames(MutableBytes out) noexcept {
  std::copy_n(cut_.begin(), cut_size_, out.begin());
  const auto read = lower_->read(out.subspan(cut_size_));
  if (!read) return read;
  std::size_t got = 0;
  ended_ = decode(out.first(cut_size_ + *read), got);
  if (owes_pong_ && !has_left_over()) answer_ping();
  has_news_ = ended_ && got != 0;
  if (got != 0) return got;
  return ended_ ? ended_ : make_error_code(Errc::would_block);
}

/// Brings the content of all frames together at the front.
Error WebSocketLayer::decode(MutableBytes frames, std::size_t& got) noexcept {
  cut_size_ = 0;
  for (MutableBytes rest = frames; !rest.empty();) {
    const auto part = reader_.next(rest);
    if (!part) {
      if (part.error() != Errc::closed) put_close(reader_.close_code());
      return part.error();
    }
    switch (part->kind) {
      case WebSocketReader::Kind::incomplete:
        cut_size_ = std::min(rest.size(), cut_.size());
        std::copy_n(rest.begin(), cut_size_, cut_.begin());
        return {};
      case WebSocketReader::Kind::data:
        if (!part->payload.empty()) std::memmove(frames.data() + got, part->payload.data(), part->payload.size());
        got += part->payload.size();
        break;
      case WebSocketReader::Kind::ping:
        ping_size_ = part->payload.size();
        std::copy_n(part->payload.begin(), ping_size_, ping_.begin());
        owes_pong_ = true;
        break;
      case WebSocketReader::Kind::pong: break;
      case WebSocketReader::Kind::close: return make_error_code(Errc::closed);  // finish() answers
    }
    rest = rest.subspan(part->used);
  }
  return {};
}

Result<void> WebSocketLayer::put(std::span<const Bytes> parts) noexcept {
  if (has_closed_) return make_error_code(Errc::closed);
  if (role_ == WebSocketRole::client) return put_masked(WebSocketOpcode::binary, parts);
  constexpr std::size_t kMostParts = 64;
  std::array<Bytes, kMostParts + 1> all;
  std::size_t size = 0;
  for (std::size_t i = 0; i < std::min(parts.size(), kMostParts); ++i) {
    all[i + 1] = parts[i];
    size += parts[i].size();
  }
  std::array<std::byte, kLongestWebSocketHeader> header;
  all[0] = Bytes(header).first(write_frame_header(header, WebSocketOpcode::binary, size));
  return lower_->put(std::span(all).first(std::min(parts.size(), kMostParts) + 1));
}

Result<void> WebSocketLayer::flush() noexcept {
  const auto flushed = lower_->flush();
  if (flushed && owes_pong_) answer_ping();
  return flushed;
}

void WebSocketLayer::finish() noexcept {
  put_close(kCloseNormal);
  lower_->finish();
}

/// A frame of a client, whose mask nobody can guess (RFC 6455, 5.3).
Result<void> WebSocketLayer::put_masked(WebSocketOpcode opcode, std::span<const Bytes> payload) noexcept {
  std::size_t size = 0;
  for (const Bytes part : payload) size += part.size();
  WebSocketMask mask;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(mask.data()), static_cast<int>(mask.size())) != 1)
    return make_error_code(Errc::failed);
  std::vector<std::byte> frame;
  try {
    frame.resize(kLongestWebSocketHeader);
    frame.resize(write_frame_header(frame, opcode, size, mask));
    const std::size_t header = frame.size();
    frame.reserve(header + size);
    for (const Bytes part : payload) frame.insert(frame.end(), part.begin(), part.end());
    mask_payload(MutableBytes(frame).subspan(header), mask);
  } catch (const std::bad_alloc&) {
    return make_error_code(Errc::limit);
  }
  const Bytes all = frame;
  return lower_->put({&all, 1});
}

Result<void> WebSocketLayer::put_control(WebSocketOpcode opcode, Bytes payload) noexcept {
  if (role_ == WebSocketRole::client) return put_masked(opcode, {&payload, 1});
  std::array<std::byte, kLongestWebSocketHeader> header;
  const Bytes parts[] = {Bytes(header).first(write_frame_header(header, opcode, payload.size())), payload};
  return lower_->put(parts);
}

void WebSocketLayer::put_close(std::uint16_t code) noexcept {
  if (std::exchange(has_closed_, true)) return;
  std::array<std::byte, 2> payload;
  store_big(payload, code);
  static_cast<void>(put_control(WebSocketOpcode::close, payload));
}

void WebSocketLayer::answer_ping() noexcept {
  owes_pong_ = false;
  if (!has_closed_) static_cast<void>(put_control(WebSocketOpcode::pong, Bytes(ping_).first(ping_size_)));
}

}  // namespace gatehouse
