// TLS of the server's side and OpenSSL's own client, joined by a pair of sockets, for tests.
#pragma once

#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/tls_layer.hpp>

#include "tests/unit/sdk/net/test_authority.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>

namespace gatehouse::test {

inline std::string long_text(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return out;
}

inline const TestAuthority& authority() {
  static const TestAuthority one;
  return one;
}
inline const TestCertificate& server() {
  static const TestCertificate one = authority().issue();
  return one;
}

inline TlsSettings settings() {
  TlsSettings out;
  out.chain = server().certificate + authority().certificate();
  out.key = server().key;
  out.scope = "test";
  return out;
}

struct Pair {
  Pair() {
    int both[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, both), 0);
    ours = UniqueFd(both[0]);
    theirs = UniqueFd(both[1]);
  }
  UniqueFd ours, theirs;
};

class Tls : public testing::Test, public Pair {
 protected:
  void begin(const TlsSettings& with = settings(), const TestCertificate& shown = {},
             int most_version = TLS1_3_VERSION) {
    layer = std::make_unique<TlsLayer>(ours.get(),
                                       std::make_shared<const TlsContext>(with, std::make_shared<TlsBuffers>()));
    client.emplace(theirs.get(), shown, most_version);
  }
  /// Both sides in turn, until both are done or one has failed.
  bool shake_hands() {
    for (bool here = false, there = false; !here || !there;) {
      there = there || client->handshake();
      if (client->has_failed()) return false;
      if (here) continue;
      const auto done = layer->handshake();
      here = done.has_value();
      if (!done && done.error() != Errc::would_block) return false;
    }
    return true;
  }
  std::string read(std::size_t most = 65536) {
    std::string out(most, '\0');
    last = layer->read(std::as_writable_bytes(std::span(out)));
    out.resize(last ? *last : 0);
    return out;
  }
  void put(const std::string& text) {
    const Bytes part = bytes_of(text);
    EXPECT_TRUE(layer->put({&part, 1}));
  }

  std::unique_ptr<TlsLayer> layer;
  std::optional<TlsTestClient> client;
  Result<std::size_t> last = std::size_t{0};
};

}  // namespace gatehouse::test
