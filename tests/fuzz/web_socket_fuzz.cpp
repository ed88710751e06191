// Any bytes as a WebSocket stream, by both roles: however they are cut, the reader says what a simple decoder says that
// looks at whole frames and unmasks byte by byte. The first two bytes say where the cuts are.
#include <gatehouse/net/web_socket.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

using Kind = WebSocketReader::Kind;

struct Seen {
  std::string data, controls;
  std::uint16_t error = 0;  ///< what to close with
  bool operator==(const Seen&) const = default;
};

void note_control(Seen& seen, char kind, unsigned code, std::string_view payload) {
  seen.controls += kind + std::to_string(code) + ' ' + std::to_string(payload.size()) + ' ';
  seen.controls += payload;
}

bool may_be_sent(unsigned code) {
  const bool reserved = code == 1004 || code == 1005 || code == 1006;
  return (code >= 1000 && code <= 1014 && !reserved) || (code >= 3000 && code < 5000);
}

/// The reference. A frame that is cut is looked at as far as it is there.
class Simple {
 public:
  Simple(Bytes in, bool masked) : in_(text_of(in)), masked_(masked) {}

  Seen read() {
    while (at_ < in_.size() && seen_.error == 0 && !closed_) {
      if (!frame()) break;
    }
    return seen_;
  }

 private:
  unsigned byte(std::size_t i) const { return static_cast<unsigned char>(in_[at_ + i]); }
  bool has(std::size_t n) const { return in_.size() - at_ >= n; }
  bool fail(std::uint16_t code) {
    seen_.error = code;
    return false;
  }

  bool frame() {
    const unsigned opcode = byte(0) & 15;
    const bool final = byte(0) >= 128;
    if ((byte(0) / 16) % 8 != 0) return fail(1002);
    if (opcode > 10 || (opcode > 2 && opcode < 8)) return fail(1002);
    if (opcode >= 8 && !final) return fail(1002);
    if (opcode == 0 && !in_message_) return fail(1002);
    if ((opcode == 1 || opcode == 2) && in_message_) return fail(1002);
    if (opcode == 1) return fail(1003);
    if (!has(2)) return false;
    if ((byte(1) >= 128) != masked_) return fail(1002);
    std::uint64_t length = byte(1) % 128;
    if (opcode >= 8 && length > 125) return fail(1002);
    const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    const std::size_t header = 2 + more + (masked_ ? 4 : 0);
    if (!has(header)) return false;
    if (more != 0) length = 0;
    for (std::size_t i = 0; i < more; ++i) length = length * 256 + byte(2 + i);
    if ((more == 2 && length < 126) || (more == 8 && (length < 65536 || length >= std::uint64_t{1} << 63)))
      return fail(1002);
    if (opcode >= 8 && !has(header + length)) return false;
    const std::size_t there = static_cast<std::size_t>(std::min<std::uint64_t>(length, in_.size() - at_ - header));
    std::string payload;
    for (std::size_t i = 0; i < there; ++i)
      payload += static_cast<char>(byte(header + i) ^ (masked_ ? byte(header - 4 + i % 4) : 0));
    at_ += header + there;
    if (opcode < 8) {
      in_message_ = !final;
      seen_.data += payload;
      return true;
    }
    return control(opcode, payload);
  }

  bool control(unsigned opcode, std::string_view payload) {
    unsigned code = 0;
    if (opcode == 8) {
      closed_ = true;
      code = 1005;
      if (payload.size() == 1) return fail(1002);
      if (payload.size() > 1) {
        code = static_cast<unsigned char>(payload[0]) * 256u + static_cast<unsigned char>(payload[1]);
        if (!may_be_sent(code)) return fail(1002);
        payload.remove_prefix(2);
      }
    }
    note_control(seen_, opcode == 8 ? 'c' : opcode == 9 ? 'i' : 'o', code, payload);
    return true;
  }

  std::string_view in_;
  bool masked_;
  std::size_t at_ = 0;
  bool in_message_ = false, closed_ = false;
  Seen seen_;
};

Seen read(Bytes in, WebSocketRole role, unsigned seed) {
  Seen seen;
  WebSocketReader reader(role);
  std::vector<std::byte> waiting;
  for (std::size_t at = 0; at < in.size() && seen.error == 0;) {
    seed = seed * 1664525 + 1013904223;
    const std::size_t piece = std::min<std::size_t>(1 + (seed >> 16) % (seed % 2 == 0 ? 8 : 300), in.size() - at);
    waiting.insert(waiting.end(), in.begin() + at, in.begin() + at + piece);
    at += piece;
    for (;;) {
      std::vector<std::byte> now(waiting.begin(), waiting.end());  // of exactly this size
      const auto part = reader.next(now);
      if (!part) {
        require((part.error() == Errc::malformed) == (reader.close_code() != 0));
        if (part.error() == Errc::closed) return seen;
        require(part.error() == Errc::malformed);
        seen.error = reader.close_code();
        break;
      }
      require(part->used <= now.size());
      if (part->kind == Kind::incomplete) {
        require(part->used == 0 && now.size() < kLongestControlFrame);
        break;
      }
      require(part->used > 0);
      require(part->payload.empty() || part->payload.data() + part->payload.size() == now.data() + part->used);
      const std::string_view payload = text_of(part->payload);
      if (part->kind == Kind::data) {
        seen.data += payload;
      } else {
        note_control(seen,
                     part->kind == Kind::close  ? 'c'
                     : part->kind == Kind::ping ? 'i'
                                                : 'o',
                     part->close_code, payload);
      }
      waiting.assign(now.begin() + part->used, now.end());
    }
  }
  return seen;
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  if (size < 2) return 0;
  const Bytes in = fuzz_input(data + 2, size - 2);
  for (const auto role : {WebSocketRole::server, WebSocketRole::client}) {
    const Seen expected = Simple(in, role == WebSocketRole::server).read();
    for (unsigned i = 0; i < 3; ++i) require(read(in, role, data[0] * 256u + data[1] + i) == expected);
  }
  return 0;
}
