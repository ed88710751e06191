// What of a datagram can be judged before its endpoint is known.
#pragma once

#include "plugins/geneve-relay/relay/drop.hpp"
#include "plugins/geneve-relay/wire/disco_envelope.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

namespace gatehouse::geneve_relay {

/// The header of what is to be relayed or is a handshake. STUN and naked disco are the caller's (kind_of()); here they
/// are no Geneve.
[[nodiscard]] OrDrop<GeneveHeader> relay_header(Bytes datagram) noexcept;

/// The envelope of a control packet with that header. Aliases `datagram`.
[[nodiscard]] OrDrop<DiscoEnvelope> control_envelope(const GeneveHeader& header, Bytes datagram) noexcept;

}  // namespace gatehouse::geneve_relay
