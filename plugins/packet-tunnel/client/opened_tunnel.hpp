// A stream to a server on which frames begin. Blocking: for the opener's thread.
#pragma once

#include "plugins/packet-tunnel/client/settings.hpp"
#include "plugins/packet-tunnel/client/transport_command.hpp"
#include "plugins/packet-tunnel/common/large_frame.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/net/stream.hpp>

#include <memory>

namespace gatehouse::packet_tunnel {

/// Move-only. Its stream is watched by nobody yet.
struct OpenedTunnel {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<TransportCommand> command;  ///< behind the stream; none = a connection of our own
  std::string server;                         ///< as it was named
  IpAddress address;                          ///< of the server; none: a Unix socket, or a command
  int fd = -1;                                ///< the stream's socket, for questions about it alone
  std::size_t mtu = 0;                        ///< bytes
  bool is_resumed = false;
  bool has_ipv6 = true;
  FrameForm form = FrameForm::plain;  ///< as it was agreed on
  std::string encryption;             ///< "TLSv1.3", or ""
};

/// Where one attempt goes.
struct ServerTarget {
  std::string name;   ///< as ClientOptions::address; "" = the transport command
  IpAddress address;  ///< what the name stands for; none: it needs no look-up
};

/// Opens a stream and asks for the tunnel.
/// @param mark  on our packets to the server; 0 = none
/// @param form  large: the server is asked for it, and may say no
/// @throws ClientRefused, or another std::exception with a sentence
[[nodiscard]] OpenedTunnel open_tunnel(const ClientSettings& settings, const ServerTarget& target,
                                       const std::string& session_id, std::uint32_t mark, FrameForm form,
                                       SteadyTime deadline);

/// What `name` stands for, by the system's resolver, which may take its time. A Unix socket: one target.
/// @throws std::runtime_error  a sentence
[[nodiscard]] std::vector<ServerTarget> look_up(const std::string& name);

}  // namespace gatehouse::packet_tunnel
