// Clients for tests: what PluginRunner's listeners are spoken to with. They block, and no call for longer than
// kPatience, so that a test which waits in vain fails.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/testkit/hex.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::testkit {

/// How long a client waits for anything.
inline constexpr std::chrono::seconds kPatience{5};

/// Asks `condition` every millisecond until it holds, for kPatience at most. @return its last value
bool eventually(const std::function<bool()>& condition);

/// A client of a TCP or Unix listener. One thread at a time. Everything throws std::system_error where the system
/// refuses, or where nothing moved for kPatience.
class StreamClient {
 public:
  explicit StreamClient(const Endpoint& to);               ///< PluginRunner::address()
  explicit StreamClient(const std::filesystem::path& to);  ///< PluginRunner::path()

  /// All of it.
  void send(Bytes bytes);
  /// The same for text.
  void send(std::string_view text);
  /// So many bytes; fewer where the stream ended before.
  [[nodiscard]] std::string receive(std::size_t size);
  /// Up to and with the next line feed; without one where the stream ended before.
  [[nodiscard]] std::string receive_line();
  /// All that comes until the stream ends.
  [[nodiscard]] std::string receive_rest();
  /// Ends this side: the plugin reads the end of the stream behind what was sent.
  void finish();

 private:
  UniqueFd fd_;
};

/// A client of a UDP listener, with a connected socket: it hears only the address that it asks. One thread at a time;
/// throws as StreamClient.
class DatagramClient {
 public:
  /// @param to  PluginRunner::address()
  explicit DatagramClient(const Endpoint& to);

  /// One datagram.
  void send(Bytes datagram);
  /// The same for text.
  void send(std::string_view datagram);
  /// The next one, of up to 65,535 bytes; none where none came in that time.
  [[nodiscard]] std::optional<std::string> receive(std::chrono::milliseconds within = kPatience);

 private:
  UniqueFd fd_;
};

/// A client that puts IP packets into a stream, each behind its length as FrameReader has them. Packets to send are in
/// packets.hpp. One thread at a time; throws as StreamClient.
class PacketClient {
 public:
  /// @param to  PluginRunner::address()
  explicit PacketClient(const Endpoint& to) : stream_(to) {}
  /// @param to  PluginRunner::path()
  explicit PacketClient(const std::filesystem::path& to) : stream_(to) {}

  /// @param packet  65,535 bytes at most
  void send(Bytes packet);
  /// The next packet; empty where the stream has ended.
  [[nodiscard]] ByteVector receive();
  /// For what is no packet.
  [[nodiscard]] StreamClient& stream() noexcept { return stream_; }

 private:
  StreamClient stream_;
};

}  // namespace gatehouse::testkit
